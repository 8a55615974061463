"""The area marts of a whole drawn city, as disclosure control meets them: schema ``marts`` with the contracts' columns.

Families, workers and children are drawn one by one (numpy, one seed) and counted upwards, so that categories add up to
their totals, kelurahan to kecamatan and kota, and one count is the same number in every mart that prints it. Shares are
those of the sandbox's city. Not here: outreach, denominators, quality and survey figures, whose counts are few; and
assertions.
"""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import yaml

from warehouse.mart import Catalogue, Mart, literal, read_catalogue

DBT = Path(__file__).parents[1] / "dbt_project"
CONTRACTS = ("marts/_welfare_marts.yml", "marts/stunting/_stunting.yml")
MARTS = (
    "assistance_by_area_period",
    "convergence_by_area_period",
    "coverage_by_area_month",
    "poverty_by_area_period",
    "stunting_by_area_month",
)
FAMILIES = 628_000
MONTHS = [date(2025 + (8 + m) // 12, (8 + m) % 12 + 1, 1) for m in range(13)]
QUARTERS = [date(2025, 7, 1), date(2025, 10, 1), date(2026, 1, 1), date(2026, 4, 1), date(2026, 7, 1)]
# What is known of a quarter at its end.
_LAST_MONTH = [0, 3, 6, 9, 12]
_HALF_YEAR = date(2026, 1, 1)
_CITY = "36.71"
_UNPLACED = f"{_CITY}.00.0000"
_BRANCHES = [f"{_CITY}.01.0000", f"{_CITY}.03.0000", f"{_CITY}.07.0000"]

_DESIL = ["01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "06-10", "unknown"]
_DESIL_SHARE = np.array([263, 416, 558, 708, 845, 1010, 1179, 1377, 1562, 1715, 57, 309]) / 9999
_SIZE_SHARE = np.array([0.12, 0.22, 0.30, 0.22, 0.09, 0.03, 0.015, 0.005])
_EXCLUSIONS = ["", "inactive", "deceased", "moved", "not_found", "status_unknown", "assessed_deceased"]
_EXCLUSION_SHARE = np.array([0.0, 0.0112, 0.0006, 0.0008, 0.0004, 0.0002, 0.00004])
_INDICATORS = {
    "assets": 0.046, "crowding": 0.113, "floor": 0.020, "fuel": 0.016, "lighting": 0.003, "roof": 0.020,
    "sanitation": 0.152, "wall": 0.021, "water": 0.052,
}  # fmt: skip
_UNANSWERED = {"fuel": 0.003, "water": 0.60}
_PROGRAMMES = ["bpnt", "pbi_jk", "pkh"]
# By desil in the order above: what share of its families each programme reaches.
_RECEIVING = {
    "bpnt": [0.76, 0.50, 0.32, 0.17, 0.098, 0.040, 0.019, 0.007, 0.0012, 0.0001, 0.009, 0.093],
    "pbi_jk": [0.92, 0.86, 0.77, 0.63, 0.50, 0.36, 0.22, 0.118, 0.038, 0.006, 0.105, 0.286],
    "pkh": [0.61, 0.33, 0.17, 0.076, 0.036, 0.015, 0.0053, 0.001, 0.0001, 0.0001, 0.009, 0.053],
}
_SEGMENTS = ["PU", "BPU", "mixed", "unpaid_family"]
_SEGMENT_SHARE = [0.646, 0.289, 0.050, 0.015]
_GROUPS = ["casual", "domestic_worker", "other", "trade_own_account", "transport_own_account"]
_BPU_GROUP_SHARE = [0.177, 0.009, 0.244, 0.389, 0.181]
_COVERED = np.array([0.577, 0.553, 0.62, 0.0])
_PARTICIPATION = ["PU", "BPU", "JAKON", "PMI"]
# Bits of a participant's programmes; the marts' other two are read from these.
_BITS = {"JKK": 1, "JKM": 2, "JHT": 4, "JP": 8, "JKP": 16}
_HOLDS = {"any": "bits > 0", "JKK+JKM": "bits & 3 = 3"} | {name: f"bits & {bit} > 0" for name, bit in _BITS.items()}
_GROUPED_IN = {"any": ("all", "BPU"), "JKK+JKM": ("BPU",)}
_CHILD = {
    "children_registered": ("registered", None, None),
    "haz_flagged": ("haz_flagged", "height_measured", None),
    "haz_valid": ("haz_valid", "height_measured", None),
    "height_measured": ("height_measured", "registered", None),
    "label_agreement": ("label_agreed", "haz_valid", None),
    "living_elsewhere": ("living_elsewhere", "registered", None),
    "overweight": ("overweight", "whz_valid", "registered - whz_valid"),
    "severely_stunted": ("severely_stunted", "haz_valid", "registered - haz_valid"),
    "severely_wasted": ("severely_wasted", "whz_valid", "registered - whz_valid"),
    "stunted": ("stunted", "haz_valid", "registered - haz_valid"),
    "underweight": ("underweight", "weighed", "registered - weighed"),
    "wasted": ("wasted", "whz_valid", "registered - whz_valid"),
    "weighed_of_registered": ("weighed", "registered", None),
    "zscore_agreement": ("score_agreed", "haz_valid", None),
}
_ANSWERS = ["yes", "no", "unknown", "not_applicable"]
_YES, _NO, _UNKNOWN, _NOT_APPLICABLE = range(4)


@dataclass
class _Families:
    area: np.ndarray
    size: np.ndarray
    desil: list[np.ndarray]
    exclusion: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.area)


def catalogue(folder: Path) -> Catalogue:
    """The five marts as their YAML declares them; ``folder`` takes the manifest this is read from."""
    nodes = {}
    for path in CONTRACTS:
        for model in yaml.safe_load((DBT / "models" / path).read_text(encoding="utf-8"))["models"]:
            if model["name"] in MARTS:
                columns = {column["name"]: column for column in model["columns"]}
                nodes[model["name"]] = model | {
                    "resource_type": "model", "schema": "marts", "columns": columns,
                    "config": model["config"] | {"materialized": "table"},
                }  # fmt: skip
    for name in ("disclosure_families", "disclosure_sums"):
        nodes[name] = {"resource_type": "seed", "name": name, "schema": "reference"}
    manifest = folder / "manifest.json"
    manifest.write_text(json.dumps({"nodes": nodes}), encoding="utf-8")
    return read_catalogue(manifest)


def tell(con: duckdb.DuckDBPyConnection, described: Catalogue, scale: float = 1.0, seed: int = 20261122) -> None:
    """Create the reference tables of disclosure control and fill the five marts; ``scale`` 1 is the whole city."""
    rng = np.random.default_rng(seed)
    codes, weights = _places()
    for schema in ("marts", "reference"):
        con.execute(f"CREATE SCHEMA {schema}")
    for name in ("disclosure_families", "disclosure_sums"):
        path = literal(str(DBT / "seeds" / f"{name}.csv"))
        con.execute(f"CREATE TABLE reference.{name} AS FROM read_csv({path}, all_varchar = true, header = true)")
    for mart in described.marts:
        con.execute(mart.ddl(mart.relation))
    _register(con, "places", {"area": np.arange(len(codes)), "kemendagri_code": codes})
    con.execute(
        "CREATE TEMP TABLE ancestry AS SELECT kemendagri_code,"
        " unnest(['kelurahan', 'kecamatan', 'kota']) AS area_level,"
        " unnest([kemendagri_code, kemendagri_code[:8], kemendagri_code[:5]]) AS area_code FROM"
        " (SELECT DISTINCT kemendagri_code FROM places"
        f" UNION SELECT kemendagri_code[:8] || '.0000' FROM places UNION SELECT unnest({_BRANCHES!r}))"
    )
    families = _draw_families(rng, weights, int(FAMILIES * scale))
    marts = {mart.name: mart for mart in described.marts}
    _poverty(con, rng, marts["poverty_by_area_period"], families)
    _assistance(con, rng, marts["assistance_by_area_period"], families)
    uncovered = _coverage(con, rng, marts["coverage_by_area_month"], families, weights)
    stunted = _stunting(con, rng, marts["stunting_by_area_month"], families, codes)
    _convergence(con, marts["convergence_by_area_period"], families, stunted, uncovered)


def _places() -> tuple[list[str], np.ndarray]:
    """Codes of the 104 kelurahan and of nowhere known, and the share of the families that live there."""
    with (DBT / "seeds" / "regions.csv").open(encoding="utf-8") as seed:
        codes = [
            row["kemendagri_code"]
            for row in csv.DictReader(seed)
            if row["area_level"] == "kelurahan" and row["kemendagri_code"].startswith(f"{_CITY}.")
            and row["is_unplaced"] == "false"
        ]  # fmt: skip
    weights = np.exp(np.random.default_rng(104).normal(0, 0.45, len(codes)))
    return [*codes, _UNPLACED], np.append(weights / weights.sum() * 0.998, 0.002)


def _register(con: duckdb.DuckDBPyConnection, name: str, columns: Mapping[str, Sequence]) -> None:
    con.register("given__", pa.table({key: pa.array(values) for key, values in columns.items()}))
    con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS FROM given__")
    con.unregister("given__")


def _tally(keys: Mapping[str, np.ndarray], sums: Mapping[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
    """How many there are of each combination of small non-negative ``keys`` (column ``n``), and sums over them."""
    sizes = [int(values.max(initial=0)) + 1 for values in keys.values()]
    code = np.ravel_multi_index([values.astype(np.int64) for values in keys.values()], sizes)
    counts = np.bincount(code)
    there = np.flatnonzero(counts)
    found = dict(zip(keys, np.unravel_index(there, sizes), strict=True)) | {"n": counts[there]}
    for name, values in (sums or {}).items():
        found[name] = np.bincount(code, values)[there].astype(np.int64)
    return found


def _stack(parts: Iterable[tuple[int, dict[str, np.ndarray]]]) -> dict[str, np.ndarray]:
    """Tallies of several periods as one, with the number of the period."""
    given = list(parts)
    names = given[0][1]
    return {name: np.concatenate([part[name] for _, part in given]) for name in names} | {
        "period": np.concatenate([np.full(len(part["n"]), period) for period, part in given])
    }


def _named(values: np.ndarray, names: Sequence) -> pa.Array:
    return pa.array([names[value] for value in values.tolist()])


def _publish(con: duckdb.DuckDBPyConnection, mart: Mart, relation: str, is_leaf: bool = True) -> None:
    """Insert rows into a mart; of leaf rows the sums over areas at every level."""
    if is_leaf:
        own = [key for key in mart.keys if key not in ("area_level", "kemendagri_code")]
        sums = ["numerator", "denominator", "numerator_low", "numerator_high", "unknown_count", "bounds_denominator"]
        relation = (
            f"SELECT area_level, area_code AS kemendagri_code, {', '.join(own)},"
            f" {', '.join(f'sum({name})::BIGINT AS {name}' for name in sums)}"
            f" FROM {relation} INNER JOIN ancestry USING (kemendagri_code) GROUP BY ALL"
        )
    else:
        relation = f"SELECT * FROM {relation}"
    con.execute(
        f"INSERT INTO {mart.relation} BY NAME SELECT * EXCLUDE (bounds_denominator),"
        " 100.0 * numerator / nullif(denominator, 0) AS percentage,"
        " 100.0 * numerator_low / nullif(bounds_denominator, 0) AS percentage_low,"
        " 100.0 * numerator_high / nullif(bounds_denominator, 0) AS percentage_high"
        f" FROM ({relation})"
    )


def _rows(
    measure: str,
    keys: str,
    numerator: str,
    denominator: str = "NULL",
    bounds: tuple[str, str] = ("NULL", "NULL"),
    unknown: str = "NULL",
    base: str = "NULL",
) -> str:
    return (
        f"SELECT kemendagri_code, period_kind, period_start, {literal(measure)} AS measure, {keys},"
        f" {numerator} AS numerator, {denominator} AS denominator, {bounds[0]} AS numerator_low,"
        f" {bounds[1]} AS numerator_high, {unknown} AS unknown_count, {base} AS bounds_denominator"
    )


def _draw_families(rng: np.random.Generator, weights: np.ndarray, count: int) -> _Families:
    area = rng.choice(len(weights), count, p=weights)
    size = rng.choice(8, count, p=_SIZE_SHARE) + 1
    # Poor kelurahan have more of the low ranks.
    rank = rng.normal(0, 1, count) + rng.normal(0, 0.35, len(weights))[area]
    edges = np.quantile(rank, np.cumsum(_DESIL_SHARE[:10] / _DESIL_SHARE[:10].sum())[:-1])
    desil = [_ranked(rng, rank, edges)]
    exclusion = [_excluded(rng, count)]
    for _ in QUARTERS[1:]:
        moved = rng.random(count) < 0.03
        rank = np.where(moved, rank + rng.normal(0, 0.5, count), rank)
        desil.append(np.where(moved, _ranked(rng, rank, edges), desil[-1]))
        exclusion.append(np.where(rng.random(count) < 0.04, _excluded(rng, count), exclusion[-1]))
    return _Families(area, size, desil, exclusion)


def _ranked(rng: np.random.Generator, rank: np.ndarray, edges: np.ndarray) -> np.ndarray:
    desil = np.searchsorted(edges, rank).astype(np.int8)
    luck = rng.random(len(rank))
    desil[(luck < 0.0088) & (desil >= 5)] = _DESIL.index("06-10")
    desil[luck > 1 - _DESIL_SHARE[-1]] = _DESIL.index("unknown")
    return desil


def _excluded(rng: np.random.Generator, count: int) -> np.ndarray:
    shares = _EXCLUSION_SHARE.copy()
    shares[0] = 1 - shares.sum()
    return rng.choice(len(shares), count, p=shares).astype(np.int8)


def _poverty(con: duckdb.DuckDBPyConnection, rng: np.random.Generator, mart: Mart, families: _Families) -> None:
    count = len(families)
    tilt = np.where(families.desil[0] < 4, 2.2, 0.75)
    lacks = {name: rng.random(count) < share * tilt for name, share in _INDICATORS.items()}
    answers = {name: rng.random(count) >= _UNANSWERED.get(name, 0) for name in _INDICATORS}
    pupils = rng.binomial(families.size, 0.22)
    attending = rng.binomial(pupils, 0.90)
    agrees = rng.random(count) < 0.9985
    quarters = []
    for q in range(len(QUARTERS)):
        for name, share in _INDICATORS.items():
            moved = np.flatnonzero(rng.random(count) < 0.01)
            lacks[name][moved] = rng.random(len(moved)) < share * tilt[moved]
        score = sum(lacks[name] & answers[name] for name in _INDICATORS)
        is_scored = answers["fuel"]
        is_poor = is_scored & (score >= 2)
        sums = {f"deprived_{name}": lacks[name] & answers[name] for name in _INDICATORS}
        sums |= {f"answered_{name}": answers[name] for name in _INDICATORS}
        sums |= {f"poor_in_{name}": families.size * (is_poor & lacks[name] & answers[name]) for name in _INDICATORS}
        sums |= {
            "persons": families.size, "pupils": pupils, "attending": attending, "agreeing": agrees,
            "scored": families.size * is_scored, "poor": families.size * is_poor,
            "deprivations": families.size * is_poor * score,
        }  # fmt: skip
        keys = {"area": families.area, "desil": families.desil[q], "exclusion": families.exclusion[q]}
        quarters.append((q, _tally(keys, sums)))
    leaf = _stack(quarters)
    leaf["desil"] = _named(leaf["desil"], _DESIL)
    leaf["exclusion"] = _named(leaf["exclusion"], _EXCLUSIONS)
    leaf["period_start"] = _named(leaf["period"], QUARTERS)
    _register(con, "registry", leaf)
    con.execute(
        "CREATE OR REPLACE TEMP VIEW registered AS SELECT *, 'quarter' AS period_kind, n AS families,"
        " 'dtsen' AS ranking FROM registry INNER JOIN places USING (area)"
    )
    scope, keys = " FROM registered WHERE exclusion = '' GROUP BY ALL", "ranking, 'all' AS desil"
    selected = []
    for unit in ("families", "persons"):
        known, unknown = (f"sum({unit} * (desil {sign} 'unknown')::INT)" for sign in ("<>", "="))
        selected += [
            _rows(unit, "ranking, desil", f"sum({unit})", unknown=unknown) + scope,
            _rows(unit, keys, f"sum({unit})", unknown=unknown) + scope,
        ]
        for span, last in (("desil_1", "01"), ("desil_1_to_4", "04")):
            low = f"sum({unit} * (desil <= '{last}')::INT)"
            selected.append(
                _rows(f"{unit}_{span}", keys, low, known, (low, f"{low} + {unknown}"), unknown, f"sum({unit})") + scope
            )
    pairs = {f"deprived_{name}": (f"deprived_{name}", f"answered_{name}", "families") for name in _INDICATORS}
    pairs |= {
        "family_size_agreement": ("agreeing", "families", "families"),
        "living_standards_h": ("poor", "scored", "persons"),
        "school_attendance_7_18": ("attending", "pupils", "pupils"),
        "member_desil_agreement": ("persons * (desil <> 'unknown')::INT",) * 2 + ("persons",),
    }
    for measure, (numerator, denominator, base) in pairs.items():
        n, unknown = f"sum({numerator})", f"sum({base} - {denominator})"
        selected.append(
            _rows(measure, keys, n, f"sum({denominator})", (n, f"{n} + {unknown}"), unknown, f"sum({base})") + scope
        )
    excluded = " FROM registered WHERE exclusion <> '' GROUP BY ALL"
    selected.append(_rows("families_excluded", keys, "sum(families)") + excluded)
    for reason in _EXCLUSIONS[1:]:
        rows = _rows(f"families_excluded_{reason}", keys, "sum(families)")
        selected.append(f"{rows} FROM registered WHERE exclusion = '{reason}' GROUP BY ALL")
    con.execute(f"CREATE OR REPLACE TEMP TABLE poverty AS {' UNION ALL '.join(selected)}")
    _publish(con, mart, "poverty")
    # Indices do not add up: each is computed at each level.
    statistics = {
        "living_standards_a": ("poor", "deprivations / 9.0"),
        "living_standards_m0": ("scored", "deprivations / 9.0"),
    }
    statistics |= {f"m0_share_{name}": ("poor", f"poor_in_{name}") for name in _INDICATORS}
    for measure, (base, value) in statistics.items():
        con.execute(
            f"INSERT INTO {mart.relation} BY NAME SELECT area_level, area_code AS kemendagri_code, period_kind,"
            f" period_start, '{measure}' AS measure, ranking, 'all' AS desil, sum({base})::BIGINT AS denominator,"
            f" sum({value}) / nullif(sum({base}), 0) AS statistic, sum(persons - scored)::BIGINT AS unknown_count"
            " FROM registered INNER JOIN ancestry USING (kemendagri_code) WHERE exclusion = '' GROUP BY ALL"
        )


def _in_effect(month: int) -> int:
    """The registry's quarter that describes a month."""
    return max(q for q, start in enumerate(QUARTERS) if start <= MONTHS[month])


def _assistance(con: duckdb.DuckDBPyConnection, rng: np.random.Generator, mart: Mart, families: _Families) -> None:
    count = len(families)
    bits, months, strangers = np.zeros(count, dtype=np.int8), [], []
    pool = rng.choice(families.area, max(1, count // 300))
    pool_bits = rng.choice([1, 2, 3, 4, 6, 7], len(pool), p=[0.03, 0.69, 0.16, 0.02, 0.02, 0.08])
    shares = [np.array(_RECEIVING[name]) for name in _PROGRAMMES]
    for m in range(len(MONTHS)):
        q = _in_effect(m)
        moved = np.flatnonzero(rng.random(count) < (0.01 if m else 1.0))
        luck = rng.random((len(_PROGRAMMES), len(moved)))
        bits[moved] = sum((luck[i] < shares[i][families.desil[q][moved]]) << i for i in range(len(_PROGRAMMES)))
        chosen = families.exclusion[q] == 0
        keys = {"area": families.area[chosen], "desil": families.desil[q][chosen], "bits": bits[chosen]}
        months.append((m, _tally(keys)))
        here = rng.random(len(pool)) < 0.97
        strangers.append((m, _tally({"area": pool[here], "bits": pool_bits[here]})))
    for name, parts in (("receivers", months), ("strangers", strangers)):
        leaf = _stack(parts)
        leaf["period_start"] = _named(leaf["period"], MONTHS)
        if "desil" in leaf:
            leaf["desil"] = _named(leaf["desil"], _DESIL)
        _register(con, name, leaf)
    holds = {"any": "bits > 0"} | {name: f"bits & {1 << i} > 0" for i, name in enumerate(_PROGRAMMES)}
    spread = " UNION ALL ".join(
        f"SELECT area, period_start, desil, '{name}' AS programme, sum(n) AS families,"
        f" coalesce(sum(n) FILTER ({test}), 0) AS receiving FROM receivers GROUP BY GROUPING SETS"
        " ((area, period_start, desil), (area, period_start))"
        for name, test in holds.items()
    )
    unmatched = " UNION ALL ".join(
        f"SELECT area, period_start, '{name}' AS programme, sum(n) AS unmatched FROM strangers WHERE {test}"
        " GROUP BY ALL"
        for name, test in holds.items()
    )
    con.execute(f"CREATE OR REPLACE TEMP TABLE unmatched AS {unmatched}")
    con.execute(
        "CREATE OR REPLACE TEMP VIEW assisted AS SELECT kemendagri_code, 'month' AS period_kind, period_start,"
        " 'dtsen' AS ranking, coalesce(desil, 'all') AS desil, programme, families, receiving,"
        " least(families - receiving, coalesce(unmatched, 0)) AS possible"
        f" FROM ({spread}) LEFT JOIN unmatched USING (area, period_start, programme) INNER JOIN places USING (area)"
    )
    con.execute(
        "CREATE OR REPLACE TEMP VIEW unmatched_rows AS SELECT *, 'month' AS period_kind, 'dtsen' AS ranking,"
        " 'all' AS desil FROM unmatched INNER JOIN places USING (area)"
    )
    keys, staying = "ranking, desil, programme", "families - receiving"
    selected = [
        _rows(
            "families_receiving", keys, "receiving", "families", ("receiving", "receiving + possible"), base="families"
        )
        + " FROM assisted",
        _rows("families_not_receiving", keys, staying, "families", (f"{staying} - possible", staying), base="families")
        + " FROM assisted",
        _rows("families_receiving_not_in_scope", keys, "unmatched") + " FROM unmatched_rows",
    ]
    con.execute(f"CREATE OR REPLACE TEMP TABLE assistance AS {' UNION ALL '.join(selected)}")
    _publish(con, mart, "assistance")


def _draw_bits(rng: np.random.Generator, segment: np.ndarray) -> np.ndarray:
    """Programmes of a participant: JKK and JKM with few exceptions, the rest by segment."""
    luck = rng.random((4, len(segment)))
    is_paid = (segment == 0) | (segment == 2)
    bits = np.where(luck[0] < 0.0005, 1, 3) + 4 * (luck[1] < np.where(is_paid, 0.85, 0.05))
    return bits + np.where(is_paid, 8 * (luck[2] < 0.70) + 16 * (luck[3] < 0.68), 0)


def _coverage(
    con: duckdb.DuckDBPyConnection, rng: np.random.Generator, mart: Mart, families: _Families, weights: np.ndarray
) -> list[np.ndarray]:
    """Fills the mart; returns for each month whether each family's breadwinner is uncovered (place in _ANSWERS)."""
    count, nowhere = len(families), len(weights) - 1
    leads = rng.random(count) < 0.911
    family = np.concatenate([np.flatnonzero(leads), rng.integers(0, count, int(count * 0.72))])
    area = families.area[family]
    segment = rng.choice(len(_SEGMENTS), len(family), p=_SEGMENT_SHARE)
    domestic = np.where(rng.random(len(family)) < 0.024, 1, 2)
    group = np.where(
        segment == 1, rng.choice(len(_GROUPS), len(family), p=_BPU_GROUP_SHARE), np.where(segment == 0, domestic, 2)
    )
    bits = np.zeros(len(family), dtype=np.int64)
    # Participants who are no worker of the registry: from elsewhere, or with another job there.
    others = {"PU": (0.205, 0.05), "BPU": (0.150, 0.55), "JAKON": (0.0256, 0.70), "PMI": (0.0006, 0.70)}
    other_segment = np.repeat(np.arange(4), [int(count * share) for share, _ in others.values()])
    is_placed = rng.random(len(other_segment)) < np.array([placed for _, placed in others.values()])[other_segment]
    other_area = np.where(is_placed, rng.choice(len(weights), len(other_segment), p=weights), nowhere)
    branch_of_area = rng.integers(0, 3, len(weights))
    workers, pending, cards, lapsed, answers = [], [], [], [], []
    for m in range(len(MONTHS)):
        moved = np.flatnonzero(rng.random(len(family)) < (0.01 if m else 1.0))
        is_covered = rng.random(len(moved)) < _COVERED[segment[moved]]
        bits[moved] = np.where(is_covered, _draw_bits(rng, segment[moved]), 0)
        is_pending = (bits == 0) & (rng.random(len(family)) < 0.002)
        keys = {"area": area, "segment": segment, "grp": group, "bits": bits}
        workers.append((m, _tally(keys)))
        keys = {name: values[is_pending] for name, values in keys.items()}
        pending.append((m, _tally(keys | {"bits": np.full(is_pending.sum(), 3)})))
        state = np.where(bits > 0, _NO, np.where(is_pending | (segment == 2), _UNKNOWN, _YES))
        answer = np.full(count, _NOT_APPLICABLE)
        answer[leads] = state[: leads.sum()]
        answers.append(answer)
        holder = bits > 0
        here = rng.random(len(other_segment)) < 0.985
        card_segment = np.concatenate([np.where(segment[holder] == 1, 1, 0), other_segment[here]])
        card_area = np.concatenate([area[holder], other_area[here]])
        card_bits = np.concatenate([bits[holder], _draw_bits(np.random.default_rng(m), other_segment[here])])
        second = np.flatnonzero(rng.random(len(card_area)) < 0.0075)
        is_second = np.concatenate([np.zeros(len(card_area), dtype=int), np.ones(len(second), dtype=int)])
        card_segment = np.concatenate([card_segment, np.where(card_segment[second] == 1, 0, 1)])
        card_area = np.concatenate([card_area, card_area[second]])
        strayed = rng.integers(0, 3, len(card_area))
        branch = np.where(rng.random(len(card_area)) < 0.8, branch_of_area[card_area], strayed)
        cards.append(
            (m, _tally({"area": card_area, "segment": card_segment, "branch": branch, "is_second": is_second,
                        "bits": np.concatenate([card_bits, card_bits[second]])}))
        )  # fmt: skip
        if m >= len(MONTHS) - 2:
            gone = {"PU": 0.064, "BPU": 0.0495, "JAKON": 0.0137, "PMI": 0.0002}
            gone_segment = np.repeat(np.arange(4), [int(count * share) for share in gone.values()])
            gone_area = np.where(
                rng.random(len(gone_segment)) < 0.75, rng.choice(len(weights), len(gone_segment), p=weights), nowhere
            )
            lapsed.append((m, _tally({"area": gone_area, "segment": gone_segment})))
    for name, parts, segments in (
        ("workforce", workers, _SEGMENTS), ("pending", pending, _SEGMENTS), ("cards", cards, _PARTICIPATION),
        ("lapsed", lapsed, _PARTICIPATION),
    ):  # fmt: skip
        leaf = _stack(parts)
        leaf["segment"] = _named(leaf["segment"], segments)
        leaf["period_start"] = _named(leaf["period"], MONTHS)
        if "grp" in leaf:
            leaf["grp"] = _named(leaf["grp"], _GROUPS)
        _register(con, name, leaf)
    _count_workers(con)
    _count_participants(con)
    con.execute(
        "CREATE OR REPLACE TEMP VIEW covering AS SELECT *, 'month' AS period_kind, 'jamsostek' AS scheme"
        " FROM coverage_rows"
    )
    _publish(con, mart, "covering")
    return answers


def _count_workers(con: duckdb.DuckDBPyConnection) -> None:
    roles = {"all": ("PU", "BPU"), "PU": ("PU",), "BPU": ("BPU",)}
    bases = []
    for segment, firm in roles.items():
        optional = segment != "BPU"
        for programme, test in _HOLDS.items():
            chosen = {"firm": f"segment IN ({', '.join(map(literal, firm))})", "wide": "segment = 'mixed'"}
            if optional:
                chosen["wide"] = f"({chosen['firm']} OR segment = 'mixed')"
            else:
                chosen["wide"] = chosen["firm"]
            sums = ", ".join(
                f"coalesce(sum(n) FILTER ({who} AND {what}), 0) AS {name}_{kind}"
                for kind, who in chosen.items()
                for name, what in (("workers", "NOT is_pending"), ("covered", f"NOT is_pending AND {test}"),
                                   ("possible", f"is_pending AND {test}"))
            )  # fmt: skip
            grouped = segment in _GROUPED_IN.get(programme, ())
            sets = "((area, period_start)" + (", (area, period_start, grp))" if grouped else ")")
            bases.append(
                f"SELECT area, period_start, {'grp' if grouped else 'NULL'} AS grp, '{segment}' AS segment,"
                f" '{programme}' AS programme, {sums} FROM everyone GROUP BY GROUPING SETS {sets}"
            )
    con.execute(
        "CREATE OR REPLACE TEMP VIEW everyone AS SELECT area, period_start, segment, grp, bits, n, false AS is_pending"
        " FROM workforce UNION ALL SELECT area, period_start, segment, grp, bits, n, true FROM pending"
    )
    con.execute(
        "CREATE OR REPLACE TEMP TABLE bases AS SELECT *, coalesce(grp, 'all') AS worker_group, 'month' AS period_kind,"
        f" 'residence' AS area_basis FROM ({' UNION ALL '.join(bases)}) INNER JOIN places USING (area)"
    )
    # PBPU coverage has residents who hold a BPU card above the line, workers of the registry below it.
    con.execute(
        "CREATE OR REPLACE TEMP TABLE pbpu AS SELECT kemendagri_code, period_start, covered, pbpu FROM"
        " (SELECT area, period_start, sum(n) AS covered FROM cards WHERE segment = 'BPU' AND bits & 3 = 3 GROUP BY ALL)"
        " INNER JOIN (SELECT area, period_start, sum(n) AS pbpu FROM workforce WHERE segment = 'BPU' GROUP BY ALL)"
        " USING (area, period_start) INNER JOIN places USING (area)"
    )
    keys = "area_basis, segment, programme, worker_group"
    plain = "'residence' AS area_basis, 'all' AS segment, 'any' AS programme, 'all' AS worker_group"
    staying = "workers_firm - covered_firm"
    selected = [
        _rows("workers", keys, "workers_firm", bounds=("workers_firm", "workers_wide"), unknown="0")
        + " FROM bases WHERE programme = 'any'",
        _rows("covered_of_workers", keys, "covered_firm", "workers_firm",
              ("covered_firm", "covered_wide + possible_wide"), "0") + " FROM bases",
        _rows("uncovered_workers", keys, staying, "NULL",
              (f"{staying} - possible_firm", "workers_wide - covered_wide"), "0") + " FROM bases",
        _rows("pbpu_coverage_06_02_021",
              "'residence' AS area_basis, 'BPU' AS segment, 'JKK+JKM' AS programme, 'all' AS worker_group",
              "covered", "pbpu", ("covered", "covered"), "0")
        + " FROM (SELECT *, 'month' AS period_kind FROM pbpu)",
    ]  # fmt: skip
    for measure, test in (
        ("unpaid_family_workers", "segment = 'unpaid_family'"), ("workers_public_sector", "segment = 'mixed'"),
        ("workers_unknown_status", "false"), ("workers_unknown_age", "false"),
    ):  # fmt: skip
        selected.append(
            _rows(measure, plain, f"coalesce(sum(n) FILTER ({test}), 0)") + " FROM (SELECT *, 'month' AS period_kind"
            " FROM workforce INNER JOIN places USING (area)) GROUP BY ALL"
        )
    con.execute(f"CREATE OR REPLACE TEMP TABLE coverage_rows AS {' UNION ALL '.join(selected)}")


def _count_participants(con: duckdb.DuckDBPyConnection) -> None:
    selected = []
    places = {
        "residence": "(SELECT cards.*, kemendagri_code FROM cards INNER JOIN places USING (area))",
        "branch": f"(SELECT *, {_BRANCHES!r}[branch + 1] AS kemendagri_code FROM cards)",
    }
    for basis, source in places.items():
        for programme, test in _HOLDS.items():
            for segment, is_person in (("segment", "true"), ("'all'", "is_second = 0")):
                keys = (
                    f"'{basis}' AS area_basis, {segment} AS segment, '{programme}' AS programme, 'all' AS worker_group"
                )
                for measure, who in (("participants_active", is_person), ("participations_active", "true")):
                    selected.append(
                        _rows(measure, keys, f"coalesce(sum(n) FILTER ({test} AND {who}), 0)")
                        + f" FROM (SELECT *, 'month' AS period_kind FROM {source}) GROUP BY ALL"
                    )
    for segment in ("segment", "'all'"):
        keys = f"'residence' AS area_basis, {segment} AS segment, 'any' AS programme, 'all' AS worker_group"
        selected.append(
            _rows("participants_lapsed", keys, "sum(n)") + " FROM (SELECT *, 'month' AS period_kind"
            " FROM lapsed INNER JOIN places USING (area)) GROUP BY ALL"
        )
    con.execute(f"INSERT INTO coverage_rows {' UNION ALL '.join(selected)}")


def _stunting(
    con: duckdb.DuckDBPyConnection, rng: np.random.Generator, mart: Mart, families: _Families, codes: Sequence[str]
) -> list[np.ndarray]:
    """Fills the mart; returns for each month whether each family has a stunted child (place in _ANSWERS)."""
    count = len(families)
    family = rng.integers(0, count, int(count * 0.196))
    area = families.area[family]
    born = rng.integers(-59, len(MONTHS), len(family))
    # Kecamatan of service: a child is weighed near home, with few exceptions.
    kecamatan = sorted({code[:8] for code in codes})
    home = np.array([kecamatan.index(code[:8]) for code in codes])[area]
    strays = (rng.random(len(family)) < 0.024) & (home > 0)
    served = np.where(strays, rng.integers(1, len(kecamatan), len(family)), home)
    luck = rng.random((4, len(family)))
    periods, answers = [], []
    for m in [*range(len(MONTHS)), len(MONTHS)]:
        is_half_year = m == len(MONTHS)
        now = MONTHS.index(date(2026, 6, 1)) if is_half_year else m
        moved = rng.random(len(family)) < 0.10
        luck = np.where(moved[None, :], rng.random(luck.shape), luck)
        age = now - born
        seen = (age >= 0) & (age < 60)
        age_group = (age >= 24).astype(int)
        weighed = rng.random(len(family)) < (0.97 if is_half_year else 0.709)
        height = weighed & (rng.random(len(family)) < 0.968)
        flagged = height & (rng.random(len(family)) < 0.001)
        haz = height & ~flagged
        whz = haz & (rng.random(len(family)) < 0.995)
        flags = {
            "weighed": weighed, "height_measured": height, "haz_flagged": flagged, "haz_valid": haz, "whz_valid": whz,
            "stunted": haz & (luck[0] < 0.056), "severely_stunted": haz & (luck[0] < 0.008),
            "wasted": whz & (luck[1] < 0.0404), "severely_wasted": whz & (luck[1] < 0.0036),
            "overweight": whz & (luck[2] < 0.0174), "underweight": weighed & (luck[3] < 0.0406),
            "label_agreed": haz & (rng.random(len(family)) < 0.9998),
            "score_agreed": haz & (rng.random(len(family)) < 0.9993), "living_elsewhere": served != home,
        }  # fmt: skip
        keys = {"area": area[seen], "served": served[seen], "age": age_group[seen]}
        periods.append((m, _tally(keys, {name: flag[seen] for name, flag in flags.items()})))
        if not is_half_year:
            answers.append(_of_families(count, family, seen, haz, flags["stunted"]))
    leaf = _stack(periods)
    leaf["age_group"] = _named(leaf["age"], ["0_23", "24_59"])
    leaf["service_code"] = _named(leaf["served"], [f"{code}.0000" for code in kecamatan])
    leaf["period_start"] = _named(leaf["period"], [*MONTHS, _HALF_YEAR])
    leaf["period_kind"] = _named(leaf["period"], [*["month"] * len(MONTHS), "half_year"])
    _register(con, "children", leaf)
    sums = ", ".join(f"sum({name}) AS {name}" for name in flags)
    con.execute(
        "CREATE OR REPLACE TEMP TABLE weighed_children AS SELECT kemendagri_code, period_kind, period_start,"
        " area_basis,"
        f" coalesce(age_group, 'all') AS age_group, 'eppgbm' AS source_system, sum(n) AS registered, {sums} FROM"
        " (SELECT *, 'residence' AS area_basis FROM children INNER JOIN places USING (area) UNION ALL BY NAME"
        " SELECT *, service_code AS kemendagri_code, 'service_place' AS area_basis FROM children)"
        " GROUP BY GROUPING SETS ((kemendagri_code, period_kind, period_start, area_basis, age_group),"
        " (kemendagri_code, period_kind, period_start, area_basis))"
    )
    keys = "source_system, area_basis, age_group"
    selected = [
        _rows(measure, keys, numerator, denominator or "NULL",
              (numerator, f"{numerator} + {unknown}") if unknown else ("NULL", "NULL"), unknown or "NULL",
              "registered" if unknown else "NULL") + " FROM weighed_children"
        for measure, (numerator, denominator, unknown) in _CHILD.items()
    ]  # fmt: skip
    # The target is set once a year, from the children known then.
    target = (
        "(SELECT kemendagri_code, round(registered * 0.84) AS target FROM weighed_children"
        f" WHERE area_basis = 'residence' AND age_group = 'all' AND period_start = DATE '{MONTHS[0]}')"
    )
    whole = (
        f"weighed_children INNER JOIN {target} USING (kemendagri_code)"
        " WHERE area_basis = 'residence' AND age_group = 'all'"
    )
    selected += [
        _rows("children_target", keys, "target") + f" FROM {whole}",
        _rows("weighed_of_target", keys, "weighed", "target") + f" FROM {whole}",
    ]
    con.execute(f"CREATE OR REPLACE TEMP TABLE stunting AS {' UNION ALL '.join(selected)}")
    _publish(con, mart, "stunting")
    return answers


def _of_families(
    count: int, family: np.ndarray, seen: np.ndarray, measured: np.ndarray, stunted: np.ndarray
) -> np.ndarray:
    """One stunted child says yes, one unmeasured leaves it open."""
    answer = np.full(count, _NOT_APPLICABLE)
    for chosen, says in ((seen, _NO), (seen & ~measured, _UNKNOWN), (seen & stunted, _YES)):
        answer[family[chosen]] = says
    return answer


def _convergence(
    con: duckdb.DuckDBPyConnection,
    mart: Mart,
    families: _Families,
    stunted: Sequence[np.ndarray],
    uncovered: Sequence[np.ndarray],
) -> None:
    situations = []
    spans = [(m, m, _in_effect(m)) for m in range(len(MONTHS))]
    spans += [(len(MONTHS) + q, month, q) for q, month in enumerate(_LAST_MONTH)]
    for period, month, q in spans:
        chosen = families.exclusion[q] == 0
        keys = {"area": families.area, "desil": families.desil[q], "child": stunted[month], "earner": uncovered[month]}
        situations.append((period, _tally({name: values[chosen] for name, values in keys.items()})))
    leaf = _stack(situations)
    leaf["desil"] = _named(leaf["desil"], _DESIL)
    leaf["stunted_child"] = _named(leaf["child"], _ANSWERS)
    leaf["uncovered_breadwinner"] = _named(leaf["earner"], _ANSWERS)
    leaf["period_start"] = _named(leaf["period"], [*MONTHS, *QUARTERS])
    leaf["period_kind"] = _named(leaf["period"], [*["month"] * len(MONTHS), *["quarter"] * len(QUARTERS)])
    _register(con, "situations", leaf)
    answers = ("low_desil", "stunted_child", "uncovered_breadwinner")
    place = "area_level, kemendagri_code, period_kind, period_start, desil_threshold"
    con.execute(
        "CREATE OR REPLACE TEMP TABLE placed AS SELECT area_level, area_code AS kemendagri_code, period_kind,"
        " period_start, desil_threshold,"
        " CASE WHEN desil = 'unknown' THEN 'unknown' WHEN desil <= desil_threshold THEN 'yes' ELSE 'no' END"
        f" AS low_desil, {answers[1]}, {answers[2]}, sum(n) AS n"
        " FROM situations INNER JOIN places USING (area) INNER JOIN ancestry USING (kemendagri_code),"
        " (VALUES ('01'), ('04')) AS thresholds (desil_threshold)"
        " WHERE area_level <> 'kelurahan' OR period_kind = 'quarter' GROUP BY ALL"
    )
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE cubed AS SELECT {place},"
        f" {', '.join(f'coalesce({key}, $$all$$) AS {key}' for key in answers)}, sum(n) AS n"
        f" FROM placed GROUP BY {place}, CUBE ({', '.join(answers)})"
    )
    # What occurs in the city is a row of every area, and so is every combination of yes and all.
    span, told = "period_kind, period_start, desil_threshold", ", ".join(answers)
    asked = " AND ".join(f"{key} IN ('yes', 'all')" for key in answers)
    open_ = " AND ".join(f"(c.{key} = 'all' OR p.{key} IN ('yes', 'unknown'))" for key in answers)
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE highest AS SELECT {', '.join(f'p.{name}' for name in place.split(', '))},"
        f" {', '.join(f'c.{key}' for key in answers)}, sum(p.n) AS high FROM placed AS p INNER JOIN"
        f" (SELECT DISTINCT {told} FROM cubed WHERE {asked}) AS c ON {open_} GROUP BY ALL"
    )
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE convergence AS SELECT {place}, 'families' AS measure, {told},"
        " coalesce(n, 0)::BIGINT AS numerator, base::BIGINT AS denominator, NULL AS unknown_count,"
        f" CASE WHEN {asked} THEN numerator END AS numerator_low,"
        f" CASE WHEN {asked} THEN coalesce(high, 0)::BIGINT END AS numerator_high, base AS bounds_denominator FROM"
        f" (SELECT {place}, n AS base FROM cubed WHERE {' AND '.join(f'{key} = $$all$$' for key in answers)})"
        f" INNER JOIN (SELECT {span}, {told} FROM cubed WHERE area_level = 'kota') USING ({span})"
        f" LEFT JOIN cubed USING ({place}, {told}) LEFT JOIN highest USING ({place}, {told})"
    )
    _publish(con, mart, "convergence", is_leaf=False)
