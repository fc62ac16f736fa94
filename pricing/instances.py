"""EC2 instance types: which accelerators they carry."""

from __future__ import annotations

from dataclasses import dataclass


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
