"""How many visits are open at a time: beyond it a page says so, instead of everybody's slowing down or the process
running out of sockets. Pure ASGI.
"""

from __future__ import annotations

import logging
import re

from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.text import in_html
from estimators.provenance import Refusal

VISITS = "RIGHTSIZE_MOST_VISITS"
USUAL = 500  # well below the 1,024 files that a process may usually hold open
SAID = "As many people as this dashboard takes are on it. Please come back in a moment."
AGAIN_S = 30  # after which a program may ask again
_STREAM = "/_stcore/stream"

log = logging.getLogger("rightsize")


def most_visits(configured: str | None) -> int:
    """The number of `RIGHTSIZE_MOST_VISITS`. Raises `Refusal` for what is none."""
    text = (configured or "").strip()
    if not text:
        return USUAL
    if not re.fullmatch("[1-9][0-9]{0,5}", text):
        raise Refusal(f"{VISITS} has {text[:40]!r}, which is no number of visits.", field=VISITS, remedy="Write 500.")
    return int(text)


class VisitGate:
    """Counts sockets of visits; refuses one more than there may be, and before that its page, with the sentence."""

    def __init__(self, app: ASGIApp, *, most: int, pages: frozenset[str]) -> None:
        self.app, self._most, self._pages = app, most, pages
        self._open, self._told = 0, False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        full = self._open >= self._most
        if scope["type"] == "websocket" and scope["path"].endswith(_STREAM):
            await self._visit(scope, receive, send, full=full)
        elif full and scope["type"] == "http" and scope["path"] in self._pages:
            page = f'<!DOCTYPE html><meta charset="utf-8"><title>Rightsize</title><p>{in_html(SAID)}</p>'
            await HTMLResponse(page, 503, {"retry-after": str(AGAIN_S)})(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _visit(self, scope: Scope, receive: Receive, send: Send, *, full: bool) -> None:
        if full:
            if not self._told:
                self._told = True
                log.warning("%d visits are open, and no more are taken: %s says how many may be", self._open, VISITS)
            await receive()
            await send({"type": "websocket.close", "code": 1013, "reason": SAID})
            return
        self._open += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self._open -= 1
            self._told = self._told and self._open > 0.9 * self._most  # once each time it is full
