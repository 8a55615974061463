"""One fetch: what is asked of whom, with which settings and secrets, within which bounds, and what to say if it fails.

A fetch of one part has bounds as a whole, whatever the server does: ``LONGEST_SECONDS`` of wall clock, after which its
connections are shut (a server that sends a byte now and then meets no timeout of a read), ``LARGEST_BYTES`` received
and ``MOST_QUESTIONS`` over HTTP. A question is asked at most five times, within five minutes, and a fetch that came to
``FETCH_INCOMPLETE`` three times.

Here: what every protocol needs. Not here: any protocol.
"""

import errno
import json
import logging
import re
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import uniform
from typing import Any, Protocol

import stamina

from warehouse.core.contract import Contract
from warehouse.core.errors import ConfigError, FetchError
from warehouse.core.periods import Period
from warehouse.core.settings import Settings

log = logging.getLogger(__name__)

Progress = Callable[[str], None]
SAY_EVERY_SECONDS = 2.0
_TEMPLATE = re.compile(r"\{(period|year|month|part)\}")

# What an OSError says when our own disk is the trouble and not the line.
LOCAL_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})

# The largest delivery, a registry of two million people, has 1 GB and comes in minutes.
LONGEST_SECONDS = 600.0
LARGEST_BYTES = 2 * 1024**3
MOST_QUESTIONS = 1000

# A wait longer than this is for the next night, not for this one.
_LONGEST_WAIT_SECONDS = 120.0
_LONGEST_RETRY_SECONDS = 300.0
_ATTEMPTS = 5
_WALKS = 3

_TEXTS = {
    "FETCH_UNREACHABLE": (
        "{who} tidak dapat dihubungi, atau memutus sambungan.",
        "{who} cannot be reached, or drops the connection.",
        "Malam berikutnya mencoba lagi; bila berulang, hubungi pengelola layanan itu.",
        "The next night tries again; if it persists, call the service's operator.",
    ),
    "FETCH_TIMEOUT": (
        "{who} tidak menjawab pada waktunya.",
        "{who} does not answer in time.",
        "Malam berikutnya mencoba lagi; bila berulang, hubungi pengelola layanan itu.",
        "The next night tries again; if it persists, call the service's operator.",
    ),
    "FETCH_THROTTLED": (
        "{who} membatasi jumlah permintaan kami.",
        "{who} limits how often we may ask.",
        "Malam berikutnya mencoba lagi; bila berulang, minta batas yang lebih besar.",
        "The next night tries again; if it persists, ask for a higher limit.",
    ),
    "FETCH_SERVER_ERROR": (
        "{who} menjawab dengan galat di pihaknya.",
        "{who} answers with an error of its own.",
        "Malam berikutnya mencoba lagi; bila berulang, hubungi pengelola layanan itu.",
        "The next night tries again; if it persists, call the service's operator.",
    ),
    "FETCH_REFUSED": (
        "{who} menolak permintaan atau kredensial kami.",
        "{who} refuses our request or our credentials.",
        "Periksa masa berlaku kunci atau token dan perjanjian, lalu pasang kredensial yang sah.",
        "Check that key or token and agreement are still valid, then install valid credentials.",
    ),
    "FETCH_HOST_KEY": (
        "{who} menunjukkan kunci host yang bukan miliknya yang kami kenal; tidak ada yang diambil.",
        "{who} shows a host key other than the one we know; nothing was fetched.",
        "Tanyakan sidik jari kunci host yang baru melalui jalur lain sebelum memperbarui known_hosts.",
        "Ask for the new host key's fingerprint by another channel before you update known_hosts.",
    ),
    "FETCH_NOT_AVAILABLE": (
        "{who} belum menyediakan data ini.",
        "{who} does not have these data yet.",
        "Tunggu; bila sudah lewat tanggal janji, ingatkan pengirimnya.",
        "Wait; if they are overdue, remind the sender.",
    ),
    "FETCH_NOT_DATA": (
        "{who} menjawab dengan sesuatu yang bukan data.",
        "{who} answers with something that is not the data.",
        "Buka layanan itu dengan peramban untuk melihat pesannya; hubungi pengelolanya.",
        "Open the service in a browser to see its message; call its operator.",
    ),
    "FETCH_INCOMPLETE": (
        "{who} mengirim data yang tidak lengkap, atau berubah selama diambil; tidak ada yang disimpan.",
        "{who} sent incomplete data, or data that changed while they were fetched; nothing was kept.",
        "Malam berikutnya mencoba lagi; bila berulang, minta pengirim memeriksa berkasnya.",
        "The next night tries again; if it persists, ask the sender to check the file.",
    ),
    "FETCH_TOO_LARGE": (
        "{who} mengirim lebih banyak daripada yang boleh diambil sekaligus; tidak ada yang disimpan.",
        "{who} sends more than one fetch may take; nothing was kept.",
        "Tanyakan kepada pengirim mengapa kirimannya sebesar itu, dan minta dibagi.",
        "Ask the sender why it is so large, and to divide it.",
    ),
    "FETCH_HOST_UNKNOWN": (
        "{who} menunjuk ke server lain yang tidak disebut dalam kontrak; tidak ada yang diminta dari sana.",
        "{who} points to another server, which the contract does not name; nothing was asked of it.",
        "Periksa alamat itu di layanannya; bila memang milik pengirim, tulis namanya di hosts pada kontrak.",
        "Look at that address in the service; if it is the sender's, write its name under hosts of the contract.",
    ),
    "FETCH_UNFORESEEN": (
        "Pengambilan dari {who} gagal karena sebab yang tidak diduga.",
        "The fetch from {who} failed for an unforeseen reason.",
        "Laporkan kepada teknisi data; bagian dan dataset lain tetap berjalan.",
        "Tell the data engineer; other parts and datasets go on.",
    ),
}


