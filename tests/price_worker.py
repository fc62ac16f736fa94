"""A process that refreshes prices, for tests that run several at once or end one in the middle.

    python -m tests.price_worker <database url> <first price> <readings> [killed]

Each reading covers 200 types. `killed` then begins another six times, each time in a process that is killed before
the next of its statements or before its end is made good, and prints what the book holds then.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import sqlalchemy as sa

from pricing.offers import Listing, Offer, PriceSource, PurchaseOption
from pricing.reading import PriceReading
from pricing.store import PriceStore

TYPES = 200
MOMENTS = 6
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
    store = PriceStore(engine_of(url))
    store.create()
    for number in range(first, first + count):
        store.record(reading(number, START + timedelta(seconds=number)))
    if sys.argv[4:] == ["killed"]:
        for moment in range(MOMENTS):
            where = killed_before(url, moment, reading(first + count, START + timedelta(seconds=first + count)))
            found = {row.usd_per_hour for row in store.current()}
            print(f"{where}: {len(store.current())} at {' '.join(sorted(found))}", flush=True)
    print("done", flush=True)


def engine_of(url: str) -> sa.Engine:
    return sa.create_engine(url, connect_args={"timeout": 30} if url.startswith("sqlite") else {})


def killed_before(url: str, moment: int, late: PriceReading) -> str:
    """A process of its own takes the reading over and is killed before its statement of that number; returns which."""
    reached, tell = os.pipe()
    child = os.fork()
    if not child:
        engine, begun = (
            engine_of(url),
            list[str](),
        )  # statements of the transaction, after those that make sure of tables

        def stall(words: str) -> None:
            if begun or words.endswith("price_reading"):
                begun.append(words)
            if len(begun) == moment + 1:
                os.write(tell, words.encode())
                signal.pause()

        sa.event.listen(engine, "before_cursor_execute", lambda *event: stall(" ".join(event[2].split()[:3])))
        sa.event.listen(engine, "commit", lambda _connection: stall("commit"))
        PriceStore(engine).record(late)
        os.write(tell, b"nothing")
        os._exit(1)
    where = os.read(reached, 100).decode()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return where


if __name__ == "__main__":
    main()
