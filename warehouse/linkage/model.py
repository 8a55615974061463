"""The probabilistic model: Splink on who is left, trained once, kept as a numbered version, applied every night.

Here: what is compared and blocked, training, the versions on disk, scores of pairs. Not here: what is done with a score
(people), exact methods (exact).

A model holds probabilities of agreement, never a value of a person, so the one trained on the sandbox is part of the
code (``model.json``). ``train`` writes a newer version into the vault, beside the identities it was trained on; the
newest counts, older ones stay so that a link's ``model_version`` can always be explained.
"""

import hashlib
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from warehouse import vault
from warehouse.errors import BuildError
from warehouse.settings import Settings

BUNDLED = Path(__file__).with_name("model.json")
_FOLDER = "models"
# Of people an agency knows who have no usable NIK, how many the register of everyone should hold.
EXPECTED_MATCHES = 0.7
# In a place of few, a name or birth date is as rare as in a small town: a handful of records proves nothing.
_SMALLEST_TOWN = 10_000
_SEED = 20230501
_SAMPLED_PAIRS = 2e7
TRAINED_ON = 400_000
# Below this a rate of one mistake in a hundred rests on fewer than ten of them.
LEAST_KNOWN = 1_000


def _name_comparison() -> dict[str, Any]:
    likeness = "name_likeness(name_key_l, name_key_r, name_line_l, name_line_r)"
    return {
        "output_column_name": "name",
        "comparison_levels": [
            {"sql_condition": "name_key_l IS NULL OR name_key_r IS NULL", "is_null_level": True},
            {"sql_condition": "name_key_l = name_key_r", "tf_adjustment_column": "name_key"},
            # Rare in what can be labelled, ordinary in life: a second name left out.
            {
                "sql_condition": "has_word_more(name_key_l, name_key_r)",
                "m_probability": 0.01, "fix_m_probability": True,
            },
            {"sql_condition": f"{likeness} >= 0.92"},
            {"sql_condition": f"{likeness} >= 0.85"},
            {"sql_condition": "ELSE"},
        ],
    }  # fmt: skip


def _birth_comparison() -> dict[str, Any]:
    parts = " + ".join(f"CAST({part}(birth_l) = {part}(birth_r) AS INT)" for part in ("year", "month", "day"))
    return {
        "output_column_name": "birth",
        "comparison_levels": [
            {"sql_condition": "birth_l IS NULL OR birth_r IS NULL", "is_null_level": True},
            {"sql_condition": "birth_l = birth_r"},
            {
                "sql_condition": "year(birth_l) = year(birth_r) AND month(birth_l) = day(birth_r)"
                " AND day(birth_l) = month(birth_r)",
            },
            # The NIK's own date is a hint: it tells which of two dates was mistyped.
            {
                "sql_condition": "nik_birth_l = strftime(birth_r, '%y%m%d')"
                " OR nik_birth_r = strftime(birth_l, '%y%m%d')",
                "m_probability": 0.002, "fix_m_probability": True, "u_probability": 0.0001, "fix_u_probability": True,
            },
            {"sql_condition": f"{parts} = 2", "m_probability": 0.004, "fix_m_probability": True},
            {"sql_condition": "ELSE", "m_probability": 0.001, "fix_m_probability": True},
        ],
    }  # fmt: skip


def _parents_comparison() -> dict[str, Any]:
    alike = "greatest({})".format(
        ", ".join(
            f"coalesce(jaro_winkler_similarity({one}_l, {other}_r), 0)"
            for one in ("father", "mother")
            for other in ("father", "mother")
        )
    )
    same = " OR ".join(
        f"coalesce({one}_l = {other}_r, false)" for one in ("father", "mother") for other in ("father", "mother")
    )
    return {
        "output_column_name": "parents",
        "comparison_levels": [
            {
                "sql_condition": "coalesce(father_l, mother_l) IS NULL OR coalesce(father_r, mother_r) IS NULL",
                "is_null_level": True,
            },
            {"sql_condition": "father_l = father_r AND mother_l = mother_r"},
            {"sql_condition": same},
            {"sql_condition": f"{alike} >= 0.92"},
            {"sql_condition": "ELSE"},
        ],
    }


