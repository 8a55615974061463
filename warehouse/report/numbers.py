"""How pages print numbers, so that a rounded one never looks exact.

A count that rounding made 0 or the base is written as the span of both; any other number with rounded counts in it has
≈ before it.
Not here: which numbers were rounded (the release's ``is_rounded``).
"""


def count(value: int | None, is_rounded: bool = False, base: int | None = None) -> str:
    """A whole number in Indonesian digits; ``base`` is what small counts were rounded to."""
    if value is None:
        return "–"
    if is_rounded and value in (0, base):
        return f"0–{base}"
    return f"{'≈ ' if is_rounded else ''}{value:,}".replace(",", ".")


def percent(value: float | None, is_rounded: bool = False) -> str:
    return "–" if value is None else f"{'≈ ' if is_rounded else ''}{value:.1f}%".replace(".", ",")


def points(value: float | None) -> str:
    """A difference of percentages, in percentage points."""
    return "–" if value is None else f"{value:.2f}".replace(".", ",")
