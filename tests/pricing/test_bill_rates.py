"""Rates of what stands beside machines: bands worked by hand, and what the table holds."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.bill import CONTROL_PLANES, OWN_RATES, SUPPORT_PLANS
from pricing.bill_rates import banded_usd, bands_of

HERE = "us-east-1"


@pytest.mark.parametrize(
    ("line", "amount", "usd"),
    [
        ("eks", 730, "73"),
        ("eks-extended", 730, "438"),
        ("ecs", 730, "0"),
        ("transfer", 10_240, "921.6"),  # as the price list has it
        ("transfer", 20_000, "1751.2"),  # 921.60 + 9,760 x 0.085
        ("transfer", 200_000, "13891.2"),  # 921.60 + 3,481.60 + 7,168 + 46,400 x 0.05
        ("business-plus", 0, "29"),
        ("business-plus", 100, "29"),
        ("business-plus", 100_000, "6800"),  # 900 + 4,900 + 1,000
        ("business-plus", 300_000, "15800"),  # 900 + 4,900 + 8,500 + 1,500
        ("enterprise", 2_000_000, "94500"),  # 15,000 + 24,500 + 25,000 + 30,000
        ("unified-operations", 6_000_000, "390000"),  # 100,000 + 240,000 + 50,000
    ],
)
def test_each_part_of_an_amount_costs_its_band(line: str, amount: int, usd: str) -> None:
    assert banded_usd(bands_of(line, HERE), Decimal(amount)) == Decimal(usd)


def test_every_line_of_a_bill_has_a_rate_with_its_source_in_the_first_region() -> None:
    for line in (*CONTROL_PLANES, *SUPPORT_PLANS, *OWN_RATES):
        bands = bands_of(line, HERE)
        assert bands, line
        assert bands[0].from_amount == 0
        assert all(band.source and band.usd >= 0 for band in bands)
        assert len({band.from_amount for band in bands}) == len(bands)


def test_a_rate_of_one_region_is_not_taken_for_another() -> None:
    assert bands_of("storage", "eu-west-1") == ()
    assert bands_of("transfer", "eu-west-1") == bands_of("transfer", HERE)
    assert bands_of("transfer", "sa-east-1") == ()


@given(st.sampled_from(("transfer", "business-plus", "enterprise")), st.integers(0, 10**7), st.integers(0, 10**7))
def test_more_never_costs_less(line: str, one: int, other: int) -> None:
    bands = bands_of(line, HERE)
    assert banded_usd(bands, Decimal(min(one, other))) <= banded_usd(bands, Decimal(max(one, other)))
