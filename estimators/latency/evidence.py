"""What measurements stand behind an estimate of this accelerator, engine and precision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from estimators.hardware.accelerator import Accelerator
from estimators.latency.chip_classes import chip_class, class_of
from estimators.provenance import read_table

_TABLE = Path(__file__).parent / "data" / "evidence.csv"
ENOUGH = 20  # rows from which an accelerator speaks for itself
LEVELS = ("cell", "chip", "class", "none")  # of evidence, from most to least


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """`level` as `level_of` has it."""

    level: str
    rows: int
    sentence: str


def level_of(counts: Mapping[tuple[str, str], int], chip: str, engine: str) -> str:
    """How near the served runs an estimate rests on are, of (chip, engine) -> rows.

    "cell": this accelerator with this engine; "chip": with another; "class": one of its class; "none".
    """
    if counts.get((chip, engine), 0) >= ENOUGH:
        return "cell"
    if sum(n for (c, _), n in counts.items() if c == chip) >= ENOUGH:
        return "chip"
    own = class_of(chip)
    return "class" if sum(n for (c, _), n in counts.items() if class_of(c) == own) >= ENOUGH else "none"


@cache
def _counts() -> Mapping[tuple[str, str, str], int]:
    """(chip, engine, path) -> rows of the fit."""
    if not _TABLE.exists():
        return {}
    counts: Counter[tuple[str, str, str]] = Counter()
    for row in read_table(_TABLE):
        counts[row["chip"], row["engine"], row["path"]] += int(row["rows"])
    return counts


@cache
def _find(chip: str, class_: str, kind: str, engine: str, path: str) -> Evidence:
    cells: Counter[tuple[str, str]] = Counter()
    for (name, served_by, _), n in _counts().items():
        cells[name, served_by] += n
    on_chip = sum(n for (name, _), n in cells.items() if name == chip)
    exact = _counts().get((chip, engine, path), 0)
    in_class = sum(n for (name, _), n in cells.items() if class_of(name) == class_)
    level = level_of(cells, chip, engine)
    if level in ("cell", "chip"):
        text = f"{on_chip} published rows on {chip}, {exact} of them with {engine} and {path} products"
        return Evidence(level=level, rows=on_chip, sentence=text)
    if level == "class":
        text = f"{on_chip} published rows on {chip}; calibrated on {in_class} rows of its class ({class_})"
        return Evidence(level=level, rows=in_class, sentence=text)
    text = f"no published rows on {chip} or its class ({class_}); calibrated on chips with {kind} memory"
    return Evidence(level=level, rows=0, sentence=text)


def evidence_for(accelerator: Accelerator, engine: str, path: str) -> Evidence:
    """Counts of the rows the calibration of this case rests on, in a sentence."""
    return _find(accelerator.name, chip_class(accelerator), accelerator.memory_kind, engine, path)
