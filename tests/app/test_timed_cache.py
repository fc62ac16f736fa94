"""What is remembered: for how long, how many, and made once however many ask at the same time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from app.planning import remembered
from app.planning.plan import Plan
from app.planning.planner import plan
from app.planning.weigher import Weigher
from app.scenario import Scenario
from app.sources import shared_sources
from app.timed_cache import TimedCache

PEOPLE = 20


def test_values_expire_and_the_least_recently_used_goes_first() -> None:
    now = [0.0]
    cache: TimedCache[str, int] = TimedCache(entries=2, seconds=10, clock=lambda: now[0])
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (1, None, 3)
    now[0] = 11
    assert cache.get("c") is None


def test_an_error_reaches_everybody_who_waited_and_the_next_tries_again() -> None:
    cache: TimedCache[str, int] = TimedCache(entries=2, seconds=10)
    asked = threading.Barrier(2)

    def fails() -> int:
        asked.wait(timeout=10)
        while not second.running():
            threading.Event().wait(0.01)
        threading.Event().wait(0.5)  # time to find that it is being made
        raise ValueError("no")

    with ThreadPoolExecutor() as people:
        first = people.submit(cache.once, "a", fails)
        second = people.submit(cache.once, "a", lambda: 7)
        asked.wait(timeout=10)
        for asking in (first, second):
            with pytest.raises(ValueError, match="no"):
                asking.result(timeout=10)
    assert cache.once("a", lambda: 7) == 7


def test_who_waits_for_another_is_known_to_wait_and_who_makes_it_is_not() -> None:
    cache: TimedCache[str, int] = TimedCache(entries=2, seconds=10)
    waits, told = threading.Event(), list[str]()

    @contextmanager
    def waiting() -> Iterator[None]:
        told.append("waits")
        waits.set()
        yield
        told.append("has it")

    def made() -> int:
        assert waits.wait(timeout=10)
        told.append("made")
        return 7

    with ThreadPoolExecutor() as people:
        first = people.submit(cache.once, "a", made, waiting=waiting)
        while "a" not in cache._making:
            threading.Event().wait(0.01)
        second = people.submit(cache.once, "a", lambda: 8, waiting=waiting)
        assert (first.result(timeout=10), second.result(timeout=10)) == (7, 7)
    assert told == ["waits", "made", "has it"]


def test_one_link_opened_by_many_people_at_once_is_planned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Scenario] = []
    everybody = threading.Barrier(PEOPLE)

    def counted(scenario: Scenario, *arguments: object, within: float, weighed: Weigher | None) -> Plan:
        begun.append(scenario)
        threading.Event().wait(0.2)  # the others ask while this one is being worked out
        return plan(scenario, shared_sources(), within=within, weighed=weighed)

    monkeypatch.setattr(remembered, "plan", counted)
    link = Scenario(model="meta-llama/Llama-3.1-8B-Instruct", gpu="L4", prompt=1_777)

    def opens(_: int) -> Plan:
        everybody.wait(timeout=10)
        return remembered.remembered_plan(link, shared_sources())

    with ThreadPoolExecutor(PEOPLE) as people:
        shown = list(people.map(opens, range(PEOPLE)))
    assert len(begun) == 1
    assert all(one is shown[0] for one in shown)
