"""A sender's SFTP server: what it has sent, read-only, for whoever holds the agreed key. Real protocol, on loopback."""

import errno
import io
import os
import posixpath
import socket
import threading
import time
from pathlib import Path

import paramiko
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED, OPEN_SUCCEEDED
from paramiko.sftp import SFTP_CONNECTION_LOST, SFTP_EOF, SFTP_PERMISSION_DENIED

from warehouse.sandbox.faults import Faults
from warehouse.sandbox.sent import AsSent

# A night finds what was sent in the day, however lately the sandbox wrote it.
_SENT_BEFORE_SECONDS = 3600


def new_key() -> tuple[str, paramiko.Ed25519Key]:
    """A fresh Ed25519 key: its OpenSSH text, and the same for paramiko."""
    key = Ed25519PrivateKey.generate()
    text = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    return text, paramiko.Ed25519Key(file_obj=io.StringIO(text))


class SftpAgency:
    """Serves what has been sent of ``root`` on a free port of 127.0.0.1 until ``stop``; a thread per connection."""

    def __init__(self, name: str, root: Path, authorized: paramiko.PKey, faults: Faults, as_sent: AsSent):
        self.name = name
        self.root = root.resolve()
        self.faults = faults
        self.as_sent = as_sent
        self._authorized = authorized
        self._host_key = new_key()[1]
        self._other_host_key = new_key()[1]
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._socket.getsockname()[1]
        self._transports: set[paramiko.Transport] = set()
        threading.Thread(target=self._accept, name=f"sftp-{name}", daemon=True).start()

    @property
    def location(self) -> str:
        return f"sftp://127.0.0.1:{self.port}"

    @property
    def known_hosts(self) -> str:
        """The line a careful operator would have put into known_hosts."""
        return f"[127.0.0.1]:{self.port} {self._host_key.get_name()} {self._host_key.get_base64()}\n"

    def stop(self) -> None:
        self._socket.close()
        for transport in list(self._transports):
            transport.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        if self.faults.take(self.name, "down"):
            connection.close()
            return
        if fault := self.faults.take(self.name, "slow"):
            time.sleep(fault.seconds)
        transport = paramiko.Transport(connection)
        self._transports.add(transport)
        key_fault = self.faults.take(self.name, "host_key")
        transport.add_server_key(self._other_host_key if key_fault else self._host_key)
        transport.set_subsystem_handler("sftp", paramiko.SFTPServer, _Folder, agency=self, transport=transport)
        try:
            transport.start_server(server=_Door(self, self._authorized))
            transport.join()
        except (paramiko.SSHException, EOFError, OSError):
            transport.close()
        finally:
            self._transports.discard(transport)


class _Door(paramiko.ServerInterface):
    """Lets in the one key, any user name, SFTP only."""

    def __init__(self, agency: SftpAgency, authorized: paramiko.PKey):
        self._agency = agency
        self._authorized = authorized

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        is_known = key.asbytes() == self._authorized.asbytes() and not self._agency.faults.take(
            self._agency.name, "refused"
        )
        return AUTH_SUCCESSFUL if is_known else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_SUCCEEDED if kind == "session" else OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED


class _Folder(paramiko.SFTPServerInterface):
    """The agency's folder as the root of everything; whatever writes is refused by the base class."""

    def __init__(self, server: paramiko.ServerInterface, agency: SftpAgency, transport: paramiko.Transport):
        super().__init__(server)
        self._agency = agency
        self._transport = transport

    def list_folder(self, path: str) -> list[paramiko.SFTPAttributes] | int:
        try:
            children = sorted(self._local(path).iterdir())
            names = {child.name: self._agency.as_sent(child) for child in children}
            return [self._attributes(file, name) for name, file in names.items() if file is not None]
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or errno.EIO)

    def stat(self, path: str) -> paramiko.SFTPAttributes | int:
        try:
            return self._attributes(self._sent(path), posixpath.basename(path))
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or errno.EIO)

    lstat = stat

    def open(self, path: str, flags: int, attr: paramiko.SFTPAttributes) -> paramiko.SFTPHandle | int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND):
            return SFTP_PERMISSION_DENIED
        try:
            local = self._sent(path)
            attributes = self._attributes(local, posixpath.basename(path), is_asked=False)
            return OpenFile(local, attributes, self._agency, self._transport)
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or errno.EIO)

    def _local(self, path: str) -> Path:
        local = (self._agency.root / posixpath.normpath(f"/{path}").lstrip("/")).resolve()
        if not local.is_relative_to(self._agency.root):
            raise PermissionError(13, "outside")
        return local

    def _sent(self, path: str) -> Path:
        name = self._agency.as_sent(self._local(path))
        if name is None:
            raise FileNotFoundError(errno.ENOENT, "not sent yet")
        return name

    def _attributes(self, local: Path, name: str, *, is_asked: bool = True) -> paramiko.SFTPAttributes:
        attributes = paramiko.SFTPAttributes.from_stat(local.stat(), name)
        size = attributes.st_size or 0
        if local.is_file():
            if self._agency.faults.take(self._agency.name, "truncated"):
                size //= 2
            attributes.st_mtime = max(0, int(attributes.st_mtime or 0) - _SENT_BEFORE_SECONDS)
            if is_asked and self._agency.faults.take(self._agency.name, "growing"):
                size += time.monotonic_ns() % 1000 + 1
                attributes.st_mtime = int(time.time())
            attributes.st_size = size
        return attributes


class OpenFile(paramiko.SFTPHandle):
    """An open file, cut where its attributes say it ends."""

    def __init__(
        self, local: Path, attributes: paramiko.SFTPAttributes, agency: SftpAgency, transport: paramiko.Transport
    ):
        super().__init__(os.O_RDONLY)
        self._file = local.open("rb")
        self._attributes = attributes
        self._agency = agency
        self._transport = transport

    def stat(self) -> paramiko.SFTPAttributes:
        return self._attributes

    def read(self, offset: int, length: int) -> bytes | int:
        size = self._attributes.st_size or 0
        if offset * 2 >= size and self._agency.faults.take(self._agency.name, "dropped"):
            self._transport.close()
            return SFTP_CONNECTION_LOST
        if offset >= size:
            return SFTP_EOF
        self._file.seek(offset)
        return self._file.read(min(length, size - offset))

    def close(self) -> None:
        self._file.close()
        super().close()
