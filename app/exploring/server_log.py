"""A load out of what a vLLM server prints by itself: its requests counted, their tokens from the throughput it logs.

Lines of two kinds count: one a request that was answered ("POST /v1/... 200") or, with --enable-log-requests, received;
and every ten seconds or so the throughput since the one before (vllm/v1/metrics/loggers.py, vllm/entrypoints/logger.py
and, up to 0.8, vllm/engine/metrics.py). Lengths are means, as no line has a request's own. Pure.
"""

from __future__ import annotations

import re
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from app.exploring.arrivals import ArrivalCounter, moment_of
from app.format import percent, significant
from estimators.provenance import Refusal

WORDS = (
    "Avg prompt throughput:",
    "Prefix cache hit rate:",
    "HTTP/1.",
    "Received request ",
    "LLM engine (v",
    " version ",
)
USUAL_S, MOST_S = 10, 3600  # between two lines of throughput: where a log has one alone, and what more is not
LONGEST_GAP = 2.0  # times the usual: a pause prints nothing and belongs to no line
COMPUTED_FROM = (0, 16)  # from here on cached tokens are not in the throughput of prompts (vllm-project/vllm#33290)
AHEAD = timedelta(days=1)  # vLLM stamps local time, which runs up to 14 hours ahead of the day in UTC
LEAP_YEAR = date(2000, 12, 31)  # for the time between stamps that say no moment
_ZONED = re.compile(r"20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?")
_OWN = re.compile(
    r"(?:DEBUG|INFO|WARNING|ERROR|CRITICAL) ([01]\d)-([0-3]\d) ([01]\d|2[0-3]):([0-5]\d):([0-5]\d)\b"
)  # vLLM writes no year
_PRINTED = re.compile(r"(?:\S{1,60} ){0,3}(?:DEBUG|INFO|WARNING|ERROR|CRITICAL)(?::  | \d\d-\d\d \d\d:)")
_NUMBER = r"([0-9]{1,9}(?:\.[0-9]{1,6})?)"
_RATES = re.compile(f"Avg prompt throughput: {_NUMBER} tokens/s, Avg generation throughput: {_NUMBER} tokens/s")
_HITS = re.compile(f"Prefix cache hit rate: (?:GPU: )?{_NUMBER}%")
_OUTSIDE_HITS = re.compile(f"External prefix cache hit rate: {_NUMBER}%")
_ENGINE = re.compile(r"(Engine \d{1,6}|\d{1,6} Engines Aggregated): ")
_ANSWERED = re.compile(
    r"POST \S{0,200}/(?:chat/completions|completions|responses|messages|generate) HTTP/1\.[01]\\?\"\W{1,3}200\b"
)
_RECEIVED = re.compile(r"Received request \S")
_LIMIT = re.compile(r"max_tokens=(?<!\wmax_tokens=)(\d{1,9})\b")  # found by its word: \b before it is five times slower
_VERSION = re.compile(r"(?:LLM engine \(v|vLLM API server version |vllm version )(\d{1,3})\.(\d{1,3})")


@dataclass(slots=True)
class _Rates:
    """Sums over lines of throughput, in tokens a second: in as printed, the same were none of it cached, out; and of
    either sort of in what a cache served."""

    lines: int = 0
    printed: float = 0.0
    printed_cached: float = 0.0
    whole: float = 0.0
    whole_cached: float = 0.0
    out: float = 0.0


@dataclass(slots=True)
class _Engine:
    """One engine's lines of throughput, by the seconds since the one before; 0 for a first one."""

    last: float | None = None
    by_span: dict[int, _Rates] = field(default_factory=dict)

    @property
    def usual_s(self) -> int:
        known = {span: rates.lines for span, rates in self.by_span.items() if span}
        return max(known, key=lambda span: known[span]) if known else USUAL_S


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedMeans:
    """Requests of a server's log and their mean lengths; `said` is how they came about."""

    requests: int
    prompt: int
    cached: int
    output: int
    said: str


