"""Runs of pages in the order in which they were asked for, one at a time.

Python computes in one thread at a time. Of twenty runs that take turns every five milliseconds all are late, and the
thread that sends what they drew waits for each of them; one after another, half are done in half the time.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from app.sources import WHILE_WAITING

MOST_S = 0.2  # after which the next goes on as well: what takes longer computes much (budget.py), or waits for a disk


class Line:
    """Who is at work, and who waits, first come first served. Threads share it."""

    def __init__(self, most_s: float = MOST_S) -> None:
        self._most_s, self._lock = most_s, threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._at_work: threading.Event | None = None
        self._since = 0.0
        self._thread = threading.local()  # `begun`: its last run was ended to begin again

    @contextmanager
    def place(self) -> Iterator[None]:
        """Wait for the place and hold it in the block; who holds it for longer than allowed loses it and goes on, and
        so does who waits for the Hub or a database.

        A run that Streamlit ends to begin it again, in the same thread, has waited already: it goes first, once.
        """
        mine, again = threading.Event(), getattr(self._thread, "begun", False)
        self._thread.begun = False
        self._join(mine, first=again)

        @contextmanager
        def given_back() -> Iterator[None]:
            self._leave(mine)
            yield

        token = WHILE_WAITING.set(given_back)
        try:
            yield
        except Exception:
            raise
        except BaseException:  # as Streamlit's own are
            self._thread.begun = not again
            raise
        finally:
            WHILE_WAITING.reset(token)
            self._leave(mine)

    def _join(self, mine: threading.Event, *, first: bool) -> None:
        with self._lock:
            (self._waiting.appendleft if first else self._waiting.append)(mine)
            if self._at_work is None or self._is_overdue():
                self._hand_over()
        while not mine.wait(max(0.001, self._since + self._most_s - time.monotonic())):
            with self._lock:
                if not mine.is_set() and self._is_overdue():
                    self._hand_over()

    def _leave(self, mine: threading.Event) -> None:
        with self._lock:
            if self._at_work is mine:
                self._hand_over()

    def _is_overdue(self) -> bool:
        return time.monotonic() - self._since >= self._most_s

    def _hand_over(self) -> None:
        """To the one that has waited longest."""
        self._at_work, self._since = self._waiting.popleft() if self._waiting else None, time.monotonic()
        if self._at_work is not None:
            self._at_work.set()


LINE = Line()  # of this process
