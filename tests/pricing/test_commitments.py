"""Commitments worked by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimators.provenance import Refusal
from pricing.commitments import best_mix, break_even_share, risk_of, week_of, week_text

D = Decimal
OFFICE = ((1, D("512.74")), (4, D("217.26")))  # four machines for 50 of 168 hours, one otherwise


def test_a_year_at_65_percent_of_the_price_pays_from_65_percent_of_the_hours() -> None:
    assert break_even_share(D("0.52312"), D("0.8048")) == D("0.65")
    assert break_even_share(D("1.01"), D("1")) is None
    assert break_even_share(D("1"), D("0")) is None


def test_the_mix_commits_what_is_on_all_week_and_leaves_the_peak() -> None:
    found = best_mix(OFFICE, D("0.65"), D("1"))
    assert found.baseline == 1
    assert found.usd_per_month == D("1126.28")  # 730 x 0.65 + 3 x 217.26
    assert found.on_demand_usd == D("1381.78")  # 512.74 + 4 x 217.26
    assert found.committed_usd == D("1898")  # 4 x 730 x 0.65
    assert found.saving_usd == D("255.50")


def test_a_commitment_dear_enough_is_left_alone_and_a_cheap_one_takes_the_peak() -> None:
    assert best_mix(OFFICE, D("1.1"), D("1")).baseline == 0
    assert best_mix(OFFICE, D("0.29"), D("1")).baseline == 4  # the peak works 29.8 % of the hours


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 300)), min_size=1), st.integers(1, 99))
def test_no_pure_way_beats_the_mix(use: list[tuple[int, int]], cents: int) -> None:
    found = best_mix([(machines, D(hours)) for machines, hours in use], D(cents) / 100, D(1))
    assert found.saving_usd >= 0


def test_three_of_ten_idle_and_the_year_still_saves() -> None:
    found = risk_of(((7, D(730)),), committed=10, years=1, committed_price=D("0.65"), on_demand_price=D("1"))
    assert found.idle_usd_of_term == D("17082")  # 3 x 0.65 x 730 x 12
    assert found.regret_usd_of_term == D("-4380")  # (6.5 - 7) x 730 x 12


def test_one_machine_fewer_and_it_loses() -> None:
    found = risk_of(((6, D(730)),), committed=10, years=3, committed_price=D("0.65"), on_demand_price=D("1"))
    assert found.regret_usd_of_term == D("13140")  # (6.5 - 6) x 730 x 36


def test_growth_is_bought_on_demand_beside_the_commitment() -> None:
    found = risk_of(((13, D(100)),), committed=10, years=1, committed_price=D("0.5"), on_demand_price=D("1"))
    assert found.committed_usd == D("3950")  # 10 x 0.5 x 730 + 3 x 100
    assert found.idle_usd == 0


def test_a_week_in_words() -> None:
    assert week_of("always").mean == 1
    assert week_of("8-18x5@20").shares[:9] == (*(0.2,) * 8, 1.0)
    assert week_of("8-18x5").shares[167] == 0


def test_a_week_of_a_letter_an_hour() -> None:
    """a is nothing, k half and u all of the peak; 0.33 goes to the nearest 5 %, 35 %."""
    text = "k" + "a" * 166 + "u"
    assert week_of(text).shares == (0.5, *(0.0,) * 166, 1.0)
    assert week_text(week_of(text).shares) == text
    assert week_text((0.0, 0.33, 1.0)) == "ahu"


@pytest.mark.parametrize("text", ["18-8x5", "0-25x5", "8-18x5@101", "a" * 168])
def test_a_week_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(Refusal):
        week_of(text)
