"""How far carrying over was from published measurements."""

from __future__ import annotations

import math

import pytest

from estimators.fitting.carry_over_fit import METRICS, pairs, spread_of
from estimators.measuring.narrowing import Z80, spreads


def test_each_part_holds_four_pairs_in_five() -> None:
    """Alike pairs miss by 1 to 5 hundredths: 0.04 holds four, a = 0.04 / 1.2816. One e-fold away 0.1 to 0.5: 0.4."""
    alike = [(0.05, miss / 100) for miss in range(1, 6)]
    apart = [(1.0, -miss / 10) for miss in range(1, 6)]
    a, b = spread_of(alike + apart)
    assert a == pytest.approx(0.04 / Z80)
    assert math.hypot(a, b) == pytest.approx(0.4 / Z80)


@pytest.mark.parametrize("metric", METRICS)
def test_the_spreads_in_use_are_those_of_the_published_pairs(metric: str) -> None:
    """As of the day they were taken; rows that are added later may move them by a quarter."""
    a, b = spread_of(pairs(metric))
    assert spreads()[f"sibling_{metric}"] == pytest.approx(a, rel=0.25)
    assert spreads()[f"sibling_per_fold_{metric}"] == pytest.approx(b, rel=0.25)
