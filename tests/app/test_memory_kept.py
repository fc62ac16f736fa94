"""What a large block held is the system's again when it is freed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT

FREED = """
import resource, sys
from app.memory_kept import give_memory_back
took = give_memory_back()
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
before = resident()
for size in (1, 4, 16, 24):
    held = [bytearray(size << 20) for _ in range(4)]
    small = bytearray(1000)
    del held
print(took, resident() - before < 20_000_000)
"""

HOLES = """
import resource
from app.memory_kept import trim
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
before = resident()
small = [bytes(2_000) for _ in range(50_000)]
last = bytes(2_000)
del small
kept = resident() - before
trim()
print(kept > 80_000_000, resident() - before < 20_000_000)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="holes of glibc's heaps")
def test_what_lies_free_below_something_small_goes_back_when_it_is_asked_for() -> None:
    ran = subprocess.run([sys.executable, "-c", HOLES], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["True", "True"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the settings are glibc's")
def test_large_blocks_go_back_when_they_are_freed() -> None:
    ran = subprocess.run([sys.executable, "-c", FREED], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.split() in (["True", "True"], ["False", "True"])
