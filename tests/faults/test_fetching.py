"""What agencies' faults come to is what docs/fetch-faults.md says: a bounded attempt on record, and a coded reason."""

import pytest

from tests.faults import fetching


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list:
    return fetching.asked(tmp_path_factory.mktemp("faults") / "home")


def test_the_document_says_what_comes_of_each(rows):
    told = fetching.FILE.read_text(encoding="utf-8")
    assert fetching.document(rows) == told, "run python -m tests.faults.fetching"


CODES = {
    "FETCH_UNREACHABLE", "FETCH_TIMEOUT", "FETCH_SERVER_ERROR", "FETCH_THROTTLED", "FETCH_REFUSED", "FETCH_NOT_DATA",
    "FETCH_NOT_AVAILABLE", "FETCH_TOO_LARGE", "FETCH_HOST_UNKNOWN",
}  # fmt: skip


def test_no_fault_brings_data_and_none_is_unforeseen(rows):
    assert {outcome for _, _, outcome, *_ in rows} <= CODES
    assert all(attempts == "-" or int(attempts) <= fetching.ATTEMPTS for _, _, _, attempts, _ in rows)
