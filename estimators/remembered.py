"""Results worked out once in this process: the one kind of bounded memory for what is costly and asked for again.

Specs, precisions and accelerators are too big to compare at each question. They are known by identity, and held
beside the result, so that no other object can take their identity over while the result is kept.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class Remembered(Generic[V]):
    """At most `most` results, the oldest out first. Threads may share it; two that miss at once both work it out."""

    def __init__(self, most: int) -> None:
        self._kept: OrderedDict[tuple[tuple[int, ...], Hashable], tuple[tuple[object, ...], V]] = OrderedDict()
        self._most, self._lock = most, threading.Lock()

    def of(self, owners: tuple[object, ...], key: Hashable, make: Callable[[], V]) -> V:
        """The result for these very `owners` and an equal `key`; what `make` raises is not remembered."""
        whole = (tuple(map(id, owners)), key)
        kept = self._kept.get(whole)
        if kept is not None:
            return kept[1]
        made = make()
        with self._lock:
            self._kept[whole] = (owners, made)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return made

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()

    def __len__(self) -> int:
        return len(self._kept)
