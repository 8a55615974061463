"""The truth of a drawn city as tables: what ``city/*.parquet`` holds.

Here: columns and types. Not here: who stands in which rendered row (corruption.TruthLog), drawing (draw).
"""

import numpy as np
import pyarrow as pa

from warehouse.sandbox import growth, work
from warehouse.sandbox.draw import City
from warehouse.sandbox.people import NEVER


def _index(values: np.ndarray) -> pa.Array:
    """Row numbers as INT32; -1 becomes null."""
    return pa.array(values.astype(np.int32), mask=values < 0)


def tables(city: City) -> dict[str, pa.Table]:
    """The truth, one table a file."""
    families, persons, dwellings = city.families, city.persons, city.dwellings
    person_id = np.arange(len(persons), dtype=np.int32)
    codes = pa.array(city.area.codes)
    movers = np.nonzero(families.move_kind != "none")[0]
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
                "family_id": movers.astype(np.int32),
                "kind": pa.array(families.move_kind[movers]),
                "moved_on": days_to_dates(families.moved_on[movers]),
                "from_dwelling_id": families.dwelling[movers].astype(np.int32),
                "to_dwelling_id": families.later_dwelling[movers].astype(np.int32),
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


def days_to_dates(days: np.ndarray) -> pa.Array:
    """DATE column; NEVER becomes null."""
    days = np.asarray(days)
    return pa.array(days.astype(np.int32), pa.int32(), mask=days == NEVER).cast(pa.date32())
