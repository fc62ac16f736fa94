"""The last good copy of every listing and the history of every price, in SQLite or PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from estimators.database.schema import metadata
from estimators.database.store import Store
from estimators.provenance import Refusal
from pricing.offers import Listing, PurchaseOption
from pricing.reading import ODD_ROW, StoredPrice, StoredReading, amount, stored_moment
from pricing.snapshot import PricePoint

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, Row

    from pricing.offers import Offer
    from pricing.reading import PriceReading

# One row per price and the span it was seen in: a change of price ends a row and starts another.
prices = sa.Table(
    "price",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("instance_type", sa.String(32), nullable=False),
    sa.Column("region", sa.String(32), nullable=False),
    sa.Column("option", sa.String(64), nullable=False),
    sa.Column("listing", sa.String(32), nullable=False),
    sa.Column("usd_per_hour", sa.String(40), nullable=False),  # text: SQLite would make a float of a number
    sa.Column("upfront_usd", sa.String(40), nullable=False),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("first_seen", sa.String(32), nullable=False),  # ISO 8601, UTC
    sa.Column("last_seen", sa.String(32), nullable=False),
    sa.Column("ended", sa.String(32)),  # when a newer price, or none, was seen; null while current
    sa.Index("price_current", "region", "listing", "ended"),
    sa.Index("price_history", "instance_type", "region", "option"),
)

readings = sa.Table(
    "price_reading",
    metadata,
    sa.Column("region", sa.String(32), primary_key=True),
    sa.Column("listing", sa.String(32), primary_key=True),
    sa.Column("read_at", sa.String(32), nullable=False),
    sa.Column("complete_at", sa.String(32), nullable=False),  # of the last complete reading, empty without one
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("remarks", sa.Text, nullable=False),  # JSON list of sentences
)

IDS_PER_STATEMENT = 500  # SQLite takes at most 999 parameters in old versions


class StoreUnavailable(Refusal):
    """The database does not answer; prices are still served from memory."""


def _unavailable(kind: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"The price database does not answer ({kind}): prices read meanwhile are not kept.",
        field="region",
        remedy="It is tried again by itself; check DATABASE_URL.",
    )


def _chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), IDS_PER_STATEMENT):
        yield ids[start : start + IDS_PER_STATEMENT]


class PriceStore(Store):
    """Readings and prices in a database several processes may share."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, _unavailable)

    def record(self, reading: PriceReading) -> bool:
        """Takes a reading over in one transaction; False if one as new is already there, and then changes nothing.

        The first statement locks the listing's row (in SQLite, the database), so two processes take turns.
        """
        with self._transaction() as connection:
            if not self._claim(connection, reading):
                return False
            current = {(row.instance_type, row.option): row for row in self._current(connection, reading)}
            new, kept, ended = _compared(reading, current)
            self._end(connection, ended, reading.read_at)
            self._confirm(connection, kept, reading.read_at)
            if new:
                connection.execute(prices.insert(), [_values(offer, reading) for offer in new])
            return True

    def _claim(self, connection: Connection, reading: PriceReading) -> bool:
        insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        key = {"region": reading.region, "listing": reading.listing.value}
        blank = {"read_at": "", "complete_at": "", "origin": "", "remarks": "[]"}
        connection.execute(insert(readings).values(**key, **blank).on_conflict_do_nothing())
        read_at = stored_moment(reading.read_at)
        said = {"read_at": read_at, "origin": reading.origin, "remarks": json.dumps(reading.remarks)}
        if reading.complete:
            said["complete_at"] = read_at
        mine = sa.and_(readings.c.region == key["region"], readings.c.listing == key["listing"])
        # A moment that lies ahead is a damaged row or a clock gone wrong, and must not keep every later reading out.
        ahead = stored_moment(reading.read_at + timedelta(days=1))
        older = sa.or_(readings.c.read_at < read_at, readings.c.read_at > ahead)
        result = connection.execute(readings.update().where(mine, older).values(**said))
        return result.rowcount == 1

    def _current(self, connection: Connection, reading: PriceReading) -> Sequence[Row[tuple[object, ...]]]:
        where = (
            prices.c.region == reading.region,
            prices.c.listing == reading.listing.value,
            prices.c.ended.is_(None),
        )
        return connection.execute(sa.select(prices).where(*where)).all()

    def _end(self, connection: Connection, ids: Sequence[int], at: datetime) -> None:
        for chunk in _chunks(ids):
            connection.execute(prices.update().where(prices.c.id.in_(chunk)).values(ended=stored_moment(at)))

    def _confirm(self, connection: Connection, kept: dict[int, Offer], at: datetime) -> None:
        if not kept:
            return
        statement = (
            prices.update()
            .where(prices.c.id == sa.bindparam("row_id"))
            .values(last_seen=stored_moment(at), origin=sa.bindparam("said_by"), note=sa.bindparam("remark"))
        )
        connection.execute(
            statement, [{"row_id": i, "said_by": offer.origin, "remark": offer.note} for i, offer in kept.items()]
        )

    def current(self) -> Sequence[StoredPrice]:
        """Every price that has not ended, of all regions and listings."""
        return self._stored(prices.c.ended.is_(None))

    def _stored(self, *where: sa.ColumnElement[bool]) -> Sequence[StoredPrice]:
        statement = sa.select(*(prices.c[name] for name in StoredPrice._fields)).where(*where)
        with self._transaction() as connection:
            # Rows as they come, which carry the same names: tens of thousands are read before the first page.
            return cast("Sequence[StoredPrice]", connection.execute(statement).all())

    def readings(self) -> dict[tuple[str, Listing], StoredReading]:
        """The last reading of each listing of each region; one that cannot be read is as none."""
        with self._transaction() as connection:
            rows = connection.execute(sa.select(readings)).all()
        found = {}
        for row in rows:
            with suppress(*ODD_ROW):
                read = _stored_reading(row)
                found[read.region, read.listing] = read
        return found

    def history(self, instance_type: str, region: str, option: PurchaseOption) -> tuple[PricePoint, ...]:
        """Prices seen for one offer, oldest first: a point where each began and one where it was last confirmed."""
        where = (prices.c.instance_type == instance_type, prices.c.region == region, prices.c.option == option.value)
        statement = sa.select(prices).where(*where).order_by(prices.c.first_seen)
        with self._transaction() as connection:
            rows = connection.execute(statement).all()
        points = []
        for row in rows:
            with suppress(*ODD_ROW):
                days = dict.fromkeys((row.first_seen[:10], row.last_seen[:10]))
                points += [
                    PricePoint(as_of=date.fromisoformat(day), usd_per_hour=amount(row.usd_per_hour), origin=row.origin)
                    for day in days
                ]
        return tuple(points)

    def on(self, day: date) -> Sequence[StoredPrice]:
        """The prices known at the end of a day, as they were then."""
        end = stored_moment(datetime(day.year, day.month, day.day, 23, 59, 59, 999_999, tzinfo=UTC))
        return self._stored(prices.c.first_seen <= end, sa.or_(prices.c.ended.is_(None), prices.c.ended > end))


