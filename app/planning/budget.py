"""How much work a stranger's request may ask for: one budget for page, link and route. No Streamlit.

What may take long passes `checkpoint` as it goes. Work in a `spending` block is stopped there once it has used
up its seconds, and before that where whoever asked has gone. Small work runs beside any other; what grows large makes
way for whoever has taken less, and what grows dear goes on alone besides, so that one visitor with many tabs is one
visitor. Outside such a block nothing is limited: the command line and the fits take the time they need.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

from estimators.provenance import Refusal

QUESTION_S = 2.2  # of one usual processor; 37 models against a quality bar take 1.2 at first, every later one less
RUN_S = 3.0  # all questions of one run of a page together; only what is given more than this by itself goes on beyond
LARGE_S = 0.1  # what one run of a page has taken so far, from which on it makes way; a usual page's plan takes a third
DEAR_S = 1.0  # what takes longer goes on alone; a question of one model takes a third
WAIT_S = 10.0  # for another's dear work to end
LOOK_S = 0.005  # between two looks at whether somebody still waits, and whether others want the processor
SMALLER = 0.5  # who has taken less than this share of what a run took goes before it
LONGEST_BREAK_S = 0.2  # then a piece of large work is done all the same
TURN_S = 0.0005  # after which large work that computes lets another thread go on; ten times as long is Python's own
MOST_GIVEN = 6.0  # times what it has worked; large work must end too where there is always somebody
# What `slowness` times takes on the processor on which the above were chosen: half of the 3.8 ms measured on 2026-11-28
# where a bare page of Streamlit took twice as long as there.
USUAL_S = 0.0019
MOST_SLOW = 3.0  # times; what is slower still would keep others waiting too long

Clock = Callable[[], float]


@cache
def slowness() -> float:
    """How many times as long as usual this processor takes, at best: what one answers, one of half its speed must
    answer too. Some 30 ms, once."""

    def took() -> float:
        began, kept = time.thread_time(), dict[int, int]()
        for step in range(20_000):
            kept[step % 97] = kept.get(step % 89, 0) + step
        return time.thread_time() - began

    return min(max(min(took() for _ in range(10)) / USUAL_S, 1.0), MOST_SLOW)


def worked_s() -> float:
    """What this thread has worked, in seconds of the usual processor."""
    return time.thread_time() / slowness()


class OutOfBudget(Exception):
    """The work was stopped. No `Refusal`: what one layout is refused for is remembered, this must not be."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class Turn:
    """One run of a page, or one call, in its thread: what all of its questions took, and how long it has made way."""

    def __init__(self, look: Callable[[], object] = lambda: None) -> None:
        self.look = look
        self.spent, self.given = 0.0, 0.0
        self.waits = False  # for what another run is working out
        self.asked = 0.0  # of what it spent, what counts on RUN_S
        self._thread, self.ended = threading.current_thread(), False
        with _LOCK:
            _forget_ended()
            _RUNS.add(self)

    @property
    def over(self) -> bool:
        return self.ended or not self._thread.is_alive()

    @property
    def is_in_the_way(self) -> bool:
        """Whether it has taken much, and somebody who has taken less is at work."""
        if self.spent <= LARGE_S or self.given >= MOST_GIVEN * self.spent:
            return False
        with _LOCK:
            _forget_ended()
            return any(run.spent < SMALLER * self.spent for run in _RUNS if not run.waits)

    def make_way(self) -> None:
        """Sleeps while it is in the way, for a while; meanwhile, too, ends where nobody waits for it."""
        self.look()
        began = time.monotonic()
        while self.is_in_the_way and (gone := time.monotonic() - began) < LONGEST_BREAK_S:
            time.sleep(LOOK_S)
            self.given += time.monotonic() - began - gone
            self.look()


_RUNS: set[Turn] = set()
_LOCK = threading.Lock()


def _forget_ended() -> None:
    """With each goes the thread of its page, and so all of a visit that has left."""
    _RUNS.difference_update([run for run in _RUNS if run.over])


class Turns:
    """How soon a thread that computes lets another have the interpreter, while `large` pieces of work are about.

    A page lets go of it at each of its fifty messages, and beside work that computes waits so long for it again each
    time. Not always so short: pages among themselves would spend 7 % more on changing over.
    """

    def __init__(self) -> None:
        self._large, self._usual, self._lock = 0, 0.0, threading.Lock()

    def shorten(self, large: int) -> None:
        """So many more pieces of large work."""
        with self._lock:
            if not self._large:
                self._usual = sys.getswitchinterval()
            self._large += large
            sys.setswitchinterval(min(TURN_S, self._usual) if self._large else self._usual)