class ServerLog:
    """Takes a server's lines in the order it printed them. `until`: the day after which none was, for stamps without a
    year; without it these say no moment."""

    def __init__(self, until: date | None) -> None:
        self._until = until
        self._engines: defaultdict[str, _Engine] = defaultdict(_Engine)
        self._answered, self._received = ArrivalCounter(), ArrivalCounter()
        self._requests = {"answered": 0, "received": 0}
        self._unstamped = 0  # answered since the last stamp: uvicorn's lines have none
        self._moment: float | None = None
        self._dated = False
        self._hits = self._outside = 0.0
        self._longest = 0
        self._version: tuple[int, int] | None = None
        self._old = False
        self.lines = 0

    def takes(self, text: str) -> bool:
        """Whether this is a line that a server printed; what it says is counted."""
        known = False
        for words in WORDS:
            if words in text:
                known = self._counts(text)
                break
        if not known and (text[0] in "0123456789{" or not _PRINTED.match(text)):
            return False
        self.lines += 1
        return True

    def _counts(self, text: str) -> bool:
        """Words are looked for before patterns, which take ten times as long to find nothing."""
        head = text[:2_000]
        stamped = self._at(head)
        if "HTTP/1." in head and _ANSWERED.search(head):
            self._requests["answered"] += 1
            self._unstamped += 1
            if stamped:
                self._settle()
        elif "Received request " in head and _RECEIVED.search(head):
            self._requests["received"] += 1
            self._arrived(self._received)
            self._longest = max(self._longest, *map(int, _LIMIT.findall(text[-20_000:])), 0)
        elif "Avg prompt" in head and (found := _RATES.search(head)):
            self._settle()
            self._throughput(head, float(found[1]), float(found[2]))
        elif found := _VERSION.search(head):
            self._version = int(found[1]), int(found[2])
        else:
            found = _HITS.search(head)
            self._hits = _share(found[1]) if found else self._hits
            return bool(found)
        return True

    def _at(self, head: str) -> bool:
        """Sets the moment where the line says one: of a collector's stamp, of which it returns whether there is one,
        before vLLM's own, which has no year."""
        if found := _ZONED.search(head):
            self._moment, self._dated = moment_of(found[0].replace(",", ".")[:40]) or self._moment, True
            return True
        if found := _OWN.search(head):
            month, day, hour, minute, second = map(int, found.groups())
            if (start := _day_of(month, day, self._until)) is not None:
                self._moment = start + 3600 * hour + 60 * minute + second
                self._dated = self._until is not None
        return False

    def _arrived(self, counter: ArrivalCounter, requests: int = 1) -> None:
        for _ in range(requests):
            counter.add(self._moment if self._dated else None)

    def _settle(self) -> None:
        """What was answered since the last stamp came before this one: a line of throughput follows it by seconds."""
        self._arrived(self._answered, self._unstamped)
        self._unstamped = 0

    def _throughput(self, head: str, ins: float, outs: float) -> None:
        if found := _HITS.search(head):
            self._hits = _share(found[1])
        if "External" in head and (found := _OUTSIDE_HITS.search(head)):
            self._outside = _share(found[1])
        self._old = self._old or "Pending:" in head
        named = _ENGINE.search(head) if "Engine" in head else None
        engine = self._engines[named[1] if named else ""]
        span = round(self._moment - engine.last) if self._moment and engine.last else 0
        engine.last = self._moment
        hits = min(0.99, self._hits + (1 - self._hits) * self._outside)
        span = min(MOST_S, max(0, span))
        if (rates := engine.by_span.get(span)) is None:
            rates = engine.by_span[span] = _Rates()
        rates.lines += 1
        rates.printed += ins
        rates.printed_cached += ins * hits
        rates.whole += ins / (1 - hits)
        rates.whole_cached += ins / (1 - hits) * hits
        rates.out += outs

    def means(self) -> ServedMeans:
        """Requests and their mean lengths. Raises `Refusal`, which names what the log lacks and what prints it."""
        self._settle()
        kind = "received" if self._requests["received"] else "answered"
        requests = self._requests[kind]
        if not requests:
            raise _missing(
                "requests", "Start it with --enable-log-requests, or without --disable-uvicorn-access-log: a line each."
            )
        prompt, cached, output, seconds = self._tokens()
        if output < 1:
            raise _missing("throughput", "Start it without --disable-log-stats, or give lengths of the requests.")
        counted = ""
        if self._counts_computed and cached:
            assumed = "" if self._version else " (the log does not say its version, so it is taken to be such a one)"
            counted = f", and by what the cache served, which that leaves out from 0.16 on{assumed}"
        limit = f"; a request asks for up to {self._longest:,}" if self._longest else ""
        return ServedMeans(
            requests=requests,
            prompt=max(1, round(prompt / requests)),
            cached=round(cached / requests),
            output=max(1, round(output / requests)),
            said=(
                f"{requests:,} requests {kind} by the server of the log, {significant(prompt)} tokens in and "
                f"{significant(output)} out by the throughput it printed over {significant(seconds / 60)} minutes"
                f"{counted}; {percent(cached / prompt if prompt else 0)} of the input came from the prefix cache"
                f"{limit}. Lengths are means: the server does not print each request's."
            ),
        )

    @property
    def arrivals(self) -> ArrivalCounter:
        return self._received if self._requests["received"] else self._answered

    @property
    def _counts_computed(self) -> bool:
        return not self._old and (self._version is None or self._version >= COMPUTED_FROM)

    def _tokens(self) -> tuple[float, float, float, float]:
        """(tokens in, of them cached, tokens out, seconds): throughput times the time since the line before.

        500 tokens a second over ten seconds are 5,000; where half came from a cache that is not counted, 10,000.
        """
        engines = {name: one for name, one in self._engines.items() if "Aggregated" in name} or self._engines
        prompt, cached, output, longest = 0.0, 0.0, 0.0, 0.0
        for engine in engines.values():
            spent = 0.0
            for span, rates in engine.by_span.items():
                took = span if span and (self._old or span <= LONGEST_GAP * engine.usual_s) else engine.usual_s
                prompt += took * (rates.whole if self._counts_computed else rates.printed)
                cached += took * (rates.whole_cached if self._counts_computed else rates.printed_cached)
                output += took * rates.out
                spent += took * rates.lines
            longest = max(longest, spent)
        return prompt, cached, output, longest


@lru_cache(maxsize=16)
def _day_of(month: int, day: int, until: date | None) -> float | None:
    """The start of a day that vLLM's own stamp says, in seconds since 1970: the last such day up to `until`."""
    latest = until + AHEAD if until else LEAP_YEAR
    for year in (latest.year, latest.year - 1):
        with suppress(ValueError):  # the 29th of February
            found = datetime(year, month, day, tzinfo=UTC)
            if found.date() <= latest:
                return found.timestamp()
    return None


def _share(percent_said: str) -> float:
    return min(1.0, float(percent_said) / 100)


def _missing(what: str, remedy: str) -> Refusal:
    return Refusal(f"This log of a vLLM server has no lines of its {what}.", field="log", remedy=remedy)
