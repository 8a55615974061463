"""CKAN-like open data portals, data.go.id among them: one table that a package lists, as its owner put it there.

Their ways: the envelope says ``"status": "200 OK"`` (a string) where stock CKAN says ``"success": true``; the declared
format is wrong in one case in twelve; beside the table lie its leaflet as PDF, its code list, its older versions; a
datastore gives a hundred rows unless asked, and in no order.

Of the files with the asked words in their names, the newest is taken that can be read as the contract's shape: what
declares itself a leaflet or picture in every way is not fetched, at most ten others are, newest first, and judged by
their bytes. One that has the contract's columns and is damaged is taken, as the gate says what is wrong with it.
A datastore is asked page by page in the order of ``_id``, until as many distinct rows have come as its ``total``; a
file that is such an answer and holds fewer rows than its total is no delivery.

Contract: ``path`` to the action API; parameters ``package`` (its name), ``resource`` (what stands in the name of the
file, such as the period's label; either may hold templates) and ``page_size`` of a datastore (default 1000); ``hosts``
of the server, where files lie elsewhere than the portal.
"""

import json
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from warehouse.core.errors import FetchError, UnreadableDelivery
from warehouse.intake.agencies.job import Fetched, Job
from warehouse.intake.agencies.pages import MEDIA, Tally, dig, is_count, page_writer
from warehouse.intake.agencies.web import Answer, Web
from warehouse.intake.parse import parse
from warehouse.storage.media import media_of

log = logging.getLogger(__name__)

