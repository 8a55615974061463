"""Every rule of every contract has a delivery that trips it, through the file shape the agency would send."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import samples
from warehouse.core.settings import Settings
from warehouse.intake.gate import DeliveryContext, Replaced, all_rules, judge
from warehouse.intake.parse import parse

DATA = Path(__file__).parent.parent / "data"
DATASETS = sorted(samples.versions())


def context(dataset: str, part: str) -> DeliveryContext:
    return DeliveryContext(samples.period(dataset), part, samples.RECEIVED_AT)


@pytest.fixture(scope="module", params=DATASETS)
def judged(request, tmp_path_factory):
    """Good rows and every break of a dataset, judged in one run; each delivery is a part of its own."""
    dataset, contract = request.param, samples.versions()[request.param]
    deliveries = {"good": samples.Break(samples.good_rows(dataset)), **samples.breaking_rows(dataset)}
    parsed, contexts, history = {}, {}, []
    for code, sample in deliveries.items():
        data, media = samples.as_file(dataset, sample.rows, sample.shape)
        parsed[code] = parse(contract, data, media)
        part = sample.part or ("benda" if dataset == "polri/outreach" else code)
        contexts[code] = context(dataset, part)
        contexts[code] = replace(contexts[code], is_repeated=sample.is_repeated)
        if sample.replaced:
            contexts[code] = replace(contexts[code], replaced=Replaced(*sample.replaced))
        if sample.before:
            before = {"part": part, "period_start": samples.period(dataset).shift(-1).start, "profile": sample.before}
            history.append(before)
    settings = Settings(home=tmp_path_factory.mktemp("rules"))
    return dataset, contract, judge(settings, contract, parsed, contexts, history, frozenset())


def test_good_rows_pass_every_rule(judged) -> None:
    dataset, _, judgements = judged
    good = judgements["good"]
    failed = [result.rule_code for result in good.results if result.outcome == "fail"]
    assert (failed, good.verdict, good.rows_admitted) == ([], "accepted", len(samples.good_rows(dataset)))


def test_every_rule_has_a_delivery_that_trips_it(judged) -> None:
    _, contract, judgements = judged
    codes = {rule.code for rule in all_rules(contract)} - samples.UNBREAKABLE.keys()
    assert codes == judgements.keys() - {"good"}
    silent = [
        code
        for code in sorted(codes)
        if not any(r.rule_code == code and r.outcome == "fail" for r in judgements[code].results)
    ]
    assert silent == []


def test_each_break_meets_its_rules_severity(judged) -> None:
    _, contract, judgements = judged
    rules = {rule.code: rule for rule in all_rules(contract)}
    for code, judgement in judgements.items():
        if code == "good":
            continue
        if rules[code].severity == "stop":
            assert judgement.verdict == "held", code
        if rules[code].severity == "quarantine":
            assert judgement.verdict == "held" or judgement.rows_quarantined, code
        assert judgement.rows_read == judgement.rows_admitted + judgement.rows_quarantined + judgement.rows_refused


def judge_file(dataset: str, path: Path, media: str, home: Path):
    parsed = parse(samples.contracts()[dataset], path.read_bytes(), media)
    contexts = {"d": context(dataset, "all")}
    return judge(Settings(home=home), samples.contracts()[dataset], {"d": parsed}, contexts, [], frozenset())["d"]


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    """Whether the gate takes a figure entered by hand, of an indicator as a sheet names it."""

    def takes(indicator: str, value: str, period: str = "2025") -> bool:
        row = {
            "indikator": indicator, "nama_wilayah": "Kota Tangerang", "periode": period, "nilai": value,
            "sistem_sumber": "BPS", "judul_sumber": "x", "tanggal_terbit": "2025-07-25",
        }  # fmt: skip
        contract = samples.contracts()["published/official_figures"]
        data, media = samples.as_file(contract.dataset, [row])
        judgement = judge(
            Settings(home=tmp_path_factory.mktemp("official")), contract, {"d": parse(contract, data, media)},
            {"d": context(contract.dataset, "all")}, [], frozenset(),
        )["d"]  # fmt: skip
        return judgement.rows_admitted == 1

    return takes


@pytest.mark.parametrize(
    ("indicator", "true", "wrong"),
    [
        # No region is without poor people: a 0 stands for a figure that is missing.
        ("p0", "0,01", "0"),
        ("p0", "99,99", "100"),
        ("non_poor_share", "94,81", "100"),
        ("p2", "0", "100,1"),
        ("stunting", "0", "-0,1"),
        ("poverty_line_idr", "838535", "838,535"),
        ("poverty_line_idr", "838535", "838535000"),
        ("poor_persons_thousand", "124,76", "124760"),
        ("Jumlah Penduduk Miskin Menurut Kabupaten/Kota", "124,76", "124760"),
        ("Garis Kemiskinan Menurut Kabupaten/Kota", "838535", "838535000"),
        ("jkn_coverage", "100,71", "-1"),
    ],
)
def test_a_figure_in_another_unit_is_put_aside(official, indicator: str, true: str, wrong: str) -> None:
    assert official(indicator, true)
    assert not official(indicator, wrong)


def stopped_by(code: str, rows: list[dict[str, str | None]], home: Path) -> list[bool]:
    """For each row of one sheet of official figures whether the rule puts it aside."""
    base = {"sistem_sumber": "BPS", "tanggal_terbit": "2025-07-25", "periode": "2025"}
    contract = samples.contracts()["published/official_figures"]
    sheet = [base | {"judul_sumber": f"Tabel {number}"} | row for number, row in enumerate(rows)]
    data, media = samples.as_file(contract.dataset, sheet)
    parsed, contexts = {"d": parse(contract, data, media)}, {"d": context(contract.dataset, "all")}
    judgement = judge(Settings(home=home), contract, parsed, contexts, [], frozenset())["d"]
    stopped = {pointer.source_row for pointer in judgement.quarantined if pointer.rule_code == code}
    return [number in stopped for number in range(2, len(rows) + 2)]


def test_a_figure_of_an_area_that_nobody_can_name_is_put_aside(tmp_path: Path) -> None:
    places = [
        ("Kota Tangerang", None, None, True),
        ("kabupaten  tangerang", "Banten", None, True),
        ("Kota Tngerang", None, None, False),
        ("Kota Tngerang", "BANTEN", None, False),
        ("Kota Tngerang", None, "3671", True),
        # Two areas bear either name.
        ("Serang", None, None, False),
        ("Tangerang", "Banten", None, False),
        ("Kabupaten Buleleng", "BALI", None, True),
        ("Kabupaten Buleleng", None, "5108", True),
        ("Kabupaten Buleleng", "BALY", None, False),
        ("Kabupaten Buleleng", None, None, False),
        ("INDONESIA", "INDONESIA", None, True),
        ("Kota Serang", None, "3671", False),
        ("Kota Serang", None, "3699", False),
    ]
    rows = [
        {"indikator": "p0", "nilai": "5,19", "nama_wilayah": name, "provinsi": province, "kode_bps": code}
        for name, province, code, _ in places
    ]
    assert stopped_by("OFFICIAL-008", rows, tmp_path) == [not is_known for *_, is_known in places]


def test_a_figure_says_the_unit_that_its_indicator_has(tmp_path: Path) -> None:
    units = [
        ("poor_persons_thousand", "124,76", "Ribu  Jiwa", True),
        ("poor_persons_thousand", "124,76", "jiwa", False),
        ("p0", "5,19", "Persen", True),
        ("p0", "5,19", "permil", False),
        ("p0", "5,19", None, True),
        ("poverty_line_idr", "838535", "Tidak Ada Satuan", True),
        ("jkn_participants", "1982904", "juta orang", False),
        ("investment_idr", "31", "miliar rupiah", False),
    ]
    rows = [
        {"indikator": name, "nilai": value, "satuan": unit, "nama_wilayah": "Kota Tangerang"}
        for name, value, unit, _ in units
    ]
    assert stopped_by("OFFICIAL-009", rows, tmp_path) == [not is_right for *_, is_right in units]


@pytest.mark.parametrize(
    ("true", "wrong"),
    [("2004", "2003"), ("2027", "2028"), ("2024-02-29", "2025-02-29"), ("2004-H1", "1999-Q4"), ("2025-12", "2025-13")],
)
def test_a_figure_of_a_period_nobody_would_see_is_put_aside(official, true: str, wrong: str) -> None:
    assert official("p0", "5,19", true)
    assert not official("p0", "5,19", wrong)


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    """Why the gate holds a file of a dataset as a part, None where it admits it."""

    def reason(dataset: str, part: str, rows: list[dict]) -> str | None:
        contract = samples.contracts()[dataset]
        parsed = parse(contract, *samples.as_file(dataset, rows))
        settings = Settings(home=tmp_path_factory.mktemp("held"))
        return judge(settings, contract, {"d": parsed}, {"d": context(dataset, part)}, [], frozenset())["d"].reason_code

    return reason


@pytest.mark.parametrize(
    ("named", "part", "reason"),
    [
        ("Cikokol", "cikokol", None),
        ("UPTD Puskesmas CIKOKOL", "cikokol", None),
        ("Batu Ceper", "batuceper", None),
        ("Sukasari", "cikokol", "EPPGBM-108"),
        # No unit of this name: Tangerang is where its children live.
        ("Tangerang", "cikokol", "EPPGBM-108"),
        ("Klinik Antah", "cikokol", "EPPGBM-108"),
        # Nobody in the file lives anywhere near Larangan: the name is a form's, not the file's.
        ("Larangan Utara", "cikokol", None),
        # Whether a part is another's cannot be said of one that the register does not know.
        ("Sukasari", "posko", None),
    ],
)
def test_a_file_of_another_puskesmas_is_held(held, named: str, part: str, reason: str | None) -> None:
    rows = samples.good_rows("kemenkes/eppgbm")
    assert held("kemenkes/eppgbm", part, samples.every(rows, puskesmas=named)) == reason


@pytest.mark.parametrize(("branch", "reason"), [("KC Cikokol", None), (None, None), ("Cimone", "JAMSOSTEK-105")])
def test_a_file_of_another_branch_is_held(held, branch: str | None, reason: str | None) -> None:
    rows = samples.good_rows("bpjstk/participants")
    assert held("bpjstk/participants", "cikokol", samples.every(rows, kantor_cabang=branch)) == reason


def test_a_rank_may_have_a_leading_zero_and_nothing_else(tmp_path: Path) -> None:
    dataset = "bps/social_registry_families@1"
    sent = {
        "6": "06",
        "06": "06",
        "10": "10",
        "6-10": "06-10",
        "06 - 10": "06-10",
        "": None,
        "11": "-",
        "00": "-",
        "010": "-",
    }
    good = samples.good_rows(dataset)
    rows = [row | {"desil_nasional": rank} for row, rank in zip(good, sent, strict=False)] + good[len(sent) :]
    data, media = samples.as_file(dataset, rows)
    contract = samples.versions()[dataset]
    judgement = judge(
        Settings(home=tmp_path), contract, {"d": parse(contract, data, media)}, {"d": context(dataset, "all")}, [],
        frozenset(),
    )["d"]  # fmt: skip
    first = min(judgement.admitted.column("source_row").to_pylist())
    desils = {row["source_row"] - first: row["desil"] for row in judgement.admitted.to_pylist()}
    assert [desils.get(number, "-") for number in range(len(sent))] == list(sent.values())


def test_provincial_portal_is_held_with_the_wrong_year_named(tmp_path: Path) -> None:
    path = DATA / "bantenprov/bantenprov_ik-kabupaten-kota-010.json"
    judgement = judge_file("portal/poverty_indicators", path, "json", tmp_path)
    assert (judgement.verdict, judgement.reason_code) == ("held", "PORTALPOV-101")
    assert "yyyy says 2011 while the titles say 2014 to 2015" in judgement.message_en
    assert (judgement.rows_read, judgement.rows_admitted) == (80, 0)


def test_bps_website_export_lands_on_the_right_codes(tmp_path: Path) -> None:
    path = DATA / "bps_export/bps_export_p0_kabkota_SLICE_banten_bali.csv"
    judgement = judge_file("published/official_figures", path, "csv", tmp_path)
    assert (judgement.verdict, judgement.rows_admitted) == ("accepted", 418)
    rows = {row["nama_wilayah"]: row for row in judgement.admitted.to_pylist() if row["periode"] == "2024"}
    codes = {name: row["bps_code"] for name, row in rows.items()}
    assert (codes["Kabupaten Tangerang"], codes["Kota Tangerang"], codes["BANTEN"]) == ("3603", "3671", "3600")
    assert codes["Kota Denpasar"] is None
    assert codes["Kota Serang"] == "3673"
    assert (rows["Kota Tangerang"]["nilai"], rows["Kota Tangerang"]["indikator"]) == (5.43, "p0")
