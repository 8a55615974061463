"""Builds the synthetic city and writes its truth to ``city/*.parquet``: the same arguments give the same bytes.

Here: the order of building and the truth's tables. Not here: how people, work and growth are drawn (their own modules), what
agencies make of it (render). No real person's data enter.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.sandbox import growth, housing, margins, people, work
from warehouse.sandbox.margins import Kelurahan, read_seed
from warehouse.sandbox.people import NEVER, Calendar, Dwellings, Families, Persons, stream

Progress = Callable[[str], None]
PLANTED_EFFECT = 20.0
_VISITOR_SHARE = 0.025
_OUTSIDE_CHILDREN = 0.018
_ATTENDANCE = 0.71
# February and August are the months of vitamin A and of weighing every child.
_WEIGHING_MONTHS = {2: 1.13, 8: 1.13}


@dataclass(frozen=True)
class CitySummary:
    """What was built; written beside the truth as ``summary.json``."""

    seed: int
    scale: str
    share: float
    months: tuple[str, ...]
    planted_effect: float
    planted_registrations: int
    residents: int
    families: int
    outsiders: int
    children_registered: int
    measurements: int
    workers: int
    pbpu_workers: int
    participations: int
    sessions: int
    dense_kelurahan: tuple[str, ...]


@dataclass
class Children:
    """One row per child e-PPGBM may know: under five at some time in the window."""

    person: np.ndarray
    is_registered: np.ndarray
    visits: np.ndarray
    birth_weight_kg: np.ndarray
    birth_length_cm: np.ndarray


@dataclass
class City:
    """Everything true, as parallel columns; what ``render`` works from."""

    area: Kelurahan
    calendar: Calendar
    seed: int
    share: float
    families: Families
    dwellings: Dwellings
    housing: dict[str, np.ndarray]
    decile: np.ndarray
    assistance: dict[str, np.ndarray]
    persons: Persons
    children: Children
    measured: growth.Measured
    measured_place: np.ndarray
    measured_posyandu: pa.Array
    workers: work.Workers
    participations: work.Participations
    sessions: work.Sessions


def build_city(
    home_sandbox: Path,
    *,
    scale: str | float = "default",
    seed: int = 20230501,
    tonight: date,
    months: int = 14,
    planted_effect: float | None = PLANTED_EFFECT,
    progress: Progress | None = None,
) -> CitySummary:
    """Draw the city and write ``home_sandbox/city``, replacing what was there.

    ``scale``: ``"default"`` (about 240 thousand persons) or a share of the real city. ``months`` end with the newest complete
    month before ``tonight``. ``planted_effect``: extra new BPU registrations per 1,000 PBPU residents within 183 days of the
    first outreach session in their kelurahan; None or 0 plants none.
    """
    say = progress or (lambda text: None)
    city = draw(scale=scale, seed=seed, tonight=tonight, months=months, planted_effect=planted_effect or 0.0, progress=say)
    folder = home_sandbox / "city"
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    for name, table in _tables(city).items():
        pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
    summary = _summary(city, str(scale), planted_effect or 0.0)
    arguments = {"scale": scale, "seed": seed, "tonight": tonight.isoformat(), "months": months}
    text = json.dumps({**asdict(summary), "arguments": {**arguments, "planted_effect": planted_effect}}, indent=1)
    (folder / "summary.json").write_text(text + "\n", encoding="utf-8")
    say(f"city: {summary.residents:,} residents, {summary.families:,} families, {summary.measurements:,} measurements")
    return summary


def redraw(home_sandbox: Path) -> City:
    """The city whose truth lies in ``home_sandbox/city``, drawn again from the arguments recorded there."""
    given = json.loads((home_sandbox / "city" / "summary.json").read_text(encoding="utf-8"))["arguments"]
    return draw(
        scale=given["scale"],
        seed=given["seed"],
        tonight=date.fromisoformat(given["tonight"]),
        months=given["months"],
        planted_effect=given["planted_effect"] or 0.0,
    )


def draw(
    *,
    scale: str | float,
    seed: int,
    tonight: date,
    months: int,
    planted_effect: float,
    progress: Progress = lambda text: None,
) -> City:
    """Draw the whole city in memory; a pure function of its arguments and the reference tables."""
    area, calendar = margins.kelurahan(scale), Calendar.until(tonight, months)
    families, dwellings, persons = people.make_families(area, calendar, seed)
    adults = work.outsiders_needed(len(persons), calendar)
    outside = int(round(_OUTSIDE_CHILDREN * margins.REGISTERED_CHILDREN_SHARE * len(persons)))
    persons = people.add_outsiders(persons, calendar, seed, adults, outside)
    progress(f"city: {len(persons):,} persons in {len(families.place):,} families")
    workers = work.make_workers(persons, families, calendar, seed)
    sessions = work.make_sessions(area, calendar, seed)
    planted = work.plant(calendar, persons, families, workers, sessions, planted_effect, seed)
    participations = work.make_participations(area, calendar, persons, families, workers, seed, *planted)
    progress(f"city: {len(workers.person):,} workers, {len(participations.person):,} memberships")
    children = _children(persons, calendar, seed)
    measured, place, posyandu = _measure(area, calendar, families, dwellings, persons, children, seed)
    decile = _deciles(families, seed)
    home_wealth = np.concatenate([families.wealth, families.wealth[families.move_kind == "internal"]])
    return City(
        area=area,
        calendar=calendar,
        seed=seed,
        share=margins.share_of(scale),
        families=families,
        dwellings=dwellings,
        housing=housing.furnish(stream(seed, "housing"), home_wealth),
        decile=decile,
        assistance=_assistance(families, persons, calendar, seed),
        persons=persons,
        children=children,
        measured=measured,
        measured_place=place,
        measured_posyandu=posyandu,
        workers=workers,
        participations=participations,
        sessions=work.attendance(calendar, persons, families, participations, sessions, seed),
    )


def _children(persons: Persons, calendar: Calendar, seed: int) -> Children:
    rng = stream(seed, "children")
    (person,) = np.nonzero((persons.born > calendar.first_day - growth.LAST_DAY) & (persons.died > persons.born))
    resident = persons.is_resident[person]
    young = (persons.born[person] > calendar.last_day - growth.LAST_DAY) & resident
    wanted = margins.REGISTERED_CHILDREN_SHARE * persons.is_resident.sum()
    registered = (rng.random(len(person)) < min(wanted / max(young.sum(), 1), 1.0)) | ~resident
    weight = np.clip(rng.normal(3.08, 0.42, len(person)) - 0.05 * persons.is_female[person], 1.3, 4.9)
    return Children(
        person=person,
        is_registered=registered,
        visits=(rng.random(len(person)) < _VISITOR_SHARE) | ~resident,
        birth_weight_kg=np.round(weight, 1),
        birth_length_cm=np.round(np.clip(49.2 + 2.3 * (weight - 3.05) + rng.normal(0, 1.4, len(person)), 38, 57), 1),
    )


def _measure(
    area: Kelurahan,
    calendar: Calendar,
    families: Families,
    dwellings: Dwellings,
    persons: Persons,
    children: Children,
    seed: int,
) -> tuple[growth.Measured, np.ndarray, pa.Array]:
    """Measurements with the kelurahan and the posyandu that made them."""
    rng = stream(seed, "measurements")
    known = np.nonzero(children.is_registered)[0]
    person = children.person[known]
    family = np.maximum(persons.family[person], 0)
    resident = persons.is_resident[person]
    months = len(calendar.months)
    other_place = rng.integers(0, len(area.codes), len(known))
    other_dwelling = rng.integers(0, len(dwellings.place), len(known))
    middle = calendar.starts + 14
    at_home = np.stack([families.lived_at(family, day) for day in middle], axis=1)
    visits = children.visits[known][:, None]
    place = np.where(visits, other_place[:, None], dwellings.place[at_home])
    posyandu_of = np.where(visits, other_dwelling[:, None], at_home)
    # A posyandu opens on its own day of the month; one child in eight comes on another.
    opens = 3 + (place * 7 + dwellings.rw[posyandu_of] * 5) % 22
    stray = rng.random(opens.shape) < 0.12
    days = calendar.starts + np.where(stray, rng.integers(1, 27, opens.shape), opens)
    in_city = np.stack([families.in_city(family, day) for day in middle], axis=1) | ~resident[:, None]
    diligence = np.clip(rng.normal(1.0, 0.16, len(known)), 0.35, 1.25)[:, None]
    local = np.clip(rng.normal(1.0, 0.07, len(area.codes)), 0.8, 1.15)[place]
    season = np.array([_WEIGHING_MONTHS.get(month.start.month, 1.0) for month in calendar.months])
    measured = growth.simulate(
        growth.Who.load(),
        rng,
        persons.is_female[person].astype(int) + 1,
        persons.born[person],
        np.minimum(persons.died[person], calendar.last_day + 1),
        np.where(resident, families.wealth[family], 0.0),
        days,
        np.minimum(_ATTENDANCE * diligence * local * season, 0.97) * in_city,
    )
    where = place[measured.child, measured.month]
    posyandu = dwellings.posyandu.take(pa.array(posyandu_of[measured.child, measured.month]))
    return _again(rng, measured, known, where, posyandu, calendar, months)


def _again(
    rng: np.random.Generator,
    measured: growth.Measured,
    known: np.ndarray,
    place: np.ndarray,
    posyandu: pa.Array,
    calendar: Calendar,
    months: int,
) -> tuple[growth.Measured, np.ndarray, pa.Array]:
    """Some children are measured a second time in a month; rows come out by month, kelurahan and posyandu's day."""
    (twice,) = np.nonzero(rng.random(len(measured.child)) < 0.012)
    later = measured.day[twice] + rng.integers(3, 8, len(twice))
    fits = (later <= calendar.ends[measured.month[twice]]) & (measured.age_days[twice] + 8 < growth.LAST_DAY)
    twice, later = twice[fits], later[fits]
    rows = np.concatenate([np.arange(len(measured.child)), twice])
    day = np.concatenate([measured.day, later])
    weight = measured.weight_kg[rows].copy()
    weight[len(measured.child) :] = np.round(weight[len(measured.child) :] + rng.choice([-0.1, 0, 0.1], len(twice)), 1)
    order = np.lexsort((rows, day, place[rows], measured.month[rows]))
    rows, day, weight = rows[order], day[order], weight[order]
    age = measured.age_days[rows] + (day - measured.day[rows])
    columns = {"child": known[measured.child[rows]], "age_days": age, "day": day, "weight_kg": weight}
    kept = {name: getattr(measured, name)[rows] for name in ("month", "is_lying", "height_cm")}
    return growth.Measured(**columns, **kept), place[rows], posyandu.take(pa.array(rows))


