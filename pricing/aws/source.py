"""Everything the AWS APIs can say about a region's prices, as one reader, and the policy it needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pricing.aws import capacity_blocks, instance_types, price_list, savings_plans, spot
from pricing.aws.clients import AwsClients, ClientSettings
from pricing.aws.errors import documented_form
from pricing.offers import Listing
from pricing.reading import Progress, no_progress

if TYPE_CHECKING:
    from pricing.reading import PriceReading

ALL_LISTINGS = (Listing.PRICE_LIST, Listing.SPOT, Listing.SAVINGS_PLANS, Listing.CAPACITY_BLOCKS)


@dataclass(frozen=True, slots=True)
class AwsReader:
    """A `PriceReader` over the signed APIs; needs credentials."""

    clients: AwsClients = field(default_factory=AwsClients)
    listings: tuple[Listing, ...] = ALL_LISTINGS
    spot_rule: spot.SpotRule = spot.SpotRule.MEDIAN_ZONE

    def read(self, region: str, listing: Listing, progress: Progress = no_progress) -> PriceReading:
        """One listing of one region, now."""
        with documented_form(listing.value):
            return self._read(region, listing, progress)

    def _read(self, region: str, listing: Listing, progress: Progress) -> PriceReading:
        match listing:
            case Listing.PRICE_LIST:
                return price_list.read_price_list(self.clients, region, progress)
            case Listing.SPOT:
                return spot.read_spot(self.clients, region, progress, self.spot_rule)
            case Listing.SAVINGS_PLANS:
                return savings_plans.read_savings_plans(self.clients, region, progress)
            case Listing.CAPACITY_BLOCKS:
                return capacity_blocks.read_capacity_blocks(self.clients, region, progress)
            case Listing.OWNED:
                raise ValueError("owned machines have no listing at AWS")


def aws_reader(settings: ClientSettings | None = None) -> AwsReader:
    """A reader with credentials from the environment, as boto3 finds them; nothing is contacted yet."""
    return AwsReader(AwsClients(settings or ClientSettings()))


def iam_policy() -> dict[str, object]:
    """The policy that live prices and the instance table need: read-only, on no resource, since no call knows one."""
    readers = (price_list, spot, savings_plans, capacity_blocks, instance_types)
    actions = sorted({reader.ACTION for reader in readers})
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}
