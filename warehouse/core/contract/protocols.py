"""What a contract may tell each wire protocol (``server.parameters`` and ``secrets``), and what it must.

Here: names, kinds and bounds, so that a misspelt or boundless one is refused when the contract is read. Not here: what
they mean on the wire and what holds where one is left out, which each protocol's module says (intake/agencies).
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from warehouse.core.contract import documents
from warehouse.core.contract.model import Protocol, Server

_Rows = Annotated[int, Field(ge=1, le=100_000)]
_Names = Annotated[tuple[str, ...], Field(min_length=1)]


class _Parameters(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _BpsWebapi(_Parameters):
    indicators: _Names
    domain: str | None = None
    years: Annotated[int, Field(ge=1, le=50)] | None = None


class _ArcGis(_Parameters):
    services: _Names
    where: str
    key: tuple[str, ...] = ()
    page_size: _Rows | None = None


class _Ckan(_Parameters):
    package: str
    resource: str
    page_size: _Rows | None = None


class _Splp(_Parameters):
    token_path: str | None = None
    query: dict[str, Any] = {}
    key: tuple[str, ...] = ()
    order_parameter: str | None = None
    page_parameter: str | None = None
    size_parameter: str | None = None
    page_size: _Rows | None = None
    records_path: str | None = None
    total_path: str | None = None
    cursor_parameter: str | None = None
    cursor_path: str | None = None


class _Sftp(_Parameters):
    username: str
    alternatives: tuple[str, ...] = ()
    quiet_seconds: Annotated[int, Field(ge=0, le=300)] | None = None
    done_suffix: str | None = None


_BY_PROTOCOL: dict[Protocol, type[_Parameters]] = {
    "bps_webapi": _BpsWebapi,
    "arcgis": _ArcGis,
    "ckan": _Ckan,
    "splp": _Splp,
    "sftp": _Sftp,
    "by_hand": _Parameters,
}


# What each protocol signs in with; all of it is needed.
_CREDENTIALS: dict[Protocol, tuple[str, ...]] = {
    "sftp": ("private_key", "known_hosts"),
    "splp": ("client_id", "client_secret"),
    "bps_webapi": ("key",),
}


def confirm(server: Server) -> None:
    """Raise ValueError for what is missing, unknown or out of bounds in its own, and for credentials over http."""
    extras = server.extras
    kind = _BY_PROTOCOL[extras.protocol]
    try:
        kind.model_validate(extras.parameters)
    except ValidationError as error:
        detail = documents.explained(error, kind.model_fields)
        raise ValueError(f"property parameters of {extras.protocol}: {detail}") from None
    takes = _CREDENTIALS.get(extras.protocol, ())
    if unknown := sorted(extras.secrets.keys() - set(takes)):
        hint = documents.nearest(unknown[0], takes)
        raise ValueError(f"property secrets: {extras.protocol} takes no {unknown[0]!r}{hint}")
    if absent := [name for name in takes if name not in extras.secrets]:
        raise ValueError(f"property secrets: {extras.protocol} needs {absent[0]!r}")
    if extras.secrets and (server.location or "").startswith("http:"):
        raise ValueError("credentials are not sent to an http address: location must be https")
