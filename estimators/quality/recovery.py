"""How much of a model's quality survives a scheme, per task: the model's own rows first, then its kin's, then none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from statistics import median

from estimators.quality.checkpoints import deployed
from estimators.quality.evidence import RecoveryRow, Statistic, interval_width, recovery_rows
from estimators.quality.models import family_of, params_of, same_model, size_class
from estimators.quality.schemes import ANY_METHOD, UNCHANGED, Scheme
from estimators.quality.tasks import Task, benchmarks

# Kin of the same series count as evidence only up to this ratio of sizes: INT4 costs Qwen2-0.5B 10 to 14 % and
# Qwen2-72B about 1 % of the same mean (Qwen docs, QwenLM/Qwen3@77fb0c1), so a series alone says little.
FAMILY_SIZE_RATIO = 3.0
# Fewer comparisons than this show no spread of their own, so each row's sampling noise is added.
FEW_ROWS = 3
# Retraining is another lever with another cost; its rows answer only when asked for by name.
TRAINED_METHODS = frozenset({"qat"})


class Level(StrEnum):
    """Whose evidence it is, the strongest first."""

    REFERENCE = "reference"  # nothing was changed
    EXACT = "exact"
    FAMILY = "family"
    SIZE_CLASS = "size-class"
    POOLED = "pooled"  # printed as one figure over several models


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """Quality kept, as ratios, with the rows it rests on."""

    model: str
    scheme: Scheme
    method: str | None
    task: Task
    level: Level
    median: float | None  # None when only a worst case is published
    low: float
    high: float
    n: int  # comparisons counted
    rows: tuple[RecoveryRow, ...]
    excluded: tuple[RecoveryRow, ...]  # of the same models, shown but not counted
    label: str

    @property
    def sources(self) -> tuple[str, ...]:
        """Where the counted rows are from, each once."""
        return tuple(dict.fromkeys(row.source for row in self.rows))


def recovery(
    base_model_id: str,
    scheme: str,
    method: str | None = None,
    task: Task | None = None,
    *,
    benchmark: str | None = None,
    params: float | None = None,
    own: Sequence[RecoveryRow] = (),
) -> Recovery | None:
    """Share of the score kept under a scheme, R = median(quantized / baseline), or None: missing stays missing.

    `task` None asks for averages of whole suites (GENERAL), which hide losses on single tasks. Rows of the model
    itself come first, then of its series at up to three times or a third of its size, then of its size class; a
    borrowed range is widened by how far such borrowing was off where it can be checked. `own` are a person's rows.
    A quantized repository's id stands for its base model in that scheme.
    Example: Llama 3.1 8B at INT4 on instruction following keeps 76.3 / 77.9 = 97.9 % of IFEval.
    """
    if own:
        return _recovery(base_model_id, scheme, method, task, benchmark, params, tuple(own))
    return _published(base_model_id, scheme, method, task, benchmark, params)


def _recovery(
    base_model_id: str,
    scheme: str,
    method: str | None,
    task: Task | None,
    benchmark: str | None,
    params: float | None,
    own: tuple[RecoveryRow, ...] = (),
) -> Recovery | None:
    model, wanted, method = deployed(base_model_id, scheme, method)
    asked = task or Task.GENERAL
    if wanted in UNCHANGED:
        return _reference(model, wanted, asked)
    rows = [row for row in (*own, *recovery_rows()) if row.scheme is wanted and _serves(row, asked, benchmark)]
    rows = [row for row in rows if _method_matches(row.method, method)]
    for level, found in _levels(rows, model, params or params_of(model)):
        counted = tuple(row for row in found if not row.excluded)
        if counted:
            return _summary(model, wanted, method, asked, level, counted, tuple(r for r in found if r.excluded))
    return None


_published = lru_cache(maxsize=1024)(_recovery)  # of published rows alone: all day the same


def borrowing_error(level: Level, width: str) -> float:
    """How far outside a borrowed range the model's own median may lie: 80th percentile of `leave_one_out`.

    Where no case allows the check, the widest known error stands in.
    """
    return 0.0 if level in {Level.REFERENCE, Level.EXACT} else interval_width(level.value, width)


def leave_one_out(level: Level, width: str) -> tuple[float, ...]:
    """max(0, min - own, own - max) over every (model, scheme, task) that has rows of its own and rows to borrow.

    The model's own rows are hidden, its kin's range is taken as the answer, and the distance from that range to the
    model's own median is the error, as a ratio.
    """
    errors = []
    compared = (row for row in recovery_rows() if width_of(row.scheme) == width)
    cases = {(row.model, row.scheme, benchmarks()[row.benchmark].task) for row in compared}
    for model, scheme, task in sorted(case for case in cases if case[0]):
        rows = [row for row in recovery_rows() if row.scheme is scheme and _serves(row, task, None)]
        levels = dict(_levels([row for row in rows if _method_matches(row.method, None)], model, params_of(model)))
        own = _typical(levels[Level.EXACT])
        kin = [row.recovery for row in levels.get(level, ()) if not row.excluded]
        if own is not None and kin:
            errors.append(max(0.0, min(kin) - own, own - max(kin)))
    return tuple(sorted(errors))


def width_of(scheme: Scheme) -> str:
    """The class of schemes whose losses are of one size: "8-bit", "4-bit" or "other"."""
    if scheme in {Scheme.FP8, Scheme.INT8, Scheme.INT8_WEIGHT_ONLY}:
        return "8-bit"
    return "4-bit" if scheme in {Scheme.INT4, Scheme.NF4, Scheme.NVFP4, Scheme.MXFP4} else "other"


def _serves(row: RecoveryRow, task: Task, benchmark: str | None) -> bool:
    entry = benchmarks()[row.benchmark]
    return entry.task is task and (benchmark is None or entry.id == benchmark)


def _method_matches(row_method: str, asked: str | None) -> bool:
    if (asked or "").lower() in ANY_METHOD:
        return row_method not in TRAINED_METHODS
    return row_method == (asked or "").lower()


def _levels(
    rows: Sequence[RecoveryRow], model: str, params: float | None
) -> Iterable[tuple[Level, tuple[RecoveryRow, ...]]]:
    """The rows of each level, the strongest level first; weaker levels leave the model itself out."""
    yield Level.EXACT, tuple(row for row in rows if row.model and same_model(row.model, model))
    others = [row for row in rows if row.model and not same_model(row.model, model)]
    family = family_of(model)
    if params is not None:
        near = [row for row in others if row.params and _ratio(row.params, params) <= FAMILY_SIZE_RATIO]
        yield Level.FAMILY, tuple(row for row in near if family and family_of(row.model) == family)
        here = size_class(params)
        yield Level.SIZE_CLASS, tuple(row for row in others if row.params and size_class(row.params) == here)
    yield Level.POOLED, tuple(row for row in rows if not row.model)


def _ratio(left: float, right: float) -> float:
    return max(left / right, right / left)


def _typical(rows: Sequence[RecoveryRow]) -> float | None:
    """Median over models of each model's median, so that a model with many rows does not outvote the others."""
    per_model: dict[str, list[float]] = {}
    for row in rows:
        if not row.excluded and row.statistic is not Statistic.WORST_OF_SEVERAL:
            per_model.setdefault(row.model, []).append(row.recovery)
    return median(median(values) for values in per_model.values()) if per_model else None


