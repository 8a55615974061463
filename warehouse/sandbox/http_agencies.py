"""The agencies that speak HTTP, each under its prefix, with the habits of the real ones.

What they hold lies in ``holdings/http`` (HOLDINGS.md says how); nothing here makes up a figure. The BPS texts and
envelopes are those of recorded answers (tests/data/bps_webapi, tests/data/ckan).
"""

import asyncio
import base64
import json
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from warehouse.sandbox.faults import Fault, Faults
from warehouse.sandbox.sent import AsSent

_BPS_KEY_REFUSED = "You are not Allowed to take this action. Please re-check your key"
_BPS_TH_MISSING = (
    "'th' parameter is required and must be an integer, separated by colon (:) for range or semicolon (;) for multiple"
    " values."
)
_BPS_TH_TOO_MANY = (
    "The maximum allowed number of years for the 'th' parameter is {most}. You provided {given}. Please reduce the"
    " number of years accordingly."
)
_BPS_EMPTY = {"status": "OK", "data-availability": "list-not-available", "data": ""}
_BPS_PER_PAGE = 10
_WAF_PAGE = (
    "<!doctype html>\n<head>\n<title>Perimeter WAF Block</title>\n</head><body><h2>Akses ini ditolak</h2>"
    "Akses yang anda lakukan ditolak oleh sistem keamanan kami.</body>\r\n"
)
_ERROR_PAGE = "<!DOCTYPE html>\n<html><head><title>Pemeliharaan</title></head><body>Sedang dipelihara.</body></html>"
_LAYERS = {"AGR_VISUAL_PROP_FIX": 1, "AGR_VISUAL_KAB_FIX": 3, "AGR_VISUAL_KEC_FIX": 2, "AGR_VISUAL_KEL_FIX": 0}
_LEVEL_FILES = {"AGR_VISUAL_KEC_FIX": "kec.json", "AGR_VISUAL_KEL_FIX": "kel.json"}


@dataclass
class Habits:
    """Limits of the agencies that tests turn down to meet them sooner."""

    bps_largest_table: int = 4000
    arcgis_page: int = 50
    bpjstk_largest_page: int = 5000
    token_uses: int = 25
    token_seconds: int = 300
    throttle_every: int = 40


@dataclass
class Credentials:
    bps_key: str = field(default_factory=lambda: secrets.token_hex(16))
    bpjstk_id: str = "gudang-data-tangerang"
    bpjstk_secret: str = field(default_factory=lambda: secrets.token_urlsafe(32))


def create_app(
    protocols: Mapping[str, str],
    holdings: Path,
    credentials: Credentials,
    faults: Faults,
    habits: Habits,
    as_sent: AsSent,
) -> Starlette:
    """One ASGI app with all HTTP agencies, each under its name and with the habits of the protocol it speaks.

    protocols: agency -> protocol; what an agency holds lies in the folder of its name.
    """
    routes: list[BaseRoute] = [Route("/health", lambda _request: JSONResponse({"status": "up"}))]
    for agency, protocol in protocols.items():
        folder = holdings / agency
        match protocol:
            case "bps_webapi":
                served = _Bps(folder, credentials.bps_key, habits).routes()
            case "arcgis":
                served = _ArcGis(folder, habits).routes()
            case "splp":
                served = _Splp(agency, folder, credentials, habits, faults, as_sent).routes()
            case _:
                served = _Portal(agency, folder).routes()
        routes.append(Mount(f"/{agency}", routes=served))
    return Starlette(routes=routes, middleware=[Middleware(_FaultMiddleware, faults=faults, protocols=protocols)])


class _FaultMiddleware:
    """Plays the faults that look the same for every HTTP agency."""

    def __init__(self, app: ASGIApp, faults: Faults, protocols: Mapping[str, str]):
        self._app = app
        self._faults = faults
        self._protocols = protocols

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        agency = scope.get("path", "").split("/")[1] if scope["type"] == "http" else ""
        fault = self._faults.take(
            agency, "down", "error", "html", "refused", "throttled", "slow", "truncated"
        ) if agency in self._protocols else None  # fmt: skip
        if fault is None:
            await self._app(scope, receive, send)
        elif fault.kind == "down":
            # Promises a body and ends without one: the server closes the connection, as a dead one would.
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})
        elif fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
            await self._app(scope, receive, send)
        elif fault.kind == "truncated":
            await self._app(scope, receive, _Halving(send))
        else:
            await _faulty_response(self._protocols[agency], fault)(scope, receive, send)


