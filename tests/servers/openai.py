"""An OpenAI-compatible streaming server on loopback whose pace and manners a test chooses."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Manners:
    """How the server behaves. `ttft_s` and `itl_s` are slept, so measured times are at least these."""

    ttft_s: float = 0.02
    itl_s: float = 0.004
    model: str = "toy"  # several with spaces between them
    behaviour: str = "good"  # or the name of a fault, see `_Handler._stream`
    tokens_per_piece: int = 1
    usage: bool = True
    refuses_ignore_eos: bool = False
    vllm: bool = True
    kv_usage: float = 0.25
    prompts: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    concurrent: int = 0
    most_concurrent: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    manners: Manners
    closing: threading.Event


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        manners = self.server.manners
        if self.path == "/v1/models":
            listed = [{"id": model, "object": "model"} for model in manners.model.split()]
            self._answer(200, json.dumps({"object": "list", "data": listed}))
        elif self.path == "/health":
            self._answer(200, "{}")
        elif self.path == "/version" and manners.vllm:
            self._answer(200, json.dumps({"version": "0.33.0"}))
        elif self.path == "/metrics" and manners.vllm:
            self._answer(200, f'vllm:kv_cache_usage_perc{{engine="0",model_name="toy"}} {manners.kv_usage}\n')
        else:
            self._answer(404, "{}")

    def do_POST(self) -> None:
        manners = self.server.manners
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        manners.keys.append(self.headers.get("Authorization", ""))
        if manners.behaviour == "redirect":
            self.send_response(307)
            self.send_header("Location", "http://169.254.169.254/latest/meta-data/")
            self.end_headers()
            return
        if manners.behaviour == "refuses":
            self._answer(503, '{"error": "no capacity\\u0000\\n\\nat all"}')
            return
        if manners.refuses_ignore_eos and "ignore_eos" in asked:
            self._answer(400, '{"error": {"message": "Unknown field ignore_eos"}}')
            return
        manners.prompts.append(_prompt(asked))
        with manners.lock:
            manners.concurrent += 1
            manners.most_concurrent = max(manners.most_concurrent, manners.concurrent)
        ended = False
        try:
            with suppress(BrokenPipeError, ConnectionResetError):
                ended = self._stream(asked)
        finally:
            with manners.lock:
                manners.concurrent -= 1
        if ended:  # once it is counted no more: who reads this may ask again at once
            with suppress(BrokenPipeError, ConnectionResetError):
                self._write(b"data: [DONE]\n\n")
        self.close_connection = True

    def _stream(self, asked: dict) -> bool:
        """Whether all was said but the end."""
        manners = self.server.manners
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        fault = manners.behaviour
        if fault == "silent":
            self.server.closing.wait(30)
            return False
        if fault == "drips":  # a byte now and then: never idle for long, never done
            while not self.server.closing.wait(0.05):
                self._write(b"d")
            return False
        if fault == "html":
            self._write(b"<html><body>Welcome to the proxy</body></html>\n" * 3)
            return False
        if fault == "long line":
            while not self.server.closing.is_set():
                self._write(b"data: " + b"x" * (1 << 20))
            return False
        time.sleep(manners.ttft_s)
        self._event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
        wanted = asked.get("max_tokens") or asked["max_completion_tokens"]
        wanted = wanted if fault != "endless" else 10**9
        sent = 0
        for pieces, tokens in enumerate(self._pieces(wanted)):
            if pieces:
                time.sleep(manners.itl_s if fault != "endless" else 0)
            if pieces == 2 and fault == "hangs mid-stream":
                self.server.closing.wait(30)
                return False
            if pieces == 2 and fault == "closes early":
                return False
            if pieces == 1 and fault == "not json":
                self._write(b"data: {{{ not json\n\n")
                return False
            if pieces == 1 and fault == "error event":
                self._event({"error": {"message": "CUDA out of memory", "code": 500}})
                return False
            content = "" if fault == "no text" else "word " * tokens
            self._event({"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": None}]})
            sent += tokens
        self._event({"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]})
        if manners.usage:
            words = len(_prompt(asked).split())
            counted = 1_000_000 if fault == "million tokens" else sent
            self._event({"choices": [], "usage": {"prompt_tokens": words + 11, "completion_tokens": counted}})
        return True

    def _pieces(self, tokens: int) -> Iterator[int]:
        step = self.server.manners.tokens_per_piece
        while tokens > 0:
            yield min(step, tokens)
            tokens -= step

    def _event(self, event: dict) -> None:
        self._write(b"data: " + json.dumps(event).encode() + b"\n\n")

    def _write(self, data: bytes) -> None:
        self.wfile.write(data)
        self.wfile.flush()

    def _answer(self, status: int, body: str) -> None:
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)
        self.close_connection = True


def _prompt(asked: dict) -> str:
    """Text of the first message, which GuideLLM sends as a list of parts."""
    content = asked["messages"][0]["content"]
    return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)


@contextmanager
def openai_server(**manners: object) -> Iterator[tuple[str, Manners]]:
    """Base address and manners of a running server; the manners may be changed while it runs."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.manners = Manners(**manners)  # type: ignore[arg-type]
    server.closing = threading.Event()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", server.manners
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
