"""Generated pages of ``docs/``: Markdown from templates.

Here: how values stand in Markdown. Not here: what a page says (templates), from what (dictionary, processing_register).
"""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def document(template: str, **values: Any) -> str:
    """A page of Markdown; equal values give equal text."""
    environment = Environment(
        loader=PackageLoader("warehouse.report"),
        autoescape=False,  # noqa: S701 - Markdown for this repository, of texts that stand in it
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["cell"] = _cell
    return environment.get_template(template).render(values)


def _cell(text: str | None) -> str:
    """One line in a table's cell; what is not known is empty."""
    return " ".join((text or "").replace("|", "\\|").split())
