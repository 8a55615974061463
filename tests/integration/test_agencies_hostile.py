"""Agencies that answer oddly, without end or with half of the data: few questions, and the reason named.

Real HTTP on loopback, one scripted server a test.
"""

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import stamina

from tests.support.agencies_helpers import BPJSTK, BPS, DUKCAPIL, a_contract, a_job, pages_of, write_secret
from tests.support.sandbox_home import NOW
from warehouse.core.contract import load_contracts
from warehouse.core.errors import ConfigError, FetchError
from warehouse.core.settings import Settings
from warehouse.intake import agencies
from warehouse.intake.agencies import job as job_module

Answer = Any
KELURAHAN = [{"no_prop": 36, "no_kab": 71, "no_kec": 1 + n % 13, "no_kel": 1001 + n} for n in range(104)]


@dataclass
class Server:
    """``answer(path, query)`` gives what is sent as JSON, bytes, or (status, headers, body or an iterator of bytes)."""

    answer: Callable[[str, dict[str, str]], Answer] = lambda _path, _query: None
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    url: str = ""

    def queries(self, ending: str) -> list[dict[str, str]]:
        return [query for path, query in self.asked if path.endswith(ending)]


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            address = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(address.query).items()}
            server.asked.append((address.path, query))
            answer = server.answer(address.path, query)
            status, headers, body = answer if isinstance(answer, tuple) else (200, {}, answer)
            if not isinstance(body, bytes | Iterator):
                body = json.dumps(body).encode()
            if isinstance(body, bytes):
                headers = {"Content-Length": str(len(body)), **headers}
            else:
                headers = {"Connection": "close", **headers}
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                for chunk in (body,) if isinstance(body, bytes) else body:
                    self.wfile.write(chunk)
                    self.wfile.flush()
            except OSError:
                self.close_connection = True

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        server.url = f"http://127.0.0.1:{http.server_port}"
        yield server
        http.shutdown()


@pytest.fixture
def s(settings: Settings) -> Settings:
    settings.endpoints.parent.mkdir(parents=True, exist_ok=True)
    for secret in ("bps_webapi_key", "bpjstk_client_id", "bpjstk_client_secret"):
        write_secret(settings, secret, "secret")
    return settings.model_copy(update={"now": NOW})


@pytest.fixture
def server(s: Settings) -> Iterator[Server]:
    with serving(Server()) as one, stamina.set_testing(True, attempts=3):
        names = ("bps", "dukcapil", "bpjstk", "portal")
        s.endpoints.write_text(json.dumps({name: {"location": one.url} for name in names}))
        yield one


def fetch(s: Settings, contract=DUKCAPIL, period: str = "2026-H1", part: str = "all", **how: Any):
    job = a_job(s, contract, period, part)
    return agencies.fetch(s, contract, part, job.period, job.spool, **how)


def refused(s: Settings, code: str, *asked: Any, **how: Any) -> FetchError:
    with pytest.raises(FetchError) as caught:
        fetch(s, *asked, **how)
    assert caught.value.code == code
    return caught.value


# --- ArcGIS -----------------------------------------------------------------------------------------------------------

ONE_LEVEL = a_contract(
    "dukcapil/population", "arcgis", path="/services", period_kind="half_year",
    parameters=DUKCAPIL.server.extras.parameters | {"services": ["KEL"]},
)  # fmt: skip


def map_server(page: Callable[[int], tuple[list[dict], bool]], counts: Callable[[], int] = lambda: 104):
    """A service whose page at an offset, with its word on whether there is more, is given."""

    def answer(path: str, query: dict[str, str]) -> Answer:
        if path.endswith("/MapServer"):
            return {"layers": [{"id": 0, "type": "Feature Layer", "subLayerIds": None}]}
        if "returnCountOnly" in query:
            return {"count": counts()}
        rows, has_more = page(int(query["resultOffset"]))
        body: dict[str, Any] = {"features": [{"attributes": row} for row in rows]}
        return body | ({"exceededTransferLimit": True} if has_more else {})

    return answer


def test_fewer_rows_a_page_than_asked_for_are_asked_on_in_the_order_of_the_key(s, server):
    server.answer = map_server(lambda at: (KELURAHAN[at : at + 50], at + 50 < 104))
    assert [len(json.loads(page)["features"]) for page in pages_of(fetch(s, ONE_LEVEL).path)] == [50, 50, 4]
    pages = [query for query in server.queries("query") if "resultOffset" in query]
    assert {query["orderByFields"] for query in pages} == {"no_prop,no_kab,no_kec,no_kel"}


