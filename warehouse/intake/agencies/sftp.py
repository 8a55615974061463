"""SFTP: one file that a sender put into an agreed folder.

The server has to show the host key we know and takes our key, never a password. A transfer that breaks goes on where it
stopped if the file is still the same; a file that grew or changed meanwhile is not taken.

Contract: ``path``; parameters ``alternatives`` (further paths the same file may come under: the newest file found is
taken) and ``username``; secrets ``private_key`` and ``known_hosts``. Location: ``sftp://host:port``.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import paramiko

from warehouse.core.errors import ConfigError
from warehouse.intake.agencies.job import LOCAL_DISK_ERRORS, Fetched, Job
from warehouse.storage.media import looks_like_html, media_of

_TIMEOUT_SECONDS = 20.0
# Reads asked for in one go, before the first is answered: hides the line's latency, and bounds memory.
_STRETCH = 8 * 1024 * 1024


def fetch(job: Job) -> Fetched:
    partial = job.spool / f"sftp-{job.part}-{job.period.label}.partial"
    version: tuple[str, int, int] | None = None
    for attempt in job.tries():
        with attempt, _session(job) as session:
            remote, found = _newest(job, session)
            if version != (remote, found.st_size, found.st_mtime):
                partial.unlink(missing_ok=True)
                version = (remote, found.st_size, found.st_mtime)
            _download(job, session, remote, found.st_size, partial)
            after = session.stat(remote)
            if (remote, after.st_size, after.st_mtime) != version or partial.stat().st_size != found.st_size:
                raise job.error("FETCH_INCOMPLETE")
    path = partial.rename(job.spool / PurePosixPath(remote).name)
    with path.open("rb") as file:
        if looks_like_html(file.read(512)):
            raise job.error("FETCH_NOT_DATA", "HTML")
    return Fetched(path, media_of(path), job.attempts, path.stat().st_size)


def _newest(job: Job, session: paramiko.SFTPClient) -> tuple[str, paramiko.SFTPAttributes]:
    found = []
    for path in (job.path, *job.parameter("alternatives", ())):
        try:
            found.append((path, session.stat(path)))
        except FileNotFoundError:
            continue
    if not found:
        raise job.error("FETCH_NOT_AVAILABLE")
    return max(found, key=lambda item: item[1].st_mtime)


def _download(job: Job, session: paramiko.SFTPClient, remote: str, size: int, partial: Path) -> None:
    """Append to ``partial`` what it lacks of the remote file."""
    with session.open(remote, "rb", bufsize=0) as source, partial.open("ab") as target:
        received = target.tell()
        source.seek(received)
        while received < size:
            _ask_ahead(source, received, min(received + _STRETCH, size))
            chunk = source.read(min(_STRETCH, size - received))
            if not chunk:
                break
            received += target.write(chunk)
            job.say(f"{received / 1e6:.0f} / {size / 1e6:.0f} MB")


def _ask_ahead(source: paramiko.SFTPFile, start: int, end: int) -> None:
    """What ``SFTPFile.prefetch`` does, but on this thread.

    Paramiko asks on a thread of its own and takes a moment without open questions for the end of the file; on a fast
    line it then reads everything twice, the second time piece by piece (23 s instead of 1.5 s for 50 MB on loopback).
    """
    step = source.MAX_REQUEST_SIZE
    source._prefetching, source._prefetch_done = True, False
    source._prefetch_thread([(at, min(step, end - at)) for at in range(start, end, step)], None)


@contextmanager
def _session(job: Job) -> Iterator[paramiko.SFTPClient]:
    """An SFTP session on a connection of its own; what goes wrong inside leaves as FetchError."""
    host, port = _address(job)
    client = paramiko.SSHClient()
    client.load_host_keys(str(job.secret_path("known_hosts")))
    client.set_missing_host_key_policy(_RefuseUnknownHost())
    private_key = _private_key(job)
    try:
        client.connect(
            host,
            port,
            username=job.parameter("username"),
            pkey=private_key,
            allow_agent=False,
            look_for_keys=False,
            timeout=_TIMEOUT_SECONDS,
            banner_timeout=_TIMEOUT_SECONDS,
            auth_timeout=_TIMEOUT_SECONDS,
        )
        with client.open_sftp() as session:
            session.get_channel().settimeout(_TIMEOUT_SECONDS)
            yield session
    except (paramiko.BadHostKeyException, _UnknownHost):
        raise job.error("FETCH_HOST_KEY") from None
    except (paramiko.AuthenticationException, PermissionError):
        raise job.error("FETCH_REFUSED") from None
    except TimeoutError:
        raise job.error("FETCH_TIMEOUT") from None
    except (paramiko.SSHException, EOFError, OSError) as error:
        if getattr(error, "errno", None) in LOCAL_DISK_ERRORS:
            raise
        raise job.error("FETCH_UNREACHABLE") from None
    finally:
        client.close()


def _private_key(job: Job) -> paramiko.PKey:
    try:
        return paramiko.PKey.from_path(job.secret_path("private_key"))
    except (paramiko.SSHException, paramiko.UnknownKeyType, ValueError, TypeError):
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
