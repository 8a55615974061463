"""Draws the synthetic city in memory, in order: places, families, work, children, deciles, aid.

Here: ``City``, all that is true, and the steps that need several of its parts. Not here: how people, work and growth
are drawn (their own modules), files (city, truth, render).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from warehouse.sandbox import growth, housing, margins, people, work
from warehouse.sandbox.margins import Kelurahan, read_seed
from warehouse.sandbox.people import NEVER, Calendar, Dwellings, Families, Persons, stream

Progress = Callable[[str], None]
_VISITOR_SHARE = 0.025
_OUTSIDE_CHILDREN = 0.018
_ATTENDANCE = 0.71
# So many that a file's one spoiled row does not take all of it.
_FEWEST_CHILDREN = 3
# February and August are the months of vitamin A and of weighing every child.
_WEIGHING_MONTHS = {2: 1.11, 8: 1.11}


def silent(text: str) -> None:
    """Progress that is not shown."""


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
    families: Families
    dwellings: Dwellings
    housing: dict[str, np.ndarray]
    decile: np.ndarray
    assistance: dict[str, np.ndarray]
    persons: Persons
    children: Children
    measured: growth.Measured
    measured_place: np.ndarray
    measured_puskesmas: np.ndarray
    measured_posyandu: pa.Array
    workers: work.Workers
    participations: work.Participations
    sessions: work.Sessions


def draw(
    *,
    area: Kelurahan,
    seed: int,
    tonight: date,
    months: int,
    planted_effect: float,
    progress: Progress = silent,
) -> City:
    """Draw the whole city in memory; a pure function of its arguments and the reference tables."""
    calendar = Calendar.until(tonight, months)
    families, dwellings, persons = people.make_families(area, calendar, seed)
    adults = work.outsiders_needed(len(persons), calendar)
    outside = round(_OUTSIDE_CHILDREN * margins.REGISTERED_CHILDREN_SHARE * len(persons))
    persons = people.add_outsiders(persons, calendar, seed, adults, outside)
    progress(f"city: {len(persons):,} persons in {len(families.place):,} families")
    workers = work.make_workers(persons, families, calendar, seed)
    sessions = work.make_sessions(area, calendar, seed)
    planted = work.plant(calendar, persons, families, workers, sessions, planted_effect, seed)
    participations = work.make_participations(area, calendar, persons, families, workers, seed, *planted)
    progress(f"city: {len(workers.person):,} workers, {len(participations.person):,} memberships")
    children = _children(persons, calendar, seed)
    measured, place, puskesmas, posyandu = _measure(area, calendar, families, dwellings, persons, children, seed)
    decile = _deciles(families, seed)
    home_wealth = np.concatenate([families.wealth, families.wealth[families.move_kind == "internal"]])
    return City(
        area=area,
        calendar=calendar,
        seed=seed,
        families=families,
        dwellings=dwellings,
        housing=housing.furnish(stream(seed, "housing"), home_wealth),
        decile=decile,
        assistance=_assistance(families, persons, calendar, seed),
        persons=persons,
        children=children,
        measured=measured,
        measured_place=place,
        measured_puskesmas=puskesmas,
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
    target = margins.REGISTERED_CHILDREN_SHARE * persons.is_resident.sum()
    is_registered = (rng.random(len(person)) < min(target / max(young.sum(), 1), 1.0)) | ~resident
    weight = np.clip(rng.normal(3.08, 0.42, len(person)) - 0.05 * persons.is_female[person], 1.3, 4.9)
    return Children(
        person=person,
        is_registered=is_registered,
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
) -> tuple[growth.Measured, np.ndarray, np.ndarray, pa.Array]:
    """Measurements with the kelurahan, the puskesmas and the posyandu that made them."""
    rng = stream(seed, "measurements")
    registered_children = np.nonzero(children.is_registered)[0]
    person = children.person[registered_children]
    family = np.maximum(persons.family[person], 0)
    resident = persons.is_resident[person]
    months = len(calendar.months)
    other_dwelling = rng.integers(0, len(dwellings.place), len(registered_children))
    middle = calendar.starts + 14
    at_home = np.stack([families.lived_at(family, day) for day in middle], axis=1)
    visits = children.visits[registered_children][:, None]
    posyandu_of = np.where(visits, other_dwelling[:, None], at_home)
    place = dwellings.place[posyandu_of]
    # A posyandu opens on its own day of the month; one child in eight comes on another.
    opens = 3 + (place * 7 + dwellings.rw[posyandu_of] * 5) % 22
    stray = rng.random(opens.shape) < 0.12
    days = calendar.starts + np.where(stray, rng.integers(1, 27, opens.shape), opens)
    in_city = np.stack([families.in_city(family, day) for day in middle], axis=1) | ~resident[:, None]
    diligence = np.clip(rng.normal(1.0, 0.16, len(registered_children)), 0.35, 1.25)[:, None]
    local = np.clip(rng.normal(1.0, 0.05, len(area.codes)), 0.85, 1.04)[place]
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
    dwelling = posyandu_of[measured.child, measured.month]
    where, unit = _everywhere_someone(area, dwellings.place[dwelling], dwellings.rw[dwelling], measured.month, months)
    return _again(
        rng, measured, registered_children, where, unit, dwellings.posyandu.take(pa.array(dwelling)), calendar, months
    )


def _everywhere_someone(
    area: Kelurahan, place: np.ndarray, rw: np.ndarray, month: np.ndarray, months: int
) -> tuple[np.ndarray, np.ndarray]:
    """Kelurahan and puskesmas of each measurement.

    In a city of a few kelurahan a puskesmas may see nobody in a month; a few children from the busiest then come to it.
    """
    units, _nearest = puskesmas_of(area)
    serving = puskesmas_serving(area)
    many = np.count_nonzero(serving >= 0, axis=1)
    unit, place, stands = serving[place, (rw - 1) % many[place]], place.copy(), _stands(area, units)
    for index in range(months):
        (rows,) = np.nonzero(month == index)
        for idle in np.setdiff1d(np.arange(len(units)), unit[rows]):
            busiest = np.argmax(np.bincount(unit[rows], minlength=len(units)))
            rows_to_move = rows[unit[rows] == busiest][:_FEWEST_CHILDREN]
            unit[rows_to_move], place[rows_to_move] = idle, stands[idle]
    return place, unit


def _again(
    rng: np.random.Generator,
    measured: growth.Measured,
    known: np.ndarray,
    place: np.ndarray,
    unit: np.ndarray,
    posyandu: pa.Array,
    calendar: Calendar,
    months: int,
) -> tuple[growth.Measured, np.ndarray, np.ndarray, pa.Array]:
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
    values = {name: getattr(measured, name)[rows] for name in ("month", "is_lying", "height_cm")}
    return growth.Measured(**columns, **values), place[rows], unit[rows], posyandu.take(pa.array(rows))


def _deciles(families: Families, seed: int) -> np.ndarray:
    """National decile of each family, 0 for one not ranked: wealth, with the error of a proxy means test."""
    rng = stream(seed, "deciles")
    rank = families.wealth + 0.35 * rng.standard_normal(len(families.wealth))
    limits = np.quantile(rank, np.cumsum(margins.DECILE_SHARES)[:-1])
    decile = (np.searchsorted(limits, rank, side="right") + 1).astype(np.int8)
    decile[rng.random(len(decile)) < 0.02] = 0
    return decile


def _assistance(families: Families, persons: Persons, calendar: Calendar, seed: int) -> dict[str, np.ndarray]:
    """Programme -> first month on its list and first off it (``[family, 2]``); NEVER for families never on it."""
    rng = stream(seed, "assistance")
    n = len(families.wealth)
    size = np.bincount(persons.family[persons.is_resident], minlength=n)
    lists = {}
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
        lists[programme] = np.where(on[:, None], np.stack([begins, ends], axis=1), NEVER)
    return lists


def puskesmas_of(area: Kelurahan) -> tuple[list[dict[str, str]], np.ndarray]:
    """The register's puskesmas, and for each kelurahan the index of the nearest one in its kecamatan."""
    units = [row for row in read_seed("service_units") if row["kind"] == "puskesmas"]
    stands = _stands(area, units)
    distance = np.hypot(
        area.latitude[:, None] - area.latitude[stands], area.longitude[:, None] - area.longitude[stands]
    )
    inside = np.array(area.kecamatan_codes)[:, None] == np.array([unit["kemendagri_code"] for unit in units])
    return units, np.argmin(np.where(inside, distance, np.inf), axis=1)


def puskesmas_serving(area: Kelurahan) -> np.ndarray:
    """For each kelurahan the puskesmas whose posyandu take turns over its RW: the nearest, then -1.

    A puskesmas that would see nobody, because all it is nearest to are unpeopled, shares a peopled kelurahan of its
    kecamatan.
    """
    units, nearest = puskesmas_of(area)
    serving = [[unit] for unit in nearest]
    for unit in np.setdiff1d(np.arange(len(units)), nearest[area.is_peopled]):
        in_reach = [
            place
            for place in np.nonzero(area.is_peopled)[0]
            if area.kecamatan_codes[place] == units[unit]["kemendagri_code"]
        ]
        if in_reach:
            serving[min(in_reach, key=lambda place: len(serving[place]))].append(unit)
    widest = max(len(row) for row in serving)
    return np.array([row + [-1] * (widest - len(row)) for row in serving])


def _stands(area: Kelurahan, units: list[dict[str, str]]) -> list[int]:
    """The kelurahan each puskesmas stands in: the one it is named after."""
    return [area.names.index(unit["name"].removeprefix("Puskesmas ")) for unit in units]
