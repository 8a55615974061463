"""Fetching over SFTP from a real server on loopback: host keys, resumption, and files that are still being written."""

import errno
import functools
import os
import socket
import time
from collections.abc import Iterator

import paramiko
import pytest
import stamina

from tests.support.agencies_helpers import ALL, EPPGBM, a_job, make_holdings
from tests.support.sandbox_home import NOW
from warehouse.core.errors import ConfigError, FetchError, WarehouseError
from warehouse.core.periods import Period
from warehouse.core.settings import Settings
from warehouse.intake import agencies
from warehouse.intake.agencies import sftp
from warehouse.sandbox import sftp_agency
from warehouse.sandbox.faults import Fault
from warehouse.sandbox.servers import Agencies, serve

OCTOBER = Period.parse("2026-10")


@pytest.fixture
def s(settings: Settings) -> Settings:
    make_holdings(settings)
    return settings.model_copy(update={"now": NOW})


@pytest.fixture
def folder(s: Settings):
    return s.home / "sandbox" / "holdings" / "sftp" / "dinkes" / "eppgbm" / "2026-10"


@pytest.fixture(autouse=True)
def running(s: Settings) -> Iterator[Agencies]:
    with serve(s, ALL) as agencies, stamina.set_testing(True, attempts=3):
        yield agencies


def fetch(s: Settings, part: str = "cibodas"):
    job = a_job(s, EPPGBM, "2026-10", part)
    return agencies.fetch(s, EPPGBM, part, job.period, job.spool)


def session(s: Settings):
    return sftp.open_session(a_job(s, EPPGBM, "2026-10"))


@pytest.mark.parametrize(
    ("part", "name", "media"), [("cibodas", "cibodas.csv", "csv"), ("benda", "benda.xlsx", "xlsx")]
)
def test_a_file_arrives_exactly_under_the_name_it_was_sent(s, folder, part, name, media):
    fetched = fetch(s, part)
    assert fetched.path.read_bytes() == (folder / name).read_bytes()
    assert (fetched.path.name, fetched.media, fetched.attempts) == (name, media, 1)


def test_the_newer_of_two_files_is_taken(s, folder):
    (folder / "cibodas.xlsx").write_bytes(b"PK\x03\x04newer")
    os.utime(folder / "cibodas.csv", (9000, 9000))
    assert fetch(s).media == "xlsx"
    os.utime(folder / "cibodas.xlsx", (8000, 8000))
    assert fetch(s).media == "csv"


@pytest.mark.parametrize("size", [0, 1, 32_768, 32_769, sftp.STRETCH, sftp.STRETCH + 1])
def test_any_size_arrives(s, folder, size):
    (folder / "cibodas.csv").write_bytes(os.urandom(size))
    assert fetch(s).path.read_bytes() == (folder / "cibodas.csv").read_bytes()


def test_a_part_without_a_file_is_not_there_yet(s):
    with pytest.raises(FetchError, match="FETCH_NOT_AVAILABLE"):
        fetch(s, "neglasari")


def test_a_changed_host_key_ends_the_fetch(s, running):
    running.faults.set(Fault(agency="dinkes", kind="host_key"))
    with pytest.raises(FetchError) as caught:
        fetch(s)
    assert caught.value.code == "FETCH_HOST_KEY"
    assert not caught.value.may_retry


def test_an_unknown_host_is_not_trusted(s):
    (s.secrets / "dinkes_known_hosts").write_text("")
    with pytest.raises(FetchError, match="FETCH_HOST_KEY"):
        fetch(s)


def test_another_key_is_refused(s):
    (s.secrets / "dinkes_sftp_key").write_text(_another_key())
    with pytest.raises(FetchError, match="FETCH_REFUSED"):
        fetch(s)


def test_a_key_that_is_none_is_a_fault_of_ours(s):
    (s.secrets / "dinkes_sftp_key").write_text("no key")
    with pytest.raises(ConfigError, match="SECRET_INVALID") as caught:
        fetch(s)
    assert "no key" not in str(caught.value)


@pytest.mark.parametrize(("kind", "code"), [("refused", "FETCH_REFUSED"), ("down", "FETCH_UNREACHABLE")])
def test_a_faulty_server_is_named_for_what_it_does(s, running, kind, code):
    running.faults.set(Fault(agency="dinkes", kind=kind))
    with pytest.raises(FetchError) as caught:
        fetch(s)
    assert caught.value.code == code


