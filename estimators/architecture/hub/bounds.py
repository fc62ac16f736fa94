"""Limits on time and bytes for calls into `huggingface_hub`, whose own time-outs bound neither."""

from __future__ import annotations

import os
import re
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")

MAX_CONNECT_SECONDS = 3.0  # a host that takes longer to accept is not there
HUB_HOSTS = "RIGHTSIZE_HUB_HOSTS"  # where else the Hub may keep its files; *.example.com, apart by spaces or commas
PUBLIC_HOSTS = ("huggingface.co", "*.huggingface.co", "hf.co", "*.hf.co")  # the Hub's, and where it keeps files
RETRIED_STATUS = frozenset({408, 429, 500, 502, 503, 504})  # the library would sleep and try again


class OutOfTime(Exception):
    """The deadline of the whole call has passed."""


class OverLimit(Exception):
    """The answer is larger than anything this call could want."""


class Undecodable(Exception):
    """The answer is compressed although plain bytes were asked for; its real size is unknown."""


class Refused(Exception):
    """A status the library would wait and retry on, passed on at once instead."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status}")
        self.status = status


class Astray(Exception):
    """The Hub sends on to a host that is none of its own."""

    def __init__(self, host: str) -> None:
        super().__init__(host)
        self.host = host


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one call may use."""

    deadline: float  # of time.monotonic()
    max_bytes: int
    home: str  # the endpoint that is asked
    front_only: bool = False  # reads the front of a large file and hangs up

    @property
    def seconds_left(self) -> float:
        return self.deadline - time.monotonic()


_LIMITS: ContextVar[Limits | None] = ContextVar("hub_limits", default=None)
_RUNNING = threading.BoundedSemaphore(16)  # calls under way, those that outlived their deadline included


_SIGNED: dict[str, str] = {}  # Authorization of the hosts whose address held a name and a password


def without_password(endpoint: str) -> str:
    """The address without the name and password written into it, which go to that host in a header from now on: the
    HTTP client and the Hub's library log every address they ask."""
    try:
        parts = urlsplit(endpoint)
        host = parts.netloc.rpartition("@")[2]
        if host == parts.netloc:
            return endpoint
        pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}".encode()
    except ValueError:
        return endpoint
    _SIGNED[host.lower()] = f"Basic {b64encode(pair).decode('ascii')}"
    return urlunsplit(parts._replace(netloc=host))


def may_lead_to(address: str, home: str) -> bool:
    """Whether the Hub at `home` may send us there: to itself, to the public Hub and its files, to what the operator
    named. Whoever answers for the Hub must not choose what else this machine asks."""
    to, own = urlsplit(address), urlsplit(home)
    name = to.hostname or ""
    if name == own.hostname and (to.scheme, to.port) in {(own.scheme, own.port), ("https", None)}:
        return True
    named = [word.lower() for word in re.split(r"[\s,]+", os.environ.get(HUB_HOSTS, "")) if word]
    return _among(name, named) or (to.scheme == "https" and to.port in (None, 443) and _among(name, PUBLIC_HOSTS))


def _among(name: str, patterns: Iterable[str]) -> bool:
    return any(name.endswith(p[1:]) if p.startswith("*.") else name == p for p in patterns)


@contextmanager
def limited(limits: Limits) -> Iterator[None]:
    """Apply `limits` to every request of this thread inside the block."""
    token = _LIMITS.set(limits)
    try:
        yield
    finally:
        _LIMITS.reset(token)


def within(deadline: float, call: Callable[[], T]) -> T:
    """The result of `call`, made in a thread of its own, or `OutOfTime` at the deadline.

    The thread is abandoned then: its requests carry the same deadline, so it ends soon after. A server that makes
    threads linger all the same cannot pile up more than sixteen of them.
    """
    if not _RUNNING.acquire(timeout=max(0.0, deadline - time.monotonic())):
        raise OutOfTime
    result: Future[T] = Future()
    context = copy_context()

    def run() -> None:
        try:
            result.set_result(context.run(call))
        except BaseException as error:
            result.set_exception(error)
        finally:
            _RUNNING.release()

    threading.Thread(target=run, name="hub", daemon=True).start()
    try:
        return result.result(timeout=max(0.0, deadline - time.monotonic()))
    except TimeoutError:
        if result.done():  # the call itself ran into a time-out
            raise
        raise OutOfTime from None


def make_client(unlimited: Callable[[], None]) -> httpx2.Client:
    """An HTTP client for `huggingface_hub.set_client_factory` that keeps the limits of the calling thread.

    Its hooks see each answer, redirects included, before any of its body is read. `unlimited` is called before a
    request that has no limits set, which otherwise goes through as it would without this module.
    """
    import httpx2

    class CountedStream(httpx2.SyncByteStream):
        def __init__(self, stream: httpx2.SyncByteStream, limits: Limits) -> None:
            self.stream, self.limits = stream, limits

        def __iter__(self) -> Iterator[bytes]:
            taken = 0
            for chunk in self.stream:
                taken += len(chunk)
                if taken > self.limits.max_bytes:
                    raise OverLimit
                if self.limits.seconds_left <= 0:
                    raise OutOfTime
                yield chunk

        def close(self) -> None:
            self.stream.close()

    def before(request: httpx2.Request) -> None:
        if (signed := _SIGNED.get(request.url.netloc.decode("ascii").lower())) is not None:
            request.headers["authorization"] = signed
        limits = _LIMITS.get()
        if limits is None:
            unlimited()
            return
        left = limits.seconds_left
        if left <= 0:
            raise OutOfTime
        if not may_lead_to(str(request.url), limits.home):
            raise Astray(request.url.host)
        request.headers["accept-encoding"] = "identity"
        request.extensions["timeout"] = {
            "connect": min(left, MAX_CONNECT_SECONDS),
            "read": left,
            "write": left,
            "pool": left,
        }

    def after(response: httpx2.Response) -> None:
        limits = _LIMITS.get()
        if limits is None:
            return
        if response.status_code in RETRIED_STATUS:
            raise Refused(response.status_code)
        if response.headers.get("content-encoding", "identity") != "identity":
            raise Undecodable
        declared = response.headers.get("content-length", "0")
        too_large = declared.isascii() and declared.isdigit() and int(declared[:20]) > limits.max_bytes
        if too_large and response.request.method != "HEAD" and not limits.front_only:
            raise OverLimit
        if isinstance(response.stream, httpx2.SyncByteStream):
            response.stream = CountedStream(response.stream, limits)

    return httpx2.Client(event_hooks={"request": [before], "response": [after]}, follow_redirects=True, timeout=None)
