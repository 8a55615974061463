"""The people of the city: families and their members, dwellings, identity numbers, births, deaths and moves.

Here: who exists, where and when. Not here: growth of children (growth), work (work), what agencies know of it (render).
Days are integers since 1970-01-01; ``Calendar`` says which matter.
"""

import zlib
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.core.periods import Period
from warehouse.sandbox import names
from warehouse.sandbox.margins import MALE_SHARE, POSYANDU, Kelurahan

YEAR = 365.25
NEVER = np.int32(2**31 - 1)
HEAD, SPOUSE, CHILD, PARENT, SERVANT, OTHER = 1, 2, 3, 6, 7, 8
_SINGLE, _COUPLE, _NUCLEAR, _LONE_PARENT, _EXTENDED = range(5)
_FAMILY_KINDS = (0.09, 0.115, 0.635, 0.09, 0.07)
_MEAN_FAMILY = 3.4
# Serials of real NIKs and KKs start at 0001 each day; ours start where no office ever counts to.
_FIRST_SERIAL = 9001
# Poorer and richer kecamatan: poverty pockets are Neglasari and Benda (BPS, May 2019); the others are ours.
_KECAMATAN_WEALTH = {
    "36.71.10": -0.45,
    "36.71.04": -0.35,
    "36.71.03": -0.15,
    "36.71.02": -0.1,
    "36.71.06": 0.15,
    "36.71.11": 0.15,
}


def stream(seed: int, *stage: str) -> np.random.Generator:
    """A random stream of its own for each stage, so that a change in one leaves the others as they were."""
    return np.random.default_rng([seed, *(zlib.crc32(word.encode()) for word in stage)])


def day_number(day: date) -> int:
    return (day - date(1970, 1, 1)).days


@dataclass(frozen=True)
class Calendar:
    """The window the agencies report on: whole months, the newest of them complete."""

    months: tuple[Period, ...]

    @classmethod
    def until(cls, tonight: date, months: int) -> "Calendar":
        newest = Period.containing("month", tonight).shift(-1)
        return cls(tuple(newest.shift(-back) for back in reversed(range(months))))

    @property
    def starts(self) -> np.ndarray:
        return np.array([day_number(month.start) for month in self.months])

    @property
    def ends(self) -> np.ndarray:
        """Last day of each month."""
        return np.array([day_number(month.end) - 1 for month in self.months])

    @property
    def first_day(self) -> int:
        return int(self.starts[0])

    @property
    def last_day(self) -> int:
        return int(self.ends[-1])

    @property
    def years(self) -> float:
        return (self.last_day - self.first_day + 1) / YEAR


@dataclass
class Families:
    """Parallel columns, one row per family; ``place`` is the kelurahan's index. A family moves at most once."""

    place: np.ndarray
    wealth: np.ndarray
    dwelling: np.ndarray
    later_dwelling: np.ndarray
    move_kind: np.ndarray
    moved_on: np.ndarray
    no_kk: pa.Array

    def lived_at(self, family: np.ndarray, day: np.ndarray | int) -> np.ndarray:
        """Dwelling of families on a day, whether or not they lived in the city then."""
        dwelling: np.ndarray = np.where(
            self.moved_on[family] <= day, self.later_dwelling[family], self.dwelling[family]
        )
        return dwelling

    def in_city(self, family: np.ndarray, day: np.ndarray | int) -> np.ndarray:
        kind, on = self.move_kind[family], self.moved_on[family]
        is_in: np.ndarray = ~(((kind == "in") & (on > day)) | ((kind == "out") & (on <= day)))
        return is_in


@dataclass
class Dwellings:
    place: np.ndarray
    rt: np.ndarray
    rw: np.ndarray
    posyandu: pa.Array
    address: pa.Array


@dataclass
class Persons:
    """Parallel columns, one row per person; residents in the order of their families, then people from elsewhere."""

    family: np.ndarray
    relation: np.ndarray
    is_female: np.ndarray
    born: np.ndarray
    died: np.ndarray
    mother: np.ndarray
    father: np.ndarray
    nik: pa.Array
    nik_issued: np.ndarray
    name: pa.Array
    birth_place: pa.Array
    home: pa.Array

    def __len__(self) -> int:
        return len(self.family)

    @property
    def is_resident(self) -> np.ndarray:
        return self.family >= 0

    def age_years(self, day: int) -> np.ndarray:
        return (day - self.born) / YEAR


