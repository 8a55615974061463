"""Talks to the agencies: one module per wire protocol, one spool file per delivery, nothing else.

A fetch brings the exact bytes of one (dataset, part, period) into a spool folder, whole or not at all, within the
bounds that ``job`` states. Contracts say what to ask (``server.parameters``: each protocol's module states which it
takes) and of which further hosts, the endpoints file where, the secrets folder with what credentials.

Not here: keeping the bytes (landing), reading them (parse), judging them (gate).
"""

import csv
import os
from contextlib import nullcontext
from pathlib import Path

from warehouse.core.contract import Contract
from warehouse.core.errors import ConfigError, FetchError, WarehouseError
from warehouse.core.periods import Period
from warehouse.core.settings import Settings
from warehouse.intake.agencies import arcgis, bps_webapi, by_hand, ckan, sftp, splp
from warehouse.intake.agencies.job import LONGEST_SECONDS, Fetched, Job, Lines, Progress, open_lines

__all__ = ["LONGEST_SECONDS", "Fetched", "Lines", "Progress", "fetch", "open_lines", "parts"]

_PROTOCOLS = {
    "bps_webapi": bps_webapi.fetch,
    "arcgis": arcgis.fetch,
    "ckan": ckan.fetch,
    "splp": splp.fetch,
    "sftp": sftp.fetch,
    "by_hand": by_hand.fetch,
}


def fetch(
    s: Settings,
    contract: Contract,
    part: str,
    period: Period,
    spool: Path,
    progress: Progress | None = None,
    seconds: float = LONGEST_SECONDS,
    lines: Lines | None = None,
) -> Fetched:
    """Bring one delivery into ``spool``, within ``seconds`` of wall clock; ``lines``: what the part before left open.

    Raises FetchError, which tells the attempts made, also for what nobody foresaw; ConfigError when an address or
    credential is missing or wrong, and SPOOL_NOT_WRITTEN when our own disk takes no more.
    """
    with nullcontext(lines) if lines is not None else open_lines() as open_to_us:
        return _fetch(Job(s, contract, part, period, spool, progress, seconds, lines=open_to_us))


def _fetch(job: Job) -> Fetched:
    try:
        return _whole(job)
    except FetchError as error:
        error.attempts = job.attempts
        raise
    except WarehouseError:
        raise
    except OSError as error:
        raise WarehouseError(
            "SPOOL_NOT_WRITTEN",
            f"Berkas sementara tidak dapat ditulis ({os.strerror(error.errno or 0)}).",
            f"The temporary file cannot be written ({os.strerror(error.errno or 0)}).",
            f"Periksa ruang dan izin di {job.s.tmp_dir}, lalu ulangi.",
            f"Check space and permissions of {job.s.tmp_dir}, then repeat.",
        ) from error
    except Exception as error:
        unforeseen = job.unforeseen(error)
        unforeseen.attempts = job.attempts
        raise unforeseen from error


def _whole(job: Job) -> Fetched:
    """The delivery; what came incomplete, or changed on the way, is asked for again from its beginning."""
    for walk in job.walks():
        with walk:
            fetched = _PROTOCOLS[job.contract.server.extras.protocol](job)
    return fetched


def parts(s: Settings, contract: Contract) -> list[str]:
    """The parts a period of this dataset consists of: senders valid today, indicators, or ``all``."""
    if contract.fixed_parts is not None:
        return list(contract.fixed_parts)
    kind = contract.extras.parts
    today = s.today().isoformat()
    with (s.seeds_dir / "service_units.csv").open(encoding="utf-8", newline="") as file:
        units = [row for row in csv.DictReader(file) if row["kind"] == kind]
    if strangers := sorted(contract.extras.part_terms.keys() - {row["part"] for row in units}):
        raise ConfigError(
            "PART_TERMS_UNKNOWN",
            f"part_terms kontrak {contract.dataset} menyebut yang bukan {kind}: {', '.join(strangers)}.",
            f"part_terms of contract {contract.dataset} names what is no {kind}: {', '.join(strangers)}.",
            "Perbaiki nama bagian di kontrak itu, atau lengkapi service_units.csv.",
            "Correct the part's name in that contract, or complete service_units.csv.",
        )
    part_names = [
        row["part"] for row in units if row["valid_from"] <= today and (not row["valid_to"] or today < row["valid_to"])
    ]
    if not part_names:
        raise ConfigError(
            "PARTS_UNKNOWN",
            f"Tidak ada {kind} yang berlaku hari ini di service_units.csv.",
            f"No {kind} in service_units.csv is valid today.",
            "Lengkapi daftar unit layanan itu.",
            "Complete that list of service units.",
        )
    return part_names
