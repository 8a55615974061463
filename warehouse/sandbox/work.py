"""What people do for a living, their memberships of BPJS Ketenagakerjaan, and the police's outreach sessions.

Here: who works at what, who is insured when, the planted effect of the sessions. Not here: the files (render).
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.sandbox.margins import EMPLOYED_SHARE, EMPLOYERS, JAMSOSTEK, OUTREACH_KECAMATAN, POPULATION, Kelurahan
from warehouse.sandbox.people import CHILD, NEVER, SERVANT, YEAR, Calendar, Families, Persons, stream

PBPU_STATUSES = (1, 2, 6, 7)
_WAGE_STATUSES = (3, 4, 5)
# Of employed residents, by status 1..8 of DTSEN; PBPU (1, 2, 6, 7) come to 27%.
_STATUS_SHARES = (0.16, 0.05, 0.03, 0.63, 0.05, 0.003, 0.05, 0.027)
# Sector weights by group of statuses: an industrial city of factories, shops and transport.
_SECTORS = {
    "own": {1: 1, 2: 1, 5: 1, 8: 6, 11: 3, 12: 48, 13: 22, 14: 10, 18: 1, 24: 7},
    "wage": {
        8: 38,
        9: 1,
        10: 1,
        11: 4,
        12: 17,
        13: 11,
        14: 6,
        15: 2,
        16: 3,
        17: 1,
        18: 3,
        19: 3,
        22: 3,
        23: 1,
        24: 4,
        25: 2,
    },
    "state": {20: 45, 21: 35, 22: 12, 9: 4, 16: 4},
    "casual": {1: 8, 11: 52, 13: 18, 12: 8, 24: 9, 25: 5},
}
_GROUP_OF_STATUS = {1: "own", 2: "own", 3: "own", 4: "wage", 5: "state", 6: "casual", 7: "casual", 8: "own"}
# Part of each segment living outside the city, and part of residents' BPU that the registry does not call PBPU: ours.
_OUTSIDER_SHARE = {"PU": 0.24, "BPU": 0.15, "JAKON": 0.5, "PMI": 0.1}
_BPU_NOT_PBPU_SHARE = 0.24
# Monthly chance that a membership lapses, and monthly entries as a share of the stock.
_LAPSE = {"PU": 0.007, "BPU": 0.012, "JAKON": 0.05, "PMI": 0.02}
_ENTRY = {"PU": 0.009, "BPU": 0.015, "JAKON": 0.05, "PMI": 0.02}
_LAPSED_STOCK = 0.07
_BRANCH_OF_KECAMATAN = {
    **dict.fromkeys(("36.71.03", "36.71.04", "36.71.10", "36.71.05"), "batuceper"),
    **dict.fromkeys(("36.71.07", "36.71.08", "36.71.09", "36.71.02"), "cimone"),
}
BRANCHES = ("batuceper", "cikokol", "cimone")
_WINDOW_DAYS = 183
OUTREACH_KINDS = ("Pedagang", "Ojek pangkalan", "Sopir angkot", "Pekerja rumah tangga", "Buruh harian lepas", "Lainnya")


@dataclass
class Workers:
    """One row per employed resident aged 15 and over; codes of DTSEN."""

    person: np.ndarray
    status: np.ndarray
    sector: np.ndarray

    @property
    def is_pbpu(self) -> np.ndarray:
        return np.isin(self.status, PBPU_STATUSES)


@dataclass
class Participations:
    """One row per membership. Months count from the window's first; a lapse at or before -12 is out of the feed."""

    person: np.ndarray
    segment: np.ndarray
    no_kpj: pa.Array
    npp: pa.Array
    branch: np.ndarray
    program: np.ndarray
    payer: np.ndarray
    started: np.ndarray
    lapse_month: np.ndarray
    return_month: np.ndarray
    wage: np.ndarray
    is_planted: np.ndarray

    def is_active(self, month: int) -> np.ndarray:
        return (self.lapse_month > month) | (self.return_month <= month)

    def is_in_feed(self, month: int, last_day: int) -> np.ndarray:
        """Registered by then, and active or lapsed less than twelve months ago."""
        return (self.started <= last_day) & (self.is_active(month) | (self.lapse_month > month - 12))


