"""Capacity Blocks: machines reserved for days and paid at once, the only way to get some types."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pricing.aws.errors import UnexpectedReply, aws_call
from pricing.aws.products import CURRENCY, amount
from pricing.instances import Instance, instances
from pricing.offers import Listing, Offer, PriceSource, PurchaseOption
from pricing.reading import PriceReading, Progress, no_progress

if TYPE_CHECKING:
    from pricing.aws.clients import AwsClients

CALL, ACTION = "ec2 DescribeCapacityBlockOfferings", "ec2:DescribeCapacityBlockOfferings"
BLOCK_HOURS = 24  # the shortest block
RULE = "earliest block of one day"


def _offerings(clients: AwsClients, region: str, instance: Instance) -> list[dict[str, Any]]:
    request: dict[str, Any] = {"CapacityDurationHours": BLOCK_HOURS}
    if instance.is_ec2_type:
        request |= {"InstanceType": instance.instance_type, "InstanceCount": 1}
    else:
        request |= {"UltraserverType": instance.instance_type, "UltraserverCount": 1}
    with aws_call(CALL, ACTION):
        reply = clients.ec2(region).describe_capacity_block_offerings(**request)
    return reply.get("CapacityBlockOfferings", [])  # type: ignore[return-value]


def block_offer(instance: Instance, region: str, offerings: list[dict[str, Any]], read_at: datetime) -> Offer | None:
    """The rate of the earliest block: p = fee / (hours x count); $1,012.80 for one machine and 24 h is $42.20."""
    timed = [offering for offering in offerings if isinstance(offering.get("StartDate"), datetime)]
    if not timed:
        return None
    block = min(timed, key=lambda offering: offering["StartDate"])
    count = int(block.get("InstanceCount") or 1) if instance.is_ec2_type else int(block.get("UltraserverCount") or 1)
    hours = int(block.get("CapacityBlockDurationHours") or 0)
    fee = amount(block.get("UpfrontFee"), instance.instance_type)
    if block.get("CurrencyCode") != CURRENCY or not fee or not hours:
        raise UnexpectedReply(f"{instance.instance_type}: its Capacity Block has no fee in {CURRENCY} and no length.")
    start = block["StartDate"].date().isoformat()
    return Offer(
        instance_type=instance.instance_type,
        region=region,
        option=PurchaseOption.CAPACITY_BLOCK,
        usd_per_hour=(fee / (hours * count)).quantize(Decimal("1e-6")),
        upfront_usd=fee / count,
        source=PriceSource.LIVE,
        as_of=read_at.date(),
        origin="EC2 DescribeCapacityBlockOfferings",
        note=f"{RULE}, {str(block.get('AvailabilityZone'))[:32]} from {start}, paid at once for {hours} h",
    )


def _sold_in_blocks(region: str) -> list[Instance]:
    """Types with Capacity Blocks that EC2 lists in the region, or whose regions no list was found for."""
    return [
        instance
        for instance in instances()
        if "capacity-block" in instance.usage_classes and (not instance.regions or region in instance.regions)
    ]


def read_capacity_blocks(clients: AwsClients, region: str, progress: Progress = no_progress) -> PriceReading:
    """Capacity Block rates in a region. Never complete: no block on sale today does not end the offer."""
    read_at = datetime.now(UTC)
    wanted = _sold_in_blocks(region)
    offers: list[Offer] = []
    remarks: list[str] = []
    for done, instance in enumerate(wanted):
        progress(f"{region} Capacity Blocks, {instance.instance_type}", done, len(wanted))
        try:
            offer = block_offer(instance, region, _offerings(clients, region, instance), read_at)
        except UnexpectedReply as error:
            remarks.append(error.message)
            continue
        if offer is not None:
            offers.append(offer)
    return PriceReading(
        region=region,
        listing=Listing.CAPACITY_BLOCKS,
        read_at=read_at,
        origin="EC2 DescribeCapacityBlockOfferings",
        offers=tuple(offers),
        complete=False,
        remarks=tuple(remarks),
    )