class Allowance:
    """So many seconds of one usual processor, for everything worked out in its `spending` blocks together."""

    def __init__(self, seconds: float = QUESTION_S, clock: Clock = worked_s) -> None:
        self.seconds, self._clock = seconds, clock
        self._bounded = seconds <= RUN_S
        self._before, self._begun = 0.0, 0.0  # spent in blocks that ended; when the present one began
        self._alone = False  # it has the one place for dear work
        self._brisk = False  # it has grown large
        self._looked, self._worked = time.monotonic(), 0.0  # at the last look

    @contextmanager
    def spending(self) -> Iterator[None]:
        """What is worked out in the block counts; inside a block of another budget, it counts on that one instead.

        Raises `OutOfBudget`.
        """
        if _BUDGET.get() is not None:
            yield
            return
        own = _RUN.get()
        self.run = own or Turn()
        token, self._begun = _BUDGET.set(self), self._clock()
        self._looked, self._worked = time.monotonic(), self._before
        try:
            yield
        finally:
            _BUDGET.reset(token)
            block = self._clock() - self._begun
            self._before += block
            self._count(self._before)
            self.run.asked += block * self._bounded
            self.run.ended = own is None
            if self._brisk:
                self._brisk = False
                _TURNS.shorten(-1)
            if self._alone:
                self._alone = False
                _DEAR.release()

    def check(self) -> None:
        block = self._clock() - self._begun
        spent = self._before + block
        self._look(spent)
        if spent > self.seconds:
            raise _stopped(f"This question was stopped after {self.seconds:g} s of work.")
        if self._bounded and self.run.asked + block > RUN_S:
            raise _stopped(f"This page was stopped after {RUN_S:g} s of work.")
        if spent > DEAR_S and not self._alone:
            self._wait_for_place()

    def _look(self, spent: float) -> None:
        """Whether anybody still waits; and, of large work, whether others want the processor, which they then get."""
        if time.monotonic() - self._looked < LOOK_S:
            return
        self._count(spent)
        if self.run.spent > LARGE_S and not self._brisk:
            self._brisk = True
            _TURNS.shorten(1)
        self.run.make_way()
        self._looked = time.monotonic()

    def _count(self, spent: float) -> None:
        self.run.spent += spent - self._worked
        self._worked = spent

    def _wait_for_place(self) -> None:
        until = time.monotonic() + WAIT_S * slowness()
        while not _DEAR.acquire(timeout=LOOK_S):
            self.run.look()
            if time.monotonic() > until:
                raise OutOfBudget(
                    Refusal(
                        "Another large question is being worked out, and one is at a time.",
                        field="models",
                        remedy="Ask again in a moment, or name fewer models, precisions or vendors.",
                    )
                )
        self._alone = True


def _stopped(said: str) -> OutOfBudget:
    return OutOfBudget(Refusal(said, field="models", remedy="Name fewer models, precisions or vendors."))


_TURNS = Turns()
_BUDGET: ContextVar[Allowance | None] = ContextVar("budget", default=None)
_RUN: ContextVar[Turn | None] = ContextVar("run", default=None)
_DEAR = threading.BoundedSemaphore(1)


def watch(look: Callable[[], object]) -> None:
    """A run of a page begins. `look` is called every now and then while it spends; it raises where nobody waits."""
    leave()
    _RUN.set(Turn(look))


def leave() -> None:
    """The run of a page in this thread has ended: nobody makes way for it any more."""
    if (before := _RUN.get()) is not None:
        before.ended = True


def make_way() -> bool:
    """Called before a page is drawn, which cannot be stopped in the middle: after a dear answer others go first.
    Returns whether what was worked out for it was dear."""
    if (run := _RUN.get()) is None:
        return False
    run.make_way()
    return run.spent > DEAR_S


@contextmanager
def waiting() -> Iterator[None]:
    """While this run waits for another's work nobody makes way for it, that work least of all."""
    budget = _BUDGET.get()
    run = budget.run if budget is not None else _RUN.get()
    if run is None:
        yield
        return
    run.waits = True
    try:
        yield
    finally:
        run.waits = False


def checkpoint() -> None:
    """Called between pieces of work of some milliseconds; costs a microsecond."""
    budget = _BUDGET.get()
    if budget is not None:
        budget.check()