class _Halving:
    """Sends the first half of a response's body as if it were all."""

    def __init__(self, send: Send):
        self._send = send
        self._start: Message = {}
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._body += message.get("body", b"")
        if not message.get("more_body"):
            half = self._body[: len(self._body) // 2]
            headers = [(key, value) for key, value in self._start["headers"] if key != b"content-length"]
            await self._send({**self._start, "headers": [*headers, (b"content-length", str(len(half)).encode())]})
            await self._send({"type": "http.response.body", "body": half})


def _faulty_response(protocol: str, fault: Fault) -> Response:
    if fault.kind == "error":
        return Response("Internal Server Error", 500)
    if fault.kind == "html":
        return HTMLResponse(_ERROR_PAGE)
    if fault.kind == "throttled":
        return JSONResponse({"error": "too_many_requests"}, 429, {"Retry-After": "1"})
    if protocol == "bps_webapi":
        return JSONResponse({"status": "Error", "message": _BPS_KEY_REFUSED})
    return JSONResponse({"error": "access_denied"}, 401)


@lru_cache(maxsize=64)
def _load(path: Path, _modified_ns: int) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _read_json(path: Path) -> Any:
    """A holding; None when the agency has none of that name."""
    return _load(path, path.stat().st_mtime_ns) if path.is_file() else None


# --- BPS WebAPI -------------------------------------------------------------------------------------------------------


class _Bps:
    def __init__(self, folder: Path, key: str, habits: Habits):
        self._folder = folder
        self._key = key
        self._habits = habits

    def routes(self) -> list[Route]:
        path = "/v1/api/list"
        return [Route(path, self.list), Route(path + "/{steps:path}", self.list)]

    def list(self, request: Request) -> Response:
        if "Mozilla" not in request.headers.get("user-agent", ""):
            return HTMLResponse(_WAF_PAGE, 403)
        steps = request.path_params.get("steps", "").strip("/").split("/")
        query = dict(request.query_params) | dict(zip(steps[::2], steps[1::2], strict=False))
        if query.get("key") != self._key:
            return _bps_error(_BPS_KEY_REFUSED)
        answers = {"th": self._years, "var": self._variables, "data": self._data}
        if query.get("model") not in answers:
            return JSONResponse(_BPS_EMPTY)
        return answers[query["model"]](query)

    def _holding(self, query: dict[str, str]) -> dict[str, Any] | None:
        variable = query.get("var", "")
        is_known = query.get("domain") == "0000" and variable.isdigit()
        return _read_json(self._folder / f"{variable}.json") if is_known else None

    def _years(self, query: dict[str, str]) -> Response:
        holding = self._holding(query)
        years = [{"th_id": year["val"], "th": str(year["label"])} for year in holding["tahun"]] if holding else []
        return _bps_page(sorted(years, key=lambda year: -year["th_id"]), query)

    def _variables(self, query: dict[str, str]) -> Response:
        files = sorted(self._folder.glob("*.json"), key=lambda path: int(path.stem))
        variables = [_read_json(path)["var"][0] for path in files] if query.get("domain") == "0000" else []
        items = [{"var_id": one["val"], "title": one["label"], "unit": one.get("unit")} for one in variables]
        return _bps_page(items, query)

    def _data(self, query: dict[str, str]) -> Response:
        years = _bps_years(query.get("th", ""))
        if not years:
            return _bps_error(_BPS_TH_MISSING)
        most = 3 if query.get("domain") == "0000" else 2
        if len(years) > most:
            return _bps_error(_BPS_TH_TOO_MANY.format(most=most, given=len(years)))
        holding = self._holding(query)
        values = [value for value in holding["values"] if value["th"] in years] if holding else []
        if holding is None or not values:
            return JSONResponse(_BPS_EMPTY)
        if len(values) > self._habits.bps_largest_table:
            return JSONResponse(None)
        (variable,) = holding["var"]
        return JSONResponse(
            {
                "status": "OK",
                "data-availability": "available",
                "last_update": holding["last_update"],
                "subject": holding["subject"],
                "var": holding["var"],
                "turvar": holding["turvar"],
                "labelvervar": holding["labelvervar"],
                "vervar": holding["vervar"],
                "tahun": [year for year in holding["tahun"] if year["val"] in years],
                "turtahun": holding["turtahun"],
                "datacontent": {
                    "{vervar}{var}{turvar}{th}{turth}".format(var=variable["val"], **value): value["value"]
                    for value in values
                },
            }
        )


def _bps_years(text: str) -> set[int]:
    """``117``, ``117:119`` and ``117;119`` as year numbers; empty when it is none of these."""
    if re.fullmatch(r"\d+:\d+", text):
        first, last = map(int, text.split(":"))
        return set(range(first, last + 1))
    return {int(year) for year in text.split(";")} if re.fullmatch(r"\d+(;\d+)*", text) else set()


def _bps_error(message: str) -> Response:
    return JSONResponse({"status": "Error", "message": message})


def _bps_page(items: list[dict[str, Any]], query: dict[str, str]) -> Response:
    """A page of ten, whatever ``perpage`` asks for."""
    page = int(query["page"]) if query.get("page", "").isdigit() else 1
    page_items = items[(page - 1) * _BPS_PER_PAGE : page * _BPS_PER_PAGE]
    if not page_items:
        return JSONResponse(_BPS_EMPTY)
    pages = -(-len(items) // _BPS_PER_PAGE)
    about = {"page": page, "pages": pages, "per_page": _BPS_PER_PAGE, "count": len(page_items), "total": len(items)}
    return JSONResponse({"status": "OK", "data-availability": "available", "data": [about, page_items]})


# --- Dukcapil ArcGIS --------------------------------------------------------------------------------------------------


class _ArcGis:
    """A map service a level. Dukcapil's have layers and files of their own, any other has ``<service>.json``."""

    def __init__(self, folder: Path, habits: Habits):
        self._folder = folder
        self._habits = habits

    def routes(self) -> list[Route]:
        path = "/arcgis/rest/services/{service}/MapServer"
        return [Route(path, self.service), Route(path + "/{layer:int}/query", self.query)]

    def _file(self, service: str) -> Path:
        return self._folder / _LEVEL_FILES.get(service, f"{service}.json")

    def service(self, request: Request) -> Response:
        service = request.path_params["service"]
        if service not in _LAYERS and not self._file(service).is_file():
            return _arcgis_error(404, "Service not found")
        layer = {
            "id": _LAYERS.get(service, 0),
            "name": service.removesuffix("_FIX"),
            "parentLayerId": -1,
            "subLayerIds": None,
            "type": "Feature Layer",
        }
        return JSONResponse({"currentVersion": 10.81, "layers": [layer], "tables": []})

    def query(self, request: Request) -> Response:
        service, query = request.path_params["service"], request.query_params
        filters = _equalities(query.get("where", ""))
        if request.path_params["layer"] != _LAYERS.get(service, 0) or query.get("f") != "json" or filters is None:
            return _arcgis_error(400, "Invalid or missing input parameters.")
        rows = _read_json(self._file(service)) or []
        rows = [row for row in rows if all(str(row.get(key)) == value for key, value in filters.items())]
        if query.get("returnCountOnly") == "true":
            return JSONResponse({"count": len(rows)})
        offset = int(query.get("resultOffset", 0))
        size = min(int(query.get("resultRecordCount", self._habits.arcgis_page)), self._habits.arcgis_page)
        page_rows = rows[offset : offset + size]
        answer: dict[str, Any] = {
            "displayFieldName": "nama_kec",
            "fieldAliases": {key: key for key in (rows[0] if rows else {})},
            "features": [{"attributes": row} for row in page_rows],
        }
        if offset + len(page_rows) < len(rows):
            answer["exceededTransferLimit"] = True
        return JSONResponse(answer)


def _equalities(where: str) -> dict[str, str] | None:
    """``a=1 AND b='x'`` as a dict; None for any other clause."""
    pairs = {}
    for clause in re.split(r"\s+and\s+", where.strip(), flags=re.IGNORECASE):
        match = re.fullmatch(r"(\w+)\s*=\s*'?([\w. ]+?)'?", clause)
        if not match:
            return None
        pairs[match[1]] = match[2]
    return {} if pairs == {"1": "1"} else pairs


def _arcgis_error(code: int, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message, "details": []}})


