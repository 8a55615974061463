"""What an agency's faults come to, by protocol: asked for real, over loopback. Writes docs/fetch-faults.md.

Faults that all services of a protocol can have, whatever is asked; what is odd in one agency's own answers has tests of
its own (tests/integration/test_agencies_*). ``python -m tests.faults.fetching``.
"""

import gzip
import io
import json
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import patch

import paramiko
import stamina

from tests.support.agencies_helpers import BPJSTK, BPS, DUKCAPIL, EPPGBM, PORTAL, a_contract, a_job, write_secret
from warehouse.core.contract import Contract
from warehouse.core.errors import WarehouseError
from warehouse.core.settings import PROJECT_DIR, Settings
from warehouse.intake import agencies
from warehouse.intake.agencies import job as job_room
from warehouse.intake.agencies import sftp, web

FILE = PROJECT_DIR / "docs" / "fetch-faults.md"
# So many attempts as in production, without the waits between them.
ATTEMPTS = 5
# A part's time: cut short where only that ends a fault, so that a test need not wait for it.
SECONDS, ENOUGH_SECONDS = 1.5, 60.0
_ENDLESS = {"does not answer", "answers a byte at a time, without end"}
_HEAD = """# Faults of agencies

*Gangguan instansi dan akibatnya. Untuk teknisi data.*

What comes of asking an agency for a part where it has a fault: generated from the tests
(`.venv/bin/python -m tests.faults.fetching`), which compare it in every run. *Outcome*: the code on record for the
part. *Attempts*: those on record. *Questions*: how often the server was asked in all. A fault that only time ends met a
part's time cut to {cut} s here. What bounds it in production:

- a failure that may pass is tried {attempts} times within {retry} s, a whole fetch that came incomplete {walks} times;
- a part takes {part} s at most, a dataset 1800 s; after two parts without an answer the others are not waited for;
- a wait that a server asks for is kept up to {wait} s;
- an answer has {page} MB at most, a delivery {largest} GB, {questions} questions and {redirects} redirects.

Whatever it was, the part's attempt is a row of its own, the other parts are asked, and the night goes on.

| protocol | fault | outcome | attempts | questions |
|---|---|---|--:|--:|
"""


@dataclass
class Server:
    """One answer for every question; ``asked`` counts them."""

    answer: Callable[[], Any]
    asked: int = 0
    url: str = ""


class _Hangs(Exception):
    """The answer does not come while anybody waits."""


@contextmanager
def _serving(server: Server) -> Iterator[None]:
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            server.asked += 1
            try:
                status, headers, body = server.answer()
            except _Hangs:
                over.wait(30)
                return
            except ConnectionError:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(status)
            length = {"Content-Length": str(len(body))} if isinstance(body, bytes) else {"Connection": "close"}
            for name, value in (length | headers).items():
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
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        server.url = f"http://127.0.0.1:{http.server_port}"
        yield
        over.set()
        http.shutdown()


def _drips() -> Iterator[bytes]:
    for _ in range(200):
        time.sleep(0.1)
        yield b" "


def _drop() -> Any:
    raise ConnectionResetError


def _hang() -> Any:
    raise _Hangs


_JSON = {"Content-Type": "application/json"}
_PAGE = b"<!DOCTYPE html><html><body>Silakan masuk</body></html>"
HTTP_FAULTS: dict[str, Callable[[], Any]] = {
    "drops the connection": _drop,
    "does not answer": _hang,
    "answers a byte at a time, without end": lambda: (200, _JSON, _drips()),
    "is down (500)": lambda: (500, {}, b""),
    "is down for a while (503, Retry-After 1)": lambda: (503, {"Retry-After": "1"}, b""),
    "is busy for a day (429, Retry-After 86400)": lambda: (429, {"Retry-After": "86400"}, b""),
    "asks to wait for ² seconds": lambda: (429, {"Retry-After": "²".encode().decode("latin-1")}, b""),
    "does not know us (401)": lambda: (401, {}, b""),
    "refuses us (403)": lambda: (403, {}, b""),
    "has nothing there (404)": lambda: (404, {}, b""),
    "shows a login page": lambda: (200, {"Content-Type": "text/html"}, _PAGE),
    "answers nothing": lambda: (200, _JSON, b""),
    "answers null": lambda: (200, _JSON, b"null"),
    "answers a number": lambda: (200, _JSON, b"7"),
    "answers half of an object": lambda: (200, _JSON, b'{"data": [1, 2'),
    "ends before the stated length": lambda: (200, _JSON | {"Content-Length": "1000", "Connection": "close"}, b"{}"),
    "nests without end": lambda: (200, _JSON, b"[" * 200_000),
    "packs more than an answer may have": lambda: (200, _JSON | {"Content-Encoding": "gzip"}, _packed()),
    "says gzip and sends none": lambda: (200, _JSON | {"Content-Encoding": "gzip"}, b"{}"),
    "leads to another host": lambda: (302, {"Location": "http://192.0.2.1/inner"}, b""),
    "leads to itself": lambda: (302, {"Location": "/again"}, b""),
    "leads to nowhere": lambda: (302, {"Location": "http://"}, b""),
}  # fmt: skip
HTTP_PROTOCOLS: dict[str, tuple[Contract, str, str]] = {
    "arcgis": (DUKCAPIL, "2026-H1", "all"),
    "bps_webapi": (BPS, "2025", "621"),
    "ckan": (PORTAL, "2026-Q3", "all"),
    "splp": (BPJSTK, "2026-10", "cikokol"),
}


