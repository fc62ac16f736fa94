"""Models, prices and measurements behind one object, shared by the page, the JSON interface and the command line.

Process-wide caches are bounded and expire; nothing here knows Streamlit.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import AbstractContextManager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from app.timed_cache import TimedCache
from estimators.architecture import catalogue
from estimators.architecture.hub.client import (
    HubClient,
    HubModel,
    HubPending,
    HubRefusal,
    HubUnavailable,
    HubUnreachable,
    RateLimited,
)
from estimators.architecture.hub.errors import INSTEAD
from estimators.architecture.hub.pages import HubListing
from estimators.architecture.spec import ModelSpec
from estimators.provenance import Refusal
from pricing.book import Book
from pricing.reading import PriceReader
from pricing.refresh import Refresher

if TYPE_CHECKING:
    from estimators.measuring.measurement import Measurement
    from pricing.store import PriceStore

log = logging.getLogger("rightsize")

# What a caller gives back while it waits for the Hub or a database: its turn, where there are few.
WHILE_WAITING: ContextVar[Callable[[], AbstractContextManager[None]]] = ContextVar("waiting", default=nullcontext)

HUB_THREADS = 4  # of their own: a slow Hub takes no thread that answers anybody
MOST_PATIENT = 8  # callers that wait for it at once; the next are told at once that it is being asked
MOST_READING = 64  # models asked for and not answered yet
FAILING_OWNERS = 3  # whose repositories fail one after another before the Hub itself is held to
PAGE_PATIENCE_S = 2.0  # a page waits so long for the Hub, and is filled in afterwards
HUB_KEEP_S = 6 * 3600.0  # a config rarely changes; a pinned revision never does
HUB_REST_S = 120.0  # after an unreachable Hub, do not ask again for this long
MODELS_KEPT = 512
CONFIGS_KEPT = 64  # each up to a megabyte


class LocalSources:
    """The bundled catalogue and price book first, the Hub and AWS behind them.

    A model of the catalogue is answered from it at once; `check_hub` then compares it with the Hub in the background.
    Prices are the book's; `watch` asks for a region's live ones without waiting.
    """

    def __init__(self, book: Book, hub: HubClient | None = None, *, patience_s: float | None = None) -> None:
        """`patience_s` is how long a caller waits for the Hub; None: as long as the Hub's client does."""
        self._book = book
        self._refresher: Refresher | None = None
        self._hub = hub or HubClient()
        self._patience_s = patience_s
        self._specs: TimedCache[str, ModelSpec] = TimedCache(entries=MODELS_KEPT, seconds=HUB_KEEP_S)
        self._file_bytes: TimedCache[str, int] = TimedCache(entries=MODELS_KEPT, seconds=HUB_KEEP_S)
        self._configs: TimedCache[str, Mapping[str, object]] = TimedCache(entries=CONFIGS_KEPT, seconds=HUB_KEEP_S)
        self._refusals: TimedCache[str, Refusal] = TimedCache(entries=MODELS_KEPT, seconds=HUB_REST_S)
        self._hub_rests_until = 0.0
        self._failing: set[str] = set()  # owners of repositories that failed since the Hub last answered
        self._threads = ThreadPoolExecutor(max_workers=HUB_THREADS, thread_name_prefix="hub")
        self._patient = threading.BoundedSemaphore(MOST_PATIENT)
        self._lock = threading.Lock()
        self._reading: dict[str, _Reading] = {}
        self._listings: TimedCache[str, HubListing] = TimedCache(entries=CONFIGS_KEPT, seconds=HUB_KEEP_S)
        self._listing: dict[str, Future[HubListing]] = {}
        self._answers = 0

    @property
    def book(self) -> Book:
        return self._book

    @property
    def logs(self) -> tuple[Measurement, ...]:
        """None: start-up logs are somebody's own, as `MeasuredSources` has them."""
        return ()

    @property
    def version(self) -> int:
        """Rises whenever an answer may have changed: a model came from the Hub, a price from AWS."""
        return self._answers + self._book.version

    def start_refreshing(self, *, after_s: float = 0.0) -> None:
        """Read live prices of the regions people look at, in the background, from then on."""
        self._refresher = Refresher(book=self._book, first_after=timedelta(seconds=after_s))
        self._refresher.start()

    def stop_refreshing(self) -> None:
        if self._refresher is not None:
            self._refresher.stop()

    def watch(self, region: str) -> None:
        """Ask for a region's live prices; returns at once, and does nothing where refreshing was not started."""
        if self._refresher is not None:
            self._refresher.request(region)

    def spec(self, model: str) -> ModelSpec:
        """The model's shape. Raises `Refusal` (field "model") when neither source has it."""
        model_id, _, revision = model.partition("@")
        entry = catalogue.find(model_id)
        if not revision and (fresh := self._specs.get(model)):
            return fresh
        if entry is not None and not revision:
            return catalogue.load_spec(model_id)
        return self._from_hub(model_id, revision or None)

    def config(self, model: str) -> Mapping[str, object]:
        """The model's config as a measurement builds it from: the catalogue's, else the Hub's.

        Raises `Refusal` (field "model") when neither source has it.
        """
        model_id, _, revision = model.partition("@")
        if catalogue.find(model_id) is not None and not revision:
            return catalogue.load_config(model_id)
        return self._configs.get(model) or self._fetched(model_id, revision or None).config

    def made_of(self, model_id: str) -> HubListing:
        """What the Hub lists that was made of a model: quantized copies and drafting heads, most used first.

        Waits as long as this caller's patience. Raises `Refusal` where the Hub cannot be asked, `HubPending` where the
        answer is still to come.
        """
        if (known := self._listings.get(model_id)) is not None:
            return known
        with self._lock:
            answer = self._listing.get(model_id)
            if answer is None:
                if self._resting and not self._hub.offline:
                    raise HubUnavailable("The Hub could not be reached a moment ago.", "Try again in two minutes.")
                if len(self._reading) + len(self._listing) >= MOST_READING:
                    raise _busy()
                answer = self._listing[model_id] = self._threads.submit(self._list, model_id)
        try:
            with WHILE_WAITING.get()():
                return answer.result(timeout=self._patience_s)
        except FutureTimeout:
            raise self._hub.pending(model_id) from None

    def _list(self, model_id: str) -> HubListing:
        try:
            found = self._hub.find_made_of(model_id)
        except Refusal as refusal:
            self._judge(model_id, refusal)
            raise
        except Exception as fault:
            raise _defect(model_id, fault) from None
        else:
            self._listings.put(model_id, found)
            return found
        finally:
            with self._lock:
                del self._listing[model_id]

    def file_bytes(self, model: str) -> int | None:
        """Bytes of the repository's weight files, when the Hub has said so."""
        return self._file_bytes.get(model)

    def check_hub(self, model: str) -> None:
        """Ask the Hub in the background for a model answered from the catalogue; later calls get the Hub's."""
        model_id, _, revision = model.partition("@")
        asked_before = self._specs.get(model) or self._refusals.get(model)
        if revision or asked_before or self._resting or self._hub.offline:
            return
        with suppress(Refusal):  # too many at once: the catalogue goes on answering
            self._asked(model_id, None)

    def coming(self, model: str) -> Future[HubModel] | None:
        """What the Hub will say of a model that is neither known here nor refused, asked for now; else None."""
        model_id, _, revision = model.partition("@")
        known = self._specs.get(model) or self._refusals.get(model) or (not revision and catalogue.find(model_id))
        if known or self._resting or self._hub.offline:
            return None
        with suppress(Refusal):
            return self._asked(model_id, revision or None).answer
        return None

    def reading(self, model: str) -> bool:
        """Whether the Hub is being asked for this model."""
        return model in self._reading

    @property
    def _resting(self) -> bool:
        return time.monotonic() < self._hub_rests_until

    def _from_hub(self, model_id: str, revision: str | None) -> ModelSpec:
        return self._specs.get(_key(model_id, revision)) or self._fetched(model_id, revision).spec

    def _fetched(self, model_id: str, revision: str | None) -> HubModel:
        """What the Hub says, waited for as long as this caller's patience, counted from when it was first asked.

        Raises `Refusal`, `HubPending` where the answer is still to come.
        """
        if refusal := self._refusals.get(_key(model_id, revision)):
            raise refusal
        reading = self._asked(model_id, revision)
        if self._patience_s is None or reading.answer.done():
            return reading.answer.result()
        left = max(0.0, reading.since + self._patience_s - time.monotonic())
        if not self._patient.acquire(blocking=False):
            raise self._hub.pending(model_id)
        try:
            with WHILE_WAITING.get()():
                return reading.answer.result(timeout=left)
        except FutureTimeout:
            raise self._hub.pending(model_id) from None
        finally:
            self._patient.release()

    def _asked(self, model_id: str, revision: str | None) -> _Reading:
        """The one reading of this model under way, begun now if there is none."""
        key = _key(model_id, revision)
        with self._lock:
            reading = self._reading.get(key)
            if reading is None:
                if len(self._reading) + len(self._listing) >= MOST_READING:
                    raise _busy()
                answer = self._threads.submit(self._read, key, model_id, revision)
                reading = self._reading[key] = _Reading(answer, time.monotonic())
        return reading

    def _read(self, key: str, model_id: str, revision: str | None) -> HubModel:
        try:
            if self._resting and not self._hub.offline:
                raise HubUnavailable(
                    f"The Hub could not be reached a moment ago, and {model_id} is not in the bundled catalogue.",
                    "Try again in two minutes, pick a catalogue model, or give a size such as 8B.",
                )
            found = self._hub.fetch(model_id, revision)
        except Refusal as refusal:
            if not self._resting:
                self._refusals.put(key, refusal.kept())
                self._judge(model_id, refusal)
            raise
        except Exception as fault:
            odd = _defect(model_id, fault)
            self._refusals.put(key, odd)
            raise odd from None
        else:
            self._keep(key, found)
            return found
        finally:
            with self._lock:
                del self._reading[key]

    def _keep(self, key: str, found: HubModel) -> None:
        self._failing.clear()
        self._specs.put(key, found.spec)
        self._configs.put(key, found.config)
        if found.weight_files_bytes:
            self._file_bytes.put(key, found.weight_files_bytes)
        self._answers += 1

    def _judge(self, model_id: str, refusal: Refusal) -> None:
        """Let the Hub rest where it cannot be reached or asks for it, or where repositories of several owners fail one
        after another: one bad repository, or one owner's, is its own fault."""
        if not isinstance(refusal, HubUnavailable):
            self._failing.clear()  # it answered
            return
        self._failing.add(model_id.partition("/")[0])
        if isinstance(refusal, (HubUnreachable, RateLimited)) or len(self._failing) >= FAILING_OWNERS:
            log.warning("the Hub is left alone for %.0f s: %s", HUB_REST_S, refusal.message)
            self._failing.clear()
            self._hub_rests_until = time.monotonic() + HUB_REST_S


