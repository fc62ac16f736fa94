"""Replicas for a population: by hand, against trying every number, and as a recommendation has them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from app.planning.plan import Candidate
from app.planning.planner import plan
from app.planning.question import Question
from app.planning.recommend import recommend
from app.scenario import LoadMode, Scenario
from app.sources import LocalSources
from estimators.architecture.hub.client import HubClient
from estimators.precision import KvPrecision, Weights
from pricing.offers import Offer, PriceSource, PurchaseOption
from pricing.table import OfferTable

SMALL = "meta-llama/Llama-3.1-8B-Instruct"
TYPES = {"g6.xlarge": "0.8048", "g6.12xlarge": "4.6016", "g6e.xlarge": "1.861", "p5.48xlarge": "55.04"}


def sources(**prices: str) -> LocalSources:
    offers = (
        Offer(
            instance_type=name,
            region="us-east-1",
            option=PurchaseOption.ON_DEMAND,
            usd_per_hour=Decimal(price),
            source=PriceSource.SNAPSHOT,
            as_of=date(2026, 11, 20),
            origin="test",
        )
        for name, price in prices.items()
    )
    return LocalSources(OfferTable(offers), HubClient(offline=True))


ASKED = Scenario(model=SMALL, prompt=1024, output=128)


def chosen(scenario: Scenario, market: LocalSources) -> Candidate:
    result = plan(scenario, market)
    assert result.refusal is None
    assert result.chosen is not None
    return result.chosen


def test_two_small_machines_come_before_one_large_one() -> None:
    """An L4 holds 25 requests of 1,152 tokens: 40 take two at 2 x $0.8048 x 730 = $1,175.01, an L40S is $1,358.53."""
    answer = chosen(replace(ASKED, concurrency=40), sources(**TYPES))
    assert (answer.label, answer.replicas, answer.instances) == ("g6.xlarge", 2, 2)
    assert answer.cost is not None
    assert answer.cost.usd_per_month == pytest.approx(Decimal("1175.01"), abs=Decimal("0.01"))


def test_one_request_more_than_a_replica_holds_takes_another() -> None:
    market = sources(**{"g6.xlarge": "0.8048"})
    assert [chosen(replace(ASKED, concurrency=n), market).replicas for n in (25, 26, 50, 51)] == [1, 2, 2, 3]


@pytest.mark.parametrize("limits", [{}, {"ttft": 0.5}, {"tpot": 0.08}])
@pytest.mark.parametrize("concurrency", [30, 90])
def test_it_is_the_first_number_that_does(concurrency: int, limits: dict[str, float]) -> None:
    market = sources(**{"g6.xlarge": "0.8048"})
    asked = replace(ASKED, concurrency=concurrency, gpus=1, **limits)  # type: ignore[arg-type]
    found = chosen(asked, market)
    doing = []
    for count in range(1, found.replicas + 1):
        tried = plan(replace(asked, instance="g6.xlarge", replicas=count), market).chosen
        assert tried is not None
        assert tried.latency is not None
        doing.append(tried.eligible and not tried.latency.saturated)
    assert doing == [False] * (found.replicas - 1) + [True]


@pytest.mark.parametrize("concurrency", [1, 25, 26, 500, 3_000, 20_000])
@pytest.mark.parametrize("limits", [{}, {"ttft": 1.0}])
def test_a_recommendation_takes_as_many(concurrency: int, limits: dict[str, float]) -> None:
    market = sources(**TYPES)
    asked = replace(ASKED, concurrency=concurrency, kv=KvPrecision.BF16, **limits)  # type: ignore[arg-type]
    question = Question(scenario=asked, models=(SMALL,), weights=(Weights.BF16,), kv=(KvPrecision.AUTO,))
    first = recommend(question, market).plans[0].candidate
    answer = chosen(asked, market)
    assert (first.label, first.placement.tp if first.placement else 0, first.replicas) == (
        answer.label,
        answer.placement.tp if answer.placement else 0,
        answer.replicas,
    )


def test_what_the_engine_would_not_run_at_once_counts_as_not_held() -> None:
    """Eight B300 hold 10,000 requests of this length, but vLLM runs 1,024 of them at once."""
    answer = chosen(replace(ASKED, concurrency=10_000), sources(**{"p6-b300.48xlarge": "142.42"}))
    assert answer.latency is not None
    assert answer.replicas > 1
    assert not answer.latency.saturated


def test_a_named_machine_stays_one_replica_and_says_how_many_would_do() -> None:
    market = sources(**TYPES)
    named = plan(replace(ASKED, concurrency=50, instance="g6.xlarge"), market).chosen
    assert named is not None
    assert named.replicas == 1
    assert not named.fits
    assert any("replicas=2 would" in note for note in named.notes)
    enough = chosen(replace(ASKED, concurrency=50, gpu="L4", gpus=1, replicas=2), market)
    assert not any("would" in note for note in enough.notes)


def test_a_batch_runs_in_waves_on_one_replica() -> None:
    batch = replace(ASKED, concurrency=500, load=LoadMode.BATCH)
    assert chosen(batch, sources(**TYPES)).replicas == 1


def test_several_replicas_share_a_machine_where_that_costs_less() -> None:
    """Four L4 in one machine: four replicas of one each hold 100, so 90 at once take one machine either way."""
    answer = chosen(replace(ASKED, concurrency=900, gpus=1), sources(**{"g6.12xlarge": "4.6016"}))
    assert (answer.replicas, answer.instances) == (36, 9)


def test_a_limit_no_number_meets_is_refused_with_what_the_load_needs() -> None:
    result = plan(replace(ASKED, concurrency=500, ttft=0.0001), sources(**TYPES))
    assert result.refusal is not None
    assert "p95 TTFT" in str(result.refusal)
