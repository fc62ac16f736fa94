"""Estimated against measured."""

from __future__ import annotations

from decimal import Decimal
from functools import partial

import pytest

from estimators.latency.estimate import Interval
from estimators.measuring.comparison import around_device_estimate, compare, verdict, vllm_serve_line
from pricing.cost import usd_per_million_tokens
from tests.profiling_samples import measurement, spread


def around(value: float) -> Interval:
    return Interval(value=value, low=value / 1.25, high=value * 1.25)


def test_ratio_is_measured_over_estimated() -> None:
    rows = {row.key: row for row in compare(measurement(itl_s=spread(0.036)), itl_s=around(0.030))}
    assert rows["itl_s"].ratio == pytest.approx(1.2)
    assert rows["ttft_s"].ratio is None


def test_dollars_per_million_tokens_on_the_evidence() -> None:
    """$1.006 an hour at 50 tokens/s: 1.006 x 10^6 / (3600 x 50) = $5.589."""
    rows = compare(
        measurement(output_tok_per_s=spread(50.0)),
        output_tok_per_s=around(40.0),
        usd_per_million=partial(usd_per_million_tokens, Decimal("1.006")),
    )
    cost = rows[-1]
    assert cost.measured == pytest.approx(5.5889, rel=1e-4)
    assert cost.estimated is not None
    assert cost.estimated.value == pytest.approx(6.9861, rel=1e-4)
    assert cost.ratio == pytest.approx(0.8)


def test_the_verdict_is_plain() -> None:
    good = measurement(itl_s=spread(0.036))
    assert verdict(compare(good, itl_s=around(0.030)), good).startswith("The estimate holds")
    bad = measurement(itl_s=spread(0.090))
    assert "3.00 times the estimate, more than expected" in verdict(compare(bad, itl_s=around(0.030)), bad)
    assert "no estimate" in verdict(compare(good), good)


def test_unstable_and_shallow_runs_are_said_to_be() -> None:
    shaky = measurement(itl_s=spread(0.03, cv=0.3), layers_measured=4)
    said = verdict(compare(shaky, itl_s=around(0.030)), shaky)
    assert "unstable" in said
    assert "4 of 32 layers" in said


def test_the_serve_line_is_safe_to_paste() -> None:
    assert vllm_serve_line("org/model", tp=2, max_model_len=4096, weights="bf16") == (
        "vllm serve org/model --load-format dummy --dtype bfloat16 --no-enable-prefix-caching "
        "--tensor-parallel-size 2 --max-model-len 4096"
    )
    assert "'a; rm -rf ~'" in vllm_serve_line("a; rm -rf ~")


def test_dollars_of_an_estimate_are_least_at_its_fast_end() -> None:
    """$360 over tokens a second: 20 within 16 to 25 are $18 within $14.40 to $22.50."""
    rows = compare(
        measurement(output_tok_per_s=spread(24.0, cv=0.25)),
        output_tok_per_s=Interval(value=20.0, low=16.0, high=25.0),
        usd_per_million=lambda rate: Decimal(360) / Decimal(repr(rate)),
    )
    (dollars,) = [row for row in rows if row.key == "usd_per_million_output_tokens"]
    estimated = dollars.estimated
    assert estimated is not None
    assert (estimated.low, estimated.value, estimated.high) == pytest.approx((14.4, 18.0, 22.5))
    assert (dollars.low, dollars.measured, dollars.high) == pytest.approx((12.0, 15.0, 20.0))  # 30, 24 and 18 a second


def test_an_estimate_from_a_devices_benchmark_is_within_a_quarter_either_way() -> None:
    found = around_device_estimate(0.010)
    assert (found.low, found.value, found.high) == pytest.approx((0.008, 0.010, 0.0125))
