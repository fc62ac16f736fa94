"""One's own measurement laid over a plan: same case only, and everything that follows from it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from app.measuring import overlay
from app.measuring.overlay import beside_plan, effects, sentences, with_own_measurements
from app.planning.plan import Plan
from app.planning.planner import plan
from app.scenario import Scenario
from app.sources import shared_sources
from estimators.latency.estimate import Interval
from estimators.measuring.measurement import DeviceFacts, Measurement, RepeatedReadings, Way
from estimators.measuring.narrowing import Narrowed
from estimators.precision import Weights
from estimators.workload import Engine
from tests.app.planning.test_costs import ONE_REPLICA

MODEL = "Qwen/Qwen2.5-7B-Instruct"


def planned() -> Plan:
    return plan(Scenario(model=MODEL, weights=Weights.BF16, instance="g6.xlarge"), shared_sources())


def measured(**changes: object) -> Measurement:
    found = Measurement(
        id="m1",
        way=Way.ENDPOINT,
        model=MODEL,
        engine=Engine.VLLM,
        accelerator="L4",
        device=DeviceFacts(name="NVIDIA L4", kind="cuda"),
        weights=Weights.BF16,
        prompt_tokens=1024,
        output_tokens=128,
        batch=1,
        ttft_s=RepeatedReadings.of([0.300, 0.301, 0.299]),
        itl_s=RepeatedReadings.of([0.0600, 0.0601, 0.0599]),
        e2e_s=RepeatedReadings.of([7.92, 7.93, 7.91]),
        measured_at=datetime(2026, 11, 21, tzinfo=UTC),
        provenance="a test",
    )
    return replace(found, **changes)  # type: ignore[arg-type]


def test_a_measurement_of_the_case_moves_and_narrows_it() -> None:
    before = planned()
    after = with_own_measurements(before, [measured()])
    assert before.chosen is not None
    assert before.chosen.latency is not None
    assert after.chosen is not None
    assert after.chosen.latency is not None
    old, new = before.chosen.latency.tpot_s, after.chosen.latency.tpot_s
    assert abs(new.value - 0.060) < abs(old.value - 0.060) or new.value == pytest.approx(0.060, rel=0.02)
    assert new.high / new.low < old.high / old.low
    assert len(after.chosen.notes) == len(before.chosen.notes) + 1


def test_dollars_per_token_follow_the_measured_speed() -> None:
    before, after = planned(), with_own_measurements(planned(), [measured()])
    assert before.chosen is not None
    assert before.chosen.latency is not None
    assert before.chosen.cost is not None
    assert after.chosen is not None
    assert after.chosen.latency is not None
    assert after.chosen.cost is not None
    faster = after.chosen.latency.output_tok_per_s.value / before.chosen.latency.output_tok_per_s.value
    cheaper = before.chosen.cost.usd_per_million_output_tokens / after.chosen.cost.usd_per_million_output_tokens  # type: ignore[operator]
    assert float(cheaper) == pytest.approx(faster)
    assert after.chosen.cost.usd_per_month == before.chosen.cost.usd_per_month


@pytest.mark.parametrize(
    "changes",
    [{"engine": Engine.TRANSFORMERS}, {"accelerator": "A10G"}, {"gpus": 2}],
    ids=["another engine", "another accelerator", "another count"],
)
def test_a_measurement_of_something_else_changes_nothing(changes: dict[str, object]) -> None:
    before = planned()
    assert with_own_measurements(before, [measured(**changes)]) == before


def test_a_sibling_is_carried_over_with_a_wider_interval() -> None:
    """The same server at twice the prompt: its roofline is 0.4 % higher a step, so its step is taken as this case's."""
    before = planned()
    sibling = with_own_measurements(before, [measured(prompt_tokens=2048)])
    exact = with_own_measurements(before, [measured()])
    moved = {found.label: found for found in effects(before, sibling)}
    direct = {found.label: found for found in effects(before, exact)}
    step, same = moved["Time per output token"].after, direct["Time per output token"].after
    assert abs(step.value - 0.060) < abs(moved["Time per output token"].before.value - 0.060)
    assert step.high / step.low > same.high / same.low
    (said,) = [note for note in sentences(before, sibling) if "Carried over" in note]
    assert said == "Carried over from 1 measurement of other cases by the ratio of their rooflines: vllm on L4."
    assert any(note.startswith("Narrowed by 1 measurement of this case") for note in sentences(before, exact))