def _summary(
    model: str,
    scheme: Scheme,
    method: str | None,
    task: Task,
    level: Level,
    rows: tuple[RecoveryRow, ...],
    excluded: tuple[RecoveryRow, ...],
) -> Recovery:
    middle, widening = _typical(rows), borrowing_error(level, width_of(scheme))
    few = level is Level.EXACT and len(rows) < FEW_ROWS
    lows = [row.recovery - (row.noise if few else 0.0) for row in rows]
    highs = [row.recovery + (row.noise if few else 0.0) for row in rows]
    return Recovery(
        model=model,
        scheme=scheme,
        method=method,
        task=task,
        level=level,
        median=middle,
        low=max(0.0, min(lows) - widening),
        high=max(highs) + widening if middle is not None else 1.0,
        n=len(rows),
        rows=rows,
        excluded=excluded,
        label=_label(level, rows, model, middle),
    )


def _label(level: Level, rows: Sequence[RecoveryRow], model: str, middle: float | None) -> str:
    models = sorted({row.model for row in rows})
    counted = f"{len(rows)} published comparison{'s' if len(rows) > 1 else ''}"
    worst_only = "" if middle is not None else "; only a worst case is published"
    params = params_of(model)
    match level:
        case Level.EXACT:
            return f"{counted} of this model{worst_only}"
        case Level.FAMILY:
            return f"{counted} of models of the same series and near its size ({', '.join(models)}){worst_only}"
        case Level.SIZE_CLASS:
            band = size_class(params) if params else "its size class"
            others = f"{len(models)} other model{'s' if len(models) > 1 else ''}"
            return f"{counted} of {others}, {band}: not this model, not its series{worst_only}"
        case _:
            return f"a published figure over several models, none named by itself{worst_only}"


def _reference(model: str, scheme: Scheme, task: Task) -> Recovery:
    return Recovery(
        model=model,
        scheme=scheme,
        method=None,
        task=task,
        level=Level.REFERENCE,
        median=1.0,
        low=1.0,
        high=1.0,
        n=0,
        rows=(),
        excluded=(),
        label="the model as published: what scores are measured on",
    )
