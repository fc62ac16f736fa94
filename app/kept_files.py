"""Streamlit's own files from memory. Pure ASGI.

A first visit asks for 110 of them. From the disk each took 2 ms of work, a thread for every step of it: of thirty
people who open a link in a review, seven seconds, the pages themselves one.
"""

from __future__ import annotations

import gzip
import mimetypes
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

KINDS = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".woff2": "font/woff2"}
PACKED = (".js", ".css")
FOREVER = b"public, immutable, max-age=31536000"  # their names say what is in them
LEAST_PACKED = 1024
_OTHERWISE = ("range", "if-none-match", "if-modified-since")


class FileInMemory(NamedTuple):
    kind: bytes
    body: bytes
    packs: bool


class KeptFiles:
    """Answers `GET {base}/static/...` for the files of `folder`; all else, and what is asked conditionally, goes on.

    Packed for who takes that from the third time on, when a thread has packed it: nobody waits for it. Of all that
    Streamlit has, 25 MB are kept, and 7 packed.
    """

    def __init__(self, app: ASGIApp, *, folder: Path, base: str) -> None:
        self.app = app
        prefix = f"/{base.strip('/')}/static/".replace("//", "/")
        self._paths = {
            f"{prefix}{path.relative_to(folder).as_posix()}": path for path in folder.rglob("*") if path.is_file()
        }
        self._kept: dict[str, FileInMemory] = {}
        self._packed: dict[str, bytes] = {}  # empty while it is being packed
        self._packing = ThreadPoolExecutor(max_workers=1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" and scope["method"] == "GET" else ""
        if path not in self._paths or any(name in (asked := Headers(scope=scope)) for name in _OTHERWISE):
            await self.app(scope, receive, send)
            return
        packed = self._packed_body(path) if "gzip" in asked.get("accept-encoding", "") else b""
        kind, body, _ = self._file(path)
        headers = [
            (b"content-type", kind),
            (b"content-length", str(len(packed or body)).encode()),
            (b"cache-control", FOREVER),
            (b"vary", b"accept-encoding"),
        ]
        if packed:
            headers.append((b"content-encoding", b"gzip"))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": packed or body})

    def _file(self, path: str) -> FileInMemory:
        if path not in self._kept:
            file = self._paths[path]
            kind = KINDS.get(file.suffix) or mimetypes.guess_type(path)[0] or "application/octet-stream"
            body = file.read_bytes()
            packs = file.suffix in PACKED and len(body) >= LEAST_PACKED
            self._kept[path] = FileInMemory(kind.encode(), body, packs)
        return self._kept[path]

    def _packed_body(self, path: str) -> bytes:
        if (kept := self._kept.get(path)) is not None and kept.packs and path not in self._packed:
            self._packed[path] = b""
            self._packing.submit(self._pack, path, kept.body)
        return self._packed.get(path, b"")

    def _pack(self, path: str, body: bytes) -> None:
        self._packed[path] = gzip.compress(body, mtime=0)
