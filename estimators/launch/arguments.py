"""What a release of vLLM can be asked for: its arguments and their values, as read out of its wheels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from estimators.engines.versions import Version, read_version
from estimators.provenance import read_table

TABLE = Path(__file__).with_name("data") / "vllm_arguments.csv"


class Listed(StrEnum):
    """What a name of the table is."""

    FLAG = "flag"
    ARCHITECTURE = "architecture"  # class of a config that the release has a model for
    CACHE_DTYPE = "kv-cache-dtype"
    DRAFTING = "speculative-method"
    DRAFTING_KEY = "speculative-key"
    DTYPE = "dtype"
    EXECUTOR = "distributed-executor-backend"
    QUANTIZATION = "quantization"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """What one release knows."""

    version: Version  # the newest that was read for a release that is left out or newer still
    read: tuple[Version, ...]  # the releases whose lists it is in: itself, or the two that it lies between
    names: Mapping[Listed, frozenset[str]]

    def has(self, kind: Listed, name: str) -> bool:
        return name in self.names[kind]


@cache
def releases() -> tuple[Version, ...]:
    """The releases that were read, oldest first."""
    return tuple(sorted({version for _, _, versions in _rows() for version in versions}))


@cache
def arguments_of(version: str | None) -> Arguments | None:
    """What vLLM of this version knows; None for one older than all that were read.

    Between two releases that were read it is what both have: 0.16.0 has what 0.11.0 and 0.21.0 share.
    """
    asked, read = read_version(version), releases()
    below = [release for release in read if release <= asked]
    if not below:
        return None
    above = [release for release in read if release >= asked]
    around = {below[-1], above[0]} if above else {below[-1]}
    names = {
        kind: frozenset(name for of, name, versions in _rows() if of is kind and around <= versions) for kind in Listed
    }
    return Arguments(version=asked if above else below[-1], read=tuple(sorted(around)), names=names)


def last_with(kind: Listed, name: str) -> Version | None:
    """The newest release read that has it."""
    return max((max(versions) for of, known, versions in _rows() if (of, known) == (kind, name)), default=None)


@cache
def _rows() -> tuple[tuple[Listed, str, frozenset[Version]], ...]:
    required = ("kind", "name", "versions", "source", "as_of")
    return tuple(
        (Listed(row["kind"]), row["name"], frozenset(map(read_version, row["versions"].split())))
        for row in read_table(TABLE, required=required)
    )
