"""Bills and token prices of a plan, worked by hand from its machines."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from app.exploring.token_cost import bill_of, output_weight, prices_of_tokens
from app.planning.planner import plan
from app.scenario import Scenario
from app.sources import shared_sources
from estimators.latency.estimate import OperatorTime
from estimators.provenance import Term
from pricing.bill import Extras
from pricing.hours import always, business_hours
from tests.app.planning.test_costs import ONE_REPLICA

MODEL = "meta-llama/Llama-3.1-8B-Instruct"


def test_replicas_that_share_a_machine_are_billed_once() -> None:
    result = plan(Scenario(model=MODEL, instance="g5.12xlarge", gpus=1, replicas=4), shared_sources())
    bill = bill_of(result, always(), Extras(), spare=0, start_hours=0)
    assert bill is not None
    assert result.chosen is not None
    assert result.chosen.cost is not None
    assert bill.usd_per_month == result.chosen.cost.usd_per_month
    assert bill.mean_instances == 1


def test_business_hours_with_a_spare_machine() -> None:
    result = plan(Scenario(model=MODEL, instance="g5.xlarge", concurrency=20, replicas=2), shared_sources())
    bill = bill_of(result, business_hours(), Extras(), spare=1, start_hours=0)
    assert bill is not None
    assert bill.usd_per_month.quantize(Decimal("0.01")) == Decimal("655.70")  # 3 x 50 h x 730/168 x $1.006


def test_tokens_pay_for_the_machines_and_half_use_doubles_them() -> None:
    result = plan(Scenario(model=MODEL, instance="g5.xlarge", concurrency=8), shared_sources())
    full, half = prices_of_tokens(result, 1.0), prices_of_tokens(result, 0.5)
    assert full is not None
    assert half is not None
    assert half.usd_per_million_output == pytest.approx(2 * full.usd_per_million_output)
    assert result.chosen is not None
    assert result.chosen.latency is not None
    requests = result.chosen.latency.req_per_s.value
    hourly = (
        3600 * requests * (1024 * float(full.usd_per_million_input) + 128 * float(full.usd_per_million_output)) / 1e6
    )
    assert hourly == pytest.approx(1.006)


def _part(seconds: float) -> OperatorTime:
    return OperatorTime(name="", seconds=seconds, bytes=0, flops=0, bound="compute")


class _Steps:
    """A step of 20 ms and a prefill of 100 ms, each in two parts."""

    def decode_step(self) -> tuple[OperatorTime, ...]:
        return (_part(0.015), _part(0.005))

    def prefill_step(self) -> tuple[OperatorTime, ...]:
        return (_part(0.08), _part(0.02))

    def terms(self) -> tuple[Term, ...]:
        return ()


def test_an_output_token_weighs_its_share_of_a_step_against_its_share_of_a_prefill() -> None:
    """20 ms over 4 requests is 5 ms a token; 100 ms over 1,000 tokens 0.1 ms: it weighs as 50."""
    chosen = plan(Scenario(model=MODEL, instance="g6.xlarge"), shared_sources()).chosen
    assert chosen is not None
    assert chosen.latency is not None
    four = replace(ONE_REPLICA, running_requests=4.0, explanation=_Steps())
    assert output_weight(replace(chosen, latency=four), 1000) == pytest.approx(50.0)
    assert output_weight(replace(chosen, latency=None), 1000) is None
