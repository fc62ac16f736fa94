"""What is worked out once: known by identity, held while it is kept, and never more of it than was allowed."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from estimators.remembered import Remembered


@dataclass(frozen=True)
class Owner:
    """Two of one name are equal, as two specs read from the same config are."""

    name: str


def counted() -> tuple[list[int], Callable[[], int]]:
    made: list[int] = []

    def make() -> int:
        made.append(len(made))
        return made[-1]

    return made, make


def test_a_result_is_worked_out_once_for_an_object_and_an_equal_key() -> None:
    made, make = counted()
    kept: Remembered[int] = Remembered(8)
    owner = Owner("8B")
    assert [kept.of((owner,), (2, "fp8"), make) for _ in range(3)] == [0, 0, 0]
    assert kept.of((owner,), (4, "fp8"), make) == 1
    assert made == [0, 1]


def test_an_equal_object_is_another_object() -> None:
    _, make = counted()
    kept: Remembered[int] = Remembered(8)
    one, two = Owner("8B"), Owner("8B")
    assert one == two
    assert (kept.of((one,), None, make), kept.of((two,), None, make), kept.of((one, two), None, make)) == (0, 1, 2)


def test_the_oldest_goes_first_and_no_more_are_kept_than_allowed() -> None:
    _, make = counted()
    kept: Remembered[int] = Remembered(2)
    owner = Owner("8B")
    for key in ("a", "b", "c"):
        kept.of((owner,), key, make)
    assert len(kept) == 2
    assert kept.of((owner,), "c", make) == 2
    assert kept.of((owner,), "a", make) == 3  # worked out anew


def test_an_object_lives_as_long_as_its_result_so_that_its_identity_is_not_given_away() -> None:
    kept: Remembered[int] = Remembered(1)
    owner = Owner("8B")
    seen = weakref.ref(owner)
    kept.of((owner,), None, lambda: 1)
    del owner
    gc.collect()
    assert seen() is not None
    kept.of((Owner("70B"),), None, lambda: 2)
    gc.collect()
    assert seen() is None


def test_a_failure_is_not_remembered() -> None:
    kept: Remembered[int] = Remembered(2)
    owner = Owner("8B")

    def fail() -> int:
        raise ValueError("not now")

    with pytest.raises(ValueError, match="not now"):
        kept.of((owner,), None, fail)
    assert kept.of((owner,), None, lambda: 5) == 5
