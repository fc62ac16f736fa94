"""What was worked out of an object, remembered while that object is about. Bounded, oldest out first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

V = TypeVar("V")


class Kept(Generic[V]):
    """A bounded memory, oldest out first. A key may hold an id(): `of` tells whether it is still of that object."""

    def __init__(self, most: int) -> None:
        self._items: OrderedDict[object, tuple[object, V]] = OrderedDict()
        self._most = most
        self._lock = threading.Lock()

    def get(self, key: object, of: object) -> V | None:
        kept = self._items.get(key)
        return kept[1] if kept is not None and kept[0] is of else None

    def clear(self) -> None:
        with self._lock:
            self._items.clear()

    def put(self, key: object, of: object, value: V) -> V:
        with self._lock:
            self._items[key] = (of, value)
            while len(self._items) > self._most:
                self._items.popitem(last=False)
        return value