def make_families(area: Kelurahan, calendar: Calendar, seed: int) -> tuple[Families, Dwellings, Persons]:
    """Draw families until each kelurahan holds its people, then number, name and move them."""
    rng = stream(seed, "families")
    n_families = np.where(area.is_peopled, np.ceil(area.people / _MEAN_FAMILY * 1.12).astype(int) + 4, 0)
    place = np.repeat(np.arange(len(area.codes)), n_families)
    kind = rng.choice(len(_FAMILY_KINDS), len(place), p=_FAMILY_KINDS)
    local = np.array([_KECAMATAN_WEALTH.get(code, 0.0) for code in area.kecamatan_codes])
    local = local + 0.25 * rng.standard_normal(len(local))
    wealth = local[place] + 0.9 * rng.standard_normal(len(place)) - 0.3 * (kind == _LONE_PARENT)
    members = _members(rng, kind, wealth)
    members = members[np.lexsort((members["age"] * -1, members["relation"], members["family"]))]

    alive_now = members["age"] >= 0
    size = np.bincount(members["family"][alive_now], minlength=len(place))
    before = np.cumsum(size) - np.concatenate([[0], np.cumsum(np.bincount(place, weights=size))])[place]
    is_within = before <= area.people[place]
    renumbered = np.cumsum(is_within) - 1
    members = members[is_within[members["family"]] & (members["age"] >= 0)]
    members["family"] = renumbered[members["family"]]
    families, dwellings = _settle(area, calendar, place[is_within], wealth[is_within], seed)
    return families, dwellings, _persons(area, calendar, families, members, seed)


def _members(rng: np.random.Generator, kind: np.ndarray, wealth: np.ndarray) -> np.ndarray:
    """All members of all families; ``age`` in years on the last day, negative for children still to come."""
    n = len(kind)
    everyone = np.arange(n)
    head = np.select(
        [kind == _SINGLE, kind == _COUPLE, kind == _LONE_PARENT],
        [
            np.where(rng.random(n) < 0.6, rng.uniform(20, 36, n), rng.uniform(56, 86, n)),
            np.where(rng.random(n) < 0.35, rng.uniform(21, 31, n), rng.uniform(50, 80, n)),
            np.clip(rng.normal(45, 9, n), 24, 75),
        ],
        np.clip(rng.normal(42.5, 10, n), 21.5, 68),
    )
    head_female = np.select([kind == _SINGLE, kind == _LONE_PARENT], [rng.random(n) < 0.5, rng.random(n) < 0.75], False)
    married = np.isin(kind, (_COUPLE, _NUCLEAR, _EXTENDED))
    wife = np.maximum(head - np.clip(rng.normal(2.8, 2.6, n), -5, 12), 18.5)
    mother_age = np.where(married, wife, np.where(head_female, head, head - 2.5))
    blocks = [_block(everyone, HEAD, head_female, head), _block(everyone[married], SPOUSE, True, wife[married])]

    parents = everyone[np.isin(kind, (_NUCLEAR, _EXTENDED, _LONE_PARENT))]
    count = 1 + (rng.random(len(parents))[:, None] > np.cumsum([0.25, 0.43, 0.24])).sum(axis=1)
    at = mother_age[parents] - np.clip(rng.normal(25.2, 3.8, len(parents)), 18, 39)
    for birth in range(4):
        child = (count > birth) & (mother_age[parents] - at < 46)
        leaves = rng.random(len(parents)) < np.clip(0.12 + 0.09 * (at - 20), 0, 0.97) * (at > 19)
        rows = child & ~leaves
        blocks.append(_block(parents[rows], CHILD, rng.random(rows.sum()) > 0.512, at[rows]))
        at = at - np.maximum(1.3, rng.gamma(4.5, 0.95, len(parents)))

    extended = everyone[kind == _EXTENDED]
    old = np.clip(head[extended] + rng.normal(25.5, 4, len(extended)), 48, 96)
    blocks.append(_block(extended, PARENT, rng.random(len(extended)) < 0.7, old))
    guest = everyone[rng.random(n) < 0.055]
    blocks.append(_block(guest, OTHER, rng.random(len(guest)) < 0.5, rng.uniform(17, 42, len(guest))))
    soldiers = everyone[rng.random(n) < 0.03 * (wealth > 0.9)]
    blocks.append(_block(soldiers, SERVANT, rng.random(len(soldiers)) < 0.9, rng.uniform(18, 50, len(soldiers))))
    return np.concatenate(blocks)


def _block(family: np.ndarray, relation: int, female: np.ndarray | bool, age: np.ndarray) -> np.ndarray:
    rows = np.zeros(len(family), [("family", "i4"), ("relation", "i1"), ("female", "?"), ("age", "f8")])
    rows["family"], rows["relation"], rows["female"], rows["age"] = family, relation, female, age
    return rows


