"""Who may start a measurement: nobody unless the operator switched it on, then only a person he named."""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping

from estimators.measuring.server.guard import HOSTS, PRIVATE
from estimators.provenance import Refusal

log = logging.getLogger("rightsize")

SWITCH = "RIGHTSIZE_PROFILING"
TOKEN = "RIGHTSIZE_PROFILING_TOKEN"  # noqa: S105 (the variable's name)
PEOPLE = "RIGHTSIZE_PROFILING_PEOPLE"
UNVERIFIED = "RIGHTSIZE_PROFILING_UNVERIFIED"  # 1: the provider says of no address whether it is verified
TICKET = "rightsize-may-measure"  # the cookie that a token was exchanged for
SHORTEST_TOKEN = 16  # characters; a shorter one can be guessed


class NotAuthorised(Refusal):
    """This person may not start a measurement here."""


class Guesses:
    """Wrong tokens of the last minute, from anybody, each once however often its page is drawn. Beyond `most` none is
    looked at, the right one neither: at 20 a minute a token of 16 letters outlasts everybody."""

    def __init__(self, most: int = 20, window_s: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._window_s, self._clock = most, window_s, clock
        self._wrong: dict[bytes, float] = {}
        self._lock = threading.Lock()

    def too_many(self) -> bool:
        with self._lock:
            old = self._clock() - self._window_s
            self._wrong = {mark: at for mark, at in self._wrong.items() if at > old}
            return len(self._wrong) >= self._most

    def add(self, token: str) -> None:
        with self._lock:
            self._wrong.setdefault(hashlib.sha256(token.encode()).digest(), self._clock())


GUESSES = Guesses()


def profiling_enabled(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the operator set RIGHTSIZE_PROFILING=1."""
    return environment.get(SWITCH) == "1"


def token_matches(given: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Compares in a time that does not depend on where the texts differ; no token configured matches nothing."""
    expected = environment.get(TOKEN, "")
    if len(expected) < SHORTEST_TOKEN:
        return False
    return hmac.compare_digest(given.encode(), expected.encode())


def ticket(environment: Mapping[str, str] = os.environ) -> str:
    """What a browser holds in the token's place: follows from it, and does not tell it."""
    return hmac.digest(environment.get(TOKEN, "").encode(), TICKET.encode(), "sha256").hex()


def ticket_matches(given: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the cookie is of this token; without a token, none is."""
    if len(environment.get(TOKEN, "")) < SHORTEST_TOKEN:
        return False
    return hmac.compare_digest(given.encode(), ticket(environment).encode())


def for_this_machine(environment: Mapping[str, str]) -> dict[str, str]:
    """The switch, a token, and servers of this machine as what may be measured, for a dashboard that only this machine
    reaches; nothing where the operator has spoken."""
    if SWITCH in environment:
        return {}
    servers = {} if HOSTS in environment else {HOSTS: "localhost,127.0.0.1", PRIVATE: "1"}
    return {SWITCH: "1", TOKEN: environment.get(TOKEN) or secrets.token_urlsafe(24), **servers}


def person_matches(claims: Mapping[str, object], environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the signed-in person's address, or its domain ("@example.com"), is among those named.

    The provider must say that it is verified: with some, people write any into their profile. Where a provider says
    nothing of it, the operator answers for its addresses with `RIGHTSIZE_PROFILING_UNVERIFIED`.
    """
    address, verified = claims.get("email"), claims.get("email_verified")
    if not isinstance(address, str) or address.count("@") != 1:
        return False
    if verified not in (True, "true") and not (verified is None and environment.get(UNVERIFIED) == "1"):
        return False
    named = {entry.strip().casefold() for entry in environment.get(PEOPLE, "").split(",") if "@" in entry}
    address = address.strip().casefold()
    return address in named or address[address.index("@") :] in named


def authorise(
    *,
    token: str = "",
    ticket: str = "",
    claims: Mapping[str, object] | None = None,
    oidc: bool = False,
    environment: Mapping[str, str] = os.environ,
    guesses: Guesses = GUESSES,
) -> None:
    """Raises `NotAuthorised` unless profiling is on and this person may use it.

    `oidc` says that sign-in is configured: then `claims` of the signed-in person decide and no token does. `ticket` is
    the cookie that the token was exchanged for.
    """
    if not profiling_enabled(environment):
        raise NotAuthorised(
            "Measuring is switched off here.", field="profiling", remedy=f"The operator sets {SWITCH}=1."
        )
    if oidc:
        if claims is None:
            raise NotAuthorised("Only a signed-in person may measure.", field="profiling", remedy="Sign in.")
        if not person_matches(claims, environment):
            raise NotAuthorised(
                "You are signed in, but not among those who may measure.",
                field="profiling",
                remedy=f"The operator adds your address, or your domain, to {PEOPLE}.",
            )
        return
    if len(environment.get(TOKEN, "")) < SHORTEST_TOKEN:
        raise NotAuthorised(
            "Measuring is on, but nobody can be recognised.",
            field="profiling",
            remedy=f"The operator sets {TOKEN} to {SHORTEST_TOKEN} characters or more.",
        )
    if ticket_matches(ticket, environment):
        return
    if guesses.too_many():
        raise NotAuthorised("Too many wrong tokens were tried.", field="profiling", remedy="Try again in a minute.")
    if not token_matches(token, environment):
        guesses.add(token)
        log.warning("a wrong profiling token was given")
        raise NotAuthorised("That is not the profiling token.", field="profiling", remedy="Ask the operator for it.")
