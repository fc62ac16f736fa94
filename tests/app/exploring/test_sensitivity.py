"""Which assumption moves the cost most, and where it changes the machine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.exploring.sensitivity import SWING, assumptions_of, swings
from app.planning.planner import plan
from app.scenario import Scenario
from app.sources import shared_sources

SOURCES = shared_sources()
CHAT = Scenario(model="meta-llama/Llama-3.1-8B-Instruct", rate=2, ttft=1.0)


def test_only_what_the_scenario_assumes_is_moved() -> None:
    assert [a.key for a in assumptions_of(CHAT)] == ["rate", "prompt", "output", "hours", "ttft"]
    assert [a.key for a in assumptions_of(replace(CHAT, rate=None, ttft=None, concurrency=4))] == [
        "concurrency",
        "prompt",
        "output",
        "hours",
    ]


def test_hours_move_the_cost_in_proportion_and_flip_nothing() -> None:
    """730 / 1.5 = 486.667 hours cost two thirds, whatever the machine."""
    found = {swing.assumption.key: swing for swing in swings(plan(CHAT, SOURCES), SOURCES)}
    hours = found["hours"]
    assert hours.usd_low == pytest.approx(hours.usd_now / SWING, rel=1e-5)
    assert hours.flips_at is None


def test_the_widest_swing_comes_first_and_a_flip_really_flips() -> None:
    now = plan(CHAT, SOURCES)
    assert now.chosen is not None
    found = swings(now, SOURCES)
    widths = [swing.width for swing in found]
    assert widths == sorted(widths, reverse=True)
    flipping = [swing for swing in found if swing.flips_at is not None and swing.flips_to != "no machine"]
    for swing in flipping:
        factor = (swing.flips_at or 0.0) / swing.assumption.value
        there = plan(swing.assumption.scaled(CHAT, factor), SOURCES).chosen
        assert there is not None
        assert there.label == swing.flips_to != now.chosen.label
