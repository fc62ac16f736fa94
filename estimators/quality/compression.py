"""Distillation, pruning and sparsity: what was published, what one costs once, and when it has paid for itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cache

from estimators.provenance import Refusal, Term, read_table
from estimators.quality.models import same_model
from estimators.quality.scaling_laws import INFERENCE_FLOPS, TRAINING_FLOPS
from estimators.quality.tasks import DATA


class TrainingLever(StrEnum):
    """A change of the model that needs training or removes weights."""

    DISTIL = "distil"
    PRUNE_AND_DISTIL = "prune-and-distil"
    SPARSITY_2_4 = "sparsity-2:4"
    EXPERT_PRUNING = "expert-pruning"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressionFact:
    """One published result; a number that the source does not print is None."""

    id: str
    lever: TrainingLever
    model: str
    result: str
    params_before: float | None
    params_after: float | None
    metric: str
    baseline: float | None
    score: float | None
    recovery: float | None  # ratio
    tokens: float | None  # trained on
    gpu_hours: float | None
    gpu: str
    gpu_peak_flops_per_second: float | None  # dense BF16
    speedup: float | None
    setting: str
    note: str
    source: str
    as_of: str
    confidence: str


@cache
def compression_facts() -> tuple[CompressionFact, ...]:
    """Every published result on these levers."""
    return tuple(_fact(row) for row in read_table(DATA / "compression.csv", key=("id",)))


def facts_for(model_id: str, lever: TrainingLever | None = None) -> tuple[CompressionFact, ...]:
    """What is published on a model itself; empty is missing evidence, not "no loss"."""
    return tuple(
        fact
        for fact in compression_facts()
        if same_model(fact.model, model_id) and (lever is None or fact.lever is lever)
    )


def distillation_flops(student_params: float, teacher_params: float, tokens: float) -> float:
    """C = 6 N_s D + 2 N_t D: the student is trained, the teacher only read.

    Example: a 6e9 student of an 8.19e9 teacher on 90e9 tokens takes 3.24e21 + 1.47e21 = 4.71e21.
    """
    for name, value in (("student_params", student_params), ("teacher_params", teacher_params), ("tokens", tokens)):
        if not (math.isfinite(value) and value > 0):
            raise Refusal(f"{name} must be a positive number, not {value!r}.", field=name)
    return (TRAINING_FLOPS * student_params + INFERENCE_FLOPS * teacher_params) * tokens


def published_utilisation() -> Term:
    """Share of peak that the one recipe with a printed cost reached: U = C / (hours x 3600 x peak).

    Example: 4.71e21 / (6000 x 3600 x 989e12) = 0.22. A single recipe, so expect half or double.
    """
    fact = next(entry for entry in compression_facts() if entry.gpu_hours and entry.gpu_peak_flops_per_second)
    student, teacher, tokens = fact.params_after or 0.0, fact.params_before or 0.0, fact.tokens or 0.0
    seconds = (fact.gpu_hours or 0.0) * 3600
    flops = distillation_flops(student, teacher, tokens)
    share = flops / (seconds * (fact.gpu_peak_flops_per_second or math.inf))
    return Term(
        label="Share of peak arithmetic that distillation reached",
        value=share,
        unit="ratio",
        formula=f"C / (hours x 3600 x peak) = {flops:.3g} / ({seconds:.3g} x {fact.gpu_peak_flops_per_second:.3g})",
        source=f"{fact.source}, {fact.as_of}",
    )


def one_off_gpu_hours(
    *,
    student_params: float,
    teacher_params: float,
    tokens: float,
    peak_flops_per_second: float,
    utilisation: float | None = None,
) -> Term:
    """GPU hours that pruning or distilling takes once: h = C / (peak x U x 3600).

    `utilisation` None takes that of the one published recipe. Example: its own figures give its own 6000 hours.
    """
    if not (math.isfinite(peak_flops_per_second) and peak_flops_per_second > 0):
        raise Refusal(f"Peak must be a positive number, not {peak_flops_per_second!r}.", field="gpu")
    published = published_utilisation()
    share = published.value if utilisation is None else utilisation
    if not 0 < share <= 1:
        raise Refusal(f"A share of peak lies between 0 and 1, not {share!r}.", field="utilisation")
    flops = distillation_flops(student_params, teacher_params, tokens)
    return Term(
        label="One-off training",
        value=flops / (peak_flops_per_second * share * 3600),
        unit="GPU hour",
        formula=f"(6 N_s + 2 N_t) D / (peak U 3600) = {flops:.3g} / ({peak_flops_per_second:.3g} x {share:.2f} x 3600)",
        source=published.source if utilisation is None else "utilisation as entered",
    )


def payback_months(one_off_usd: Decimal, saving_usd_per_month: Decimal) -> Decimal | None:
    """Months until a one-off cost is saved back: t = cost / saving; None when it saves nothing.

    Example: $24,000 against $3,000 a month is 8 months.
    """
    if one_off_usd < 0:
        raise Refusal("A one-off cost cannot be negative.", field="one_off_usd")
    if saving_usd_per_month <= 0:
        return None
    return one_off_usd / saving_usd_per_month


def _fact(row: Mapping[str, str]) -> CompressionFact:
    return CompressionFact(
        id=row["id"],
        lever=TrainingLever(row["lever"]),
        model=row["model"],
        result=row["result"],
        params_before=_number(row["params_before_b"], 1e9),
        params_after=_number(row["params_after_b"], 1e9),
        metric=row["metric"],
        baseline=_number(row["baseline"]),
        score=_number(row["result_score"]),
        recovery=_number(row["recovery_pct"], 0.01),
        tokens=_number(row["tokens_b"], 1e9),
        gpu_hours=_number(row["gpu_hours"]),
        gpu=row["gpu"],
        gpu_peak_flops_per_second=_number(row["gpu_bf16_tflops"], 1e12),
        speedup=_number(row["speedup"]),
        setting=row["setting"],
        note=row["note"],
        source=row["source"],
        as_of=row["as_of"],
        confidence=row["confidence"],
    )


def _number(cell: str, scale: float = 1.0) -> float | None:
    return float(cell) * scale if cell else None