def _settle(
    area: Kelurahan, calendar: Calendar, place: np.ndarray, wealth: np.ndarray, seed: int
) -> tuple[Families, Dwellings]:
    rng = stream(seed, "dwellings")
    n = len(place)
    moves = rng.random(n)
    rate = np.array([0.015, 0.010, 0.010]) * calendar.years
    kind = np.select([moves < rate[0], moves < rate[:2].sum(), moves < rate.sum()], ["internal", "in", "out"], "none")
    on = np.where(kind == "none", NEVER, rng.integers(calendar.first_day, calendar.last_day + 1, n)).astype(np.int32)
    inside = kind == "internal"
    target = rng.choice(len(area.codes), inside.sum(), p=area.people / area.people.sum())
    where = np.concatenate([place, target])
    later = np.arange(n)
    later[inside] = n + np.arange(inside.sum())
    wards = np.clip(np.round(area.real_people / (area.real_people.sum() / POSYANDU)), 3, None).astype(int)
    rw = 1 + (rng.random(len(where)) * wards[where]).astype(int)
    dwellings = Dwellings(
        place=where.astype(np.int16),
        rt=rng.integers(1, 8, len(where)),
        rw=rw,
        posyandu=_posyandu(rw),
        address=names.addresses(rng, len(where)),
    )
    issued = calendar.first_day - 30 - (rng.random(n) * 12 * YEAR).astype(int)
    prefix = pa.array([code.replace(".", "") for code in area.kecamatan_codes]).take(pa.array(place))
    families = Families(place, wealth, np.arange(n), later, kind, on, numbers(prefix, issued, np.zeros(n, bool)))
    return families, dwellings


