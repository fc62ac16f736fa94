"""Refreshing: reading a region's listings once, and doing so in the background without anyone waiting."""

from __future__ import annotations

import logging
import threading
import traceback
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from estimators.provenance import Refusal
from pricing.aws.errors import ExpiredCredentials, NoCredentials
from pricing.reading import PriceReader, PriceReading, Progress, no_progress
from pricing.regions import regions_within
from pricing.sense import believed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pricing.offers import Listing

log = logging.getLogger("rightsize")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingOutcome:
    """How one listing of one region went."""

    region: str
    listing: Listing
    reading: PriceReading | None
    error: str = ""  # a sentence, empty when it was read


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionReport:
    """How a region's refresh went, listing by listing."""

    region: str
    outcomes: tuple[ListingOutcome, ...]

    @property
    def errors(self) -> tuple[str, ...]:
        """What failed, each once."""
        return tuple(dict.fromkeys(outcome.error for outcome in self.outcomes if outcome.error))

    @property
    def offers(self) -> int:
        """Offers read."""
        return sum(len(outcome.reading.offers) for outcome in self.outcomes if outcome.reading)


def read_region(
    reader: PriceReader,
    region: str,
    *,
    keep: Callable[[PriceReading], None],
    failed: Callable[[str, Listing, str], None] = lambda region, listing, error: None,
    listings: Sequence[Listing] | None = None,
    progress: Progress = no_progress,
) -> RegionReport:
    """Reads a region's listings one by one, handing what can be believed of each to `keep` at once: a failure later
    loses nothing before it.

    Without valid credentials the rest is not tried: the answer would be the same.
    """
    outcomes: list[ListingOutcome] = []
    hopeless = ""
    for listing in reader.listings if listings is None else listings:
        error, reading = hopeless, None
        if not hopeless:
            try:
                reading = believed(reader.read(region, listing, progress))
                if reading.doubted:
                    log.warning("%s %s: %s", region, listing.value, " ".join(reading.remarks)[:2000])
                keep(reading)
            except Refusal as refusal:
                error, reading = str(refusal), None
                hopeless = error if isinstance(refusal, (NoCredentials, ExpiredCredentials)) else ""
            except Exception as fault:  # our own defect in one listing costs no other
                log.error("reading %s %s failed: %s", region, listing.value, _trace(fault))
                error, reading = f"Reading met a defect of ours ({type(fault).__name__}); the log says where.", None
        if error:
            failed(region, listing, error)
        outcomes.append(ListingOutcome(region=region, listing=listing, reading=reading, error=error))
    return RegionReport(region=region, outcomes=tuple(outcomes))


def _trace(fault: Exception) -> str:
    """What broke and where: "KeyError at products.py:57". Its own message may quote what AWS sent, keys among it."""
    place = traceback.extract_tb(fault.__traceback__)[-1]
    return f"{type(fault).__name__} at {Path(place.filename).name}:{place.lineno}"


def refresh_regions(
    reader: PriceReader, store: ReadingStore, regions: Iterable[str], progress: Progress = no_progress
) -> tuple[RegionReport, ...]:
    """Reads regions one after the other into the store, for the command line; a region that fails stops no other."""
    wanted = tuple(regions)
    reports = []
    for done, region in enumerate(wanted):
        progress(region, done, len(wanted))
        reports.append(read_region(reader, region, keep=lambda reading: _record(store, reading), progress=progress))
    progress("done", len(wanted), len(wanted))
    return tuple(reports)


def _record(store: ReadingStore, reading: PriceReading) -> None:
    store.record(reading)


class ReadingStore(Protocol):
    """Where readings are kept."""

    def record(self, reading: PriceReading) -> bool: ...


class Refreshable(Protocol):
    """What a refresher works for: the price book."""

    def refresh(self, region: str, listings: Sequence[Listing]) -> RegionReport: ...

    def due(self, region: str) -> tuple[Listing, ...]: ...

    def keep_up(self) -> None: ...


@dataclass(slots=True, kw_only=True)
class Refresher:
    """A background thread that refreshes the regions people look at; asking for one never waits.

    A region asked for while it waits or is being read is not read twice. A region once asked for is read again when it
    is due, and after a failure with pauses that double up to the interval.
    """

    book: Refreshable
    interval: timedelta = timedelta(hours=1)
    first_pause: timedelta = timedelta(seconds=30)
    tick: timedelta = timedelta(seconds=15)
    first_after: timedelta = timedelta(0)  # from the start; what is asked for before waits
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    _condition: threading.Condition = field(default_factory=threading.Condition, repr=False)
    _waiting: deque[str] = field(default_factory=deque, repr=False)
    _busy: set[str] = field(default_factory=set, repr=False)
    _watched: dict[str, datetime] = field(default_factory=dict, repr=False)  # region to when it is looked at again
    _failures: dict[str, int] = field(default_factory=dict, repr=False)
    _thread: threading.Thread | None = field(default=None, repr=False)
    _stopping: bool = False

    def start(self) -> None:
        """Starts the thread unless it runs."""
        with self._condition:
            if self._thread is not None and self._thread.is_alive():
                return
            self._stopping = False
            self._thread = threading.Thread(target=self._run, name="price-refresh", daemon=True)
            self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Asks the thread to end and waits a little; a read in flight ends with the process at the latest."""
        with self._condition:
            self._stopping = True
            thread = self._thread
            self._condition.notify_all()
        if thread is not None:
            thread.join(timeout_s)

    def request(self, region: str) -> bool:
        """Asks for a region; True if it will be read, False if that is under way or it was read recently, or if AWS has
        none of this name: links of strangers name any."""
        if region not in regions_within(None):
            return False
        with self._condition:
            if region in self._busy or region in self._waiting or self.clock() < self._watched.get(region, _NEVER):
                return False
            self._waiting.append(region)
            self._condition.notify_all()
            return True

    def refreshing(self, region: str) -> bool:
        """Whether a region is being read or about to be."""
        with self._condition:
            return region in self._busy or region in self._waiting

    def _run(self) -> None:
        with self._condition:
            self._condition.wait_for(lambda: self._stopping, self.first_after.total_seconds())
        while True:
            with self._condition:
                if not self._waiting and not self._stopping:
                    self._condition.wait(self.tick.total_seconds())
                if self._stopping:
                    return
                region = self._waiting.popleft() if self._waiting else None
                if region is not None:
                    self._busy.add(region)
            if region is None:
                self._keep_up()
            else:
                self._refresh(region)

    def _keep_up(self) -> None:
        try:
            self.book.keep_up()
        except Exception as fault:  # whatever lies in the store must not end the thread that serves every region
            log.error("looking at the price store failed: %s", _trace(fault))
        self._queue_due()

    def _refresh(self, region: str) -> None:
        try:
            due = self.book.due(region)
            failed = bool(self.book.refresh(region, due).errors) if due else False
        except Exception as fault:  # a fault in one region must not end the thread that serves them all
            log.error("refreshing %s failed: %s", region, _trace(fault))
            failed = True
        with self._condition:
            self._busy.discard(region)
            self._failures[region] = self._failures.get(region, 0) + 1 if failed else 0
            doubled = self.first_pause * 2 ** min(self._failures[region] - 1, 16) if failed else self.interval
            self._watched[region] = self.clock() + min(doubled, self.interval)

    def _queue_due(self) -> None:
        with self._condition:
            now = self.clock()
            due = [region for region, at in self._watched.items() if at <= now]
            self._waiting.extend(region for region in due if region not in self._waiting and region not in self._busy)


_NEVER = datetime.min.replace(tzinfo=UTC)
