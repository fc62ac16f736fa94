"""One HTTP exchange with a server that may hang, drip, redirect or never stop."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType

from estimators.measuring.foreign import text
from estimators.measuring.server.guard import Endpoint

MAX_BODY_BYTES = 4 << 20  # of an answer that is no stream
MAX_STREAM_BYTES = 64 << 20
MAX_LINE_BYTES = 1 << 20
_SNIPPET = 200  # characters of a server's own words in an error


class ServerFailure(Exception):
    """An exchange that gave nothing to measure, in a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds an exchange may take: to connect, between two pieces, and in all."""

    connect_s: float = 10.0
    idle_s: float = 60.0
    total_s: float = 300.0


class Exchange:
    """A connection to the address that was checked. Whatever the server does, it ends when its time is over."""

    def __init__(self, endpoint: Endpoint, limits: Timeouts, api_key: str = "") -> None:
        self._endpoint, self._limits, self._api_key = endpoint, limits, api_key
        self._socket: socket.socket | None = None
        self._overdue = threading.Event()
        self._watch = threading.Timer(limits.total_s, self._give_up)
        self._watch.daemon = True

    def __enter__(self) -> Exchange:
        self._watch.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watch.cancel()
        self.close()

    def close(self) -> None:
        """Also called from another thread, to stop an exchange that waits."""
        held = self._socket
        if held is not None:
            with contextlib.suppress(OSError):
                held.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError):
                held.close()

    def _give_up(self) -> None:
        self._overdue.set()
        self.close()

    def _connect(self) -> http.client.HTTPConnection:
        there = (self._endpoint.address, self._endpoint.port)
        self._socket = socket.create_connection(there, timeout=self._limits.connect_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._endpoint.scheme == "https":
            context = ssl.create_default_context()
            self._socket = context.wrap_socket(self._socket, server_hostname=self._endpoint.host)
        self._socket.settimeout(self._limits.idle_s)
        if self._overdue.is_set():
            raise TimeoutError
        connection = http.client.HTTPConnection(self._endpoint.host, self._endpoint.port)
        connection.sock = self._socket
        return connection

    def send(self, method: str, path: str, body: Mapping[str, object] | None = None) -> http.client.HTTPResponse:
        """The response of status 200, unread. Raises `ServerFailure` for any other and for none."""
        headers = {"Host": self._endpoint.authority, "Accept": "*/*", "Connection": "close"}
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        with self._said_plainly():
            connection = self._connect()
            connection.request(method, self._endpoint.path + path, json.dumps(body) if body else None, headers)
            response = connection.getresponse()
            if response.status == 200:
                return response
            if 300 <= response.status < 400:
                raise ServerFailure("The server redirects elsewhere, which is refused.")
            said = text(response.read(4 * _SNIPPET).decode("utf-8", "replace"), _SNIPPET)
            raise ServerFailure(f"The server answered {response.status}: {said or 'nothing more'}")

    def read_json(self, path: str) -> object:
        """The JSON at a path, or None for anything that is none."""
        try:
            return json.loads(self.read_text(path))
        except (ValueError, RecursionError):
            return None

    def read_text(self, path: str) -> str:
        response = self.send("GET", path)
        with self._said_plainly():
            return response.read(MAX_BODY_BYTES).decode("utf-8", "replace")

    def lines(self, response: http.client.HTTPResponse) -> Iterator[tuple[float, bytes]]:
        """Lines of a stream, each with the moment its last byte arrived."""
        received, rest = 0, b""
        while True:
            with self._said_plainly():
                piece = response.read1(1 << 16)
            now = time.perf_counter()
            received += len(piece)
            if received > MAX_STREAM_BYTES or len(rest) > MAX_LINE_BYTES:
                raise ServerFailure("The server streams without end.")
            if not piece:
                if self._overdue.is_set():
                    raise ServerFailure(self._late())
                if rest:
                    yield now, rest
                return
            *whole, rest = (rest + piece).split(b"\n")
            for line in whole:
                yield now, line

    @contextlib.contextmanager
    def _said_plainly(self) -> Iterator[None]:
        try:
            yield
        except ServerFailure:
            raise
        except TimeoutError:
            raise ServerFailure(self._late()) from None
        except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
            # http.client raises ValueError and AttributeError on a socket closed under it.
            reason = self._late() if self._overdue.is_set() else f"The connection broke ({type(error).__name__})."
            raise ServerFailure(reason) from None

    def _late(self) -> str:
        if self._overdue.is_set():
            return f"The server did not finish within {self._limits.total_s:g} s."
        if self._socket is None:
            return f"The server did not accept a connection within {self._limits.connect_s:g} s."
        return f"The server sent nothing for {self._limits.idle_s:g} s."