class MeasuredSources:
    """The same sources with start-up logs of one person's servers, on which plans made from them then stand."""

    def __init__(self, sources: LocalSources, logs: Sequence[Measurement]) -> None:
        self._sources = sources
        self.logs = tuple(made for made in logs if made.logged is not None)

    @property
    def book(self) -> Book:
        return self._sources.book

    @property
    def version(self) -> int:
        return hash((self._sources.version, tuple(made.id for made in self.logs)))

    def spec(self, model: str) -> ModelSpec:
        return self._sources.spec(model)

    def file_bytes(self, model: str) -> int | None:
        return self._sources.file_bytes(model)

    def made_of(self, model_id: str) -> HubListing:
        return self._sources.made_of(model_id)

    def coming(self, model: str) -> Future[HubModel] | None:
        return self._sources.coming(model)


def _key(model_id: str, revision: str | None) -> str:
    return f"{model_id}@{revision}" if revision else model_id


def _busy() -> HubPending:
    return HubPending("Many models are being read from the Hub already.", "Ask again in a moment.")


def _defect(model_id: str, fault: Exception) -> HubRefusal:
    """Ours, met in what a repository holds or a listing says; its words may quote a header."""
    log.error("reading %s from the Hub failed: %s", model_id, type(fault).__name__)
    return HubRefusal(f"Reading {model_id} met a defect of ours ({type(fault).__name__}).", INSTEAD)