# --- BPJS Ketenagakerjaan behind the service bus ----------------------------------------------------------------------


class _Splp:
    """Resources ``/v1/<name>`` by period and branch.

    Tokens end after so many uses, whatever they promised; every so often the answer is 429.
    """

    def __init__(
        self, agency: str, folder: Path, credentials: Credentials, habits: Habits, faults: Faults, as_sent: AsSent
    ):
        self._agency = agency
        self._folder = folder
        self._habits = habits
        self._faults = faults
        self._as_sent = as_sent
        pair = f"{credentials.bpjstk_id}:{credentials.bpjstk_secret}"
        self._basic = "Basic " + base64.b64encode(pair.encode()).decode()
        self._tokens: dict[str, tuple[float, int]] = {}
        self._asked = 0

    def routes(self) -> list[Route]:
        return [Route("/token", self.token, methods=["POST"]), Route("/v1/{resource}", self.resource)]

    async def token(self, request: Request) -> Response:
        form = dict(part.split("=", 1) for part in (await request.body()).decode().split("&") if "=" in part)
        if request.headers.get("authorization") != self._basic or form.get("grant_type") != "client_credentials":
            return JSONResponse({"error": "invalid_client"}, 401)
        token = secrets.token_urlsafe(24)
        seconds = self._habits.token_seconds
        self._tokens[token] = (time.monotonic() + seconds, self._habits.token_uses)
        return JSONResponse({"access_token": token, "token_type": "Bearer", "expires_in": seconds, "scope": "default"})

    async def resource(self, request: Request) -> Response:
        if not self._use_token(request.headers.get("authorization", "").removeprefix("Bearer ")):
            return JSONResponse({"error": "invalid_token"}, 401, {"WWW-Authenticate": "Bearer"})
        self._asked += 1
        if self._asked % self._habits.throttle_every == 0:
            return JSONResponse({"error": "too_many_requests"}, 429, {"Retry-After": "1"})
        query = request.query_params
        page, size = int(query.get("page", 1)), int(query.get("page_size", 1000))
        size = min(size, self._habits.bpjstk_largest_page)
        resource, period, branch = request.path_params["resource"], query.get("period", ""), query.get("branch", "all")
        if not re.fullmatch(r"\d{4}[-QH\d]*", period) or not re.fullmatch(r"[a-z_-]+/[a-z-]+", f"{resource}/{branch}"):
            return JSONResponse({"error": "invalid_request"}, 400)
        path = self._as_sent(self._folder / resource / period / f"{branch}.parquet")
        body = await asyncio.to_thread(_page, path, page, size)
        if self._faults.take(self._agency, "short"):
            answer = json.loads(body)
            body = json.dumps(answer | {"data": answer["data"][1:]}).encode()
        return Response(body, media_type="application/json")

    def _use_token(self, token: str) -> bool:
        good_until, uses = self._tokens.pop(token, (0.0, 0))
        if uses <= 0 or time.monotonic() > good_until:
            return False
        self._tokens[token] = (good_until, uses - 1)
        return True


