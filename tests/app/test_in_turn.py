"""Runs of pages, first come first served; who takes long, waits for something or fails keeps nobody waiting."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

import pytest

from app.in_turn import Line
from app.sources import WHILE_WAITING


class Again(BaseException):
    """What Streamlit ends a run with to begin it again."""


def waiting(line: Line, count: int) -> None:
    """Until so many wait."""
    until = time.monotonic() + 30
    while len(line._waiting) < count:
        assert time.monotonic() < until
        time.sleep(0.001)


def started(run: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_who_came_first_goes_first_and_one_at_a_time() -> None:
    line, order, at_work = Line(most_s=60), list[int](), list[int]()

    def run(number: int) -> None:
        with line.place():
            at_work.append(number)
            order.append(number)
            assert at_work == [number]
            at_work.pop()

    threads = []
    with line.place():
        for number in range(20):
            threads.append(started(lambda number=number: run(number)))
            waiting(line, number + 1)
        assert not order
    for thread in threads:
        thread.join(timeout=30)
    assert order == list(range(20))
    with line.place():  # and it is free again
        pass


def test_who_takes_long_loses_the_place_and_goes_on_beside_the_next() -> None:
    line, served = Line(most_s=0.02), list[int]()

    def run() -> None:
        with line.place():
            served.append(1)

    with line.place():
        for thread in [started(run) for _ in range(3)]:
            thread.join(timeout=30)
        assert len(served) == 3
    assert line._at_work is None
    assert not line._waiting


def test_who_waits_for_the_hub_or_a_database_gives_the_place_back() -> None:
    line, served = Line(most_s=60), threading.Event()

    def run() -> None:
        with line.place():
            served.set()

    with line.place():
        with WHILE_WAITING.get()():
            started(run).join(timeout=30)
        assert served.is_set()
    assert line._at_work is None


def test_a_run_that_fails_leaves_its_place() -> None:
    line = Line(most_s=60)
    with pytest.raises(RuntimeError), line.place():
        raise RuntimeError
    with line.place():
        pass


def test_a_run_that_begins_again_goes_first_and_the_second_time_last() -> None:
    """It has waited already; who never comes to an end holds nobody up."""
    line, order = Line(most_s=60), list[str]()

    def once(name: str, others: int) -> None:
        with line.place():
            order.append(name)
            waiting(line, others)  # the run that begins again is back

    def again_and_again() -> None:
        for last in (False, False, True):
            with contextlib.suppress(Again), line.place():
                order.append("again")
                if not last:
                    raise Again

    with line.place():
        threads = [started(again_and_again)]
        waiting(line, 1)
        for place, name in enumerate(("second", "third", "fourth"), start=2):
            threads.append(started(lambda name=name, others=4 - place: once(name, others + 1)))
            waiting(line, place)
    for thread in threads:
        thread.join(timeout=30)
    assert order == ["again", "second", "again", "third", "fourth", "again"]
