"""Typing as a contract declares: what text becomes, what stays unread, and that nothing is guessed."""

import math
from datetime import date

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.support.gate_helpers import column, context, contract, parsed
from warehouse.core import duck
from warehouse.core.errors import ConfigError
from warehouse.core.settings import Settings
from warehouse.intake.gate import regions, staging


@pytest.fixture(scope="module")
def s(tmp_path_factory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("staging"))


def stage(s: Settings, columns, rows) -> list[dict]:
    one = contract(columns)
    with duck.connect(s, sees_identifiers=True) as connection:
        regions.install(connection, s)
        staging.stage_rows(connection, one, {"d": parsed(one, rows)}, {"d": context()})
        return connection.execute("SELECT * FROM rows ORDER BY row_id").to_arrow_table().to_pylist()


def typed(s: Settings, column_, texts) -> list:
    return [row["x"] for row in stage(s, [column_], [{"x": text} for text in texts])]


@pytest.mark.parametrize(
    ("logical_type", "extras", "texts"),
    [
        (
            "integer",
            {},
            {
                "3": 3,
                "3.0": 3,
                " -7 ": -7,
                "3.5": None,
                "1,234": 1234,
                "1.000": None,
                "": None,
                "tiga": None,
                "1e3": None,
            },
        ),
        (
            "integer",
            {"decimal": "comma"},
            {"1.234": 1234, "12.345.678": 12345678, "1234,0": 1234, "1234,5": None, "12.34": None},
        ),
        (
            "number",
            {},
            {"10.5": 10.5, "1,234.5": 1234.5, "1.5E+2": 150.0, "10,5": None, "nan": None, "inf": None, "1e999": None},
        ),
        ("number", {"decimal": "comma"}, {"10,5": 10.5, "1.234,5": 1234.5, "10.5": None, "-2,1": -2.1}),
        ("number", {"decimal": "either"}, {"10,5": 10.5, "10.5": 10.5, "10": 10.0, "1.234,5": None}),
        (
            "number",
            {"decimal": "any"},
            {
                "736.000": None,
                "736,000": None,
                "1.234": None,
                "10,5": 10.5,
                "0.125": 0.125,
                "1234.567": 1234.567,
                "1.234.567": 1234567.0,
                "1,234,567": 1234567.0,
                "1.234,5": 1234.5,
                "1,234.5": 1234.5,
            },
        ),
        # All others write a decimal comma, so the point groups thousands; and the other way round.
        ("number", {"decimal": "any"}, {"736.000": 736000, "5,43": 5.43, "1.234.567": 1234567, "5,120": 5.12}),
        ("number", {"decimal": "any"}, {"736,000": 736000, "5.43": 5.43, "0.125": 0.125, "5.120": 5.12}),
        # Nobody writes three decimals that are none; and two cannot speak for three.
        ("number", {"decimal": "any"}, {"736.000": None, "5.43": 5.43, "0.5": 0.5}),
        ("number", {"decimal": "any"}, {"736.000": None, "392.827": None, "90.223": None, "5,43": 5.43, "6,5": 6.5}),
        (
            "number",
            {"decimal": "any", "unit": "IDR"},
            {"3.1": None, "3100": 3100, "3100.00": 3100, "1.234.567": 1234567},
        ),
        ("number", {"decimal": "either"}, {"8,8E+29": None, "-1e18": None, "1e17": 1e17}),
        (
            "integer",
            {},
            {"3,0": 3, "3.00": 3, "3.000000": 3, "9" * 19: None, "9" * 15: 10**15 - 1, "000000000000000007": 7},
        ),
        (
            "date",
            {},
            {
                "2026-10-03": date(2026, 10, 3),
                "2026-10-03 00:00:00": date(2026, 10, 3),
                "2026-10-03 23:59:48": date(2026, 10, 3),
                "2026-10-03T00:00:00Z": date(2026, 10, 3),
                # The fourth in Jakarta.
                "2026-10-03T17:00:00Z": None,
                "2026-10-03 25:00": None,
                "2026-13-01": None,
                "03/10/2026": None,
                "26-10-03": None,
                "0026-10-03": None,
                "3026-10-03": None,
                "infinity": None,
            },
        ),
        (
            "date",
            {"formats": ("%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y")},
            {"03/10/2026": date(2026, 10, 3), "10/23/2026": date(2026, 10, 23), "03/10/26": None, "05/10/1": None},
        ),
        ("boolean", {}, {"Ya": True, "tidak": False, "1": True, "0": False, "mungkin": None}),
        ("string", {}, {" a ": "a", "3671051001": "3671051001"}),
    ],
)
def test_text_becomes_the_declared_type_or_nothing(settings, logical_type, extras, texts):
    assert typed(settings, column("x", logical_type, **extras), texts) == list(texts.values())


# What is drawn stands in a column of each kind: one staging, as setting one up costs more than it does.
@hypothesis_settings(deadline=None, max_examples=20)
@given(st.lists(st.floats(-1e12, 1e12).map(lambda x: round(x, 3)), min_size=1, max_size=50))
def test_every_number_is_read_back_in_each_spelling(s, numbers):
    spelt = {
        "plain": (None, "{:.3f}"),
        "grouped": (None, "{:,.3f}"),
        "comma": ("comma", "{:.3f}"),
        "either": ("either", "{:.3f}"),
    }
    columns = [column(name, "number", **({"decimal": d} if d else {})) for name, (d, _) in spelt.items()]
    texts = [{name: pattern.format(n) for name, (_, pattern) in spelt.items()} for n in numbers]
    texts = [row | {name: row[name].replace(".", ",") for name in ("comma", "either")} for row in texts]
    found = stage(s, columns, texts)
    for name in spelt:
        assert [row[name] for row in found] == numbers, name


