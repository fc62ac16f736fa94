"""Renting tokens or renting machines: where they cost the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from estimators.provenance import Refusal
from pricing.api_prices import (
    BATCH,
    OWN,
    STANDARD,
    ApiTier,
    api_prices,
    api_tiers,
    own_tiers,
    standard_tiers,
)


def test_providers_of_a_model_are_found_by_its_hub_id() -> None:
    found = {tier.provider: tier for tier in standard_tiers("meta-llama/Llama-3.1-8B-Instruct@main")}
    assert set(found) == {"DeepInfra", "Fireworks AI", "Together AI", "AWS Bedrock"}
    assert found["AWS Bedrock"].usd_per_million_output == Decimal("0.22")
    assert standard_tiers("org/unknown") == ()


def test_two_sources_for_one_hosted_model_agree() -> None:
    by_name: dict[tuple[str, str], set[tuple[Decimal, Decimal]]] = {}
    for price in api_prices():
        name = price.model.rpartition("/")[2]
        by_name.setdefault((price.provider, name), set()).add(
            (price.usd_per_million_input, price.usd_per_million_output)
        )
    assert all(len(prices) == 1 for prices in by_name.values())


def tier(into: str, out: str, cached: str | None = None) -> ApiTier:
    return ApiTier(
        provider="someone",
        model="a model",
        hub_id="org/model",
        tier="standard",
        usd_per_million_input=Decimal(into),
        usd_per_million_cached=None if cached is None else Decimal(cached),
        usd_per_million_output=Decimal(out),
        as_of=date(2026, 11, 28),
        source="a test",
    )


def test_new_cached_and_written_tokens_each_at_their_price() -> None:
    volume = (Decimal(1000), Decimal(600), Decimal(200))
    assert tier("0.20", "0.60", "0.10").usd(*volume) == (200, 60, 120)
    assert tier("0.20", "0.60").usd(*volume) == (200, 120, 120)  # no price for cached input: full input


def test_every_hosted_model_has_a_standard_tier_and_some_more() -> None:
    tiers = api_tiers()
    standard = {(one.provider, one.model) for one in tiers if one.tier == STANDARD}
    assert standard == {(price.provider, price.model) for price in api_prices()}
    assert {one.tier for one in tiers} == {"standard", "batch", "flex", "priority"}
    assert all(one.as_of is not None and one.source for one in tiers)


def test_batch_is_never_dearer_and_cached_input_neither() -> None:
    known = {(one.provider, one.model, one.tier): one for one in api_tiers()}
    for one in known.values():
        assert one.usd_per_million_cached is None or one.usd_per_million_cached <= one.usd_per_million_input, one
        if one.tier == BATCH:
            plain = known[one.provider, one.model, STANDARD]
            assert one.usd_per_million_output <= plain.usd_per_million_output, one


def test_a_tier_is_named_without_the_path_to_it() -> None:
    assert len({(one.name, one.tier) for one in api_tiers()}) >= len(api_tiers()) - 5  # two lists name a few alike
    assert replace(tier("1", "2"), model="someone/org/model").name == "someone: model"


def test_prices_of_ones_own() -> None:
    first, second = own_tiers("ours batch, 0.10, $0.40, 0.05\nother, 1, 2")
    assert (first.name, first.tier, first.usd_per_million_cached) == ("ours batch", OWN, Decimal("0.05"))
    assert (second.usd_per_million_output, second.usd_per_million_cached) == (2, None)
    assert own_tiers("") == ()


@pytest.mark.parametrize(
    "text", ["a", "a, 1", "a, 1, x", ", 1, 2", "a, -1, 2", "a, 1, 2, 3, 4", "a, 99999, 1", "a" * 61 + ",1,2"]
)
def test_a_line_that_is_no_price_is_named(text: str) -> None:
    with pytest.raises(Refusal, match="Line 1 of your prices") as refusal:
        own_tiers(text)
    assert refusal.value.field == "api_own"


def test_more_prices_than_a_page_holds_are_refused() -> None:
    with pytest.raises(Refusal, match="Enter up to 12"):
        own_tiers("a,1,2;" * 13)
