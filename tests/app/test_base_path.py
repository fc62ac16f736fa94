"""Under a path of a portal: the JSON route is where the page is."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from app.base_path import UnderBasePath
from app.views.decision import first_page
from tests.browser.conftest import dashboard


@pytest.mark.parametrize(
    ("base", "asked", "path"),
    [
        ("tools/sizes", "/tools/sizes/api/v1/estimate", "/api/v1/estimate"),
        ("/tools/sizes/", "/tools/sizes/api/v1/estimate", "/api/v1/estimate"),
        ("tools/sizes", "/api/v1/estimate", "/api/v1/estimate"),
        ("tools/sizes", "/tools/sizes/memory", "/tools/sizes/memory"),
        ("tools/sizes", "/tools/sizesapi/v1", "/tools/sizesapi/v1"),
        ("", "/api/v1/estimate", "/api/v1/estimate"),
        (None, "//api/v1", "//api/v1"),
    ],
)
def test_the_path_of_the_portal_comes_off_the_api(base: str | None, asked: str, path: str) -> None:
    async def told(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.url.path)

    under = Middleware(UnderBasePath, base=lambda: base)
    client = TestClient(Starlette(routes=[Route("/{rest:path}", told)], middleware=[under]))
    assert client.get(f"http://testserver{asked}").text == path


@pytest.mark.parametrize(
    ("address", "root"),
    [
        ("http://localhost:8501", "http://localhost:8501/"),
        ("http://localhost:8501/recommend", "http://localhost:8501/"),
        ("https://portal.example/tools/sizes", "https://portal.example/tools/sizes/"),
        ("https://portal.example/tools/sizes/recommend", "https://portal.example/tools/sizes/"),
        (None, ""),
    ],
)
def test_the_first_page_is_found_from_the_page_that_is_shown(address: str | None, root: str) -> None:
    assert first_page(address) == root


@pytest.mark.slow
def test_a_dashboard_under_a_path_answers_in_json_there(tmp_path: Path) -> None:
    with dashboard(tmp_path, path="/tools/sizes") as base:
        asked = f"{base}/api/v1/estimate?model=8B&instance=g6.xlarge"
        with urllib.request.urlopen(asked, timeout=30) as reply:
            assert reply.headers["content-type"] == "application/json"
            assert json.load(reply)["instance"] == "g6.xlarge"
