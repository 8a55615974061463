"""What agencies were seen to answer is taken as data or refused; what a fetch needs to know comes from its contract."""

import json
import logging
import os
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx
import pytest
import stamina
from hypothesis import given
from hypothesis import strategies as st

from tests.support.agencies_helpers import (
    BPJSTK,
    BPS,
    EPPGBM,
    PORTAL,
    a_contract,
    a_job,
    pages_of,
    write_endpoints,
    write_secret,
)
from warehouse.core.contract import Contract
from warehouse.core.errors import ConfigError, FetchError
from warehouse.core.settings import Settings
from warehouse.intake import agencies
from warehouse.intake.agencies import bps_webapi, by_hand, ckan, splp
from warehouse.intake.agencies.pages import Tally, page_writer
from warehouse.intake.agencies.web import Web, retry_after
from warehouse.storage.media import media_of

DATA = Path(__file__).parent.parent / "data"
KEY = "0123456789abcdef0123456789abcdef"


def recorded(name: str) -> dict:
    return json.loads((DATA / "bps_webapi" / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture
def s(settings: Settings) -> Settings:
    write_endpoints(settings, bps="https://bps.test", portal="https://portal.test")
    write_secret(settings, "bps_webapi_key", KEY)
    return settings


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch):
    """Answers by the ``model`` or path asked for, in the place of the network; collects what would have been asked."""
    table: dict[str, list[httpx.Response]] = {}
    requests: list[httpx.Request] = []

    def answer(_transport, request: httpx.Request) -> httpx.Response:
        requests.append(request)
        name = request.url.params.get("model") or request.url.path.rsplit("/", 1)[-1]
        queue = table[name]
        return queue.pop(0) if len(queue) > 1 else queue[0]

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", answer)
    table["requests"] = requests
    with stamina.set_testing(True, attempts=3):
        yield table


def replay(name: str) -> list[httpx.Response]:
    seen = recorded(name)
    body = seen["body"] if isinstance(seen["body"], str) else json.dumps(seen["body"])
    return [httpx.Response(seen["status_code"], headers={"content-type": seen["content_type"]}, content=body.encode())]


def bps_contract(**parameters) -> Contract:
    secrets = {"key": "bps_webapi_key"}
    return a_contract(
        "bps/indicators", "bps_webapi", path="/list", parameters=parameters, secrets=secrets, period_kind="year"
    )


def portal_contract(resource: str, period_kind: str, *hosts: str) -> Contract:
    parameters = {"package": "x", "resource": resource}
    return a_contract(
        "portal/investment", "ckan", path="/api/3/action", parameters=parameters, period_kind=period_kind, hosts=hosts
    )


# --- BPS --------------------------------------------------------------------------------------------------------------


def test_a_recorded_table_is_taken_exactly(s, answers):
    answers |= {"th": replay("th_0000_1804"), "data": replay("data_0000_1804")}
    fetched = bps_webapi.fetch(a_job(s, BPS, "2018", "1804"))
    assert [json.loads(page) for page in pages_of(fetched.path)] == [recorded("data_0000_1804")["body"]]
    assert (fetched.media, fetched.attempts) == ("pages", 1)
    asked = [dict(request.url.params) for request in answers["requests"]]
    assert asked[-1] == {"domain": "0000", "var": "1804", "model": "data", "th": "118", "key": KEY}


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("error_bad_key", "FETCH_REFUSED"),
        ("error_waf_block_TRIMMED", "FETCH_REFUSED"),
        ("error_data_missing_th", "FETCH_NOT_DATA"),
        ("error_data_too_many_th", "FETCH_NOT_DATA"),
        ("error_data_prov_max_2_th", "FETCH_NOT_DATA"),
        ("data_null_too_large", "FETCH_NOT_DATA"),
        ("data_list_not_available", "FETCH_NOT_AVAILABLE"),
        ("indicators_0000_p2", "FETCH_NOT_DATA"),
        ("var_0000_p1_TRIMMED", "FETCH_NOT_DATA"),
    ],
)
def test_recorded_answers_that_are_no_table_are_refused(s, answers, name, code):
    answers |= {"th": replay("th_0000_1804"), "data": replay(name)}
    with pytest.raises(FetchError) as caught:
        bps_webapi.fetch(a_job(s, BPS, "2018", "1804"))
    assert caught.value.code == code


