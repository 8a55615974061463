"""ArcGIS REST map services, as Dukcapil's: every region level of one delivery, page after page.

Its ways: no key; layer ids change and are looked up; errors come inside a 200 body; an answer that was cut says
``exceededTransferLimit``.

Contract: ``path`` to the services folder; parameters ``services`` (map services, one per level, in order), ``where``,
``page_size`` (default 1000).
"""

from collections.abc import Iterator
from typing import Any

from warehouse.intake.agencies.job import Fetched, Job
from warehouse.intake.agencies.pages import MEDIA, page_writer
from warehouse.intake.agencies.web import Answer, Web

_ERROR_CODES: dict[Any, str] = {
    403: "FETCH_REFUSED",
    498: "FETCH_REFUSED",
    499: "FETCH_REFUSED",
    500: "FETCH_SERVER_ERROR",
}


def fetch(job: Job) -> Fetched:
    path = job.spool / f"arcgis-{job.part}-{job.period.label}.tar"
    with Web(job) as web, page_writer(path) as pages:
        for service in job.parameter("services"):
            for answer in _features(job, web, f"{job.location}{job.path}/{service}/MapServer"):
                pages.add(answer.body)
    return Fetched(path, MEDIA, job.attempts, path.stat().st_size)


def _features(job: Job, web: Web, service: str) -> Iterator[Answer]:
    """All pages of a service's data layer. An empty layer means that the agency has nothing for us yet."""
    layer = _layer_id(job, web, service)
    expected = _json(job, web, f"{service}/{layer}/query", returnCountOnly="true")[1].get("count")
    size = int(job.parameter("page_size", 1000))
    offset = 0
    while True:
        answer, body = _json(
            job,
            web,
            f"{service}/{layer}/query",
            outFields="*",
            returnGeometry="false",
            resultOffset=offset,
            resultRecordCount=size,
        )
        features = body.get("features")
        if not isinstance(features, list):
            raise job.error("FETCH_NOT_DATA", "features")
        if not features:
            break
        yield answer
        offset += len(features)
        if not body.get("exceededTransferLimit") and len(features) < size:
            break
    if offset == 0:
        raise job.error("FETCH_NOT_AVAILABLE")
    if offset != expected:
        raise job.error("FETCH_INCOMPLETE", f"{offset} / {expected}")


def _layer_id(job: Job, web: Web, service: str) -> int:
    """The service's feature layer: a group layer holds others and no rows."""
    layers = _json(job, web, service)[1].get("layers")
    ids = [
        layer["id"]
        for layer in (layers if isinstance(layers, list) else [])
        if not layer.get("subLayerIds") and layer.get("type", "Feature Layer") == "Feature Layer"
    ]
    if len(ids) != 1:
        raise job.error("FETCH_NOT_DATA", f"layers: {len(ids)}")
    return int(ids[0])


def _json(job: Job, web: Web, url: str, **query: Any) -> tuple[Answer, dict[str, Any]]:
    where = {"where": job.parameter("where")} if query else {}
    answer = web.get(url, {**where, **query, "f": "json"})
    body = answer.json(job)
    if not isinstance(body, dict):
        raise job.error("FETCH_NOT_DATA")
    if "error" in body:
        code = body["error"].get("code") if isinstance(body["error"], dict) else None
        raise job.error(_ERROR_CODES.get(code, "FETCH_NOT_DATA"), f"error {code}")
    return answer, body
