"""On-demand and reserved prices from the Price List API: pages per family of machines, never a request per type."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pricing.aws.collected import Collected
from pricing.aws.errors import UnexpectedReply, Unreachable, aws_call, documented_form
from pricing.aws.products import (
    BARE_METAL_FAMILY,
    LINUX_BARE_METAL,
    LINUX_ON_DEMAND,
    parse_product,
)
from pricing.instances import instances
from pricing.reading import PriceReading, Progress, no_progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mypy_boto3_pricing.type_defs import FilterTypeDef

    from pricing.aws.clients import AwsClients

CALL, ACTION = "pricing GetProducts", "pricing:GetProducts"
PAGE_SIZE = 100  # the server's limit; botocore does not check it
MAX_PAGES = 100  # the GPU machines of the largest region, Linux on demand, take two
# The price list's own classes of machines that hold every accelerator type.
MACHINE_CLASSES = ("GPU instance", "Machine Learning ASIC Instances")


def _filters(attributes: Mapping[str, str]) -> list[FilterTypeDef]:
    return [{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in attributes.items()]


def _pages(clients: AwsClients, filters: list[FilterTypeDef]) -> Iterator[list[str]]:
    client = clients.pricing()
    token = ""
    seen: set[str] = set()
    for _ in range(MAX_PAGES):
        clients.wait_for_pricing()
        with aws_call(CALL, ACTION):
            if token:
                page = client.get_products(
                    ServiceCode="AmazonEC2", Filters=filters, MaxResults=PAGE_SIZE, NextToken=token
                )
            else:
                page = client.get_products(ServiceCode="AmazonEC2", Filters=filters, MaxResults=PAGE_SIZE)
        if "PriceList" not in page and "FormatVersion" not in page:
            # botocore takes JSON that breaks off for an answer without content: that is no empty price list.
            raise Unreachable(f"The answer to {CALL} broke off.", remedy="It is read again later.")
        yield page.get("PriceList", [])
        token = page.get("NextToken", "")
        if not token:
            return
        if token in seen:
            raise UnexpectedReply(f"{CALL} gave the same page token twice.")
        seen.add(token)
    raise UnexpectedReply(f"{CALL} gave more than {MAX_PAGES} pages.")


def _add(collected: Collected, page: list[str]) -> None:
    for text in page:
        try:
            collected.add(parse_product(text))
        except UnexpectedReply as error:
            collected.leave_out(error.message)


def _read_classes(clients: AwsClients, collected: Collected, progress: Progress) -> None:
    base = {"regionCode": collected.region}
    metal = {**base, **LINUX_BARE_METAL, "productFamily": BARE_METAL_FAMILY, "instanceFamily": MACHINE_CLASSES[0]}
    queries = [{**base, **LINUX_ON_DEMAND, "instanceFamily": name} for name in MACHINE_CLASSES] + [metal]
    for done, query in enumerate(queries):
        progress(f"{collected.region} price list", done, len(queries))
        for page in _pages(clients, _filters(query)):
            _add(collected, page)
    progress(f"{collected.region} price list", len(queries), len(queries))


def _read_missing_families(clients: AwsClients, collected: Collected, progress: Progress) -> None:
    """Families EC2 lists here that no class query showed: else a renamed class would look like no offer."""
    listed = {known.family for known in instances() if collected.region in known.regions and known.is_ec2_type}
    missing = sorted(listed - collected.families)
    for done, family in enumerate(missing):
        progress(f"{collected.region} price list, {family}", done, len(missing))
        query = _filters({"regionCode": collected.region, **LINUX_ON_DEMAND})
        query.append({"Type": "CONTAINS", "Field": "instanceType", "Value": f"{family}."})
        try:
            for page in _pages(clients, query):
                _add(collected, page)
        except UnexpectedReply as error:
            collected.leave_out(f"{family} could not be asked for: {error.message}")
            return


def usage_of(clients: AwsClients, instance_type: str, region: str) -> tuple[str, str]:
    """(usage type, operation) under which a region bills a type of Linux on demand. Raises `AwsError` for none."""
    wanted = {"regionCode": region, **LINUX_ON_DEMAND, "instanceType": instance_type}
    for page in _pages(clients, _filters(wanted)):
        for text in page:
            with documented_form(CALL):
                said = json.loads(text)["product"]["attributes"]
                if not str(said["operation"]).endswith(":CB"):
                    return str(said["usagetype"]), str(said["operation"])
    raise UnexpectedReply(f"The price list has no on-demand {instance_type} in {region}.")


def read_price_list(clients: AwsClients, region: str, progress: Progress = no_progress) -> PriceReading:
    """On-demand and reserved prices of every accelerator type in a region."""
    collected = Collected(region, "AWS Price List API")
    _read_classes(clients, collected, progress)
    _read_missing_families(clients, collected, progress)
    return collected.reading(datetime.now(UTC))