@dataclass
class Sessions:
    """One row per session, segment and kind of worker."""

    session: np.ndarray
    place: np.ndarray
    day: np.ndarray
    segment: np.ndarray
    kind: np.ndarray
    attended: np.ndarray
    registered: np.ndarray


def make_workers(persons: Persons, families: Families, calendar: Calendar, seed: int) -> Workers:
    """Employ residents by age and sex up to the employed share of the population."""
    rng = stream(seed, "workers")
    age = persons.age_years(calendar.last_day)
    weight = np.interp(
        age, [14.9, 15, 18, 22, 26, 50, 58, 65, 75, 90], [0, 0.06, 0.4, 0.75, 0.93, 0.93, 0.75, 0.4, 0.1, 0]
    )
    weight = weight * np.where(persons.is_female, 0.58, 1.0) * persons.is_resident
    weight[persons.relation == SERVANT] = 1.0
    living = persons.is_resident & (persons.died == NEVER)
    chance = weight * living
    for _ in range(4):
        chance = np.minimum(chance * (EMPLOYED_SHARE * living.sum() / chance.sum()), 0.985)
    (person,) = np.nonzero(rng.random(len(persons)) < chance)
    wealth = families.wealth[persons.family[person]]
    status = _statuses(rng, wealth, persons.relation[person])
    sector = np.zeros(len(person), np.int8)
    for group, shares in _SECTORS.items():
        inside = np.isin(status, [code for code, name in _GROUP_OF_STATUS.items() if name == group])
        sector[inside] = rng.choice(
            list(shares), inside.sum(), p=np.array(list(shares.values())) / sum(shares.values())
        )
    sector[status == 6] = 1
    servant = persons.relation[person] == SERVANT
    status[servant], sector[servant] = 4, 25
    return Workers(person, status, sector)


def _statuses(rng: np.random.Generator, wealth: np.ndarray, relation: np.ndarray) -> np.ndarray:
    # Draw the published-like shares, then let the poorer take the casual jobs and the richer the state's.
    n = len(wealth)
    status = rng.choice(np.arange(1, 9), n, p=_STATUS_SHARES)
    rank_of = {7: 0, 6: 0, 1: 1, 2: 1, 8: 1, 4: 2, 3: 3, 5: 3}
    rank = np.array([rank_of[code] for code in range(1, 9)])[status - 1] + rng.normal(0, 1.6, n)
    statuses = np.empty(n, np.int8)
    statuses[np.argsort(wealth + rng.normal(0, 0.6, n), kind="stable")] = status[np.argsort(rank, kind="stable")]
    family_worker = (statuses == 8) & (relation != CHILD) & (rng.random(n) < 0.5)
    statuses[family_worker] = 1
    return statuses


def make_participations(
    area: Kelurahan,
    calendar: Calendar,
    persons: Persons,
    families: Families,
    workers: Workers,
    seed: int,
    planted: np.ndarray,
    planted_day: np.ndarray,
) -> Participations:
    """Stock at the window's start, entries and lapses after it, and the planted registrations on top."""
    share = persons.is_resident.sum() / POPULATION
    rng = stream(seed, "participations")
    age = persons.age_years(calendar.first_day)
    outsiders = rng.permutation(np.nonzero(~persons.is_resident & (age >= 18))[0])
    taken_outside = 0
    pools = _pools(rng, persons, workers, age, planted)
    blocks = []
    for name, figure in JAMSOSTEK.items():
        # The published count is met at the end of the first month, after its entries.
        stock = figure * share / (1 + _ENTRY[name])
        entries = stock * _ENTRY[name] * len(calendar.months)
        total = stock + entries + stock * _LAPSED_STOCK
        outside = min(round(total * _OUTSIDER_SHARE[name]), len(outsiders) - taken_outside)
        inside = pools[name][: round(total) - outside]
        person = np.concatenate([inside, outsiders[taken_outside : taken_outside + outside]])
        taken_outside += outside
        blocks.append(_segment(rng, calendar, name, rng.permutation(person), stock, entries))
    blocks.append(_planted(planted, planted_day))
    person, segment, started, lapse, back, is_planted = (
        np.concatenate([block[column] for block in blocks]) for column in range(6)
    )
    lapse, back = _lapses(rng, calendar, segment, started, lapse, back)
    return Participations(
        person=person,
        segment=segment,
        started=started.astype(np.int32),
        lapse_month=lapse.astype(np.int32),
        return_month=back.astype(np.int32),
        is_planted=is_planted,
        **_terms(rng, area, persons, families, person, segment, started, share),
    )


