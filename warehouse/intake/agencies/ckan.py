"""CKAN-like open data portals, data.go.id among them: one file that a package lists, as its owner put it there.

Their ways: the envelope says ``"status": "200 OK"`` (a string) where stock CKAN says ``"success": true``; the file lies
on whatever host its ``url`` names; the declared format is wrong in one case in twelve, so the file's own bytes decide.

Contract: ``path`` to the action API; parameters ``package`` (its name) and ``resource`` (what stands in the name of the
file, such as the period's label); either may hold templates.
"""

import logging
import re
from typing import Any

from warehouse.intake.agencies.job import Fetched, Job
from warehouse.intake.agencies.web import Web
from warehouse.storage.media import media_of

log = logging.getLogger(__name__)


def fetch(job: Job) -> Fetched:
    with Web(job, follow_redirects=True) as web:
        answer = web.get(f"{job.location}{job.path}/package_show", {"id": job.parameter("package")})
        resource = _resource(job, package(job, answer.json(job)))
        path = job.spool / _file_name(resource)
        web.download(str(resource.get("url")), path)
    media = media_of(path)
    declared = str(resource.get("format") or "").lower()
    if declared != media:
        log.warning("%s: the portal declares another format than %s", job.contract.dataset, media)
    return Fetched(path, media, job.attempts, path.stat().st_size)


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


def _resource(job: Job, package: dict[str, Any]) -> dict[str, Any]:
    """The newest active file with the asked words in its name; a package without one does not have the period yet."""
    # 2026 is asked for: neither 2026-Q3 nor 12026 is meant.
    words = re.compile(rf"(?<![0-9]){re.escape(job.parameter('resource'))}(?!-?[0-9]|-[QH][0-9])")
    files = package.get("resources")
    found = [
        item
        for item in (files if isinstance(files, list) else [])
        if item.get("state", "active") == "active" and words.search(str(item.get("name")))
    ]
    if not found:
        raise job.error("FETCH_NOT_AVAILABLE")
    return max(found, key=lambda item: str(item.get("last_modified") or item.get("created") or ""))


def _file_name(resource: dict[str, Any]) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", str(resource.get("url")).split("?")[0].rsplit("/", 1)[-1])
    return name.lstrip(".")[:120] or "file"
