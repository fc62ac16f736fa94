"""Response headers: who may frame the page, what the page may load, and no cookie. Pure ASGI."""

from __future__ import annotations

import importlib.util
import os
import re
from base64 import b64encode
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

FRAME_ANCESTORS = "RIGHTSIZE_FRAME_ANCESTORS"  # space-separated origins, default 'self'
_SOURCE = re.compile(r"'self'|'none'|\*|(https?://)?(\*\.)?[A-Za-z0-9.-]+(:[0-9]{1,5}|:\*)?|https?:")


def frame_ancestors(configured: str | None) -> str:
    """The `frame-ancestors` sources; a malformed one is dropped rather than passed into a header."""
    sources = [word for word in (configured or "").split() if _SOURCE.fullmatch(word)]
    return " ".join(sources) or "'self'"


@lru_cache(maxsize=1)
def inline_script_hashes() -> tuple[str, ...]:
    """Hashes of the inline scripts in Streamlit's own page, so that they run and nobody else's do."""
    package = importlib.util.find_spec("streamlit")
    if package is None or package.origin is None:
        return ()
    page = (Path(package.origin).parent / "static" / "index.html").read_bytes()
    scripts = re.findall(rb"<script>(.*?)</script>", page, re.S)
    return tuple(f"'sha256-{b64encode(sha256(script).digest()).decode()}'" for script in scripts)


def content_security_policy(ancestors: str) -> str:
    """Everything from this origin only. `blob:` scripts are how Streamlit mounts inline components."""
    return "; ".join(
        (
            "default-src 'self'",
            " ".join(("script-src 'self' blob:", *inline_script_hashes())),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self' ws: wss:",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            f"frame-ancestors {ancestors}",
        )
    )


class SecurityHeaders:
    """Adds the headers to every HTTP response and drops Streamlit's XSRF cookie: the page needs none."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        policy = content_security_policy(frame_ancestors(os.environ.get(FRAME_ANCESTORS)))
        self._added = [
            (b"content-security-policy", policy.encode("ascii")),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"same-origin"),
            (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [
                    (name, value)
                    for name, value in message.get("headers", [])
                    if not (name.lower() == b"set-cookie" and value.startswith(b"_streamlit_xsrf"))
                ]
                message["headers"] = kept + self._added
            await send(message)

        await self.app(scope, receive, send_with_headers)
