"""The link of the start line, which lets whoever holds its token measure. Pure ASGI.

The token is exchanged for a cookie that only a browser on this machine gets, and the address is left without it before
any page is drawn: no copied link, no page and no log has it.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qsl, quote, urlencode

from starlette.types import ASGIApp, Receive, Scope, Send

from app.gate import is_local
from estimators.measuring.jobs.authority import TICKET, ticket, token_matches

PARAMETER = "token"


class StartLink:
    """Answers a page asked for with a token by the same address without it, and with the cookie if the token is ours.

    `address` is what the server listens on: beyond the loopback no cookie is given, and a token is typed.
    """

    def __init__(self, app: ASGIApp, *, address: Callable[[], str | None]) -> None:
        self.app = app
        self._address = address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        given = [value for key, value in asked if key == PARAMETER]
        if scope["type"] != "http" or scope["method"] != "GET" or not given or "/api/" in scope["path"]:
            await self.app(scope, receive, send)
            return
        rest = urlencode([(key, value) for key, value in asked if key != PARAMETER])
        page = f"./{quote(scope['path'].rsplit('/', 1)[-1])}"  # relative, so that it leads nowhere else
        headers = [(b"location", f"{page}{'?' if rest else ''}{rest}".encode()), (b"cache-control", b"no-store")]
        if is_local(self._address() or "") and token_matches(given[-1]):
            headers.append((b"set-cookie", f"{TICKET}={ticket()}; Path=/; HttpOnly; SameSite=Strict".encode()))
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