def test_a_year_the_list_does_not_name_is_not_there_yet(s, answers):
    answers |= {"th": replay("th_0000_1804"), "data": replay("data_0000_1804")}
    with pytest.raises(FetchError, match="FETCH_NOT_AVAILABLE"):
        bps_webapi.fetch(a_job(s, BPS, "2024", "1804"))


def test_lists_are_walked_to_their_last_page(s, answers):
    def page(number: int, years: range) -> httpx.Response:
        items = [{"th_id": year - 1900, "th": str(year)} for year in years]
        about = {"page": number, "pages": 3, "per_page": 10, "count": len(items), "total": 21}
        return httpx.Response(200, json={"status": "OK", "data-availability": "available", "data": [about, items]})

    answers["th"] = [page(1, range(2005, 2015)), page(2, range(2015, 2025)), page(3, range(2025, 2026))]
    with Web(a_job(s, BPS, "2025", "621"), {bps_webapi.KEY: KEY}) as web:
        years = bps_webapi.Api(a_job(s, BPS, "2025", "621"), web).year_ids()
    assert list(years) == [str(year) for year in range(2005, 2026)]
    assert [request.url.params["page"] for request in answers["requests"]] == ["1", "2", "3"]


@pytest.mark.parametrize(("domain", "spans"), [("0000", ["117;118;119", "120"]), ("3671", ["117;118", "119;120"])])
def test_a_call_spans_as_many_years_as_its_domain_may(s, answers, domain, spans):
    years = [{"th_id": year - 1900, "th": str(year)} for year in range(2017, 2021)]
    about = {"page": 1, "pages": 1, "per_page": 10, "count": 4, "total": 4}
    body = {"status": "OK", "data-availability": "available", "data": [about, years]}
    answers |= {"th": [httpx.Response(200, json=body)], "data": replay("data_0000_1804")}
    contract = bps_contract(domain=domain, years=4)
    bps_webapi.fetch(a_job(s, contract, "2020", "1804"))
    assert [r.url.params["th"] for r in answers["requests"] if r.url.params["model"] == "data"] == spans


def test_a_span_that_is_too_large_is_asked_for_year_by_year(s, answers):
    answers["th"] = replay("th_0000_1804")
    answers["data"] = replay("data_null_too_large") + replay("data_0000_1804")
    fetched = bps_webapi.fetch(a_job(s, bps_contract(years=3), "2019", "1804"))
    assert len(pages_of(fetched.path)) == 3
    asked = [r.url.params["th"] for r in answers["requests"] if r.url.params["model"] == "data"]
    assert asked == ["117;118;119", "117", "118", "119"]


