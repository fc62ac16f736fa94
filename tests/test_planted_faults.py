"""The planted faults are still faults: each text to replace stands once in its file, and each killer exists."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.planted_faults import Fault, faults, killed


@pytest.mark.parametrize("fault", faults(), ids=lambda fault: fault.breaks)
def test_a_fault_can_be_planted(fault: Fault) -> None:
    assert (ROOT / fault.file).read_text(encoding="utf-8").count(fault.old) == 1
    assert fault.old != fault.new
    assert (ROOT / fault.tests).is_file()


def test_there_are_enough_of_them_and_each_is_another() -> None:
    planted = faults()
    assert len(planted) >= 34
    assert len({fault.breaks for fault in planted}) == len(planted)


def test_a_fault_is_killed_by_a_test_that_fails_with_it_and_leaves_no_trace(tmp_path: Path) -> None:
    (tmp_path / "sums.py").write_text("def double(x):\n    return 2 * x\n")
    (tmp_path / "test_sums.py").write_text("from sums import double\n\n\ndef test_it():\n    assert double(3) == 6\n")
    fault = Fault(file="sums.py", old="2 * x", new="3 * x", breaks="doubling", tests="test_sums.py")
    harmless = Fault(file="sums.py", old="2 * x", new="x * 2", breaks="nothing", tests="test_sums.py")
    assert killed(tmp_path, fault, "test_sums.py")
    assert not killed(tmp_path, harmless, "test_sums.py")
    assert (tmp_path / "sums.py").read_text() == "def double(x):\n    return 2 * x\n"
