"""The register of processing that UU 27/2022 article 31 asks of a controller, generated from the data contracts.

``python -m warehouse.report.processing_register`` writes ``docs/processing-register.md``.

Here: what an entry takes of a contract. Not here: the page (templates), facts about a dataset (contracts), the
assessment of risks (docs/dpia.md).
"""

from pathlib import Path

from warehouse.core.contract import Column, Contract, load_contracts
from warehouse.core.settings import Settings, get_settings
from warehouse.report.documents import document

_CATEGORIES = {
    "direct_identifier": "pengenal langsung / direct identifiers",
    "health": "data kesehatan (spesifik) / health data (specific)",
    "quasi_identifier": "pengenal tak langsung / quasi-identifiers",
}


def register(s: Settings) -> str:
    """The whole page; the same contracts give the same text."""
    contracts = load_contracts(s.contracts_dir).values()
    persons = [contract for contract in contracts if contract.is_about_persons]
    others = [contract for contract in contracts if not contract.is_about_persons]
    return document("processing-register.md", persons=persons, others=others, entry=_entry)


def register_file(s: Settings) -> Path:
    return s.project_dir / "docs" / "processing-register.md"


def _entry(contract: Contract) -> list[tuple[str, str]]:
    """Lines of a dataset's entry: name and value."""
    extras = contract.extras
    subjects = "anak di bawah lima tahun / children under five" if _has_children(contract) else "warga / residents"
    return [
        ("Tujuan / purpose", contract.purpose),
        ("Dasar hukum / legal basis", extras.legal_basis or ""),
        ("Sumber / source", extras.agency_name),
        ("Perjanjian / agreement", f"{extras.agreement_number}, sampai / until {extras.agreement_end}"),
        ("Subjek / data subjects", subjects),
        *((f"Data: {label}", _listed(contract, kind)) for kind, label in _CATEGORIES.items()),
        ("Dibuang saat dibaca / dropped when read", ", ".join(f"`{name}`" for name in extras.ignored_headers) or "–"),
        ("Retensi berkas asli / retention of raw bytes", f"{extras.retention_days} hari / days"),
        ("Frekuensi / frequency", f"{extras.period_kind}, {extras.delivery_mode}"),
    ]


def _has_children(contract: Contract) -> bool:
    return any(column.classification == "health" for column in contract.columns)


def _listed(contract: Contract, kind: str) -> str:
    columns = [column for column in contract.file_columns if column.classification == kind]
    return "; ".join(_with_use(column) for column in columns) or "–"


def _with_use(column: Column) -> str:
    """Name and use; what the gate alone needs is in neither lake nor vault."""
    lake_note = "" if column.extras.lake else ", not kept"
    return f"`{column.name}` ({column.extras.use}{lake_note})"


def main() -> None:
    s = get_settings()
    register_file(s).write_text(register(s), encoding="utf-8")


if __name__ == "__main__":
    main()