@pytest.mark.parametrize("failure", ["error_bad_key", "timeout", "html", "down"])
def test_the_key_reaches_the_wire_and_nothing_else(s, monkeypatch, caplog, failure):
    sent = []

    def answer(_transport, request: httpx.Request) -> httpx.Response:
        sent.append(str(request.url))
        if failure == "timeout":
            raise httpx.ReadTimeout(f"timed out at {request.url}", request=request)
        if failure == "down":
            raise httpx.ConnectError(f"no connection to {request.url}", request=request)
        return replay(failure)[0] if failure != "html" else httpx.Response(200, content=b"<html>" + KEY.encode())

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", answer)
    caplog.set_level(logging.DEBUG)
    with stamina.set_testing(True, attempts=3), pytest.raises(FetchError) as caught:
        bps_webapi.fetch(a_job(s, BPS, "2018", "1804"))
    assert all(KEY in url for url in sent)
    error: BaseException | None = caught.value
    shown = caplog.text + "".join(str(record.__dict__) for record in caplog.records)
    while error is not None:
        shown += repr(error) + repr(getattr(error, "_request", "")) + str(vars(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    assert KEY not in shown


# --- portals ----------------------------------------------------------------------------------------------------------


def portal(name: str, status: int = 200) -> list[httpx.Response]:
    return [httpx.Response(status, content=(DATA / "ckan" / f"{name}.json").read_bytes())]


def test_a_recorded_package_leads_to_its_file_and_the_bytes_say_what_it_is(s, answers):
    answers["package_show"] = portal("data_go_id_package_show")
    file = httpx.Response(200, content=b"kecamatan;jumlah\nBenda;1\n")
    answers["jumlah-kematian-ibu-menurut-kecamatan.xlsx"] = [file]
    fetched = ckan.fetch(a_job(s, portal_contract("JUMLAH KEMATIAN IBU", "month", "data.kamparkab.go.id"), "2026-10"))
    assert fetched.media == "csv"
    assert fetched.path.name == "jumlah-kematian-ibu-menurut-kecamatan.xlsx"
    assert fetched.path.read_bytes().startswith(b"kecamatan")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("data_go_id_unsupported_action_404", 404, "FETCH_NOT_AVAILABLE"),
        ("data_go_id_unsupported_action_404", 200, "FETCH_NOT_AVAILABLE"),
        ("data_go_id_package_list", 200, "FETCH_NOT_DATA"),
        ("data_go_id_package_search_TRIMMED", 200, "FETCH_NOT_DATA"),
    ],
)
def test_recorded_portal_answers_without_the_file_are_refused(s, answers, body, status, code):
    answers["package_show"] = portal(body, status)
    with pytest.raises(FetchError) as caught:
        ckan.fetch(a_job(s, PORTAL, "2026-Q3"))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("period", "kind", "expected"),
    [("2026", "year", "a"), ("2026-Q3", "quarter", "b"), ("2026-10", "month", "c"), ("2025", "year", None)],
)
def test_a_period_is_not_taken_for_another_that_contains_its_digits(s, answers, period, kind, expected):
    names = {"a": "Realisasi 2026", "b": "x-2026-Q3", "c": "x 2026-10 (final)", "d": "12025", "e": "20256"}
    files = [{"name": name, "url": f"http://portal.test/{key}", "state": "active"} for key, name in names.items()]
    answers["package_show"] = [httpx.Response(200, json={"success": True, "result": {"resources": files}})]
    answers |= {key: [httpx.Response(200, content=key.encode())] for key in names}
    contract = portal_contract("{period}", kind)
    if expected is None:
        with pytest.raises(FetchError, match="FETCH_NOT_AVAILABLE"):
            ckan.fetch(a_job(s, contract, period))
    else:
        assert ckan.fetch(a_job(s, contract, period)).path.read_text() == expected


# --- the service bus --------------------------------------------------------------------------------------------------


@pytest.fixture
def bus(s, answers):
    """A bus that gives tokens and the given pages in turn."""
    write_endpoints(s, bpjstk="https://bus.test")
    write_secret(s, "bpjstk_client_id", "us")
    write_secret(s, "bpjstk_client_secret", "secret")
    answers["token"] = [httpx.Response(200, json={"access_token": "t", "expires_in": 300})]

    def fetch(pages: list[dict], **parameters):
        answers["participants"] = [httpx.Response(200, json=page) for page in pages]
        contract = a_contract(
            "bpjstk/participants",
            "splp",
            path="/v1/participants",
            parameters=BPJSTK.server.extras.parameters | parameters,
            secrets=BPJSTK.server.extras.secrets,
        )
        fetched = splp.fetch(a_job(s, contract, "2026-10", "cikokol"))
        asked = [dict(r.url.params) for r in answers["requests"] if r.url.path.endswith("participants")]
        return [json.loads(page) for page in pages_of(fetched.path)], asked

    return fetch


