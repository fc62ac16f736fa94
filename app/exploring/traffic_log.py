"""Lengths of requests from a log, and when they arrived: columns of a CSV, JSON lines under any of the usual names, or
what a vLLM server prints.

Everything in a log is hostile: lines are read one at a time, of bounded length, and of many a sample is kept. Pure.
"""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from app.exploring.arrivals import ArrivalCounter, Arrivals, moment_of
from app.exploring.server_log import ServerLog
from app.planning.budget import checkpoint
from estimators.memory.footprint import LONGEST_CONTEXT
from estimators.provenance import Refusal

KEPT = 20_000  # requests of a sample
LONGEST_LINE = 20_000_000  # characters; a detailed report of `vllm bench serve` is one line
MOST_LINES = 50_000_000
LOOKED_AT = 1_000  # lines before a log without a length is given up, and between two looks at what it has cost
DEEPEST = 6  # objects inside objects that a length is looked for in
# What OpenAI's usage, vLLM's and GuideLLM's files, Mooncake's and Azure's traces call them, in lower case.
PROMPT_NAMES = ("prompt_tokens", "input_tokens", "prompt_token_count", "prompt_len", "input_len", "input_length",
                "prompt_length", "contexttokens", "num_prompt_tokens", "tokens_in", "prompt", "in")  # fmt: skip
OUTPUT_NAMES = ("completion_tokens", "output_tokens", "output_token_count", "output_len", "output_length",
                "generatedtokens", "num_output_tokens", "num_generated_tokens", "tokens_out", "output",
                "out")  # fmt: skip
STAMP_NAMES = ("timestamp", "created_at", "created", "arrival_time", "arrived_at", "start_time", "request_start_time",
               "datetime", "date", "time", "ts")  # fmt: skip
CACHED_NAMES = ("cached_tokens", "cache_read_input_tokens")
FORMATS = (
    "Give a CSV of two columns, tokens in and out, or JSON lines with prompt_tokens and completion_tokens "
    "(or input_length and output_length); a column or a field named timestamp gives the rate. Or the "
    "lines that a vLLM server prints."
)

_Columns = tuple[int, int, int | None]  # of tokens in, tokens out and the moment


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request: tokens in, of them served from a cache, tokens out, and the moment it came where the log says it."""

    prompt: int
    output: int
    cached: int = 0
    at: float | None = None  # seconds since 1970


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficLog:
    """Requests of a log, or a sample of them drawn evenly."""

    exchanges: tuple[LoggedRequest, ...]
    requests: int  # in the log
    unread: int  # lines without both lengths
    arrivals: Arrivals | None = None  # where its requests have moments, over ten minutes or more
    means: str = ""  # how a server's log came to the one length it has

    @property
    def said(self) -> str:
        sample = f"an even sample of {len(self.exchanges):,} of " if len(self.exchanges) < self.requests else ""
        unread = f"; {self.unread:,} lines without both lengths were left out" if self.unread else ""
        came = f" {self.arrivals.said}" if self.arrivals else ""
        lengths = self.means or f"Lengths of {sample}{self.requests:,} requests of the log{unread}."
        return f"{lengths}{came}"


def read_log(lines: Iterable[str], until: date | None = None) -> TrafficLog:
    """The requests of a log, streamed; `until` is the day after which no line of a server was written, whose stamps
    have no year. Raises `Refusal` for one that says no lengths."""
    chance = random.Random(0)  # noqa: S311 - no secret: the same log is sampled alike
    kept: list[LoggedRequest] = []
    requests, unread, came, server = 0, 0, ArrivalCounter(), ServerLog(until)
    for found in _exchanges(lines, server):
        if found is None:
            unread += 1
            if unread >= LOOKED_AT and not requests and not server.lines:
                break
            continue
        requests += 1
        came.add(found.at)
        if len(kept) < KEPT:
            kept.append(found)
        elif (place := chance.randrange(requests)) < KEPT:
            kept[place] = found
    if not kept and server.lines:
        return _of_server(server)
    if not kept:
        raise Refusal("The log says no lengths of requests.", field="log", remedy=FORMATS)
    return TrafficLog(exchanges=tuple(kept), requests=requests, unread=unread, arrivals=came.arrivals())


def _of_server(server: ServerLog) -> TrafficLog:
    """Every request of the same length: the mean is all that a server's lines tell."""
    means = server.means()
    one = _exchange(means.prompt, means.output, means.cached)
    if one is None:
        raise Refusal(
            f"The log comes to {means.prompt:,} tokens in and {means.output:,} out of each request, which none serves.",
            field="log",
            remedy="Give one that has the lines of its requests and of its throughput for the same hours.",
        )
    return TrafficLog(
        exchanges=(one,), requests=means.requests, unread=0, arrivals=server.arrivals.arrivals(), means=means.said
    )