def test_another_models_measurement_moves_the_step_by_the_ratio_of_rooflines() -> None:
    """On an L4 a step takes at least 20.7 ms of the 3B and 47.3 ms of the 7B: 40 ms there speaks for 91 ms here."""
    before = planned()
    small = measured(model="Qwen/Qwen2.5-3B-Instruct", itl_s=RepeatedReadings.of([0.0400, 0.0401, 0.0399]))
    moved = {found.label: found for found in effects(before, with_own_measurements(before, [small]))}
    step = moved["Time per output token"]
    assert step.before.value < step.after.value < 0.0914


def test_a_model_nobody_can_size_is_no_sibling() -> None:
    before = planned()
    assert with_own_measurements(before, [measured(model="acme/unknown")]) == before


def test_what_was_measured_stands_beside_the_estimate() -> None:
    rows = {row.key: row for row in beside_plan(planned(), measured())}
    assert rows["itl_s"].measured == pytest.approx(0.060)
    assert rows["itl_s"].estimated is not None
    assert rows["itl_s"].ratio is not None


def test_another_models_measurement_has_no_estimate_beside_it() -> None:
    rows = beside_plan(planned(), measured(model="acme/other"))
    assert all(row.estimated is None for row in rows)


def test_rates_move_as_the_whole_request_does_and_are_high_where_it_is_short() -> None:
    """A request of 1 s within 0.8 to 1.25 s is narrowed to 0.8 s within 0.75 to 1.0 s: a quarter faster. 100 tokens a
    second become 125, within 125 x 0.8 / 1.0 = 100 and 125 x 0.8 / 0.75 = 133.3."""
    shorter = Narrowed(interval=Interval(value=0.8, low=0.75, high=1.0), same_case=1, siblings=0, sentence="")
    same = Narrowed(interval=Interval(value=1.0, low=0.8, high=1.25), same_case=1, siblings=0, sentence="")
    half = Narrowed(interval=Interval(value=0.5, low=0.4, high=0.6), same_case=1, siblings=0, sentence="")
    slow = replace(ONE_REPLICA, ttft_p95_s=3.0, tpot_p95_s=2.0, e2e_p95_s=1.5)
    found = overlay._narrowed(slow, {"ttft_s": half, "tpot_s": same, "e2e_s": shorter})
    tokens, requests = found.output_tok_per_s, found.req_per_s
    assert (tokens.low, tokens.value, tokens.high) == pytest.approx((100.0, 125.0, 133.3333), rel=1e-5)
    assert (requests.low, requests.value, requests.high) == pytest.approx((2.0, 2.5, 2.66667), rel=1e-5)
    assert (found.ttft_s, found.tpot_s, found.e2e_s) == (half.interval, same.interval, shorter.interval)
    assert (found.ttft_p95_s, found.tpot_p95_s, found.e2e_p95_s) == pytest.approx((1.5, 2.0, 1.2))


def test_a_measured_range_of_dollars_is_that_of_the_measured_throughput() -> None:
    """One L4 at p dollars an hour: p x 10^6 / 3600 over tokens a second, the fast end the cheap one."""
    chosen = with_own_measurements(planned(), [measured()]).chosen
    assert chosen is not None
    assert chosen.latency is not None
    assert chosen.cost is not None
    tokens, hourly = chosen.latency.output_tok_per_s, float(chosen.cost.usd_per_hour)
    assert float(chosen.cost.usd_per_million_low or 0) == pytest.approx(hourly / 0.0036 / tokens.high)
    assert float(chosen.cost.usd_per_million_high or 0) == pytest.approx(hourly / 0.0036 / tokens.low)


def test_beside_a_measurement_stand_both_ends_of_memory_and_dollars_of_one_replica() -> None:
    """Two replicas on two g6.xlarge: one is $0.8048 an hour, $223.56 for a million tokens at a token a second."""
    asked = Scenario(model=MODEL, weights=Weights.BF16, instance="g6.xlarge", concurrency=2, replicas=2)
    made = measured(output_tok_per_s=RepeatedReadings.of([16.0, 15.0, 17.0]), peak_memory_bytes=17 << 30)
    found = plan(asked, shared_sources())
    rows = {row.key: row for row in beside_plan(found, made)}
    assert found.chosen is not None
    assert found.chosen.memory is not None
    memory, held = rows["memory_bytes"].estimated, found.chosen.memory
    assert memory is not None
    assert (memory.low, memory.value, memory.high) == (
        held.memory_bytes_per_gpu_low,
        held.memory_bytes_per_gpu,
        held.memory_bytes_per_gpu_high,
    )
    dollars = rows["usd_per_million_output_tokens"]
    assert (dollars.low, dollars.measured, dollars.high) == pytest.approx(
        (223.5556 / 17, 223.5556 / 16, 223.5556 / 15), rel=1e-5
    )