def test_a_service_that_pages_by_cursor_is_followed_to_its_end(bus):
    pages = [
        {"data": [1, 2], "total": 5, "next_cursor": "b"},
        {"data": [3, 4], "total": 5, "next_cursor": "c"},
        {"data": [5], "total": 5, "next_cursor": None},
    ]
    got, asked = bus(pages, cursor_parameter="after")
    assert got == pages
    assert [query.get("after") for query in asked] == [None, "b", "c"]
    assert all("page" not in query for query in asked)


def test_other_names_for_the_same_things_are_the_contracts_business(bus):
    pages = [{"meta": {"jumlah": 2}, "isi": {"baris": [1]}}, {"meta": {"jumlah": 2}, "isi": {"baris": [2]}}]
    names = {"records_path": "isi.baris", "total_path": "meta.jumlah", "page_parameter": "hal", "size_parameter": "n"}
    got, asked = bus(pages, **names)
    assert got == pages
    assert asked[1] == {"branch": "cikokol", "period": "2026-10", "sort": "no_kpj", "hal": "2", "n": "100"}


@pytest.mark.parametrize(
    "pages",
    [
        [{"data": [1], "total": 3}, {"data": [2], "total": 4}],
        [{"data": [1], "total": 3}, {"data": [2, 3, 4], "total": 3}],
        [{"data": [1], "total": 3}, {"data": [], "total": 3}],
    ],
    ids=["total moves", "more than total", "fewer than total"],
)
def test_pages_that_do_not_add_up_are_no_delivery(bus, pages):
    with pytest.raises(FetchError, match="FETCH_INCOMPLETE"):
        bus(pages)


def test_a_cursor_that_ends_early_is_no_delivery(bus):
    with pytest.raises(FetchError, match="FETCH_INCOMPLETE"):
        bus([{"data": [1], "total": 3, "next_cursor": None}], cursor_parameter="after")


@pytest.mark.parametrize("page", [[], {"data": [1]}, {"data": {}, "total": 1}, {"rows": [1], "total": 1}])
def test_a_page_without_rows_or_total_is_no_data(bus, page):
    with pytest.raises(FetchError, match="FETCH_NOT_DATA"):
        bus([page])


# --- what every fetch needs -------------------------------------------------------------------------------------------


@given(seconds=st.integers(0, 10_000))
def test_retry_after_is_read_in_both_forms(seconds):
    assert retry_after(str(seconds)) == seconds
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    assert abs(retry_after(format_datetime(moment, usegmt=True)) - seconds) < 2


@pytest.mark.parametrize(
    "header", [None, "", "soon", "-1", "1.5e3", "²", "٣", "Mon, 99 Zzz 99999 99:99:99 GMT", ", , ,"]
)
def test_an_unreadable_retry_after_is_none(header):
    assert retry_after(header) is None


@given(bodies=st.lists(st.binary(max_size=2000), max_size=5))
def test_the_same_answers_make_the_same_file(tmp_path_factory, bodies):
    folder = tmp_path_factory.mktemp("pages")
    for name in ("one", "two"):
        with page_writer(folder / name) as pages:
            for body in bodies:
                pages.add(body)
    assert (folder / "one").read_bytes() == (folder / "two").read_bytes()
    assert pages_of(folder / "one") == bodies
    assert not bodies or media_of(folder / "one") == "pages"


@pytest.mark.parametrize(
    ("head", "media"),
    [
        (b"PK\x03\x04rest", "xlsx"),
        (b'\xef\xbb\xbf {"a": 1}', "json"),
        (b"\n[1]", "json"),
        (b"a;b\n", "csv"),
        (b"", "csv"),
        (b"<html>", "csv"),
    ],
)
def test_media_is_told_from_the_bytes(tmp_path, head, media):
    path = tmp_path / "declared.xlsx"
    path.write_bytes(head)
    assert media_of(path) == media


