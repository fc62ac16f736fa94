"""Prices over regions and time."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from app.figures.prices import region_ranking
from pricing.offers import Offer, PriceSource, PurchaseOption


def at(region: str, price: str, *, stale: bool = False) -> Offer:
    return Offer(
        instance_type="g6.xlarge",
        region=region,
        option=PurchaseOption.ON_DEMAND,
        usd_per_hour=Decimal(price),
        source=PriceSource.SNAPSHOT,
        as_of=date(2026, 11, 9),
        origin="a test",
        stale=stale,
    )


def test_the_own_region_is_marked_and_old_prices_are_faint() -> None:
    bars = region_ranking([at("us-east-1", "0.8048"), at("us-west-2", "0.8048", stale=True)], "us-east-1").data[0]
    assert list(bars.y) == ["us-east-1", "us-west-2"]
    assert bars.marker.color[0] != bars.marker.color[1]
    assert list(bars.marker.opacity) == [1, 0.45]
