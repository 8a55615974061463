"""No exported cell runs as a formula, and numbers stay numbers."""

import csv
import io
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.core import csv_export
from warehouse.core.csv_export import harmless, write_csv


@pytest.mark.parametrize(
    "cell",
    ["=1+1", "+SUM(A1)", "-2+3", "@SUM(A1)", "\tx", "\rx", " =1", "=cmd|' /C calc'!A0", "＝1", "-", "+62 812"],
)
def test_what_would_run_is_text(cell):
    assert harmless(cell) == f"'{cell}"


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("\t=1", "'\t'=1"),
        ("jalan; =1+1", "jalan;' =1+1"),
        ('a"=1', "a\"'=1"),
        ("x;y\t@SUM(A1)", "x;y\t'@SUM(A1)"),
        ("baris\n=1", "baris\n'=1"),
        ("a,=1|-2+3", "a,'=1|'-2+3"),
    ],
)
def test_nor_does_what_follows_another_countrys_separator(cell, written):
    assert harmless(cell) == written


@pytest.mark.parametrize("cell", ["-0.5", "+3", "-1,25", "1e-5", "36.71.01", "Benda", "", 3, -0.5, None, "a=b", "x-1"])
def test_the_rest_stays_as_it_is(cell):
    assert harmless(cell) == cell


@given(st.lists(st.lists(st.text(max_size=8), min_size=1, max_size=3), max_size=4))
def test_no_written_cell_begins_a_formula(rows):
    file = io.StringIO()
    write_csv(file, rows)
    for row in csv.reader(io.StringIO(file.getvalue(), newline="")):
        for cell in row:
            assert cell.lstrip()[:1] not in {"=", "@"}
            assert cell[:1] not in {"\t", "\r", "\n"}
            numbers = re.fullmatch(r"[+-]?[0-9]+([.,][0-9]+)?([eE][+-]?[0-9]+)?", cell)
            assert numbers or not any(part.lstrip()[:1] in set("=+-@") for part in re.split(r'[,;|\t\r\n"]', cell))


def test_every_export_goes_through_it():
    source = Path(csv_export.__file__).parents[1]
    writers = ("csv.writer(", "csv.DictWriter(", "to_csv(", "FORMAT csv", "xlsxwriter")
    direct = {
        str(path.relative_to(source))
        for path in source.rglob("*.py")
        if "sandbox" not in path.parts and any(one in path.read_text(encoding="utf-8") for one in writers)
    }
    assert direct == {"core/csv_export.py"}
