"""Which of two numbers is the day: whether a spreadsheet exchanged them is told from a column of dates as a whole.

Here: what all dates of a column say together. Not here: a single date; whether it is one is the gate's matter.
"""

import pyarrow as pa
import pyarrow.compute as pc

from warehouse.core.contract import Contract
from warehouse.intake.parse.model import unreadable

_ISO = r"^[0-9]{4}-[0-9]{2}-(?P<day>[0-9]{2})"
_DAY_FIRST = r"^(?P<first>[0-9]{1,2})\s*[-/. ]\s*(?P<second>[0-9]{1,2})\s*[-/. ]\s*[0-9]{4}"
_MONTHS, _CHANCE, _FEWEST, _FEW = 12, 0.01, 2, 0.1


def demand_days_before_months(contract: Contract, table: pa.Table) -> None:
    """Raise PARSE_DATES_EXCHANGED or PARSE_MONTH_FIRST for a column in which days were taken for months.

    Exchanged: a spreadsheet read what it could as month/day and made a true date of it, and left the rest as text.
    Then every true date has a day up to 12, and of every text the first number is above 12. Month first: of the texts,
    the second number is above 12 in some and the first in none. With n dates whose day is up to 12 and m whose day is
    above, either comes by chance with (12/31)^n (19/31)^m.
    """
    for column in contract.file_columns:
        if column.logical_type != "date" or not any(form.startswith("%d") for form in column.extras.formats):
            continue
        cells = pc.drop_null(table[column.name])
        days = _numbers(cells, _ISO, "day")
        firsts, seconds = _numbers(cells, _DAY_FIRST, "first"), _numbers(cells, _DAY_FIRST, "second")
        if not firsts:
            continue
        header = column.header or column.name
        is_chance = (12 / 31) ** len(days) * (19 / 31) ** len(firsts) >= _CHANCE
        if days and max(days) <= _MONTHS < min(firsts) and not is_chance:
            raise unreadable("PARSE_DATES_EXCHANGED", header)
        impossible = sum(second > _MONTHS for second in seconds)
        is_chance = (12 / 31) ** len(firsts) >= _CHANCE
        if max(firsts) <= _MONTHS and impossible >= max(_FEWEST, _FEW * len(firsts)) and not is_chance:
            raise unreadable("PARSE_MONTH_FIRST", header)


def _numbers(cells: pa.ChunkedArray, pattern: str, group: str) -> list[int]:
    matches = pc.drop_null(pc.struct_field(pc.extract_regex(cells, pattern), group))
    numbers: list[int] = pc.cast(matches, pa.int64()).to_pylist()
    return numbers
