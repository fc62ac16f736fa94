"""Counts and times of the HTTP interface, and what prices and jobs stand at, as Prometheus reads them.

Labels take few values: paths of the interface, HTTP's codes, keys of the vocabulary. Nothing a caller writes is one.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime

from app.vocabulary import VOCABULARY

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS_S = (0.005, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
_OTHER = "other"


class Tally:
    """What this process has answered since it started."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: Counter[tuple[str, int]] = Counter()
        self._refused: Counter[str] = Counter()
        self._within: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}

    def add(self, path: str, status: int, seconds: float) -> None:
        with self._lock:
            self._answers[path, status] += 1
            within = self._within.setdefault(path, [0] * (len(BUCKETS_S) + 1))
            within[bisect_left(BUCKETS_S, seconds)] += 1
            self._seconds[path] = self._seconds.get(path, 0.0) + seconds

    def refuse(self, field: str) -> None:
        with self._lock:
            self._refused[field if field in VOCABULARY else _OTHER] += 1

    def lines(self) -> Iterator[str]:
        with self._lock:
            answers, refused = dict(self._answers), dict(self._refused)
            within, seconds = {path: list(counts) for path, counts in self._within.items()}, dict(self._seconds)
        yield from _family("rightsize_answers_total", "counter", "Calls of the HTTP interface, by path and status.")
        for (path, status), count in sorted(answers.items()):
            yield _line("rightsize_answers_total", {"path": path, "status": str(status)}, count)
        yield from _family("rightsize_refusals_total", "counter", "Questions refused, by the key at fault.")
        for field, count in sorted(refused.items()):
            yield _line("rightsize_refusals_total", {"field": field}, count)
        yield from _family("rightsize_answer_seconds", "histogram", "Seconds a call took.")
        for path, counts in sorted(within.items()):
            below = 0
            for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), counts, strict=True):
                below += count
                yield _line("rightsize_answer_seconds_bucket", {"path": path, "le": bound}, below)
            yield _line("rightsize_answer_seconds_sum", {"path": path}, seconds[path])
            yield _line("rightsize_answer_seconds_count", {"path": path}, below)


TALLY = Tally()


def price_lines(prices: Iterable[tuple[str, str, datetime | date | None]], now: datetime) -> Iterator[str]:
    """Age of the on-demand prices of each region: (region, source, when they were read or stated)."""
    yield from _family("rightsize_price_age_seconds", "gauge", "Age of a region's on-demand prices, by where from.")
    for region, source, moment in prices:
        if moment is not None:
            read = (
                moment if isinstance(moment, datetime) else datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
            )
            age = max(0.0, (now - read).total_seconds())
            yield _line("rightsize_price_age_seconds", {"region": region, "source": source}, age)


def job_lines(jobs: Mapping[str, int]) -> Iterator[str]:
    yield from _family("rightsize_jobs", "gauge", "Open measurements, by status.")
    for status, count in sorted(jobs.items()):
        yield _line("rightsize_jobs", {"status": status}, count)


def about_lines(version: str, formula: str) -> Iterator[str]:
    yield from _family("rightsize_info", "gauge", "Version of the program and of its formulas and tables.")
    yield _line("rightsize_info", {"version": version, "formula": formula}, 1)


def _family(name: str, kind: str, says: str) -> tuple[str, str]:
    return f"# HELP {name} {says}", f"# TYPE {name} {kind}"


def _line(name: str, labels: Mapping[str, str], value: float) -> str:
    said = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{name}{{{said}}} {value:g}" if isinstance(value, float) else f"{name}{{{said}}} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