def outsiders_needed(residents: int, calendar: Calendar) -> int:
    """How many commuters the segments take, with a little to spare."""
    growth = 1.0 + _LAPSED_STOCK + max(_ENTRY[s] for s in ("PU", "BPU")) * len(calendar.months)
    target = sum(JAMSOSTEK[s] * _OUTSIDER_SHARE[s] for s in JAMSOSTEK) * residents / POPULATION
    return int(target * growth * 1.25) + 20


def _pools(
    rng: np.random.Generator, persons: Persons, workers: Workers, age: np.ndarray, planted: np.ndarray
) -> dict[str, np.ndarray]:
    """Residents each segment draws from, in random order; BPU mixes PBPU with people the registry calls otherwise."""
    adult = (age >= 15) & (age < 65) & persons.is_resident & (persons.died == NEVER)
    free = np.ones(len(persons), bool)
    free[planted] = False
    usable = workers.person[(adult & free)[workers.person]]
    status = np.zeros(len(persons), np.int8)
    status[workers.person] = workers.status
    sector = np.zeros(len(persons), np.int8)
    sector[workers.person] = workers.sector
    wage = rng.permutation(usable[np.isin(status[usable], _WAGE_STATUSES)])
    builders = wage[sector[wage] == 11]
    own = rng.permutation(usable[np.isin(status[usable], PBPU_STATUSES)])
    others = rng.permutation(np.nonzero(adult & free & ~np.isin(status, PBPU_STATUSES) & (status != 4))[0])
    spread = len(own) + len(others)
    order = np.concatenate(
        [np.arange(len(own)) / (1 - _BPU_NOT_PBPU_SHARE), np.arange(len(others)) / _BPU_NOT_PBPU_SHARE]
    )
    bpu = np.concatenate([own, others])[np.argsort(order, kind="stable")]
    return {
        "PU": wage[sector[wage] != 11],
        "BPU": bpu[:spread],
        "JAKON": np.concatenate([builders, rng.permutation(own[sector[own] == 11])]),
        "PMI": rng.permutation(others),
    }


def _segment(
    rng: np.random.Generator, calendar: Calendar, segment: str, person: np.ndarray, stock: float, entries: float
) -> tuple[np.ndarray, ...]:
    """Columns person, segment, started, lapse, return, is_planted; the stock first, then entries, then the lapsed."""
    n = len(person)
    scale = n / max(stock + entries + stock * _LAPSED_STOCK, 1)
    old, new = round(stock * scale), round(entries * scale)
    started = calendar.first_day - 1 - (rng.exponential(2.8 * YEAR, n)).astype(int)
    started[old : old + new] = rng.integers(calendar.first_day, calendar.last_day + 1, len(started[old : old + new]))
    lapse = np.full(n, NEVER, np.int64)
    lapse[old + new :] = rng.integers(-11, 1, len(lapse[old + new :]))
    started[old + new :] = np.minimum(started[old + new :], calendar.first_day - 400)
    return person, np.full(n, segment), started, lapse, np.full(n, NEVER, np.int64), np.zeros(n, bool)


def _planted(person: np.ndarray, day: np.ndarray) -> tuple[np.ndarray, ...]:
    never = np.full(len(person), NEVER, np.int64)
    return person, np.full(len(person), "BPU"), day, never, never.copy(), np.ones(len(person), bool)


