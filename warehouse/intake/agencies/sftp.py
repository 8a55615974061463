"""SFTP: one file that a sender put into an agreed folder.

The server has to show the host key we know and takes our key, never a password. A transfer that breaks goes on where it
stopped if the file is still the same. Files are asked for by their agreed names: no folder is listed, and what an
upload is called until it is done is never taken.

An upload under way is left. Whatever the sender's clock says, a file is taken when it last changed ``quiet_seconds``
ago, or has not changed during as many that we waited; and only if it is the same after the transfer. Where the
contract names a ``done_suffix``, the sender puts ``<file><done_suffix>`` beside the file when it is whole: without
that mark, or with one older than the file, nothing is there yet.

Contract: ``path``; parameters ``username``, ``alternatives`` (further paths the same file may come under: the newest
file found is taken), ``quiet_seconds`` (default 20) and ``done_suffix``; secrets ``private_key`` and ``known_hosts``.
Location: ``sftp://host:port``.
"""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import paramiko
from paramiko.pkey import UnknownKeyType

from warehouse.core.errors import ConfigError, FetchError
from warehouse.intake.agencies.job import LARGEST_BYTES, LOCAL_DISK_ERRORS, Fetched, Job
from warehouse.storage.media import looks_like_html, media_of

TIMEOUT_SECONDS = 20.0
# Reads asked for in one go, before the first is answered: hides the line's latency, and bounds memory.
STRETCH = 8 * 1024 * 1024
QUIET_SECONDS = 20


def fetch(job: Job) -> Fetched:
    partial = job.spool / f"sftp-{job.part}-{job.period.label}.partial"
    version: _Remote | None = None
    for attempt in job.tries():
        with attempt, open_session(job) as session:
            remote = _at_rest(job, session, newest_file(job, session))
            if version != remote:
                partial.unlink(missing_ok=True)
                version = remote
            download(job, session, remote, partial)
            if _stat(job, session, remote.path) != remote or partial.stat().st_size != remote.size:
                raise job.error("FETCH_INCOMPLETE", f"{partial.stat().st_size} / {remote.size}")
    path = partial.rename(job.spool / PurePosixPath(remote.path).name)
    with path.open("rb") as file:
        if looks_like_html(file.read(512)):
            raise job.error("FETCH_NOT_DATA", "HTML")
    return Fetched(path, media_of(path), job.attempts, path.stat().st_size)


class _Remote(NamedTuple):
    """A file as the agency's server shows it now: bytes, and seconds since 1970 of its last change."""

    path: str
    size: int
    changed: int


def _stat(job: Job, session: paramiko.SFTPClient, path: str) -> _Remote:
    attributes = session.stat(path)
    if attributes.st_size is None or attributes.st_mtime is None:
        raise job.error("FETCH_NOT_DATA", "size, mtime")
    if attributes.st_size > LARGEST_BYTES:
        raise job.error("FETCH_TOO_LARGE", f"> {LARGEST_BYTES / 1e9:.1f} GB")
    return _Remote(path, attributes.st_size, attributes.st_mtime)


def newest_file(job: Job, session: paramiko.SFTPClient) -> _Remote:
    files = []
    for path in (job.path, *job.parameter("alternatives", ())):
        try:
            files.append(_stat(job, session, path))
        except FileNotFoundError:
            continue
    if not files:
        raise job.error("FETCH_NOT_AVAILABLE")
    return max(files, key=lambda remote: remote.changed)


def _at_rest(job: Job, session: paramiko.SFTPClient, remote: _Remote) -> _Remote:
    """The file, if nobody is writing it. Raises FETCH_NOT_AVAILABLE before its sender marked it as done, and
    FETCH_INCOMPLETE when it changes while it is watched."""
    if suffix := job.parameter("done_suffix"):
        try:
            mark = _stat(job, session, remote.path + suffix)
        except FileNotFoundError:
            raise job.error("FETCH_NOT_AVAILABLE", suffix) from None
        if mark.changed < remote.changed:
            raise job.error("FETCH_NOT_AVAILABLE", suffix)
    quiet = float(job.parameter("quiet_seconds", QUIET_SECONDS))
    if time.time() - remote.changed < quiet:
        time.sleep(min(quiet, job.seconds_left))
        if _stat(job, session, remote.path) != remote:
            raise job.error("FETCH_INCOMPLETE")
    return remote


def download(job: Job, session: paramiko.SFTPClient, remote: _Remote, partial: Path) -> None:
    """Append to ``partial`` what it lacks of the remote file."""
    with session.open(remote.path, "rb", bufsize=0) as source, partial.open("ab") as target:
        n_bytes = target.tell()
        source.seek(n_bytes)
        while n_bytes < remote.size:
            _ask_ahead(source, n_bytes, min(n_bytes + STRETCH, remote.size))
            chunk = source.read(min(STRETCH, remote.size - n_bytes))
            if not chunk:
                break
            n_bytes += target.write(chunk)
            job.count_bytes(len(chunk))
            job.say(f"{n_bytes / 1e6:.0f} / {remote.size / 1e6:.0f} MB")