def _deciles(families: Families, seed: int) -> np.ndarray:
    """National decile of each family, 0 for one not ranked: rank follows wealth, with the error of a proxy means test."""
    rng = stream(seed, "deciles")
    rank = families.wealth + 0.35 * rng.standard_normal(len(families.wealth))
    limits = np.quantile(rank, np.cumsum(margins.DECILE_SHARES)[:-1])
    decile = (np.searchsorted(limits, rank, side="right") + 1).astype(np.int8)
    decile[rng.random(len(decile)) < 0.02] = 0
    return decile


def _assistance(families: Families, persons: Persons, calendar: Calendar, seed: int) -> dict[str, np.ndarray]:
    """Programme -> first and last month index (``[family, 2]``) on its list; (NEVER, NEVER) for families never on it."""
    rng = stream(seed, "assistance")
    n = len(families.wealth)
    size = np.bincount(persons.family[persons.is_resident], minlength=n)
    found = {}
    for programme, share in (
        ("pkh", margins.PKH_FAMILIES_SHARE),
        ("bpnt", margins.BPNT_FAMILIES_SHARE),
        ("pbi_jk", margins.PBI_PERSONS_SHARE),
    ):
        # Lists miss some of the poor and hold some who are not; PBI counts persons, the others families.
        order = np.argsort(families.wealth + 0.55 * rng.standard_normal(n), kind="stable")
        weight = size[order] if programme == "pbi_jk" else np.ones(n)
        on = np.zeros(n, bool)
        on[order[np.cumsum(weight) <= share * weight.sum()]] = True
        months = len(calendar.months)
        begins = np.where(rng.random(n) < 0.06, rng.integers(1, months + 1, n), 0)
        ends = np.where(rng.random(n) < 0.05, rng.integers(0, months, n), months)
        found[programme] = np.where(on[:, None], np.stack([begins, ends], axis=1), NEVER)
    return found


