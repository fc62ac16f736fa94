"""What a stranger's question may cost: refused before it is worked out, stopped on the way, alone where it is dear."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from contextvars import copy_context
from itertools import count

import pytest

from app.exploring.question_link import decode_question, question_of
from app.planning import answer as answering
from app.planning import budget as budgets
from app.planning.answer import answer
from app.planning.budget import (
    DEAR_S,
    LARGE_S,
    MOST_GIVEN,
    MOST_SLOW,
    TURN_S,
    USUAL_S,
    Allowance,
    OutOfBudget,
    Turn,
    checkpoint,
    make_way,
    waiting,
    watch,
)
from app.planning.fleet import Fleet, Pace
from app.planning.question import Question
from app.planning.recommend import recommend
from app.planning.remembered import remembered_answer, remembered_plan, remembered_recommendation
from app.planning.stacks import Ints
from app.scenario import Scenario, decode, with_page_defaults
from app.sources import LocalSources
from estimators.architecture import catalogue
from estimators.architecture.hub.client import HubClient
from estimators.precision import Weights
from estimators.provenance import Refusal
from pricing.book import Book
from pricing.offers import PurchaseOption

SOURCES = LocalSources(Book(), HubClient(offline=True))
IDS = [entry.id for entry in catalogue.entries()]
MODEL = "meta-llama/Llama-3.1-8B-Instruct"


def clock(step: float) -> Iterator[float]:
    return (step * number for number in count())


def working(budget: Allowance) -> None:
    with budget.spending():
        for _ in range(100):
            checkpoint()


def question_of_link(raw: dict[str, str]) -> Question:
    asked, _ = decode_question(
        raw, models=IDS, regions=list(SOURCES.book.regions), vendors=["NVIDIA", "AMD", "AWS", "Google", "Intel"]
    )
    return question_of(asked, with_page_defaults(decode(raw).scenario), IDS)


def test_a_question_of_everything_is_refused_at_once_and_told_how_to_narrow_it() -> None:
    raw = {
        "models": ",".join(IDS[:60]),
        "regions": ",".join(SOURCES.book.regions),
        "ways": ",".join(PurchaseOption),
        "vendors": "NVIDIA,AMD,AWS",
        "precisions": ",".join(Weights),
        "rate": "1000000",
        "ttft": "0.2",
        "tpot": "0.01",
        "e2e": "3",
    }
    question = question_of_link(raw)
    for model in question.models:
        SOURCES.spec(model)
    begun = time.thread_time()
    found = answer(question, Scenario(model=IDS[0]), SOURCES)
    assert time.thread_time() - begun < 1.0
    assert found.refusal is not None
    assert found.refusal.field == "models"
    assert "one question weighs up to 30,000. Name fewer models or precisions" in str(found.refusal)
    assert [card.plan.asked.model for card in found.cards] == [IDS[0]]  # what was asked of the one model stands


def test_many_layouts_that_need_thousands_of_copies_are_searched_by_doubling(monkeypatch: pytest.MonkeyPatch) -> None:
    """With more layouts than an array holds several tries of, the search once went up by ones: 3,000 rounds for this
    load of a million requests a second. Doubling and halving up to 2^14 copies are 28."""
    question = question_of_link({"models": ",".join(IDS[:12]), "rate": "1000000", "ttft": "0.2", "e2e": "3"})
    rounds = count()
    pace = Fleet.pace

    def counted(fleet: Fleet, which: Ints, copies: Ints) -> Pace:
        next(rounds)
        return pace(fleet, which, copies)

    monkeypatch.setattr(Fleet, "pace", counted)
    assert recommend(question, SOURCES).layouts > 2048
    assert next(rounds) < 100


def test_a_refusal_that_is_kept_holds_nothing_of_what_was_worked_out() -> None:
    """Its traceback once held the frames it had passed, and they all 200,000 objects of a question."""
    refused = remembered_plan(Scenario(model=MODEL, gpu="H100", gpus=7), SOURCES)
    kept = [refused.refusal, *(candidate.refusal for candidate in refused.candidates)]
    assert any(kept)
    assert [one.__traceback__ or one.__context__ for one in kept if one is not None] == [None] * sum(map(bool, kept))


def test_work_is_stopped_when_its_seconds_are_spent_and_says_the_way_out() -> None:
    with pytest.raises(OutOfBudget, match=r"stopped after 2\.5 s of work") as stopped:
        working(Allowance(2.5, clock(0.1).__next__))
    assert stopped.value.refusal.remedy.startswith("Name fewer models, precisions or vendors")


def test_a_processor_of_half_the_speed_may_take_twice_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one machine answers for a link, another must not refuse."""
    monkeypatch.setattr(budgets, "slowness", lambda: 2.0)
    for step, stopped in ((0.019, False), (0.021, True)):
        ticks = clock(step)
        monkeypatch.setattr(time, "thread_time", lambda ticks=ticks: next(ticks))
        with pytest.raises(OutOfBudget) if stopped else nullcontext():
            working(Allowance(1.0))


