"""A bounded, thread-safe cache whose entries expire."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class TimedCache(Generic[K, V]):
    """Keeps up to `entries` values for `seconds`; the least recently used goes first."""

    def __init__(self, *, entries: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._entries, self._seconds, self._clock = entries, seconds, clock
        self._items: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self._making: dict[K, Future[V]] = {}
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        with self._lock:
            item = self._items.get(key)
            if item is None or self._clock() - item[0] > self._seconds:
                return None
            self._items.move_to_end(key)
            return item[1]

    def put(self, key: K, value: V) -> None:
        with self._lock:
            self._items[key] = (self._clock(), value)
            self._items.move_to_end(key)
            while len(self._items) > self._entries:
                self._items.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._items.clear()

    def once(
        self,
        key: K,
        make: Callable[[], V],
        *,
        kept: Callable[[V], bool] = lambda value: True,
        waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> V:
        """The value of `key`, made by the first who asks: whoever asks meanwhile waits for it, and for its error.

        What is not `kept` is for those who asked. Work that was called off (no `Exception`: whoever asked first has
        gone) is begun anew by the next. Whoever waits does so in a context of `waiting`.
        """
        while (known := self.get(key)) is None:
            with self._lock:
                making = self._making.get(key)
                if making is None:
                    own = self._making[key] = Future()
            if making is None:
                return self._made(key, own, make, kept)
            try:
                with waiting():
                    return making.result()
            except Exception:
                raise
            except BaseException:  # noqa: S112
                continue
        return known

    def _made(self, key: K, own: Future[V], make: Callable[[], V], kept: Callable[[V], bool]) -> V:
        try:
            value = self.get(key)  # made between the two looks
            if value is None:
                value = make()
                if kept(value):
                    self.put(key, value)
            own.set_result(value)
        except BaseException as error:
            own.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._making[key]
        return value
