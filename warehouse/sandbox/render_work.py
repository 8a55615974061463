"""What BPJS Ketenagakerjaan and the police hold: members by month and branch, and outreach sheets by polsek and month.

Here: the layouts. Not here: who is a member and when (work), the API that pages them (http_agencies).
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from warehouse.sandbox import files
from warehouse.sandbox.corruption import Persona, TruthLog, personas, truth_log
from warehouse.sandbox.draw import City, Progress
from warehouse.sandbox.margins import read_seed
from warehouse.sandbox.people import stream
from warehouse.sandbox.places import Spellings
from warehouse.sandbox.work import BRANCHES, contribution

# Building projects register crews by head count; many of their workers come without a NIK.
_JAKON_WITHOUT_NIK = 0.3
_IDENTITY = {"name": "nama", "nik": "nik", "birth_date": "tgl_lahir"}
_OUTREACH_HEADER = (
    "No", "Tanggal", "Sesi", "Kelurahan", "Segmen", "Jenis Pekerja", "Jumlah Hadir", "Jumlah Mendaftar",
)  # fmt: skip


def render(city: City, home: Path, say: Progress) -> None:
    """Write ``holdings/http/bpjstk`` and ``holdings/sftp/polres``, and the truth of the members' rows."""
    persona = personas(city.persons, "bpjstk", city.seed)
    blank = stream(city.seed, "jakon").random(len(city.participations.person)) < _JAKON_WITHOUT_NIK
    blank &= city.participations.segment == "JAKON"
    with truth_log(home / "city", "bpjstk/participants") as log:
        for month, period in enumerate(city.calendar.months):
            _participants(city, persona, blank, home / "holdings" / "http" / "bpjstk" / "participants", log, month)
            say(f"Jamsostek {period.label}: members of {len(BRANCHES)} branches")
    _outreach(city, home / "holdings" / "sftp" / "polres" / "outreach")


def _participants(city: City, persona: Persona, blank: np.ndarray, folder: Path, log: TruthLog, month: int) -> None:
    p, persons = city.participations, city.persons
    period = city.calendar.months[month].label
    in_feed = p.is_in_feed(month, int(city.calendar.ends[month]))
    active = p.is_active(month)
    paid_for = _paid_for(city, month)
    for branch, name in enumerate(BRANCHES):
        rows = np.nonzero(in_feed & (p.branch == branch))[0]
        rows = rows[pc.sort_indices(p.no_kpj.take(pa.array(rows))).to_numpy()]
        person = p.person[rows]
        who = pa.array(person)
        no_kpj = p.no_kpj.take(pa.array(rows))
        born = pa.array(persona.born[person].astype(np.int32)).cast(pa.date32())
        table = pa.table(
            {
                "no_kpj": no_kpj,
                "nik": pc.if_else(pa.array(blank[rows]), None, persona.nik.take(who)),
                "nama": pc.utf8_upper(persona.name.take(who)),
                "tgl_lahir": pc.strftime(born, "%Y-%m-%d"),
                "jk": pa.array(np.where(persons.is_female[person], "P", "L")),
                "npp": p.npp.take(pa.array(rows)),
                "segmen": pa.array(p.segment[rows]),
                "program": pa.array(p.program[rows]),
                "status_aktif": pa.array(np.where(active[rows], "AKTIF", "NON AKTIF")),
                "tgl_kpj": pc.strftime(pa.array(p.started[rows].astype(np.int32)).cast(pa.date32()), "%Y-%m-%d"),
                "blth_iuran": pa.array(paid_for[rows]),
                "iuran": contribution(p, rows, paid_for[rows]),
                "pembayar": pa.array(p.payer[rows]),
            }
        )
        (folder / period).mkdir(parents=True, exist_ok=True)
        pq.write_table(table, folder / period / f"{name}.parquet", compression="zstd")
        log.links(period, name, person, persons.family[person], record_id=no_kpj)
        log.personas(period, name, persona, person, _IDENTITY, record_id=no_kpj, has_nik=~blank[rows])
        log.corrupted(period, name, "nik_missing", "nik", record_id=no_kpj.filter(pa.array(blank[rows])))


def _paid_for(city: City, month: int) -> np.ndarray:
    """``2026-10``: the month itself or the one before for active members, the month before the lapse for the others."""
    p = city.participations
    behind = stream(city.seed, "arrears", str(month)).random(len(p.person)) < 0.05
    first = city.calendar.months[0]
    labels = np.array([first.shift(back).label for back in range(-14, len(city.calendar.months))])
    index = np.where(p.is_active(month), month - behind, p.lapse_month - 1)
    # A newcomer's first month is the month of registration, however late the payment.
    start = np.searchsorted(city.calendar.starts, p.started, side="right") - 1
    floor = np.where(p.started >= city.calendar.first_day, start, -14)
    paid: np.ndarray = labels[np.clip(np.maximum(index, np.minimum(floor, month)), -14, month) + 14]
    return paid


def _outreach(city: City, folder: Path) -> None:
    sessions, spell = city.sessions, Spellings(city.area)
    kecamatan = np.array(city.area.kecamatan_codes)[sessions.place]
    units = [row for row in read_seed("service_units") if row["kind"] == "polsek"]
    for index, unit in enumerate(units):
        names = spell.kelurahan(np.arange(len(city.area.codes)), index % 3).to_pylist()
        form = "%d/%m/%Y" if index % 2 else "%Y-%m-%d"
        for month, period in enumerate(city.calendar.months):
            inside = (sessions.day >= city.calendar.starts[month]) & (sessions.day <= city.calendar.ends[month])
            here = np.nonzero((kecamatan == unit["kemendagri_code"]) & inside & (sessions.attended > 0))[0]
            days = pc.strftime(pa.array(sessions.day[here].astype(np.int32)).cast(pa.date32()), form).to_pylist()
            rows = [
                (line, day, 1, names[sessions.place[row]], str(sessions.segment[row]), str(sessions.kind[row]),
                 int(sessions.attended[row]), int(sessions.registered[row]))
                for line, (row, day) in enumerate(zip(here, days, strict=True), 1)
            ]  # fmt: skip
            title = f"LAPORAN PENYULUHAN BHABINKAMTIBMAS {unit['name'].upper()} {period.label}"
            path = folder / period.label / f"{unit['part']}.xlsx"
            files.write_xlsx(path, "Penyuluhan", [title], _OUTREACH_HEADER, rows)
