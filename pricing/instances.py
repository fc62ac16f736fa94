"""EC2 instance types: which accelerators they carry, as EC2 says it and corrected where EC2 is wrong."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from estimators.provenance import Refusal, read_table

if TYPE_CHECKING:
    from collections.abc import Mapping

TABLE = Path(__file__).parent / "data" / "instances.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One EC2 instance type with accelerators. `accelerator` is the canonical name the estimators use."""

    instance_type: str
    accelerator: str
    accelerator_count: int  # 1 for a fractional instance
    accelerator_memory_gib: float  # each, as EC2 reports it, corrected where it is wrong; the slice if fractional
    partition: float  # share of the accelerator: 1, 0.5, 0.25 or 0.125
    vcpus: int
    memory_gib: float
    network_gbps: float
    local_storage: str
    source: str
    as_of: str
    note: str = ""
    usage_classes: tuple[str, ...] = ()  # EC2's words: on-demand, spot, capacity-block
    regions: tuple[str, ...] = ()  # where EC2 lists the type; empty when no list was found

    @property
    def family(self) -> str:
        """What stands before the dot, ``g5`` of ``g5.xlarge``."""
        return self.instance_type.partition(".")[0]

    @property
    def accelerator_memory_gib_total(self) -> float:
        """Memory of all its accelerators (M = n x m; g5.12xlarge: 4 x 22.352 = 89.408 GiB)."""
        return self.accelerator_count * self.accelerator_memory_gib

    @property
    def is_ec2_type(self) -> bool:
        """False for an UltraServer, which is bought as a Capacity Block and is no instance type."""
        return not self.instance_type.startswith("u-")


def _instance(row: dict[str, str]) -> Instance:
    return Instance(
        instance_type=row["instance_type"],
        accelerator=row["accelerator"],
        accelerator_count=int(row["accelerator_count"]),
        accelerator_memory_gib=float(row["accelerator_memory_gib"]),
        partition=float(row["partition"]),
        vcpus=int(row["vcpus"]),
        memory_gib=float(row["memory_gib"]),
        network_gbps=float(row["network_gbps"]),
        local_storage=row["local_storage"],
        source=row["source"],
        as_of=row["as_of"],
        note=row["note"],
        usage_classes=tuple(filter(None, row["usage_classes"].split("|"))),
        regions=tuple(filter(None, row["regions"].split("|"))),
    )


@lru_cache(maxsize=1)
def _by_type() -> Mapping[str, Instance]:
    required = ("instance_type", "accelerator", "accelerator_count", "accelerator_memory_gib", "source", "as_of")
    read = (_instance(row) for row in read_table(TABLE, required=required, key=("instance_type",)))
    return MappingProxyType({instance.instance_type: instance for instance in read})


def instances() -> tuple[Instance, ...]:
    """Every accelerator instance type known, by family and then by size."""
    return tuple(_by_type().values())


def find_instance(instance_type: str) -> Instance:
    """The instance type of this name; refuses an unknown one and names near matches."""
    name = instance_type.strip().lower()
    found = _by_type().get(name)
    if found is not None:
        return found
    near = difflib.get_close_matches(name, _by_type(), n=3, cutoff=0.6)
    remedy = f"Did you mean {' or '.join(near)}?" if near else "Choose a type such as g6.xlarge."
    raise Refusal(f"No accelerator instance type is called {instance_type[:64]!r}.", field="instance", remedy=remedy)