def _lapses(
    rng: np.random.Generator,
    calendar: Calendar,
    segment: np.ndarray,
    started: np.ndarray,
    lapse: np.ndarray,
    back: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    rate = np.array([_LAPSE[name] for name in JAMSOSTEK])[
        np.argmax(segment[:, None] == np.array(list(JAMSOSTEK)), axis=1)
    ]
    first = np.maximum(np.searchsorted(calendar.starts, started, side="right"), 1)
    after = first + np.floor(np.log(rng.random(len(rate))) / np.log(1 - rate)).astype(int)
    lapse = np.where((lapse == NEVER) & (after < len(calendar.months)), after, lapse)
    returns = (lapse != NEVER) & (lapse > 0) & (rng.random(len(rate)) < 0.15)
    return lapse, np.where(returns, lapse + rng.integers(2, 5, len(rate)), back)


def _terms(
    rng: np.random.Generator,
    area: Kelurahan,
    persons: Persons,
    families: Families,
    person: np.ndarray,
    segment: np.ndarray,
    started: np.ndarray,
    share: float,
) -> dict[str, pa.Array | np.ndarray]:
    n = len(person)
    is_pu, is_bpu = segment == "PU", segment == "BPU"
    firms = max(int(EMPLOYERS * share), 3)
    size = 1 / np.arange(1, firms + 1) ** 0.85
    firm = rng.choice(firms, n, p=size / size.sum())
    firm_branch = rng.choice(3, firms, p=[0.28, 0.38, 0.34])
    home = np.array([BRANCHES.index(_BRANCH_OF_KECAMATAN.get(code, "cikokol")) for code in area.kecamatan_codes])
    family = persons.family[person]
    resident = family >= 0
    near = np.where(resident, home[families.place[np.maximum(family, 0)]], rng.integers(0, 3, n))
    project = rng.integers(0, max(int(60 * share) + 2, 2), n)
    npp = np.select([is_pu, segment == "JAKON"], [11_000_000 + firm * 7, 88_000_000 + project * 3], 0)
    full = rng.random(n)
    program = np.select(
        [is_pu & (full < 0.72), is_pu, is_bpu & (full < 0.2), segment == "PMI"],
        ["JKK,JKM,JHT,JP,JKP", "JKK,JKM,JHT", "JKK,JKM,JHT", "JKK,JKM,JHT"],
        "JKK,JKM",
    )
    # The city budgets about 48 thousand vulnerable workers (July 2024) of its 238 thousand BPU.
    paid_by_city = is_bpu & resident & (rng.random(n) < 0.24) & (program == "JKK,JKM")
    year = (started.astype("datetime64[D]").astype("datetime64[Y]").astype(int) + 1970) % 100
    serial = rng.permutation(n) + 1
    return {
        "no_kpj": pc.utf8_lpad(pa.array(year * 10**9 + serial).cast(pa.string()), 11, "0"),
        "npp": pc.if_else(pa.array(npp > 0), pa.array(npp).cast(pa.string()), None),
        "branch": np.where(is_pu, firm_branch[firm], near),
        "program": program,
        "payer": np.select(
            [is_pu, segment == "JAKON", paid_by_city], ["PEMBERI KERJA", "PEMBERI KERJA", "APBD"], "SENDIRI"
        ),
        "wage": np.round(5_069_708 * np.exp(0.28 * rng.standard_normal(n)) / 1000) * 1000,
    }


def contribution(p: Participations, rows: np.ndarray, paid_for: np.ndarray) -> np.ndarray:
    """Rupiah of the month ``paid_for`` (``2026-01``).

    From January 2026 JKK and JKM of self-paying BPU are halved (PP 50/2025), not where APBD pays.
    """
    halved = paid_for >= "2026-01"
    wage = p.wage[rows]
    pu = wage * np.where(p.program[rows] == "JKK,JKM,JHT", 0.0624 + 0.003, 0.0624 + 0.003 + 0.03)
    basic = np.where((p.payer[rows] == "SENDIRI") & halved, 8_400, 16_800)
    bpu = basic + np.where(p.program[rows] == "JKK,JKM,JHT", 20_000, 0)
    amount = np.select(
        [p.segment[rows] == "PU", p.segment[rows] == "BPU", p.segment[rows] == "JAKON"],
        [pu, bpu, wage * 0.0021],
        50_000,
    )
    rupiah: np.ndarray = np.round(amount).astype(np.int64)
    return rupiah


def make_sessions(area: Kelurahan, calendar: Calendar, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(kelurahan, day) of each session: from the window's seventh month, every second week, in the outreach area's
    peopled kelurahan."""
    rng = stream(seed, "sessions")
    begin = calendar.starts[min(6, len(calendar.months) // 2)]
    sessions = []
    for place, code in enumerate(area.kecamatan_codes):
        if code in OUTREACH_KECAMATAN and area.is_peopled[place]:
            days = np.arange(begin + rng.integers(0, 20), calendar.last_day - 1, 14)
            sessions.append(
                np.stack([np.full(len(days), place), days + rng.integers(0, 3, len(days)) * (days > days[0])])
            )
    place, day = np.concatenate(sessions, axis=1)
    order = np.lexsort((place, day))
    return place[order], day[order]


def plant(
    calendar: Calendar,
    persons: Persons,
    families: Families,
    workers: Workers,
    sessions: tuple[np.ndarray, np.ndarray],
    effect: float,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Persons and days of the extra BPU registrations: ``effect`` per 1,000 PBPU residents within 183 days of the first
    session in their kelurahan, each 1 to 30 days after a session there."""
    rng = stream(seed, "planted")
    place, day = sessions
    age = persons.age_years(calendar.first_day)
    own = workers.person[workers.is_pbpu]
    own = own[(age[own] >= 18) & (age[own] < 62) & (families.move_kind[persons.family[own]] == "none")]
    people, days = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for kelurahan in np.unique(place):
        here = own[families.place[persons.family[own]] == kelurahan]
        here_days = day[place == kelurahan]
        last = min(here_days[0] + _WINDOW_DAYS, calendar.last_day)
        base = workers.person[workers.is_pbpu]
        target = effect * (families.place[persons.family[base]] == kelurahan).sum() / 1000
        count = min(int(target + rng.random()), len(here))
        picks = rng.permutation(here)[:count]
        session_days = rng.choice(here_days[here_days < last], count) if count else np.zeros(0, np.int64)
        people.append(picks)
        days.append(np.minimum(session_days + rng.integers(1, 31, count), last))
    return np.concatenate(people), np.concatenate(days)


def attendance(
    calendar: Calendar,
    persons: Persons,
    families: Families,
    participations: Participations,
    sessions: tuple[np.ndarray, np.ndarray],
    seed: int,
) -> Sessions:
    """Who came, by segment and kind, and the registrations the police report: near the true ones, not equal."""
    rng = stream(seed, "attendance")
    place, day = sessions
    new = (participations.segment == "BPU") & (participations.started >= calendar.first_day)
    new &= persons.family[participations.person] >= 0
    home = families.place[np.maximum(persons.family[participations.person], 0)]
    true = np.array(
        [
            (new & (home == p) & (participations.started > d) & (participations.started <= d + 14)).sum()
            for p, d in zip(place, day, strict=True)
        ]
    )
    rows = len(OUTREACH_KINDS) + 1
    weights = rng.dirichlet(np.full(rows - 1, 2.0), len(place))
    said = np.round(true[:, None] * weights * rng.uniform(0.7, 1.4, (len(place), 1))).astype(int)
    headcounts = np.round(said / rng.uniform(0.15, 0.4, said.shape)).astype(int) + rng.integers(1, 6, said.shape)
    factory = rng.integers(0, 9, (len(place), 1))
    return Sessions(
        session=np.repeat(np.arange(len(place)), rows),
        place=np.repeat(place, rows),
        day=np.repeat(day, rows),
        segment=np.tile(np.array(["BPU"] * (rows - 1) + ["PU"]), len(place)),
        kind=np.tile(np.array([*OUTREACH_KINDS, "Buruh pabrik"]), len(place)),
        attended=np.concatenate([headcounts, factory], axis=1).ravel(),
        registered=np.concatenate([said, np.minimum(factory, rng.integers(0, 2, factory.shape))], axis=1).ravel(),
    )
