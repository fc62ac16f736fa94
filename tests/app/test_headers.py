"""Headers of every response."""

from __future__ import annotations

from typing import Any

import pytest

from app.headers import SecurityHeaders, content_security_policy, frame_ancestors
from estimators.provenance import Refusal


@pytest.mark.parametrize(
    ("configured", "expected"),
    [
        (None, "'self'"),
        ("", "'self'"),
        ("'none'", "'none'"),
        ("'self' https://portal.example.com", "'self' https://portal.example.com"),
        ("http://localhost:9000", "http://localhost:9000"),
        ("https://*.example.com", "https://*.example.com"),
    ],
)
def test_who_may_frame_the_page(configured: str | None, expected: str) -> None:
    assert frame_ancestors(configured) == expected


@pytest.mark.parametrize(
    ("configured", "entry"),
    [
        ("https://a.example; script-src *", "https://a.example;"),
        ("https://a.example,https://b.example", "https://a.example,https://b.example"),
        ("'self' bad\r\nset-cookie:x", "set-cookie:x"),
        ("'self' 'none'", "'none'"),
        ("https://a.example/path", "https://a.example/path"),
    ],
)
def test_an_entry_that_is_no_origin_is_named(configured: str, entry: str) -> None:
    with pytest.raises(Refusal) as refused:
        frame_ancestors(configured)
    assert f"RIGHTSIZE_FRAME_ANCESTORS has {entry!r}, which is no origin." in str(refused.value)


def test_nothing_may_come_from_or_go_to_another_origin() -> None:
    policy = content_security_policy("'self'", b"rightsize.example:8501")
    assert "default-src 'self'" in policy
    assert "http" not in policy
    assert "connect-src 'self' ws://rightsize.example:8501 wss://rightsize.example:8501; " in policy


@pytest.mark.parametrize("host", [b"", b"a b", b"a;script-src *", b"*", b"[::1]:8501"])
def test_a_host_that_is_no_name_reaches_no_header(host: bytes) -> None:
    assert "connect-src 'self'; " in content_security_policy("'self'", host)


def answered(scheme: str, *cookies: bytes) -> list[tuple[bytes, bytes]]:
    """The headers of a reply that sets these cookies."""

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        own = [(b"set-cookie", cookie) for cookie in cookies]
        await send({"type": "http.response.start", "status": 200, "headers": own})

    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asked = {"type": "http", "scheme": scheme, "headers": [(b"host", b"localhost:8501")]}
    run = SecurityHeaders(inner, ancestors="'self'")(asked, None, send)  # type: ignore[arg-type]
    with pytest.raises(StopIteration):  # nothing in it waits, so one step runs it to its end without an event loop
        run.send(None)
    headers: list[tuple[bytes, bytes]] = sent[0]["headers"]
    return headers


def test_headers_are_added_and_cookies_are_left_to_who_sets_them() -> None:
    headers = answered("http", b"_streamlit_xsrf=1")
    assert (b"set-cookie", b"_streamlit_xsrf=1") in headers  # sign-in needs it
    assert b"frame-ancestors 'self'" in dict(headers)[b"content-security-policy"]
    assert b"ws://localhost:8501 " in dict(headers)[b"content-security-policy"]
    assert dict(headers)[b"x-content-type-options"] == b"nosniff"


def test_every_cookie_of_tls_is_sent_over_tls_alone() -> None:
    headers = answered("https", b"_streamlit_xsrf=1; Path=/", b"session=secure; httponly", b"own=1; path=/; secure")
    assert [value for name, value in headers if name == b"set-cookie"] == [
        b"_streamlit_xsrf=1; Path=/; Secure",
        b"session=secure; httponly; Secure",
        b"own=1; path=/; secure",
    ]
