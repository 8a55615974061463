"""The monitors' site as it is served: its headers let nothing run, load or be framed, and its pages need none of it."""

import asyncio
import re
from pathlib import Path

import httpx
import pytest

from warehouse import report
from warehouse.sandbox import local_airflow

TEMPLATES = sorted((Path(report.__file__).parent / "templates").glob("*.html"))


@pytest.mark.parametrize(("path", "status"), [("/", 200), ("/missing.html", 404), ("/../ledger.db", 404)])
def test_every_answer_says_what_a_browser_may_do_with_it(settings, monkeypatch, path, status):
    (folder := settings.reports_dir / "r1").mkdir(parents=True)
    (folder / "index.html").write_text("<p>malam ini</p>")
    (settings.reports_dir / "current").symlink_to("r1")
    monkeypatch.setattr(local_airflow, "get_settings", lambda: settings)

    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(local_airflow.report_site())
        async with httpx.AsyncClient(transport=transport, base_url="http://site") as client:
            return await client.get(path)

    answer = asyncio.run(asked())
    assert answer.status_code == status
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "script" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_page_needs_what_the_headers_forbid(template):
    text = template.read_text(encoding="utf-8")
    assert not re.search(r"<(script|form|iframe|object|embed|base|link|audio|video)\b|\son\w+=|@import|url\(", text)
