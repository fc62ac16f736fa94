"""What a measurement does to an interval, and what it may not touch."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimators.latency.estimate import Interval
from estimators.measuring.measurement import RepeatedReadings
from estimators.measuring.narrowing import EstimatedCase, is_sibling, with_measurements
from estimators.precision import Weights
from estimators.workload import Engine
from tests.profiling_samples import measurement, spread

CASE = EstimatedCase(
    engine="transformers",
    accelerator="A10G",
    gpus=1,
    model="meta-llama/Llama-3.1-8B-Instruct",
    config_digest="00112233aabbccdd",
    weights="bf16",
    prompt_tokens=128,
    output_tokens=64,
    batch=1,
)
ESTIMATE = Interval(value=0.010, low=0.007, high=0.014)


def narrowed(*made, metric: str = "itl_s", **more):
    return with_measurements(ESTIMATE, made, metric=metric, case=CASE, **more)


def test_a_measurement_of_the_case_outweighs_the_estimate() -> None:
    """s = ln(2) / 2.563 = 0.270 against hypot(0.05, 0.01) = 0.051: 96.6 % of the weight is the measurement's."""
    found = narrowed(measurement(itl_s=spread(0.012, cv=0.01)))
    assert found.interval.value == pytest.approx(0.011925, rel=1e-3)
    assert found.interval.low == pytest.approx(0.011171, rel=1e-3)
    assert found.interval.high == pytest.approx(0.012730, rel=1e-3)
    assert (found.same_case, found.siblings) == (1, 0)


@pytest.mark.parametrize(
    "other",
    [{"engine": Engine.VLLM}, {"accelerator": "L4"}, {"accelerator": ""}, {"gpus": 2}],
    ids=["another engine", "another accelerator", "no accelerator", "more GPUs"],
)
def test_only_the_same_engine_and_accelerator_speak(other: dict[str, object]) -> None:
    found = narrowed(measurement(**other), floor_s=0.008, floor_of=lambda m: 0.008)
    assert not found.changed
    assert found.interval == ESTIMATE


def test_a_sibling_is_carried_over_by_its_roofline_and_widens() -> None:
    """24 ms at twice the roofline is 12 ms here, with s = hypot(0.11, 0.05, 0.01, 0.68 ln 2) = 0.487."""
    sibling = measurement(config_digest="f" * 16, itl_s=spread(0.024))
    found = narrowed(sibling, floor_s=0.008, floor_of=lambda m: 0.016)
    exact = narrowed(measurement(itl_s=spread(0.012)))
    assert (found.same_case, found.siblings) == (0, 1)
    assert found.sentence.startswith("Carried over from 1 measurement of other cases")
    assert found.interval.high / found.interval.low > exact.interval.high / exact.interval.low
    # The weights are 1 / 0.270^2 = 13.7 and 1 / 0.487^2 = 4.2: exp(0.235 ln 1.2) x 10 ms = 10.44 ms.
    assert found.interval.value == pytest.approx(0.01044, rel=2e-3)


def test_a_sibling_of_nearly_the_same_shape_outweighs_the_estimate() -> None:
    """At a roofline 5 % away s = hypot(0.2, 0.05, 0.01, 0.63 ln 1.05) = 0.209: 62 % of the weight."""
    found = narrowed(measurement(prompt_tokens=180, itl_s=spread(0.0126)), floor_s=0.008, floor_of=lambda m: 0.0084)
    assert found.interval.value == pytest.approx(0.010 * 1.2**0.624, rel=3e-3)
    assert found.interval.high / found.interval.value == pytest.approx(1.307, rel=5e-3)


@pytest.mark.parametrize(
    "other", [{"weights": Weights.INT4}, {"batch": 3}], ids=["another precision", "a larger batch"]
)
def test_what_is_bound_by_something_else_is_no_sibling(other: dict[str, object]) -> None:
    assert not narrowed(measurement(**other), floor_s=0.008, floor_of=lambda m: 0.008).changed


def test_the_case_itself_silences_its_siblings() -> None:
    found = narrowed(measurement(), measurement(prompt_tokens=512), floor_s=0.008, floor_of=lambda m: 0.008)
    assert (found.same_case, found.siblings) == (1, 0)


def test_siblings_need_a_floor() -> None:
    assert not narrowed(measurement(batch=8)).changed


def test_lengths_within_five_percent_are_the_same_case() -> None:
    assert narrowed(measurement(prompt_tokens=127)).same_case == 1
    assert narrowed(measurement(prompt_tokens=120)).same_case == 0


