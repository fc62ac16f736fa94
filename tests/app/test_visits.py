"""One visit more than there may be is told so, and whoever is there goes on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from app.visits import SAID, SAID_OF_ADDRESS, USUAL, VisitGate, address_of, most_visits
from estimators.provenance import Refusal
from tests.browser.conftest import can_send_from, free_port


async def stream(socket: WebSocket) -> None:
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text)


async def page(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("here")


def gated(most: int) -> Starlette:
    routes = [WebSocketRoute("/_stcore/stream", stream), Route("/{rest:path}", page)]
    gate = Middleware(VisitGate, most=most, pages=frozenset({"/", "/memory"}))
    return Starlette(routes=routes, middleware=[gate])


@pytest.fixture
def client() -> TestClient:
    return TestClient(gated(2))


@pytest.fixture
def twenty() -> Iterator[int]:
    """The port of a server that takes twenty visits, and trusts what 127.0.0.1 forwards, as uvicorn does by itself."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(gated(20), port=port, log_config=None, ws="websockets-sansio"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while thread.is_alive() and not server.started:
        time.sleep(0.01)
    assert server.started
    yield port
    server.should_exit = True
    thread.join()


def visit(port: int, peer: str = "127.0.0.1", forwarded: str = "") -> ClientConnection:
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    address = f"ws://127.0.0.1:{port}/_stcore/stream"
    return connect(address, additional_headers=headers, source_address=(peer, 0), compression=None)


def takes(port: int, peer: str = "127.0.0.1", forwarded: str = "") -> bool:
    try:
        with visit(port, peer, forwarded):
            return True
    except InvalidStatus:
        return False


@pytest.mark.skipif(not can_send_from("127.0.0.2", "127.0.0.3"), reason="one loopback address on this system")
def test_one_address_cannot_take_what_is_left_for_others(twenty: int, caplog: pytest.LogCaptureFixture) -> None:
    """Of twenty visits, fifteen may be one address's; then it gets none, and each other address may have three."""
    with caplog.at_level(logging.WARNING), ExitStack() as stack:
        for _ in range(15):
            stack.enter_context(visit(twenty, "127.0.0.2"))
        assert not takes(twenty, "127.0.0.2")
        assert not takes(twenty, "127.0.0.2", forwarded="203.0.113.9")  # it is no proxy of ours
        for _ in range(3):
            stack.enter_context(visit(twenty, forwarded="203.0.113.9"))
        assert not takes(twenty, forwarded="203.0.113.9")
        assert not takes(twenty, forwarded="198.51.100.1, 203.0.113.9")  # what it wrote itself stands before
        assert takes(twenty, forwarded="203.0.113.10")
        assert takes(twenty, "127.0.0.3")
    assert takes(twenty, "127.0.0.2")
    assert caplog.text.count("15 of 15 visits are of 127.0.0.2, which gets no more") == 1


def test_an_office_of_one_address_is_told_so_on_the_page_too() -> None:
    client = TestClient(gated(4), client=("203.0.113.9", 1))
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(client.websocket_connect("/_stcore/stream"))
        assert SAID_OF_ADDRESS in client.get("/").text
        other = TestClient(client.app, client=("203.0.113.10", 1))
        assert other.get("/").text == "here"


@pytest.mark.parametrize(
    ("trusted", "counted"),
    [
        ("10.244.0.0/16", "203.0.113.9"),
        ("192.0.2.1, 10.244.0.0/16", "203.0.113.9"),
        ("127.0.0.1", "10.244.3.7"),
        ("*", "198.51.100.1"),
    ],
)
def test_proxies_are_named_by_network_too(trusted: str, counted: str) -> None:
    """As README.md says; the first address is one that the visitor wrote himself."""

    async def told(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(address_of(scope) or "")(scope, receive, send)

    client = TestClient(ProxyHeadersMiddleware(told, trusted), client=("10.244.3.7", 1))  # type: ignore[arg-type]
    assert client.get("/", headers={"X-Forwarded-For": "198.51.100.1, 203.0.113.9"}).text == counted


@pytest.mark.parametrize(
    ("client", "counted"),
    [
        (("203.0.113.9", 5), "203.0.113.9"),
        (("::ffff:203.0.113.9", 5), "203.0.113.9"),
        (("2001:db8:1:12ab:3:4:5:6", 5), "2001:db8:1:1200::"),
        (("2001:db8:1:12ff::", 5), "2001:db8:1:1200::"),
        (("2001:db8:1:1300::", 5), "2001:db8:1:1300::"),  # of the same /48: this one is another's for all we know
        (("unknown", 0), "unknown"),
        (None, None),
    ],
)
def test_the_addresses_of_a_home_are_one(client: tuple[str, int] | None, counted: str | None) -> None:
    assert address_of({"type": "websocket", "client": client}) == counted


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