def _ask_ahead(source: Any, start: int, end: int) -> None:
    """What ``SFTPFile.prefetch`` does to ``source``, but on this thread; its parts are private and have no types.

    Paramiko asks on a thread of its own and takes a moment without open questions for the end of the file; on a fast
    line it then reads everything twice, the second time piece by piece (23 s instead of 1.5 s for 50 MB on loopback).
    """
    step = source.MAX_REQUEST_SIZE
    source._prefetching, source._prefetch_done = True, False
    source._prefetch_thread([(at, min(step, end - at)) for at in range(start, end, step)], None)


class _Line:
    """A connection to an agency's server, and the SFTP session on it."""

    def __init__(self) -> None:
        self._client = paramiko.SSHClient()
        self._connection: socket.socket | None = None
        self._session: paramiko.SFTPClient | None = None

    def session(
        self, job: Job, address: tuple[str, int], watch: Callable[[socket.socket], None]
    ) -> paramiko.SFTPClient:
        """The session, opened where it is not; ``watch`` is given its connection first."""
        if self._session and self._connection:
            watch(self._connection)
            return self._session
        self._client.load_host_keys(str(job.secret_path("known_hosts")))
        self._client.set_missing_host_key_policy(_RefuseUnknownHost())
        private_key = _private_key(job)
        self._connection = socket.create_connection(address, timeout=TIMEOUT_SECONDS)
        watch(self._connection)
        self._client.connect(
            *address,
            sock=self._connection,
            username=job.parameter("username"),
            pkey=private_key,
            allow_agent=False,
            look_for_keys=False,
            timeout=TIMEOUT_SECONDS,
            banner_timeout=TIMEOUT_SECONDS,
            auth_timeout=TIMEOUT_SECONDS,
        )
        self._session = self._client.open_sftp()
        if channel := self._session.get_channel():
            channel.settimeout(TIMEOUT_SECONDS)
        return self._session

    def close(self) -> None:
        self._client.close()
        if self._connection:
            self._connection.close()


@contextmanager
def open_session(job: Job) -> Iterator[paramiko.SFTPClient]:
    """An SFTP session: the one that the part before left open, else on a new connection.

    What goes wrong inside leaves as FetchError, and closes the connection unless only the file was not there.
    """
    job.confirm_time()
    address = _address(job)
    line = job.lines.pop(address, None)
    if not isinstance(line, _Line):
        line = _Line()
    is_sound = False
    try:
        with job.cutting_off() as watch:
            yield line.session(job, address, watch)
        is_sound = True
    except FetchError as error:
        is_sound = error.code == "FETCH_NOT_AVAILABLE"
        raise
    except (paramiko.BadHostKeyException, _UnknownHost):
        raise job.error("FETCH_HOST_KEY") from None
    except (paramiko.AuthenticationException, PermissionError):
        raise job.error("FETCH_REFUSED") from None
    except TimeoutError:
        raise job.error("FETCH_TIMEOUT") from None
    except (paramiko.SSHException, EOFError, OSError) as error:
        if getattr(error, "errno", None) in LOCAL_DISK_ERRORS:
            raise
        job.confirm_time()
        raise job.error("FETCH_UNREACHABLE") from None
    finally:
        if is_sound:
            job.lines[address] = line
        else:
            line.close()


def _private_key(job: Job) -> paramiko.PKey:
    try:
        return paramiko.PKey.from_path(job.secret_path("private_key"))
    except (paramiko.SSHException, UnknownKeyType, ValueError, TypeError):
        raise ConfigError(
            "SECRET_INVALID",
            f"Kredensial private_key untuk {job.contract.dataset} bukan kunci SSH yang dapat dibaca.",
            f"The credential private_key for {job.contract.dataset} is no SSH key that can be read.",
            "Pasang kunci OpenSSH tanpa sandi yang sudah didaftarkan pada pengirim.",
            "Install the OpenSSH key, without passphrase, that the sender has registered.",
        ) from None


class _UnknownHost(Exception):
    """The server's host key is not in known_hosts."""


class _RefuseUnknownHost(paramiko.MissingHostKeyPolicy):
    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        raise _UnknownHost


def _address(job: Job) -> tuple[str, int]:
    address = urlsplit(job.location)
    if address.scheme != "sftp" or not address.hostname:
        raise ConfigError(
            "ENDPOINT_INVALID",
            f"Alamat untuk {job.contract.dataset} bukan sftp://host:port.",
            f"The address for {job.contract.dataset} is not sftp://host:port.",
            "Perbaiki alamat itu di berkas endpoints.",
            "Correct that address in the endpoints file.",
        )
    return address.hostname, address.port or socket.getservbyname("ssh")