def test_a_server_that_comes_back_is_waited_for(s, running):
    running.faults.set(Fault(agency="dinkes", kind="down", times=2))
    assert fetch(s).attempts == 3


def test_a_slow_server_runs_into_the_time_limit(s, running, monkeypatch):
    monkeypatch.setattr(sftp, "TIMEOUT_SECONDS", 0.2)
    running.faults.set(Fault(agency="dinkes", kind="slow", seconds=1))
    with pytest.raises(FetchError) as caught:
        fetch(s)
    assert caught.value.code in {"FETCH_TIMEOUT", "FETCH_UNREACHABLE"}


def test_parts_share_a_connection_until_one_breaks_it(s, running, monkeypatch):
    made, connect = [], socket.create_connection

    def counted(*arguments, **how):
        made.append(arguments)
        return connect(*arguments, **how)

    monkeypatch.setattr(socket, "create_connection", counted)
    with agencies.open_lines() as lines:
        together = functools.partial(_fetch_with, s, lines)
        assert [together(part).attempts for part in ("cibodas", "benda", "cibodas")] == [1, 1, 1]
        with pytest.raises(FetchError, match="FETCH_NOT_AVAILABLE"):
            together("neglasari")
        assert together("cibodas").attempts == 1
        assert len(made) == 1
        running.faults.set(Fault(agency="dinkes", kind="dropped", times=1))
        assert together("cibodas").attempts == 2
        assert len(made) == 2
        (line,) = lines.values()
    with pytest.raises(OSError, match="closed"):
        line.session(a_job(s, EPPGBM, "2026-10"), (), lambda _connection: None).stat(".")


def _fetch_with(s: Settings, lines: agencies.Lines, part: str) -> agencies.Fetched:
    return agencies.fetch(s, EPPGBM, part, OCTOBER, a_job(s, EPPGBM, "2026-10", part).spool, lines=lines)


def test_a_broken_transfer_goes_on_where_it_stopped(s, folder, running, monkeypatch):
    (folder / "cibodas.csv").write_bytes(os.urandom(3 * sftp.STRETCH))
    starts = []
    download = sftp.download

    def watched(job, session, remote, partial):
        starts.append(partial.stat().st_size if partial.exists() else 0)
        download(job, session, remote, partial)

    monkeypatch.setattr(sftp, "download", watched)
    running.faults.set(Fault(agency="dinkes", kind="dropped", times=1))
    fetched = fetch(s)
    assert fetched.path.read_bytes() == (folder / "cibodas.csv").read_bytes()
    assert fetched.attempts == 2
    assert starts[0] == 0
    assert starts[1] >= sftp.STRETCH


def test_a_file_replaced_after_a_break_is_taken_anew(s, folder, running, monkeypatch):
    (folder / "cibodas.csv").write_bytes(os.urandom(2 * sftp.STRETCH))
    newest = sftp.newest_file
    asked = []

    def replaced_meanwhile(job, session):
        asked.append(1)
        if len(asked) == 2:
            (folder / "cibodas.csv").write_bytes(b"x" * 2 * sftp.STRETCH)
            os.utime(folder / "cibodas.csv", (1, 1))
        return newest(job, session)

    monkeypatch.setattr(sftp, "newest_file", replaced_meanwhile)
    running.faults.set(Fault(agency="dinkes", kind="dropped", times=1))
    assert fetch(s).path.read_bytes() == b"x" * 2 * sftp.STRETCH


def test_a_file_that_is_still_being_written_is_left(s, running, monkeypatch):
    monkeypatch.setattr(sftp, "QUIET_SECONDS", 0.01)
    running.faults.set(Fault(agency="dinkes", kind="growing"))
    with pytest.raises(FetchError, match="FETCH_INCOMPLETE") as caught:
        fetch(s)
    assert caught.value.attempts == 3


def test_a_fresh_file_is_taken_when_it_has_not_changed_while_we_waited(s, folder, monkeypatch):
    waited = []
    monkeypatch.setattr(sftp.time, "sleep", waited.append)
    os.utime(folder / "cibodas.csv", (time.time() + 3600, time.time() + 3600))
    assert fetch(s).bytes == (folder / "cibodas.csv").stat().st_size
    assert waited == [sftp.QUIET_SECONDS]


