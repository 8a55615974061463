"""All agencies of the sandbox in one process: starts them, tells the warehouse where they are, stops them.

``serve`` runs them in this process (tests); ``python -m warehouse.sandbox.servers`` runs them in one of their own,
which ends when whoever started it closes its standard input or dies (``control`` does so).
"""

import json
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn

from warehouse.core import files
from warehouse.core.contract import Contract, load_contracts
from warehouse.core.errors import ConfigError
from warehouse.core.settings import Settings
from warehouse.sandbox.faults import KINDS_OF, Fault, Faults
from warehouse.sandbox.http_agencies import Credentials, Habits, create_app
from warehouse.sandbox.sent import as_sent, sender_of
from warehouse.sandbox.sftp_agency import SftpAgency, new_key


@dataclass(frozen=True)
class Agencies:
    """The running servers: where they are, and the switch for their faults."""

    url: str
    endpoints: dict[str, dict[str, Any]]
    faults: Faults


@contextmanager
def serve(s: Settings, contracts: Iterable[Contract] | None = None, habits: Habits | None = None) -> Iterator[Agencies]:
    """Run every agency on free ports of 127.0.0.1; endpoints file and secrets are written once all of them listen."""
    holdings = (s.home / "sandbox" / "holdings").resolve()
    contracts = list(load_contracts(s.contracts_dir).values() if contracts is None else contracts)
    sent = as_sent(s, contracts)
    faults, credentials = planted(s), Credentials()
    client_key_text, client_key = new_key()
    protocols = {name: protocol for name, protocol in speaking(contracts).items() if protocol != "sftp"}
    app = create_app(protocols, holdings / "http", credentials, faults, habits or Habits(), sent)
    http = _HttpServer(app)
    names = sorted(speaking(contracts).keys() - protocols.keys())
    senders = {name: SftpAgency(name, holdings / "sftp" / name, client_key, faults, sent) for name in names}
    try:
        http.start()
        values = {
            "key": credentials.bps_key,
            "client_id": credentials.bpjstk_id,
            "client_secret": credentials.bpjstk_secret,
            "private_key": client_key_text,
        }
        endpoints = {agency: {"location": f"{http.url}/{agency}"} for agency in protocols}
        for contract in contracts:
            extras = contract.server.extras
            secrets = values
            if extras.protocol == "sftp":
                sender = senders[sender_of(contract)]
                endpoints[contract.dataset] = {"location": sender.location}
                secrets = values | {"known_hosts": sender.known_hosts}
            for credential, name in extras.secrets.items():
                files.write_private(s.secrets / name, secrets[credential])
        files.write_private(s.endpoints, json.dumps(endpoints, indent=1, sort_keys=True))
        yield Agencies(http.url, endpoints, faults)
    finally:
        http.stop()
        for sender in senders.values():
            sender.stop()


def speaking(contracts: Iterable[Contract]) -> dict[str, str]:
    """Agency that a server plays -> the protocol it speaks, from the contracts; what comes by hand has no server."""
    addresses: dict[str, str] = {}
    for contract in contracts:
        protocol = contract.server.extras.protocol
        if protocol in KINDS_OF:
            addresses[sender_of(contract) if protocol == "sftp" else contract.agency] = protocol
    return addresses


def planted(s: Settings) -> Faults:
    """The faults of this home's agencies."""
    return Faults(s.home / "sandbox" / "faults.json")


def plant(s: Settings, agency: str, kind: str, times: int | None = None, seconds: float = 1.0) -> None:
    """Give an agency a fault, for so many requests or until it is removed; it works on servers that run already.

    Raises ConfigError AGENCY_UNKNOWN and FAULT_UNKNOWN.
    """
    protocols = speaking(load_contracts(s.contracts_dir).values())
    if agency not in protocols:
        raise _unknown("AGENCY_UNKNOWN", "Instansi", "Agency", agency, protocols)
    kinds = KINDS_OF[protocols[agency]]
    if kind not in kinds:
        raise _unknown("FAULT_UNKNOWN", f"Gangguan pada {agency}", f"A fault of {agency}", kind, kinds)
    planted(s).set(Fault(agency=agency, kind=kind, times=times, seconds=seconds))


def _unknown(code: str, what_id: str, what_en: str, word: str, words: Iterable[str]) -> ConfigError:
    listing = ", ".join(sorted(words))
    return ConfigError(
        code,
        f"{what_id} {word!r} tidak dikenal.",
        f"{what_en} {word!r} is not known.",
        f"Pilih salah satu: {listing}.",
        f"Choose one of: {listing}.",
    )


class _HttpServer:
    """uvicorn on a thread, on a free port."""

    def __init__(self, app: Any):
        config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", access_log=False, lifespan="off")
        self._server = uvicorn.Server(config)
        self._socket = config.bind_socket()
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def start(self) -> None:
        # The socket listens already: a request that comes before the thread is ready waits in its queue.
        self._socket.listen(128)
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        self._socket.close()


def main() -> None:
    """Settings come in as one JSON line, the addresses go out as one; the end of standard input ends the servers."""
    s = Settings.model_validate_json(sys.stdin.readline())
    # Hundreds of small answers cross threads here: a thread that waits for its turn waits for the whole interval.
    sys.setswitchinterval(0.0005)
    with serve(s) as agencies:
        print(json.dumps({"url": agencies.url, "endpoints": agencies.endpoints}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
