"""Where a load's throughput meets a price: 9 requests over 8 replicas, worked by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from app.planning.costs import plan_cost, requests_per_second, tokens_per_second, usd_per_million_between
from app.scenario import LoadMode, Scenario
from estimators.latency.estimate import Interval, LatencyEstimate
from pricing.offers import Offer, PriceSource, PurchaseOption

SECOND = Interval(value=1.0, low=0.8, high=1.25)
ONE_REPLICA = LatencyEstimate(
    ttft_s=SECOND,
    tpot_s=SECOND,
    e2e_s=SECOND,
    ttft_p95_s=1.0,
    tpot_p95_s=1.0,
    e2e_p95_s=1.0,
    output_tok_per_s=Interval(value=100.0, low=80.0, high=125.0),
    req_per_s=Interval(value=2.0, low=1.6, high=2.5),
    running_requests=2.0,
    saturated=False,
    evidence="made up",
    explanation=None,  # type: ignore[arg-type]
)
DOLLAR = Offer(
    instance_type="g6.xlarge",
    region="us-east-1",
    option=PurchaseOption.ON_DEMAND,
    usd_per_hour=Decimal(1),
    source=PriceSource.SNAPSHOT,
    as_of=date(2026, 11, 20),
    origin="test",
)


def test_nine_requests_over_eight_replicas_draw_four_and_a_half_replicas_worth() -> None:
    """Each is estimated with 2, so 9 keep 4.5 replicas busy: 450 tokens/s between 360 and 562.5, 9 requests/s."""
    asked = Scenario(concurrency=9)
    found = tokens_per_second(asked, 8, ONE_REPLICA)
    assert (found.low, found.value, found.high) == (360.0, 450.0, 562.5)
    assert requests_per_second(asked, 8, ONE_REPLICA) == 9.0


@pytest.mark.parametrize("asked", [Scenario(rate=16.0), Scenario(load=LoadMode.MAX)])
def test_a_rate_or_a_maximum_keeps_every_replica_busy(asked: Scenario) -> None:
    assert tokens_per_second(asked, 8, ONE_REPLICA).value == 800.0
    assert requests_per_second(asked, 8, ONE_REPLICA) == 16.0


def test_a_million_tokens_cost_less_at_the_fast_end_and_more_at_the_slow_end() -> None:
    """Eight machines are $8 an hour for 1.62, 2.025 or 1.296 million tokens: $4.94 between $3.95 and $6.17."""
    cost = plan_cost(Scenario(concurrency=9), DOLLAR, 8, 8, ONE_REPLICA)
    assert cost is not None
    assert cost.usd_per_month == 8 * 730
    assert float(cost.usd_per_million_output_tokens or 0) == pytest.approx(4.938272, rel=1e-6)
    assert float(cost.usd_per_million_low or 0) == pytest.approx(3.950617, rel=1e-6)
    assert float(cost.usd_per_million_high or 0) == pytest.approx(6.172840, rel=1e-6)


def test_a_replica_alone_costs_its_share_of_an_hour_over_its_own_throughput() -> None:
    """Two machines at $1 carry two replicas: $1 over 125 x 0.0036 = 0.45 million tokens, and over 0.288."""
    cost = plan_cost(Scenario(), DOLLAR, 2, 2, None)
    assert cost is not None
    least, most = usd_per_million_between(cost, 2, ONE_REPLICA.output_tok_per_s)
    assert (float(least), float(most)) == pytest.approx((2.222222, 3.472222), rel=1e-6)


def test_without_a_speed_there_is_a_month_and_no_price_of_a_token() -> None:
    cost = plan_cost(Scenario(concurrency=9, hours=Decimal(100)), DOLLAR, 8, 8, None)
    assert cost is not None
    assert (cost.usd_per_month, cost.usd_per_million_output_tokens, cost.usd_per_million_low) == (800, None, None)
    assert plan_cost(Scenario(), None, 8, 8, ONE_REPLICA) is None
