"""Our own routes below the path the page is served under. Pure ASGI."""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

API = "/api/"


class UnderBasePath:
    """Takes `server.baseUrlPath` off what is asked of the API: Streamlit puts it before its own routes only, and would
    answer /tools/sizes/api/v1/estimate with the page."""

    def __init__(self, app: ASGIApp, *, base: Callable[[], str | None]) -> None:
        self.app = app
        self._base = base

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        base = f"/{(self._base() or '').strip('/')}"
        if scope["type"] == "http" and scope["path"].startswith(f"{base}{API}") and base != "/":
            scope = {**scope, "path": scope["path"].removeprefix(base)}
            scope.pop("raw_path", None)
        await self.app(scope, receive, send)
