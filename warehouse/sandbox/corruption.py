"""How agencies get people wrong: the rates, what each agency wrote of a person, and the record of every row spoiled.

Two ways of going wrong. A *persona* is an agency's lasting version of a person (a name spelt once and for all, a NIK
typed wrongly at registration). A *slip* spoils one row of one file. Here: both, and the truth's record of them. Not
here: layouts (render).

Kinds in ``truth_corruptions``: name_typo, name_parts_swapped, name_abbreviated, nik_missing, nik_masked,
nik_digits_swapped, nik_of_mother, nik_scientific, birth_date_swapped, stale_address, desil_range, desil_none,
duplicate_row, measured_before_birth, implausible_weight, unknown_kelurahan, ragged_line, bad_byte.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from warehouse.sandbox.people import Persons, stream

# Chance that an agency's version of a person carries the mistake; rare, so that a gate quarantines rows, not files.
PERSONA_RATES = {
    "dinkes": {
        "name_typo": 0.012, "name_parts_swapped": 0.004, "name_abbreviated": 0.35, "birth_date_swapped": 0.003,
        "nik_missing": 0.02, "nik_masked": 0.012, "nik_of_mother": 0.005,
    },
    "dinsos": {
        "name_typo": 0.006, "name_parts_swapped": 0.002, "name_abbreviated": 0.2, "birth_date_swapped": 0.002,
        "nik_missing": 0.002, "nik_digits_swapped": 0.001,
    },
    "bpjstk": {
        "name_typo": 0.008, "name_parts_swapped": 0.002, "name_abbreviated": 0.25, "birth_date_swapped": 0.002,
        "nik_missing": 0.004, "nik_digits_swapped": 0.002,
    },
}  # fmt: skip
# Chance that one row of one file is spoiled.
SLIP_RATES = {
    "eppgbm": {
        "nik_scientific": 0.001, "duplicate_row": 0.0025, "measured_before_birth": 0.0008, "implausible_weight": 0.001,
        "unknown_kelurahan": 0.001,
    },
    "individuals": {"nik_scientific": 0.0004},
    "since_2026": {"ragged_line": 0.0004, "bad_byte": 0.0004},
    "families": {"desil_range": 0.008, "desil_none": 0.012},
    "assistance": {"desil_range": 0.006, "desil_none": 0.008, "unknown_kelurahan": 0.0008},
}  # fmt: skip
UNKNOWN_KELURAHAN = ("Kota Tngerang", "Suka Maju", "Tidak Diketahui", "Cikokol Permai")
_KEYBOARD = {"a": "s", "e": "r", "i": "u", "o": "p", "u": "i", "n": "m", "r": "t", "s": "a", "d": "s", "h": "j"}
_MUHAMMAD_FORMS = ("M.", "Moh.", "Muh.", "M", "Mohamad", "Muhamad")


@dataclass
class Persona:
    """One agency's version of every person. ``wrong`` maps a kind to the persons it befell (a boolean per person)."""

    name: pa.Array
    nik: pa.Array
    born: np.ndarray
    wrong: dict[str, np.ndarray]


def personas(persons: Persons, agency: str, seed: int) -> Persona:
    """What ``agency`` (dinkes, dinsos, bpjstk) has on file for each person, as if every NIK were issued."""
    rng = stream(seed, "persona", agency)
    n = len(persons)
    wrong = {kind: rng.random(n) < rate for kind, rate in PERSONA_RATES[agency].items()}
    names = np.array(persons.name.to_pylist(), dtype=object)
    moh = pc.match_substring_regex(persons.name, "^(Muhammad|Mohammad|Muhamad) ").to_numpy(zero_copy_only=False)
    has_parts = pc.match_substring(persons.name, " ").to_numpy(zero_copy_only=False)
    wrong["name_abbreviated"] &= moh
    wrong["name_parts_swapped"] &= has_parts & ~wrong["name_abbreviated"]
    forms = rng.integers(0, len(_MUHAMMAD_FORMS), n)
    for row in np.nonzero(wrong["name_abbreviated"])[0]:
        names[row] = f"{_MUHAMMAD_FORMS[forms[row]]} {names[row].partition(' ')[2]}"
    for row in np.nonzero(wrong["name_parts_swapped"])[0]:
        first, _, rest = names[row].partition(" ")
        names[row] = f"{rest} {first}"
    for row in np.nonzero(wrong["name_typo"])[0]:
        names[row] = misspelt(names[row], rng)
    differs = pc.not_equal(pa.array(names, pa.string()), persons.name).to_numpy(zero_copy_only=False)
    for kind in wrong:
        if kind.startswith("name"):
            wrong[kind] = wrong[kind] & differs
    born, wrong["birth_date_swapped"] = _swapped_dates(persons.born, wrong["birth_date_swapped"])
    return Persona(pa.array(names, pa.string()), _niks(persons, wrong), born, wrong)


