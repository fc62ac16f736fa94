"""Runs of pages, first come first served; who takes long, or fails, keeps nobody waiting."""

from __future__ import annotations

import threading
import time

import pytest

from app.planning.in_turn import Line


def waiting(line: Line, count: int) -> None:
    """Until so many wait."""
    while len(line._waiting) < count:
        time.sleep(0.001)


def test_who_came_first_goes_first_and_one_at_a_time() -> None:
    line, order, at_work = Line(most_s=60), list[int](), list[int]()

    def run(number: int) -> None:
        with line.place():
            at_work.append(number)
            order.append(number)
            assert at_work == [number]
            at_work.pop()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(20)]
    with line.place():
        for number, thread in enumerate(threads):
            thread.start()
            waiting(line, number + 1)
        assert not order
    for thread in threads:
        thread.join()
    assert order == list(range(20))
    with line.place():  # and it is free again
        pass


def test_who_takes_long_loses_the_place_and_goes_on_beside_the_next() -> None:
    line, served = Line(most_s=0.02), threading.Event()

    def run() -> None:
        with line.place():
            served.set()

    with line.place():
        several = [threading.Thread(target=run) for _ in range(3)]
        for thread in several:
            thread.start()
        for thread in several:
            thread.join(timeout=30)
        assert served.is_set()
    assert line._at_work is None
    assert not line._waiting


def test_a_run_that_fails_leaves_its_place() -> None:
    line = Line(most_s=60)
    with pytest.raises(RuntimeError), line.place():
        raise RuntimeError
    with line.place():
        pass
