"""Headers of every response."""

from __future__ import annotations

from typing import Any

import pytest

from app.headers import SecurityHeaders, content_security_policy, frame_ancestors


@pytest.mark.parametrize(
    ("configured", "expected"),
    [
        (None, "'self'"),
        ("", "'self'"),
        ("'self' https://portal.example.com", "'self' https://portal.example.com"),
        ("http://localhost:9000", "http://localhost:9000"),
        ("https://*.example.com", "https://*.example.com"),
        ("https://a.example; script-src: *", "*"),
        ("bad\r\nset-cookie:x", "bad"),
    ],
)
def test_only_well_formed_origins_reach_the_header(configured: str | None, expected: str) -> None:
    assert frame_ancestors(configured) == expected


def test_nothing_may_come_from_another_origin() -> None:
    policy = content_security_policy("'self'")
    assert "default-src 'self'" in policy
    assert "http" not in policy


def test_headers_are_added_and_the_xsrf_cookie_is_dropped() -> None:
    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"set-cookie", b"_streamlit_xsrf=1"), (b"set-cookie", b"other=1"), (b"x-kept", b"1")],
            }
        )

    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    run = SecurityHeaders(inner)({"type": "http"}, None, send)  # type: ignore[arg-type]
    with pytest.raises(StopIteration):  # nothing in it waits, so one step runs it to its end without an event loop
        run.send(None)
    headers = sent[0]["headers"]
    assert (b"set-cookie", b"other=1") in headers
    assert not any(value.startswith(b"_streamlit_xsrf") for _, value in headers)
    assert b"frame-ancestors 'self'" in dict(headers)[b"content-security-policy"]
    assert dict(headers)[b"x-content-type-options"] == b"nosniff"
