"""Renting tokens or renting machines: where they cost the same."""

from __future__ import annotations

import math
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from estimators.provenance import Refusal
from pricing.api_prices import ApiPrice, api_prices, api_prices_of, break_even, equal_cost_line


def api(into: str, out: str) -> ApiPrice:
    return ApiPrice(
        provider="someone",
        model="a model",
        hub_id="org/model",
        usd_per_million_input=Decimal(into),
        usd_per_million_output=Decimal(out),
        as_of=date(2026, 11, 20),
        source="a test",
    )


def test_machines_are_cheaper_from_the_volume_that_costs_their_month() -> None:
    found = break_even(
        api=api("0.20", "0.20"),
        replica_usd_per_month=Decimal("734.38"),
        replica_output_millions=Decimal(2000),
        input_per_output=Decimal(4),
    )
    assert found.api_usd_per_million_output == 1  # 4 x 0.20 + 0.20
    assert found.first_output_millions == Decimal("734.38")
    assert found.first_input_millions == Decimal("2937.52")
    assert found.always_output_millions == Decimal("734.38")  # a second replica has 1265 to start with


def test_a_full_replica_dearer_than_its_tokens_never_pays() -> None:
    found = break_even(
        api=api("0.02", "0.05"),
        replica_usd_per_month=Decimal(1000),
        replica_output_millions=Decimal(2000),
        input_per_output=Decimal(1),
    )
    assert (found.first_output_millions, found.always_output_millions) == (None, None)
    assert found.machine_usd_per_million_output == Decimal("0.5")


def test_a_second_replica_can_make_the_api_cheaper_again() -> None:
    # A replica pays from 60 of its 100; at 101 two replicas cost 120; from 120 on they are never dearer again.
    found = break_even(
        api=api("0", "1"),
        replica_usd_per_month=Decimal(60),
        replica_output_millions=Decimal(100),
        input_per_output=Decimal(0),
    )
    assert (found.first_output_millions, found.always_output_millions) == (60, 120)


@given(st.integers(1, 500), st.integers(2, 500), st.data())
def test_below_the_first_volume_the_api_is_cheaper_and_from_the_last_on_it_never_is(
    cost: int, capacity: int, data: st.DataObject
) -> None:
    found = break_even(
        api=api("0", "1"),
        replica_usd_per_month=Decimal(cost),
        replica_output_millions=Decimal(capacity),
        input_per_output=Decimal(0),
    )
    volume = data.draw(st.integers(1, 5000))
    machines = math.ceil(volume / capacity) * cost
    if found.first_output_millions is None or volume < found.first_output_millions:
        assert machines > volume
    assume(found.always_output_millions is not None)
    if found.always_output_millions is not None and volume >= found.always_output_millions:
        assert machines <= volume


def test_input_and_output_apart_are_the_ends_of_one_line() -> None:
    into, out = equal_cost_line(api("0.15", "0.60"), Decimal("734.38"))
    assert into is not None
    assert out is not None
    assert (round(into, 2), round(out, 2)) == (Decimal("4895.87"), Decimal("1223.97"))
    assert equal_cost_line(api("0", "1"), Decimal(10)) == (None, Decimal(10))


def test_providers_of_a_model_are_found_by_its_hub_id() -> None:
    found = api_prices_of("meta-llama/Llama-3.1-8B-Instruct@main")
    assert [price.provider for price in found] == ["DeepInfra", "Fireworks AI", "Together AI", "AWS Bedrock"]
    assert found[-1].usd_per_million_output == Decimal("0.22")
    assert api_prices_of("org/unknown") == ()


def test_two_sources_for_one_hosted_model_agree() -> None:
    by_name: dict[tuple[str, str], set[tuple[Decimal, Decimal]]] = {}
    for price in api_prices():
        name = price.model.rpartition("/")[2]
        by_name.setdefault((price.provider, name), set()).add(
            (price.usd_per_million_input, price.usd_per_million_output)
        )
    assert all(len(prices) == 1 for prices in by_name.values())


def test_volumes_cost_what_their_tokens_cost() -> None:
    assert api("0.15", "0.60").usd(Decimal(10), Decimal(5)) == Decimal("4.50")


def test_a_replica_that_serves_nothing_is_refused() -> None:
    with pytest.raises(Refusal):
        break_even(
            api=api("1", "1"),
            replica_usd_per_month=Decimal(1),
            replica_output_millions=Decimal(0),
            input_per_output=Decimal(0),
        )
