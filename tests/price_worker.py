"""A process that refreshes prices, for tests that run several at once or end one in the middle.

    python -m tests.price_worker <database url> <first price> <readings> [stall]

Each reading covers 200 types, `stall` holds the transaction of the last one open until the process is killed.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import sqlalchemy as sa

from pricing.offers import Listing, Offer, PriceSource, PurchaseOption
from pricing.reading import PriceReading
from pricing.store import PriceStore

TYPES = 200
START = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


def reading(price: int, at: datetime, region: str = "us-east-1", types: int = TYPES) -> PriceReading:
    """Every type at one price, so that a mixture of two readings shows."""
    offers = tuple(
        Offer(
            instance_type=f"g5.{number}xlarge",
            region=region,
            option=PurchaseOption.ON_DEMAND,
            usd_per_hour=Decimal(price),
            source=PriceSource.LIVE,
            as_of=at.date(),
            origin=f"reading {price}",
        )
        for number in range(types)
    )
    return PriceReading(region=region, listing=Listing.PRICE_LIST, read_at=at, origin="a test", offers=offers)


def main() -> None:
    url, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    arguments = {"timeout": 30} if url.startswith("sqlite") else {}
    engine = sa.create_engine(url, connect_args=arguments)
    store = PriceStore(engine)
    store.create()
    for number in range(first, first + count):
        at = START + timedelta(seconds=number)
        if number == first + count - 1 and sys.argv[4:] == ["stall"]:
            sa.event.listen(engine, "before_cursor_execute", stall_before_insert)
        store.record(reading(number, at))
    print("done", flush=True)


def stall_before_insert(connection, cursor, statement, parameters, context, executemany) -> None:  # type: ignore[no-untyped-def]
    """Waits where the old prices have ended and the new ones are not written."""
    if statement.startswith("INSERT INTO price "):
        print("in the middle", flush=True)
        time.sleep(60)


if __name__ == "__main__":
    main()