def puskesmas_of(area: Kelurahan) -> tuple[list[dict[str, str]], np.ndarray]:
    """The register's puskesmas, and for each kelurahan the index of the nearest one in its kecamatan."""
    units = [row for row in read_seed("service_units") if row["kind"] == "puskesmas"]
    stands = [area.names.index(unit["name"].removeprefix("Puskesmas ")) for unit in units]
    distance = np.hypot(
        area.latitude[:, None] - area.latitude[stands], area.longitude[:, None] - area.longitude[stands]
    )
    inside = np.array(area.kecamatan_codes)[:, None] == np.array([unit["kemendagri_code"] for unit in units])
    return units, np.argmin(np.where(inside, distance, np.inf), axis=1)


def days_to_dates(days: np.ndarray) -> pa.Array:
    """DATE column; NEVER becomes null."""
    days = np.asarray(days)
    return pa.array(days.astype(np.int32), pa.int32(), mask=days == NEVER).cast(pa.date32())


def _index(values: np.ndarray) -> pa.Array:
    """Row numbers as INT32; -1 becomes null."""
    return pa.array(values.astype(np.int32), mask=values < 0)


def _tables(city: City) -> dict[str, pa.Table]:
    """The truth, one table a file."""
    families, persons, dwellings = city.families, city.persons, city.dwellings
    person_id = np.arange(len(persons), dtype=np.int32)
    codes = pa.array(city.area.codes)
    moved = np.nonzero(families.move_kind != "none")[0]
    resident = persons.is_resident
    births = np.nonzero((persons.born >= city.calendar.first_day) & resident)[0]
    deaths = np.nonzero(persons.died != NEVER)[0]
    worked, sessions, children = city.workers, city.sessions, city.children
    family_place = codes.take(pa.array(families.place))
    return {
        "persons": pa.table(
            {
                "person_id": person_id,
                "family_id": _index(persons.family),
                "relation": persons.relation,
                "sex": pa.array(np.where(persons.is_female, "P", "L")),
                "birth_date": days_to_dates(persons.born),
                "death_date": days_to_dates(persons.died),
                "mother_id": _index(persons.mother),
                "father_id": _index(persons.father),
                "nik": persons.nik,
                "nik_issued_on": days_to_dates(persons.nik_issued),
                "name": persons.name,
                "birth_place": persons.birth_place,
                "lives_in": persons.home,
            }
        ),
        "families": pa.table(
            {
                "family_id": np.arange(len(families.place), dtype=np.int32),
                "no_kk": families.no_kk,
                "kemendagri_code": family_place,
                "dwelling_id": families.dwelling.astype(np.int32),
                "wealth": families.wealth,
                "national_decile": pa.array(city.decile, mask=city.decile == 0),
                **{f"{name}_first_month": _index_or_null(span[:, 0]) for name, span in city.assistance.items()},
                **{f"{name}_end_month": _index_or_null(span[:, 1]) for name, span in city.assistance.items()},
            }
        ),
        "dwellings": pa.table(
            {
                "dwelling_id": np.arange(len(dwellings.place), dtype=np.int32),
                "kemendagri_code": codes.take(pa.array(dwellings.place)),
                "rt": dwellings.rt,
                "rw": dwellings.rw,
                "posyandu": dwellings.posyandu,
                "address": dwellings.address,
                **city.housing,
            }
        ),
        "moves": pa.table(
            {
                "family_id": moved.astype(np.int32),
                "kind": pa.array(families.move_kind[moved]),
                "moved_on": days_to_dates(families.moved_on[moved]),
                "from_dwelling_id": families.dwelling[moved].astype(np.int32),
                "to_dwelling_id": families.later_dwelling[moved].astype(np.int32),
            }
        ),
        "births": pa.table(
            {
                "person_id": births.astype(np.int32),
                "born_on": days_to_dates(persons.born[births]),
                "kemendagri_code": family_place.take(pa.array(persons.family[births])),
            }
        ),
        "deaths": pa.table({"person_id": deaths.astype(np.int32), "died_on": days_to_dates(persons.died[deaths])}),
        "children": pa.table(
            {
                "person_id": children.person.astype(np.int32),
                "is_registered": children.is_registered,
                "is_measured_elsewhere": children.visits,
                "birth_weight_kg": children.birth_weight_kg,
                "birth_length_cm": children.birth_length_cm,
            }
        ),
        "measurements": _measurements(city),
        "workers": pa.table(
            {
                "person_id": worked.person.astype(np.int32),
                "status": worked.status,
                "sector": worked.sector,
                "is_pbpu": worked.is_pbpu,
            }
        ),
        "participations": _participations(city),
        "participation_months": _participation_months(city),
        "outreach_sessions": pa.table(
            {
                "session_id": sessions.session.astype(np.int32),
                "kemendagri_code": codes.take(pa.array(sessions.place)),
                "held_on": days_to_dates(sessions.day),
                "segment": pa.array(sessions.segment),
                "worker_kind": pa.array(sessions.kind),
                "attended": sessions.attended,
                "registrations_reported": sessions.registered,
            }
        ),
    }


