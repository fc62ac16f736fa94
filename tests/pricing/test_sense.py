"""Prices held against what is known: what cannot be true is not believed, and the known price stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from pricing.aws.source import AwsReader
from pricing.book import Book
from pricing.offers import Listing, Offer, PriceQuery, PriceSource, PurchaseOption
from pricing.reading import PriceReading
from pricing.sense import believed, bounds, doubt
from pricing.snapshot import load_snapshot, parse_date, read_rows
from pricing.store import PriceStore
from tests.servers.aws import AwsServer, SpotEntry, fresh_server, loopback

REGION = "us-east-1"
ON_DEMAND, SPOT, BLOCK = PurchaseOption.ON_DEMAND, PurchaseOption.SPOT, PurchaseOption.CAPACITY_BLOCK
RESERVED, SAVINGS = PurchaseOption.RESERVED_1YR_NO_UPFRONT, PurchaseOption.SAVINGS_COMPUTE_1YR_NO_UPFRONT
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

ABSURD = (
    "999999999", "0.0000001", "0.0008048", "8048", "1e-400", "1_0", "٣", "9" * 128, "8e-1", "+0.8048", "-0.8048", "NaN",
)  # fmt: skip


@pytest.mark.parametrize(
    ("instance_type", "region", "option", "least", "most"),
    [
        ("g6.xlarge", REGION, ON_DEMAND, "0.26827", "2.4144"),  # known at 0.8048 here: a third of it, three times it
        ("g6.xlarge", REGION, SPOT, "0.04024", "1.6416"),  # 0.05 x 0.8048; 1.2 x 1.368, the dearest region's
        ("g6.xlarge", REGION, SAVINGS, "0.12072", "1.6416"),  # 0.15 x 0.8048
        ("trn2.48xlarge", REGION, ON_DEMAND, "1.216", "1025.4"),  # neither it nor its chip has one: 16 of any
    ],
)
def test_the_least_and_the_most_it_can_be(
    instance_type: str, region: str, option: PurchaseOption, least: str, most: str
) -> None:
    found = bounds(instance_type, region, option)
    assert found is not None
    assert [round(float(end), 5) for end in found] == [float(least), float(most)]


def test_every_price_of_the_table_is_believed() -> None:
    rows = [row for row in read_rows() if row.usd_per_hour and row.region != "most-regions"]
    assert len(rows) > 5_000
    for row in rows:
        assert not doubt(row.instance_type, row.region, PurchaseOption(row.option), Decimal(row.usd_per_hour)), row
        assert parse_date(row.as_of) <= datetime.now(UTC).date()


def offered(usd: str, *, name: str = "g6.xlarge", as_of: date | None = None) -> Offer:
    return Offer(
        instance_type=name, region=REGION, option=ON_DEMAND, usd_per_hour=Decimal(usd), source=PriceSource.LIVE,
        as_of=as_of or NOW.date(), origin="AWS",
    )  # fmt: skip


def test_the_sentence_names_the_price_and_what_it_could_be() -> None:
    assert doubt("g6.xlarge", REGION, ON_DEMAND, Decimal("804.8")) == (
        "g6.xlarge: $804.8 an hour (on_demand) is not believed: what is known of it and its kin allows "
        "$0.2683 to $2.414. The known price stays."
    )
    assert doubt("m7i.large", REGION, ON_DEMAND, Decimal("804.8")) == ""  # no machine of ours


def test_a_price_of_tomorrow_is_not_believed() -> None:
    reading = PriceReading(
        region=REGION, listing=Listing.PRICE_LIST, read_at=NOW, origin="AWS",
        offers=(offered("0.8", as_of=NOW.date() + timedelta(days=1)), offered("0.99", name="g5.xlarge")),
    )  # fmt: skip
    kept = believed(reading)
    assert [offer.instance_type for offer in kept.offers] == ["g5.xlarge"]
    assert kept.remarks[0] == "g6.xlarge: its on_demand price is dated 2026-11-22, which has not come yet."


def test_a_list_that_lacks_a_third_of_the_region_ends_nothing() -> None:
    known = load_snapshot().find(PriceQuery(region=REGION, option=ON_DEMAND))
    whole = PriceReading(
        region=REGION, listing=Listing.PRICE_LIST, read_at=datetime.now(UTC), origin="AWS", offers=known
    )
    assert believed(whole) is whole
    short = believed(replace(whole, offers=known[: len(known) // 2]))
    assert not short.complete
    (said,) = short.remarks
    assert said.endswith("known types in us-east-1: the others keep older prices.")


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> AwsServer:
    return fresh_server(monkeypatch)


def tell(aws: AwsServer, option: PurchaseOption, usd: str) -> tuple[str, Listing]:
    """Let AWS ask this for one machine, and a true price for another; the machine's type, and the listing."""
    aws.sell("g5.xlarge", REGION, "1.006")
    aws.spot.append(SpotEntry("g5.xlarge", "us-east-1a", "0.5"))
    aws.plan("g5.xlarge", REGION, "Compute", 31_536_000, "No Upfront", "0.73")
    match option:
        case PurchaseOption.ON_DEMAND:
            aws.sell("g6.xlarge", REGION, usd)
        case PurchaseOption.RESERVED_1YR_NO_UPFRONT:
            aws.sell("g6.xlarge", REGION, "0.8048", reserved={("1yr", "No Upfront", "standard"): (usd, "0")})
        case PurchaseOption.SPOT:
            aws.spot.append(SpotEntry("g6.xlarge", "us-east-1a", usd))
        case PurchaseOption.CAPACITY_BLOCK:
            aws.block("p5.48xlarge", usd, "2026-12-05T11:30:00.000Z", hours=1)
            return "p5.48xlarge", option.listing
        case _:
            aws.plan("g6.xlarge", REGION, "Compute", 31_536_000, "No Upfront", usd)
    return "g6.xlarge", option.listing


