"""On-demand and reserved prices from the Price List API: pages per family of machines, never a request per type."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pricing.aws.errors import UnexpectedReply, aws_call
from pricing.aws.products import (
    BARE_METAL_FAMILY,
    LINUX_BARE_METAL,
    LINUX_ON_DEMAND,
    Product,
    is_plain_linux,
    parse_product,
)
from pricing.instances import instances
from pricing.offers import Listing, Offer, PriceSource, PurchaseOption
from pricing.reading import Progress, Reading, no_progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mypy_boto3_pricing import PricingClient
    from mypy_boto3_pricing.type_defs import FilterTypeDef

    from pricing.aws.clients import AwsClients

CALL, ACTION = "pricing GetProducts", "pricing:GetProducts"
PAGE_SIZE = 100  # the server's limit; botocore does not check it
MAX_PAGES = 100  # the GPU machines of the largest region, Linux on demand, take two
# The price list's own classes of machines that hold every accelerator type.
MACHINE_CLASSES = ("GPU instance", "Machine Learning ASIC Instances")


def _filters(attributes: Mapping[str, str]) -> list[FilterTypeDef]:
    return [{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in attributes.items()]


def _pages(client: PricingClient, filters: list[FilterTypeDef]) -> Iterator[list[str]]:
    token = ""
    seen: set[str] = set()
    for _ in range(MAX_PAGES):
        with aws_call(CALL, ACTION):
            if token:
                page = client.get_products(
                    ServiceCode="AmazonEC2", Filters=filters, MaxResults=PAGE_SIZE, NextToken=token
                )
            else:
                page = client.get_products(ServiceCode="AmazonEC2", Filters=filters, MaxResults=PAGE_SIZE)
        yield page.get("PriceList", [])
        token = page.get("NextToken", "")
        if not token:
            return
        if token in seen:
            raise UnexpectedReply(f"{CALL} gave the same page token twice.")
        seen.add(token)
    raise UnexpectedReply(f"{CALL} gave more than {MAX_PAGES} pages.")


class _Collected:
    """Products of one region as they come in, and what has to be said about them."""

    def __init__(self, region: str) -> None:
        self.region = region
        self.by_type: defaultdict[str, dict[str, Product]] = defaultdict(dict)
        self.remarks: list[str] = []
        self.complete = True

    def leave_out(self, remark: str) -> None:
        self.remarks.append(remark)
        self.complete = False

    def add(self, text: object) -> None:
        try:
            product = parse_product(text)
        except UnexpectedReply as error:
            self.leave_out(error.message)
            return
        if not is_plain_linux(product, self.region):
            return
        known = self.by_type[product.instance_type]
        if known.get(product.sku, product).rates != product.rates:
            self.leave_out(f"{product.instance_type}: AWS gives SKU {product.sku} twice, at different prices.")
            known[f"{product.sku} again"] = product
        known[product.sku] = product

    def families(self) -> set[str]:
        return {instance_type.partition(".")[0] for instance_type in self.by_type}


def _read_classes(client: PricingClient, collected: _Collected, progress: Progress) -> None:
    base = {"regionCode": collected.region}
    metal = {**base, **LINUX_BARE_METAL, "productFamily": BARE_METAL_FAMILY, "instanceFamily": MACHINE_CLASSES[0]}
    queries = [{**base, **LINUX_ON_DEMAND, "instanceFamily": name} for name in MACHINE_CLASSES] + [metal]
    for done, query in enumerate(queries):
        progress(f"{collected.region} price list", done, len(queries))
        for page in _pages(client, _filters(query)):
            for text in page:
                collected.add(text)
    progress(f"{collected.region} price list", len(queries), len(queries))


def _read_missing_families(client: PricingClient, collected: _Collected, progress: Progress) -> None:
    """Families EC2 lists here that no class query showed: else a renamed class would look like no offer."""
    listed = {known.family for known in instances() if collected.region in known.regions and known.is_ec2_type}
    missing = sorted(listed - collected.families())
    for done, family in enumerate(missing):
        progress(f"{collected.region} price list, {family}", done, len(missing))
        query = _filters({"regionCode": collected.region, **LINUX_ON_DEMAND})
        query.append({"Type": "CONTAINS", "Field": "instanceType", "Value": f"{family}."})
        try:
            for page in _pages(client, query):
                for text in page:
                    collected.add(text)
        except UnexpectedReply as error:
            collected.leave_out(f"{family} could not be asked for: {error.message}")
            return


def _offers(collected: _Collected, read_at: datetime) -> Iterator[Offer]:
    known = {instance.instance_type for instance in instances()}
    unknown = sorted(set(collected.by_type) - known)
    if unknown:
        collected.remarks.append(f"AWS also lists {', '.join(unknown)[:200]}, which the instance table does not have.")
    for instance_type in sorted(set(collected.by_type) & known):
        products = list(collected.by_type[instance_type].values())
        if len(products) > 1:
            skus = ", ".join(sorted({product.sku for product in products}))
            collected.leave_out(
                f"{instance_type}: {len(products)} products ({skus[:128]}) match where one was expected."
            )
            continue
        for reason in products[0].refused:
            collected.leave_out(f"{instance_type}: {reason}")
        yield from _product_offers(products[0], collected.region, read_at)


def _product_offers(product: Product, region: str, read_at: datetime) -> Iterator[Offer]:
    note = "bare metal, listed under dedicated tenancy" if product.instance_type.endswith(".metal") else ""
    published = f", published {product.publication}" if product.publication else ""
    if not any(rate.option is PurchaseOption.ON_DEMAND for rate in product.rates):
        return  # a reservation without an hourly price to compare it with has never been seen: leave both out
    for rate in product.rates:
        yield Offer(
            instance_type=product.instance_type,
            region=region,
            option=rate.option,
            usd_per_hour=rate.usd_per_hour,
            upfront_usd=rate.upfront_usd,
            source=PriceSource.LIVE,
            as_of=read_at.date(),
            origin=f"AWS Price List API, rate {rate.rate_code}{published}",
            note=note,
        )


def read_price_list(clients: AwsClients, region: str, progress: Progress = no_progress) -> Reading:
    """On-demand and reserved prices of every accelerator type in a region."""
    client = clients.pricing()
    collected = _Collected(region)
    _read_classes(client, collected, progress)
    _read_missing_families(client, collected, progress)
    read_at = datetime.now(UTC)
    offers = tuple(_offers(collected, read_at))
    if not offers:
        reason = f" ({collected.remarks[0]})" if collected.remarks else ""
        raise UnexpectedReply(f"The price list shows no accelerator machine in {region}{reason}.")
    return Reading(
        region=region,
        listing=Listing.PRICE_LIST,
        read_at=read_at,
        origin="AWS Price List API",
        offers=offers,
        complete=collected.complete,
        remarks=tuple(collected.remarks),
    )