def _index_or_null(values: np.ndarray) -> pa.Array:
    return pa.array(values.astype(np.int32), mask=values == NEVER)


def _measurements(city: City) -> pa.Table:
    measured, persons = city.measured, city.persons
    person = city.children.person[measured.child]
    sex = persons.is_female[person].astype(int) + 1
    scores = growth.Who.load().z_scores(
        sex, measured.age_days, measured.weight_kg, measured.height_cm, measured.is_lying
    )
    return pa.table(
        {
            "person_id": person.astype(np.int32),
            "measured_on": days_to_dates(measured.day),
            "age_days": measured.age_days.astype(np.int32),
            "kemendagri_code_of_posyandu": pa.array(city.area.codes).take(pa.array(city.measured_place)),
            "posyandu": city.measured_posyandu,
            "weight_kg": pa.array(measured.weight_kg, from_pandas=True),
            "height_cm": pa.array(measured.height_cm, from_pandas=True),
            "is_lying": measured.is_lying,
            **{name: pa.array(z, from_pandas=True) for name, z in zip(("haz", "waz", "whz"), scores, strict=True)},
        }
    )


def _participations(city: City) -> pa.Table:
    p = city.participations
    return pa.table(
        {
            "no_kpj": p.no_kpj,
            "person_id": p.person.astype(np.int32),
            "segment": pa.array(p.segment),
            "branch": pa.array(work.BRANCHES).take(pa.array(p.branch)),
            "npp": p.npp,
            "program": pa.array(p.program),
            "payer": pa.array(p.payer),
            "registered_on": days_to_dates(p.started),
            "lapse_month": _index_or_null(p.lapse_month),
            "return_month": _index_or_null(p.return_month),
            "is_planted": p.is_planted,
        }
    )


