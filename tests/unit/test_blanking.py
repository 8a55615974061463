"""A blanked record is gone from the bytes, wherever its values stood, and every other record keeps its place."""

import io
import tarfile
import zipfile

import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st

from tests.support import samples
from warehouse.intake.blanking import CannotBlank, blank
from warehouse.intake.parse import Parsed, parse

PERSONAL = ("kemenkes/eppgbm", "bps/social_registry_individuals", "kemensos/assistance", "bpjstk/participants")
SHAPES = [(name, shape) for name in PERSONAL for shape in samples.contracts()[name].extras.shapes]


def rows_of(parsed: Parsed) -> dict[tuple[str | None, int], dict]:
    rows = parsed.table.to_pylist()
    return {(row["source_part"], row["source_row"]): row for row in rows}


def blanked(dataset: str, data: bytes, media: str, places: set) -> tuple[bytes, dict]:
    contract = samples.contracts()[dataset]
    shape = next(s for s in contract.extras.shapes if s.name == parse(contract, data, media).shape)
    made = blank(contract, shape, data, media, places)
    return made, rows_of(parse(contract, made, media))


@pytest.mark.parametrize(("dataset", "shape"), SHAPES, ids=lambda value: getattr(value, "name", value))
def test_the_others_stay_as_they_were(dataset, shape):
    contract = samples.contracts()[dataset]
    data, media = samples.as_file(dataset, samples.good_rows(dataset), shape.name)
    before = rows_of(parse(contract, data, media))
    place = sorted(before, key=str)[1]
    made, after = blanked(dataset, data, media, {place})
    assert after == {key: row for key, row in before.items() if key != place}
    for column in contract.identity_columns:
        value = before[place][column.name]
        if value and len(value) > 5 and value not in {row[column.name] for row in after.values()}:
            assert value.encode() not in everything(made), column.name


def everything(data: bytes) -> bytes:
    """A file's bytes, unpacked where it is an archive."""
    if data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return b"\n".join(archive.read(name) for name in archive.namelist())
    return data


CELLS = st.text(st.sampled_from('ab;," \r\n'), max_size=6)


@given(rows=st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=6), data=st.data())
def test_text_of_any_quoting_keeps_its_records(rows, data):
    dataset = "kemenkes/eppgbm"
    good = samples.good_rows(dataset)
    sent = [good[n % len(good)] | {"nama": f"n{a}", "posyandu": f"p{b}"} for n, (a, b) in enumerate(rows)]
    text, media = samples.as_file(dataset, sent, "sigizi_csv")
    contract = samples.contracts()[dataset]
    before = rows_of(parse(contract, text, media))
    places = data.draw(st.sets(st.sampled_from(sorted(before, key=str)), max_size=len(before) - 1))
    _, after = blanked(dataset, text, media, places)
    assert after == {key: row for key, row in before.items() if key not in places}


def test_a_value_others_have_too_stays_with_them():
    dataset = "kemenkes/eppgbm"
    rows = samples.every(samples.good_rows(dataset), nama_ortu="Orang Tua Sama")
    data, media = samples.as_file(dataset, rows, "sigizi_xlsx")
    before = rows_of(parse(samples.contracts()[dataset], data, media))
    place = min(before)
    _, after = blanked(dataset, data, media, {place})
    assert {row["nama_ortu"] for row in after.values()} == {"Orang Tua Sama"}


def test_comments_on_a_blanked_row_go_with_it():
    header = list(samples.good_rows("kemenkes/eppgbm")[0])
    contract = samples.contracts()["kemenkes/eppgbm"]
    names = {column.name: column.header for column in contract.file_columns}
    file = io.BytesIO()
    with xlsxwriter.Workbook(file) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, [names[name] for name in header])
        for number, row in enumerate(samples.good_rows("kemenkes/eppgbm"), start=1):
            sheet.write_row(number, 0, [row[name] for name in header])
            sheet.write_comment(number, 1, f"remark on {number}")
    made, after = blanked("kemenkes/eppgbm", file.getvalue(), "xlsx", {("sheet 1", 3)})
    assert b"remark on 2" not in everything(made)
    assert b"remark on 1" in everything(made)
    assert len(after) == len(samples.good_rows("kemenkes/eppgbm")) - 1


def test_answers_keep_every_digit_and_every_page():
    one = (
        b'{"data": [{"nik": "1", "iuran": 16800.00}, {"nik" : "2", "x": 1.10}], "data": [ {"nik": "3"} , {"nik":"4"} ]}'
    )
    two = b'{"meta": {"data": []}, "data":[]}'
    three = b'{"data":[{"nik":"5","iuran":0.10}]}'
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:", format=tarfile.USTAR_FORMAT) as archive:
        for number, page in enumerate((one, two, three), start=1):
            info = tarfile.TarInfo(f"page-{number:05d}.json")
            info.size = len(page)
            archive.addfile(info, io.BytesIO(page))
    contract = samples.contracts()["bpjstk/participants"]
    shape = contract.extras.shapes[0]
    made = blank(contract, shape, file.getvalue(), "pages", {(None, 2), (None, 3)})
    with tarfile.open(fileobj=io.BytesIO(made)) as archive:
        pages = [archive.extractfile(member).read() for member in archive]
    assert pages == [one.replace(b'{"nik":"4"}', b"{}"), two, b'{"data":[{}]}']


def test_what_has_another_shape_is_not_guessed_at():
    contract = samples.contracts()["bpjstk/participants"]
    with pytest.raises(CannotBlank):
        blank(contract, contract.extras.shapes[0], b'{"data": 5}', "json", {(None, 1)})
    with pytest.raises(CannotBlank):
        blank(contract, contract.extras.shapes[0], b'{"rows": []}', "json", {(None, 1)})
