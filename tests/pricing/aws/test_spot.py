"""Spot history as EC2 sends it, made one price by a named rule."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pricing.aws.errors import AccessDenied, ExpiredCredentials, RegionNotEnabled, Throttled, UnexpectedReply
from pricing.aws.spot import SpotRule, read_spot
from pricing.offers import Listing, PriceSource, PurchaseOption
from tests.servers.aws import AwsServer, Fault, SpotEntry, fresh_server, loopback

FOUR_ZONES = [("us-east-1a", "0.61"), ("us-east-1b", "0.30"), ("us-east-1c", "0.50"), ("us-east-1d", "0.42")]


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> AwsServer:
    return fresh_server(monkeypatch)


@pytest.mark.parametrize(
    ("rule", "price", "note"),
    [
        (SpotRule.MEDIAN_ZONE, "0.50", "median zone, 4 zones at $0.30 to $0.61"),
        (SpotRule.CHEAPEST_ZONE, "0.30", "cheapest zone, 4 zones at $0.30 to $0.61"),
    ],
)
def test_zones_become_one_price_by_a_rule_the_note_names(aws: AwsServer, rule: SpotRule, price: str, note: str) -> None:
    aws.spot = [SpotEntry("g5.xlarge", zone, asked) for zone, asked in FOUR_ZONES]
    reading = read_spot(loopback()[1], "us-east-1", rule=rule)
    (offer,) = reading.offers
    assert reading.listing is Listing.SPOT
    assert offer.option is PurchaseOption.SPOT
    assert offer.source is PriceSource.LIVE
    assert offer.usd_per_hour == Decimal(price)
    assert offer.note == f"{note}; AWS may take the machine back with two minutes' notice"


def test_one_zone_is_named(aws: AwsServer) -> None:
    aws.spot = [SpotEntry("g5.xlarge", "us-east-1b", "0.30")]
    assert "only us-east-1b" in read_spot(loopback()[1], "us-east-1").offers[0].note


def test_only_the_newest_price_of_a_zone_and_only_linux_counts(aws: AwsServer) -> None:
    aws.spot = [
        SpotEntry("g5.xlarge", "us-east-1a", "0.40", at="2026-11-21T02:00:00.000Z"),
        SpotEntry("g5.xlarge", "us-east-1a", "0.90", at="2026-11-20T02:00:00.000Z"),
        SpotEntry("g5.xlarge", "us-east-1b", "0.10", product="Windows"),
        SpotEntry("g5.xlarge", "us-east-1c", "0.00"),
        SpotEntry("m7i.large", "us-east-1a", "0.02"),
    ]
    (offer,) = read_spot(loopback()[1], "us-east-1").offers
    assert offer.usd_per_hour == Decimal("0.40")


def test_pages_are_followed(aws: AwsServer) -> None:
    aws.page_size = 1
    aws.spot = [SpotEntry("g5.xlarge", zone, asked) for zone, asked in FOUR_ZONES]
    assert "4 zones" in read_spot(loopback()[1], "us-east-1").offers[0].note
    assert aws.count("DescribeSpotPriceHistory") == 4


def test_no_spot_price_at_all_is_refused(aws: AwsServer) -> None:
    with pytest.raises(UnexpectedReply, match="no spot price for any accelerator machine in us-east-1"):
        read_spot(loopback()[1], "us-east-1")


@pytest.mark.parametrize(
    ("fault", "times", "error"),
    [
        ("not_enabled", 1, RegionNotEnabled),
        ("denied", 1, AccessDenied),
        ("expired", 1, ExpiredCredentials),
        ("throttle", 3, Throttled),
    ],
)
def test_each_failure_is_told_apart(aws: AwsServer, fault: str, times: int, error: type[Exception]) -> None:
    aws.spot = [SpotEntry("g5.xlarge", "us-east-1a", "0.40")]
    aws.faults = [Fault(fault)] * times
    with pytest.raises(error) as refused:
        read_spot(loopback()[1], "us-east-1")
    assert "123456789012" not in str(refused.value)


def test_throttling_is_waited_out(aws: AwsServer) -> None:
    aws.spot = [SpotEntry("g5.xlarge", "us-east-1a", "0.40")]
    aws.faults = [Fault("throttle"), Fault("throttle")]
    assert len(read_spot(loopback()[1], "us-east-1").offers) == 1
