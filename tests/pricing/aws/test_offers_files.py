"""The anonymous offers files, streamed from a server on loopback."""

from __future__ import annotations

from decimal import Decimal

import pytest

from estimators.provenance import Refusal
from pricing.aws.errors import UnexpectedReply, Unreachable
from pricing.aws.offers_files import OffersFileReader
from pricing.offers import PurchaseOption
from tests.servers.aws import AwsServer, Fault, fresh_server

QUIET = "mx-central-1"  # where EC2 lists no type, so that a short list is no surprise


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> AwsServer:
    return fresh_server(monkeypatch)


def test_a_region_is_read_without_credentials(aws: AwsServer) -> None:
    terms = {
        ("1yr", "Partial Upfront", "standard"): ("0.3", "2628"),
        ("3yr", "No Upfront", "convertible"): ("0.4", "0"),
    }
    aws.sell("g6.xlarge", QUIET, "0.8048", terms)
    aws.sell("g4dn.metal", QUIET, "7.824")
    aws.sell("m7i.large", QUIET, "0.1")
    aws.sell("g5.xlarge", "us-west-2", "1.006")
    seen: list[tuple[int, int]] = []
    reader = OffersFileReader(base_url=aws.url)
    reading = reader.read(QUIET, progress=lambda what, done, total: seen.append((done, total)))
    assert {(offer.instance_type, offer.option): offer.usd_per_hour for offer in reading.offers} == {
        ("g6.xlarge", PurchaseOption.ON_DEMAND): Decimal("0.8048"),
        ("g6.xlarge", PurchaseOption.RESERVED_1YR_PARTIAL_UPFRONT): Decimal("0.6"),  # 0.3 + 2628 / 8760
        ("g6.xlarge", PurchaseOption.RESERVED_3YR_NO_UPFRONT_CONVERTIBLE): Decimal("0.4"),
        ("g4dn.metal", PurchaseOption.ON_DEMAND): Decimal("7.824"),
    }
    assert reading.offers[0].origin.startswith("AWS offers file, rate SKU")
    assert reading.complete
    assert seen[0][1] > 0


def test_twins_other_systems_and_foreign_currency_are_not_prices(aws: AwsServer) -> None:
    aws.sell("g5.xlarge", QUIET, "1.006")
    aws.sell_block_twin("g5.xlarge", QUIET)
    aws.sell("g5.xlarge", QUIET, "2", operatingSystem="Windows")
    aws.sell("g6.xlarge", QUIET, "5.6").currency = "CNY"
    reading = OffersFileReader(base_url=aws.url).read(QUIET)
    assert [(offer.instance_type, offer.usd_per_hour) for offer in reading.offers] == [("g5.xlarge", Decimal("1.006"))]
    assert reading.remarks == ("g6.xlarge: it is not priced in USD.",)


def test_a_download_that_breaks_off_is_not_half_a_price_list(aws: AwsServer) -> None:
    for size in ("", "2", "4", "8"):
        aws.sell(f"g5.{size}xlarge", "us-east-1", "1.006")
    aws.faults = [Fault("cut")]
    with pytest.raises(Unreachable, match="broke off after"):
        OffersFileReader(base_url=aws.url).read("us-east-1")


def test_a_region_without_a_file_is_said(aws: AwsServer) -> None:
    with pytest.raises(UnexpectedReply, match=r"no offers file for .* \(HTTP 404\)"):
        OffersFileReader(base_url=f"{aws.url}/nowhere").read("us-east-1")


def test_a_region_name_cannot_leave_the_folder(aws: AwsServer) -> None:
    with pytest.raises(UnexpectedReply):
        OffersFileReader(base_url=aws.url).read("../../secret")
    assert aws.count("OffersFile") == 1


def test_plain_http_is_refused_but_on_loopback() -> None:
    with pytest.raises(Refusal, match="https only"):
        OffersFileReader(base_url="http://pricing.example.com").read("us-east-1")
    with pytest.raises(Refusal, match="https only"):
        OffersFileReader(base_url="file:///etc").read("us-east-1")


def test_nobody_listening_is_unreachable() -> None:
    closed = AwsServer()
    with closed:
        pass
    with pytest.raises(Unreachable, match="could not be read"):
        OffersFileReader(base_url=closed.url).read("us-east-1")