def test_a_last_page_that_speaks_of_more_is_asked_on(s, server):
    server.answer = map_server(lambda at: (KELURAHAN[at : at + 52], at <= 52))
    assert len(pages_of(fetch(s, ONE_LEVEL).path)) == 3


@pytest.mark.parametrize(
    ("page", "counts"),
    [
        (lambda _at: (KELURAHAN[:50], True), lambda: 104),
        (lambda at: (KELURAHAN[max(0, at - 1) : at + 49], at + 50 < 104), lambda: 104),
        (lambda at: (KELURAHAN[at : at + 50] if at < 100 else KELURAHAN[99:103], at < 100), lambda: 104),
        (lambda at: (KELURAHAN[at : at + 50], False), lambda: 110),
        (lambda at: ([{"no_kel": at + n} for n in range(50)], True), lambda: 60),
        (lambda at: (KELURAHAN[at : at + 50] if at < 50 else [], True), lambda: 104),
        (lambda at: ([*KELURAHAN[:50], *KELURAHAN[50:103], KELURAHAN[0]], False), lambda: 104),
    ],
    ids=["ignores the offset", "overlaps", "shifts", "fewer", "without end", "empty", "one twice"],
)
def test_pages_that_are_not_the_whole_layer_are_no_delivery(s, server, page, counts):
    server.answer = map_server(page, counts)
    error = refused(s, "FETCH_INCOMPLETE", ONE_LEVEL)
    assert error.attempts == 3
    assert len(server.asked) <= 3 * 6


def test_a_layer_that_grows_while_it_is_read_is_asked_for_again(s, server):
    counts = iter([104, 105, 105, 105])
    more = [*KELURAHAN, {"no_prop": 36, "no_kab": 71, "no_kec": 1, "no_kel": 1999}]
    rows = iter([KELURAHAN, more])
    server.answer = map_server(lambda _at: (next(rows), False), lambda: next(counts))
    fetched = fetch(s, ONE_LEVEL)
    assert fetched.attempts == 2
    assert len(json.loads(pages_of(fetched.path)[0])["features"]) == 105


@pytest.mark.parametrize(
    "answer",
    [
        {"layers": [{"type": "Feature Layer"}]},
        {"layers": [None]},
        {"layers": [{"id": "0/../admin", "type": "Feature Layer"}]},
        {"layers": None},
        {"error": {"code": {"a": 1}}},
        {"error": None},
        [],
        b"[" * 200_000,
        b'{"layers": 1' + b"0" * 10_000 + b"}",
    ],
    ids=["no id", "null", "text", "no layers", "odd code", "null error", "list", "deep", "long number"],
)
def test_an_odd_answer_is_named_as_such(s, server, answer):
    server.answer = lambda _path, _query: answer
    refused(s, "FETCH_NOT_DATA", ONE_LEVEL)
    assert len(server.asked) == 1


def test_a_server_that_only_ever_has_more_is_asked_a_bounded_number_of_times(s, server, monkeypatch):
    monkeypatch.setattr(job_module, "MOST_QUESTIONS", 20)
    server.answer = map_server(lambda at: ([{"no_kel": at + n} for n in range(5)], True), lambda: 10**15)
    refused(s, "FETCH_INCOMPLETE", ONE_LEVEL)
    assert len(server.asked) == 20


# --- CKAN -------------------------------------------------------------------------------------------------------------

OPD = [{"_id": n, "tahun": 2025, "perangkat_daerah": f"OPD {n:03}", "belanja_total": n} for n in range(1, 138)]
GOOD = b"tahun,perangkat_daerah,belanja_total,belanja_pdn\n2025,OPD 001,2,1\n"


def portal(server: Server, files: dict[str, Answer], **of_resource: dict[str, Any]) -> None:
    """A package whose resources are ``files``, the last the newest, each at ``/f/<name>``; and a datastore."""
    resources = [
        {"name": f"Data 2025 {name}", "url": f"{server.url}/f/{name}", "last_modified": f"2026-01-0{day}"}
        | of_resource.get(name.partition(".")[0], {})
        for day, name in enumerate(files, start=1)
    ]

    def answer(path: str, query: dict[str, str]) -> Answer:
        if path.endswith("/package_show"):
            return {"success": True, "result": {"resources": resources}}
        found = files[path.rpartition("/")[2]]
        return found(query) if callable(found) else found

    server.answer = answer