def _settings() -> dict[str, Any]:
    return {
        "link_type": "dedupe_only",
        "unique_id_column_name": "node",
        "retain_matching_columns": False,
        "comparisons": [
            _name_comparison(),
            _birth_comparison(),
            {
                "output_column_name": "sex",
                "comparison_levels": [
                    {"sql_condition": "sex_l IS NULL OR sex_r IS NULL", "is_null_level": True},
                    {"sql_condition": "sex_l = sex_r", "m_probability": 0.997, "fix_m_probability": True},
                    {"sql_condition": "ELSE", "m_probability": 0.003, "fix_m_probability": True},
                ],
            },
            _parents_comparison(),
            {
                "output_column_name": "place",
                "comparison_levels": [
                    {"sql_condition": "kelurahan_l IS NULL OR kelurahan_r IS NULL", "is_null_level": True},
                    {
                        "sql_condition": "kelurahan_l = kelurahan_r AND rt_l = rt_r AND rw_l = rw_r",
                        "m_probability": 0.5, "fix_m_probability": True, "u_probability": 0.0001,
                        "fix_u_probability": True,
                    },
                    {"sql_condition": "kelurahan_l = kelurahan_r"},
                    {"sql_condition": "left(kelurahan_l, 8) = left(kelurahan_r, 8)"},
                    {"sql_condition": "ELSE"},
                ],
            },
            {
                "output_column_name": "nik",
                "comparison_levels": [
                    # Numbers far apart never come here (``_ALLOWED``); people born on one day in one place have numbers
                    # that differ in a digit or two, so nearness proves little.
                    {
                        "sql_condition": "nik_l IS NULL OR nik_r IS NULL OR hamming(nik_l, nik_r) > 2",
                        "is_null_level": True,
                    },
                    {
                        "sql_condition": "damerau_levenshtein(nik_l, nik_r) <= 1",
                        "m_probability": 0.9, "fix_m_probability": True, "u_probability": 0.02,
                        "fix_u_probability": True,
                    },
                    {
                        "sql_condition": "ELSE",
                        "m_probability": 0.1, "fix_m_probability": True, "u_probability": 0.98,
                        "fix_u_probability": True,
                    },
                ],
            },
        ],
        "blocking_rules_to_generate_predictions": [
            {"blocking_rule": f"{rule} AND {_ALLOWED}"} for rule in BLOCKING
        ],
    }  # fmt: skip


# Every rule holds at two million people: a birth date with a letter, or a whole name with most of a birth date.
BLOCKING = (
    "l.birth_key = r.birth_key AND l.first_letter = r.first_letter",
    "l.birth_key = r.birth_key AND l.last_letter = r.last_letter",
    "l.name_key = r.name_key AND l.birth_month = r.birth_month",
    "l.name_key = r.name_key AND l.birth_year_day = r.birth_year_day",
    "l.name_key = r.name_key AND l.birth_day = r.birth_day",
    "l.father = r.father AND l.mother = r.mother AND l.birth_month = r.birth_month",
)
# One agency holds a person once, unless one of two has no NIK that would have shown it. Two whole, fitting numbers that
# differ in more than a slip are two people.
_ALLOWED = (
    "((l.agencies & r.agencies) = 0 OR l.nik IS NULL OR r.nik IS NULL)"
    " AND (l.nik IS NULL OR r.nik IS NULL OR hamming(l.nik, r.nik) <= 2)"
)


@cache
def _splink() -> Any:
    """Splink, silent: its messages carry SQL and names of columns, and nobody reads them."""
    logging.getLogger("splink").setLevel(logging.CRITICAL + 1)
    import splink

    return splink


def _linker(connection: duckdb.DuckDBPyConnection, settings: dict[str, Any], table: str) -> Any:
    splink = _splink()
    api = splink.DuckDBAPI(connection)
    return splink.Linker(api.register(table), settings, log_level=None, validate_settings=False)


# --- versions ---------------------------------------------------------------------------------------------------------


def all_versions(s: Settings) -> list[Path]:
    """Every stored model, oldest first: the one that came with the code, then those trained here."""
    return [BUNDLED, *sorted((s.vault_dir / _FOLDER).glob("*.json"))]


def newest(s: Settings) -> Path:
    """The model that counts."""
    return all_versions(s)[-1]


