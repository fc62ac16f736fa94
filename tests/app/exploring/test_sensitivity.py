"""Which assumption moves the cost most."""

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


def test_hours_move_the_cost_in_proportion() -> None:
    """730 / 1.5 = 486.667 hours cost two thirds, whatever the machine."""
    found = {swing.assumption.key: swing for swing in swings(plan(CHAT, SOURCES), SOURCES)}
    hours = found["hours"]
    assert hours.usd_low == pytest.approx(hours.usd_now / SWING, rel=1e-5)


def test_the_widest_swing_comes_first() -> None:
    widths = [swing.width for swing in swings(plan(CHAT, SOURCES), SOURCES)]
    assert widths == sorted(widths, reverse=True)


def test_a_month_has_no_more_hours_than_the_longest() -> None:
    hours = next(a for a in assumptions_of(CHAT) if a.key == "hours")
    assert hours.at(CHAT, 1_095.0).hours == 744
