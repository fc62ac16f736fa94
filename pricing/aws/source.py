"""Everything the AWS APIs can say about a region's prices, as one reader."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pricing.aws.capacity_blocks import read_capacity_blocks
from pricing.aws.clients import AwsClients, ClientSettings
from pricing.aws.errors import documented_form
from pricing.aws.price_list import read_price_list
from pricing.aws.savings_plans import read_savings_plans
from pricing.aws.spot import SpotRule, read_spot
from pricing.offers import Listing
from pricing.reading import Progress, no_progress

if TYPE_CHECKING:
    from pricing.reading import Reading

ALL_LISTINGS = (Listing.PRICE_LIST, Listing.SPOT, Listing.SAVINGS_PLANS, Listing.CAPACITY_BLOCKS)


@dataclass(frozen=True, slots=True)
class AwsReader:
    """A `PriceReader` over the signed APIs; needs credentials."""

    clients: AwsClients = field(default_factory=AwsClients)
    listings: tuple[Listing, ...] = ALL_LISTINGS
    spot_rule: SpotRule = SpotRule.MEDIAN_ZONE

    def read(self, region: str, listing: Listing, progress: Progress = no_progress) -> Reading:
        """One listing of one region, now."""
        with documented_form(listing.value):
            return self._read(region, listing, progress)

    def _read(self, region: str, listing: Listing, progress: Progress) -> Reading:
        match listing:
            case Listing.PRICE_LIST:
                return read_price_list(self.clients, region, progress)
            case Listing.SPOT:
                return read_spot(self.clients, region, progress, self.spot_rule)
            case Listing.SAVINGS_PLANS:
                return read_savings_plans(self.clients, region, progress)
            case Listing.CAPACITY_BLOCKS:
                return read_capacity_blocks(self.clients, region, progress)
            case Listing.OWNED:
                raise ValueError("owned machines have no listing at AWS")


def aws_reader(settings: ClientSettings | None = None, *, spot_rule: SpotRule = SpotRule.MEDIAN_ZONE) -> AwsReader:
    """A reader with credentials from the environment, as boto3 finds them; nothing is contacted yet."""
    return AwsReader(AwsClients(settings or ClientSettings()), spot_rule=spot_rule)
