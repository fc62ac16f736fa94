"""Small faults planted one at a time, to see that tests notice: `python -m tests.planted_faults [--all] [WORD ...]`.

Each row of planted_faults.csv replaces one text of one file by another in a temporary copy of the tree and runs the
tests named beside it, or with `--all` the whole fast suite. Words narrow the rows to those whose file or breakage holds
one. A fault is killed when a test fails; at least nine of ten have to be.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from estimators.provenance import read_table

ROOT = Path(__file__).parents[1]
TABLE = Path(__file__).with_suffix(".csv")
LEFT_BEHIND = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", ".hypothesis")
FAST = ("-m", "not browser and not slow", "--deselect", "tests/test_planted_faults.py")  # which sees any of them
TO_KILL = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """`old`, which occurs once in `file`, becomes `new`."""

    file: str
    old: str
    new: str
    breaks: str
    tests: str  # the file of tests that kills it


def faults() -> tuple[Fault, ...]:
    fields = tuple(Fault.__dataclass_fields__)
    return tuple(Fault(**row) for row in read_table(TABLE, required=fields))


def passes(tree: Path, *tests: str) -> bool:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *FAST, *tests]
    return (
        subprocess.run(command, cwd=tree, env={**os.environ, "HF_HUB_OFFLINE": "1"}, capture_output=True).returncode
        == 0
    )


def killed(tree: Path, fault: Fault, *tests: str) -> bool:
    """Whether a test fails with the fault in the tree; the tree is as before afterwards."""
    target = tree / fault.file
    sound = target.read_text(encoding="utf-8")
    try:
        _write(target, sound.replace(fault.old, fault.new))
        return not passes(tree, *tests)
    finally:
        _write(target, sound)


def _write(target: Path, text: str) -> None:
    """Without its compiled form, which is told from another of the same size and second by nothing."""
    target.write_text(text, encoding="utf-8")
    for compiled in (target.parent / "__pycache__").glob(f"{target.stem}.*.pyc"):
        compiled.unlink()


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.planted_faults", description=__doc__)
    parser.add_argument("--all", action="store_true", help="run the whole fast suite for each")
    parser.add_argument("words", nargs="*")
    asked = parser.parse_args(arguments)
    planted = [f for f in faults() if not asked.words or any(word in f.file + f.breaks for word in asked.words)]
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(ROOT, tree, ignore=LEFT_BEHIND)
        sound = () if asked.all else sorted({fault.tests for fault in planted})
        if not passes(tree, *sound):
            print("The tests fail without any fault.")
            return 2
        dead = 0
        for fault in planted:
            dies = killed(tree, fault, *(() if asked.all else (fault.tests,)))
            dead += dies
            print(f"{'killed' if dies else 'SURVIVED'}  {fault.file}: {fault.breaks}", flush=True)
    print(f"{dead} of {len(planted)} killed")
    return 0 if dead >= TO_KILL * len(planted) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
