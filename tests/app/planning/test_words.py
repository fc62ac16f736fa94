"""What is said of a limit: its margin, its side, and where it may miss."""

from __future__ import annotations

import pytest

from app.format import seconds
from app.planning.plan import Limit
from app.planning.planner import plan
from app.planning.recommendation import Ranked
from app.planning.words import cautions, left_text
from app.scenario import Scenario
from app.sources import shared_sources


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (Limit(key="ttft", limit=1.0, value=0.9), "10 % below the limit"),
        (Limit(key="ttft", limit=1.0, value=1.3), "30 % above the limit"),
        (Limit(key="ttft", limit=1.0, value=0.9, high=1.2), "10 % below the limit, may miss: interval to 1.20 s"),
        (Limit(key="memory", limit=100.0, value=98.5), "2 % below the limit: tight"),
        (Limit(key="memory", limit=100.0, value=97.0), "3 % below the limit"),
        (Limit(key="quality", limit=0.8, value=0.9, floor=True), "+10.0 points to the bar"),
        (Limit(key="quality", limit=0.8, value=0.75, floor=True), "-5.0 points to the bar"),
        (Limit(key="quality", limit=0.8, value=None, floor=True), "unknown"),
    ],
)  # fmt: skip
def test_what_is_left_of_a_limit(limit: Limit, said: str) -> None:
    assert left_text(limit) == said


def test_the_whole_request_is_told_with_both_ends_where_no_limit_was_set_on_it() -> None:
    """A 95th percentile within the relative interval of its mean."""
    exact = plan(Scenario(model="meta-llama/Llama-3.1-8B-Instruct", instance="g6.xlarge"), shared_sources())
    chosen = exact.chosen
    assert chosen is not None
    assert chosen.latency is not None
    mean, late = chosen.latency.e2e_s, chosen.latency.e2e_p95_s
    low, high = late * mean.low / mean.value, late * mean.high / mean.value
    (said,) = cautions(Ranked(candidate=chosen, plan=exact, next_cheaper=None))
    assert said == f"P95 whole request: {seconds(late)} (80 % interval {seconds(low)} to {seconds(high)})."