def test_a_processor_is_never_held_for_faster_than_usual_nor_for_slower_than_thrice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for step, slowness in ((1e-9, 1.0), (2 * USUAL_S, 2.0), (1.0, MOST_SLOW)):
        ticks = clock(step)
        monkeypatch.setattr(time, "thread_time", lambda ticks=ticks: next(ticks))
        assert budgets.slowness.__wrapped__() == pytest.approx(slowness)


def test_blocks_of_one_budget_add_up_and_an_inner_budget_is_the_outer_one() -> None:
    budget = Allowance(1.0, clock(0.003).__next__)
    working(budget)
    with budget.spending():
        working(Allowance(0.0))
    working(budget)
    with pytest.raises(OutOfBudget):
        working(budget)


def test_the_questions_of_one_run_of_a_page_are_bounded_together_but_for_what_has_a_bound_of_its_own() -> None:
    """Three of 0.99 s fit into 3 s; the fourth does not, and the next run of the page begins anew."""

    def run() -> None:
        watch(lambda: None)
        working(Allowance(60, clock(0.099).__next__))  # 9.9 s
        for _ in range(3):
            working(Allowance(2.2, clock(0.0099).__next__))
        with pytest.raises(OutOfBudget, match="This page was stopped after 3 s of work"):
            working(Allowance(2.2, clock(0.0099).__next__))

    copy_context().run(run)
    copy_context().run(run)


def test_without_a_budget_nothing_is_limited_and_nobody_is_asked() -> None:
    def run() -> None:
        watch(lambda: pytest.fail("asked"))
        checkpoint()

    copy_context().run(run)


def test_dear_work_goes_on_alone_and_the_second_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets, "WAIT_S", 0.2)
    inside, done = threading.Event(), threading.Event()

    def first() -> None:
        with Allowance(60, iter([0.0, DEAR_S + 1, DEAR_S + 2]).__next__).spending():
            checkpoint()
            inside.set()
            done.wait(10)

    thread = threading.Thread(target=first)
    thread.start()
    assert inside.wait(10)
    working(Allowance(60, clock(0.0).__next__))  # small work runs beside it
    with pytest.raises(OutOfBudget, match="Another large question is being worked out"):
        working(Allowance(600, clock(1.0).__next__))
    done.set()
    thread.join(10)
    working(Allowance(600, clock(1.0).__next__))  # its place is free again


class Gone(BaseException):
    """As Streamlit ends the run of a visit: no `Exception`, so that no handler keeps it."""


def test_work_ends_when_nobody_waits_for_it_and_leaves_nothing_half_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets, "LOOK_S", 0.0)
    question = Question(scenario=Scenario(rate=7, ttft=2.0), models=(MODEL,))
    looks = count()

    def leave() -> None:
        if next(looks) == 20:
            raise Gone

    def visit() -> None:
        watch(leave)
        remembered_answer(question, Scenario(model=MODEL, rate=7), SOURCES)

    with pytest.raises(Gone):
        copy_context().run(visit)
    assert next(looks) == 21
    budgets._RUNS.clear()  # as when the thread of its page ends
    again = remembered_answer(question, Scenario(model=MODEL, rate=7), SOURCES)
    assert again.cards == answer(question, Scenario(model=MODEL, rate=7), SOURCES).cards
    assert again.found is not None
    assert again.found.plans


