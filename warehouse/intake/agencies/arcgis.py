"""ArcGIS REST map services, as Dukcapil's: every region level of one delivery, page after page.

Its ways: no key; layer ids change and are looked up; errors come inside a 200 body; a server gives fewer rows a page
than it was asked for, and says ``exceededTransferLimit`` when there are more; older ones ignore ``resultOffset`` and
send the first page for ever; without ``orderByFields`` rows may come in another order on each page.

Rows are asked for in the order of the key. They are whole when as many distinct ones have come as ``returnCountOnly``
said before and says after, and the last page knows of no more. A page that brings back an earlier row ends the walk.

Contract: ``path`` to the services folder; parameters ``services`` (map services, one per level, in order), ``where``,
``key`` (the attributes that tell rows apart; else all of them), ``page_size`` (default 1000).
"""

from collections.abc import Iterator
from typing import Any

from warehouse.intake.agencies.job import Fetched, Job
from warehouse.intake.agencies.pages import MEDIA, Tally, dig, is_count, page_writer
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
    query = f"{service}/{_layer_id(job, web, service)}/query"
    key = tuple(job.parameter("key", ()))
    order = {"orderByFields": ",".join(key)} if key else {}
    total = _count(job, web, query)
    if total == 0:
        raise job.error("FETCH_NOT_AVAILABLE")
    tally = Tally(job, [f"attributes.{name}" for name in key], once=True)
    has_more = True
    while has_more or not tally.is_whole:
        answer, body = _json(
            job,
            web,
            query,
            outFields="*",
            returnGeometry="false",
            **order,
            resultOffset=tally.received,
            resultRecordCount=int(job.parameter("page_size", 1000)),
        )
        features = body.get("features")
        if not isinstance(features, list):
            raise job.error("FETCH_NOT_DATA", "features")
        tally.add(features, total)
        yield answer
        has_more = bool(body.get("exceededTransferLimit")) and bool(features)
        if not features:
            tally.demand_whole()
    if _count(job, web, query) != total:
        raise job.error("FETCH_INCOMPLETE", f"count != {total}")


def _count(job: Job, web: Web, query: str) -> int:
    count = _json(job, web, query, returnCountOnly="true")[1].get("count")
    if not is_count(count):
        raise job.error("FETCH_NOT_DATA", "count")
    return count


def _layer_id(job: Job, web: Web, service: str) -> int:
    """The service's feature layer: a group layer holds others and no rows."""
    layers = _json(job, web, service)[1].get("layers")
    ids = [
        dig(layer, "id")
        for layer in (layers if isinstance(layers, list) else [])
        if not dig(layer, "subLayerIds") and (dig(layer, "type") or "Feature Layer") == "Feature Layer"
    ]
    if len(ids) != 1:
        raise job.error("FETCH_NOT_DATA", f"layers: {len(ids)}")
    if not is_count(ids[0]):
        raise job.error("FETCH_NOT_DATA", "layer id")
    return ids[0]


def _json(job: Job, web: Web, url: str, **query: Any) -> tuple[Answer, dict[str, Any]]:
    where = {"where": job.parameter("where")} if query else {}
    answer = web.get(url, {**where, **query, "f": "json"})
    body = answer.json(job)
    if not isinstance(body, dict):
        raise job.error("FETCH_NOT_DATA")
    if "error" in body:
        code = dig(body, "error.code")
        error_code = _ERROR_CODES.get(code, "FETCH_NOT_DATA") if is_count(code) else "FETCH_NOT_DATA"
        raise job.error(error_code, f"error {code}" if is_count(code) else "error")
    return answer, body