def test_an_unstable_or_shallow_run_counts_less() -> None:
    steady = narrowed(measurement(itl_s=spread(0.012, cv=0.01))).interval
    for doubtful in (measurement(itl_s=spread(0.012, cv=0.2)), measurement(itl_s=spread(0.012), layers_measured=4)):
        interval = narrowed(doubtful).interval
        assert interval.high / interval.low > steady.high / steady.low
        assert interval.value < steady.value


def test_what_was_not_measured_says_nothing() -> None:
    assert not narrowed(measurement(ttft_s=None), metric="ttft_s").changed


def test_of_many_siblings_the_twenty_of_the_nearest_rooflines_speak() -> None:
    """Twenty of the case's own roofline read 10 ms, as was estimated; twenty of three times that would say 20 ms. Near
    ones have s = hypot(0.05, 0.01, 0.20) = 0.2064: 10 ms within exp(1.2816 x 0.2064) = 1.3028 either way."""
    near = [measurement(prompt_tokens=300 + n, itl_s=spread(0.010)) for n in range(20)]
    far = [measurement(prompt_tokens=3000 + n, itl_s=spread(0.060)) for n in range(20)]
    found = narrowed(*far, *near, floor_s=0.008, floor_of=lambda made: 0.024 if made.prompt_tokens > 999 else 0.008)
    assert found.siblings == 20
    assert found.interval.value == pytest.approx(0.010)
    assert found.interval.low == pytest.approx(0.010 / 1.3028, rel=1e-3)
    assert found.interval.high == pytest.approx(0.010 * 1.3028, rel=1e-3)


def test_many_repeats_are_no_surer_than_the_best_of_them() -> None:
    """Fifty of the case: s stays that of one, hypot(0.05, 0.01) = 0.051, and 12 ms lies within 1.0675 either way."""
    found = narrowed(*[measurement(itl_s=spread(0.012))] * 50).interval
    assert found.value == pytest.approx(0.012, rel=1e-3)
    assert (found.value / found.low, found.high / found.value) == pytest.approx((1.0675, 1.0675), rel=1e-3)


@pytest.mark.parametrize(("batch", "kin"), [(1, False), (2, True), (4, True), (8, True), (9, False)])
def test_a_sibling_has_at_least_half_and_at_most_twice_the_batch(batch: int, kin: bool) -> None:
    made = measurement(prompt_tokens=512, batch=batch)
    assert is_sibling(made, replace(CASE, batch=4)) is kin


@pytest.mark.parametrize(("metric", "wide"), [("ttft_s", 0.55), ("itl_s", 0.20), ("e2e_s", 0.18)])
def test_each_time_is_carried_over_with_a_spread_of_its_own(metric: str, wide: float) -> None:
    """At the same roofline: s = hypot(0.05, 0.01, the time's own), under an estimate of no use (1 ms to 100 ms)."""
    vague = Interval(value=0.010, low=0.001, high=0.100)
    sibling = measurement(prompt_tokens=512, **{metric: spread(0.010)})
    found = with_measurements(vague, [sibling], metric=metric, case=CASE, floor_s=0.001, floor_of=lambda _: 0.001)
    expected = math.exp(1.2816 * math.hypot(0.05, 0.01, wide))
    assert found.interval.high / found.interval.value == pytest.approx(expected, rel=1e-6)
    assert found.interval.value / found.interval.low == pytest.approx(expected, rel=1e-6)


def test_a_low_end_stops_at_the_roofline() -> None:
    """10 ms read against a floor of 9.8 ms: 10 / 1.0675 = 9.37 ms would be below what the machine can do."""
    tight = Interval(value=0.010, low=0.0099, high=0.014)
    found = with_measurements(tight, [measurement(itl_s=spread(0.010))], metric="itl_s", case=CASE, floor_s=0.0098)
    assert found.interval.low == pytest.approx(0.0098)
    free = with_measurements(tight, [measurement(itl_s=spread(0.010))], metric="itl_s", case=CASE)
    assert free.interval.low == pytest.approx(0.00937, rel=1e-3)


times = st.floats(min_value=1e-4, max_value=10)


@given(times, st.floats(min_value=0, max_value=1), st.floats(min_value=1e-4, max_value=0.0069))
def test_an_interval_never_widens_nor_goes_below_the_floor(median: float, cv: float, floor: float) -> None:
    made = measurement(itl_s=RepeatedReadings(median=median, low=median, high=median, cv=cv, n=5), weights=Weights.BF16)
    found = narrowed(made, floor_s=floor).interval
    assert floor <= found.low <= found.value <= found.high
    assert found.high / found.low <= ESTIMATE.high / ESTIMATE.low * (1 + 1e-9)
