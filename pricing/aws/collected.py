"""The products of one region's price list as they come in, and the offers they make: one product a type, or none."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from pricing.aws.errors import UnexpectedReply
from pricing.aws.products import MachineSku, is_plain_linux
from pricing.instances import instances
from pricing.offers import Listing, Offer, PriceSource, PurchaseOption
from pricing.reading import PriceReading

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime


class Collected:
    """Products by type, and what has to be said about what was left out."""

    def __init__(self, region: str, origin: str) -> None:
        self.region = region
        self.origin = origin
        self.by_type: defaultdict[str, dict[str, MachineSku]] = defaultdict(dict)
        self.remarks: list[str] = []
        self.complete = True

    def leave_out(self, remark: str) -> None:
        """Notes something that had to be left out: what is missing is then not taken for withdrawn."""
        self.remarks.append(remark)
        self.complete = False

    def add(self, product: MachineSku) -> None:
        """Takes a product if it is the plain Linux machine of this region."""
        if not is_plain_linux(product, self.region):
            return
        known = self.by_type[product.instance_type]
        if known.get(product.sku, product).rates != product.rates:
            known[f"{product.sku} at another price"] = product
        else:
            known[product.sku] = product

    @property
    def families(self) -> set[str]:
        """Families with a product so far."""
        return {instance_type.partition(".")[0] for instance_type in self.by_type}

    def reading(self, read_at: datetime) -> PriceReading:
        """The offers as a reading; refused when there is none, which no region AWS sells machines in can mean."""
        offers = tuple(self._offers(read_at))
        if not offers:
            reason = f" ({self.remarks[0]})" if self.remarks else ""
            raise UnexpectedReply(f"The price list shows no accelerator machine in {self.region}{reason}.")
        return PriceReading(
            region=self.region,
            listing=Listing.PRICE_LIST,
            read_at=read_at,
            origin=self.origin,
            offers=offers,
            complete=self.complete,
            remarks=tuple(self.remarks),
        )

    def _offers(self, read_at: datetime) -> Iterator[Offer]:
        known = {instance.instance_type for instance in instances()}
        unknown = sorted(set(self.by_type) - known)
        if unknown:
            self.remarks.append(f"AWS also lists {', '.join(unknown)[:200]}, which the instance table does not have.")
        for instance_type in sorted(set(self.by_type) & known):
            products = self.by_type[instance_type]
            if len(products) > 1:
                skus = ", ".join(products)[:128]
                self.leave_out(f"{instance_type}: {len(products)} products ({skus}) match where one was expected.")
                continue
            (product,) = products.values()
            for reason in product.refused:
                self.leave_out(f"{instance_type}: {reason}")
            yield from self._of_product(product, read_at)

    def _of_product(self, product: MachineSku, read_at: datetime) -> Iterator[Offer]:
        if not any(rate.option is PurchaseOption.ON_DEMAND for rate in product.rates):
            return  # a reservation without an hourly price to compare it with has never been seen: leave both out
        note = "bare metal, listed under dedicated tenancy" if product.instance_type.endswith(".metal") else ""
        published = f", published {product.publication}" if product.publication else ""
        for rate in product.rates:
            yield Offer(
                instance_type=product.instance_type,
                region=self.region,
                option=rate.option,
                usd_per_hour=rate.usd_per_hour,
                upfront_usd=rate.upfront_usd,
                source=PriceSource.LIVE,
                as_of=read_at.date(),
                origin=f"{self.origin}, rate {rate.rate_code}{published}",
                note=note,
            )
