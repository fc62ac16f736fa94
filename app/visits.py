"""How many visits are open at a time: beyond it a page says so, instead of everybody's slowing down or the process
running out of sockets. The last quarter is for whoever is not here in numbers yet. Pure ASGI.

An address is the connection's; of a proxy that uvicorn was told to trust (`FORWARDED_ALLOW_IPS`), the one it forwards.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from ipaddress import IPv6Address, IPv6Network, ip_address

from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.text import in_html
from estimators.provenance import Refusal

VISITS = "RIGHTSIZE_MOST_VISITS"
USUAL = 500  # well below the 1,024 files that a process may usually hold open
SAID = "As many people as this dashboard takes are on it. Please come back in a moment."
# An office or a proxy is one address too: it is bounded only once visits are short, and by a share of them.
SHORT, SHARE = 0.75, 0.1
SAID_OF_ADDRESS = "As many people as this dashboard takes from one address are on it. Please come back in a moment."
_FROM = {SAID: 1.0, SAID_OF_ADDRESS: SHORT}  # part of all visits that are open when a sentence is said
AGAIN_S = 30  # after which a program may ask again
_STREAM = "/_stcore/stream"
_HOME_BITS = 56  # of IPv6, what providers usually give a home; who has a /48 has 256 of these

log = logging.getLogger("rightsize")


def most_visits(configured: str | None) -> int:
    """The number of `RIGHTSIZE_MOST_VISITS`. Raises `Refusal` for what is none."""
    text = (configured or "").strip()
    if not text:
        return USUAL
    if not re.fullmatch("[1-9][0-9]{0,5}", text):
        raise Refusal(f"{VISITS} has {text[:40]!r}, which is no number of visits.", field=VISITS, remedy="Write 500.")
    return int(text)


def address_of(scope: Scope) -> str | None:
    """Whom a connection counts for: an IPv4 address, or the /56 of an IPv6 address, written as its first one.

    Who has a shorter prefix counts as several. None where it has none, as by a socket of the file system.
    """
    said = (scope.get("client") or (None,))[0]
    try:
        address = ip_address(said or "")
    except ValueError:
        return said
    if not isinstance(address, IPv6Address):
        return str(address)
    return str(address.ipv4_mapped or IPv6Network((address, _HOME_BITS), strict=False).network_address)


class VisitGate:
    """Counts sockets of visits; refuses one more than there may be, and before that its page, with the sentence."""

    def __init__(self, app: ASGIApp, *, most: int, pages: frozenset[str]) -> None:
        self.app, self._most, self._pages = app, most, pages
        self._open, self._told = 0, set[str]()
        self._of: Counter[str | None] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and scope["path"].endswith(_STREAM):
            await self._visit(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] in self._pages and (said := self._refusal(address_of(scope))):
            page = f'<!DOCTYPE html><meta charset="utf-8"><title>Rightsize</title><p>{in_html(said)}</p>'
            await HTMLResponse(page, 503, {"retry-after": str(AGAIN_S)})(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _refusal(self, address: str | None) -> str:
        """What is said instead of one more visit from an address; nothing where there is room."""
        if self._open >= self._most:
            return SAID
        crowded = address is not None and self._of[address] > SHARE * self._most
        return SAID_OF_ADDRESS if crowded and self._open >= SHORT * self._most else ""

    async def _visit(self, scope: Scope, receive: Receive, send: Send) -> None:
        address = address_of(scope)
        if said := self._refusal(address):
            self._tell(said, address)
            await receive()
            await send({"type": "websocket.close", "code": 1013, "reason": said})
            return
        self._open += 1
        self._of[address] += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self._open -= 1
            self._of[address] -= 1
            if not self._of[address]:
                del self._of[address]
            self._told = {said for said in self._told if self._open > 0.9 * _FROM[said] * self._most}

    def _tell(self, said: str, address: str | None) -> None:
        """Once each time it is full, and once each time visits are short."""
        if said in self._told:
            return
        self._told.add(said)
        if said == SAID:
            log.warning("%d visits are open, and no more are taken: %s says how many may be", self._open, VISITS)
        else:
            remedy = "a proxy's belongs into FORWARDED_ALLOW_IPS"
            log.warning(
                "%d of %d visits are of %s, which gets no more: %s", self._of[address], self._open, address, remedy
            )
