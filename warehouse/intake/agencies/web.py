"""HTTP for every agency that speaks it: timeouts, retries, bounded answers, known hosts, no secret in log or exception.

Beside the bounds of the whole fetch (``job``), a page is at most 64 MB unpacked, an answer packed at most once, and a
redirect followed at most five times. Only the host of the agency's address is asked, and those that the contract's
``hosts`` name, by a redirect too; credentials go over https, or to this very machine.

A secret that has to stand in the URL is written there as a placeholder and put in below the client, by the transport:
whatever logs, prints or raises with a URL above that line shows the placeholder.

Not here: what an answer means (each protocol's module).
"""

import ipaddress
import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from warehouse.core.errors import ConfigError, FetchError
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
TIMEOUT = httpx.Timeout(connect=10, read=60, write=30, pool=10)
LARGEST_PAGE = 64 * 1024 * 1024
_MOST_REDIRECTS = 5
_STANDARD_PORTS = (None, 80, 443)


@dataclass(frozen=True)
class Answer:
    """The body of an answer with a good status, whole and in memory."""

    body: bytes

    def json(self, job: Job) -> Any:
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
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
    """A client for one job. Use as a context manager. Raises ConfigError ENDPOINT_INSECURE."""

    def __init__(self, job: Job, secrets: Mapping[str, str] | None = None, *, follow_redirects: bool = False):
        self._job = job
        self._follow_redirects = follow_redirects
        location = httpx.URL(job.location)
        self._hosts = {_name(location), *job.contract.server.extras.hosts}
        if job.contract.server.extras.secrets and location.scheme != "https" and not _is_this_machine(location.host):
            raise ConfigError(
                "ENDPOINT_INSECURE",
                f"Alamat untuk {job.contract.dataset} bukan https, padahal kredensial dikirim ke sana.",
                f"The address for {job.contract.dataset} is not https, and credentials are sent there.",
                "Minta alamat https kepada pengelola layanan dan tulis di berkas endpoints.",
                "Ask the service's operator for an https address and write it into the endpoints file.",
            )
        self._watching = ExitStack()
        self._client = httpx.Client(
            transport=_SecretTransport(secrets or {}),
            headers={"User-Agent": USER_AGENT, "Accept": "*/*"},
            timeout=TIMEOUT,
        )

    def __enter__(self) -> "Web":
        self._cut_off = self._watching.enter_context(self._job.cutting_off())
        return self

    def __exit__(self, *_exception: object) -> None:
        self._client.close()
        self._watching.close()

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
                n_bytes = 0
                for chunk in self._chunks(response):
                    n_bytes += file.write(chunk)
                    self._job.say(f"{n_bytes / 1e6:.0f} MB")

    def _ask(self, method: str, url: str, **options: Any) -> Answer:
        for attempt in self._job.tries():
            with attempt, self._answer(method, url, **options) as response:
                answer = Answer(b"".join(self._chunks(response, LARGEST_PAGE)))
        return answer

    @contextmanager
    def _answer(
        self, method: str, url: str, auth: tuple[str, str] | None = None, **options: Any
    ) -> Iterator[httpx.Response]:
        """A response with a good status, its body still to be read."""
        try:
            request = self._client.build_request(method, url, extensions={"trace": self._watch}, **options)
            response = self._send(request, auth)
            # Followed here and not by the client, which reads the whole body of a redirect into memory.
            for _ in range(_MOST_REDIRECTS if self._follow_redirects else 0):
                if response.next_request is None:
                    break
                response.close()
                response = self._send(response.next_request)
            try:
                if not response.is_success:
                    raise self._refusal(response)
                yield response
            finally:
                response.close()
        except httpx.TimeoutException:
            raise self._job.error("FETCH_TIMEOUT") from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise self._job.error("FETCH_NOT_DATA", "URL") from None
        except httpx.TransportError:
            self._job.confirm_time()
            raise self._job.error("FETCH_UNREACHABLE") from None
        except httpx.HTTPError:
            raise self._job.error("FETCH_NOT_DATA") from None

    def _send(self, request: httpx.Request, auth: tuple[str, str] | None = None) -> httpx.Response:
        if request.url.scheme not in ("http", "https"):
            raise self._job.error("FETCH_NOT_DATA", "URL")
        if _name(request.url) not in self._hosts:
            raise self._job.error("FETCH_HOST_UNKNOWN")
        self._job.count_question()
        return self._client.send(request, auth=auth, stream=True, follow_redirects=False)

    def _watch(self, event: str, about: dict[str, Any]) -> None:
        """Have each new connection cut off when the fetch's time is over: a header may trickle for ever."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._cut_off(about["return_value"].get_extra_info("socket"))

    def _refusal(self, response: httpx.Response) -> FetchError:
        status = response.status_code
        by_class = {3: "FETCH_NOT_DATA", 4: "FETCH_REFUSED", 5: "FETCH_SERVER_ERROR"}
        code = _STATUS_CODES.get(status) or by_class.get(status // 100, "FETCH_NOT_DATA")
        return self._job.error(code, f"HTTP {status}", wait_seconds=retry_after(response.headers.get("Retry-After")))

    def _chunks(self, response: httpx.Response, largest: int | None = None) -> Iterator[bytes]:
        """The body's bytes; an HTML page, an answer packed twice, too many bytes or too slow a stream end it."""
        if "," in response.headers.get("Content-Encoding", ""):
            raise self._job.error("FETCH_NOT_DATA", "Content-Encoding")
        n_bytes = 0
        for chunk in response.iter_bytes():
            if n_bytes == 0 and looks_like_html(chunk):
                raise self._job.error("FETCH_NOT_DATA", f"HTML, HTTP {response.status_code}")
            n_bytes += len(chunk)
            if largest is not None and n_bytes > largest:
                raise self._job.error("FETCH_TOO_LARGE", f"> {largest // 1_000_000} MB")
            self._job.count_bytes(len(chunk))
            yield chunk
        # A connection that was cut off can look like the end of the body.
        self._job.confirm_time()


def _name(url: httpx.URL) -> str:
    """The host as an allow-list names it: with its port where that is not one of the web's own."""
    return url.host if url.port in _STANDARD_PORTS else f"{url.host}:{url.port}"


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def retry_after(header: str | None) -> float | None:
    """Seconds to wait, from either form of the header; None when absent or unreadable."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, (moment - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
