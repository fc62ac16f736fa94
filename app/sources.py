"""Models, prices and measurements behind one object, shared by the page, the JSON interface and the command line.

Process-wide caches are bounded and expire; nothing here knows Streamlit.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING

from app.timed_cache import TimedCache
from estimators.architecture import catalogue
from estimators.architecture.hub.client import HubClient, HubModel, HubOffline, HubUnavailable
from estimators.architecture.hub.pages import QuantizedCheckpoint
from estimators.architecture.spec import ModelSpec
from estimators.provenance import Refusal
from pricing.book import Book
from pricing.reading import PriceReader
from pricing.refresh import Refresher

if TYPE_CHECKING:
    from pricing.store import PriceStore

log = logging.getLogger("rightsize")

HUB_KEEP_S = 6 * 3600.0  # a config rarely changes; a pinned revision never does
HUB_REST_S = 120.0  # after an unreachable Hub, do not ask again for this long
MODELS_KEPT = 512
CONFIGS_KEPT = 64  # each up to a megabyte


class LocalSources:
    """The bundled catalogue and price book first, the Hub and AWS behind them.

    A model of the catalogue is answered from it at once; `check_hub` then compares it with the Hub in the background.
    Prices are the book's; `watch` asks for a region's live ones without waiting.
    """

    def __init__(self, book: Book, hub: HubClient | None = None) -> None:
        self._book = book
        self._refresher: Refresher | None = None
        self._hub = hub or HubClient()
        self._specs: TimedCache[str, ModelSpec] = TimedCache(entries=MODELS_KEPT, seconds=HUB_KEEP_S)
        self._file_bytes: TimedCache[str, int] = TimedCache(entries=MODELS_KEPT, seconds=HUB_KEEP_S)
        self._configs: TimedCache[str, Mapping[str, object]] = TimedCache(entries=CONFIGS_KEPT, seconds=HUB_KEEP_S)
        self._refusals: TimedCache[str, Refusal] = TimedCache(entries=MODELS_KEPT, seconds=HUB_REST_S)
        self._hub_rests_until = 0.0
        self._background = ThreadPoolExecutor(max_workers=2, thread_name_prefix="hub")
        self._checking: set[str] = set()
        self._answers = 0

    @property
    def book(self) -> Book:
        return self._book

    @property
    def version(self) -> int:
        """Rises whenever an answer may have changed: a model came from the Hub, a price from AWS."""
        return self._answers + self._book.version

    def start_refreshing(self) -> None:
        """Read live prices of the regions people look at, in the background, from now on."""
        self._refresher = Refresher(book=self._book)
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
        return self._configs.get(model) or self._fetch(model_id, revision or None).config

    def quantized(self, model_id: str) -> tuple[QuantizedCheckpoint, ...]:
        """Copies of a model as the Hub lists them, most used first. Raises `Refusal` where it cannot be asked."""
        return self._hub.find_quantized(model_id)

    def file_bytes(self, model: str) -> int | None:
        """Bytes of the repository's weight files, when the Hub has said so."""
        return self._file_bytes.get(model)

    def check_hub(self, model: str) -> None:
        """Ask the Hub in the background for a model answered from the catalogue; later calls get the Hub's."""
        model_id, _, revision = model.partition("@")
        asked_before = self._specs.get(model) or self._refusals.get(model) or model in self._checking
        if revision or asked_before or time.monotonic() < self._hub_rests_until or self._hub.offline:
            return
        self._checking.add(model)
        self._background.submit(self._check, model_id)

    def _check(self, model_id: str) -> None:
        try:
            self._from_hub(model_id, None)
        except Refusal:
            pass  # kept in the caches of `_from_hub`; the catalogue goes on answering
        finally:
            self._checking.discard(model_id)

    def _from_hub(self, model_id: str, revision: str | None) -> ModelSpec:
        key = f"{model_id}@{revision}" if revision else model_id
        return self._specs.get(key) or self._fetch(model_id, revision).spec

    def _fetch(self, model_id: str, revision: str | None) -> HubModel:
        key = f"{model_id}@{revision}" if revision else model_id
        if refusal := self._refusals.get(key):
            raise refusal
        if time.monotonic() < self._hub_rests_until and not self._hub.offline:
            raise HubUnavailable(
                f"The Hub could not be reached a moment ago, and {model_id} is not in the bundled catalogue.",
                "Try again in two minutes, pick a catalogue model, or give a size such as 8B.",
            )
        try:
            found = self._hub.fetch(model_id, revision)
        except Refusal as refusal:
            self._refusals.put(key, refusal)
            if isinstance(refusal, HubUnavailable) and not isinstance(refusal, HubOffline):
                self._hub_rests_until = time.monotonic() + HUB_REST_S
            raise
        self._specs.put(key, found.spec)
        self._configs.put(key, found.config)
        if found.weight_files_bytes:
            self._file_bytes.put(key, found.weight_files_bytes)
        self._answers += 1
        return found


def open_store(*, create: bool) -> PriceStore | None:
    """The store of live prices; None when there is none yet and `create` is false, or it cannot be opened."""
    from app.storage import database_exists, engine
    from pricing.store import PriceStore, StoreUnavailable

    if not create and not database_exists():
        return None
    try:
        store = PriceStore(engine())
        store.create()
    except (StoreUnavailable, OSError) as error:
        log.warning("prices cannot be kept: %s", error)
        return None
    return store


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
    return LocalSources(Book(store=open_store(create=True), reader=live_reader()))
