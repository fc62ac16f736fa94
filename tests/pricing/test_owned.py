"""Hardware you own, as an hourly price."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimators.provenance import Refusal
from pricing.cost import monthly_cost
from pricing.offers import PriceSource, PurchaseOption
from pricing.owned import (
    OwnedMachine,
    capital_charge_usd_per_hour,
    owned_offer,
    owned_terms,
    owned_usd_per_hour,
    purchase_usd_per_hour,
    typical_power_kw,
)

SERVER = OwnedMachine(
    name="8 x H100 server",
    purchase_usd=Decimal(250_000),
    years=Decimal(4),
    power_kw=Decimal("10.2"),
    usd_per_kwh=Decimal("0.12"),
    pue=Decimal("1.3"),
)


def test_an_hour_is_the_purchase_spread_out_and_the_power() -> None:
    # 250000 / 35040 = 7.1347, 10.2 x 0.12 x 1.3 = 1.5912
    assert round(owned_usd_per_hour(SERVER), 4) == Decimal("8.7259")
    assert [(term.label, round(term.value, 4)) for term in owned_terms(SERVER)] == [
        ("Purchase", 7.1347),
        ("Power", 1.5912),
    ]


def test_resale_upkeep_and_use_count() -> None:
    machine = OwnedMachine(
        name="server",
        purchase_usd=Decimal(100_000),
        resale_usd=Decimal(12_400),
        years=Decimal(2),
        power_kw=Decimal(10),
        usd_per_kwh=Decimal("0.1"),
        utilisation=Decimal("0.5"),
        upkeep_usd_per_year=Decimal(8760),
    )
    assert owned_usd_per_hour(machine) == Decimal("6.5")  # 87600 / 17520 + 0.5 + 1
    assert owned_terms(machine)[2].label == "Upkeep"


def test_the_money_in_it_costs_what_a_level_payment_is_above_the_purchase() -> None:
    """$250,000 at 10 % over 4 years: 250,000 x 0.1 / (1 - 1.1^-4) = $78,867.70 a year, $9.0032 an hour, of which the
    purchase is $7.1347. With $100,000 of it coming back: 150,000 x 0.3154708 + 100,000 x 0.1 = $57,320.62, $6.5434."""
    money = replace(SERVER, capital_percent=Decimal(10))
    assert round(capital_charge_usd_per_hour(money), 4) == Decimal("1.8685")
    assert round(owned_usd_per_hour(money), 4) == Decimal("10.5944")  # 9.0032 + 1.5912
    assert [term.label for term in owned_terms(money)] == ["Purchase", "Cost of capital", "Power"]
    sold = replace(money, resale_usd=Decimal(100_000))
    whole = purchase_usd_per_hour(sold) + capital_charge_usd_per_hour(sold)
    assert round(whole, 4) == Decimal("6.5434")
    assert capital_charge_usd_per_hour(SERVER) == 0


def test_space_staff_and_upkeep_are_parts_of_their_own() -> None:
    machine = replace(
        SERVER, space_usd_per_year=Decimal(8760), staff_usd_per_year=Decimal(17_520), upkeep_usd_per_year=Decimal(4380)
    )
    parts = {term.label: term.value for term in owned_terms(machine)}
    assert (parts["Space"], parts["Staff"], parts["Upkeep"]) == (1.0, 2.0, 0.5)
    assert round(owned_usd_per_hour(machine) - owned_usd_per_hour(SERVER), 9) == Decimal("3.5")


@given(st.integers(0, 100), st.integers(0, 100))
def test_dearer_money_never_makes_a_cheaper_hour(one: int, other: int) -> None:
    low, high = (replace(SERVER, capital_percent=Decimal(percent)) for percent in sorted((one, other)))
    assert owned_usd_per_hour(low) <= owned_usd_per_hour(high)


def test_it_is_an_offer_that_bills_every_hour() -> None:
    offer = owned_offer(SERVER, region="us-east-1", today=date(2026, 11, 21))
    assert (offer.option, offer.source, offer.upfront_usd) == (PurchaseOption.OWNED, PriceSource.OWNED, 250_000)
    assert round(monthly_cost(offer=offer, instances=1, hours=Decimal(100)).usd_per_month) == 6370  # 8.7259 x 730


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("capital_percent", "101"),
        ("staff_usd_per_year", "-1"),
        ("years", "0"),
        ("pue", "0.9"),
        ("utilisation", "1.1"),
        ("purchase_usd", "-1"),
        ("resale_usd", "300000"),
    ],
)
def test_impossible_machines_are_refused_by_name(field: str, value: str) -> None:
    entered = {"name": "x", "purchase_usd": "250000", "years": "4", "power_kw": "10", "usd_per_kwh": "0.1"} | {
        field: value
    }
    numbers = {name: Decimal(text) for name, text in entered.items() if name != "name"}
    with pytest.raises(Refusal, match=field):
        OwnedMachine(name="x", **numbers)


def test_power_nobody_has_metered_is_the_data_sheets_and_half_a_kilowatt() -> None:
    """Eight of 700 W and 500 W: 6.1 kW; one of no printed power is taken at 350 W."""
    assert typical_power_kw(700.0, 8) == 6.1
    assert typical_power_kw(None, 1) == 0.85
