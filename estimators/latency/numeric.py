"""Arithmetic on one case (floats) or many at once (numpy arrays), so that fit and estimate share formulas."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

Number = Any  # a float in one estimate, a numpy array over cases in the fit


class Numeric(Protocol):
    """The few functions whose spelling differs between floats and arrays."""

    def minimum(self, a: Number, b: Number) -> Number: ...
    def maximum(self, a: Number, b: Number) -> Number: ...
    def ceil(self, a: Number) -> Number: ...
    def where(self, condition: Number, a: Number, b: Number) -> Number: ...
    def any(self, condition: Number) -> bool: ...
    def log(self, a: Number) -> Number: ...
    def exp(self, a: Number) -> Number: ...
    def sqrt(self, a: Number) -> Number: ...
    def hypot(self, a: Number, b: Number) -> Number: ...
    def settled(self, miss: Number, bracket: Number) -> Number: ...
    def converged(self, new: Number, old: Number) -> Number: ...
    def all(self, condition: Number) -> bool: ...
    def pause(self) -> None: ...


class _Floats:
    def minimum(self, a: Number, b: Number) -> Number:
        return a if a < b else b

    def maximum(self, a: Number, b: Number) -> Number:
        return a if a > b else b

    def ceil(self, a: Number) -> Number:
        return math.ceil(a)

    def where(self, condition: Number, a: Number, b: Number) -> Number:
        return a if condition else b

    def any(self, condition: Number) -> bool:
        return bool(condition)

    def log(self, a: Number) -> Number:
        return math.log(a)

    def exp(self, a: Number) -> Number:
        return math.exp(a)

    def sqrt(self, a: Number) -> Number:
        return math.sqrt(a)

    def hypot(self, a: Number, b: Number) -> Number:
        return math.hypot(a, b)

    def settled(self, miss: Number, bracket: Number) -> Number:
        return abs(miss) <= 1e-5 or bracket <= 1e-5

    def converged(self, new: Number, old: Number) -> Number:
        return abs(new - old) <= 1e-4 * old

    def all(self, condition: Number) -> bool:
        return bool(condition)

    def pause(self) -> None:
        return


class Arrays:
    """Over arrays a search takes a while: `pause` is called between its rounds, where it may be stopped or slept in."""

    def __init__(self, pause: Callable[[], None] = lambda: None) -> None:
        self.pause = pause

    minimum = staticmethod(np.minimum)
    maximum = staticmethod(np.maximum)
    ceil = staticmethod(np.ceil)
    where = staticmethod(np.where)
    log = staticmethod(np.log)
    exp = staticmethod(np.exp)
    sqrt = staticmethod(np.sqrt)
    hypot = staticmethod(np.hypot)

    def all(self, condition: Number) -> bool:
        return bool(np.all(condition))

    def any(self, condition: Number) -> bool:
        return bool(np.any(condition))

    def settled(self, miss: Number, bracket: Number) -> Number:
        return (np.abs(miss) <= 1e-5) | (bracket <= 1e-5)

    def converged(self, new: Number, old: Number) -> Number:
        return np.abs(new - old) <= 1e-4 * old


FLOATS: Numeric = _Floats()
ARRAYS: Numeric = Arrays()


def is_nothing(a: Number) -> bool:
    """Whether it is 0 in every case."""
    return not (a.any() if isinstance(a, np.ndarray) else a)


def smooth_max(a: Number, b: Number) -> Number:
    """Time of an operator limited by two ceilings: (a^4 + b^4)^(1/4), never below either.

    Far from the ridge of the roofline it is max(a, b); on it, where neither overlaps fully, 19 % above.
    """
    a2 = a * a
    b2 = b * b
    return (a2 * a2 + b2 * b2) ** 0.25


def fourth_power(a: Number) -> Number:
    a2 = a * a
    return a2 * a2
