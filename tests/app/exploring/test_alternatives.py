"""The next-best answers beside a verdict: only those that gain something."""

from __future__ import annotations

from app.exploring.alternatives import alternatives, quality_phrase
from app.planning.planner import plan
from app.scenario import Scenario
from app.sources import shared_sources
from estimators.precision import Weights

SMALL = "meta-llama/Llama-3.1-8B-Instruct"


def lines(**fields: object) -> tuple[str, ...]:
    sources = shared_sources()
    return alternatives(plan(Scenario(**{"model": SMALL, **fields}), sources), sources)  # type: ignore[arg-type]


def in_precision(found: tuple[str, ...], name: str) -> list[str]:
    return [line for line in found if line.startswith(f"In {name}:")]


def test_a_precision_that_holds_more_on_the_same_machine_says_how_much() -> None:
    """Half the bytes of weights leave an L4 room for 71 requests of 1,152 tokens instead of 25."""
    assert "holds 76 requests at once instead of 30" in in_precision(lines(), "INT8")[0]


def test_what_is_held_is_that_of_all_replicas() -> None:
    """INT8 holds 71 to an L4 where BF16 holds 25: of 2 copies, 142 instead of 50."""
    assert "holds 152 requests at once instead of 60" in in_precision(lines(concurrency=2, replicas=2), "INT8")[0]


def test_a_precision_that_gains_nothing_is_not_offered() -> None:
    """INT8 has FP8's bytes: same machine, same cost, same room."""
    found = lines(weights=Weights.FP8)
    assert in_precision(found, "INT8") == []
    assert len(in_precision(found, "INT4")) == 1


def test_a_precision_that_costs_more_is_not_offered() -> None:
    """Under a heavy rate INT4 computes in 16 bits: it needs more machines than BF16 does."""
    found = lines(rate=5000.0)
    assert in_precision(found, "INT4") == []
    assert len(in_precision(found, "INT8")) == 1


def test_the_quality_named_is_that_of_suite_averages() -> None:
    assert "averages over suites of tasks" in quality_phrase(SMALL, Weights.INT4)
    assert quality_phrase(None, Weights.INT4) == "no published comparison of suite averages"
