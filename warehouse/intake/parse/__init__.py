"""Reads a delivery's bytes as one of its contract's file shapes: every column as text, every row with its place.

Here: media, encodings, delimiters, header rows, JSON envelopes; what cannot be read raises UnreadableDelivery, records
that cannot be split into fields are refused one by one. Not here: judgement. A wrong date or code is still text when it
leaves, and the gate's matter.
"""

from warehouse.intake.parse.apart import one_process
from warehouse.intake.parse.model import Parsed, RefusedRow
from warehouse.intake.parse.reader import parse

__all__ = ["Parsed", "RefusedRow", "one_process", "parse"]