def _posyandu(rw: np.ndarray) -> pa.Array:
    words = pa.array(names.POSYANDU).take(pa.array((rw - 1) % len(names.POSYANDU)))
    return pc.binary_join_element_wise(words, pa.array((rw - 1) // len(names.POSYANDU) + 1).cast(pa.string()), " ")


def _persons(area: Kelurahan, calendar: Calendar, families: Families, members: np.ndarray, seed: int) -> Persons:
    rng = stream(seed, "persons")
    n = len(members)
    family, relation = members["family"], members["relation"]
    born = (calendar.last_day - members["age"] * YEAR).astype(np.int32)
    female = _balanced(rng, members, calendar)
    index = np.arange(n)
    first = np.full((2, len(families.place)), -1)
    for row, sex in enumerate((True, False)):
        parent = ((relation == HEAD) | (relation == SPOUSE)) & (female == sex)
        first[row, family[parent]] = index[parent]
    is_child = relation == CHILD
    return Persons(
        family=family,
        relation=relation,
        is_female=female,
        born=born,
        died=_deaths(rng, calendar, born),
        mother=np.where(is_child, first[0, family], -1),
        father=np.where(is_child, first[1, family], -1),
        name=names.full_names(rng, female),
        home=pa.nulls(n, pa.string()),
        **_registration(rng, calendar, born, female, _birth_codes(rng, area, families.place[family], calendar, born)),
    )


def _balanced(rng: np.random.Generator, members: np.ndarray, calendar: Calendar) -> np.ndarray:
    """Turn a few members outside couples, so that the city has the published share of men."""
    female = members["female"].copy()
    free = np.isin(members["relation"], (CHILD, OTHER, PARENT))
    surplus = round((1 - MALE_SHARE) * len(female)) - int(female.sum())
    candidates = np.nonzero(free & (female == (surplus < 0)))[0]
    female[rng.permutation(candidates)[: abs(surplus)]] = surplus > 0
    return female


def _deaths(rng: np.random.Generator, calendar: Calendar, born: np.ndarray) -> np.ndarray:
    age = (calendar.last_day - born) / YEAR
    hazard = np.where(age < 1, 0.008, 0.0004 + 0.00003 * np.exp(0.088 * age))
    dies = rng.random(len(born)) < 1 - np.exp(-hazard * calendar.years)
    start = np.maximum(born + 1, calendar.first_day)
    on = start + (rng.random(len(born)) * (calendar.last_day - start + 1)).astype(int)
    return np.where(dies & (start <= calendar.last_day), on, NEVER).astype(np.int32)


def _birth_codes(
    rng: np.random.Generator, area: Kelurahan, place: np.ndarray, calendar: Calendar, born: np.ndarray
) -> tuple[pa.Array, pa.Array]:
    """First-issue region digits and birth place: the young mostly here, the old mostly elsewhere."""
    n = len(born)
    local = rng.random(n) < np.clip(0.97 - 0.012 * (calendar.last_day - born) / YEAR, 0.4, 1)
    here = pa.array([code.replace(".", "") for code in area.kecamatan_codes]).take(pa.array(place))
    away = pa.array(rng.integers(0, len(names.BORN_ELSEWHERE), n))
    codes, places = zip(*names.BORN_ELSEWHERE, strict=True)
    at = pa.array(local)
    return pc.if_else(at, here, pa.array(codes).take(away)), pc.if_else(at, "TANGERANG", pa.array(places).take(away))


def _registration(
    rng: np.random.Generator, calendar: Calendar, born: np.ndarray, female: np.ndarray, codes: tuple[pa.Array, pa.Array]
) -> dict[str, pa.Array | np.ndarray]:
    n = len(born)
    lag = np.where(rng.random(n) < 0.3, rng.integers(2, 8, n), 7 + rng.exponential(55, n)).astype(int)
    lag = np.where(rng.random(n) < 0.06, lag + rng.integers(120, 500, n), lag)
    recent = born > calendar.first_day - 2 * YEAR
    # In one NIK of 250 the birth date was written wrong at first issue; such a NIK is never issued again.
    birth_written = born - np.where(rng.random(n) < 0.004, rng.integers(1, 400, n), 0)
    return {
        "nik": numbers(codes[0], birth_written, female),
        "nik_issued": np.where(recent, born + lag, born).astype(np.int32),
        "birth_place": codes[1],
    }


def numbers(prefix: pa.Array, day: np.ndarray, female: np.ndarray) -> pa.Array:
    """16-digit numbers: six digits of region, DDMMYY (day + 40 for women), serial; no two alike."""
    moment = day.astype("datetime64[D]")
    months = moment.astype("datetime64[M]")
    day_of_month = (moment - months).astype(int) + 1 + 40 * np.asarray(female)
    month = months.astype(int) % 12 + 1
    year = (months.astype("datetime64[Y]").astype(int) + 1970) % 100
    region = pc.cast(prefix, pa.int64()).to_numpy()
    stem = ((region * 100 + day_of_month) * 100 + month) * 100 + year
    order = np.argsort(stem, kind="stable")
    stems = stem[order]
    is_new = np.concatenate([[True], stems[1:] != stems[:-1]]) if len(stem) else np.zeros(0, bool)
    starts = np.maximum.accumulate(np.where(is_new, np.arange(len(stem)), 0))
    serial = np.empty(len(stem), np.int64)
    serial[order] = np.arange(len(stem)) - starts
    return pa.array(stem * 10_000 + _FIRST_SERIAL + serial).cast(pa.string())


def add_outsiders(persons: Persons, calendar: Calendar, seed: int, adults: int, children: int) -> Persons:
    """People who live elsewhere and meet the city's agencies: commuters, and children weighed at a posyandu here."""
    rng = stream(seed, "outsiders")
    n = adults + children
    years = np.concatenate([rng.uniform(19, 57, adults), rng.uniform(0, 6, children)])
    female = rng.random(n) < 0.42
    born = (calendar.last_day - years * YEAR).astype(np.int32)
    homes = pa.array(["KAB. TANGERANG", "KOTA TANGERANG SELATAN", "KOTA JAKARTA BARAT"])
    home = homes.take(pa.array(rng.choice(3, n, p=[0.6, 0.2, 0.2])))
    codes = pa.array(["360317", "367403", "317305"]).take(pc.index_in(home, homes))
    # The stems of people from elsewhere differ from all others, so their numbers cannot meet a resident's.
    other = _registration(rng, calendar, born, female, (codes, pc.replace_substring(home, "KAB. ", "")))
    no_person = np.full(n, -1)
    return Persons(
        family=np.concatenate([persons.family, no_person]),
        relation=np.concatenate([persons.relation, np.zeros(n, np.int8)]),
        is_female=np.concatenate([persons.is_female, female]),
        born=np.concatenate([persons.born, born]),
        died=np.concatenate([persons.died, np.full(n, NEVER)]),
        mother=np.concatenate([persons.mother, no_person]),
        father=np.concatenate([persons.father, no_person]),
        nik=_joined(persons.nik, other["nik"]),
        nik_issued=np.concatenate([persons.nik_issued, other["nik_issued"]]),
        name=_joined(persons.name, names.full_names(rng, female)),
        birth_place=_joined(persons.birth_place, other["birth_place"]),
        home=_joined(persons.home, home),
    )


def _joined(left: pa.Array, right: pa.Array) -> pa.Array:
    return pa.chunked_array([left, right]).combine_chunks()
