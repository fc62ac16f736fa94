"""Versions of serving engines: one type, one way to read them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from estimators.provenance import Refusal

_NUMBERS = re.compile(r"v?(\d{1,6})(?:\.(\d{1,6}))?(?:\.(\d{1,6}))?", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """The first three numbers of a release; what follows them (post1, rc2, +cu128) never changed a default."""

    major: int
    minor: int = 0
    patch: int = 0

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


NEWEST = Version(10**6)  # above every release: what a version that is left out stands for


@lru_cache(maxsize=1024)
def read_version(text: str | None) -> Version:
    """`Version(0, 11)` of "v0.11", "0.11.0" or " 0.11.0rc1"; None is the newest. Without a number it is refused."""
    if text is None:
        return NEWEST
    numbers = _NUMBERS.match(text.strip())
    if numbers is None:
        raise Refusal(
            f"{text[:40]!r} is not a version.", field="engine_version", remedy="Write it as 0.11.0, or leave it out."
        )
    return Version(*(int(part or 0) for part in numbers.groups()))