class Line(Protocol):
    """A connection that can be left open for the next part."""

    def close(self) -> None: ...


Lines = dict[tuple[str, int], Line]


@contextmanager
def open_lines() -> Iterator[Lines]:
    """Connections by host and port that the fetches inside leave open for each other; closed together at the end."""
    lines: Lines = {}
    try:
        yield lines
    finally:
        for line in lines.values():
            line.close()


class TryAgain(FetchError):
    """A failure after which the agency named the moment to ask again."""

    wait_seconds = 0.0


@dataclass(frozen=True)
class Fetched:
    """The spool file with one delivery's exact bytes. ``attempts`` is 1 when nothing had to be tried again."""

    path: Path
    media: str
    attempts: int
    bytes: int


@dataclass
class Job:
    """One (dataset, part, period) to fetch into ``spool``."""

    s: Settings
    contract: Contract
    part: str
    period: Period
    spool: Path
    progress: Progress | None = None
    seconds: float = LONGEST_SECONDS
    lines: Lines = field(default_factory=dict)
    attempts: int = 1
    _said_at: float = field(default_factory=time.monotonic)
    _begun_at: float = field(default_factory=time.monotonic)
    _bytes: int = 0
    _questions: int = 0

    @property
    def location(self) -> str:
        """Where the agency is: the endpoints file by dataset, then by agency, else the contract."""
        endpoints = _endpoints(self.s.endpoints)
        endpoint = endpoints.get(self.contract.dataset) or endpoints.get(self.contract.agency) or {}
        location = endpoint.get("location") or self.contract.server.location
        if not location:
            raise ConfigError(
                "ENDPOINT_MISSING",
                f"Alamat layanan untuk {self.contract.dataset} tidak diketahui.",
                f"The address of the service for {self.contract.dataset} is not known.",
                f"Tulis alamatnya di {self.s.endpoints}, atau jalankan sandbox.",
                f"Write its address into {self.s.endpoints}, or start the sandbox.",
            )
        return location.rstrip("/")

    @property
    def path(self) -> str:
        """The contract's path template, filled in."""
        return str(self.fill(self.contract.server.extras.path or ""))

    def parameter(self, name: str, default: Any = None) -> Any:
        return self.fill(self.contract.server.extras.parameters.get(name, default))

    def fill(self, value: Any) -> Any:
        """Put period, year, month and part into the templates inside ``value``."""
        if isinstance(value, dict):
            return {key: self.fill(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.fill(item) for item in value]
        if not isinstance(value, str):
            return value
        words = {
            "period": self.period.label,
            "year": f"{self.period.start:%Y}",
            "month": f"{self.period.start:%m}",
            "part": self.part,
        }
        return _TEMPLATE.sub(lambda match: words[match[1]], value)

    def secret_path(self, credential: str) -> Path:
        """The file of a credential. Raises ConfigError SECRET_MISSING or SECRET_READABLE."""
        name = self.contract.server.extras.secrets.get(credential)
        path = self.s.secrets / (name or "?")
        if name is None or not path.is_file():
            raise ConfigError(
                "SECRET_MISSING",
                f"Kredensial {credential} untuk {self.contract.dataset} tidak ada.",
                f"The credential {credential} for {self.contract.dataset} is missing.",
                f"Simpan sebagai {name or credential} (mode 600) di folder {self.s.secrets}.",
                f"Store it as {name or credential} (mode 600) in the folder {self.s.secrets}.",
            )
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ConfigError(
                "SECRET_READABLE",
                f"Kredensial {credential} untuk {self.contract.dataset} dapat dibaca pengguna lain.",
                f"The credential {credential} for {self.contract.dataset} can be read by other users.",
                f"Jalankan chmod 600 pada {path}, lalu pertimbangkan untuk menggantinya.",
                f"Run chmod 600 on {path}, and consider replacing it.",
            )
        return path

    def secret(self, credential: str) -> str:
        return self.secret_path(credential).read_text(encoding="utf-8").strip()

    def error(self, code: str, detail: str = "", *, wait_seconds: float | None = None) -> FetchError:
        """A FetchError about this agency. ``detail`` is ours (a status, a count), never the agency's words."""
        who = self.contract.extras.agency_name
        texts = [text.format(who=who) for text in _TEXTS[code]]
        if detail:
            texts[0], texts[1] = f"{texts[0]} ({detail})", f"{texts[1]} ({detail})"
        if wait_seconds is None:
            return FetchError(code, *texts)
        error = TryAgain(code, *texts)
        error.wait_seconds = wait_seconds
        return error

    def unforeseen(self, error: Exception) -> FetchError:
        """A FetchError for what nobody thought of: the kind of ``error`` and its place in our code, never its text."""
        return self.error("FETCH_UNFORESEEN", where_raised(error))

    @property
    def seconds_left(self) -> float:
        return max(0.0, self._begun_at + self.seconds - time.monotonic())

    def count_question(self) -> None:
        """Raises FETCH_INCOMPLETE when a fetch asks without end, FETCH_TIMEOUT when its time is over."""
        self._questions += 1
        if self._questions > MOST_QUESTIONS:
            raise self.error("FETCH_INCOMPLETE", f"> {MOST_QUESTIONS}")
        self.confirm_time()

    def count_bytes(self, n_bytes: int) -> None:
        """Raises FETCH_TOO_LARGE or FETCH_TIMEOUT when what has come passes the fetch's bounds."""
        self._bytes += n_bytes
        if self._bytes > LARGEST_BYTES:
            raise self.error("FETCH_TOO_LARGE", f"> {LARGEST_BYTES / 1e9:.1f} GB")
        self.confirm_time()

    def confirm_time(self) -> None:
        if not self.seconds_left:
            raise self.error("FETCH_TIMEOUT", f"> {self.seconds:.0f} s")

    @contextmanager
    def cutting_off(self) -> Iterator[Callable[[socket.socket], None]]:
        """Gives a function that has a connection shut when the fetch's time is over, whatever waits for it."""
        watched: list[socket.socket] = []

        def shut() -> None:
            for connection in watched:
                _shut(connection)

        def watch(connection: socket.socket) -> None:
            watched.append(connection)
            if not self.seconds_left:
                _shut(connection)

        timer = threading.Timer(self.seconds_left, shut)
        timer.daemon = True
        timer.start()
        try:
            yield watch
        finally:
            timer.cancel()

    def tries(self) -> Iterator[stamina.Attempt]:
        """Attempts with growing, jittered waits, or the wait the agency asks for; only for failures that may pass."""
        for attempt in stamina.retry_context(
            on=self._wait_before_retry,
            attempts=_ATTEMPTS,
            timeout=_LONGEST_RETRY_SECONDS,
            wait_initial=0.5,
            wait_max=30.0,
            wait_jitter=1.0,
        ):
            self.attempts += attempt.num > 1
            yield attempt

    def walks(self) -> Iterator[stamina.Attempt]:
        """The whole fetch, again where what came was incomplete or changed meanwhile."""
        for attempt in stamina.retry_context(
            on=lambda error: (
                isinstance(error, FetchError) and error.code == "FETCH_INCOMPLETE" and self.seconds_left > 0
            ),
            attempts=_WALKS,
            timeout=None,
            wait_initial=1.0,
            wait_max=10.0,
            wait_jitter=1.0,
        ):
            self.attempts += attempt.num > 1
            yield attempt

    def _wait_before_retry(self, error: Exception) -> bool | float:
        if not isinstance(error, FetchError) or not error.may_retry or not self.seconds_left:
            return False
        if not isinstance(error, TryAgain):
            return True
        longest = min(_LONGEST_WAIT_SECONDS, self.seconds_left)
        return error.wait_seconds + uniform(0, 1) if error.wait_seconds <= longest else False

    def say(self, text: str) -> None:
        """Report progress of a long transfer, at most every two seconds."""
        if self.progress and time.monotonic() - self._said_at >= SAY_EVERY_SECONDS:
            self._said_at = time.monotonic()
            self.progress(f"{self.contract.dataset} {self.period.label} {self.part}: {text}")


def _log_retry(details: stamina.instrumentation.RetryDetails) -> None:
    code = getattr(details.caused_by, "code", type(details.caused_by).__name__)
    log.warning("attempt %d: %s; asking again in %.1f s", details.retry_num, code, details.wait_for)


# The library's own hook writes to standard output, which belongs to whoever runs the command.
stamina.instrumentation.set_on_retry_hooks([_log_retry])


def where_raised(error: BaseException) -> str:
    """The kind of an exception and the line of ours that it came from; its text may quote a delivery."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        path = Path(trace.tb_frame.f_code.co_filename)
        if "warehouse" in path.parts:
            place = f", {path.name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return type(error).__name__ + place


def _shut(connection: socket.socket) -> None:
    # Of the plain socket also under TLS: whoever waits on it wakes up, and TLS's state stays the reader's own.
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _endpoints(path: Path) -> dict[str, dict[str, Any]]:
    """Addresses that replace the contracts'; read anew each time, since the sandbox rewrites them when it starts."""
    try:
        endpoints: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        raise ConfigError(
            "ENDPOINTS_INVALID",
            f"Berkas alamat {path} bukan JSON yang sah.",
            f"The endpoints file {path} is not valid JSON.",
            "Perbaiki berkas itu, atau hapus dan jalankan ulang sandbox.",
            "Correct the file, or delete it and start the sandbox again.",
        ) from None
    return endpoints
