"""HTTP for every agency that speaks it: timeouts, retries, bounded answers, and no secret in any log or exception.

A secret that has to stand in the URL is written there as a placeholder and put in below the client, by the transport:
whatever logs, prints or raises with a URL above that line shows the placeholder.

Not here: what an answer means (each protocol's module).
"""

import json
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from warehouse.core.errors import FetchError
from warehouse.intake.agencies.job import Job
from warehouse.storage.media import looks_like_html

# Some agencies' firewalls answer 403 to anything that does not call itself a browser.
USER_AGENT = "Mozilla/5.0 (compatible; GudangDataKesejahteraan/1.0; +https://tangerangkota.go.id)"
_STATUS_CODES = {
    404: "FETCH_NOT_AVAILABLE",
    408: "FETCH_TIMEOUT",
    410: "FETCH_NOT_AVAILABLE",
    429: "FETCH_THROTTLED",
    504: "FETCH_TIMEOUT",
}
_TIMEOUT = httpx.Timeout(connect=10, read=60, write=30, pool=10)
_LONGEST_ANSWER_SECONDS = 900.0
_LARGEST_PAGE = 64 * 1024 * 1024
_LARGEST_FILE = 4 * 1024 * 1024 * 1024


@dataclass(frozen=True)
class Answer:
    """The body of an answer with a good status, whole and in memory."""

    body: bytes

    def json(self, job: Job) -> Any:
        try:
            return json.loads(self.body)
        except ValueError:
            raise job.error("FETCH_NOT_DATA", "no JSON") from None


@cache
def _trusted_authorities() -> ssl.SSLContext:
    """Read once: it takes longer than a small fetch."""
    return httpx.create_ssl_context()


class _SecretTransport(httpx.HTTPTransport):
    """Puts secrets in the place of their placeholders just before a request leaves."""

    def __init__(self, secrets: Mapping[str, str]):
        super().__init__(verify=_trusted_authorities())
        self._secrets = secrets

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = str(request.url)
        for placeholder, secret in self._secrets.items():
            url = url.replace(placeholder, quote(secret, safe=""))
        return super().handle_request(
            httpx.Request(
                request.method, url, headers=request.headers, stream=request.stream, extensions=request.extensions
            )
        )


class Web:
    """A client for one job. Use as a context manager."""

    def __init__(self, job: Job, secrets: Mapping[str, str] | None = None, *, follow_redirects: bool = False):
        self._job = job
        self._client = httpx.Client(
            transport=_SecretTransport(secrets or {}),
            headers={"User-Agent": USER_AGENT, "Accept": "*/*"},
            timeout=_TIMEOUT,
            follow_redirects=follow_redirects,
            max_redirects=5,
        )

    def __enter__(self) -> "Web":
        return self

    def __exit__(self, *_exception: object) -> None:
        self._client.close()

    def get(
        self, url: str, params: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """GET a page into memory, with retries."""
        return self._ask("GET", url, params=params, headers=headers)

    def post(self, url: str, data: Mapping[str, str], auth: tuple[str, str]) -> Answer:
        """POST a form, with retries."""
        return self._ask("POST", url, data=data, auth=auth)

    def download(self, url: str, path: Path) -> None:
        """GET a file to ``path``, with retries; each starts anew."""
        for attempt in self._job.tries():
            with attempt, self._answer("GET", url) as response, path.open("wb") as file:
                received = 0
                for chunk in self._chunks(response, _LARGEST_FILE):
                    received += file.write(chunk)
                    self._job.say(f"{received / 1e6:.0f} MB")

    def _ask(self, method: str, url: str, **options: Any) -> Answer:
        for attempt in self._job.tries():
            with attempt, self._answer(method, url, **options) as response:
                answer = Answer(b"".join(self._chunks(response, _LARGEST_PAGE)))
        return answer

    @contextmanager
    def _answer(self, method: str, url: str, **options: Any) -> Iterator[httpx.Response]:
        """A response with a good status, its body still to be read."""
        try:
            with self._client.stream(method, url, **options) as response:
                if not response.is_success:
                    raise self._refusal(response)
                yield response
        except httpx.TimeoutException:
            raise self._job.error("FETCH_TIMEOUT") from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise self._job.error("FETCH_NOT_DATA", "URL") from None
        except httpx.TransportError:
            raise self._job.error("FETCH_UNREACHABLE") from None
        except httpx.HTTPError:
            raise self._job.error("FETCH_NOT_DATA") from None

    def _refusal(self, response: httpx.Response) -> FetchError:
        status = response.status_code
        by_class = {3: "FETCH_NOT_DATA", 4: "FETCH_REFUSED", 5: "FETCH_SERVER_ERROR"}
        code = _STATUS_CODES.get(status) or by_class.get(status // 100, "FETCH_NOT_DATA")
        return self._job.error(code, f"HTTP {status}", wait_seconds=_retry_after(response.headers.get("Retry-After")))

    def _chunks(self, response: httpx.Response, largest: int) -> Iterator[bytes]:
        """The body's bytes; an HTML page, too many bytes or too slow a stream end it."""
        until = time.monotonic() + _LONGEST_ANSWER_SECONDS
        received = 0
        for chunk in response.iter_bytes():
            if received == 0 and looks_like_html(chunk):
                raise self._job.error("FETCH_NOT_DATA", f"HTML, HTTP {response.status_code}")
            received += len(chunk)
            if received > largest:
                raise self._job.error("FETCH_NOT_DATA", f"> {largest // 1_000_000} MB")
            if time.monotonic() > until:
                raise self._job.error("FETCH_TIMEOUT")
            yield chunk


def _retry_after(header: str | None) -> float | None:
    """Seconds to wait, from either form of the header; None when absent or unreadable."""
    if header is None:
        return None
    if header.strip().isdigit():
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
