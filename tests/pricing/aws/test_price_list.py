"""The Price List API, spoken by a server on loopback: what becomes a price, and what is refused with a sentence."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from pricing.aws.clients import AwsClients, ClientSettings, pricing_endpoint_region
from pricing.aws.errors import (
    AccessDenied,
    AwsError,
    ExpiredCredentials,
    NoCredentials,
    ServiceFault,
    Throttled,
    UnexpectedReply,
    Unreachable,
)
from pricing.aws.price_list import read_price_list
from pricing.offers import Offer, PriceSource, PurchaseOption
from pricing.reading import PriceReading
from tests.servers.aws import AwsServer, Fault, fresh_server, loopback

REGION = "us-east-1"
QUIET = "mx-central-1"  # where EC2 lists no type, so that a short list is no surprise
Read = Callable[..., PriceReading]


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> AwsServer:
    return fresh_server(monkeypatch)


@pytest.fixture
def read(aws: AwsServer) -> Read:
    return lambda region=REGION: read_price_list(loopback()[1], region)


def prices(reading: PriceReading) -> dict[tuple[str, PurchaseOption], Decimal]:
    return {(offer.instance_type, offer.option): offer.usd_per_hour for offer in reading.offers}


def offer(reading: PriceReading, instance_type: str, option: PurchaseOption) -> Offer:
    return next(found for found in reading.offers if (found.instance_type, found.option) == (instance_type, option))


def test_an_on_demand_price_is_read_with_its_date_and_rate_code(aws: AwsServer, read: Read) -> None:
    aws.sell("g6.xlarge", "us-east-1", "0.8048000000")
    found = offer(read(), "g6.xlarge", PurchaseOption.ON_DEMAND)
    assert found.usd_per_hour == Decimal("0.8048")
    assert found.source is PriceSource.LIVE
    assert found.origin == ("AWS Price List API, rate SKU0000000000000.JRTCKXETXF.Hrs, published 2026-11-20T20:00:00Z")


def test_reserved_terms_become_effective_hourly_rates_with_the_upfront_sum_shown(aws: AwsServer, read: Read) -> None:
    terms = {
        ("1yr", "All Upfront", "standard"): ("0.0000000000", "67523"),
        ("3yr", "Partial Upfront", "convertible"): ("3.0000000000", "52560"),
        ("3yr", "No Upfront", "standard"): ("5.66311", "0"),
        ("5yr", "No Upfront", "standard"): ("1.0", "0"),  # a lease never seen is not guessed at
    }
    aws.sell("dl1.24xlarge", "us-east-1", "13.10904", terms)
    reading = read()
    assert {option: price for (_, option), price in prices(reading).items()} == {
        PurchaseOption.ON_DEMAND: Decimal("13.10904"),
        PurchaseOption.RESERVED_1YR_ALL_UPFRONT: Decimal("7.7081050228"),  # 67523 / 8760
        PurchaseOption.RESERVED_3YR_PARTIAL_UPFRONT_CONVERTIBLE: Decimal("5.0000000000"),  # 3 + 52560 / 26280
        PurchaseOption.RESERVED_3YR_NO_UPFRONT: Decimal("5.66311"),
    }
    assert offer(reading, "dl1.24xlarge", PurchaseOption.RESERVED_1YR_ALL_UPFRONT).upfront_usd == 67523


def test_pages_are_per_family_of_machines_and_not_per_type(aws: AwsServer, read: Read) -> None:
    types = [f"g{n}.{size}xlarge" for n in ("5", "6", "6e") for size in ("", "2", "4", "8", "12", "16", "24", "48")]
    for instance_type in [*types, "g4dn.metal", "inf2.xlarge", "p5.48xlarge"]:
        aws.sell(instance_type, "us-east-1", "1.5")
    assert len(read().offers) == len(types) + 3
    classes = [request for request in aws.requests if "instanceFamily" in str(request)]
    assert len(classes) == 3  # GPU machines, ASIC machines, bare metal
    families = {
        found["Value"] for request in aws.requests for found in request["Filters"] if found["Type"] == "CONTAINS"
    }  # type: ignore[attr-defined]
    assert "trn1." in families  # listed in us-east-1 by EC2, not shown by a class: asked for once, by family
    assert len(aws.requests) == 3 + len(families) < 30


def test_every_page_is_read(aws: AwsServer, read: Read) -> None:
    aws.page_size = 2
    sizes = ("", "2", "4", "8", "12")
    for number, size in enumerate(sizes):
        aws.sell(f"g6.{size}xlarge", "us-east-1", f"{number + 1}")
    assert prices(read()) == {
        (f"g6.{size}xlarge", PurchaseOption.ON_DEMAND): Decimal(number + 1) for number, size in enumerate(sizes)
    }


def test_the_zero_priced_capacity_block_twin_is_not_a_price(aws: AwsServer, read: Read) -> None:
    aws.sell_block_twin("p5.48xlarge", "us-east-1")
    aws.sell("p5.48xlarge", "us-east-1", "55.04")
    aws.filters_work = False  # even from a server that sends everything it has
    aws.sell("g6.xlarge", "us-west-2", "0.9")
    aws.sell("p4d.24xlarge", "us-east-1", "40", operatingSystem="Windows")
    aws.sell("p4d.24xlarge", "us-east-1", "35", tenancy="Dedicated")
    aws.sell("p4d.24xlarge", "us-east-1", "0", capacitystatus="AllocatedCapacityReservation")
    assert prices(read()) == {("p5.48xlarge", PurchaseOption.ON_DEMAND): Decimal("55.04")}


def test_bare_metal_is_found_under_dedicated_tenancy_and_says_so(aws: AwsServer, read: Read) -> None:
    aws.sell("g4dn.metal", "us-east-1", "7.824")
    assert offer(read(), "g4dn.metal", PurchaseOption.ON_DEMAND).note == "bare metal, listed under dedicated tenancy"


def test_two_products_for_one_type_are_refused_and_the_rest_is_kept(aws: AwsServer, read: Read) -> None:
    aws.sell("g6.xlarge", QUIET, "0.8048")
    aws.sell("g6.xlarge", QUIET, "0.9", somethingNew="Yes")
    aws.sell("g5.xlarge", QUIET, "1.006")
    reading = read(QUIET)
    assert prices(reading) == {("g5.xlarge", PurchaseOption.ON_DEMAND): Decimal("1.006")}
    assert not reading.complete
    assert reading.remarks == (
        "g6.xlarge: 2 products (SKU0000000000000, SKU0000000000001) match where one was expected.",
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"hourly": "0.0000000000"}, "its on_demand price is zero."),
        ({"hourly": "-1"}, "AWS gives '-1' as a price."),
        ({"hourly": "NaN"}, "AWS gives 'NaN' as a price."),
        ({"hourly": "1,5"}, "AWS gives '1,5' as a price."),
        ({"currency": "CNY"}, "it is priced in CNY, not USD."),
        ({"unit": "Quantity"}, "its on_demand price has no hourly rate."),
        ({"unit": "Month"}, "its on_demand price is per 'Month', or given twice."),
    ],
)
def test_a_price_that_cannot_be_one_is_refused(aws: AwsServer, read: Read, change: dict[str, str], reason: str) -> None:
    product = aws.sell("g6.xlarge", QUIET, "0.8048")
    aws.sell("g5.xlarge", QUIET, "1.006")
    for name, value in change.items():
        setattr(product, name, value)
    reading = read(QUIET)
    assert prices(reading) == {("g5.xlarge", PurchaseOption.ON_DEMAND): Decimal("1.006")}
    assert reading.remarks == (f"g6.xlarge: {reason}",)
    assert not reading.complete


@pytest.mark.parametrize("item", ['{"product": ', "[" * 100_000, '"text"', "null", "{}", '{"product": {}}'])
def test_a_malformed_item_leaves_the_others_and_the_reading_incomplete(aws: AwsServer, read: Read, item: str) -> None:
    aws.raw_items = [item]
    aws.sell("g5.xlarge", QUIET, "1.006")
    reading = read(QUIET)
    assert prices(reading) == {("g5.xlarge", PurchaseOption.ON_DEMAND): Decimal("1.006")}
    assert not reading.complete
    assert len(reading.remarks) == 1


def test_types_the_instance_table_lacks_are_named(aws: AwsServer, read: Read) -> None:
    aws.sell("g9.xlarge", QUIET, "2")
    aws.sell("g5.xlarge", QUIET, "1.006")
    reading = read(QUIET)
    assert reading.remarks == ("AWS also lists g9.xlarge, which the instance table does not have.",)
    assert reading.complete


def test_a_region_that_shows_nothing_is_refused_and_not_taken_for_empty(aws: AwsServer, read: Read) -> None:
    with pytest.raises(UnexpectedReply, match="shows no accelerator machine in mx-central-1"):
        read("mx-central-1")


def test_a_renamed_attribute_is_refused_and_not_taken_for_empty(aws: AwsServer, read: Read) -> None:
    aws.sell("g5.xlarge", "us-east-1", "1.006", marketoption="On Demand")
    with pytest.raises(UnexpectedReply, match="shows no accelerator machine"):
        read()


def test_a_renamed_machine_class_is_made_up_for_by_asking_per_family(aws: AwsServer, read: Read) -> None:
    aws.sell("trn1.2xlarge", "us-east-1", "1.3438", instanceFamily="AI accelerators")
    assert prices(read()) == {("trn1.2xlarge", PurchaseOption.ON_DEMAND): Decimal("1.3438")}


def test_throttling_is_waited_out(aws: AwsServer, read: Read) -> None:
    aws.sell("g5.xlarge", "us-east-1", "1.006")
    aws.faults += [Fault("throttle"), Fault("throttle")]
    assert len(read().offers) == 1


@pytest.mark.parametrize(
    ("fault", "times", "error", "sentence"),
    [
        ("throttle", 3, Throttled, "AWS is throttling pricing GetProducts. It is tried again later."),
        ("expired", 1, ExpiredCredentials, "AWS says the credentials have expired "
         "(pricing GetProducts). Sign in again."),
        ("unknown_key", 1, ExpiredCredentials, "AWS does not accept the credentials (pricing GetProducts). "
         "Check key, secret, token."),
        ("denied", 1, AccessDenied, "The credentials may not call pricing GetProducts. "
         "Allow pricing:GetProducts in the IAM policy."),
        ("fault", 3, ServiceFault, "AWS answered pricing GetProducts with a fault of its own "
         "(HTTP 500). Try again later."),
        ("cut", 1, Unreachable, "The answer to pricing GetProducts broke off. It is read again later."),
        ("slow", 3, Unreachable, "The connection to AWS failed "
         "(pricing GetProducts, ReadTimeoutError). Try again later."),
    ],
)  # fmt: skip
def test_each_failure_is_one_sentence(
    aws: AwsServer, read: Read, fault: str, times: int, error: type[AwsError], sentence: str
) -> None:
    aws.sell("g5.xlarge", "us-east-1", "1.006")
    aws.faults += [Fault(fault)] * times
    with pytest.raises(error) as refused:
        read()
    assert str(refused.value).startswith(sentence)
    assert "arn:" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_connection_cut_in_a_later_page_loses_the_reading_and_not_half_of_it(aws: AwsServer, read: Read) -> None:
    aws.page_size = 1
    aws.sell("g5.xlarge", "us-east-1", "1.006")
    aws.sell("g6.xlarge", "us-east-1", "0.8048")
    aws.faults += [Fault(""), Fault("cut")]  # the second page
    with pytest.raises(Unreachable):
        read()


def test_a_page_token_that_repeats_ends_the_reading(aws: AwsServer, read: Read) -> None:
    aws.page_size, aws.repeat_token = 1, True
    for size in ("", "2", "4"):
        aws.sell(f"g5.{size}xlarge", "us-east-1", "1.006")
    with pytest.raises(UnexpectedReply, match="same page token twice"):
        read()


def test_no_credentials_is_said_at_once(monkeypatch: pytest.MonkeyPatch, aws: AwsServer) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with pytest.raises(NoCredentials, match="No AWS credentials were found"):
        read_price_list(AwsClients(), REGION)
    assert aws.requests == []


def test_a_profile_that_does_not_exist_is_no_credentials() -> None:
    with pytest.raises(NoCredentials):
        read_price_list(AwsClients(ClientSettings(profile="nobody")), REGION)


def test_nobody_listening_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = AwsServer()
    for name, value in closed.environment.items():
        monkeypatch.setenv(name, value)
    with closed:
        pass
    with pytest.raises(Unreachable):
        read_price_list(AwsClients(ClientSettings(max_attempts=1)), REGION)


@pytest.mark.parametrize(
    ("near", "endpoint"),
    [("eu-west-1", "eu-central-1"), ("ap-northeast-1", "ap-south-1"), ("us-west-2", "us-east-1"),
     ("us-gov-west-1", "us-east-1"), ("sa-east-1", "us-east-1"), (None, "us-east-1"), ("cn-north-1", "cn-northwest-1")],
)  # fmt: skip
def test_the_client_is_pinned_to_a_region_whose_endpoint_exists(near: str | None, endpoint: str) -> None:
    assert pricing_endpoint_region(near) == endpoint