def load(path: Path) -> tuple[str, dict[str, Any]]:
    """Version and settings of a stored model; raises BuildError LINKAGE_MODEL for what is none."""
    try:
        data = path.read_bytes()
        return f"splink-{hashlib.sha256(data).hexdigest()[:8]}", json.loads(data)
    except (OSError, ValueError) as error:
        raise BuildError(
            "LINKAGE_MODEL",
            f"Model penautan {path.name} tidak terbaca.",
            f"The linkage model {path.name} cannot be read.",
            "Pulihkan dari cadangan, atau jalankan `warehouse linkage train`.",
            "Restore it from the backup, or run `warehouse linkage train`.",
        ) from error


@contextmanager
def _nothing_of_it_told() -> Iterator[None]:
    """Splink's errors quote statements and the engine's words, which may hold a person's values: neither goes on."""
    try:
        yield
    except Exception as error:
        kind = type(error).__name__
        raise BuildError(
            "LINKAGE_FAILED",
            f"Penautan gagal ({kind}).",
            f"The linkage failed ({kind}).",
            "Periksa memori dan ruang penyimpanan, lalu ulangi; rilis terakhir tetap berlaku.",
            "Check memory and disk, then try again; the last release stays current.",
        ) from None


def train(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, Any]:
    """Settings with probabilities learnt from ``table``: a row per person and agency, ``label`` where a NIK tells.

    Who matches is known by NIK, so nothing is guessed: m from pairs of one label, u from random pairs.

    Raises BuildError LINKAGE_TRAINING where too few are known to tell anything.
    """
    (known,) = connection.execute(
        f"SELECT count(*) FROM (SELECT label FROM {table} WHERE label IS NOT NULL GROUP BY label HAVING count(*) > 1)"
    ).fetchone()
    if known < LEAST_KNOWN:
        raise BuildError(
            "LINKAGE_TRAINING",
            f"Hanya {known} orang dikenal oleh dua lembaga menurut NIK; model memerlukan sekurangnya {LEAST_KNOWN}.",
            f"Only {known} people are known to two agencies by NIK; a model takes at least {LEAST_KNOWN}.",
            "Tunggu kiriman lengkap; model yang ada tetap dipakai.",
            "Wait for whole deliveries; the model at hand stays in use.",
        )
    with _nothing_of_it_told():
        linker = _linker(connection, _settings(), table)
        linker.training.estimate_u_using_random_sampling(max_pairs=_SAMPLED_PAIRS, seed=_SEED, min_count_per_level=None)
        linker.training.estimate_m_from_label_column("label")
        return linker.misc.save_model_to_json()


def store(s: Settings, trained: dict[str, Any]) -> Path:
    """Write a trained model as the vault's newest version; none is ever overwritten."""
    _, *trained_here = all_versions(s)
    number = int(trained_here[-1].stem) + 1 if trained_here else 1
    path = s.vault_dir / _FOLDER / f"{number:04}.json"
    with vault.new_file(path) as draft:
        draft.write_text(json.dumps(trained, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return path


# --- prediction -------------------------------------------------------------------------------------------------------


def predict(connection: duckdb.DuckDBPyConnection, settings: dict[str, Any], table: str, least: float) -> None:
    """Create ``scored`` (a, b, probability) for pairs of ``table`` at least as probable as ``least``.

    How rare a name is, and how improbable two people are one, follows the population (``name_frequencies``,
    ``population``), so that one model serves a small town and a city.
    """
    (people,) = connection.execute("SELECT people FROM population").fetchone()
    people = max(people, _SMALLEST_TOWN)
    settings = settings | {"probability_two_random_records_match": EXPECTED_MATCHES / people}
    with _nothing_of_it_told():
        linker = _linker(connection, settings, table)
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE name_frequencies_used AS"
            f" SELECT name_key, bearers / {people}::DOUBLE AS tf_name_key FROM name_frequencies"
        )
        api = linker._db_api
        linker.table_management.register_term_frequency_lookup(api.register("name_frequencies_used"), "name_key")
        found = linker.inference.predict(threshold_match_probability=least, warning_mode="never")
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE scored AS SELECT least(node_l, node_r) AS a, greatest(node_l, node_r) AS b,"
            f" match_probability AS probability FROM {found.physical_name}"
        )
        api.delete_tables_created_by_splink_from_db()
