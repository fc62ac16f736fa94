"""What comes first without ordering the rest, and what may be left out: the same answers as of all ways."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.planning.contenders import PlanKey, cheapest_by_plan, contenders, first, key_of, reweighed
from app.planning.ground import ground_of, weighed_together
from app.planning.question import Question
from app.scenario import Scenario
from estimators.precision import Weights
from pricing.offers import PurchaseOption
from tests.app.planning.test_recommend import LARGE, SMALL, SOURCES, TYPES, WITHIN_ONE_PERCENT

QUESTIONS = (
    Question(scenario=Scenario(rate=6, prompt=2048, output=256, ttft=1.0), models=(SMALL,)),
    Question(scenario=Scenario(concurrency=30, prompt=1024, output=256, tpot=0.03), models=(SMALL,)),
    Question(scenario=Scenario(rate=10, ttft=1.0), models=(SMALL, LARGE), bar=WITHIN_ONE_PERCENT),
    Question(
        scenario=Scenario(rate=10, ttft=1.0),
        models=(SMALL,),
        options=(PurchaseOption.ON_DEMAND, PurchaseOption.SPOT),
    ),
)


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_first_is_the_planners_own(question: Question) -> None:
    weigher, _ = ground_of(question, SOURCES).weighed(SOURCES.book)
    assert first(weigher) == int(weigher.choice()[0])


def test_nothing_comes_first_where_nothing_passes() -> None:
    never = replace(QUESTIONS[0], scenario=replace(QUESTIONS[0].scenario, ttft=0.0001))
    weigher, _ = ground_of(never, SOURCES).weighed(SOURCES.book)
    assert first(weigher) is None
    assert cheapest_by_plan(weigher) == {}


@pytest.mark.parametrize("question", QUESTIONS)
def test_what_is_left_of_the_ground_has_the_same_winner_under_a_heavier_load(question: Question) -> None:
    ground = ground_of(question, SOURCES)
    weigher, benches = ground.weighed(SOURCES.book)
    now = question.scenario
    more = replace(now, rate=14.0) if now.rate else replace(now, concurrency=70)
    asked = replace(question, scenario=more)
    whole, _ = ground.asking(asked).weighed(SOURCES.book)
    way = first(whole)
    assert way is not None
    kept = contenders(weigher, benches, float(whole.weighed.usd[way]))
    few = ground.narrowed(kept)
    assert 0 < len(kept) < len(weigher.layouts)
    (again,) = weighed_together([few.asking(asked)], SOURCES.book)
    assert again is not None
    there = first(again)
    assert there is not None
    assert key_of(again, there) == key_of(whole, way)
    assert float(again.weighed.usd[there]) == float(whole.weighed.usd[way])


def test_served_together_is_served_as_alone() -> None:
    ground = ground_of(QUESTIONS[1], SOURCES)
    asked = [replace(ground.question, scenario=replace(ground.question.scenario, concurrency=n)) for n in (10, 30, 50)]
    together = weighed_together([ground.asking(question) for question in asked], SOURCES.book)
    for question, made in zip(asked, together, strict=True):
        alone, _ = ground.asking(question).weighed(SOURCES.book)
        assert made is not None
        assert cheapest_by_plan(made) == cheapest_by_plan(alone)


def test_a_load_that_no_engine_takes_is_none_among_others() -> None:
    question = replace(QUESTIONS[0], scenario=replace(QUESTIONS[0].scenario, max_len=4096))
    ground = ground_of(question, SOURCES)
    longer = replace(question, scenario=replace(question.scenario, prompt=8192))
    made = weighed_together([ground.asking(longer), ground], SOURCES.book)
    assert made[0] is None
    assert made[1] is not None


def test_a_plan_is_a_model_a_precision_a_machine_a_region_and_a_way_to_pay() -> None:
    question = replace(QUESTIONS[0], weights=(Weights.FP8,))
    weigher, _ = ground_of(question, SOURCES).weighed(SOURCES.book)
    costs = cheapest_by_plan(weigher)
    assert {key.machine for key in costs} == set(TYPES)
    way = first(weigher)
    assert way is not None
    assert min(costs.values()) == float(weigher.weighed.usd[way])
    machine = weigher.purchase(way).machine.name
    assert key_of(weigher, way) == PlanKey(SMALL, Weights.FP8, machine, "us-east-1", PurchaseOption.ON_DEMAND)


def test_weighed_again_at_the_same_prices_is_the_same() -> None:
    weigher, _ = ground_of(QUESTIONS[0], SOURCES).weighed(SOURCES.book)
    again = reweighed(weigher, weigher.question, weigher.chips, weigher.market)
    assert cheapest_by_plan(again) == cheapest_by_plan(weigher)
    assert first(again) == first(weigher)
