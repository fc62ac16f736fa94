"""A small Hub on loopback that real clients accept: `huggingface_hub` talks to it over real HTTP.

with HubServer() as hub:
    hub.add_model("org/model", config={...}, safetensors={"model.safetensors": {"w": ("BF16", [4, 4])}})
    HubClient(endpoint=hub.url).fetch_spec("org/model")
    assert hub.count("/api/models/") == 1
"""

from __future__ import annotations

import hashlib
import json
import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qs, unquote, urlsplit

TensorTable = Mapping[str, tuple[str, Sequence[int]]]  # name -> (dtype, shape)
ITEM_BYTES = {"F64": 8, "F32": 4, "BF16": 2, "F16": 2, "F8_E4M3": 1, "I32": 4, "I8": 1, "U8": 1}


def commit_of(text: str) -> str:
    """A stable 40-hex commit for a test model."""
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class SparseFile:
    """A safetensors file whose header is real and whose data are zeros, made only while they are sent."""

    head: bytes
    size: int

    @classmethod
    def of(cls, tensors: TensorTable) -> SparseFile:
        entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
        offset = 0
        for name, (dtype, shape) in tensors.items():
            end = offset + math.prod(shape) * ITEM_BYTES[dtype]
            entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, end]}
            offset = end
        header = json.dumps(entries).encode()
        return cls(len(header).to_bytes(8, "little") + header, 8 + len(header) + offset)

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """Bytes [start, stop), a megabyte at a time."""
        if start < len(self.head):
            yield self.head[start : min(stop, len(self.head))]
            start = len(self.head)
        while start < stop:
            size = min(1 << 20, stop - start)
            yield bytes(size)
            start += size


@dataclass
class StubModel:
    """One repository at one commit."""

    id: str
    commit: str
    files: dict[str, bytes | SparseFile]
    revisions: set[str]
    gated: str | bool = False
    private: bool = False
    tags: tuple[str, ...] = ()
    downloads: int = 0
    renamed_to: str | None = None


@dataclass
class Fault:
    """What happens instead of, or before, the answer to paths that start with `prefix`."""

    prefix: str
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay_seconds: float = 0.0
    drip_seconds: float = 0.0  # send an endless body, a byte at a time, this far apart
    times: int | None = None  # None for ever


@dataclass(frozen=True)
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    query: str
    headers: dict[str, str]  # lower-case names


