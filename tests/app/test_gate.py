"""Who is answered: our names, and pages of our own origin. Streamlit sees no other."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from app.gate import Gate, Named, hosts, is_local
from estimators.provenance import Refusal
from tests.browser.conftest import dashboard
from tests.conftest import ROOT

LOCAL, ANY = "127.0.0.1", "0.0.0.0"


def answered(*, host: str, origin: str | None = None, address: str | None = LOCAL, configured: str = "") -> str:
    """The Host that the page behind the gate sees; what the gate says where it refuses. A socket fares alike."""

    async def told(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"asked of {request.headers['host']}")

    async def opened(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(f"asked of {socket.headers['host']}")

    gate = Middleware(Gate, hosts=hosts(configured), address=lambda: address)
    routes = [Route("/", told), Route("/_stcore/health", told), WebSocketRoute("/_stcore/stream", opened)]
    client = TestClient(Starlette(routes=routes, middleware=[gate]))
    headers = {"host": host} | ({"origin": origin} if origin is not None else {})
    reply = client.get("/", headers=headers)
    if reply.status_code == 200:
        with client.websocket_connect("/_stcore/stream", headers=headers) as socket:
            assert socket.receive_text() == reply.text
    else:
        with pytest.raises(WebSocketDisconnect) as closed, client.websocket_connect("/_stcore/stream", headers=headers):
            pass
        assert (closed.value.code, closed.value.reason, reply.status_code) == (1008, reply.text, 403)
    return reply.text


@pytest.mark.parametrize(
    "host", ["localhost:8501", "LOCALHOST", "127.0.0.1:8501", "127.9.9.9", "[::1]:8501", "a.localhost"]
)
def test_bound_to_the_loopback_local_names_are_answered(host: str) -> None:
    assert answered(host=host) == f"asked of {host}"
    assert answered(host=host, configured="rightsize.example") == f"asked of {host}"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "192.168.0.7:8501",
        "127.0.0.1.evil.example",
        "evil.example.",
        "10.0.0.1",
    ],
)
def test_bound_to_the_loopback_no_other_name_is(host: str) -> None:
    said = "This dashboard does not answer to that name. Its operator can add it to RIGHTSIZE_HOSTS."
    assert answered(host=host) == said
    assert answered(host=host, origin=f"http://{host}") == said  # a name made to resolve here agrees with itself


@pytest.mark.parametrize("host", ["a b", "a/b", "a@b", "", "[::1", "a:99999999", "x" * 300])
def test_what_is_no_host_is_not_answered(host: str) -> None:
    assert answered(host=host, address=ANY) == "The request names no host."


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:8501", "http://localhost:8501"),
        ("127.0.0.1:8501", "http://127.0.0.1:8501"),
        ("[::1]:8501", "http://[::1]:8501"),
        ("localhost", "http://localhost"),
    ],
)
def test_a_page_of_our_own_is_answered(host: str, origin: str) -> None:
    assert answered(host=host, origin=origin) == f"asked of {host}"


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example", "null", "http://localhost:9000", "http://127.0.0.1:8501", "http://0.0.0.0:8501",
        "http://localhost:8501.evil.example", "http://evil.example#localhost:8501", "http://x@localhost:8501",
        "http://localhost:8501/", "file://", "", "chrome-extension://abc",
    ],
)  # fmt: skip
@pytest.mark.parametrize("address", [LOCAL, ANY, None])
def test_a_page_of_another_origin_is_not(origin: str, address: str | None) -> None:
    said = answered(host="localhost:8501", origin=origin, address=address)
    assert said == "The request comes from a page of another origin."


def test_elsewhere_any_name_is_ours_whose_origin_agrees() -> None:
    assert answered(host="rightsize.example", address=ANY) == "asked of rightsize.example"
    assert answered(host="rightsize.example", origin="https://rightsize.example", address=ANY) == (
        "asked of rightsize.example"
    )
    said = answered(host="rightsize.example", origin="https://evil.example", address=ANY)
    assert said == "The request comes from a page of another origin."


def test_elsewhere_only_the_names_of_the_setting_where_there_is_one() -> None:
    configured = "rightsize.example, *.inner.example sizes.example:8443"
    for host in ("rightsize.example", "rightsize.example:8501", "a.inner.example", "sizes.example:8443"):
        assert answered(host=host, address=ANY, configured=configured) == f"asked of {host}"
    for host in ("evil.example", "inner.example", "ainner.example", "sizes.example", "sizes.example:1"):
        assert answered(host=host, address=ANY, configured=configured).startswith("This dashboard does not answer")


def test_behind_a_proxy_that_calls_us_by_another_name_a_named_origin_is_ours() -> None:
    """And Streamlit sees the two agree, so that it does not look for its own address in the network."""
    said = answered(host="localhost:8501", origin="https://rightsize.example:8443", configured="rightsize.example")
    assert said == "asked of rightsize.example:8443"
    assert answered(host="rightsize.example:443", origin="https://rightsize.example", address=ANY) == (
        "asked of rightsize.example"
    )


def test_what_watches_over_the_process_asks_by_address() -> None:
    gate = Middleware(Gate, hosts=hosts("rightsize.example"), address=lambda: ANY)

    async def well(request: Request) -> PlainTextResponse:
        return PlainTextResponse("ok")

    client = TestClient(Starlette(routes=[Route("/app/_stcore/health", well)], middleware=[gate]))
    assert client.get("/app/_stcore/health", headers={"host": "10.2.3.4:8501"}).text == "ok"
    foreign = {"host": "10.2.3.4:8501", "origin": "https://evil.example"}
    assert client.get("/app/_stcore/health", headers=foreign).status_code == 403


def test_two_hosts_or_origins_are_none() -> None:
    seen: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        seen.append(message)

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("it got through")

    gate = Gate(inner, hosts=(), address=lambda: LOCAL)
    twice = [(b"host", b"localhost"), (b"host", b"evil.example")]
    both = [(b"host", b"localhost"), (b"origin", b"http://localhost"), (b"origin", b"http://localhost")]
    for headers in (twice, both):
        asyncio.run(gate({"type": "http", "path": "/", "headers": headers}, None, send))  # type: ignore[arg-type]
        assert seen[-2]["status"] == 403


def test_the_setting_names_hosts_and_an_entry_that_is_none_is_named() -> None:
    assert hosts("A.example,*.b.example:8443  [::1]") == (
        Named("a.example"), Named("*.b.example", 8443), Named("[::1]"),
    )  # fmt: skip
    assert hosts(None) == hosts(" ") == ()
    for entry in ("https://a.example", "a.example/path", "*", "a b:c"):
        with pytest.raises(Refusal, match="RIGHTSIZE_HOSTS has"):
            hosts(entry)


def test_what_is_local() -> None:
    assert [is_local(name) for name in ("localhost", "[::1]", "127.1.2.3", "::ffff:127.0.0.1")] == [True] * 4
    assert [is_local(name) for name in ("0.0.0.0", "10.0.0.1", "localhost.example", "::")] == [False] * 4


@pytest.mark.slow
def test_foreign_handshakes_hold_nobody_up(tmp_path: Path) -> None:
    """Streamlit would look its own address up over the network for each, and answer nobody meanwhile."""

    async def shake(address: str, origin: str, host: str) -> int:
        headers = {"Host": host} if host else {}
        try:
            async with connect(address, origin=origin, additional_headers=headers, compression=None):
                return 101
        except InvalidStatus as refused:
            return refused.response.status_code

    async def many(base: str) -> list[int]:
        address = base.replace("http", "ws") + "/_stcore/stream"
        return await asyncio.gather(*(shake(address, "https://evil.example", "") for _ in range(20)))

    with dashboard(tmp_path) as base:
        started = time.monotonic()
        assert set(asyncio.run(many(base))) == {403}
        with urllib.request.urlopen(f"{base}/_stcore/health", timeout=2) as reply:
            assert reply.status == 200
        assert time.monotonic() - started < 3
        own = base.replace("http", "ws") + "/_stcore/stream"
        assert asyncio.run(shake(own, base, "")) == 101
        rebound = urllib.request.Request(base, headers={"Host": "evil.example"})
        with pytest.raises(urllib.error.HTTPError) as refused, contextlib.closing(urllib.request.urlopen(rebound)):
            pass
        assert refused.value.code == 403


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("RIGHTSIZE_HOSTS", "https://a.example"),
        ("RIGHTSIZE_FRAME_ANCESTORS", "https://a.example; script-src *"),
        ("RIGHTSIZE_MOST_VISITS", "many"),
    ],
)
def test_a_setting_that_cannot_be_read_ends_the_start_with_its_sentence(
    tmp_path: Path, variable: str, value: str
) -> None:
    with pytest.raises(RuntimeError, match="ended with"), dashboard(tmp_path, **{variable: value}):
        pass
    log = (tmp_path / "dashboard.log").read_text()
    assert f"error: {variable} has '{value.split()[0]}', which is no" in log
    assert "Traceback" not in log
    said = subprocess.run(
        [sys.executable, "-c", "import app.server"], cwd=ROOT, env={variable: value}, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert said.returncode == 1
    assert said.stderr.startswith(f"error: {variable} has")