def _participation_months(city: City) -> pa.Table:
    p = city.participations
    blocks = []
    for index, month in enumerate(city.calendar.months):
        rows = np.nonzero(p.is_in_feed(index, int(city.calendar.ends[index])))[0]
        blocks.append(
            pa.table(
                {
                    "month": pa.array([month.start]).take(pa.array(np.zeros(len(rows), np.int8))),
                    "no_kpj": p.no_kpj.take(pa.array(rows)),
                    "person_id": p.person[rows].astype(np.int32),
                    "segment": pa.array(p.segment[rows]),
                    "is_active": p.is_active(index)[rows],
                }
            )
        )
    return pa.concat_tables(blocks)


def _summary(city: City, scale: str, effect: float) -> CitySummary:
    density = city.area.density
    top = density >= 0.999 if (density >= 0.999).any() else density >= density.max() * 0.99
    return CitySummary(
        seed=city.seed,
        scale=scale,
        share=city.share,
        months=tuple(month.label for month in city.calendar.months),
        planted_effect=effect,
        planted_registrations=int(city.participations.is_planted.sum()),
        residents=int(city.persons.is_resident.sum()),
        families=len(city.families.place),
        outsiders=int((~city.persons.is_resident).sum()),
        children_registered=int(city.children.is_registered.sum()),
        measurements=len(city.measured.child),
        workers=len(city.workers.person),
        pbpu_workers=int(city.workers.is_pbpu.sum()),
        participations=len(city.participations.person),
        sessions=int(city.sessions.session.max()) + 1,
        dense_kelurahan=tuple(code for code, is_top in zip(city.area.codes, top, strict=True) if is_top),
    )
