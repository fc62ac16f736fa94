"""What an hour of a measured machine costs, for dollars per million tokens on evidence."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from app.planning.market import aws_machines
from pricing.offers import Offer, PurchaseOption


class Prices(Protocol):
    def get(self, instance_type: str, region: str, option: PurchaseOption) -> Offer | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Hourly:
    """Dollars an hour, and whose price that is."""

    usd: Decimal
    said: str


def hourly(prices: Prices, accelerator: str, gpus: int, region: str) -> Hourly | None:
    """The cheapest on-demand share of an EC2 machine that has `gpus` of this accelerator; None where none is sold.

    Two of the four L4 of a g6.12xlarge at $4.6016 an hour are $2.3008.
    """
    shares = []
    for machine in aws_machines():
        sold = machine.instance
        if sold is None or machine.accelerator.name != accelerator or sold.partition < 1:
            continue
        offer = prices.get(sold.instance_type, region, PurchaseOption.ON_DEMAND)
        if offer is not None and sold.accelerator_count >= gpus:
            shares.append((offer.usd_per_hour * gpus / sold.accelerator_count, sold))
    if not shares:
        return None
    usd, sold = min(shares, key=lambda share: share[0])
    part = "" if gpus == sold.accelerator_count else f"{gpus} of {sold.accelerator_count} of a "
    return Hourly(usd=usd, said=f"{part}{sold.instance_type}, on demand in {region}")