def _exchanges(lines: Iterable[str], server: ServerLog) -> Iterator[LoggedRequest | None]:
    """An exchange a request; None for a line without. A CSV's header says its columns, else the first two count. What a
    server printed goes to `server`."""
    columns: _Columns | None = None
    for number, line in enumerate(lines):
        if number % LOOKED_AT == 0:
            checkpoint()
        if number >= MOST_LINES:
            raise Refusal(f"The log has more than {MOST_LINES:,} lines.", field="log", remedy="Give a part of it.")
        if len(line) > LONGEST_LINE:
            raise Refusal(
                f"Line {number + 1} of the log is longer than {LONGEST_LINE:,} characters.", field="log", remedy=FORMATS
            )
        text = line.strip().removeprefix("\ufeff")
        if not text:
            continue
        if text[0] in "{[":
            found = list(_of_json(text))
            if any(found) or not server.takes(text):
                yield from found
            continue
        if server.takes(text):
            continue
        cells = _cells(text)
        if len(cells) < 2:
            yield None
            continue
        if columns is None:
            columns = _columns(cells)
            if columns is not None and not _is_count(cells[columns[0]]):
                continue  # the header
        yield _of_cells(cells, columns or (0, 1, None))


def _cells(text: str) -> list[str]:
    if '"' not in text:
        return [cell.strip() for cell in text.split(_delimiter(text))]
    try:
        return [cell.strip() for cell in next(csv.reader([text], delimiter=_delimiter(text)), [])]
    except csv.Error:  # a cell without end
        return []


def _delimiter(text: str) -> str:
    return next((mark for mark in ("\t", ";") if mark in text), ",")


def _columns(cells: list[str]) -> _Columns | None:
    names = [cell.lower() for cell in cells]
    found = [
        next((names.index(name) for name in known if name in names), None)
        for known in (PROMPT_NAMES, OUTPUT_NAMES, STAMP_NAMES)
    ]
    if found[0] is not None and found[1] is not None:
        return found[0], found[1], found[2]
    return (0, 1, None) if len(cells) >= 2 and all(_is_count(cell) for cell in cells[:2]) else None


def _is_count(cell: str) -> bool:
    return cell.isascii() and cell.isdigit() and len(cell) <= 9


def _of_cells(cells: list[str], columns: _Columns) -> LoggedRequest | None:
    lengths, stamp = columns[:2], columns[2]
    if max(lengths) >= len(cells) or not all(_is_count(cells[column]) for column in lengths):
        return None
    at = moment_of(cells[stamp]) if stamp is not None and stamp < len(cells) else None
    return _exchange(int(cells[lengths[0]]), int(cells[lengths[1]]), 0, at)


def _of_json(text: str) -> Iterator[LoggedRequest | None]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        yield None
        return
    if isinstance(value, dict) and isinstance(lists := _paired(value), list):
        yield from lists
        return
    for item in value if isinstance(value, list) else [value]:
        prompt = _found(item, PROMPT_NAMES)
        output = _found(item, OUTPUT_NAMES)
        if prompt is None or output is None:
            yield None
        else:
            yield _exchange(prompt, output, _found(item, CACHED_NAMES) or 0, _stamp(item))


def _paired(value: Mapping[str, object]) -> list[LoggedRequest | None] | None:
    """The two lists of a detailed result of `vllm bench serve`."""
    ins, outs = value.get("input_lens"), value.get("output_lens")
    if not isinstance(ins, list) or not isinstance(outs, list):
        return None
    pairs = zip(ins, outs, strict=False)
    return [_exchange(a, b, 0) if isinstance(a, int) and isinstance(b, int) else None for a, b in pairs]


def _found(value: object, names: tuple[str, ...], depth: int = 0) -> int | None:
    """The first whole number under one of the names, in this object before those inside it."""
    if not isinstance(value, dict) or depth > DEEPEST:
        return None
    lowered = {str(key).lower(): item for key, item in value.items()}
    for name in names:
        item = lowered.get(name)
        if isinstance(item, int) and not isinstance(item, bool):
            return item
    inside = (_found(item, names, depth + 1) for item in value.values() if isinstance(item, dict))
    return next((item for item in inside if item is not None), None)


def _stamp(value: object, depth: int = 0) -> float | None:
    """The first moment under one of the names, in this object before those inside it."""
    if not isinstance(value, dict) or depth > DEEPEST:
        return None
    lowered = {str(key).lower(): item for key, item in value.items()}
    own = (moment_of(lowered.get(name)) for name in STAMP_NAMES)
    inside = (_stamp(item, depth + 1) for item in value.values() if isinstance(item, dict))
    return next((moment for moment in (*own, *inside) if moment is not None), None)


def _exchange(prompt: int, output: int, cached: int, at: float | None = None) -> LoggedRequest | None:
    """None for lengths no engine serves; a request that failed has no output."""
    if not (1 <= prompt <= LONGEST_CONTEXT and 1 <= output <= LONGEST_CONTEXT):
        return None
    return LoggedRequest(prompt, output, min(max(0, cached), prompt - 1), at)
