"""The JSON route, through the real ASGI application."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from app.api import estimate
from app.columns import COLUMNS


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


def test_a_thousand_parameters_are_refused(client: TestClient) -> None:
    query = "&".join(f"k{number}=1" for number in range(1000))
    assert client.get(f"/api/v1/estimate?{query}").status_code == 400
