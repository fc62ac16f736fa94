"""What measurements stand behind an estimate of this accelerator, engine and precision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from estimators.hardware.accelerator import Accelerator
from estimators.latency.calibration import chip_class
from estimators.provenance import read_table

_TABLE = Path(__file__).parent / "data" / "evidence.csv"
ENOUGH = 20  # rows from which an accelerator speaks for itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """`level`: "chip" (this accelerator was measured), "class" (its class was) or "none"."""

    level: str
    rows: int
    sentence: str


@cache
def _counts() -> Mapping[tuple[str, str, str, str], int]:
    """(chip, class, engine, path) -> rows of the fit."""
    if not _TABLE.exists():
        return {}
    counts: Counter[tuple[str, str, str, str]] = Counter()
    for row in read_table(_TABLE):
        counts[row["chip"], row["class"], row["engine"], row["path"]] += int(row["rows"])
    return counts


@cache
def _find(chip: str, class_: str, kind: str, engine: str, path: str) -> Evidence:
    table = _counts()
    on_chip = sum(n for (c, _, _, _), n in table.items() if c == chip)
    exact = sum(n for (c, _, e, p), n in table.items() if c == chip and e == engine and p == path)
    in_class = sum(n for (_, g, _, _), n in table.items() if g == class_)
    if on_chip >= ENOUGH:
        text = f"{on_chip} published rows on {chip}, {exact} of them with {engine} and {path} products"
        return Evidence(level="chip", rows=on_chip, sentence=text)
    if in_class >= ENOUGH:
        text = f"{on_chip} published rows on {chip}; calibrated on {in_class} rows of its class ({class_})"
        return Evidence(level="class", rows=in_class, sentence=text)
    text = f"no published rows on {chip} or its class ({class_}); calibrated on chips with {kind} memory"
    return Evidence(level="none", rows=0, sentence=text)


def evidence_for(accelerator: Accelerator, engine: str, path: str) -> Evidence:
    """Counts of the rows the calibration of this case rests on, in a sentence."""
    return _find(accelerator.name, chip_class(accelerator), accelerator.memory_kind, engine, path)
