"""The steps of a task as text, a line each, and the order they run in. Pure.

    name, model, calls, tokens in, tokens out, cached share, after

`model` is a name, a size, or "any": whatever is good enough for the step. `calls` is "3", one after another, or
"3 at once". `after` is empty for the step above, "-" for the task's start, or names joined by "+".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from estimators.provenance import Refusal
from estimators.quality.tasks import Task, tasks_of_preset

ANY = "any"
MOST_STEPS = 12
FIELD = "pipe_steps"
SHAPE = "Write name, model, calls, tokens in, tokens out, cached share, after: extract, any, 5 at once, 2048, 256, 0.25"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9 _-]{0,30}")
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@/-]{0,119}")
_CALLS = re.compile(r"(?P<calls>[0-9]{1,4}(\.[0-9]{1,3})?)(?P<at_once> at once)?")
_TOKENS = re.compile(r"[1-9][0-9]{0,7}")
_SHARE = re.compile(r"0?\.[0-9]{1,4}|0")
# What a step's name starts with, and the preset whose task it then is; the longest counts.
KINDS = {
    "rout": "routing",
    "classif": "classification",
    "extract": "extraction",
    "retriev": "rag",
    "rag": "rag",
    "answer": "rag",
    "synth": "summarization",
    "summar": "summarization",
    "chat": "chat",
    "code": "code",
    "agent": "agent",
    "reason": "reasoning",
}
EXAMPLES = {
    "Five small calls and one large": (
        "classify, Llama 3.1 8B, 5, 1024, 128, 0.5\nsynthesis, Llama 3.1 70B, 1, 4096, 512, 0"
    ),
    "Routing, retrieval, synthesis": (
        "routing, Llama 3.2 1B, 1, 512, 4, 0.75\nretrieval, Llama 3.1 8B, 4 at once, 4096, 256, 0.1\n"
        "synthesis, Llama 3.1 70B, 1, 4096, 512, 0"
    ),
    "Classification and extraction": (
        "classification, any, 1, 512, 8, 0.5\nextraction, any, 3 at once, 2048, 256, 0.25, classification"
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStep:
    """One kind of call of a task. `calls` per task may be a share: 0.2 is one task in five."""

    name: str
    model: str  # as written
    calls: float
    at_once: bool  # the calls of a task run side by side
    prompt: int
    output: int
    cached: float
    after: tuple[str, ...]  # names of the steps it waits for
    answers: float | None = None  # what its quality weighs, where that is not its calls: tries that fail answer nothing

    @property
    def task(self) -> Task:
        """What the step is wanted for, by its name; instructions where that says nothing."""
        name = self.name.lower()
        kind = next((KINDS[start] for start in sorted(KINDS, key=len, reverse=True) if name.startswith(start)), "")
        tasks = tasks_of_preset(kind)
        return tasks[0].task if tasks else Task.INSTRUCTION_FOLLOWING

    @property
    def weight(self) -> float:
        """What its quality counts for."""
        return self.calls if self.answers is None else self.answers

    @property
    def in_a_row(self) -> float:
        """Calls a task waits for, one after another."""
        return min(1.0, self.calls) if self.at_once else self.calls


def parse_steps(text: str) -> tuple[TaskStep, ...]:
    """The steps of a text. Raises `Refusal` naming the line for what is none, and for steps that wait in a circle."""
    lines = [line.strip() for line in re.split(r"[\n;]", text) if line.strip()]
    if not lines:
        raise Refusal("There are no steps.", field=FIELD, remedy=SHAPE)
    if len(lines) > MOST_STEPS:
        raise Refusal(f"{len(lines)} steps are too many.", field=FIELD, remedy=f"Give up to {MOST_STEPS}.")
    steps: list[TaskStep] = []
    for number, line in enumerate(lines, start=1):
        steps.append(_step(number, line, steps[-1].name if steps else None))
    names = [step.name for step in steps]
    for number, step in enumerate(steps, start=1):
        if names.count(step.name) > 1:
            raise Refusal(f"Two steps are called {step.name}.", field=FIELD, remedy="Give each its own name.")
        for other in step.after:
            if other not in names:
                raise Refusal(f"Line {number} waits for {other[:40]!r}, which is no step.", field=FIELD)
    in_order(steps)
    return tuple(steps)


def _step(number: int, line: str, above: str | None) -> TaskStep:
    cells = [cell.strip() for cell in line.split(",")]
    cells += [""] * (7 - len(cells))
    checks = (_NAME, _MODEL, _CALLS, _TOKENS, _TOKENS, _SHARE)
    words = ("name", "model", "number of calls", "number of tokens in", "number of tokens out", "cached share below 1")
    if len(cells) > 7:
        raise Refusal(f"Line {number} has {len(cells)} parts, not up to 7.", field=FIELD, remedy=SHAPE)
    cells[5] = cells[5] or "0"
    for cell, check, word in zip(cells, checks, words, strict=False):
        if not check.fullmatch(cell):
            raise Refusal(f"Line {number}: {cell[:40]!r} is no {word}.", field=FIELD, remedy=SHAPE)
    calls = _CALLS.fullmatch(cells[2])
    many = float(calls["calls"]) if calls else 0.0
    if not 0 < many <= 1_000:
        raise Refusal(f"Line {number}: a task has from above 0 to 1,000 calls of a step.", field=FIELD)
    waits = [name.strip() for name in cells[6].split("+") if name.strip()]
    return TaskStep(
        name=cells[0],
        model=cells[1],
        calls=many,
        at_once=bool(calls and calls["at_once"]),
        prompt=int(cells[3]),
        output=int(cells[4]),
        cached=float(cells[5]),
        after=() if waits == ["-"] else tuple(waits) if waits else (above,) if above else (),
    )


def in_order(steps: Sequence[TaskStep]) -> tuple[str, ...]:
    """Names in an order in which each comes after those it waits for."""
    try:
        return tuple(TopologicalSorter({step.name: step.after for step in steps}).static_order())
    except CycleError as circle:
        names = " -> ".join(str(name) for name in circle.args[1])
        raise Refusal(f"Steps wait for each other in a circle: {names}.", field=FIELD) from None


def critical_path(steps: Sequence[TaskStep], seconds: dict[str, float]) -> tuple[float, tuple[str, ...]]:
    """The longest chain of waiting: (its seconds, its steps). `seconds` is each step's whole time in a task.

    a of 1 s, then b of 2 s beside c of 5 s, then d of 1 s after both: 7 s over a, c, d.
    """
    by_name = {step.name: step for step in steps}
    ends: dict[str, tuple[float, tuple[str, ...]]] = {}
    for name in in_order(steps):
        before = max((ends[other] for other in by_name[name].after), default=(0.0, ()))
        ends[name] = (before[0] + seconds[name], (*before[1], name))
    return max(ends.values())