def test_templates_are_filled_wherever_they_stand(s):
    job = a_job(s, EPPGBM, "2026-03", "cibodas")
    assert job.path == "/eppgbm/2026-03/cibodas.xlsx"
    assert job.parameter("alternatives") == ["/eppgbm/2026-03/cibodas.csv"]
    assert job.fill({"a": ["{year}/{month}", 5, None, "{other}"]}) == {"a": ["2026/03", 5, None, "{other}"]}


def test_an_address_by_dataset_wins_over_the_agency_and_none_is_refused(s):
    both = {"kemenkes": {"location": "sftp://a"}, "kemenkes/eppgbm": {"location": "sftp://b/"}}
    s.endpoints.write_text(json.dumps(both))
    assert a_job(s, EPPGBM, "2026-03").location == "sftp://b"
    s.endpoints.write_text(json.dumps({"kemenkes": {"location": "sftp://a"}}))
    assert a_job(s, EPPGBM, "2026-03").location == "sftp://a"
    s.endpoints.unlink()
    with pytest.raises(ConfigError, match="ENDPOINT_MISSING"):
        _ = a_job(s, EPPGBM, "2026-03").location
    s.endpoints.write_text("{")
    with pytest.raises(ConfigError, match="ENDPOINTS_INVALID"):
        _ = a_job(s, EPPGBM, "2026-03").location


def test_a_missing_or_readable_credential_is_refused_before_anything_is_asked(s, answers):
    os.chmod(s.secrets / "bps_webapi_key", 0o640)
    with pytest.raises(ConfigError, match="SECRET_READABLE") as caught:
        bps_webapi.fetch(a_job(s, BPS, "2018", "621"))
    assert KEY not in str(caught.value)
    (s.secrets / "bps_webapi_key").unlink()
    with pytest.raises(ConfigError, match="SECRET_MISSING"):
        bps_webapi.fetch(a_job(s, BPS, "2018", "621"))
    assert answers["requests"] == []


def test_an_agency_that_asks_for_a_longer_wait_than_a_night_has_is_left(s):
    job = a_job(s, BPS, "2018", "621")

    def ask() -> None:
        for attempt in job.tries():
            with attempt:
                raise job.error("FETCH_THROTTLED", wait_seconds=3600)

    with pytest.raises(FetchError, match="FETCH_THROTTLED"):
        ask()
    assert job.attempts == 1


def with_terms(contract, terms):
    extras = contract.extras.model_copy(update={"part_terms": terms})
    return contract.model_copy(update={"extras": extras})


def test_parts_are_the_senders_of_today(s, tmp_path):
    project = tmp_path / "project"
    seeds = project / "dbt_project" / "seeds"
    seeds.mkdir(parents=True)
    (seeds / "service_units.csv").write_text(
        "kind,part,name,kemendagri_code,valid_from,valid_to,source\n"
        "puskesmas,old,Old,36.71.01,2000-01-01,2026-01-01,x\n"
        "puskesmas,here,Here,36.71.01,2000-01-01,,x\n"
        "puskesmas,later,Later,36.71.01,2027-01-01,,x\n"
        "polsek,other,Other,36.71.01,2000-01-01,,x\n"
    )
    today = Settings(home=s.home, project_dir=project, now=datetime(2026, 11, 22, tzinfo=UTC))
    assert agencies.parts(today, EPPGBM) == ["here"]
    assert agencies.parts(today, PORTAL) == ["all"]
    assert agencies.parts(today, BPS) == ["621"]
    stranger = {"elsewhere": {"label_id": "Lain", "label_en": "Other"}}
    with pytest.raises(ConfigError, match="PART_TERMS_UNKNOWN"):
        agencies.parts(today, with_terms(EPPGBM, stranger))
    assert agencies.parts(today, with_terms(EPPGBM, {"old": stranger["elsewhere"]})) == ["here"]
    before = today.model_copy(update={"now": datetime(1999, 1, 1, tzinfo=UTC)})
    with pytest.raises(ConfigError, match="PARTS_UNKNOWN"):
        agencies.parts(before, EPPGBM)


