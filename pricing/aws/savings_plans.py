"""Savings Plans rates, live only: Compute and EC2 Instance plans, one and three years, three ways to pay."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pricing.aws.errors import UnexpectedReply, Unreachable, aws_call
from pricing.aws.products import CURRENCY, HOURS_PER_YEAR, amount
from pricing.instances import instances
from pricing.offers import Listing, Offer, PriceSource, PurchaseOption
from pricing.reading import PriceReading, Progress, no_progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pricing.aws.clients import AwsClients

CALL = "savingsplans DescribeSavingsPlansOfferingRates"
ACTION = "savingsplans:DescribeSavingsPlansOfferingRates"
PAGE_SIZE = 1000
MAX_PAGES = 200
PLANS = {"Compute": "compute", "EC2Instance": "ec2"}
YEARS = {31_536_000: 1, 94_608_000: 3}  # durationSeconds
# The payments as AWS writes them; a partial upfront plan's share is not in the reply, so it is not guessed.
PAYMENTS = {"No Upfront": "no_upfront", "Partial Upfront": "partial_upfront", "All Upfront": "all_upfront"}


def _pages(clients: AwsClients, region: str, progress: Progress) -> Iterator[list[dict[str, Any]]]:
    client = clients.savings_plans()
    families = sorted({instance.family for instance in instances() if instance.is_ec2_type})
    request: dict[str, Any] = {
        "savingsPlanTypes": list(PLANS),
        "products": ["EC2"],
        "serviceCodes": ["AmazonEC2"],
        "maxResults": PAGE_SIZE,
        "filters": [
            {"name": "region", "values": [region]},
            {"name": "instanceFamily", "values": families},
            {"name": "productDescription", "values": ["Linux/UNIX"]},
            {"name": "tenancy", "values": ["shared"]},
        ],
    }
    seen: set[str] = set()
    for number in range(1, MAX_PAGES + 1):
        with aws_call(CALL, ACTION):
            page = client.describe_savings_plans_offering_rates(**request)
        progress(f"{region} Savings Plans", number, 0)
        if "searchResults" not in page:
            # botocore takes JSON that breaks off for an answer without content: that is no empty list of rates.
            raise Unreachable(f"The answer to {CALL} broke off.", remedy="It is read again later.")
        yield page["searchResults"]  # type: ignore[misc]
        token = page.get("nextToken") or ""
        if not token:
            return
        if token in seen:
            raise UnexpectedReply(f"{CALL} gave the same page token twice.")
        seen.add(token)
        request["nextToken"] = token
    raise UnexpectedReply(f"{CALL} gave more than {MAX_PAGES} pages.")


def plan_option(offering: Mapping[str, Any]) -> PurchaseOption | None:
    """``Compute``, 31536000 s, ``No Upfront`` to savings_compute_1yr_no_upfront; None for a plan not sold as such."""
    plan = PLANS.get(str(offering.get("planType")))
    years = YEARS.get(offering.get("durationSeconds", 0))
    payment = PAYMENTS.get(str(offering.get("paymentOption")))
    return PurchaseOption(f"savings_{plan}_{years}yr_{payment}") if plan and years and payment else None


def parse_rate(result: Mapping[str, Any], region: str, read_at: datetime) -> Offer | None:
    """One search result; None for another region, product or tenancy, or capacity reserved and left idle."""
    said = {str(pair.get("name")): str(pair.get("value")) for pair in result.get("properties") or []}
    offering = result.get("savingsPlanOffering") or {}
    option = plan_option(offering)
    wanted = {"region": region, "productDescription": "Linux/UNIX", "tenancy": "shared"}
    if option is None or any(said.get(name) != value for name, value in wanted.items()):
        return None
    if "BoxUsage:" not in str(result.get("usageType")) or "Unused" in str(result.get("usageType")):
        return None
    instance_type = said.get("instanceType", "")[:32]
    if result.get("unit") != "Hrs" or offering.get("currency") != CURRENCY:
        raise UnexpectedReply(f"{instance_type}: its {option} rate is not in {CURRENCY} an hour.")
    rate = amount(result.get("rate"), instance_type)
    if not rate:
        raise UnexpectedReply(f"{instance_type}: its {option} rate is zero.")
    all_upfront = option.value.endswith("all_upfront")
    partly = "; part of it is due upfront" if option.value.endswith("partial_upfront") else ""
    return Offer(
        instance_type=instance_type,
        region=region,
        option=option,
        usd_per_hour=rate,
        upfront_usd=rate * HOURS_PER_YEAR * option.years if all_upfront else amount(0),
        source=PriceSource.LIVE,
        as_of=read_at.date(),
        origin="AWS Savings Plans API",
        note=f"charged against an hourly commitment{partly}",
    )


def read_savings_plans(clients: AwsClients, region: str, progress: Progress = no_progress) -> PriceReading:
    """Savings Plans rates of every accelerator type in a region."""
    read_at = datetime.now(UTC)
    known = {instance.instance_type for instance in instances()}
    offers: dict[tuple[str, PurchaseOption], Offer] = {}
    doubtful: dict[tuple[str, PurchaseOption], str] = {}
    remarks: list[str] = []
    for page in _pages(clients, region, progress):
        for result in page:
            try:
                offer = parse_rate(result, region, read_at)
            except UnexpectedReply as error:
                remarks.append(error.message)
                continue
            if offer is None or offer.instance_type not in known:
                continue
            key = (offer.instance_type, offer.option)
            if offers.setdefault(key, offer).usd_per_hour != offer.usd_per_hour:
                doubtful[key] = f"{offer.instance_type}: AWS gives two {offer.option} rates."
    if not offers:
        raise UnexpectedReply(f"AWS gives no Savings Plans rate for any accelerator machine in {region}.")
    remarks += doubtful.values()
    return PriceReading(
        region=region,
        listing=Listing.SAVINGS_PLANS,
        read_at=read_at,
        origin="AWS Savings Plans API",
        offers=tuple(offer for key, offer in sorted(offers.items()) if key not in doubtful),
        complete=not remarks,
        remarks=tuple(remarks),
    )
