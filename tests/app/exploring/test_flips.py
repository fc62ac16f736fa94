"""What would change a decision: every flip is the planner's own answer, and the simple ones are worked by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache

import pytest

from app.exploring import flips
from app.exploring.flips import Decided, Outlook, decide
from app.exploring.outward import Flip, looked_for, outward
from app.exploring.repricing import OnePriceChanged, repriced
from app.exploring.sensitivity import assumptions_of
from app.exploring.standing import slowed, stand
from app.planning.plan import Candidate
from app.planning.question import OwnedHardware, Question
from app.planning.recommend import recommend
from app.scenario import Scenario
from app.sources import LocalSources
from estimators.architecture.hub.client import HubClient
from estimators.architecture.spec import ModelSpec
from estimators.measuring.measurement import Measurement
from estimators.precision import Weights
from estimators.provenance import Refusal
from pricing.offers import Offer, PriceBook, PurchaseOption
from tests.app.planning.test_recommend import LARGE, SMALL, SOURCES, WITHIN_ONE_PERCENT, book

ONE = Question(scenario=Scenario(prompt=1024, output=128), models=(SMALL,), weights=(Weights.AS_PUBLISHED,))
SERVED = replace(ONE, scenario=Scenario(rate=6, prompt=2048, output=256, ttft=1.0), weights=(Weights.FP8, Weights.INT4))
READ = replace(SERVED, scenario=Scenario(concurrency=30, prompt=1024, output=256, tpot=0.03))
GOOD = Question(
    scenario=Scenario(rate=10, prompt=2048, output=256, ttft=1.0), models=(SMALL, LARGE), bar=WITHIN_ONE_PERCENT
)
MINE = replace(SERVED, owned=(OwnedHardware(gpu="L4", count=64, usd_per_gpu_hour=Decimal("0.5")),
                              OwnedHardware(gpu="H100-SXM5", count=8, usd_per_gpu_hour=Decimal("3"))))  # fmt: skip
QUESTIONS = {"rate": SERVED, "people": READ, "bar": GOOD, "owned": MINE}


@dataclass(frozen=True)
class At:
    """The sources of a test with other prices."""

    book: PriceBook
    logs: tuple[Measurement, ...] = ()

    def spec(self, model: str) -> ModelSpec:
        return SOURCES.spec(model)

    def file_bytes(self, model: str) -> int | None:
        return SOURCES.file_bytes(model)


def sources(**prices: str) -> LocalSources:
    return LocalSources(book(**prices), HubClient(offline=True))


@cache
def decided(question: Question, at: LocalSources = SOURCES) -> Decided:
    """Once for all tests that ask the same."""
    return decide(stand(question, at))


def outlook(question: Question, key: str, at: LocalSources = SOURCES) -> Outlook:
    return next(found for found in decided(question, at).outlooks if found.key == key)


def planned(question: Question, prices: PriceBook) -> Candidate | None:
    plans = recommend(question, At(prices), shown=1).plans
    return plans[0].candidate if plans else None


def decided_on(candidate: Candidate | None) -> tuple[object, ...] | None:
    if candidate is None:
        return None
    asked = candidate.scenario
    return candidate.model, asked.weights, candidate.label, asked.region, asked.buy


def with_value(found: Decided, moved: Outlook, value: float) -> tuple[Question, PriceBook]:
    """The question asked anew with one assumption at another value."""
    question = found.question
    if moved.key in ("price", "rival_price"):
        offer = found.offer if moved.key == "price" else found.rival_offer
        assert offer is not None
        return repriced(question, SOURCES.book, offer, Decimal(repr(value)))
    if moved.key == "quality":
        assert question.bar is not None
        return replace(question, bar=replace(question.bar, minimum_ratio=value)), SOURCES.book
    assumption = next(a for a in assumptions_of(question.scenario) if a.key == moved.key)
    return replace(question, scenario=assumption.at(question.scenario, value)), SOURCES.book


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_flip_planned_anew_flips_and_just_before_it_does_not(name: str) -> None:
    found = decided(QUESTIONS[name])
    now = decided_on(planned(found.question, SOURCES.book))
    assert decided_on(found.chosen) == now
    checked = 0
    for moved in found.outlooks:
        for flip in (moved.down, moved.up):
            if flip is None or moved.key == "speed":
                continue
            checked += 1
            assert decided_on(planned(*with_value(found, moved, flip.before))) == now, (moved.key, flip)
            there = decided_on(planned(*with_value(found, moved, flip.value)))
            assert there == decided_on(flip.to) != now, (moved.key, flip)
    assert checked >= 3


@pytest.mark.parametrize("name", QUESTIONS)
def test_where_nothing_flips_the_end_of_the_range_has_the_same_plan(name: str) -> None:
    found = decided(QUESTIONS[name])
    for moved in found.outlooks:
        for flip, end in ((moved.down, moved.low), (moved.up, moved.high)):
            if flip is None and moved.key not in ("speed", "quality") and end != moved.now:
                assert decided_on(planned(*with_value(found, moved, end))) == decided_on(found.chosen), moved.key


def test_a_price_flips_where_the_next_plan_costs_as_much() -> None:
    """One request takes one machine of either kind: 0.80 an hour until that of the L40S at 1.861, which is faster and
    comes first where they cost the same; it would have to cost 0.80 itself, 57 % less."""
    at = sources(**{"g6.xlarge": "0.80", "g6e.xlarge": "1.861"})
    own, rival = outlook(ONE, "price", at), outlook(ONE, "rival_price", at)
    assert (own.now, own.down) == (0.80, None)
    assert own.up is not None
    assert own.up.to is not None
    assert (own.up.before, own.up.value, own.up.to.label) == (1.86, 1.861, "g6e.xlarge")
    assert rival.down is not None
    assert rival.down.to is not None
    assert (rival.name, rival.now, rival.down.to.label) == ("g6e.xlarge", 1.861, "g6e.xlarge")
    assert (rival.down.before, rival.down.value) == (0.8001, 0.8)


def test_the_price_of_a_machine_sold_elsewhere_as_dear_flips_the_region() -> None:
    found = book(**{"g6.xlarge": "0.80"})
    here = found.get("g6.xlarge", "us-east-1", PurchaseOption.ON_DEMAND)
    assert here is not None
    there = replace(here, region="us-west-2", usd_per_hour=Decimal("0.90"))
    both = LocalSources(type(found)([here, there]), HubClient(offline=True))
    up = outlook(replace(ONE, regions=("us-east-1", "us-west-2")), "price", both).up
    assert up is not None
    assert up.to is not None
    assert (up.value, up.to.scenario.region) == (0.9001, "us-west-2")


def test_hours_flip_where_a_commitment_breaks_even_and_are_left_out_where_all_is_by_the_hour() -> None:
    """0.60 an hour billed for 730 hours is 438 dollars: 438 hours at a dollar."""
    found = book(**{"g6.xlarge": "1.00"})
    by_hour = found.get("g6.xlarge", "us-east-1", PurchaseOption.ON_DEMAND)
    assert by_hour is not None
    signed = replace(by_hour, option=PurchaseOption.RESERVED_1YR_NO_UPFRONT, usd_per_hour=Decimal("0.60"))
    both = LocalSources(type(found)([by_hour, signed]), HubClient(offline=True))
    asked = replace(ONE, scenario=replace(ONE.scenario, hours=Decimal(300)))
    options = (PurchaseOption.ON_DEMAND, PurchaseOption.RESERVED_1YR_NO_UPFRONT)
    hours = outlook(replace(asked, options=options), "hours", both)
    assert (hours.low, hours.high, hours.down) == (75.0, 744.0, None)
    assert hours.up is not None
    assert hours.up.to is not None
    assert 437 <= hours.up.before < hours.up.value <= 439
    assert hours.up.to.scenario.buy is PurchaseOption.RESERVED_1YR_NO_UPFRONT
    assert "hours" not in {moved.key for moved in decided(asked).outlooks}


def test_twice_as_slow_is_twice_the_traffic_within_half_the_limits() -> None:
    asked = Scenario(rate=5, ttft=1.0, e2e=8.0, prompt=2048)
    assert slowed(asked, 2.0) == replace(asked, rate=10, ttft=0.5, e2e=4.0)
    assert slowed(Scenario(concurrency=40), 2.0) == Scenario(concurrency=40)


def test_a_slower_accelerator_flips_where_its_plan_costs_more_than_the_next_or_fails() -> None:
    one = replace(SERVED, weights=(Weights.FP8,))  # of each accelerator one plan
    found = decided(one)
    speed = next(moved for moved in found.outlooks if moved.key == "speed")
    assert speed.up is not None
    assert speed.up.to is not None
    assert speed.up.to.accelerator != found.chosen.accelerator == speed.name
    usd = {}
    for times in (speed.up.before, speed.up.value):
        alone = replace(one, scenario=replace(slowed(one.scenario, times), gpu=speed.name))
        best = planned(alone, SOURCES.book)
        usd[times] = Decimal("inf") if best is None else best.usd_per_month
    rival = speed.up.to.usd_per_month
    assert usd[speed.up.before] <= rival < usd[speed.up.value]


def test_what_no_speed_can_change_has_no_outlook_on_speed() -> None:
    assert "speed" not in {moved.key for moved in decided(ONE).outlooks}


def test_a_single_candidate_can_only_be_lost_to_none() -> None:
    found = decided(SERVED, sources(**{"p5.48xlarge": "55.04"}))
    assert found.rival is None or found.rival.label == "p5.48xlarge"
    only = decided(replace(SERVED, weights=(Weights.FP8,)), sources(**{"p5.48xlarge": "55.04"}))
    assert only.rival is None
    assert "rival_price" not in {moved.key for moved in only.outlooks}
    assert {flip.to for moved in only.outlooks for flip in (moved.down, moved.up) if flip} <= {None}


def test_hardware_that_is_paid_for_has_no_price_to_move() -> None:
    free = replace(MINE, owned=tuple(replace(own, usd_per_gpu_hour=Decimal(0)) for own in MINE.owned))
    assert {"price", "rival_price"} & {moved.key for moved in decided(free).outlooks} == set()


def test_a_question_without_a_plan_has_no_decision_to_change() -> None:
    with pytest.raises(Refusal, match="No plan meets every limit, so there is no decision to change"):
        decided(replace(SERVED, scenario=replace(SERVED.scenario, ttft=0.0001)))


def test_the_nearest_come_first_and_a_bar_is_measured_in_its_five_points() -> None:
    found = decided(GOOD)
    distances = [moved.distance(moved.nearest) for moved in found.by_nearness if moved.nearest]
    assert distances == sorted(distances)
    bar = Outlook(key="quality", name="", now=0.99, low=0.94, high=1.04)
    assert bar.distance(Flip(value=0.98, before=0.981, to=None)) == pytest.approx(0.2)
    rate = Outlook(key="rate", name="", now=2, low=0.5, high=8)
    assert rate.distance(Flip(value=4, before=3.99, to=None)) == pytest.approx(0.5)  # log 2 / log 4


def test_where_the_time_runs_out_what_was_found_stays_and_the_rest_is_said_to_be_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = decided(READ)
    monkeypatch.setattr(flips, "MOST_S", 0.0)
    stopped = decide(stand(READ, SOURCES))
    assert stopped.stopped.startswith("This question was stopped after 0 s of work")
    assert len(stopped.outlooks) < len(whole.outlooks)
    assert decided_on(stopped.chosen) == decided_on(whole.chosen)


@pytest.mark.parametrize(
    ("limit", "end", "whole", "digits", "before", "value"),
    [
        (5.0, 8.0, False, 3, 4.99, 5.0),
        (5.0, 8.0, True, 3, 4.0, 5.0),
        (1234.0, 4000.0, True, 4, 1233.0, 1234.0),
        (1.0005, 4.0, False, 3, 1.0, 1.01),
    ],
)
def test_a_value_is_found_to_its_last_digit(
    limit: float, end: float, whole: bool, digits: int, before: float, value: float
) -> None:
    """Winners are numbers here: one stays while it is below the limit."""

    def firsts(values: list[float]) -> list[None]:
        seen.append(len(values))
        asked.clear()
        asked.extend(values)
        return [None] * len(values)

    asked: list[float] = []
    seen: list[int] = []
    order = iter(())

    def stays(_: object) -> bool:
        nonlocal order
        if len(asked) == seen[-1]:
            order = iter(list(asked))
            asked.append(float("nan"))
        return next(order) < limit

    found = looked_for(outward(1.0, end, stays, whole=whole, digits=digits), firsts)  # type: ignore[arg-type]
    assert found == Flip(value=value, before=before, to=None)
    assert sum(seen) <= 60


def test_one_price_is_changed_and_no_other() -> None:
    found = book()
    offer = found.get("g6.xlarge", "us-east-1", PurchaseOption.ON_DEMAND)
    assert offer is not None
    other = OnePriceChanged(found, offer, Decimal("9"))
    assert other.get("g6.xlarge", "us-east-1", PurchaseOption.ON_DEMAND) == replace(offer, usd_per_hour=Decimal("9"))
    spot = found.get("g6.xlarge", "us-east-1", PurchaseOption.SPOT)
    assert other.get("g6.xlarge", "us-east-1", PurchaseOption.SPOT) == spot
    assert isinstance(spot, Offer)
    assert other.get("g6.xlarge", "eu-west-1", PurchaseOption.SPOT) is None
    assert other.regions == found.regions
