"""What a spreadsheet or a data frame did to a text on its way, undone where nothing was lost by it.

Here: codes that passed through a column of floats (``3.0``, ``3671,00``), the apostrophe that keeps a number text, the
grouping of a sixteen-digit number. Not here: anything that lost a digit; it stays as it was sent, for the gate to see.
"""

import pyarrow as pa
import pyarrow.compute as pc

from warehouse.core.contract import Column

# Exactly three zeros may be a thousand; a float holds no whole number from 9 * 10^15 on for certain.
_FLOAT = r"^([0-9]{1,15}|[0-8][0-9]{15})[.,](?:0{1,2}|0{4,})$"
_MARKS = "'’‘`´"
_TEXT_MARK = r"^['’‘`´]+([0-9][0-9.,]*)$"
_GROUPING = r"[\s\x{00A0}\x{202F}.'’‘`´-]"
_SIXTEEN, _ONE_MARK = r"^[0-9]{16}$", r"^[0-9]+[.,][0-9]+$"


def restored(column: Column, cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Trimmed cells of a column; numbers, dates and truth values without codes have readers of their own (gate)."""
    if column.logical_type != "string" and not column.extras.codes:
        return cells
    # Most columns hold none of it, and looking for a plain text is cheaper than matching every cell.
    if any(pc.any(pc.starts_with(cells, mark)).as_py() for mark in _MARKS):
        cells = pc.replace_substring_regex(cells, _TEXT_MARK, r"\1")
    if any(pc.any(pc.match_substring(cells, zero)).as_py() for zero in (".0", ",0")):
        cells = pc.replace_substring_regex(cells, _FLOAT, r"\1")
    if not column.is_identifier:
        return cells
    digits = pc.replace_substring_regex(cells, _GROUPING, "")
    is_grouped = pc.and_(
        pc.match_substring_regex(digits, _SIXTEEN), pc.invert(pc.match_substring_regex(cells, _ONE_MARK))
    )
    return pc.if_else(is_grouped, digits, cells) if pc.any(is_grouped).as_py() else cells