def test_a_file_in_the_drop_folder_is_taken_by_its_period_and_part(s, monkeypatch):
    monkeypatch.setattr(by_hand, "QUIET_SECONDS", 0)
    contract = a_contract("published/official_figures", "by_hand", period_kind="year")
    with pytest.raises(FetchError, match="FETCH_NOT_AVAILABLE"):
        by_hand.fetch(a_job(s, contract, "2025"))
    inbox = s.home / "inbox" / "published" / "official_figures"
    inbox.mkdir(parents=True)
    (inbox / "2025.csv").write_text("a\n")
    (inbox / "2024__banten.csv").write_text("b\n")
    fetched = by_hand.fetch(a_job(s, contract, "2025"))
    assert (fetched.path.read_text(), fetched.path.name, fetched.media) == ("a\n", "2025.csv", "csv")
    assert by_hand.fetch(a_job(s, contract, "2024", "banten")).path.read_text() == "b\n"
    with pytest.raises(FetchError, match="FETCH_NOT_AVAILABLE"):
        by_hand.fetch(a_job(s, contract, "2024"))


@pytest.mark.parametrize("name", ["2025.part", "2025.csv~", "2025.csv.tmp", ".2025.csv", "2025", "2025.crdownload"])
def test_a_copy_under_way_to_the_drop_folder_is_left(s, name):
    inbox = s.home / "inbox" / "published" / "official_figures"
    inbox.mkdir(parents=True)
    (inbox / name).write_text("a\n")
    contract = a_contract("published/official_figures", "by_hand", period_kind="year")
    with pytest.raises(FetchError, match="FETCH_NOT_AVAILABLE"):
        by_hand.fetch(a_job(s, contract, "2025"))


def test_a_file_that_grows_in_the_drop_folder_is_left(s, monkeypatch):
    inbox = s.home / "inbox" / "published" / "official_figures"
    inbox.mkdir(parents=True)
    (inbox / "2025.csv").write_text("a\n")
    monkeypatch.setattr(by_hand.time, "sleep", lambda _seconds: (inbox / "2025.csv").write_text("a\nb\n"))
    contract = a_contract("published/official_figures", "by_hand", period_kind="year")
    with pytest.raises(FetchError, match="FETCH_INCOMPLETE"):
        by_hand.fetch(a_job(s, contract, "2025"))


rows = st.lists(st.integers(0, 30), max_size=12)


@given(pages=st.lists(rows, max_size=5), total=st.integers(0, 40), once=st.booleans())
def test_an_answer_is_whole_only_with_all_its_distinct_records(tmp_path_factory, pages, total, once):
    job = a_job(Settings(home=tmp_path_factory.mktemp("tally")), BPJSTK, "2026-10")
    tally = Tally(job, ["n"], once=once)
    distinct = [number for page in pages for number in (page if once else set(page))]
    is_whole = len(set(distinct)) == len(distinct) and sum(map(len, pages)) == total
    with nullcontext() if is_whole else pytest.raises(FetchError, match="FETCH_INCOMPLETE"):
        for page in pages or [[]]:
            tally.add([{"n": number, "row": position} for position, number in enumerate(page)], total)
        tally.demand_whole()


def test_a_record_without_its_key_is_told_apart_by_all_it_says(s):
    tally = Tally(a_job(s, BPJSTK, "2026-10"), ["a.key"], once=True)
    tally.add([{"a": {"key": None}, "x": 1}, {"a": {"key": None}, "x": 2}, None, {"a": 5}], 5)
    with pytest.raises(FetchError, match="FETCH_INCOMPLETE"):
        tally.add([{"x": 2, "a": {"key": None}}], 5)
