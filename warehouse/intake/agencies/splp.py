"""Government service bus (SPLP) interfaces, as Jamsostek's: OAuth2 client credentials and paged JSON.

Their ways: a token lives shorter than a long run, so it is renewed on the way and the run goes on at the same page; too
many questions are answered 429 with the moment to come back; the answer states a total, and fewer rows than that are no
delivery.

Records are asked for in the order of the key, and are whole when as many have come as each page's total says, none of
them on two pages. Two alike on one page are the sender's own, and the gate's matter.

Contract: ``path`` of the resource; secrets ``client_id``, ``client_secret``; parameters ``token_path``, ``query`` (what
is asked, templates allowed), ``key`` (the fields that tell records apart; else all they say), ``order_parameter``
(default ``sort``, asked where there is a key), ``page_parameter`` (``page``, from 1), ``size_parameter``
(``page_size``), ``page_size`` (5000), ``records_path`` (``data``), ``total_path`` (``total``), and for services that
page by cursor ``cursor_parameter`` with ``cursor_path``.
"""

import time
from collections.abc import Iterator
from typing import Any

from warehouse.core.errors import FetchError
from warehouse.intake.agencies.job import Fetched, Job
from warehouse.intake.agencies.pages import MEDIA, Tally, dig, is_count, page_writer
from warehouse.intake.agencies.web import Answer, Web

# A token is renewed this long before it ends, so that a request under way does not outlive it.
_RENEW_BEFORE_SECONDS = 2.0


def fetch(job: Job) -> Fetched:
    path = job.spool / f"splp-{job.part}-{job.period.label}.tar"
    with Web(job) as web, page_writer(path) as pages:
        for answer in _pages(job, _Session(job, web)):
            pages.add(answer.body)
    return Fetched(path, MEDIA, job.attempts, path.stat().st_size)


def _pages(job: Job, session: "_Session") -> Iterator[Answer]:
    """All pages in order."""
    query = dict(job.parameter("query", {}))
    key = tuple(job.parameter("key", ()))
    if key:
        query[job.parameter("order_parameter", "sort")] = ",".join(key)
    size = int(job.parameter("page_size", 5000))
    by_cursor = job.parameter("cursor_parameter")
    tally = Tally(job, key, once=False)
    number, cursor = 0, None
    while not tally.is_whole:
        number += 1
        place = {job.parameter("page_parameter", "page"): number}
        if by_cursor:
            place = {by_cursor: cursor} if cursor else {}
        answer = session.get({**query, **place, job.parameter("size_parameter", "page_size"): size})
        body = answer.json(job)
        records = dig(body, job.parameter("records_path", "data"))
        total = dig(body, job.parameter("total_path", "total"))
        if not isinstance(records, list) or not is_count(total):
            raise job.error("FETCH_NOT_DATA")
        if total == 0 and not job.contract.extras.may_be_empty:
            raise job.error("FETCH_NOT_AVAILABLE")
        tally.add(records, total)
        yield answer
        job.say(f"{tally.received} / {tally.total}")
        cursor = dig(body, job.parameter("cursor_path", "next_cursor"))
        if not records or (by_cursor and not cursor):
            tally.demand_whole()


class _Session:
    """GETs with a bearer token that is fetched when first needed, before it ends and after the service refused it."""

    def __init__(self, job: Job, web: Web):
        self._job = job
        self._web = web
        self._token = ""
        self._good_until = 0.0

    def get(self, query: dict[str, Any]) -> Answer:
        if time.monotonic() >= self._good_until:
            self._renew()
        try:
            return self._ask(query)
        except FetchError as error:
            if error.code != "FETCH_REFUSED":
                raise
        # Its clock and ours differ, or it restarted: one new token, the same page. A second refusal is one.
        self._renew()
        return self._ask(query)

    def _ask(self, query: dict[str, Any]) -> Answer:
        url = self._job.location + self._job.path
        return self._web.get(url, query, {"Authorization": f"Bearer {self._token}", "Accept": "application/json"})

    def _renew(self) -> None:
        asked_at = time.monotonic()
        body = self._web.post(
            self._job.location + self._job.parameter("token_path", "/token"),
            {"grant_type": "client_credentials"},
            (self._job.secret("client_id"), self._job.secret("client_secret")),
        ).json(self._job)
        token = body.get("access_token") if isinstance(body, dict) else None
        if not isinstance(token, str) or not token or not (token.isascii() and token.isprintable()):
            raise self._job.error("FETCH_NOT_DATA", "token")
        lifetime = body.get("expires_in")
        lifetime = float(lifetime) if isinstance(lifetime, int | float) else 300.0
        self._token = token
        self._good_until = asked_at + max(lifetime - _RENEW_BEFORE_SECONDS, lifetime / 2)
