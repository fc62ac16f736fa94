"""What a measurement does to an interval, and what it may not touch."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimators.latency.estimate import Interval
from estimators.measuring.measurement import RepeatedReadings
from estimators.measuring.narrowing import EstimatedCase, with_measurements
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
    """At a roofline 5 % away s = hypot(0.11, 0.05, 0.01, 0.68 ln 1.05) = 0.126: 82 % of the weight."""
    found = narrowed(measurement(prompt_tokens=180, itl_s=spread(0.0126)), floor_s=0.008, floor_of=lambda m: 0.0084)
    assert found.interval.value == pytest.approx(0.010 * 1.2**0.82, rel=3e-3)
    assert found.interval.high / found.interval.value == pytest.approx(1.175, rel=5e-3)


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


times = st.floats(min_value=1e-4, max_value=10)


@given(times, st.floats(min_value=0, max_value=1), st.floats(min_value=1e-4, max_value=0.0069))
def test_an_interval_never_widens_nor_goes_below_the_floor(median: float, cv: float, floor: float) -> None:
    made = measurement(itl_s=RepeatedReadings(median=median, low=median, high=median, cv=cv, n=5), weights=Weights.BF16)
    found = narrowed(made, floor_s=floor).interval
    assert floor <= found.low <= found.value <= found.high
    assert found.high / found.low <= ESTIMATE.high / ESTIMATE.low * (1 + 1e-9)
