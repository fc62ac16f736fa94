"""Models, prices and measurements behind one object, shared by the page, the JSON interface and the command line.

Process-wide caches are bounded and expire; nothing here knows Streamlit.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

from app.timed_cache import TimedCache
from estimators.architecture import catalogue
from estimators.architecture.hub import HubClient, HubOffline, HubUnavailable
from estimators.architecture.spec import ModelSpec
from estimators.provenance import Refusal
from pricing.offers import PriceBook
from pricing.snapshot import load_snapshot

HUB_KEEP_S = 6 * 3600.0  # a config rarely changes; a pinned revision never does
HUB_REST_S = 120.0  # after an unreachable Hub, do not ask again for this long
MODELS_KEPT = 512


class LocalSources:
    """The bundled catalogue and price book first, the Hub for everything else.

    A model of the catalogue is answered from it at once; `check_hub` then compares it with the Hub in the background.
    """

    def __init__(self, book: PriceBook, hub: HubClient | None = None) -> None:
        self._book = book
        self._hub = hub or HubClient()
        self._specs: TimedCache[str, ModelSpec] = TimedCache(entries=MODELS_KEPT, seconds=HUB_KEEP_S)
        self._file_bytes: TimedCache[str, int] = TimedCache(entries=MODELS_KEPT, seconds=HUB_KEEP_S)
        self._refusals: TimedCache[str, Refusal] = TimedCache(entries=MODELS_KEPT, seconds=HUB_REST_S)
        self._hub_rests_until = 0.0
        self._background = ThreadPoolExecutor(max_workers=2, thread_name_prefix="hub")
        self._checking: set[str] = set()
        self._answers = 0

    @property
    def book(self) -> PriceBook:
        return self._book

    @property
    def version(self) -> int:
        """Rises whenever an answer may have changed: a model came from the Hub, a price from AWS."""
        return self._answers

    def spec(self, model: str) -> ModelSpec:
        """The model's shape. Raises `Refusal` (field "model") when neither source has it."""
        model_id, _, revision = model.partition("@")
        entry = catalogue.find(model_id)
        if not revision and (fresh := self._specs.get(model)):
            return fresh
        if entry is not None and not revision:
            return catalogue.load_spec(model_id)
        return self._from_hub(model_id, revision or None)

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
        if spec := self._specs.get(key):
            return spec
        if refusal := self._refusals.get(key):
            raise refusal
        if time.monotonic() < self._hub_rests_until:
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
        if found.weight_files_bytes:
            self._file_bytes.put(key, found.weight_files_bytes)
        self._answers += 1
        return found.spec


@lru_cache(maxsize=1)
def shared_sources() -> LocalSources:
    """The sources of this process."""
    return LocalSources(load_snapshot())
