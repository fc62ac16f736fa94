"""The ends of an interval: which cell of the table they come from, and which constant makes which end."""

from __future__ import annotations

import math

import pytest

from estimators.latency import intervals
from estimators.latency.estimate import Interval
from estimators.latency.intervals import Spread, around, find_spread, rate_around

# Of measurements of 10 ms by the estimate, one in ten is below 8 ms and one in ten above 12.5 ms.
WIDE = Spread(low=math.log(0.8), high=math.log(1.25), rows=40, cell="")
ABOVE = Spread(low=math.log(1.1), high=math.log(1.3), rows=40, cell="")  # nine in ten were slower than estimated
BELOW = Spread(low=math.log(0.7), high=math.log(0.9), rows=40, cell="")


def ends(found: Interval) -> tuple[float, float, float]:
    return pytest.approx((found.low, found.value, found.high))


def test_a_time_lies_between_its_quantiles() -> None:
    assert ends(around(0.010, WIDE)) == (0.0080, 0.010, 0.0125)


def test_an_interval_holds_its_value_where_all_measurements_lie_on_one_side() -> None:
    assert ends(around(0.010, ABOVE)) == (0.010, 0.010, 0.013)
    assert ends(around(0.010, BELOW)) == (0.007, 0.010, 0.010)
    assert ends(rate_around(100.0, ABOVE)) == (100.0, 100.0, 130.0)
    assert ends(rate_around(100.0, BELOW)) == (70.0, 100.0, 100.0)


def test_the_low_end_of_a_time_stops_at_the_physical_floor_and_never_above_the_value() -> None:
    assert ends(around(0.010, WIDE, floor=0.009)) == (0.009, 0.010, 0.0125)
    assert ends(around(0.010, WIDE, floor=0.011)) == (0.010, 0.010, 0.0125)


def test_the_high_end_of_a_rate_stops_at_its_ceiling_and_never_below_the_value() -> None:
    assert ends(rate_around(100.0, WIDE)) == (80.0, 100.0, 125.0)
    assert ends(rate_around(100.0, WIDE, ceiling=110.0)) == (80.0, 100.0, 110.0)
    assert ends(rate_around(100.0, WIDE, ceiling=90.0)) == (80.0, 100.0, 100.0)


def spread(rows: int) -> Spread:
    return Spread(low=-0.1 * rows, high=0.2 * rows, rows=rows, cell=f"cell {rows}")


def test_the_narrowest_cell_with_rows_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kind, metric, evidence and path; then without path; then without evidence; and with nothing, half either way in
    logarithms: 10 ms within 10 / e^0.5 = 6.07 ms and 10 e^0.5 = 16.5 ms."""
    table = {
        ("concurrency", "ttft", "chip", "fp8"): spread(1),
        ("concurrency", "ttft", "chip", ""): spread(2),
        ("concurrency", "ttft", "", ""): spread(3),
    }
    monkeypatch.setattr(intervals, "spreads", lambda: table)
    find = find_spread.__wrapped__
    assert find("concurrency", "ttft", "chip", "fp8").rows == 1
    assert find("concurrency", "ttft", "chip", "int4").rows == 2
    assert find("concurrency", "ttft", "class", "fp8").rows == 3
    unknown = around(0.010, find("concurrency", "tpot", "chip", "fp8"))
    assert (unknown.low, unknown.high) == pytest.approx((0.006065, 0.016487), rel=1e-4)


def test_the_table_gives_a_low_and_a_high_quantile_in_that_order() -> None:
    """Single streams end to end of a measured chip: q10 is negative and q90 positive, and every cell is in order."""
    assert all(found.low <= found.high for found in intervals.spreads().values())
    single = find_spread("single_stream", "e2e", "chip", "")
    assert single.low < 0 < single.high