def spent(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Every budget of these tests is of so many steps of work."""
    for module in (answering, "app.planning.remembered"):
        name = f"{module}.Allowance" if isinstance(module, str) else f"{module.__name__}.Allowance"
        monkeypatch.setattr(name, lambda: Allowance(seconds, clock(0.000_01).__next__))


def test_what_is_stopped_is_a_refusal_on_every_way_in_and_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    question = Question(scenario=Scenario(rate=11, ttft=2.0), models=(MODEL,))
    scenario = Scenario(model=MODEL, rate=11.5)
    with monkeypatch.context() as narrow:
        spent(narrow, 0.0)
        found = remembered_answer(question, Scenario(model=MODEL, rate=11), SOURCES)
        assert found.refusal is found.stopped is not None
        assert found.cards[0].plan.chosen is not None  # one scenario's plan is told all the same
        assert "stopped after" in str(remembered_plan(scenario, SOURCES).refusal)
        with pytest.raises(Refusal, match="stopped after"):
            remembered_recommendation(question, SOURCES)
    assert remembered_answer(question, Scenario(model=MODEL, rate=11), SOURCES).refusal is None
    assert remembered_plan(scenario, SOURCES).refusal is None
    assert remembered_recommendation(question, SOURCES).plans


def test_a_safe_plan_that_is_not_looked_for_to_the_end_is_said_and_the_rest_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    question = Question(scenario=Scenario(rate=13, ttft=1.0), models=(MODEL,))
    asked = Scenario(model=MODEL, rate=13, ttft=1.0)
    steps = count()
    with monkeypatch.context() as counted:
        counted.setattr("app.planning.answer.Allowance", lambda: Allowance(1e9, lambda: float(next(steps)) * 1e-9))
        with Allowance(1e9, lambda: float(next(steps)) * 1e-9).spending():
            recommend(question, SOURCES, shown=1, told=False)
    enough = next(steps) * 1e-9 + 1e-9
    steps = count()
    monkeypatch.setattr("app.planning.answer.Allowance", lambda: Allowance(enough, lambda: float(next(steps)) * 1e-9))
    found = answer(question, asked, SOURCES)
    assert found.refusal is None
    assert found.stopped is not None
    assert found.found is not None
    assert found.found.plans


class Machine:
    """A processor whose clocks the tests move. Another run is at work until `others_end`."""

    def __init__(self, others_end: float, other_spent: float = 0.0) -> None:
        self.now, self.own, self.slept = 0.0, 0.0, 0.0
        self.others_end = others_end
        self.other = Turn()
        self.other.spent = other_spent
        self.look()

    def look(self) -> None:
        self.other.ended = self.now >= self.others_end

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now, self.slept = self.now + seconds, self.slept + seconds
        self.look()

    def ask(self, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        """One question of so many seconds, looked at each 0.01 s."""
        monkeypatch.setattr(budgets, "time", self)
        with Allowance(1e9, lambda: self.own).spending():
            for _ in range(round(seconds / 0.01)):
                self.own, self.now = self.own + 0.01, self.now + 0.01
                self.look()
                checkpoint()


@pytest.fixture(autouse=True)
def _nobody_else() -> Iterator[None]:
    budgets.slowness()  # looked at once, before a test moves the clocks
    budgets._RUNS.clear()
    yield
    budgets._RUNS.clear()


def test_large_work_makes_way_until_small_work_of_others_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(others_end=1.0)
    machine.ask(monkeypatch, 2.0)
    # Side by side for LARGE_S; then 0.2 s of rest for each 0.02 s of work, at first less, up to the end of the others.
    assert 0.5 < machine.slept < 0.9
    assert machine.now == pytest.approx(2.0 + machine.slept)


def test_nobody_makes_way_for_who_waits_for_what_they_work_out(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(others_end=1.0)
    machine.other.waits = True
    machine.ask(monkeypatch, 2.0)
    assert machine.slept == 0.0


def test_a_run_waits_while_another_works_out_what_it_asks_and_no_longer() -> None:
    def run(asked: Allowance | None) -> list[bool]:
        watch(lambda: None)
        (own,) = budgets._RUNS
        seen = [own.waits]
        with asked.spending() if asked else nullcontext(), waiting():
            seen.append(own.waits)
        return [*seen, own.waits]

    for asked in (None, Allowance()):
        assert copy_context().run(run, asked) == [False, True, False]
        budgets._RUNS.clear()
    with waiting():  # no run of a page
        assert not budgets._RUNS


def test_before_a_page_is_drawn_it_is_said_whether_it_was_dear() -> None:
    def run(seconds: float) -> bool:
        watch(lambda: None)
        working(Allowance(60, clock(seconds / 100).__next__))
        return make_way()

    assert copy_context().run(make_way) is False
    assert [copy_context().run(run, seconds) for seconds in (0.5, 2.0)] == [False, True]


def test_threads_change_over_ten_times_as_often_while_work_is_large_and_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual = sys.getswitchinterval()
    machine = Machine(others_end=0.0)
    machine.ask(monkeypatch, 0.9 * LARGE_S)
    assert sys.getswitchinterval() == usual
    seen = []
    monkeypatch.setattr(Turn, "make_way", lambda run: seen.append((run.spent, sys.getswitchinterval())))
    machine.ask(monkeypatch, 1.0)
    large = [every for spent, every in seen if spent > LARGE_S]
    assert len(large) > 50
    assert large == pytest.approx([TURN_S] * len(large))
    assert sys.getswitchinterval() == usual


def test_who_asks_little_or_is_alone_or_met_by_larger_work_never_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    for machine, seconds in (
        (Machine(others_end=1e9), 0.9 * LARGE_S),
        (Machine(others_end=0.0), 5.0),
        (Machine(others_end=1e9, other_spent=3.0), 5.0),
    ):
        budgets._RUNS.intersection_update({machine.other})
        machine.ask(monkeypatch, seconds)
        assert machine.slept == 0


def test_large_work_ends_too_where_there_is_always_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(others_end=1e9)
    machine.ask(monkeypatch, 2.0)
    assert machine.slept == pytest.approx(MOST_GIVEN * 2.0, rel=0.05)


def test_the_questions_of_one_run_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty plans of 0.05 s are as much as one of a second."""
    machine = Machine(others_end=1e9)

    def run() -> None:
        watch(lambda: None)
        for _ in range(20):
            machine.ask(monkeypatch, 0.05)

    copy_context().run(run)
    assert machine.slept > 3.0


def test_whose_thread_has_ended_is_no_longer_at_work() -> None:
    thread = threading.Thread(target=lambda: watch(lambda: None))
    thread.start()
    thread.join()
    large = Turn()
    large.spent = 1.0
    assert not large.is_in_the_way
    assert {large} == budgets._RUNS


def test_the_runs_of_visits_that_left_are_forgotten_with_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets, "_RUNS", set())
    for _ in range(3):
        visit = threading.Thread(target=budgets.Turn)
        visit.start()
        visit.join()
    here = budgets.Turn()
    assert {here} == budgets._RUNS
