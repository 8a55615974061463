"""What becomes of defective deliveries is what docs/defective-deliveries.md says, and no reader ends unforeseen."""

import random

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.faults import corpus
from tests.support import samples
from warehouse.core.errors import UnreadableDelivery
from warehouse.intake.parse import parse


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list:
    return corpus.judged(tmp_path_factory.mktemp("corpus"))


def test_the_document_says_what_becomes_of_each(outcomes):
    assert corpus.document(outcomes) == corpus.FILE.read_text(encoding="utf-8"), "run python -m tests.faults.corpus"


def test_no_two_are_alike_and_none_ends_unforeseen(outcomes):
    told = [(one.dataset, one.media, one.part, one.period, one.data) for one in corpus.defects()]
    assert len(set(told)) == len(told) >= 120
    codes = {one.code if isinstance(one, UnreadableDelivery) else one.reason_code for one in outcomes}
    assert not [code for code in codes if code and "UNFORESEEN" in code]


def test_each_row_is_somewhere_and_each_verdict_says_why(outcomes):
    for one in outcomes:
        if isinstance(one, UnreadableDelivery):
            assert all((one.message_id, one.message_en, one.action_id, one.action_en)), one
        else:
            assert one.rows_read == one.rows_admitted + one.rows_quarantined + one.rows_refused
            assert (one.verdict == "held") == bool(one.reason_code and one.message_id and one.message_en)


# --- random damage ----------------------------------------------------------------------------------------------------

GOOD = [
    (dataset, *samples.as_file(dataset, samples.good_rows(dataset), shape.name))
    for dataset in ("kemenkes/eppgbm", "bps/indicators", "dukcapil/population", "portal/poverty_indicators")
    for shape in samples.contracts()[dataset].extras.shapes
]
DAMAGES = {
    "bits": lambda data, dice: _replaced(data, dice, 1),
    "block": lambda data, dice: _replaced(data, dice, dice.randint(2, 600)),
    "lost": lambda data, dice: data[: (at := dice.randrange(len(data)))] + data[at + dice.randint(1, 900) :],
    "cut": lambda data, dice: data[: dice.randrange(1, len(data))],
    "twice": lambda data, dice: data + data[dice.randrange(len(data)) :],
    "as text": lambda data, _dice: data.replace(b"\n", b"\r\n"),
    "seven bits": lambda data, _dice: bytes(byte & 0x7F for byte in data),
    "swapped": lambda data, dice: data[(at := dice.randrange(len(data))) :] + data[:at],
}


def _replaced(data: bytes, dice: random.Random, size: int) -> bytes:
    at = dice.randrange(len(data))
    return data[:at] + dice.randbytes(size) + data[at + size :]


@hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    good=st.sampled_from(GOOD),
    damages=st.lists(st.sampled_from(sorted(DAMAGES)), min_size=1, max_size=3),
    seed=st.integers(min_value=0, max_value=2**32),
)
def test_random_damage_ends_in_rows_or_in_a_reason(good, damages, seed):
    dataset, data, media = good
    dice = random.Random(seed)
    for damage in damages:
        data = DAMAGES[damage](data, dice) or b"\0"
    code = "read"
    try:
        parsed = parse(samples.contracts()[dataset], data, media)
    except UnreadableDelivery as error:
        code = error.code if error.code != "PARSE_UNFORESEEN" else error.message_en
    else:
        assert parsed.rows_read == parsed.table.num_rows + len(parsed.refused)
    assert code == "read" or code.startswith("PARSE_")
