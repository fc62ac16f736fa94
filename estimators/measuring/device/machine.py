"""What this machine has to measure on: its GPUs as their driver lists them, and the CPU. No torch."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from estimators.hardware.catalogue import find_accelerator
from estimators.provenance import Refusal

ASKED = "name,memory.total,memory.free,driver_version"
PATIENCE_S = 10.0
MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """A device of this machine, as it can be measured on."""

    device: str  # "cpu", "cuda:0"
    name: str  # as the driver, or the system, calls it
    accelerator: str = ""  # its name in our table; empty off the table, and for a CPU
    driver: str = ""
    memory_bytes: int | None
    free_bytes: int | None
    cores: int = 0  # of a CPU, that this process may use


def attached(query: Callable[[], str] | None = None) -> tuple[Attached, ...]:
    """The GPUs of this machine, then its CPU. `query` gives what `nvidia-smi` prints for `ASKED`."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    total, free = (proc_bytes("/proc/meminfo", key) for key in ("MemTotal", "MemAvailable"))
    cpu = Attached(device="cpu", name=cpu_name(), memory_bytes=total, free_bytes=free, cores=cores)
    found = enumerate((query or _nvidia_smi)().splitlines())
    gpus = (_gpu(number, [part.strip() for part in line.split(",")]) for number, line in found)
    return (*filter(None, gpus), cpu)


def _gpu(number: int, told: list[str]) -> Attached | None:
    """One line of the driver: "NVIDIA L4, 23034, 22563, 550.54.15", memory in MiB; None for any other line."""
    if len(told) != 4 or not told[1].isdigit():
        return None
    name, total, free, driver = told
    try:
        accelerator = find_accelerator(name).name
    except Refusal:
        accelerator = ""
    return Attached(
        device=f"cuda:{number}",
        name=name[:80],
        accelerator=accelerator,
        driver=driver[:40],
        memory_bytes=int(total) * MIB,
        free_bytes=int(free) * MIB if free.isdigit() else None,
    )


def _nvidia_smi() -> str:
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    asked = [program, f"--query-gpu={ASKED}", "--format=csv,noheader,nounits"]
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        return subprocess.run(asked, capture_output=True, text=True, timeout=PATIENCE_S, check=False).stdout
    return ""


def cpu_name() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()[:80]
    return "CPU"


def proc_bytes(path: str, key: str) -> int | None:
    """Bytes from a "Key:  123 kB" line, None where there is no such file."""
    with contextlib.suppress(OSError):
        for line in Path(path).read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024
    return None
