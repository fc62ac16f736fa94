"""How much work a stranger's request may ask for: one budget for page, link and route. No Streamlit.

What may take long passes `checkpoint` as it goes. Work in a `spending` block is stopped there once it has used
up its seconds, and before that where whoever asked has gone. Small work runs beside any other; what grows dear goes on
alone, so that one visitor with many tabs is one visitor. Outside such a block nothing is limited: the command line and
the fits take the time they need.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from estimators.provenance import Refusal

QUESTION_S = 3.0  # of one processor; 37 models against a quality bar take 1.5 at first, every later question less
DEAR_S = 1.0  # what takes longer goes on alone; a question of one model takes a third
WAIT_S = 10.0  # for another's dear work to end
LOOK_S = 0.05  # between two looks at whether somebody still waits
CONTENDED = 1.3  # time that passes over time worked, from which on others want the processor
GIVEN_WAY = 1.0  # times what dear work took of it since it last gave way

Clock = Callable[[], float]


class OutOfBudget(Exception):
    """The work was stopped. No `Refusal`: what one layout is refused for is remembered, this must not be."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class Allowance:
    """So many seconds of one processor, for everything worked out in its `spending` blocks together."""

    def __init__(self, seconds: float = QUESTION_S, clock: Clock = time.thread_time) -> None:
        self.seconds, self._clock = seconds, clock
        self._before, self._begun = 0.0, 0.0  # spent in blocks that ended; when the present one began
        self._alone = False  # it has the one place for dear work
        self._looked, self._worked = time.monotonic(), 0.0  # at the last look: the time, and what was spent

    @contextmanager
    def spending(self) -> Iterator[None]:
        """What is worked out in the block counts; inside a block of another budget, it counts on that one instead.

        Raises `OutOfBudget`.
        """
        if _BUDGET.get() is not None:
            yield
            return
        token, self._begun = _BUDGET.set(self), self._clock()
        try:
            yield
        finally:
            _BUDGET.reset(token)
            self._before += self._clock() - self._begun
            if self._alone:
                self._alone = False
                _DEAR.release()

    def check(self) -> None:
        spent = self._before + self._clock() - self._begun
        self._look(spent)
        if spent > self.seconds:
            raise OutOfBudget(
                Refusal(
                    f"This question was stopped after {self.seconds:g} s of work.",
                    field="models",
                    remedy="Name fewer models, precisions or vendors.",
                )
            )
        if spent > DEAR_S and not self._alone:
            self._wait_for_place()

    def _look(self, spent: float) -> None:
        """Whether anybody still waits; and, of dear work, whether others want the processor, whom it then gives way."""
        now = time.monotonic()
        passed, worked = now - self._looked, spent - self._worked
        if passed < LOOK_S:
            return
        if self._alone and passed > CONTENDED * worked:
            time.sleep(min(LOOK_S, GIVEN_WAY * worked))
        self._looked, self._worked = time.monotonic(), spent
        if (look := _WATCH.get()) is not None:
            look()

    def _wait_for_place(self) -> None:
        until = time.monotonic() + WAIT_S
        while not _DEAR.acquire(timeout=LOOK_S):
            self._look(self._worked)
            if time.monotonic() > until:
                raise OutOfBudget(
                    Refusal(
                        "Another large question is being worked out, and one is at a time.",
                        field="models",
                        remedy="Ask again in a moment, or name fewer models, precisions or vendors.",
                    )
                )
        self._alone = True


_BUDGET: ContextVar[Allowance | None] = ContextVar("budget", default=None)
_WATCH: ContextVar[Callable[[], object] | None] = ContextVar("watch", default=None)
_DEAR = threading.BoundedSemaphore(1)


def watch(look: Callable[[], object]) -> None:
    """From now on `look` is called every now and then while this thread spends; it raises where nobody waits."""
    _WATCH.set(look)


def checkpoint() -> None:
    """Called between pieces of work of some milliseconds; costs a microsecond."""
    budget = _BUDGET.get()
    if budget is not None:
        budget.check()
