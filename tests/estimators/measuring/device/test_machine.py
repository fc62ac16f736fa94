"""What is attached, as the driver's lines and the system tell it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from estimators.measuring.device.machine import attached, proc_bytes

DRIVER = """NVIDIA L4, 23034, 22563, 550.54.15
NVIDIA H100 80GB HBM3, 81559, 81008, 550.54.15
Some GPU of Tomorrow, 1000, [N/A], 999.1
"""


def test_gpus_stand_before_the_cpu_with_memory_and_driver() -> None:
    l4, h100, unknown, cpu = attached(lambda: DRIVER)
    assert (l4.device, l4.name, l4.accelerator, l4.driver) == ("cuda:0", "NVIDIA L4", "L4", "550.54.15")
    assert (l4.memory_bytes, l4.free_bytes) == (23034 * 2**20, 22563 * 2**20)
    assert (h100.device, h100.accelerator) == ("cuda:1", "H100-SXM5")
    assert (unknown.accelerator, unknown.free_bytes) == ("", None)
    assert (cpu.device, cpu.driver) == ("cpu", "")
    assert 1 <= cpu.cores <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    "told", ["", "NVIDIA-SMI has failed because it couldn't communicate with the driver\n", ",,\n"]
)
def test_a_driver_that_tells_nothing_leaves_the_cpu(told: str) -> None:
    assert [found.device for found in attached(lambda: told)] == ["cpu"]


def test_kilobytes_of_a_line(tmp_path: Path) -> None:
    path = tmp_path / "meminfo"
    path.write_text("MemTotal:       24684084 kB\nMemFree:         100 kB\n")
    assert proc_bytes(str(path), "MemTotal") == 24684084 * 1024
    assert proc_bytes(str(path), "MemAvailable") is None
    assert proc_bytes(str(tmp_path / "none"), "MemTotal") is None
