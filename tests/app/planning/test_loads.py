"""A scenario in the estimators' words: how a total is split over replicas, and what the engine is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.planning.loads import busy_replicas, settings_of, speculation_of, workload_of
from app.scenario import LoadMode, Scenario
from estimators.workload import Load


def test_nine_requests_over_eight_replicas_are_two_each_and_four_and_a_half_busy() -> None:
    scenario = Scenario(concurrency=9)
    assert workload_of(scenario, 8).concurrency == 2
    assert busy_replicas(scenario, 8) == 4.5


def test_a_rate_is_split_evenly_and_keeps_every_replica_busy() -> None:
    scenario = Scenario(rate=20)
    load = workload_of(scenario, 8)
    assert (load.load, load.requests_per_second, load.concurrency) == (Load.RATE, 2.5, None)
    assert busy_replicas(scenario, 8) == 8


@pytest.mark.parametrize(
    ("scenario", "kind", "flight"),
    [
        (Scenario(), Load.CONCURRENCY, 1),
        (Scenario(load=LoadMode.MAX), Load.MAX, None),
        (Scenario(load=LoadMode.BATCH, concurrency=64), Load.BATCH, 64),
    ],
)
def test_the_kinds_of_load(scenario: Scenario, kind: Load, flight: int | None) -> None:
    load = workload_of(scenario, 1)
    assert (load.load, load.concurrency) == (kind, flight)


@given(requests=st.integers(1, 10_000), replicas=st.integers(1, 500))
def test_replicas_together_hold_at_least_the_total(requests: int, replicas: int) -> None:
    share = workload_of(Scenario(concurrency=requests), replicas).concurrency or 0
    assert share * replicas >= requests
    assert share * busy_replicas(Scenario(concurrency=requests), replicas) == pytest.approx(requests)


def test_a_name_that_is_no_method_is_a_draft_model() -> None:
    found = speculation_of(Scenario(spec="meta-llama/Llama-3.2-1B-Instruct", spec_tokens=5, accept=0.7))
    assert found is not None
    assert (found.method, found.tokens, found.acceptance) == ("draft", 5, 0.7)
    assert found.draft_model == "meta-llama/Llama-3.2-1B-Instruct"
    assert speculation_of(Scenario()) is None
    assert settings_of(Scenario(spec="ngram")).speculation is not None
