"""The JSON route, through the real ASGI application."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from app.api import estimate
from app.columns import COLUMNS
from app.sources import LocalSources
from estimators.architecture import catalogue
from estimators.architecture.hub.client import HubClient
from pricing.book import Book
from tests.servers.hub import HubServer


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(Starlette(routes=[Route("/api/v1/estimate", estimate)]))


def test_a_link_answers_as_json(client: TestClient) -> None:
    reply = client.get(
        "/api/v1/estimate", params={"model": "meta-llama/Llama-3.1-8B-Instruct", "instance": "g5.xlarge"}
    )
    assert reply.status_code == 200
    body = reply.json()
    assert body["usd_per_month"] == pytest.approx(734.38)
    assert body["weights_bytes"] == 16_060_522_496
    assert set(COLUMNS) <= set(body)
    assert reply.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("query", ["", "model=nobody/nothing", "model=8B&instance=zz9.xlarge", "prompt=inf"])
def test_what_cannot_be_answered_is_422_with_a_sentence(client: TestClient, query: str) -> None:
    reply = client.get(f"/api/v1/estimate?{query}")
    assert reply.status_code == 422
    assert reply.json()["error"]


def test_ignored_parameters_are_named(client: TestClient) -> None:
    body = client.get("/api/v1/estimate?model=8B&utm=1&concurrency=2&rate=3").json()
    assert len(body["problems"]) == 2


def test_a_parameter_given_twice_is_named_as_on_the_page(client: TestClient) -> None:
    body = client.get("/api/v1/estimate?model=8B&gpu=L4&gpu=H100&utm=1&utm=2").json()
    assert "gpu was given more than once; the last was used." in body["problems"]
    assert body["accelerator"] == "H100-SXM5"


def test_a_thousand_parameters_are_refused(client: TestClient) -> None:
    query = "&".join(f"k{number}=1" for number in range(1000))
    assert client.get(f"/api/v1/estimate?{query}").status_code == 400


@pytest.fixture
def slow_hub(tmp_path: Path) -> Iterator[tuple[HubServer, LocalSources]]:
    with HubServer() as hub:
        client = HubClient(endpoint=hub.url, offline=False, timeout_s=5, cache_dir=tmp_path)
        yield hub, LocalSources(Book(), client, patience_s=0.0)


def test_forty_requests_that_wait_for_a_slow_hub_hold_nobody_up(
    slow_hub: tuple[HubServer, LocalSources], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each once held one of the forty threads that also serve the page's files."""
    hub, sources = slow_hub
    monkeypatch.setattr("app.api.dashboard_sources", lambda: sources)
    hub.add_model("acme/slow", config=catalogue.load_config("Qwen/Qwen2.5-7B-Instruct"))
    hub.fail("/api/models/", delay_seconds=0.5)

    async def ask() -> tuple[list[int], float]:
        transport = httpx2.ASGITransport(app=Starlette(routes=[Route("/api/v1/estimate", estimate)]))
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            slow = [
                asyncio.create_task(client.get("/api/v1/estimate", params={"model": model, "gpu": "H100"}))
                for model in (*(f"owner{number}/slow" for number in range(20)), *["acme/slow"] * 20)
            ]
            await asyncio.sleep(0.1)
            begun = time.monotonic()
            await client.get("/api/v1/estimate", params={"model": "8B", "gpu": "H100"})
            await anyio.to_thread.run_sync(int)  # as a file of the page is served
            quick = time.monotonic() - begun
            return [(await reply).status_code for reply in slow], quick

    statuses, quick = asyncio.run(ask())
    assert quick < 1.5  # the slow ones take 2.5 in all
    assert statuses == [422] * 20 + [200] * 20
