"""The pictures of a recommendation: ticks a person can read, names that do not cover one another, free hardware."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.exploring.sensitivity import Assumption, Swing
from app.figures.decisions import NAMES_APART, cost_against_latency, cost_against_quality, tornado
from app.planning.recommendation import Point

BASE = Point(
    model="org/Model-8B-Instruct", precision="INT8", accelerator="L4", usd_per_month=600.0, ttft_p95_s=0.5,
    tpot_p95_s=0.02, e2e_p95_s=5.0, quality=0.99, passes=True,
)  # fmt: skip


@given(low=st.floats(0.001, 10), times=st.floats(1.01, 1000))
def test_a_latency_axis_has_at_least_three_ticks_and_not_a_crowd(low: float, times: float) -> None:
    points = [replace(BASE, ttft_p95_s=low), replace(BASE, ttft_p95_s=low * times, usd_per_month=300.0)]
    ticks = cost_against_latency(points, "ttft", None).layout.xaxis.tickvals
    assert 3 <= len(ticks) <= 12
    assert list(ticks) == sorted(ticks)


def test_times_per_token_are_drawn_in_milliseconds() -> None:
    """A limit of 20 ms stands at 20, log10 1.30."""
    figure = cost_against_latency([BASE], "tpot", 0.02)
    assert figure.layout.xaxis.title.text.endswith("ms")
    assert figure.layout.shapes[0].x0 == pytest.approx(20)
    assert figure.data[0].x == (20.0,)


@given(costs=st.lists(st.floats(100, 1e6), min_size=2, max_size=30, unique=True))
def test_names_on_the_front_stand_apart(costs: list[float]) -> None:
    """Names are left out rather than drawn over one another, and the cheapest plan always has its own."""
    costs.sort()
    points = [
        replace(BASE, usd_per_month=cost, ttft_p95_s=10.0 / (1 + at), model=f"m/{at}") for at, cost in enumerate(costs)
    ]
    front = cost_against_latency(points, "ttft", None).data[-1]
    named = [y for y, text in zip(front.y, front.text, strict=True) if text]
    assert min(costs) in named
    gaps = [later / earlier for earlier, later in zip(sorted(named), sorted(named)[1:], strict=False)]
    height = max(max(cost for cost in costs if cost <= 100 * costs[0]) / costs[0], 10**0.1)
    assert all(gap >= height ** (NAMES_APART * 0.999) for gap in gaps)


def test_hardware_that_costs_nothing_does_not_break_the_picture() -> None:
    free = replace(BASE, usd_per_month=0.0)
    assert cost_against_latency([free, BASE], "e2e", 6.0).layout.yaxis.type == "log"
    assert cost_against_quality([free], 0.99, "ref").layout.yaxis.type == "log"


def test_quality_is_drawn_once_per_model_and_precision_and_never_guessed() -> None:
    dearer, unknown = replace(BASE, accelerator="H100", usd_per_month=4000.0), replace(BASE, model="x/y", quality=None)
    figure = cost_against_quality([BASE, dearer, unknown], 0.99, "ref")
    assert figure.data[0].x == (99.0,)
    assert figure.data[0].y == (600.0,)


def test_bars_of_the_sensitivity_start_at_the_cost_now_and_reach_to_each_end() -> None:
    """$600 now, $400 a third less, $1,000 half more: 200 to the left and 400 to the right of 600."""
    assumption = Assumption(key="rate", name="Requests a second", value=2.0, at=lambda scenario, _: scenario)
    swing = Swing(assumption=assumption, usd_low=400.0, usd_high=1000.0, usd_now=600.0)
    less, more = tornado([swing]).data
    assert (less.base[0], less.x[0], less.name) == (600.0, -200.0, "a third less")
    assert (more.base[0], more.x[0], more.name) == (600.0, 400.0, "half more")
