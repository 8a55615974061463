"""The probabilistic model: Splink on who is left, trained once, kept as a numbered version, applied every night.

Here: what is compared and blocked, training, the versions on disk, scores of pairs. Not here: what is done with a score
(clusters), exact methods (exact).

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
import yaml

from warehouse.core import files, sql
from warehouse.core.duck import one_row
from warehouse.core.errors import BuildError
from warehouse.core.settings import Settings

BUNDLED = Path(__file__).with_name("model.json")
_UNTRAINED = Path(__file__).with_name("model_settings.yaml")
_FOLDER = "models"
# Of people an agency knows who have no usable NIK, how many the register of everyone should hold.
EXPECTED_MATCHES = 0.7
# In a place of few, a name or birth date is as rare as in a small town: a handful of records proves nothing.
_SMALLEST_TOWN = 10_000
_SEED = 20230501
SAMPLED_PAIRS = 2e7
TRAINED_ON = 400_000
# Below this a rate of one mistake in a hundred rests on fewer than ten of them.
LEAST_KNOWN = 1_000


_SQL = Path(__file__).parent / "sql" / "model"
_FREQUENCIES = sql.Stage(_SQL, {"term_frequencies": ("name_frequencies",)}, keeps=("term_frequencies",))
_SCORES = sql.Stage(_SQL, {"scored": ("predictions",)}, keeps=("scored",))
STAGES = (_FREQUENCIES, _SCORES)


def untrained() -> dict[str, Any]:
    """Splink's settings before any training, from ``model_settings.yaml``."""
    settings: dict[str, Any] = yaml.safe_load(_UNTRAINED.read_text(encoding="utf-8"))
    rules, only_where = settings.pop("blocking_rules"), settings.pop("only_where")
    blocking_rules = [{"blocking_rule": f"{rule} AND {only_where}"} for rule in rules]
    return settings | {"blocking_rules_to_generate_predictions": blocking_rules}


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
    pairs = f"SELECT label FROM {table} WHERE label IS NOT NULL GROUP BY label HAVING count(*) > 1"
    (n_pairs,) = one_row(connection.execute(f"SELECT count(*) FROM ({pairs})"))
    if n_pairs < LEAST_KNOWN:
        raise BuildError(
            "LINKAGE_TRAINING",
            f"Hanya {n_pairs} orang dikenal oleh dua lembaga menurut NIK; model memerlukan sekurangnya {LEAST_KNOWN}.",
            f"Only {n_pairs} people are known to two agencies by NIK; a model takes at least {LEAST_KNOWN}.",
            "Tunggu kiriman lengkap; model yang ada tetap dipakai.",
            "Wait for whole deliveries; the model at hand stays in use.",
        )
    with _nothing_of_it_told():
        linker = _linker(connection, untrained(), table)
        linker.training.estimate_u_using_random_sampling(max_pairs=SAMPLED_PAIRS, seed=_SEED, min_count_per_level=None)
        linker.training.estimate_m_from_label_column("label")
        trained: dict[str, Any] = linker.misc.save_model_to_json()
    return trained


def store(s: Settings, trained: dict[str, Any]) -> Path:
    """Write a trained model as the vault's newest version; none is ever overwritten."""
    _, *trained_here = all_versions(s)
    number = int(trained_here[-1].stem) + 1 if trained_here else 1
    path = s.vault_dir / _FOLDER / f"{number:04}.json"
    with files.whole_file(path) as draft:
        draft.write_text(json.dumps(trained, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return path


# --- prediction -------------------------------------------------------------------------------------------------------


def predict(connection: duckdb.DuckDBPyConnection, settings: dict[str, Any], table: str, least: float) -> None:
    """Create ``scored`` (a, b, probability) for pairs of ``table`` at least as probable as ``least``.

    How rare a name is, and how improbable two people are one, follows the population (``name_frequencies``,
    ``population``), so that one model serves a small town and a city.
    """
    (people,) = one_row(connection.table("population"))
    people = max(people, _SMALLEST_TOWN)
    settings = settings | {
        "unique_id_column_name": "cluster",
        "probability_two_random_records_match": EXPECTED_MATCHES / people,
    }
    with _nothing_of_it_told():
        sql.run(connection, _FREQUENCIES, people=people)
        linker = _linker(connection, settings, table)
        api = linker._db_api
        linker.table_management.register_term_frequency_lookup(api.register("term_frequencies"), "name_key")
        predictions = linker.inference.predict(threshold_match_probability=least, warning_mode="never")
        connection.table(predictions.physical_name).create_view("predictions")
        sql.run(connection, _SCORES)
        connection.execute("DROP VIEW predictions")
        api.delete_tables_created_by_splink_from_db()
