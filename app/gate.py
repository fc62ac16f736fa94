"""Who is answered: requests for a name of this dashboard, from a page of its own. Pure ASGI.

A page elsewhere must not talk to a dashboard through its reader's browser, and a name that was made to resolve here
(DNS rebinding) must not be answered as ours. Streamlit asks the network for its own address to judge a foreign Origin,
so none gets that far.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

from estimators.provenance import Refusal

HOSTS = "RIGHTSIZE_HOSTS"  # names this dashboard is served under, apart by spaces or commas; *.example.com, a:8443
MOST_LOGGED = 100  # refusals of different names that are logged; the rest only cost a line each
# Asked for by address, by whatever watches over the process.
HEALTH = ("/_stcore/health", "/livez", "/readyz")
PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_NAME = r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9_.-]{1,253})(?::([0-9]{1,5}))?"
_HOST = re.compile(_NAME)
_ORIGIN = re.compile(rf"(https?)://{_NAME}")
_SETTING = re.compile(rf"(\*\.)?{_NAME}")

log = logging.getLogger("rightsize")


@dataclass(frozen=True, slots=True)
class Named:
    """A host by name, and by port where one is said."""

    name: str
    port: int | None = None

    def takes(self, other: Named) -> bool:
        """Whether this setting names `other`: "*.a.example" names "b.a.example"; without a port, any."""
        same = other.name.endswith(self.name[1:]) if self.name.startswith("*.") else other.name == self.name
        return same and self.port in (None, other.port)


def _named(name: str, port: str | None) -> Named:
    return Named(name.lower().rstrip("."), int(port) if port else None)


def hosts(configured: str | None) -> tuple[Named, ...]:
    """The names of `RIGHTSIZE_HOSTS`. Raises `Refusal` that names an entry which is none."""
    found = []
    for word in re.split(r"[\s,]+", (configured or "").strip()):
        read = _SETTING.fullmatch(word)
        if word and read is None:
            remedy = (
                "Write names such as rightsize.example.com, *.example.com or localhost:8443, no addresses of pages."
            )
            raise Refusal(f"{HOSTS} has {word[:80]!r}, which is no host name.", field=HOSTS, remedy=remedy)
        if read is not None:
            found.append(_named((read[1] or "") + read[2], read[3]))
    return tuple(found)


def is_local(name: str) -> bool:
    """Whether a name or address can only mean this machine."""
    try:
        address = ip_address(name.strip("[]"))
        return (getattr(address, "ipv4_mapped", None) or address).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


class Gate:
    """Passes on requests whose Host is ours and whose Origin, if they have one, agrees with it; refuses the others.

    `address` says what the server was told to listen on, None where it was not told: then the connection says whether
    it came by the loopback. There, without `RIGHTSIZE_HOSTS`, only local names are ours; elsewhere any is.
    """

    def __init__(self, app: ASGIApp, *, hosts: tuple[Named, ...], address: Callable[[], str | None]) -> None:
        self.app = app
        self._hosts = hosts
        self._address = address
        self._logged: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        said, asked = _values(scope, b"host"), _values(scope, b"origin")
        if reason := self._refusal(scope, said, asked):
            self._log(reason, said, asked)
            await _refuse(scope, receive, send, reason)
            return
        if asked:  # as the browser knows us, whatever a proxy made of it: Streamlit compares the two as text
            headers = [pair for pair in scope["headers"] if pair[0] != b"host"]
            scope = {**scope, "headers": [*headers, (b"host", asked[0].partition("://")[2].encode("latin-1"))]}
        await self.app(scope, receive, send)

    def _refusal(self, scope: Scope, said: list[str], asked: list[str]) -> str:
        """Why this request is not answered; nothing where it is."""
        if not said and not asked:
            return ""  # no browser
        host = _HOST.fullmatch(said[0]) if len(said) == 1 else None
        if host is None:
            return "The request names no host."
        ours = _named(host[1], host[2])
        if not self._is_ours(scope, ours) and not scope["path"].endswith(HEALTH):
            return f"This dashboard does not answer to that name. Its operator can add it to {HOSTS}."
        origin = _ORIGIN.fullmatch(asked[0]) if len(asked) == 1 else None
        if not asked or (origin is not None and self._agree(ours, _named(origin[2], origin[3]), origin[1])):
            return ""
        return "The request comes from a page of another origin."

    def _is_ours(self, scope: Scope, host: Named) -> bool:
        if is_local(host.name) or _names(self._hosts, host):
            return True
        return not self._hosts and not self._by_loopback(scope)

    def _by_loopback(self, scope: Scope) -> bool:
        listening = self._address() or (scope.get("server") or ("",))[0]
        return is_local(listening or "")

    def _agree(self, host: Named, origin: Named, scheme: str) -> bool:
        """The same name and port, where a port that is not said is the scheme's; or an origin of a name in the setting,
        as behind a proxy that does not pass on the name it was called by."""
        usual = PORTS[scheme]
        same = host.name == origin.name and (host.port or usual) == (origin.port or usual)
        return same or _names(self._hosts, origin)

    def _log(self, reason: str, said: list[str], asked: list[str]) -> None:
        line = f"refused: {reason} host={said!r:.120} origin={asked!r:.120}"
        if line not in self._logged and len(self._logged) < MOST_LOGGED:
            self._logged.add(line)
            log.warning(line)


def _names(settings: Iterable[Named], host: Named) -> bool:
    return any(setting.takes(host) for setting in settings)


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name]


async def _refuse(scope: Scope, receive: Receive, send: Send, reason: str) -> None:
    """403 with the sentence; a socket is closed before it opens, which a browser sees as 403 too."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": reason})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": reason.encode()})
