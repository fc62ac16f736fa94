"""The price book: live where AWS answers, else the last good copy, else the bundled snapshot, and it says which."""

from __future__ import annotations

import gc
import logging
import threading
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from estimators.provenance import Refusal
from pricing.offers import Listing, Offer, PriceQuery, PriceSource, PurchaseOption, is_stale
from pricing.reading import (
    ODD_ROW,
    BookStatus,
    PriceReader,
    PriceReading,
    Progress,
    amount,
    no_progress,
    stored_moment,
)
from pricing.refresh import RegionReport, read_region
from pricing.sense import doubt
from pricing.snapshot import PricePoint, load_snapshot, snapshot_history, snapshot_on
from pricing.table import OfferTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pricing.reading import StoredPrice, StoredReading
    from pricing.store import PriceStore

log = logging.getLogger("rightsize")

ListingKey = tuple[str, Listing]
OfferKey = tuple[str, str, str]  # type, region, and the option as text: an enum's hash is Python, and slow

LIVE_FOR, REFRESH_AFTER = timedelta(hours=2), timedelta(hours=1)  # of a listing, since it was last read


@dataclass(slots=True)
class _Contact:
    """This process's own dealings with AWS about one listing of one region."""

    reading: PriceReading | None = None  # the last that succeeded
    live_since: datetime | None = None
    failed_at: datetime | None = None  # of the last attempt, if it failed
    error: str = ""


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What the store held when it was last looked at."""

    readings: dict[ListingKey, StoredReading]
    prices: tuple[StoredPrice, ...]


class Book:
    """A `PriceBook` over three layers. Looking up never waits: a finished table is swapped for the old one."""

    def __init__(
        self,
        *,
        store: PriceStore | None = None,
        reader: PriceReader | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        unkept: str = "",
    ) -> None:
        """`unkept` says why there is no store, where there ought to be one."""
        self._store = store
        self._reader = reader
        self._clock = clock
        self._lock = threading.Lock()
        self._making = threading.Lock()
        self._contacts: dict[ListingKey, _Contact] = {}
        self._loaded = _Loaded({}, ())
        self._store_error = unkept
        self.unreadable = 0  # stored prices that were left out: damaged, or of another version of this tool
        self._table = OfferTable(())
        self._version = 0
        self._made: tuple[date, frozenset[ListingKey]] | None = None
        self.reload()

    # Looking up

    def find(self, query: PriceQuery) -> tuple[Offer, ...]:
        """Matching offers, cheapest first. An empty tuple means not offered."""
        return self._table.find(query)

    def get(self, instance_type: str, region: str, option: PurchaseOption) -> Offer | None:
        """One offer, or None: not offered here."""
        return self._table.get(instance_type, region, option)

    @property
    def regions(self) -> tuple[str, ...]:
        """Regions with at least one offer."""
        return self._table.regions

    @property
    def version(self) -> int:
        """Rises whenever prices may have changed, for whoever keeps what was made of them."""
        return self._version

    def __len__(self) -> int:
        return len(self._table)

    def history(self, instance_type: str, region: str, option: PurchaseOption) -> tuple[PricePoint, ...]:
        """Every dated price known for one offer, the snapshot's and the store's, oldest first."""
        points = list(snapshot_history(instance_type, region, option))
        if self._store is not None:
            try:
                kept = self._store.history(instance_type, region, option)
                points += [p for p in kept if not doubt(instance_type, region, option, p.usd_per_hour)]
            except Refusal as error:
                self._away(error)
        return tuple(sorted(points, key=lambda point: point.as_of))

    def on(self, day: date) -> OfferTable:
        """The book as it was at the end of a day, for comparing: the rows dated by then, and what was read by then."""
        offers = {_key(offer): offer for offer in snapshot_on(day).find(PriceQuery())}
        rows = self._store.on(day) if self._store is not None else ()
        for row in rows:
            try:
                as_of = min(day, date.fromisoformat(row.last_seen[:10]))
                offer = stored_offer(row, PurchaseOption(row.option), as_of, PriceSource.CACHED, stale=False)
            except ODD_ROW:
                continue
            standing = offers.get(_key(offer))
            if doubt(offer.instance_type, offer.region, offer.option, offer.usd_per_hour):
                continue
            if standing is None or standing.as_of <= as_of:
                offers[_key(offer)] = offer
        return OfferTable(offers.values())

    def status(self, region: str, listing: Listing = Listing.PRICE_LIST) -> BookStatus:
        """Where this region's prices come from now."""
        key = (region, listing)
        contact = self._contacts.get(key, _Contact())
        stored = self._loaded.readings.get(key)
        source, as_of = self._origin(key, contact, stored)
        read = contact.reading or stored
        here = [offer for offer in self.find(PriceQuery(region=region)) if offer.option.listing is listing]
        live = sum(offer.source is PriceSource.LIVE for offer in here)
        if source is PriceSource.LIVE and not live:
            source = PriceSource.CACHED
        return BookStatus(
            region=region,
            listing=listing,
            source=source,
            as_of=as_of,
            live_since=contact.live_since if source is PriceSource.LIVE else None,
            live_until=contact.reading.read_at if contact.reading and contact.failed_at else None,
            error=contact.error or self._store_error,
            remarks=read.remarks if read else (),
            live=live,
            offers=len(here),
        )

    def _origin(
        self, key: ListingKey, contact: _Contact, stored: StoredReading | None
    ) -> tuple[PriceSource, datetime | date | None]:
        reads = [read.read_at for read in (contact.reading, stored) if read is not None]
        if reads:
            live = key in self._live(self._clock())
            return PriceSource.LIVE if live else PriceSource.CACHED, max(reads)
        region, listing = key
        dates = [offer.as_of for offer in self.find(PriceQuery(region=region)) if offer.option.listing is listing]
        return PriceSource.SNAPSHOT, max(dates, default=None)

    # Refreshing

    def refresh(
        self, region: str, listings: Sequence[Listing] | None = None, progress: Progress = no_progress
    ) -> RegionReport:
        """Reads a region from AWS now and waits for it: for the background thread, never for a page."""
        if self._reader is None:
            raise Refusal("No live price source is set up.", field="region", remedy="Set AWS credentials.")
        report = read_region(
            self._reader, region, keep=self._keep, failed=self._fail, listings=listings, progress=progress
        )
        self.reload()  # a failure changes what may be called live
        return report

    def due(self, region: str) -> tuple[Listing, ...]:
        """Listings this process has not read, or not lately, or not without failing."""
        if self._reader is None:
            return ()
        now = self._clock()
        return tuple(listing for listing in self._reader.listings if self._is_due((region, listing), now))

    def _is_due(self, key: ListingKey, now: datetime) -> bool:
        contact = self._contacts.get(key)
        if contact is None or contact.reading is None or contact.error:
            return True
        return now - self._last_read(key, contact.reading) >= REFRESH_AFTER

    def keep_up(self) -> None:
        """Makes the table again when a day has passed, a live price has grown old or another process has read."""
        if self._store is not None:
            try:
                moved = self._keep_late(self._store) or self._stored_readings(self._store) != self._loaded.readings
                self._store_error = ""
            except Refusal as error:
                self._away(error)
                moved = False
            if moved:
                self.reload()
        if self._made != self._wanted():
            self.reload()

    def _away(self, error: Refusal) -> None:
        if str(error) != self._store_error:
            log.warning("%s", error)
        self._store_error = str(error)

    def _keep_late(self, store: PriceStore) -> bool:
        """Keeps what was read while the store was away; whether there was anything. Raises `Refusal` while it is."""
        kept = self._stored_readings(store)
        late = [
            contact.reading
            for key, contact in list(self._contacts.items())
            if contact.reading and (key not in kept or kept[key].read_at < contact.reading.read_at)
        ]
        return sum(store.record(reading) for reading in late) > 0

    def _keep(self, reading: PriceReading) -> None:
        with self._lock:
            contact = self._contacts.setdefault((reading.region, reading.listing), _Contact())
            contact.live_since = contact.live_since if contact.live_since and not contact.error else reading.read_at
            contact.reading, contact.failed_at, contact.error = reading, None, ""
        if self._store is not None:
            try:
                self._store.record(reading)
                self._store_error = ""
            except Refusal as error:
                self._away(error)
        self.reload()  # a page asking now sees this listing, while the next is still being read

    def _fail(self, region: str, listing: Listing, error: str) -> None:
        with self._lock:
            contact = self._contacts.setdefault((region, listing), _Contact())
            contact.live_since, contact.failed_at, contact.error = None, self._clock(), error

    # Making the table

    def reload(self) -> None:
        """Looks at the store and puts the three layers together anew."""
        with self._making, _collector_at_rest():
            if self._store is not None:
                try:
                    self._loaded = _Loaded(self._stored_readings(self._store), tuple(self._store.current()))
                except Refusal as error:
                    self._away(error)
            wanted = self._wanted()
            today, live = wanted
            offers = self._snapshot_layer(today)
            self._lay_stored(offers, today, live)
            for key, contact in list(self._contacts.items()):
                stored = self._loaded.readings.get(key)
                if contact.reading and (stored is None or stored.read_at < contact.reading.read_at):
                    source = PriceSource.LIVE if key in live else PriceSource.CACHED
                    self._lay_reading(offers, contact.reading, source, today)
            for contact in list(self._contacts.values()):
                if contact.reading is not None:
                    _mark(offers, contact.reading)
            self._table, self._made = OfferTable(offers.values()), wanted
            self._version += 1

    def _stored_readings(self, store: PriceStore) -> dict[ListingKey, StoredReading]:
        """What the store says was read; not what it says will be, which would be live for ever."""
        soon = self._clock() + LIVE_FOR
        return {key: read for key, read in store.readings().items() if read.read_at <= soon}

    def _wanted(self) -> tuple[date, frozenset[ListingKey]]:
        now = self._clock()
        return now.date(), self._live(now)

    def _live(self, now: datetime) -> frozenset[ListingKey]:
        """Listings this process reads from AWS without failing, and that were read, by it or another, lately."""
        return frozenset(
            key
            for key, contact in list(self._contacts.items())
            if contact.reading and not contact.error and now - self._last_read(key, contact.reading) <= LIVE_FOR
        )

    def _last_read(self, key: ListingKey, own: PriceReading) -> datetime:
        stored = self._loaded.readings.get(key)
        return max(own.read_at, stored.read_at) if stored else own.read_at

    def _snapshot_layer(self, today: date) -> dict[OfferKey, Offer]:
        """The snapshot without what a complete reading has since replaced."""
        replaced = {key: read.complete_at.date() for key, read in self._loaded.readings.items() if read.complete_at}
        return {
            _key(offer): offer
            for offer in load_snapshot(today).find(PriceQuery())
            if offer.as_of > replaced.get((offer.region, offer.option.listing), date.min)
        }

    def _lay_stored(self, offers: dict[OfferKey, Offer], today: date, live: frozenset[ListingKey]) -> None:
        options = {option.value: option for option in PurchaseOption}
        confirmed = {
            (region, option.value): stored_moment(self._loaded.readings[region, listing].read_at)
            for region, listing in live & self._loaded.readings.keys()
            for option in PurchaseOption
            if option.listing is listing
        }
        days: dict[tuple[str, str], tuple[date, bool]] = {}
        odd = 0
        for row in self._loaded.prices:
            try:
                instance_type, region, text, price, _, _, _, last_seen = row
                option = options[text]
                day = days.get((text, last_seen))
                if day is None:
                    as_of = date.fromisoformat(last_seen[:10])
                    day = days[text, last_seen] = as_of, is_stale(option, as_of, today)
                key = (instance_type, region, text)
                standing = offers.get(key)
                if standing is not None and standing.as_of > day[0]:
                    continue
                if doubt(instance_type, region, option, amount(price)):
                    continue  # of a release that believed it, or of another hand
                # A row an incomplete reading did not confirm is a copy, however live its neighbours are.
                live_now = bool(confirmed) and confirmed.get((region, text)) == last_seen
                source = PriceSource.LIVE if live_now else PriceSource.CACHED
                offers[key] = stored_offer(row, option, day[0], source, day[1])
            except (KeyError, *ODD_ROW):
                odd += 1
        if odd and odd != self.unreadable:
            log.warning("%d stored prices cannot be read and are left out", odd)
        self.unreadable = odd

    def _lay_reading(
        self, offers: dict[OfferKey, Offer], reading: PriceReading, source: PriceSource, today: date
    ) -> None:
        if reading.complete:
            covered = {option.value for option in PurchaseOption if option.listing is reading.listing}
            gone = [key for key in offers if key[1] == reading.region and key[2] in covered]
            for key in gone:
                del offers[key]
        for offer in reading.offers:
            stale = is_stale(offer.option, offer.as_of, today)
            offers[_key(offer)] = replace(offer, source=source, stale=stale)


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """A quarter of a second without garbage collection: every object of a book stays, and it would walk them often."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _mark(offers: dict[OfferKey, Offer], reading: PriceReading) -> None:
    """Says of each known price that it was kept against one that is not believed."""
    for instance_type, option in reading.doubted:
        key = (instance_type, reading.region, option.value)
        if key in offers:
            offers[key] = replace(offers[key], kept=True)


def _key(offer: Offer) -> OfferKey:
    return offer.instance_type, offer.region, offer.option.value


def stored_offer(row: StoredPrice, option: PurchaseOption, as_of: date, source: PriceSource, stale: bool) -> Offer:
    """A row of the store as an offer."""
    return Offer(
        instance_type=row.instance_type,
        region=row.region,
        option=option,
        usd_per_hour=amount(row.usd_per_hour),
        source=source,
        as_of=as_of,
        origin=row.origin,
        upfront_usd=amount(row.upfront_usd),
        stale=stale,
        note=row.note,
    )
