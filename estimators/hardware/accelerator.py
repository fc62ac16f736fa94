"""Accelerators: what software can use of them, and the peaks no estimate may exceed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """One accelerator of the table. Peaks are dense, from data sheets; None means the chip has no such path."""

    name: str  # canonical: "A10G", "H100-SXM5" ...
    vendor: str  # "NVIDIA", "AMD", "AWS" ...
    architecture: str  # "Ampere", "Ada", "Hopper" ...; the class an unmeasured chip inherits from
    memory_label_gib: float  # as sold
    memory_bytes: int  # what software sees
    memory_kind: str  # "hbm" (stacked), "gddr" or "ddr": software reaches different shares of their bandwidth
    bandwidth_bytes_per_s: float | None
    flops_16bit: float | None  # FLOP/s, fp16 or bf16 with fp32 accumulation
    flops_fp8: float | None
    ops_int8: float | None
    flops_fp4: float | None
    bf16: bool  # has bf16 units (Turing and Volta have not)
    link: str  # "NVLink 4", "PCIe Gen4 x16" ...
    link_bytes_per_s: float | None  # one GPU, both directions together, as are the two rates below
    tdp_watts: float | None
    compute_capability: str
    source: str
    as_of: str
    confidence: str
    bridge_gpus: float | None = None  # that `link` joins where it is a bridge; more of them meet over the bus
    bus_bytes_per_s: float | None = None
    machine_gpus: float | None = None  # of the largest machine; None where `link` reaches every GPU a plan may have
    network_bytes_per_s: float | None = None  # a GPU's part of what joins machines
    reach_source: str = ""  # who says these four
    memory_source: str = ""  # who saw `memory_bytes`
    note: str = ""
