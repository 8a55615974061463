"""BPS WebAPI: one statistical table (variable) for the years of one delivery.

Its ways: the key stands in the URL; a firewall refuses clients that are no browsers; errors come with HTTP 200; a table
that is too large comes as ``null``; lists come ten to a page whatever one asks; a national call may span three years, a
province's or city's two; a year is a number of its own that the ``th`` list translates.

A list takes no order; it is whole when as many distinct entries have come as each of its pages says there are in all.

Contract: ``path`` of ``list``; parameters ``domain``, ``years`` (how many years a delivery holds, the period's being
the last; default 1) and ``indicators`` (the parts: variable ids); secret ``key``.
"""

from collections.abc import Iterator
from typing import Any

from warehouse.intake.agencies.job import Fetched, Job
from warehouse.intake.agencies.pages import MEDIA, Tally, page_writer
from warehouse.intake.agencies.web import Answer, Web

NATIONAL = "0000"
KEY = "KEY-IS-NOT-SHOWN"


def fetch(job: Job) -> Fetched:
    path = job.spool / f"bps-{job.part}-{job.period.label}.tar"
    with Web(job, {KEY: job.secret("key")}) as web:
        api = Api(job, web)
        years = api.year_ids()
        year_ids = [years[label] for label in _labels(job) if label in years]
        if not year_ids:
            raise job.error("FETCH_NOT_AVAILABLE")
        with page_writer(path) as pages:
            for answer in api.tables(year_ids):
                pages.add(answer.body)
    return Fetched(path, MEDIA, job.attempts, path.stat().st_size)


def _labels(job: Job) -> list[str]:
    last = job.period.start.year
    return [str(year) for year in range(last - int(job.parameter("years", 1)) + 1, last + 1)]


class Api:
    """The calls of one job: a list walked to its last page, and tables in as few calls as the limits allow."""

    def __init__(self, job: Job, web: Web):
        self._job = job
        self._web = web
        self._domain = str(job.parameter("domain", NATIONAL))
        self._url = job.location + job.path

    def year_ids(self) -> dict[str, int]:
        """The years the variable has: label -> the id that ``th`` takes."""
        ids: dict[str, int] = {}
        tally = Tally(self._job, ["th_id"], once=True)
        page = 1
        while not tally.is_whole:
            body = self._ask(model="th", page=page).json(self._job)
            if _is_empty(body) and page == 1:
                return {}
            try:
                about, items = ({"total": tally.total}, []) if _is_empty(body) else body["data"]
                tally.add(items, int(about["total"]))
                ids |= {str(item["th"]): int(item["th_id"]) for item in items}
            except (KeyError, TypeError, ValueError):
                raise self._job.error("FETCH_NOT_DATA", "model=th") from None
            if not items:
                tally.demand_whole()
            page += 1
        return ids

    def tables(self, years: list[int]) -> Iterator[Answer]:
        """The variable's answers for ``years``, oldest first; a span that is too large is asked for year by year."""
        span = 3 if self._domain == NATIONAL else 2
        for first in range(0, len(years), span):
            some = years[first : first + span]
            whole = self._table(some)
            answers = [whole] if whole or len(some) == 1 else [self._table([year]) for year in some]
            for answer in answers:
                if answer is None:
                    raise self._job.error("FETCH_NOT_DATA", "null: too large")
                yield answer

    def _table(self, years: list[int]) -> Answer | None:
        answer = self._ask(model="data", th=";".join(map(str, years)))
        body = answer.json(self._job)
        if body is None:
            return None
        if _is_empty(body):
            raise self._job.error("FETCH_NOT_AVAILABLE")
        if not isinstance(body.get("datacontent"), dict):
            raise self._job.error("FETCH_NOT_DATA", "datacontent")
        return answer

    def _ask(self, **query: Any) -> Answer:
        answer = self._web.get(self._url, {"domain": self._domain, "var": self._job.part, **query, "key": KEY})
        body = answer.json(self._job)
        if body is None:
            return answer
        if not isinstance(body, dict):
            raise self._job.error("FETCH_NOT_DATA")
        if body.get("status") != "OK":
            # BPS names a bad key only in words; the words themselves stay out of the ledger.
            is_key = "key" in str(body.get("message", "")).lower()
            raise self._job.error("FETCH_REFUSED" if is_key else "FETCH_NOT_DATA", "status: Error")
        return answer


def _is_empty(body: Any) -> bool:
    return isinstance(body, dict) and body.get("data-availability") != "available"