def test_a_sender_that_marks_what_is_done_is_waited_for(s, folder):
    parameters = EPPGBM.server.extras.parameters | {"done_suffix": ".done"}
    extras = EPPGBM.server.extras.model_copy(update={"parameters": parameters})
    contract = EPPGBM.model_copy(update={"server": EPPGBM.server.model_copy(update={"extras": extras})})

    def marked():
        return agencies.fetch(s, contract, "cibodas", OCTOBER, a_job(s, contract, "2026-10").spool)

    with pytest.raises(FetchError, match="FETCH_NOT_AVAILABLE"):
        marked()
    (folder / "cibodas.csv.done").touch()
    os.utime(folder / "cibodas.csv.done", (8000, 8000))
    with pytest.raises(FetchError, match="FETCH_NOT_AVAILABLE"):
        marked()
    os.utime(folder / "cibodas.csv", (7000, 7000))
    assert marked().path.name == "cibodas.csv"


@pytest.mark.parametrize(
    ("lacks", "code"), [({"st_mtime": None}, "FETCH_NOT_DATA"), ({"st_size": None}, "FETCH_NOT_DATA"),
                        ({"st_size": 10**15}, "FETCH_TOO_LARGE")]
)  # fmt: skip
def test_a_file_without_end_size_or_time_is_left(s, monkeypatch, lacks, code):
    stat = paramiko.SFTPClient.stat

    def odd(client, path):
        found = stat(client, path)
        for name, value in lacks.items():
            setattr(found, name, value)
        return found

    monkeypatch.setattr(paramiko.SFTPClient, "stat", odd)
    with pytest.raises(FetchError) as caught:
        fetch(s)
    assert caught.value.code == code


def test_a_transfer_that_stalls_ends_with_the_fetchs_time(s, monkeypatch):
    monkeypatch.setattr(sftp_agency.OpenFile, "read", lambda *_: time.sleep(3) or b"x")
    job = a_job(s, EPPGBM, "2026-10", "cibodas")
    started = time.monotonic()
    with pytest.raises(FetchError, match="FETCH_TIMEOUT"):
        agencies.fetch(s, EPPGBM, "cibodas", job.period, job.spool, seconds=0.7)
    assert time.monotonic() - started < 2.5


def test_a_file_cut_by_its_sender_arrives_as_it_is(s, folder, running):
    running.faults.set(Fault(agency="dinkes", kind="truncated"))
    whole = (folder / "benda.xlsx").read_bytes()
    assert fetch(s, "benda").path.read_bytes() == whole[: len(whole) // 2]


def test_a_full_disk_is_ours_and_not_the_senders(s, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(sftp, "download", full)
    with pytest.raises(WarehouseError, match="SPOOL_NOT_WRITTEN"):
        fetch(s)


def test_a_page_in_place_of_the_file_is_no_data(s, folder):
    (folder / "cibodas.csv").write_bytes(b"<!DOCTYPE html><html>Login</html>")
    with pytest.raises(FetchError, match="FETCH_NOT_DATA"):
        fetch(s)


def test_one_puskesmas_costs_a_fraction_of_a_second(s):
    fetch(s, "benda")
    started = time.monotonic()
    for _ in range(5):
        fetch(s, "benda")
    assert (time.monotonic() - started) / 5 < 0.5


def test_the_server_shows_its_folder_only_and_takes_nothing(s):
    with session(s) as client:
        assert client.listdir("/eppgbm/2026-10") == ["benda.xlsx", "cibodas.csv"]
        assert client.listdir("/../../..") == ["eppgbm"]
        with pytest.raises(FileNotFoundError):
            client.stat("/../dinsos")
        for write in (lambda: client.remove("/eppgbm/2026-10/benda.xlsx"), lambda: client.mkdir("/new")):
            with pytest.raises(OSError, match="unsupported"):
                write()
    with pytest.raises(FetchError, match="FETCH_REFUSED"), session(s) as client:
        client.open("/eppgbm/2026-10/benda.xlsx", "wb")


def test_the_server_does_not_follow_a_link_out_of_its_folder(s, folder):
    (folder / "out").symlink_to("/etc/hostname")
    with pytest.raises(FetchError, match="FETCH_REFUSED"), session(s) as client:
        client.stat("/eppgbm/2026-10/out")


def test_the_server_takes_no_password_and_opens_no_shell(s, running):
    host, port = "127.0.0.1", int(running.endpoints["kemenkes/eppgbm"]["location"].rpartition(":")[2])
    transport = paramiko.Transport((host, port))
    transport.start_client(timeout=10)
    with pytest.raises(paramiko.BadAuthenticationType):
        transport.auth_password("gudang", "password")
    transport.close()


def _another_key() -> str:
    from warehouse.sandbox.sftp_agency import new_key

    return new_key()[0]
