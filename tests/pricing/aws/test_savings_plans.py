"""Savings Plans rates, which boto3 does not page for its caller."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pricing.aws.errors import AccessDenied, UnexpectedReply, Unreachable
from pricing.aws.savings_plans import read_savings_plans
from pricing.offers import PurchaseOption
from tests.servers.aws import AwsServer, Fault, fresh_server, loopback

YEAR = 31_536_000
REGION = "us-east-1"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> AwsServer:
    return fresh_server(monkeypatch)


def test_plan_length_and_payment_name_the_option(aws: AwsServer) -> None:
    aws.plan("g6.xlarge", REGION, "Compute", YEAR, "No Upfront", "0.6")
    aws.plan("g6.xlarge", REGION, "EC2Instance", 3 * YEAR, "All Upfront", "0.35")
    aws.plan("g6.xlarge", REGION, "EC2Instance", 3 * YEAR, "Partial Upfront", "0.36")
    offers = {offer.option: offer for offer in read_savings_plans(loopback()[1], REGION).offers}
    assert {option: offer.usd_per_hour for option, offer in offers.items()} == {
        PurchaseOption.SAVINGS_COMPUTE_1YR_NO_UPFRONT: Decimal("0.6"),
        PurchaseOption.SAVINGS_EC2_3YR_ALL_UPFRONT: Decimal("0.35"),
        PurchaseOption.SAVINGS_EC2_3YR_PARTIAL_UPFRONT: Decimal("0.36"),
    }
    # All of three years at $0.35 an hour: 0.35 x 3 x 8760.
    assert offers[PurchaseOption.SAVINGS_EC2_3YR_ALL_UPFRONT].upfront_usd == Decimal("9198.00")
    assert "part of it is due upfront" in offers[PurchaseOption.SAVINGS_EC2_3YR_PARTIAL_UPFRONT].note


def test_idle_reservations_other_regions_and_other_products_are_passed_over(aws: AwsServer) -> None:
    aws.plan("g6.xlarge", REGION, "Compute", YEAR, "No Upfront", "0.6")
    aws.plan("g6.xlarge", REGION, "Compute", YEAR, "No Upfront", "0.61", usage="UnusedBox")
    aws.plan("g6.xlarge", REGION, "Compute", YEAR, "No Upfront", "0.62", usage="UnusedBoxUsage")
    aws.plan("g6.xlarge", "eu-west-1", "Compute", YEAR, "No Upfront", "0.7")
    aws.plan("g6.xlarge", REGION, "Compute", YEAR, "No Upfront", "0.8", tenancy="dedicated")
    aws.plan("g6.xlarge", REGION, "Compute", YEAR, "No Upfront", "0.9", productDescription="Windows")
    aws.plan("g6.xlarge", REGION, "SageMaker", YEAR, "No Upfront", "0.5")
    aws.plan("g6.xlarge", REGION, "Compute", 2 * YEAR, "No Upfront", "0.5")
    aws.plan("m7i.large", REGION, "Compute", YEAR, "No Upfront", "0.06")
    (offer,) = read_savings_plans(loopback()[1], REGION).offers
    assert (offer.instance_type, offer.usd_per_hour) == ("g6.xlarge", Decimal("0.6"))


def test_every_page_is_read(aws: AwsServer) -> None:
    aws.page_size = 2
    for size in ("", "2", "4", "8", "12"):
        aws.plan(f"g6.{size}xlarge", REGION, "Compute", YEAR, "No Upfront", "0.6")
    assert len(read_savings_plans(loopback()[1], REGION).offers) == 5
    assert aws.count("DescribeSavingsPlansOfferingRates") == 3


def test_two_rates_for_one_plan_are_both_left_out(aws: AwsServer) -> None:
    aws.plan("g6.xlarge", REGION, "Compute", YEAR, "No Upfront", "0.6")
    aws.plan("g6.xlarge", REGION, "Compute", YEAR, "No Upfront", "0.7")
    aws.plan("g5.xlarge", REGION, "Compute", YEAR, "No Upfront", "0.8")
    reading = read_savings_plans(loopback()[1], REGION)
    assert [offer.instance_type for offer in reading.offers] == ["g5.xlarge"]
    assert reading.remarks == ("g6.xlarge: AWS gives two savings_compute_1yr_no_upfront rates.",)
    assert not reading.complete


@pytest.mark.parametrize("rate", ["0", "free", "-1"])
def test_a_rate_that_cannot_be_one_is_left_out(aws: AwsServer, rate: str) -> None:
    aws.plan("g6.xlarge", REGION, "Compute", YEAR, "No Upfront", rate)
    aws.plan("g5.xlarge", REGION, "Compute", YEAR, "No Upfront", "0.8")
    reading = read_savings_plans(loopback()[1], REGION)
    assert [offer.instance_type for offer in reading.offers] == ["g5.xlarge"]
    assert not reading.complete


def test_a_region_without_rates_is_refused(aws: AwsServer) -> None:
    with pytest.raises(UnexpectedReply, match="no Savings Plans rate"):
        read_savings_plans(loopback()[1], REGION)


def test_an_answer_that_breaks_off_is_not_an_end_of_the_rates(aws: AwsServer) -> None:
    aws.page_size = 1
    aws.plan("g6.xlarge", REGION, "Compute", YEAR, "No Upfront", "0.6")
    aws.plan("g5.xlarge", REGION, "Compute", YEAR, "No Upfront", "0.8")
    aws.faults = [Fault(""), Fault("cut")]
    with pytest.raises(Unreachable, match="broke off"):
        read_savings_plans(loopback()[1], REGION)


def test_a_missing_permission_names_the_action(aws: AwsServer) -> None:
    aws.faults = [Fault("denied")]
    with pytest.raises(AccessDenied, match="savingsplans:DescribeSavingsPlansOfferingRates"):
        read_savings_plans(loopback()[1], REGION)