@cache
def _packed() -> bytes:
    return gzip.compress(b" " * (web.LARGEST_PAGE + 1))


@contextmanager
def _socket(answer: Callable[[socket.socket], None] | None) -> Iterator[str]:
    """An address where a listener does this with every connection; without one nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = "{}:{}".format(*listener.getsockname())
        if answer is None:
            yield address
            return
        listener.listen()

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    answer(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield address
        listener.shutdown(socket.SHUT_RDWR)


def _close(_connection: socket.socket) -> None: ...


def _speak_http(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def _say_nothing(connection: socket.socket) -> None:
    connection.settimeout(5)
    try:
        while connection.recv(1024):
            pass
    except OSError:
        pass


SFTP_FAULTS: dict[str, Callable[[socket.socket], None] | None] = {
    "nobody listens": None,
    "drops the connection": _close,
    "does not answer": _say_nothing,
    "speaks HTTP": _speak_http,
}
HAND_FAULTS: dict[str, tuple[str, bytes] | None] = {
    "no file": None,
    "a copy under way": ("2025.csv.part", b"x"),
    "another period's file": ("2024.csv", b"x"),
    "another kind of file": ("2025.pdf", b"%PDF"),
}
_BY_HAND = a_contract("published/official_figures", "by_hand", period_kind="year")


@dataclass
class Faults:
    """Rows of the document: protocol, fault, outcome, attempts, questions."""

    s: Settings
    rows: list[tuple[str, ...]] = field(default_factory=list)

    def ask(self, protocol: str, fault: str, asked: tuple[Contract, str, str], server: Server | None = None) -> None:
        contract, period, part = asked
        job = a_job(self.s, contract, period, part)
        begun = time.monotonic()
        try:
            seconds = SECONDS if fault in _ENDLESS else ENOUGH_SECONDS
            agencies.fetch(self.s, contract, part, job.period, job.spool, seconds=seconds)
            outcome, attempts = "fetched", job.attempts
        except WarehouseError as error:
            outcome, attempts = error.code, getattr(error, "attempts", 1)
        # Generous: a machine may be busy. Without a bound these would take minutes, or never end.
        assert time.monotonic() - begun < 60, (protocol, fault)
        # How often is asked until the time is over is the time's matter.
        how_often = ["-", "-"] if fault in _ENDLESS else [str(attempts), str(server.asked) if server else "-"]
        self.rows.append((protocol, fault, outcome, *how_often))


def asked(home: Path) -> list[tuple[str, ...]]:
    """Every fault of every protocol, met."""
    faults = Faults(Settings(home=home))
    for name in ("bps_webapi_key", "bpjstk_client_id", "bpjstk_client_secret"):
        write_secret(faults.s, name, "secret")
    key = paramiko.ECDSAKey.generate()
    key.write_private_key(private := io.StringIO())
    write_secret(faults.s, "dinkes_sftp_key", private.getvalue())
    write_secret(faults.s, "dinkes_known_hosts", f"127.0.0.1 {key.get_name()} {key.get_base64()}\n")
    with stamina.set_testing(True, attempts=ATTEMPTS), patch.object(sftp, "TIMEOUT_SECONDS", 0.5):
        for protocol, wanted in HTTP_PROTOCOLS.items():
            _point(faults.s, "http://127.0.0.1:1")
            faults.ask(protocol, "nobody listens", wanted)
            for fault, answer in HTTP_FAULTS.items():
                with _serving(server := Server(answer)):
                    _point(faults.s, server.url)
                    faults.ask(protocol, fault, wanted, server)
        for fault, listener in SFTP_FAULTS.items():
            with _socket(listener) as address:
                _point(faults.s, f"sftp://{address}")
                faults.ask("sftp", fault, (EPPGBM, "2026-10", "cibodas"))
        inbox = faults.s.home / "inbox" / "published" / "official_figures"
        inbox.mkdir(parents=True)
        for fault, file in HAND_FAULTS.items():
            if file:
                (inbox / file[0]).write_bytes(file[1])
            faults.ask("by_hand", fault, (_BY_HAND, "2025", "all"))
    return faults.rows


def _point(s: Settings, url: str) -> None:
    s.endpoints.parent.mkdir(parents=True, exist_ok=True)
    names = ("bps", "dukcapil", "bpjstk", "portal", "kemenkes")
    s.endpoints.write_text(json.dumps({name: {"location": url} for name in names}), encoding="utf-8")


_OF_JOB = vars(job_room)


def document(rows: list[tuple[str, ...]]) -> str:
    head = _HEAD.format(
        cut=SECONDS,
        attempts=_OF_JOB["_ATTEMPTS"],
        retry=f"{_OF_JOB['_LONGEST_RETRY_SECONDS']:.0f}",
        walks=_OF_JOB["_WALKS"],
        part=f"{job_room.LONGEST_SECONDS:.0f}",
        wait=f"{_OF_JOB['_LONGEST_WAIT_SECONDS']:.0f}",
        page=web.LARGEST_PAGE >> 20,
        largest=job_room.LARGEST_BYTES >> 30,
        questions=job_room.MOST_QUESTIONS,
        redirects=vars(web)["_MOST_REDIRECTS"],
    )
    return head + "".join(f"| {' | '.join(map(str, row))} |\n" for row in rows)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        FILE.write_text(document(asked(Path(folder))), encoding="utf-8")
