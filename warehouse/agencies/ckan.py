"""CKAN-like open data portals, data.go.id among them: one file that a package lists, as its owner put it there.

Their ways: the envelope says ``"status": "200 OK"`` (a string) where stock CKAN says ``"success": true``; the file lies
on whatever host its ``url`` names; the declared format is wrong in one case in twelve, so the file's own bytes decide.

Contract: ``path`` to the action API (default ``/api/3/action``); parameters ``package`` (its name) and ``resource``
(the name of the file in it); either may hold templates.
"""

import logging
import re
from typing import Any

from warehouse.agencies.job import Fetched, Job
from warehouse.agencies.media import media_of
from warehouse.agencies.web import Web

log = logging.getLogger(__name__)


def fetch(job: Job) -> Fetched:
    with Web(job, follow_redirects=True) as web:
        body = web.get(f"{job.location}{job.path or '/api/3/action'}/package_show", {"id": job.parameter("package")})
        resource = _resource(job, result(job, body.json(job)))
        path = job.spool / _file_name(resource)
        web.download(resource["url"], path)
    media = media_of(path)
    declared = str(resource.get("format") or "").lower()
    if declared != media:
        log.warning("%s: the portal declares another format than %s", job.contract.dataset, media)
    return Fetched(path, media, job.attempts, path.stat().st_size)


def result(job: Job, body: Any) -> dict[str, Any]:
    """What the envelope holds, in stock CKAN's form or data.go.id's."""
    if isinstance(body, dict):
        status = body.get("status")
        if status == 404:
            raise job.error("FETCH_NOT_AVAILABLE", "status 404")
        is_good = body.get("success") is True or (isinstance(status, str) and status.startswith("200"))
        if is_good and isinstance(body.get("result"), dict):
            return body["result"]
    raise job.error("FETCH_NOT_DATA", "package_show")


def _resource(job: Job, package: dict[str, Any]) -> dict[str, Any]:
    """The newest active file of the asked name; a package without it does not have the period yet."""
    name = job.parameter("resource")
    files = package.get("resources")
    found = [
        item
        for item in (files if isinstance(files, list) else [])
        if item.get("name") == name and item.get("state", "active") == "active" and item.get("url")
    ]
    if not found:
        raise job.error("FETCH_NOT_AVAILABLE")
    return max(found, key=lambda item: str(item.get("last_modified") or item.get("created") or ""))


def _file_name(resource: dict[str, Any]) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", str(resource["url"]).split("?")[0].rsplit("/", 1)[-1])
    return name.lstrip(".")[:120] or "file"
