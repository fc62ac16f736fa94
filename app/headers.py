"""Response headers: who may frame the page, what the page may load, and where its cookies go. Pure ASGI."""

from __future__ import annotations

import importlib.util
import re
from base64 import b64encode
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from estimators.provenance import Refusal

FRAME_ANCESTORS = "RIGHTSIZE_FRAME_ANCESTORS"  # space-separated origins, default 'self'
_SOURCE = re.compile(r"'self'|\*|(https?://)?(\*\.)?[A-Za-z0-9.-]+(:[0-9]{1,5}|:\*)?|https?:")
_HOST = re.compile(rb"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?")


def frame_ancestors(configured: str | None) -> str:
    """The `frame-ancestors` sources. Raises `Refusal` that names an entry which is none: it must not end the page's
    other rules, nor shut out in silence whoever was meant."""
    words = (configured or "").split() or ["'self'"]
    if words == ["'none'"]:
        return "'none'"
    for word in words:
        if _SOURCE.fullmatch(word) is None:
            remedy = (
                "Write origins such as https://portal.example.com with spaces between them, and 'self' for our own."
            )
            message = f"{FRAME_ANCESTORS} has {word[:80]!r}, which is no origin."
            raise Refusal(message, field=FRAME_ANCESTORS, remedy=remedy)
    return " ".join(words)


@lru_cache(maxsize=1)
def own_script() -> bytes:
    """Our own of every page; in the page itself, which spares its first visit a request."""
    return (Path(__file__).parent / "static" / "page.js").read_bytes()


@lru_cache(maxsize=1)
def inline_script_hashes() -> tuple[str, ...]:
    """Hashes of the inline scripts, Streamlit's and our own, so that they run and nobody else's do."""
    package = importlib.util.find_spec("streamlit")
    if package is None or package.origin is None:
        return ()
    page = (Path(package.origin).parent / "static" / "index.html").read_bytes()
    scripts = [*re.findall(rb"<script>(.*?)</script>", page, re.S), own_script()]
    return tuple(f"'sha256-{b64encode(sha256(script).digest()).decode()}'" for script in scripts)


def content_security_policy(ancestors: str, host: bytes = b"") -> str:
    """Everything from this origin only.

    `host` is the one the page was asked of: not every browser takes a socket to it for 'self'.
    """
    socket = f" ws://{host.decode()} wss://{host.decode()}" if _HOST.fullmatch(host) else ""
    return "; ".join(
        (
            "default-src 'self'",
            " ".join(("script-src 'self'", *inline_script_hashes())),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            f"connect-src 'self'{socket}",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            f"frame-ancestors {ancestors}",
        )
    )


def _over_tls_alone(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """A header of a response; where it sets a cookie, one that is sent over TLS alone."""
    if name.lower() != b"set-cookie" or b"secure" in (part.strip().lower() for part in value.split(b";")):
        return name, value
    return name, value + b"; Secure"


class SecurityHeaders:
    """Adds the headers to every HTTP response, and `Secure` to each cookie of one over TLS: Streamlit's have it only
    where it ends TLS itself."""

    def __init__(self, app: ASGIApp, *, ancestors: str) -> None:
        self.app = app
        self._ancestors = ancestors
        self._added = [
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"same-origin"),
            (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        host = next((value for name, value in scope["headers"] if name == b"host"), b"")
        policy = content_security_policy(self._ancestors, host)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", []))
                if scope["scheme"] == "https":
                    headers = [_over_tls_alone(name, value) for name, value in headers]
                own = (b"content-security-policy", policy.encode("ascii"))
                message["headers"] = [*headers, own, *self._added]
            await send(message)

        await self.app(scope, receive, send_with_headers)