def datastore(rows: list[dict], totals: Callable[[], int | None] = lambda: 137, largest: int = 100):
    def answer(query: dict[str, str]) -> Answer:
        at, size = int(query.get("offset", 0)), min(int(query.get("limit", 100)), largest)
        result = {"records": rows[at : at + size], "_links": {"next": "/api?offset=1"}}
        return {"success": True, "result": result | ({} if (total := totals()) is None else {"total": total})}

    return answer


def products(s: Settings):
    return load_contracts(s.contracts_dir)["portal/domestic_products"]


def only_of(page: Callable[[dict[str, str]], Answer], server: Server) -> None:
    portal(server, {"store.json": page}, store={"url": f"{server.url}/x/datastore_search?resource_id=c"})
    inner = server.answer
    server.answer = lambda path, query: page(query) if path.endswith("datastore_search") else inner(path, query)


@pytest.mark.parametrize("total", [137, None])
def test_a_datastore_is_read_to_its_end_in_a_declared_order(s, server, total):
    only_of(datastore(OPD, lambda: total), server)
    fetched = fetch(s, products(s), "2025")
    records = [row for page in pages_of(fetched.path) for row in json.loads(page)["result"]["records"]]
    assert [row["_id"] for row in records] == list(range(1, 138))
    asked = server.queries("datastore_search")
    assert {(query["resource_id"], query["sort"]) for query in asked} == {("c", "_id")}