_MOST_FILES = 10
_DATASTORE = "datastore_search"
# What a file may declare itself to be (format, media type, ending) that no contract reads.
_NO_TABLES = {
    *("pdf", "doc", "docx", "msword", "odt", "ppt", "pptx", "htm", "html"),
    *("png", "jpg", "jpeg", "gif", "svg", "svg+xml", "tif", "tiff", "webp", "mp4", "avi"),
}
_TABLES = {"csv", "tsv", "txt", "xls", "xlsx", "json"}
# A link that leads to no file: of what declares itself a table it is a failure, of anything else it is another thing.
_NOT_THERE = {"FETCH_NOT_DATA", "FETCH_NOT_AVAILABLE", "FETCH_HOST_UNKNOWN"}
_NO_TABLE_HEADS = (b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8")
# A larger file is not looked into here: the gate says what it is.
_LARGEST_LOOKED_INTO = 64 * 1024 * 1024
# The file was read and is another than the contract's; any other fault is one of the table itself.
_ANOTHER_FILE = {
    *("PARSE_WRONG_FORMAT", "PARSE_NOT_XLSX", "PARSE_HTML"),
    *("PARSE_MISSING_COLUMNS", "PARSE_UNKNOWN_LAYOUT", "PARSE_WRONG_DATASET", "PARSE_NOT_DATA", "PARSE_NULL_ANSWER"),
    *("PARSE_NO_HEADER", "PARSE_NO_RECORDS"),
}


def fetch(job: Job) -> Fetched:
    with Web(job, follow_redirects=True) as web:
        answer = web.get(f"{job.location}{job.path}/package_show", {"id": job.parameter("package")})
        path = _table(job, web, _resources(job, package(job, answer.json(job))))
    _demand_whole_answer(job, path)
    return Fetched(path, media_of(path), job.attempts, path.stat().st_size)


def package(job: Job, body: Any) -> dict[str, Any]:
    """The package out of its envelope, in stock CKAN's form or data.go.id's."""
    if isinstance(body, dict):
        status = body.get("status")
        if status == 404:
            raise job.error("FETCH_NOT_AVAILABLE", "status 404")
        is_good = body.get("success") is True or (isinstance(status, str) and status.startswith("200"))
        if is_good and isinstance(result := body.get("result"), dict):
            return result
    raise job.error("FETCH_NOT_DATA", "package_show")


def _resources(job: Job, package: dict[str, Any]) -> list[dict[str, Any]]:
    """The active files with the asked words in their names, newest first; without one the period is not there yet."""
    # 2026 is asked for: neither 2026-Q3 nor 12026 is meant.
    words = re.compile(rf"(?<![0-9]){re.escape(job.parameter('resource'))}(?!-?[0-9]|-[QH][0-9])")
    files = package.get("resources")
    if not isinstance(files, list):
        raise job.error("FETCH_NOT_DATA", "resources")
    resources = [item for item in files if isinstance(item, dict)]
    matches = [
        item for item in resources if item.get("state") in (None, "active") and words.search(str(item.get("name")))
    ]
    if not matches and len(resources) < len(files):
        raise job.error("FETCH_NOT_DATA", "resources")
    if not matches:
        raise job.error("FETCH_NOT_AVAILABLE")
    return sorted(matches, key=lambda item: str(item.get("last_modified") or item.get("created") or ""), reverse=True)


def _table(job: Job, web: Web, resources: list[dict[str, Any]]) -> Path:
    """The newest of the files that can be read as the contract's shape; else the newest that is a table at all."""
    candidates = [resource for resource in resources if not _declared(resource) <= _NO_TABLES][:_MOST_FILES]
    tables = []
    not_data = job.error("FETCH_NOT_DATA", f"{len(resources)} resources, 0 tables")
    for number, resource in enumerate(candidates):
        try:
            path = _downloaded(job, web, resource, number)
        except FetchError as error:
            if error.code not in _NOT_THERE or _declared(resource) & _TABLES:
                raise
            not_data = error
            continue
        if not _looks_like_table(path):
            continue
        tables.append((path, resource))
        if len(candidates) == 1 or _has_our_shape(job, path):
            break
    else:
        tables = tables[:1]
    if not tables:
        raise not_data
    path, resource = tables[-1]
    if passed_over := resources.index(resource):
        log.warning("%s: %d newer files are no table of the contract", job.contract.dataset, passed_over)
    if not _declared(resource) & {media_of(path), MEDIA}:
        log.warning("%s: the portal declares another format than %s", job.contract.dataset, media_of(path))
    return path.rename(job.spool / _file_name(resource))


def _declared(resource: Mapping[str, Any]) -> set[str]:
    """What a file says it is: its format, media type and the ending of its address; ``?`` where it says nothing."""
    address = str(resource.get("url") or "").split("?")[0]
    said = [resource.get("format"), resource.get("mimetype"), Path(address.rpartition("/")[2]).suffix]
    words = {str(word or "").lower().rpartition("/")[2].strip(" .") for word in said} - {""}
    return words or {"?"}


def _downloaded(job: Job, web: Web, resource: Mapping[str, Any], number: int) -> Path:
    path = job.spool / f"resource-{number}"
    url = str(resource.get("url"))
    if url.split("?")[0].rstrip("/").endswith(f"/{_DATASTORE}"):
        with page_writer(path) as pages:
            for answer in _datastore(job, web, url):
                pages.add(answer.body)
        return path
    web.download(url, path)
    return path


def _datastore(job: Job, web: Web, url: str) -> Iterator[Answer]:
    """All pages of a datastore. One that states no total is asked until a page is empty."""
    tally = Tally(job, ["_id"], once=True)
    is_last = False
    while not is_last:
        place: dict[str, str | int] = {
            "sort": "_id",
            "limit": int(job.parameter("page_size", 1000)),
            "offset": tally.received,
        }
        try:
            page = httpx.URL(url).copy_merge_params(place)
        except httpx.InvalidURL:
            raise job.error("FETCH_NOT_DATA", "URL") from None
        answer = web.get(str(page))
        result = package(job, answer.json(job))
        records, total = result.get("records"), result.get("total")
        if not isinstance(records, list) or not (total is None or is_count(total)):
            raise job.error("FETCH_NOT_DATA", _DATASTORE)
        if total == 0 and not job.contract.extras.may_be_empty:
            raise job.error("FETCH_NOT_AVAILABLE")
        tally.add(records, total)
        yield answer
        is_last = not records or tally.is_whole
    if tally.total is not None:
        tally.demand_whole()


def _looks_like_table(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(512)
    return not head.startswith(_NO_TABLE_HEADS) and (media_of(path) != "csv" or b"\x00" not in head)


def _has_our_shape(job: Job, path: Path) -> bool:
    if path.stat().st_size > _LARGEST_LOOKED_INTO:
        return True
    try:
        parse(job.contract, path.read_bytes(), media_of(path))
    except UnreadableDelivery as error:
        return error.code not in _ANOTHER_FILE
    except Exception:
        # What nobody foresaw of a table is a verdict about that table, which the gate records.
        return True
    return True


def _demand_whole_answer(job: Job, path: Path) -> None:
    """Raise FETCH_INCOMPLETE for a file that is one page of a datastore's answer."""
    if media_of(path) != "json" or path.stat().st_size > _LARGEST_LOOKED_INTO:
        return
    try:
        body = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return
    records, total = dig(body, "result.records"), dig(body, "result.total")
    if isinstance(records, list) and is_count(total) and len(records) != total:
        raise job.error("FETCH_INCOMPLETE", f"{len(records)} / {total}")


def _file_name(resource: dict[str, Any]) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", str(resource.get("url")).split("?")[0].rsplit("/", 1)[-1])
    return name.lstrip(".")[:120] or "file"
