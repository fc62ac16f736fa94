"""Which accelerators are kin: what was measured on one tells of the others of its class, then of its kind of memory."""

from __future__ import annotations

from functools import cache

from estimators.hardware.accelerator import Accelerator
from estimators.hardware.catalogue import accelerators


def chip_class(accelerator: Accelerator) -> str:
    """Chips of one compute capability share a class; other vendors' go by architecture."""
    major = accelerator.compute_capability.split(".")[0]
    if accelerator.vendor != "NVIDIA" or not major.isdigit():
        return accelerator.architecture
    return f"sm{accelerator.compute_capability}" if major != "10" else "sm10"


def link_class(accelerator: Accelerator, tp: int) -> str:
    link = accelerator.link.lower()
    if tp > 8 and accelerator.vendor != "AWS" and not accelerator.name.startswith(("GB200", "GB300")):
        return "network"
    if "bridge" in link or "pcie" in link:
        return "pcie"
    return "nvlink" if "nvlink" in link else "other"


@cache
def class_of(name: str) -> str:
    """Class of an accelerator of the table, by its canonical name."""
    return chip_class(accelerators()[name])


@cache
def kind_of(name: str) -> str:
    return accelerators()[name].memory_kind


@cache
def link_of(name: str) -> str:
    """How GPUs of one machine are linked."""
    return link_class(accelerators()[name], 2)
