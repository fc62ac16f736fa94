"""Spot prices: what each zone asks now, made one price by a rule with a name."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from statistics import median_high
from typing import TYPE_CHECKING, Any

from pricing.aws.errors import UnexpectedReply, aws_call
from pricing.aws.products import amount
from pricing.instances import instances
from pricing.offers import Listing, Offer, PriceSource, PurchaseOption
from pricing.reading import PriceReading, Progress, no_progress
from pricing.sense import doubt, first

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from pricing.aws.clients import AwsClients

CALL, ACTION = "ec2 DescribeSpotPriceHistory", "ec2:DescribeSpotPriceHistory"
PRODUCT = "Linux/UNIX"
MAX_PAGES = 200
CLOCKS_APART = timedelta(minutes=10)  # a price is dated when it last changed: long ago perhaps, never tomorrow
INTERRUPTION = "AWS may take the machine back with two minutes' notice"


class SpotRule(StrEnum):
    """How the prices of a region's zones become one."""

    MEDIAN_ZONE = "median zone"  # the dearer of the middle two when the zones are even in number
    CHEAPEST_ZONE = "cheapest zone"

    def apply(self, prices: list[Decimal]) -> Decimal:
        """One price of several: 0.30, 0.42, 0.50, 0.61 is 0.50 by the median zone and 0.30 by the cheapest."""
        return median_high(prices) if self is SpotRule.MEDIAN_ZONE else min(prices)


def _entries(clients: AwsClients, region: str, now: datetime, progress: Progress) -> list[dict[str, Any]]:
    # A filter, not InstanceTypes: a type this region does not know is then no error.
    types = sorted(known.instance_type for known in instances() if "spot" in known.usage_classes)
    filters: Any = [{"Name": "instance-type", "Values": types}]
    entries: list[dict[str, Any]] = []
    with aws_call(CALL, ACTION):
        paginator = clients.ec2(region).get_paginator("describe_spot_price_history")
        pages = paginator.paginate(StartTime=now, ProductDescriptions=[PRODUCT], Filters=filters)
        for number, page in enumerate(pages, start=1):
            if number > MAX_PAGES:
                raise UnexpectedReply(f"{CALL} gave more than {MAX_PAGES} pages.")
            entries += page.get("SpotPriceHistory", [])  # type: ignore[arg-type]
            progress(f"{region} spot", number, 0)
    return entries


def newest_by_zone(
    entries: list[dict[str, Any]], region: str, now: datetime
) -> tuple[dict[str, dict[str, Decimal]], tuple[str, ...]]:
    """Instance type to zone to its newest price that can be true, and what is wrong with the others.

    Entries of other products are passed over. A zone whose newest price cannot be true keeps the one before it.
    """
    newest: defaultdict[str, dict[str, tuple[datetime, Decimal]]] = defaultdict(dict)
    wrong: dict[str, None] = {}
    for entry in entries:
        if entry.get("ProductDescription") != PRODUCT:
            continue
        name, zone, at = str(entry.get("InstanceType")), str(entry.get("AvailabilityZone")), entry.get("Timestamp")
        try:
            price = amount(entry.get("SpotPrice"), f"{name[:32]} in {zone[:32]}")
        except UnexpectedReply as error:
            wrong[error.message] = None
            continue
        if not isinstance(at, datetime) or at > now + CLOCKS_APART:
            wrong[f"{name[:32]} in {zone[:32]}: its spot price is dated {str(at)[:32]}."] = None
        elif price and (doubted := doubt(name, region, PurchaseOption.SPOT, price)):
            wrong[doubted] = None
        elif price and (zone not in newest[name] or at > newest[name][zone][0]):
            newest[name][zone] = (at, price)
    found = {name: {zone: price for zone, (_, price) in zones.items()} for name, zones in newest.items() if zones}
    return found, tuple(wrong)


def spot_offer(instance_type: str, region: str, zones: Mapping[str, Decimal], rule: SpotRule, now: datetime) -> Offer:
    """One spot offer, its note naming the rule, the zones' range and what spot means."""
    low, high = min(zones.values()), max(zones.values())
    spread = f"{len(zones)} zones at ${low} to ${high}" if len(zones) > 1 else f"only {next(iter(zones))}"
    return Offer(
        instance_type=instance_type,
        region=region,
        option=PurchaseOption.SPOT,
        usd_per_hour=rule.apply(list(zones.values())),
        source=PriceSource.LIVE,
        as_of=now.date(),
        origin="EC2 DescribeSpotPriceHistory",
        note=f"{rule}, {spread}; {INTERRUPTION}",
    )


def read_spot(
    clients: AwsClients, region: str, progress: Progress = no_progress, rule: SpotRule = SpotRule.MEDIAN_ZONE
) -> PriceReading:
    """The current spot price of every accelerator type in a region."""
    now = datetime.now(UTC)
    known = {instance.instance_type for instance in instances()}
    by_type, wrong = newest_by_zone(_entries(clients, region, now, progress), region, now)
    offers = tuple(spot_offer(name, region, by_type[name], rule, now) for name in sorted(set(by_type) & known))
    if not offers:
        reason = f" ({wrong[0]})" if wrong else ""
        raise UnexpectedReply(f"EC2 gives no spot price for any accelerator machine in {region}{reason}.")
    return PriceReading(
        region=region,
        listing=Listing.SPOT,
        read_at=now,
        origin="EC2 DescribeSpotPriceHistory",
        offers=offers,
        complete=not wrong,
        remarks=tuple(first(wrong)),
    )
