"""The monitors' static site: tonight at a glance, a page a dataset, a page a release. Offline, printable, no person."""

from warehouse.report.pages import render

__all__ = ["render"]