class HubServer:
    """The server: add models, add faults, count requests."""

    def __init__(self) -> None:
        self.models: dict[str, StubModel] = {}
        self.faults: list[Fault] = []
        self.requests: list[Seen] = []
        self.ignore_range = False
        self.body_bytes = 0  # of files, as far as clients took them
        self.token: str | None = None  # the token that opens gated and private models
        self.released = threading.Event()  # set on exit, so that no delayed answer outlives its test
        self._http = _QuietServer(("127.0.0.1", 0), _Handler)
        self._http.hub = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> HubServer:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.released.set()
        self._http.shutdown()
        self._http.server_close()

    def add_model(
        self,
        model_id: str,
        *,
        config: Mapping[str, object] | bytes | None = None,
        safetensors: Mapping[str, TensorTable] | None = None,
        files: Mapping[str, bytes | SparseFile] | None = None,
        gated: str | bool = False,
        private: bool = False,
        revision: str | None = None,
        revisions: Sequence[str] = ("main",),
        tags: Sequence[str] = (),
        downloads: int = 0,
        renamed_to: str | None = None,
    ) -> str:
        """Publish a model and return its commit. Several safetensors files make a sharded one, with its index."""
        content: dict[str, bytes | SparseFile] = dict(files or {})
        if config is not None:
            content["config.json"] = config if isinstance(config, bytes) else json.dumps(config).encode()
        for name, tensors in (safetensors or {}).items():
            content[name] = SparseFile.of(tensors)
        if safetensors and len(safetensors) > 1:
            weight_map = {tensor: name for name, tensors in safetensors.items() for tensor in tensors}
            content["model.safetensors.index.json"] = json.dumps({"metadata": {}, "weight_map": weight_map}).encode()
        commit = revision or commit_of(model_id)
        self.models[model_id] = StubModel(
            id=model_id,
            commit=commit,
            files=content,
            revisions={*revisions, commit},
            gated=gated,
            private=private,
            tags=tuple(tags),
            downloads=downloads,
            renamed_to=renamed_to,
        )
        return commit

    def fail(
        self,
        prefix: str,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        delay_seconds: float = 0.0,
        drip_seconds: float = 0.0,
        times: int | None = None,
    ) -> None:
        """Answer `status` (or only after `delay_seconds`, or a byte at a time) to paths starting with `prefix`."""
        self.faults.append(Fault(prefix, status, dict(headers or {}), body, delay_seconds, drip_seconds, times))

    def count(self, prefix: str = "/", method: str | None = None) -> int:
        """Requests seen for paths starting with `prefix`."""
        return sum(r.path.startswith(prefix) and method in (None, r.method) for r in self.requests)


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients under test hang up whenever they like."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def hub(self) -> HubServer:
        return self.server.hub  # type: ignore[attr-defined,no-any-return]

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        try:
            self._answer()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client had read enough

    do_HEAD = do_GET

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        self.hub.requests.append(
            Seen(self.command, path, parts.query, {name.lower(): value for name, value in self.headers.items()})
        )
        if self._fault(path):
            return
        if path == "/api/models":
            self._list(parse_qs(parts.query))
        elif path.startswith("/api/models/"):
            model_id, _, revision = path.removeprefix("/api/models/").partition("/revision/")
            self._info(model_id, revision or "main", blobs="blobs" in parts.query)
        elif "/resolve/" in path:
            model_id, _, rest = path.lstrip("/").partition("/resolve/")
            revision, _, name = rest.partition("/")
            self._file(model_id, revision, name)
        else:
            self._send(404, b"{}")

    def _fault(self, path: str) -> bool:
        for fault in self.hub.faults:
            if not path.startswith(fault.prefix) or fault.times == 0:
                continue
            if fault.times is not None:
                fault.times -= 1
            if fault.delay_seconds:
                self.hub.released.wait(fault.delay_seconds)
            if fault.drip_seconds and self.command != "HEAD":
                self._drip(fault.drip_seconds)
                return True
            if fault.status is not None:
                self._send(fault.status, fault.body, fault.headers)
                return True
        return False

    def _drip(self, seconds: float) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        while not self.hub.released.wait(seconds):
            self.wfile.write(b" ")
        self.close_connection = True

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        sent = {"Content-Length": str(len(body)), "Content-Type": "application/json", **(headers or {})}
        for name, value in sent.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _error(self, status: int, code: str, message: str) -> None:
        body = json.dumps({"error": message}).encode()
        self._send(status, body, {"X-Error-Code": code, "X-Error-Message": message})

    def _authorised(self) -> bool:
        return self.hub.token is not None and self.headers.get("Authorization") == f"Bearer {self.hub.token}"

    def _model(self, model_id: str, revision: str) -> StubModel | None:
        model = self.hub.models.get(model_id)
        if model is None or (model.private and not self._authorised()):
            self._error(404 if self._authorised() else 401, "RepoNotFound", "Repository not found")
            return None
        if model.renamed_to is not None:
            self._send(307, b"", {"Location": self.path.replace(model_id, model.renamed_to)})
            return None
        if revision not in model.revisions:
            self._error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return None
        return model

    def _info(self, model_id: str, revision: str, *, blobs: bool) -> None:
        model = self._model(model_id, revision)
        if model is None:
            return
        self._send(200, json.dumps(_description(model, blobs=blobs)).encode())

    def _list(self, query: Mapping[str, Sequence[str]]) -> None:
        author, search = query.get("author", [""])[0], query.get("search", [""])[0].lower()
        tags = set(query.get("filter", []))
        found = [
            _description(model)
            for model in self.hub.models.values()
            if (not author or model.id.startswith(author + "/"))
            and search in model.id.lower()
            and tags <= set(model.tags)
        ]
        self._send(200, json.dumps(found[: int(query.get("limit", ["1000"])[0])]).encode())

    def _file(self, model_id: str, revision: str, name: str) -> None:
        model = self._model(model_id, revision)
        if model is None:
            return
        if model.gated and not self._authorised():
            self._error(401, "GatedRepo", f"Access to model {model_id} is restricted.")
            return
        content = model.files.get(name)
        if content is None:
            self.send_response(404)
            for key, value in {
                "X-Error-Code": "EntryNotFound",
                "X-Error-Message": "Entry not found",
                "X-Repo-Commit": model.commit,
                "Content-Length": "0",
            }.items():
                self.send_header(key, value)
            self.end_headers()
            return
        self._content(model, content)

    def _content(self, model: StubModel, content: bytes | SparseFile) -> None:
        size = len(content) if isinstance(content, bytes) else content.size
        start, stop, status = 0, size, 200
        wanted = self.headers.get("Range", "")
        if wanted.startswith("bytes=") and not self.hub.ignore_range:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, stop, status = int(first), min(size, int(last) + 1), 206
        self.send_response(status)
        self.send_header("ETag", f'"{commit_of(model.commit + str(size))}"')
        self.send_header("X-Repo-Commit", model.commit)
        self.send_header("Content-Length", str(stop - start))
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        self.end_headers()
        if self.command == "HEAD":
            return
        if isinstance(content, bytes):
            self.wfile.write(content[start:stop])
            self.hub.body_bytes += stop - start
        else:
            for chunk in content.chunks(start, stop):
                self.wfile.write(chunk)
                self.hub.body_bytes += len(chunk)


def _description(model: StubModel, *, blobs: bool = False) -> dict[str, object]:
    """What `GET /api/models/{id}` says of a model."""
    siblings: list[dict[str, object]] = []
    for name, content in model.files.items():
        sibling: dict[str, object] = {"rfilename": name}
        if blobs:
            sibling["size"] = len(content) if isinstance(content, bytes) else content.size
        siblings.append(sibling)
    return {
        "id": model.id,
        "modelId": model.id,
        "sha": model.commit,
        "private": model.private,
        "gated": model.gated,
        "tags": list(model.tags),
        "downloads": model.downloads,
        "siblings": siblings,
    }