def _compared(
    reading: PriceReading, current: dict[tuple[str, str], Row[tuple[object, ...]]]
) -> tuple[list[Offer], dict[int, Offer], list[int]]:
    """New prices, the rows they confirm, and the rows they end."""
    new: list[Offer] = []
    kept: dict[int, Offer] = {}
    ended: list[int] = []
    for offer in reading.offers:
        row = current.pop((offer.instance_type, offer.option.value), None)
        if row is not None and _same_price(row, offer):
            kept[row.id] = offer
            continue
        new.append(offer)
        if row is not None:
            ended.append(row.id)
    if reading.complete:
        ended += [row.id for row in current.values()]
    return new, kept, ended


def _same_price(row: Row[tuple[object, ...]], offer: Offer) -> bool:
    try:
        return amount(row.usd_per_hour) == offer.usd_per_hour and amount(row.upfront_usd) == offer.upfront_usd
    except ODD_ROW:
        return False  # no price at all: the new one ends it


def _stored_reading(row: Row[tuple[object, ...]]) -> StoredReading:
    read_at, complete_at = (datetime.fromisoformat(text) if text else None for text in (row.read_at, row.complete_at))
    if read_at is None or None in (moment.tzinfo for moment in (read_at, complete_at) if moment is not None):
        raise ValueError("a moment without its time zone")
    return StoredReading(
        region=row.region,
        listing=Listing(row.listing),
        read_at=read_at,
        complete_at=complete_at,
        origin=row.origin,
        remarks=tuple(map(str, json.loads(row.remarks))),
    )


def _values(offer: Offer, reading: PriceReading) -> dict[str, str]:
    seen = stored_moment(reading.read_at)
    return {
        "instance_type": offer.instance_type,
        "region": offer.region,
        "option": offer.option.value,
        "listing": reading.listing.value,
        "usd_per_hour": format(offer.usd_per_hour, "f"),
        "upfront_usd": format(offer.upfront_usd, "f"),
        "origin": offer.origin,
        "note": offer.note,
        "first_seen": seen,
        "last_seen": seen,
    }
