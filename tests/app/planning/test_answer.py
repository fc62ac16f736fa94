"""Three plans for one question: as asked, cheapest, safe; by hand over four machines."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import partial
from types import SimpleNamespace

import pytest

from app.planning.answer import Answer, Grade, Kind, _surely_weighed, answer, owned_accelerators, speed_grade
from app.planning.planner import plan
from app.planning.question import OwnedHardware, QualityBar, Question
from app.planning.recommend import Weighing, best_plans
from app.planning.recommendation import Ranked
from app.scenario import Scenario
from estimators.precision import Weights
from estimators.quality.tasks import Task
from pricing.offers import PurchaseOption
from tests.app.planning.test_recommend import LARGE, SMALL, SOURCES


def asked(**changes: object) -> Scenario:
    return replace(Scenario(model=SMALL), **changes)  # type: ignore[arg-type]


def answered(scenario: Scenario, **changes: object) -> Answer:
    question = Question(scenario=replace(scenario, model=None), models=(scenario.model or "",))
    return answer(replace(question, **changes), scenario, SOURCES)  # type: ignore[arg-type]


def test_where_nothing_narrower_saves_the_model_as_published_is_all_three() -> None:
    """An 8B in BF16 fits the cheapest machine there is, an L4 at $0.8048 x 730 = $587.50."""
    (card,) = answered(asked()).cards
    assert card.kinds == (Kind.AS_ASKED, Kind.CHEAPEST, Kind.SAFE)
    assert card.candidate.usd_per_month == Decimal("587.5040")
    assert card.saving_usd is None
    assert card.quality.ratio == 1


def test_the_cheapest_says_what_it_saves_against_as_asked() -> None:
    """A 70B in 16 bits needs the eight H100 at $55.04 x 730; in INT4 one L40S holds it, $1.861 x 730."""
    found = answered(asked(model=LARGE))
    cheapest = found.card(Kind.CHEAPEST)
    assert cheapest is not None
    assert cheapest.candidate.usd_per_month == Decimal("1358.530")
    assert found.asked.chosen is not None
    assert found.asked.chosen.usd_per_month is not None
    assert cheapest.saving_usd == found.asked.chosen.usd_per_month - Decimal("1358.530")
    assert found.cards[0].kinds[0] is Kind.AS_ASKED
    assert found.cards[0].candidate.scenario.spec is None


@pytest.mark.parametrize("limits", [{"ttft": 1.0}, {"ttft": 1.0, "tpot": 0.0333}, {"e2e": 8.0}])
def test_a_safe_plan_clears_every_limit_with_its_whole_interval_and_does_not_draft(limits: dict[str, float]) -> None:
    safe = answered(asked(concurrency=50, output=256, **limits)).card(Kind.SAFE)
    assert safe is not None
    assert safe.may_miss == ()
    assert {key: getattr(safe.plan.asked, key) for key in limits} == limits
    for key, limit in limits.items():
        assert safe.times[key].high <= limit
    assert safe.candidate.scenario.spec is None
    assert safe.speed in (Grade.CASE, Grade.NEAR)
    assert safe.quality.grade is Grade.CASE


def test_no_plan_is_safe_where_no_interval_clears_the_limit() -> None:
    found = answered(asked(ttft=0.000_1))
    assert found.card(Kind.SAFE) is None
    assert found.card(Kind.CHEAPEST) is None
    assert found.found is not None
    assert found.found.loosenings


def test_what_is_named_stays_as_named_in_every_card() -> None:
    found = answered(asked(instance="g6e.xlarge", weights=Weights.FP8), weights=(Weights.FP8,))
    assert {card.candidate.label for card in found.cards} == {"g6e.xlarge"}
    assert {card.candidate.scenario.weights for card in found.cards} == {Weights.FP8}


def test_on_own_hardware_every_card_is_on_it() -> None:
    found = answered(asked(concurrency=4), owned=(OwnedHardware(gpu="A100-80GB", count=16),))
    assert found.cards
    assert {card.candidate.usd_per_month for card in found.cards} == {Decimal(0)}


def test_a_bar_is_held_against_its_reference_as_published() -> None:
    bar = QualityBar(task=Task.INSTRUCTION_FOLLOWING, reference=LARGE, minimum_ratio=0.99)
    found = answered(asked(model=LARGE), bar=bar)
    cheapest = found.card(Kind.CHEAPEST)
    assert cheapest is not None
    assert cheapest.quality.ratio is not None
    assert cheapest.quality.ratio >= 0.99


def test_a_model_nobody_knows_has_no_card() -> None:
    found = answered(asked(model="nobody/nothing"))
    assert found.cards == ()
    assert found.asked.refusal is not None


@pytest.mark.parametrize(
    ("evidence", "grade"),
    [
        ("290 published rows on A100-40GB-SXM4, 91 of them with vllm and 16bit products", Grade.CASE),
        ("113 published rows on L40S, 0 of them with vllm and fp8 products", Grade.NEAR),
        ("15 published rows on L4; calibrated on 129 rows of its class (sm8.9)", Grade.CLASS),
        ("no published rows on T4 or its class (sm7.5); calibrated on chips with GDDR6 memory", Grade.CLASS),
    ],
)
def test_the_grade_of_a_speed_is_that_of_its_evidence(evidence: str, grade: Grade) -> None:
    assert speed_grade(SimpleNamespace(evidence=evidence)) is grade  # type: ignore[arg-type]


def test_on_own_hardware_the_cheapest_keeps_the_fewest_of_it_busy() -> None:
    """A 70B in 16 bits needs two A100-80GB, in INT4 one."""
    found = answered(asked(model=LARGE), owned=(OwnedHardware(gpu="A100-80GB", count=16),))
    plain, cheapest = found.card(Kind.AS_ASKED), found.card(Kind.CHEAPEST)
    assert plain is not None
    assert cheapest is not None
    assert (owned_accelerators(plain.candidate), owned_accelerators(cheapest.candidate)) == (2, 1)


def test_as_asked_stays_in_the_regions_that_are_allowed() -> None:
    """The book sells in us-east-1 alone: nothing in Frankfurt is priced, and no card shows what lies elsewhere."""
    found = answered(asked(region="us-east-1"), regions=("eu-central-1",))
    assert all(card.candidate.scenario.region == "eu-central-1" for card in found.cards)


def test_as_asked_is_bought_in_a_way_that_is_allowed() -> None:
    found = answered(asked(), options=(PurchaseOption.SPOT,))
    assert {card.candidate.scenario.buy for card in found.cards} == {PurchaseOption.SPOT}


def test_no_model_was_asked_for_where_others_were_named() -> None:
    found = answered(asked(), models=(LARGE, "Qwen/Qwen3-32B"))
    assert found.card(Kind.AS_ASKED) is None
    assert {card.candidate.model for card in found.cards} <= {LARGE, "Qwen/Qwen3-32B"}


def test_without_a_limit_on_time_the_safe_plan_is_read_off_what_was_weighed() -> None:
    """Of a population or a rate no time is limited, so the upper ends of the times have nothing to clear."""
    for load in ({"concurrency": 90}, {"rate": 2.0}):
        scenario = asked(model=LARGE, **load)
        question = Question(scenario=replace(scenario, model=None), models=(LARGE,))
        weighed, explained = Weighing(question, SOURCES).weigher, partial(plan, sources=SOURCES)
        found, alone = (
            [_told(ranked) for ranked in best_plans(_surely_weighed(question, SOURCES, already), explained, 5)]
            for already in (weighed, None)
        )
        assert found == alone != []


def _told(ranked: Ranked) -> tuple[object, ...]:
    candidate = ranked.candidate
    return (
        candidate.label,
        candidate.scenario,
        candidate.usd_per_month,
        ranked.next_cheaper and ranked.next_cheaper.label,
    )