@lru_cache(maxsize=3)
def _table(path: Path, _modified_ns: int) -> pa.Table:
    return pq.read_table(path)


def _page(path: Path | None, page: int, size: int) -> bytes:
    table = _table(path, path.stat().st_mtime_ns) if path and path.is_file() else None
    rows = table.slice((page - 1) * size, size).to_pylist() if table is not None else []
    total = table.num_rows if table is not None else 0
    return json.dumps({"page": page, "page_size": size, "total": total, "data": rows}, default=str).encode()


# --- open data portal -------------------------------------------------------------------------------------------------


class _Portal:
    """data.go.id's envelope: a string for a status, a misspelt message, and Spring's 404 for what it does not know."""

    def __init__(self, agency: str, folder: Path):
        self._agency = agency
        self._folder = folder

    def routes(self) -> list[Route]:
        return [Route("/api/3/action/{action}", self.action), Route("/files/{name}", self.file)]

    def action(self, request: Request) -> Response:
        action = request.path_params["action"]
        packages = sorted(path.stem for path in self._folder.glob("*.json"))
        if action == "package_list":
            return _portal_answer(packages)
        if action == "package_show" and (name := request.query_params.get("id")) in packages:
            text = json.dumps(_read_json(self._folder / f"{name}.json"))
            return _portal_answer(
                json.loads(text.replace("{base}", str(request.base_url).rstrip("/") + f"/{self._agency}"))
            )
        return _spring_404(request.url.path)

    def file(self, request: Request) -> Response:
        path = self._folder / "files" / request.path_params["name"]
        return FileResponse(path) if path.is_file() else _spring_404(request.url.path)


def _portal_answer(result: Any) -> Response:
    return JSONResponse({"status": "200 OK", "message": "Sucess", "result": result})


def _spring_404(path: str) -> Response:
    body = {"timestamp": "2026-10-09T06:21:35.191+00:00", "status": 404, "error": "Not Found", "path": path}
    return JSONResponse(body, 404)