@dataclass(frozen=True, slots=True)
class _Reading:
    """A model being read, and since when it is waited for."""

    answer: Future[HubModel]
    since: float


def open_store(*, create: bool) -> PriceStore | None:
    """The store of live prices, whether it answers now or later; None when there is none yet and `create` is false, or
    its address is none."""
    from app.storage import database_exists, engine
    from pricing.store import PriceStore

    if not create and not database_exists():
        return None
    try:
        return PriceStore(engine())
    except Refusal as refusal:
        log.warning("prices cannot be kept: %s", refusal)
        return None


def live_reader() -> PriceReader | None:
    """A reader of AWS with the environment's credentials; None when `RIGHTSIZE_LIVE_PRICES` is 0."""
    if os.environ.get("RIGHTSIZE_LIVE_PRICES") == "0":
        return None
    from pricing.aws.source import aws_reader

    return aws_reader()


@lru_cache(maxsize=1)
def shared_sources() -> LocalSources:
    """The sources of a command: the last good copy of live prices when there is one, else the snapshot."""
    return LocalSources(Book(store=open_store(create=False)))


@lru_cache(maxsize=1)
def dashboard_sources() -> LocalSources:
    """The sources of the dashboard's process, which also reads live prices in the background."""
    from app.storage import engine
    from pricing.store import PriceStore

    store, unkept = None, ""
    try:
        store = PriceStore(engine())
    except Refusal as refusal:
        unkept = f"Prices are not kept: {refusal}"
        log.warning("%s", unkept)
    return LocalSources(Book(store=store, reader=live_reader(), unkept=unkept), patience_s=PAGE_PATIENCE_S)