@hypothesis_settings(deadline=None, max_examples=20)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=1, max_size=30))
def test_no_text_breaks_the_staging(s, texts):
    columns = [column(kind, kind, decimal="either") for kind in staging.SQL_TYPES]
    found = stage(s, columns, [dict.fromkeys(staging.SQL_TYPES, text) for text in texts])
    assert len(found) == len(texts)
    assert all(row["number"] is None or math.isfinite(row["number"]) for row in found)


def test_a_date_outside_its_range_is_marked_and_one_within_is_not(settings):
    day = column("x", "date", earliest="period_start - INTERVAL 2 YEARS", latest="received_on")
    rows = stage(settings, [day], [{"x": text} for text in ("2026-10-03", "1990-01-01", "2126-10-03", None)])
    assert [row["outside__x"] for row in rows] == [None, True, True, None]


def test_the_marks_of_numbers_are_those_of_a_delivery_and_not_of_its_group(settings):
    number = contract([column("x", "number", decimal="any")])
    sent = {"a": ["736.000", "5,43"], "b": ["736.000", "5.43", "0.5"]}
    with duck.connect(settings, sees_identifiers=True) as connection:
        deliveries = {key: parsed(number, [{"x": text} for text in texts]) for key, texts in sent.items()}
        staging.stage_rows(connection, number, deliveries, dict.fromkeys(sent, context()))
        rows = connection.execute("SELECT x FROM rows ORDER BY row_id").fetchall()
    assert [value for (value,) in rows] == [736000.0, 5.43, None, 5.43, 0.5]


def test_codes_are_known_by_every_spelling(settings):
    sex = column("x", codes={"L": ("Laki-laki", "LK"), "P": ("Perempuan",), "1": ()})
    texts = {"L": "L", "laki-laki": "L", " PEREMPUAN ": "P", "1": "1", "X": None}
    assert typed(settings, sex, texts) == list(texts.values())


def test_what_cannot_be_read_is_marked_and_what_is_missing_is_not(settings):
    columns = [column("x", "number", required=True), column("y", codes={"a": ()})]
    rows = stage(settings, columns, [{"x": "abc", "y": "b"}, {"x": None, "y": None}, {"x": "1", "y": "A"}])
    marks = [(row["sent__x"], row["uncast__x"], row["uncoded__y"]) for row in rows]
    assert marks == [(True, True, True), (None, None, None), (True, None, None)]


def test_derived_columns_build_on_each_other_and_on_the_delivery(settings):
    columns = [
        column("x", "date"),
        column("lag", "integer", derivation="date_diff('day', x, received_on)"),
        column("is_late", "boolean", derivation="lag > 10 AND x < period_end AND part = 'batuceper'"),
        column("twice", "integer", derivation="lag * 2"),
    ]
    (row,) = stage(settings, columns, [{"x": "2026-10-06"}])
    assert (row["lag"], row["is_late"], row["twice"]) == (30, True, 60)


def test_a_failing_derivation_names_its_column_and_no_value(settings):
    columns = [
        column("nik"),
        column("ok", derivation="nik"),
        column("year", "integer", derivation="CAST(nik AS INTEGER)"),
    ]
    with pytest.raises(ConfigError, match="CONTRACT_DERIVATION_FAILED") as error:
        stage(settings, columns, [{"nik": "3671014102200007"}])
    assert "year" in str(error.value)
    assert "36710141" not in repr(error.value) + str(error.value.__cause__)


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("kelurahan_code('Larangan', 'KREO')", "36.71.13.1004"),
        ("kelurahan_code('LARANGAN', ' Kel. Kereo ')", "36.71.13.1004"),
        ("kelurahan_code('Jati Uwung', 'Keroncong')", "36.71.02.1001"),
        ("kelurahan_code('Cibodas', 'Jatiuwung')", "36.71.09.1006"),
        ("kelurahan_code(NULL, 'Batujaya')", "36.71.03.1002"),
        ("kelurahan_code('Ciledug', 'Kreo')", None),
        ("kelurahan_code('Nowhere', 'Kreo')", None),
        ("kelurahan_code('Larangan', NULL)", None),
        ("kecamatan_code('Kecamatan BATU CEPER')", "36.71.03"),
        ("kecamatan_code('Kreo')", None),
        ("region_code_from_undotted('3671051001')", "36.71.05.1001"),
        ("region_code_from_undotted('3671051001.0')", "36.71.05.1001"),
        ("region_code_from_bps('3671051001')", "36.71.10.1006"),
        ("region_code_from_bps('9999')", None),
    ],
)
def test_regions_are_found_by_name_or_by_code_of_a_declared_system(settings, expression, code):
    with duck.connect(settings) as connection:
        regions.install(connection, settings)
        assert connection.execute(f"SELECT {expression}").fetchone() == (code,)


def test_a_column_named_like_a_macro_argument_is_not_captured(settings):
    columns = [
        column("kecamatan"),
        column("kelurahan"),
        column("code", derivation="kelurahan_code(kecamatan, kelurahan)"),
    ]
    (row,) = stage(settings, columns, [{"kecamatan": "Larangan", "kelurahan": "Kreo"}])
    assert row["code"] == "36.71.13.1004"
