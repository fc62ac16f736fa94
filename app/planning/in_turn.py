"""Runs of pages in the order in which they were asked for, one at a time.

Python computes in one thread at a time. Where twenty threads take turns every five milliseconds, all twenty end at the
end, and the thread that sends what they drew waits for each of them; one after another, half are done in half the time.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

MOST_S = 0.2  # after which the next goes on as well: what takes longer computes much (budget.py), or waits for a disk


class Line:
    """Who is at work, and who waits, first come first served. Threads share it."""

    def __init__(self, most_s: float = MOST_S) -> None:
        self._most_s, self._lock = most_s, threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._at_work: object | None = None
        self._since = 0.0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Wait for the place and hold it in the block; who holds it for longer than allowed loses it and goes on."""
        mine = threading.Event()
        self._join(mine)
        try:
            yield
        finally:
            with self._lock:
                if self._at_work is mine:
                    self._hand_over()

    def _join(self, mine: threading.Event) -> None:
        with self._lock:
            self._waiting.append(mine)
            if self._at_work is None or self._is_overdue():
                self._hand_over()
        while not mine.wait(max(0.001, self._since + self._most_s - time.monotonic())):
            with self._lock:
                if not mine.is_set() and self._is_overdue():
                    self._hand_over()

    def _is_overdue(self) -> bool:
        return time.monotonic() - self._since >= self._most_s

    def _hand_over(self) -> None:
        """To the one that has waited longest."""
        first = self._waiting.popleft() if self._waiting else None
        self._at_work, self._since = first, time.monotonic()
        if first is not None:
            first.set()


RUNS = Line()  # of this process