@pytest.mark.parametrize("usd", ABSURD)
@pytest.mark.parametrize("option", [ON_DEMAND, RESERVED, SPOT, SAVINGS, BLOCK])
def test_no_absurd_price_is_believed(aws: AwsServer, option: PurchaseOption, usd: str) -> None:
    name, listing = tell(aws, option, usd)
    book = Book(reader=AwsReader(loopback()[1]))
    before = book.get(name, REGION, option)
    others = {o.instance_type for o in book.find(PriceQuery(region=REGION, option=option))}
    book.refresh(REGION, [listing])
    after = book.get(name, REGION, option)
    if before is None:
        assert after is None
    else:
        assert after is not None
        assert (after.usd_per_hour, after.source) == (before.usd_per_hour, before.source)
    assert others <= {o.instance_type for o in book.find(PriceQuery(region=REGION, option=option))}
    status = book.status(REGION, listing)
    assert name in " ".join(status.remarks)  # said on Prices
    if option is not BLOCK:
        true = book.get("g5.xlarge", REGION, ON_DEMAND if option is RESERVED else option)
        assert true is not None
        assert true.source is PriceSource.LIVE  # the rest of the listing is read


def test_a_price_that_is_not_believed_is_logged_and_the_known_one_says_it_was_kept(
    aws: AwsServer, caplog: pytest.LogCaptureFixture
) -> None:
    tell(aws, ON_DEMAND, "804.8")
    book = Book(reader=AwsReader(loopback()[1]))
    book.refresh(REGION, [Listing.PRICE_LIST])
    known = book.get("g6.xlarge", REGION, ON_DEMAND)
    assert known is not None
    assert (known.usd_per_hour, known.kept) == (Decimal("0.8048"), True)
    (record,) = caplog.records
    assert "g6.xlarge: $804.8 an hour (on_demand) is not believed" in record.getMessage()


def test_a_spot_price_of_2999_beats_no_true_one(aws: AwsServer) -> None:
    aws.spot = [
        SpotEntry("g6.xlarge", "us-east-1a", "0.31", at="2026-11-20T00:00:00.000Z"),
        SpotEntry("g6.xlarge", "us-east-1a", "0.21", at="2999-01-01T00:00:00.000Z"),
    ]
    book = Book(reader=AwsReader(loopback()[1]))
    book.refresh(REGION, [Listing.SPOT])
    spot = book.get("g6.xlarge", REGION, SPOT)
    assert spot is not None
    assert spot.usd_per_hour == Decimal("0.31")
    assert "dated 2999" in book.status(REGION, Listing.SPOT).remarks[0]


def test_an_absurd_price_of_the_database_is_passed_over(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'prices.db'}")
    store = PriceStore(engine)
    store.create()
    reading = PriceReading(
        region=REGION, listing=Listing.PRICE_LIST, read_at=datetime.now(UTC), origin="AWS",
        offers=(offered("0.0008048"),), complete=False,
    )  # fmt: skip
    store.record(reading)
    book = Book(store=store)
    known = book.get("g6.xlarge", REGION, ON_DEMAND)
    assert known is not None
    assert known.usd_per_hour == Decimal("0.8048")
    assert all(point.usd_per_hour > Decimal("0.1") for point in book.history("g6.xlarge", REGION, ON_DEMAND))
    day = book.on(datetime.now(UTC).date()).get("g6.xlarge", REGION, ON_DEMAND)
    assert day is not None
    assert day.usd_per_hour == Decimal("0.8048")
    engine.dispose()
