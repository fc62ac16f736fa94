"""What visits send and Streamlit keeps: files, refused before they are read unless the visit shows an uploader, and
what its boxes hold; both bounded, of one visit and of all. Pure ASGI.

Streamlit keeps every file that is put to it for a session that is open, whether its page asks for one or not, and what
boxes hold for two minutes after their visit has gone.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.timed_cache import TimedCache

MOST_OF_ONE = 6 << 20  # bytes of one body: a file of 5 MiB and what is around it
MOST_OF_A_SESSION = 12 << 20  # one file, and another that takes its place
MOST_OF_ALL = 48 << 20
SMALL = 256 << 10  # bytes of a message as pages send them; what is larger is counted
MOST_OF_A_MESSAGE = 8 << 20  # a log of 2,000,000 characters, pasted
MOST_OF_MESSAGES = 32 << 20  # of all visits
LINGERING_S = 120.0  # so long does Streamlit keep the boxes of a visit that has gone
SHOWN_S = 3600.0  # after its page was last drawn a visit may still send
_PATH = re.compile(r"/_stcore/upload_file/([^/]+)/[^/]+/?$")

_showing: TimedCache[str, bool] = TimedCache(entries=1000, seconds=SHOWN_S)


class KeptFile(Protocol):
    """A file that lies in memory."""

    @property
    def data(self) -> bytes: ...


class Files(Protocol):
    """Where Streamlit keeps them: by session, then by file."""

    @property
    def file_storage(self) -> Mapping[str, Mapping[str, KeptFile]]: ...

    def remove_session_files(self, session_id: str) -> None: ...


def show_uploader(session_id: str) -> None:
    """This visit's page asks for a file, so it may send one."""
    _showing.put(session_id, True)


class UploadGate:
    """Lets a body through to Streamlit where its visit may send one and there is room for it."""

    def __init__(self, app: ASGIApp, files: Callable[[], Files], active: Callable[[str], bool]) -> None:
        self.app, self._files, self._active = app, files, active
        self._coming: dict[str, int] = {}  # bytes on their way in, by session
        self._lock = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("PUT", "POST") or "upload_file" not in scope["path"]:
            await self.app(scope, receive, send)
            return
        found = _PATH.search(scope["path"])
        session = found[1] if found else ""
        length = dict(scope["headers"]).get(b"content-length", b"")
        size = int(length) if re.fullmatch(rb"[0-9]{1,12}", length) else None
        refused = self._reserve(session, size)
        if refused is not None:
            await refused(scope, receive, send)
            return
        size = size or 0
        try:
            await self.app(scope, receive, send)
        finally:
            with self._lock:
                left = self._coming.pop(session, 0) - size
                if left > 0:
                    self._coming[session] = left

    def _reserve(self, session: str, size: int | None) -> PlainTextResponse | None:
        """Holds room for so many bytes, or says why there is none."""
        if _showing.get(session) is None:
            return _refusal(403, "This page asks for no file.")
        if size is None:
            return _refusal(411, "Say how long the file is.")
        if size > MOST_OF_ONE:
            return _refusal(413, "The file is too large.")
        with self._lock:
            if self._held(session) + size > MOST_OF_A_SESSION:
                return _refusal(413, "This visit has sent enough: take a file away first.")
            if self._held() + size > MOST_OF_ALL:
                self._free()
            if self._held() + size > MOST_OF_ALL:
                return _refusal(503, "Too many files are kept at the moment.")
            self._coming[session] = self._coming.get(session, 0) + size
        return None

    def _held(self, session: str | None = None) -> int:
        kept = self._files().file_storage
        sessions = list(kept) if session is None else [session] if session in kept else []
        lying = sum(len(file.data) for one in sessions for file in list(kept[one].values()))
        coming = sum(self._coming.values()) if session is None else self._coming.get(session, 0)
        return lying + coming

    def _free(self) -> None:
        """What visits left behind that are over."""
        files = self._files()
        for session in list(files.file_storage):
            if not self._active(session):
                files.remove_session_files(session)


def _refusal(status: int, said: str) -> PlainTextResponse:
    return PlainTextResponse(said, status_code=status, headers={"Connection": "close"})


class MessageGate:
    """Ends a socket that sends more than a page does, or large messages when those of all visits are many already."""

    def __init__(self, app: ASGIApp, clock: Callable[[], float] = time.monotonic) -> None:
        self.app, self._clock = app, clock
        self._kept: dict[object, tuple[int, float]] = {}  # by socket: its largest message, and until when it is kept
        self._lock = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await self.app(scope, receive, send)
            return
        socket = object()

        async def within() -> Message:
            message = await receive()
            size = max(len(message.get("bytes") or b""), len(message.get("text") or ""))
            if message["type"] == "websocket.receive" and size > SMALL and not self._room(socket, size):
                await send({"type": "websocket.close", "code": 1009, "reason": "Too much was sent."})
                return {"type": "websocket.disconnect", "code": 1009}
            return message

        try:
            await self.app(scope, within, send)
        finally:
            with self._lock:
                if socket in self._kept:
                    self._kept[socket] = (self._kept[socket][0], self._clock() + LINGERING_S)

    def _room(self, socket: object, size: int) -> bool:
        with self._lock:
            now = self._clock()
            self._kept = {key: kept for key, kept in self._kept.items() if kept[1] > now}
            size = max(size, self._kept.get(socket, (0, 0.0))[0])
            others = sum(kept[0] for key, kept in self._kept.items() if key is not socket)
            if size > MOST_OF_A_MESSAGE or others + size > MOST_OF_MESSAGES:
                return False
            self._kept[socket] = (size, float("inf"))
            return True
