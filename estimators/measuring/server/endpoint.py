"""A small client of OpenAI-compatible servers that times the tokens of one streamed answer."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from estimators.measuring.foreign import at, count, text
from estimators.measuring.server.connection import Exchange, ServerFailure, Timeouts
from estimators.measuring.server.guard import Endpoint

MOST_PIECES_PER_TOKEN = 4  # a server streams at most about one piece a token; beyond this it does not stop by itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answered request. Moments are of this process's clock, in seconds."""

    sent: float
    first: float
    last: float
    pieces: tuple[float, ...]  # when each piece with text arrived
    prompt_tokens: int | None  # as the server counts them
    output_tokens: int
    counted_by_server: bool  # else pieces were taken for tokens

    @property
    def ttft_s(self) -> float:
        return self.first - self.sent

    @property
    def itl_s(self) -> float | None:
        """(last - first) / (n - 1), None for a single token; a piece may hold several tokens."""
        return (self.last - self.first) / (self.output_tokens - 1) if self.output_tokens > 1 else None

    @property
    def e2e_s(self) -> float:
        return self.last - self.sent


class Client:
    """Requests to one server. The key lives in this object only. `stop` ends whatever is under way."""

    def __init__(self, endpoint: Endpoint, *, api_key: str = "", limits: Timeouts | None = None) -> None:
        self._endpoint, self._api_key, self._limits = endpoint, api_key, limits or Timeouts()
        self._open: set[Exchange] = set()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self.ignores_eos = True  # until the server refuses the field

    def stop(self) -> None:
        self._stopped.set()
        with self._lock:
            for exchange in self._open:
                exchange.close()

    def models(self) -> tuple[str, ...]:
        """Ids the server lists."""
        found = self._ask(lambda exchange: exchange.read_json("/v1/models"))
        listed = at(found, "data")
        names = [text(at(entry, "id"), 200) for entry in listed[:50]] if isinstance(listed, list) else []
        return tuple(filter(None, names))

    def version(self) -> str:
        """Version of a vLLM server; empty for others."""
        try:
            found = self._ask(lambda exchange: exchange.read_json("/version"))
        except ServerFailure:
            return ""
        return text(at(found, "version"), 40)

    def metrics(self) -> str:
        """The server's /metrics page, empty when it has none."""
        try:
            return str(self._ask(lambda exchange: exchange.read_text("/metrics")))
        except ServerFailure:
            return ""

    def complete(self, model: str, prompt: str, max_tokens: int) -> Reply:
        """One streamed answer. A server that refuses `ignore_eos` is asked again without it, and never with it."""
        try:
            return self._complete(model, prompt, max_tokens)
        except ServerFailure as failure:
            if not self.ignores_eos or not str(failure).startswith(
                ("The server answered 400", "The server answered 422")
            ):
                raise
            self.ignores_eos = False
            return self._complete(model, prompt, max_tokens)

    def _complete(self, model: str, prompt: str, max_tokens: int) -> Reply:
        body: dict[str, object] = {
            "model": model,
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": max_tokens,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if self.ignores_eos:
            body["ignore_eos"] = True
        reading = self._ask(lambda exchange: _read_stream(exchange, body, max_tokens))
        assert isinstance(reading, Reply)  # noqa: S101 (tells mypy what the line above returns)
        return reading

    def _ask(self, question: Callable[[Exchange], object]) -> object:
        exchange = Exchange(self._endpoint, self._limits, self._api_key)
        with self._lock:
            if self._stopped.is_set():
                raise ServerFailure("The measurement was stopped.")
            self._open.add(exchange)
        try:
            with exchange:
                return question(exchange)
        finally:
            with self._lock:
                self._open.discard(exchange)


def _read_stream(exchange: Exchange, body: dict[str, object], max_tokens: int) -> Reply:
    sent = time.perf_counter()
    response = exchange.send("POST", "/v1/chat/completions", body)
    pieces: list[float] = []
    usage: object = None
    finished = False
    for moment, line in exchange.lines(response):
        if not line.startswith(b"data:"):
            if line.strip() and not line.startswith((b":", b"event:", b"id:", b"retry:")):
                raise ServerFailure("The server's answer is no event stream.")
            continue
        data = line[5:].strip()
        if data == b"[DONE]":
            finished = True
            break
        event = _event(data)
        usage = at(event, "usage") or usage
        if _has_text(event):
            pieces.append(moment)
            if len(pieces) > MOST_PIECES_PER_TOKEN * max_tokens + 64:
                raise ServerFailure(f"The server goes on beyond the {max_tokens} tokens it was asked for.")
        finished = finished or bool(text(at(event, "choices", 0, "finish_reason"), 40))
    if not finished:
        raise ServerFailure("The server closed the stream before the answer was complete.")
    if not pieces:
        raise ServerFailure("The server streamed no text, so no token could be timed.")
    tokens, by_server = _tokens(usage, len(pieces), max_tokens)
    return Reply(
        sent=sent,
        first=pieces[0],
        last=pieces[-1],
        pieces=tuple(pieces),
        prompt_tokens=count(at(usage, "prompt_tokens")),
        output_tokens=tokens,
        counted_by_server=by_server,
    )


def _event(data: bytes) -> object:
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        raise ServerFailure("The server's stream holds something that is no JSON.") from None
    error = at(event, "error")
    if error:
        said = text(at(error, "message") or error)
        raise ServerFailure(f"The server reports an error: {said or 'without words'}")
    return event


def _has_text(event: object) -> bool:
    """Whether a piece carries a token's text: of the answer or of reasoning before it."""
    found = (at(event, "choices", 0, "delta", key) for key in ("content", "reasoning_content", "reasoning"))
    return any(isinstance(piece, str) and piece for piece in found)


def _tokens(usage: object, pieces: int, max_tokens: int) -> tuple[int, bool]:
    """Tokens of the answer: the server's count when it can be true, else the pieces."""
    claimed = count(at(usage, "completion_tokens"))
    if claimed is None:
        return pieces, False
    if claimed > max_tokens:
        raise ServerFailure(f"The server claims {claimed:,} tokens; {max_tokens:,} were asked for.")
    if claimed < 1:
        raise ServerFailure("The server streamed text and counts no token of it.")
    return claimed, True