def misspelt(name: str, rng: np.random.Generator) -> str:
    """One slip of the keyboard: a letter doubled, dropped, exchanged or hit beside. Never the same name."""
    at = int(rng.integers(1, max(len(name) - 1, 2)))
    one = name[at : at + 1]
    forms = (
        name[:at] + one + name[at:],
        name[:at] + name[at + 1 :],
        name[:at] + name[at + 1 : at + 2] + one + name[at + 2 :],
        name[:at] + _KEYBOARD.get(one, "x") + name[at + 1 :],
    )
    form = forms[int(rng.integers(len(forms)))].strip()
    return form if form != name and form else name + "h"


def _swapped_dates(born: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Exchange day and month where both are at most 12 and differ; returns the dates and where it was possible."""
    moment = born.astype("datetime64[D]")
    month_start = moment.astype("datetime64[M]")
    day = (moment - month_start).astype(int) + 1
    month = month_start.astype(int) % 12 + 1
    possible = chosen & (day <= 12) & (day != month)
    other = (month_start.astype("datetime64[Y]").astype("datetime64[M]") + (day - 1)).astype("datetime64[D]") + (
        month - 1
    )
    return np.where(possible, other.astype(int), born).astype(np.int32), possible


def _niks(persons: Persons, wrong: dict[str, np.ndarray]) -> pa.Array:
    nik = persons.nik
    if "nik_of_mother" in wrong:
        wrong["nik_of_mother"] &= persons.mother >= 0
        nik = pc.if_else(pa.array(wrong["nik_of_mother"]), nik.take(pa.array(np.maximum(persons.mother, 0))), nik)
    if "nik_digits_swapped" in wrong:
        last, before = pc.utf8_slice_codeunits(nik, 15, 16), pc.utf8_slice_codeunits(nik, 14, 15)
        differ = pc.not_equal(last, before).to_numpy(zero_copy_only=False)
        wrong["nik_digits_swapped"] &= differ
        swapped = pc.binary_join_element_wise(pc.utf8_slice_codeunits(nik, 0, 14), last, before, "")
        nik = pc.if_else(pa.array(wrong["nik_digits_swapped"]), swapped, nik)
    if "nik_masked" in wrong:
        masked = pc.binary_join_element_wise(pc.utf8_slice_codeunits(nik, 0, 5), "**********", "")
        nik = pc.if_else(pa.array(wrong["nik_masked"]), masked, nik)
    for kind in ("nik_masked", "nik_of_mother", "nik_digits_swapped"):
        if kind in wrong:
            wrong[kind] = wrong[kind] & ~wrong["nik_missing"]
    return pc.if_else(pa.array(wrong["nik_missing"]), None, nik)


def scientific(nik: str) -> str:
    """What a spreadsheet leaves of a NIK when it takes it for a number."""
    return f"{float(nik):.5E}"


def slips(rng: np.random.Generator, feed: str, rows: int) -> dict[str, np.ndarray]:
    """Row indexes of each kind of slip in one file's rows; a row takes at most one."""
    kinds = SLIP_RATES[feed]
    draw = rng.random(rows)
    edges = np.cumsum([0.0, *kinds.values()])
    return {kind: np.nonzero((draw >= edges[i]) & (draw < edges[i + 1]))[0] for i, kind in enumerate(kinds)}


_FLUSH_ROWS = 500_000
_LINKS = pa.schema(
    [
        ("dataset", pa.dictionary(pa.int32(), pa.string())), ("period", pa.dictionary(pa.int32(), pa.string())),
        ("part", pa.dictionary(pa.int32(), pa.string())), ("source_row", pa.int32()), ("record_id", pa.string()),
        ("person_id", pa.int32()), ("family_id", pa.int32()),
    ]
)  # fmt: skip
_CORRUPTIONS = pa.schema(
    [
        ("dataset", pa.string()), ("period", pa.string()), ("part", pa.string()), ("source_row", pa.int32()),
        ("record_id", pa.string()), ("kind", pa.string()), ("column_name", pa.string()),
    ]
)  # fmt: skip


class TruthLog:
    """Writes, for one dataset, who each rendered row is about and what was done to it."""

    def __init__(self, city_folder: Path, dataset: str):
        self.dataset = dataset
        name = f"{dataset.replace('/', '__')}.parquet"
        for folder in ("truth_links", "truth_corruptions"):
            (city_folder / folder).mkdir(parents=True, exist_ok=True)
        self._files = {
            schema: pq.ParquetWriter(city_folder / folder / name, schema, compression="zstd")
            for folder, schema in (("truth_links", _LINKS), ("truth_corruptions", _CORRUPTIONS))
        }
        self._waiting: dict[pa.Schema, list[pa.Table]] = {_LINKS: [], _CORRUPTIONS: []}
        self._rows = {_LINKS: 0, _CORRUPTIONS: 0}

    def _write(self, schema: pa.Schema, columns: list[pa.Array]) -> None:
        self._waiting[schema].append(pa.Table.from_arrays(columns, schema=schema))
        self._rows[schema] += len(columns[0])
        if self._rows[schema] > _FLUSH_ROWS:
            self._flush(schema)

    def _flush(self, schema: pa.Schema) -> None:
        if self._waiting[schema]:
            self._files[schema].write_table(pa.concat_tables(self._waiting[schema]).unify_dictionaries())
            self._waiting[schema].clear()
            self._rows[schema] = 0

    def links(
        self,
        period: str,
        part: str,
        person: np.ndarray,
        family: np.ndarray,
        *,
        source_row: np.ndarray | None = None,
        record_id: pa.Array | None = None,
    ) -> None:
        """Every rendered row once; -1 is no person or no family."""
        n = len(person)
        same = pa.array(np.zeros(n, np.int32))
        columns = [pa.DictionaryArray.from_arrays(same, [word]) for word in (self.dataset, period, part)]
        columns.append(pa.nulls(n, pa.int32()) if source_row is None else pa.array(source_row.astype(np.int32)))
        columns.append(pa.nulls(n, pa.string()) if record_id is None else record_id)
        columns += [pa.array(ids.astype(np.int32), mask=ids < 0) for ids in (person, family)]
        self._write(_LINKS, columns)

    def corrupted(
        self,
        period: str,
        part: str,
        kind: str,
        column: str,
        *,
        source_row: np.ndarray | None = None,
        record_id: pa.Array | None = None,
    ) -> None:
        n = len(source_row) if source_row is not None else len(record_id or ())
        if n:
            words = [pa.array([word] * n) for word in (self.dataset, period, part)]
            row = pa.nulls(n, pa.int32()) if source_row is None else pa.array(np.asarray(source_row, np.int32))
            record = pa.nulls(n, pa.string()) if record_id is None else record_id
            tail = [pa.array([kind] * n), pa.array([column] * n)]
            self._write(_CORRUPTIONS, [*words, row, record, *tail])

    def personas(
        self,
        period: str,
        part: str,
        persona: Persona,
        person: np.ndarray,
        columns: dict[str, str],
        *,
        source_row: np.ndarray | None = None,
        record_id: pa.Array | None = None,
        has_nik: np.ndarray | None = None,
    ) -> None:
        """Record what the persona got wrong. ``columns``: name, nik, birth_date -> the file's column, if it has one."""
        for kind, befell in persona.wrong.items():
            column = columns.get("birth_date" if kind.startswith("birth_date") else kind.partition("_")[0])
            if column is None:
                continue
            hit = befell[person]
            if kind.startswith("nik") and has_nik is not None:
                hit = hit & has_nik
            rows = np.nonzero(hit)[0]
            self.corrupted(
                period,
                part,
                kind,
                column,
                source_row=None if source_row is None else source_row[rows],
                record_id=None if record_id is None else record_id.take(pa.array(rows)),
            )

    def close(self) -> None:
        for schema, file in self._files.items():
            self._flush(schema)
            file.close()


@contextmanager
def truth_log(city_folder: Path, dataset: str) -> Iterator[TruthLog]:
    log = TruthLog(city_folder, dataset)
    try:
        yield log
    finally:
        log.close()
