"""Tasks, and which published benchmark is evidence for which task."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from estimators.provenance import read_table

DATA = Path(__file__).parent / "data"


class Task(StrEnum):
    """What a model is wanted for. Each has its own benchmarks; GENERAL is the averages of whole suites."""

    INSTRUCTION_FOLLOWING = "instruction-following"
    MATHS = "maths"
    CODE = "code"
    KNOWLEDGE = "knowledge"
    REASONING = "reasoning"
    LONG_CONTEXT = "long-context"
    TOOL_USE = "tool-use"
    CHAT = "chat"
    MULTILINGUAL = "multilingual"
    COMMONSENSE = "commonsense"
    GENERAL = "general"


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One benchmark: what it is evidence for, and how finely it can tell two models apart."""

    id: str
    name: str
    task: Task
    preference: int  # 1 is consulted first
    unit: str
    chance: float | None  # score of guessing, in the benchmark's unit
    items: int | None  # questions asked; None when it varies or is an average of suites
    note: str
    source: str
    as_of: str
    confidence: str

    def standard_error(self, score: float) -> float | None:
        """Sampling error of a score, in points: 100 sqrt(p (1 - p) / n), p = score / 100.

        Example: IFEval has 541 prompts, so a score of 80 carries 100 sqrt(0.8 x 0.2 / 541) = 1.7 points.
        """
        if self.items is None or not 0 < score < 100:
            return None
        share = score / 100
        return 100 * math.sqrt(share * (1 - share) / self.items)


@dataclass(frozen=True, slots=True, kw_only=True)
class PresetTask:
    """A task that a use preset ("rag", "summarization" ...) leans on, and why."""

    preset: str
    task: Task
    why: str


@cache
def benchmarks() -> Mapping[str, Benchmark]:
    """Every benchmark by its id."""
    return {row["id"]: _benchmark(row) for row in read_table(DATA / "benchmarks.csv", key=("id",))}


@cache
def tasks_of_preset(preset: str) -> tuple[PresetTask, ...]:
    """The tasks behind a use preset, the most telling first; empty for a preset with none."""
    table = read_table(DATA / "presets.csv", key=("preset", "task"))
    rows = [row for row in table if row["preset"] == preset]
    rows.sort(key=lambda row: int(row["preference"]))
    return tuple(PresetTask(preset=preset, task=Task(row["task"]), why=row["why"]) for row in rows)


def _benchmark(row: Mapping[str, str]) -> Benchmark:
    return Benchmark(
        id=row["id"],
        name=row["name"],
        task=Task(row["task"]),
        preference=int(row["preference"]),
        unit=row["unit"],
        chance=float(row["chance"]) if row["chance"] else None,
        items=int(row["items"]) if row["items"] else None,
        note=row["note"],
        source=row["source"],
        as_of=row["as_of"],
        confidence=row["confidence"],
    )
