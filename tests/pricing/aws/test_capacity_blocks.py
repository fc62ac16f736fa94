"""Capacity Blocks: a fee for days of a machine, as an hourly rate."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pricing.aws.capacity_blocks import read_capacity_blocks
from tests.servers.aws import AwsServer, Fault, fresh_server, loopback

REGION = "us-east-1"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> AwsServer:
    return fresh_server(monkeypatch)


def test_the_earliest_block_gives_the_rate(aws: AwsServer) -> None:
    aws.block("p5.48xlarge", "1200.00", "2026-12-05T11:30:00.000Z")
    aws.block("p5.48xlarge", "1012.80", "2026-11-24T11:30:00.000Z")
    (offer,) = read_capacity_blocks(loopback()[1], REGION).offers
    assert offer.usd_per_hour == Decimal("42.2")  # 1012.80 / 24
    assert offer.upfront_usd == Decimal("1012.80")
    assert offer.note == "earliest block of one day, us-east-1a from 2026-11-24, paid at once for 24 h"


def test_no_block_on_sale_today_does_not_end_an_offer(aws: AwsServer) -> None:
    reading = read_capacity_blocks(loopback()[1], REGION)
    assert reading.offers == ()
    assert not reading.complete


def test_a_block_without_a_fee_in_dollars_is_left_out(aws: AwsServer) -> None:
    aws.block("p5.48xlarge", "1012.80", "2026-11-24T11:30:00.000Z", currency="CNY")
    aws.block("p4d.24xlarge", "283.20", "2026-11-24T11:30:00.000Z")
    reading = read_capacity_blocks(loopback()[1], REGION)
    assert [offer.instance_type for offer in reading.offers] == ["p4d.24xlarge"]
    assert reading.remarks == ("p5.48xlarge: its Capacity Block has no fee in USD and no length.",)


def test_an_ultraserver_is_asked_for_as_one(aws: AwsServer) -> None:
    aws.block("u-p6e-gb200x72", "18270.72", "2026-11-24T11:30:00.000Z")
    (offer,) = read_capacity_blocks(loopback()[1], REGION).offers
    assert (offer.instance_type, offer.usd_per_hour) == ("u-p6e-gb200x72", Decimal("761.28"))


def test_a_type_the_region_refuses_does_not_stop_the_others(aws: AwsServer) -> None:
    aws.faults = [Fault("unsupported")]
    aws.block("p5en.48xlarge", "998.64", "2026-11-24T11:30:00.000Z")
    assert [offer.instance_type for offer in read_capacity_blocks(loopback()[1], REGION).offers] == ["p5en.48xlarge"]
