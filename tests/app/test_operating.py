"""Liveness, readiness and metrics."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app import api, metrics, operating
from app.metrics import Tally, price_lines


@pytest.fixture
def client() -> TestClient:
    return TestClient(Starlette(routes=[*api.routes(), *operating.routes()]))


def test_it_is_alive_before_it_is_ready(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operating.READINESS, "serving", False)
    assert client.get("/livez").text == "ok"
    reply = client.get("/readyz")
    assert (reply.status_code, reply.json()["reasons"]) == (503, ["starting or stopping"])
    monkeypatch.setattr(operating.READINESS, "serving", True)
    reply = client.get("/readyz")
    assert reply.status_code == 200
    assert reply.json()["ready"] is True
    assert reply.json()["offers"] > 1000


def test_answers_and_refusals_are_counted_by_path_and_key(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "TALLY", tally := Tally())
    monkeypatch.setattr(metrics, "TALLY", tally)
    client.get("/api/v1/estimate?model=8B")
    client.get("/api/v1/estimate?model=8B&prompt=inf")
    client.get("/api/v1/recommend?model=8B&budget=1")
    client.get("/api/v1/recommend?model=8B&%22%0Aevil=1")
    reply = client.get("/metrics")
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = reply.text.splitlines()
    assert 'rightsize_answers_total{path="/api/v1/estimate",status="200"} 1' in lines
    assert 'rightsize_answers_total{path="/api/v1/estimate",status="422"} 1' in lines
    refused = [line for line in lines if line.startswith("rightsize_refusals_total")]
    assert refused == [
        'rightsize_refusals_total{field="budget"} 1',
        'rightsize_refusals_total{field="other"} 1',
        'rightsize_refusals_total{field="prompt"} 1',
    ]
    assert "evil" not in reply.text


def test_what_is_exposed_is_what_prometheus_reads(client: TestClient) -> None:
    """The text format, version 0.0.4: HELP and TYPE before samples, and every sample a name, labels and a number."""
    sample = re.compile(r'[a-z_]+\{([a-z]+="([^"\\\n]|\\.)*",?)*\} [0-9.e+-]+')
    described: set[str] = set()
    for line in client.get("/metrics").text.splitlines():
        if line.startswith("# TYPE "):
            described.add(line.split()[2])
        elif not line.startswith("# HELP "):
            assert sample.fullmatch(line), line
            assert re.sub("_(bucket|sum|count)$", "", line.split("{")[0]) in described
    assert {"rightsize_info", "rightsize_price_age_seconds", "rightsize_answer_seconds", "rightsize_jobs"} <= described


def test_a_histogram_counts_what_took_no_longer() -> None:
    tally = Tally()
    for seconds in (0.004, 0.02, 0.5, 20.0):
        tally.add("/x", 200, seconds)
    found = dict(re.findall(r'_bucket\{path="/x",le="(.+?)"\} (\d+)', "\n".join(tally.lines())))
    assert list(found) == ["0.005", "0.01", "0.03", "0.1", "0.3", "1.0", "3.0", "10.0", "+Inf"]
    assert list(found.values()) == ["1", "1", "2", "2", "2", "3", "3", "3", "4"]
    assert 'rightsize_answer_seconds_sum{path="/x"} 20.524' in "\n".join(tally.lines())


def test_prices_are_as_old_as_they_were_read() -> None:
    now = datetime(2026, 11, 28, 12, tzinfo=UTC)
    read = [
        ("us-east-1", "live", datetime(2026, 11, 28, 11, tzinfo=UTC)),
        ("eu-west-1", "snapshot", date(2026, 11, 27)),
    ]
    assert list(price_lines([*read, ("xx", "snapshot", None)], now))[2:] == [
        'rightsize_price_age_seconds{region="us-east-1",source="live"} 3600',
        'rightsize_price_age_seconds{region="eu-west-1",source="snapshot"} 129600',
    ]
