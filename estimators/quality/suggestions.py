"""Whether AWQ or GPTQ is the INT4 method to offer first, and the rows that say so."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median

from estimators.quality.evidence import RecoveryRow, recovery_rows
from estimators.quality.models import params_of, same_model, size_class
from estimators.quality.schemes import Scheme
from estimators.quality.tasks import Task, benchmarks

# Scores are printed to 0.1 point, so half a point is the least that can tell two methods apart; sampling noise asks
# for more where few questions were asked.
TOLD_APART = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodPair:
    """AWQ and GPTQ on the same model, suite and source."""

    awq: RecoveryRow
    gptq: RecoveryRow

    @property
    def difference(self) -> float:
        """AWQ minus GPTQ, as a ratio."""
        return self.awq.recovery - self.gptq.recovery

    @property
    def noise(self) -> float:
        """How far the difference moves by chance, 80 % of the time."""
        return math.hypot(self.awq.noise, self.gptq.noise)


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodOrder:
    """Which INT4 method to offer first: "awq", "gptq" or "either" when the rows do not tell."""

    first: str
    difference: float  # median of AWQ minus GPTQ, as a ratio
    pairs: tuple[MethodPair, ...]
    label: str


def int4_methods(model_id: str, task: Task | None = None) -> MethodOrder:
    """AWQ or GPTQ first, from rows where one source ran both on one model and suite.

    The model's own pairs decide; without any, those of its size class; without any, "either". Suite averages are
    left out when their parts are there. Example: on Qwen2-0.5B AWQ keeps 90.4 % of the mean and GPTQ 86.3 %, on
    Qwen2-72B it is 98.9 % against 99.9 %: neither wins everywhere.
    """
    pairs = [pair for pair in _method_pairs() if task is None or _task(pair.awq) is task]
    own = tuple(pair for pair in pairs if same_model(pair.awq.model, model_id))
    if own:
        return _order(own, "on this model")
    params = params_of(model_id)
    if params is not None:
        band = size_class(params)
        near = tuple(pair for pair in pairs if pair.awq.params and size_class(pair.awq.params) == band)
        if near:
            return _order(near, f"on other models, {band}")
    return MethodOrder(first="either", difference=0.0, pairs=(), label="No source ran both methods on a model like it.")


def _method_pairs() -> tuple[MethodPair, ...]:
    by_run: dict[tuple[str, str, str, str], dict[str, RecoveryRow]] = {}
    for row in recovery_rows():
        if row.scheme is Scheme.INT4 and row.method in {"awq", "gptq"}:
            by_run.setdefault((row.model, row.benchmark, row.setting, row.source), {})[row.method] = row
    return tuple(MethodPair(awq=run["awq"], gptq=run["gptq"]) for run in by_run.values() if len(run) == 2)


def _order(pairs: tuple[MethodPair, ...], where: str) -> MethodOrder:
    single = tuple(pair for pair in pairs if _task(pair.awq) is not Task.GENERAL) or pairs
    difference = median(pair.difference for pair in single)
    noise = median(pair.noise for pair in single) / math.sqrt(len(single))
    if abs(difference) <= max(TOLD_APART, noise):
        first, said = "either", "do not tell AWQ and GPTQ apart"
    else:
        first = "awq" if difference > 0 else "gptq"
        said = f"put {first.upper()} {100 * abs(difference):.1f} points ahead"
    label = f"Paired comparisons {where} ({len(single)}) {said}."
    return MethodOrder(first=first, difference=difference, pairs=single, label=label)


def _task(row: RecoveryRow) -> Task:
    return benchmarks()[row.benchmark].task
