"""A limit with its margin, and the interval of a percentile: by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from app.planning.plan import Limit, p95_of
from estimators.latency.estimate import Interval
from tests.app.planning.test_costs import ONE_REPLICA


@pytest.mark.parametrize(
    ("value", "floor", "met", "shortfall"),
    [
        (1.3, False, False, 0.3),
        (0.75, False, True, -0.25),
        (1.0, False, True, 0.0),  # at the limit is within it
        (0.75, True, False, 0.25),
        (1.3, True, True, -0.3),
        (1.0, True, True, 0.0),
        (None, False, None, math.inf),
    ],
)
def test_a_limit_is_missed_by_a_share_of_itself(
    value: float | None, floor: bool, met: bool | None, shortfall: float
) -> None:
    limit = Limit(key="ttft", limit=1.0, value=value, floor=floor)
    assert limit.met is met
    assert limit.shortfall == pytest.approx(shortfall)


def test_a_limit_of_nothing_is_missed_without_end_by_anything() -> None:
    assert Limit(key="budget", limit=0.0, value=0.01).shortfall == math.inf
    assert Limit(key="budget", limit=0.0, value=0.0).shortfall == 0.0


@pytest.mark.parametrize(
    ("value", "high", "may_miss"), [(0.9, 1.2, True), (0.9, 1.0, False), (1.1, 1.3, False), (0.9, None, False)]
)
def test_a_limit_may_be_missed_where_it_is_met_and_the_upper_end_of_its_interval_is_past_it(
    value: float, high: float | None, may_miss: bool
) -> None:
    assert Limit(key="ttft", limit=1.0, value=value, low=0.5, high=high).may_miss is may_miss


def test_a_percentile_has_the_relative_interval_of_its_mean() -> None:
    """0.9 s, where the mean is 0.6 s within 0.5 to 0.8 s: 0.9 x 0.5 / 0.6 = 0.75 to 0.9 x 0.8 / 0.6 = 1.2 s."""
    slow = replace(ONE_REPLICA, ttft_s=Interval(value=0.6, low=0.5, high=0.8), ttft_p95_s=0.9)
    found = p95_of(slow, "ttft")
    assert (found.low, found.value, found.high) == pytest.approx((0.75, 0.9, 1.2))


def test_a_mean_of_nothing_has_no_interval() -> None:
    one_token = replace(ONE_REPLICA, tpot_s=Interval(value=0.0, low=0.0, high=0.0), tpot_p95_s=0.0)
    found = p95_of(one_token, "tpot")
    assert (found.low, found.value, found.high) == (0.0, 0.0, 0.0)
