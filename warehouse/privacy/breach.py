"""Drafts the notice that UU 27/2022 article 46 asks for within 3 x 24 hours, from contracts, lake and access log.

Here: which data stood where, how many persons by dataset, who had them open, when the notice is due. Not here: whether
there was a breach, and what is sent: a person decides and signs. The draft names no data subject.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from warehouse.core import duck
from warehouse.core.contract import Contract, get_contract, load_contracts
from warehouse.core.errors import ConfigError
from warehouse.core.periods import JAKARTA
from warehouse.core.settings import Settings
from warehouse.ledger import Ledger, access_log, tables
from warehouse.storage import lake

DUE = timedelta(hours=3 * 24)
# What somebody who got at a place could read there, in both languages.
_PLACES: dict[str, tuple[str, str]] = {
    "landing": (
        "berkas kiriman instansi sebagaimana dikirim, tersandi (age)",
        "agencies' files as sent, encrypted (age)",
    ),
    "vault": (
        "identitas: kolom pengenal langsung, tersandi (Parquet)",
        "identities: the direct identifiers, encrypted (Parquet)",
    ),
    "lake": ("baris berpseudonim tanpa pengenal langsung", "pseudonymised rows without direct identifiers"),
    "build": ("berkas kerja berpseudonim", "the pseudonymised working file"),
    "micro": (
        "fakta berpseudonim untuk analis berwenang, tersandi",
        "pseudonymised facts for authorised analysts, encrypted",
    ),
}
_IDENTIFYING: tuple[str, ...] = ("landing", "vault")
_KEEPING_ALL: tuple[str, ...] = ("landing", "vault", "lake")
_CATEGORY_NAMES = {
    "direct_identifier": ("pengenal langsung", "direct identifiers"),
    "health": ("data kesehatan anak (data spesifik)", "children's health data (specific data)"),
    "quasi_identifier": ("pengenal tak langsung", "quasi-identifiers"),
}


@dataclass(frozen=True)
class Incident:
    """What is known of a breach: when it was found, between when it happened, where, how, and what is being done."""

    found_at: datetime
    since: datetime
    until: datetime
    places: tuple[str, ...]
    how: str
    handling: str
    datasets: tuple[str, ...] = ()

    @property
    def due_at(self) -> datetime:
        return self.found_at + DUE


@dataclass(frozen=True)
class Affected:
    """``persons`` are told apart by pseudonym; ``unnumbered`` rows have none and may be persons counted already.

    ``uncounted`` deliveries are landed, and none of their rows was ever admitted.
    """

    contract: Contract
    persons: int
    unnumbered: int
    deliveries: int
    uncounted: int


def draft(s: Settings, led: Ledger, incident: Incident) -> str:
    """The notice as Markdown, Indonesian first; raises ConfigError BREACH_REFUSED when something is left open."""
    _demand_whole(incident)
    affected = _affected(s, led, incident)
    openings, looks = access_log.since(led, incident.since, incident.until), access_log.looks(led)
    indonesian, english = (_words(s, incident, affected, openings, looks, language) for language in (0, 1))
    return "\n".join([*indonesian, "---\n", *english])


def _demand_whole(incident: Incident) -> None:
    is_known = set(incident.places) <= set(_PLACES) and incident.places
    if not is_known or not incident.how.strip() or not incident.handling.strip() or incident.since > incident.until:
        raise ConfigError(
            "BREACH_REFUSED",
            f"Sebut tempat ({', '.join(_PLACES)}), waktu awal dan akhir, cara kejadian, dan penanganannya.",
            f"State the places ({', '.join(_PLACES)}), from when to when, how it happened, what is being done.",
            "Lengkapi pilihan perintah itu; tulis yang belum diketahui sebagai belum diketahui.",
            "Complete the command's options; write what is not known yet as not known yet.",
        )


def _affected(s: Settings, led: Ledger, incident: Incident) -> list[Affected]:
    affected_contracts = [get_contract(s.contracts_dir, name) for name in incident.datasets]
    contracts = affected_contracts or [one for one in load_contracts(s.contracts_dir).values() if one.is_about_persons]
    counts = []
    with duck.connect(s) as connection:
        for contract in contracts:
            key = "nik_key" if contract.identity("nik") else "kk_key"
            persons, unnumbered, deliveries = duck.one_row(
                connection.execute(
                    f"SELECT count(DISTINCT {key}), count(*) FILTER ({key} IS NULL), count(DISTINCT delivery_id)"
                    f" FROM ({_rows_sql(s, led, contract, incident)})"
                )
            )
            uncounted = _never_admitted(led, contract) if "landing" in incident.places else 0
            if deliveries or uncounted:
                counts.append(Affected(contract, persons, unnumbered, deliveries, uncounted))
    return counts


def _rows_sql(s: Settings, led: Ledger, contract: Contract, incident: Incident) -> str:
    """The rows that stood where the breach was: former deliveries are kept too, but in no build and no release."""
    if set(incident.places).isdisjoint(_KEEPING_ALL):
        return lake.relation_sql(s, led, contract)
    lake_rows = led.rows(
        sa.select(tables.lake_files.c.path)
        .join(tables.deliveries, tables.deliveries.c.delivery_id == tables.lake_files.c.delivery_id)
        .where(tables.lake_files.c.kind == "lake", tables.deliveries.c.dataset == contract.dataset)
    )
    paths = [path for row in lake_rows if (path := s.home / row["path"]).is_file()]
    if not paths:
        return lake.relation_sql(s, led, contract)
    files = ", ".join(f"'{duck.sql_path(path)}'" for path in paths)
    return f"SELECT * FROM read_parquet([{files}], union_by_name = true)"


def _never_admitted(led: Ledger, contract: Contract) -> int:
    select = sa.select(sa.func.count().label("deliveries")).where(
        tables.deliveries.c.dataset == contract.dataset,
        tables.deliveries.c.destroyed_at.is_(None),
        tables.deliveries.c.delivery_id.not_in(sa.select(tables.lake_files.c.delivery_id)),
    )
    return int(led.rows(select)[0]["deliveries"])


# --- words -----------------------------------------------------------------------------------------------------------


def _words(
    s: Settings,
    incident: Incident,
    affected: list[Affected],
    openings: list[dict[str, Any]],
    looks: Mapping[str, int],
    language: int,
) -> Iterable[str]:
    def say(indonesian: str, english: str) -> str:
        return (indonesian, english)[language]

    yield say(
        "# DRAF: Pemberitahuan kegagalan pelindungan data pribadi\n",
        "# DRAFT: notice of a failure to protect personal data\n",
    )
    yield say(
        "Pasal 46 UU 27/2022, kepada subjek data pribadi dan lembaga pelindungan data pribadi.",
        "Article 46 of UU 27/2022, to the data subjects and the data protection authority.",
    )
    yield say(
        f"**Diketahui {_time(incident.found_at)}; paling lambat dikirim {_time(incident.due_at)} (3 x 24 jam).**"
        f" Draf ini dibuat {_time(s.utc_now())}.\n",
        f"**Found on {_time(incident.found_at)}; to be sent by {_time(incident.due_at)} (3 x 24 hours).**"
        f" This draft was made on {_time(s.utc_now())}.\n",
    )
    yield say("## 1. Data pribadi yang terungkap\n", "## 1. The personal data disclosed\n")
    yield from (f"* {_PLACES[place][language]}" for place in incident.places)
    yield ""
    yield say(
        "| dataset | instansi | jenis data | orang (menurut nomor) | baris tanpa nomor | kiriman |",
        "| dataset | agency | kinds of data | persons (by number) | rows without a number | deliveries |",
    )
    yield "|---|---|---|---|---|---|"
    for one in affected:
        yield (
            f"| `{one.contract.dataset}` | {one.contract.extras.agency_name} | {_kinds(one, incident, language)}"
            f" | {one.persons} | {one.unnumbered} | {one.deliveries} |"
        )
    yield say(
        "\nSatu orang dapat ada pada beberapa dataset: angka-angka ini tidak dijumlahkan. Pada dataset keluarga,"
        " nomornya nomor kartu keluarga.\n",
        "\nA person may be in several datasets: these figures do not add up. In a dataset of families the number is the"
        " family card's.\n",
    )
    if uncounted := sum(one.uncounted for one in affected):
        yield say(
            f"{uncounted} kiriman di landing tidak pernah diterima (ditahan atau belum dinilai): orang di dalamnya"
            " tidak terhitung.\n",
            f"{uncounted} deliveries in landing were never admitted (held or not yet judged): the persons in them are"
            " not counted.\n",
        )
    yield say("## 2. Kapan dan bagaimana\n", "## 2. When and how\n")
    yield say(
        f"Antara {_time(incident.since)} dan {_time(incident.until)}. {incident.how.strip()}\n",
        f"Between {_time(incident.since)} and {_time(incident.until)}. {incident.how.strip()}\n",
    )
    yield say(
        "Pembukaan data pribadi yang tercatat dan berlaku pada waktu itu (untuk lembaga, bukan untuk subjek data):\n",
        "Openings of personal data on record and in force at that time (for the authority, not for data subjects):\n",
    )
    yield from _opening_table(openings, looks, say)
    yield say("\n## 3. Penanganan dan pemulihan\n", "\n## 3. Handling and recovery\n")
    yield f"{incident.handling.strip()}\n"
    yield say(
        "Yang dapat segera dilakukan: `warehouse keys new` lalu `warehouse keys rotate` (kunci dan pseudonim diganti),"
        " mencabut hak akses, menahan rilis. Hubungi: Pejabat Pelindungan Data Pribadi Kota Tangerang.\n",
        "What can be done at once: `warehouse keys new`, then `warehouse keys rotate` (keys and pseudonyms change),"
        " taking away access, holding releases. Contact: the city's data protection officer.\n",
    )


def _kinds(one: Affected, incident: Incident, language: int) -> str:
    is_identifying = any(place in _IDENTIFYING for place in incident.places)
    kinds = {column.classification for column in one.contract.columns}
    kinds_told = [kind for kind in _CATEGORY_NAMES if kind in kinds and (kind != "direct_identifier" or is_identifying)]
    return ", ".join(_CATEGORY_NAMES[kind][language] for kind in kinds_told)


def _opening_table(
    openings: list[dict[str, Any]], looks: Mapping[str, int], say: Callable[[str, str], str]
) -> Iterable[str]:
    if not openings:
        yield say("tidak ada", "none")
        return
    yield say(
        "| dibuka | sampai | oleh | akun | apa | tujuan | penyetuju | baris identitas dilihat |",
        "| opened | until | by | account | what | purpose | approver | identity rows looked at |",
    )
    yield "|---|---|---|---|---|---|---|---|"
    for row in openings:
        cells = (
            _time(row["opened_at"]),
            _time(row["expires_at"]),
            row["person"],
            row["account"],
            row["subject"],
            row["purpose"],
            row["approver"] or "–",
            str(looks.get(row["opening_id"], 0)) if row["subject"] == "identity" else "–",
        )
        yield "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(JAKARTA):%d-%m-%Y %H.%M} WIB"
