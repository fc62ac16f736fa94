"""One visit more than there may be is told so, and whoever is there goes on."""

from __future__ import annotations

import logging

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from app.visits import SAID, USUAL, VisitGate, most_visits
from estimators.provenance import Refusal


async def stream(socket: WebSocket) -> None:
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text)


async def page(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("here")


@pytest.fixture
def client() -> TestClient:
    routes = [WebSocketRoute("/_stcore/stream", stream), Route("/{rest:path}", page)]
    gate = Middleware(VisitGate, most=2, pages=frozenset({"/", "/memory"}))
    return TestClient(Starlette(routes=routes, middleware=[gate]))


def test_beyond_the_number_pages_and_sockets_are_refused_and_programs_are_not(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), client.websocket_connect("/_stcore/stream") as first:
        with client.websocket_connect("/_stcore/stream"):
            for path in ("/", "/memory"):
                full = client.get(path)
                assert (full.status_code, full.headers["retry-after"]) == (503, "30")
                assert SAID in full.text
            for _ in range(3):
                with pytest.raises(WebSocketDisconnect) as refused, client.websocket_connect("/_stcore/stream"):
                    pass
                assert (refused.value.code, refused.value.reason) == (1013, SAID)
            assert client.get("/api/v1/estimate").text == client.get("/_stcore/health").text == "here"
            first.send_text("still here")
            assert first.receive_text() == "still here"
        assert client.get("/").text == "here"
        with client.websocket_connect("/_stcore/stream"):
            pass
    assert caplog.text.count("2 visits are open, and no more are taken") == 1


@pytest.mark.parametrize(("configured", "most"), [(None, USUAL), (" ", USUAL), ("40", 40), ("999999", 999_999)])
def test_the_operator_says_how_many(configured: str | None, most: int) -> None:
    assert most_visits(configured) == most


@pytest.mark.parametrize("configured", ["0", "-1", "many", "1e3", "\u0663", "1000000"])
def test_what_is_no_number_ends_the_start_with_its_name(configured: str) -> None:
    with pytest.raises(Refusal, match="RIGHTSIZE_MOST_VISITS"):
        most_visits(configured)