@pytest.mark.parametrize(
    "page",
    [
        lambda query: datastore(OPD)({**query, "offset": "0"}),
        lambda query: datastore(OPD[:100])(query),
        lambda query: datastore(OPD, lambda: 137 + int(query["offset"]) // 100)(query),
        lambda query: datastore(OPD)({**query, "offset": str(max(0, int(query["offset"]) - 1))}),
    ],
    ids=["the first hundred for ever", "fewer", "total moves", "overlaps"],
)
def test_a_datastore_that_is_not_whole_is_no_delivery(s, server, page):
    only_of(page, server)
    assert refused(s, "FETCH_INCOMPLETE", products(s), "2025").attempts == 3
    assert len(server.asked) <= 12


def test_a_file_that_holds_one_page_of_an_answer_is_no_delivery(s, server):
    portal(server, {"a.json": datastore(OPD)})
    refused(s, "FETCH_INCOMPLETE", products(s), "2025")


@pytest.mark.parametrize(
    ("newer", "of_resource"),
    [
        ({"leaflet.pdf": b"%PDF-1.7"}, {}),
        ({"leaflet": b"%PDF-1.7 of 2025, with words"}, {"format": "CSV"}),
        ({"picture": b"\x89PNG\r\n"}, {}),
        ({"codes.csv": b"kode,arti\n1,satu\n"}, {}),
        ({"map.json": {"type": "FeatureCollection"}}, {}),
        ({"a.csv": b"kode,arti\n1,satu\n", "b.pdf": b"%PDF-1.7"}, {}),
    ],
    ids=["pdf", "pdf said to be csv", "picture", "code list", "map", "two"],
)
def test_the_newest_file_that_is_the_contracts_table_is_taken(s, server, newer, of_resource):
    portal(server, {"table.csv": GOOD, **newer}, leaflet=of_resource)
    assert fetch(s, products(s), "2025").path.read_bytes() == GOOD


@pytest.mark.parametrize(
    "link",
    [{"url": "https://dashboard.example/2025"}, {"url": "/f/nothing"}, {"format": "API"}],
    ids=["another host", "no address", "page"],
)
@pytest.mark.parametrize("is_table", [False, True])
def test_a_link_that_leads_to_no_file_is_passed_over_unless_it_says_it_is_the_table(s, server, link, is_table):
    portal(
        server, {"table.csv": GOOD, "link": b"<html>Dasbor</html>"}, link=link | ({"format": "CSV"} if is_table else {})
    )
    if is_table:
        assert refused(s, "FETCH_HOST_UNKNOWN" if "dashboard" in str(link) else "FETCH_NOT_DATA", products(s), "2025")
    else:
        assert fetch(s, products(s), "2025").path.read_bytes() == GOOD


def test_of_two_tables_the_newer_is_taken_though_it_is_cut_off(s, server):
    cut = GOOD + b'2025,"OPD 002'
    portal(server, {"old.csv": GOOD, "new.csv": cut})
    assert fetch(s, products(s), "2025").path.read_bytes() == cut


def test_where_no_file_has_the_columns_the_newest_table_is_for_the_gate_to_name(s, server):
    portal(server, {"a.csv": b"x,y\n1,2\n", "b.csv": b"z\n1\n"})
    assert fetch(s, products(s), "2025").path.read_bytes() == b"z\n1\n"


@pytest.mark.parametrize(
    ("resources", "code"),
    [
        ([None], "FETCH_NOT_DATA"),
        (None, "FETCH_NOT_DATA"),
        ([], "FETCH_NOT_AVAILABLE"),
        ([{"name": "Data 2025", "url": None}], "FETCH_NOT_DATA"),
        ([{"name": "Data 2025", "url": "file:///etc/hostname"}], "FETCH_NOT_DATA"),
        ([{"name": "Data 2025", "url": "http://a:b/x.csv"}], "FETCH_NOT_DATA"),
        ([{"name": "Data 2025", "url": "http://a:b/x/datastore_search"}], "FETCH_NOT_DATA"),
        ([{"name": "Data 2025.pdf", "url": "http://127.0.0.1/x.pdf", "format": "PDF"}], "FETCH_NOT_DATA"),
        ([{"name": "Data 2025", "url": "http://127.0.0.1:9/x.csv"}], "FETCH_HOST_UNKNOWN"),
        ([{"name": "Data 2025", "url": "http://169.254.169.254/latest/x.csv"}], "FETCH_HOST_UNKNOWN"),
        ([{"name": "Data 2025", "url": "http://localhost/x.csv"}], "FETCH_HOST_UNKNOWN"),
    ],
)
def test_odd_resources_are_named_and_other_hosts_not_asked(s, server, resources, code):
    server.answer = lambda _path, _query: {"success": True, "result": {"resources": resources}}
    refused(s, code, products(s), "2025")
    assert len(server.asked) == 1


def test_a_redirect_is_followed_to_known_hosts_alone(s, server):
    inner = Server(lambda _path, _query: GOOD)
    with serving(inner):
        portal(server, {"table.csv": (302, {"Location": f"{inner.url}/secret.csv"}, b"")})
        refused(s, "FETCH_HOST_UNKNOWN", products(s), "2025")
        assert inner.asked == []
        known = products(s)
        extras = known.server.extras.model_copy(update={"hosts": (inner.url.removeprefix("http://"),)})
        named = known.model_copy(update={"server": known.server.model_copy(update={"extras": extras})})
        assert fetch(s, named, "2025").path.read_bytes() == GOOD


def test_a_redirect_to_itself_ends(s, server):
    portal(server, {"table.csv": (302, {"Location": "/f/table.csv"}, b"")})
    refused(s, "FETCH_NOT_DATA", products(s), "2025")
    assert len(server.asked) == 7


# --- BPS, the service bus ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("repeats", [True, False])
def test_a_list_of_years_that_repeats_or_ends_early_is_incomplete(s, server, repeats):
    def answer(_path: str, query: dict[str, str]) -> Answer:
        years = range(2005, 2015) if repeats or query["page"] == "1" else ()
        about = {"page": 1, "pages": 10**9, "per_page": 10, "count": 10, "total": 10**9}
        items = [{"th_id": year - 1900, "th": str(year)} for year in years]
        return {"status": "OK", "data-availability": "available", "data": [about, items]}

    server.answer = answer
    refused(s, "FETCH_INCOMPLETE", BPS, "2014", "621")
    assert len(server.asked) == 6


def bus(server: Server, page: Callable[[int], Answer]) -> None:
    def answer(path: str, query: dict[str, str]) -> Answer:
        return {"access_token": "t", "expires_in": 300} if path == "/token" else page(int(query["page"]))

    server.answer = answer


def rows(*numbers: int) -> list[dict[str, str]]:
    return [{"no_kpj": f"K{n}"} for n in numbers]


@pytest.mark.parametrize(
    "pages",
    [[rows(1, 2), rows(2, 3)], [rows(1, 2), rows(1, 2)], [rows(1, 2, 3), rows()]],
    ids=["overlap", "the same page", "ends"],
)
def test_participants_that_come_twice_or_not_at_all_are_no_delivery(s, server, pages):
    bus(server, lambda number: {"total": 4, "data": pages[min(number, 2) - 1]})
    assert refused(s, "FETCH_INCOMPLETE", BPJSTK, "2026-10", "cikokol").attempts == 3


def test_participants_that_settle_are_had_when_asked_again(s, server):
    asked = iter([rows(1, 2), rows(2, 3), rows(1, 2), rows(3, 4)])
    bus(server, lambda _number: {"total": 4, "data": next(asked)})
    assert fetch(s, BPJSTK, "2026-10", "cikokol").attempts == 2


def test_two_alike_on_one_page_are_the_senders_own(s, server):
    bus(server, lambda number: {"total": 4, "data": [rows(1, 1), rows(2, 3)][number - 1]})
    assert len(pages_of(fetch(s, BPJSTK, "2026-10", "cikokol").path)) == 2


@pytest.mark.parametrize("total", [True, -1, "4", None, 4.0, [4]])
def test_a_total_that_is_no_number_is_no_data(s, server, total):
    bus(server, lambda _number: {"total": total, "data": rows(1)})
    refused(s, "FETCH_NOT_DATA", BPJSTK, "2026-10", "cikokol")


@pytest.mark.parametrize("token", ["a\r\nX: y", "é", 5, ""])
def test_a_token_that_cannot_stand_in_a_header_is_no_token(s, server, token):
    server.answer = lambda _path, _query: {"access_token": token}
    refused(s, "FETCH_NOT_DATA", BPJSTK, "2026-10", "cikokol")


# --- whatever the protocol --------------------------------------------------------------------------------------------


def trickle(of: bytes) -> Iterator[bytes]:
    for _ in range(100):
        yield of
        time.sleep(0.05)


@pytest.mark.parametrize(
    "answer",
    [
        lambda: (200, {"Content-Length": "1000"}, trickle(b"[")),
        lambda: (200, {}, trickle(b" ")),
        lambda: (503, {"Retry-After": "1"}, b""),
    ],
    ids=["stated length", "to the end of the connection", "busy"],
)
def test_a_fetch_ends_when_its_time_is_over(s, server, answer):
    server.answer = lambda _path, _query: answer()
    started = time.monotonic()
    with pytest.raises(FetchError) as caught:
        fetch(s, ONE_LEVEL, seconds=0.3)
    assert caught.value.code in {"FETCH_TIMEOUT", "FETCH_SERVER_ERROR"}
    assert time.monotonic() - started < 4


def test_headers_that_trickle_are_cut_off(s):
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                try:
                    connection.sendall(b"HTTP/1.1 200 OK\r\n")
                    for header in trickle(b"X: y\r\n"):
                        connection.sendall(header)
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        s.endpoints.write_text(json.dumps({"dukcapil": {"location": url}}))
        started = time.monotonic()
        refused(s, "FETCH_TIMEOUT", ONE_LEVEL, seconds=0.3)
        assert time.monotonic() - started < 2


def test_an_answer_packed_twice_is_not_unpacked(s, server):
    bomb = gzip.compress(gzip.compress(b"0" * 10_000_000))
    server.answer = lambda _path, _query: (200, {"Content-Encoding": "gzip, gzip"}, bomb)
    refused(s, "FETCH_NOT_DATA", ONE_LEVEL)


def test_an_answer_that_unpacks_without_end_is_left(s, server, monkeypatch):
    monkeypatch.setattr(job_module, "LARGEST_BYTES", 1_000_000)
    portal(server, {"table.csv": (200, {"Content-Encoding": "gzip"}, gzip.compress(b"0" * 20_000_000))})
    refused(s, "FETCH_TOO_LARGE", products(s), "2025")


@pytest.mark.parametrize(
    "header", ["²", "9" * 400, "-5", "Fri, 31 Dec 99999 23:59:59 GMT", "Mon, 01 Jan 2024 00:00:00 GMT"]
)
def test_an_odd_moment_to_come_back_is_no_trouble(s, server, header):
    server.answer = lambda _path, _query: (429, {"Retry-After": header.encode().decode("latin-1")}, b"{}")
    assert refused(s, "FETCH_THROTTLED", ONE_LEVEL).attempts == (1 if header.startswith("999") else 3)


def test_credentials_are_not_sent_over_http(s):
    s.endpoints.write_text(json.dumps({"bps": {"location": "http://webapi.example"}}))
    with pytest.raises(ConfigError, match="ENDPOINT_INSECURE"):
        fetch(s, BPS, "2024", "621")
