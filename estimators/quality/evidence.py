"""Published recoveries: quantized score over baseline score, each within one suite, one row per comparison."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from estimators.provenance import number, read_table
from estimators.quality.models import canonical, params_of
from estimators.quality.schemes import Scheme
from estimators.quality.tasks import DATA, Benchmark, benchmarks

# A ratio of two scores means nothing when the baseline is hardly better than guessing: a tenth of the scale.
NEAR_CHANCE_POINTS = 10.0
# Quantization does not make a model better: a gain this many standard errors wide is a difference of harness.
IMPLAUSIBLE_GAIN_SIGMAS = 5.0
# What one printed comparison is known by: a later row of the same is a correction of it.
_FACT = ("model", "scheme", "recipe", "benchmark", "setting", "statistic", "source")


class Statistic(StrEnum):
    """What a printed recovery is."""

    POINT = "point"
    LOW_END = "low-end"  # of a printed range
    HIGH_END = "high-end"
    MEAN_OF_SEVERAL = "mean-of-several"
    WORST_OF_SEVERAL = "worst-of-several"  # bounds the range, says nothing of the typical case


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryRow:
    """One published comparison of a compressed model with the model it came from, on one suite."""

    model: str  # "" for a mean over several models
    params: float | None
    scheme: Scheme
    method: str  # "gptq", "awq", "rtn", "qat" ... "unknown" when the recipe was not read
    recipe: str
    benchmark: str
    setting: str  # the suite as printed: shots, prompt, metric
    baseline: float | None
    quantized: float | None
    recovery: float  # ratio; recomputed from the two scores where both are printed
    printed: float | None  # ratio, as the source prints it
    statistic: Statistic
    flags: tuple[str, ...]
    note: str
    source: str
    as_of: str
    confidence: str

    @property
    def noise(self) -> float:
        """How far the ratio moves by chance alone, 80 % of the time: k R sqrt((a/A)^2 + (b/B)^2).

        a and b are sampling errors of the two scores; k < 1 since both runs answer the same questions. k is the 80th
        percentile of |change| in standard errors over FP8 rows, FP8 taken as lossless (`repeat_noise`).
        Example: one IFEval comparison near 80 % can move by 0.59 x 3.0 % = 1.8 %.
        """
        bench = benchmarks().get(self.benchmark)
        if bench is None or not self.baseline or not self.quantized:
            return 0.0
        errors = bench.standard_error(self.baseline), bench.standard_error(self.quantized)
        if errors[0] is None or errors[1] is None:
            return 0.0
        spread = math.hypot(errors[0] / self.baseline, errors[1] / self.quantized)
        return interval_width("exact", "repeat") * self.recovery * spread

    @property
    def excluded(self) -> str:
        """Why the row is shown but counts for nothing; empty when it counts."""
        bench = benchmarks().get(self.benchmark)
        if "duplicate" in self.flags:
            return "the same run is already counted from its model card"
        if bench is None or self.baseline is None or self.quantized is None:
            return ""
        if bench.chance is not None and self.baseline - bench.chance < NEAR_CHANCE_POINTS:
            return (
                f"the baseline ({self.baseline:g}) is within {NEAR_CHANCE_POINTS:g} points of guessing: "
                f"{self.quantized - self.baseline:+.1f} points says more than a ratio"
            )
        if _gain_in_sigmas(bench, self.baseline, self.quantized) > IMPLAUSIBLE_GAIN_SIGMAS:
            return "the compressed model scores far above its baseline: the two runs differ in more than precision"
        return ""


@cache
def recovery_rows() -> tuple[RecoveryRow, ...]:
    """Every published recovery, those that count for nothing included."""
    return tuple(_row(cells) for cells in read_table(DATA / "recovery.csv", key=_FACT))


@cache
def interval_width(level: str, width: str) -> float:
    """A committed width of the evidence's intervals; unknown pairs take the widest of the borrowing errors."""
    rows = read_table(DATA / "intervals.csv", key=("level", "width"))
    table = {(row["level"], row["width"]): float(row["value"]) for row in rows}
    borrowed = [value for (kind, _), value in table.items() if kind != "exact"]
    return table.get((level, width), max(borrowed))


def repeat_noise() -> tuple[float, ...]:
    """|change| of every FP8 row in standard errors of two independent runs, ascending: the source of k."""
    found = []
    for row in recovery_rows():
        bench = benchmarks()[row.benchmark]
        if row.scheme is Scheme.FP8 and row.baseline and row.quantized and not row.excluded:
            if (sigmas := _gain_in_sigmas(bench, row.baseline, row.quantized)) != 0.0:
                found.append(abs(sigmas))
            elif bench.items is not None:
                found.append(0.0)
    return tuple(sorted(found))


def _gain_in_sigmas(bench: Benchmark, baseline: float, quantized: float) -> float:
    """(q - b) / sqrt(SE(b)^2 + SE(q)^2), the two runs taken as independent."""
    errors = bench.standard_error(baseline), bench.standard_error(quantized)
    if errors[0] is None or errors[1] is None:
        return 0.0
    return (quantized - baseline) / math.hypot(errors[0], errors[1])


def _row(cells: Mapping[str, str]) -> RecoveryRow:
    baseline, quantized = number(cells["baseline"]), number(cells["quantized"])
    printed = number(cells["printed_recovery_pct"])
    recomputed = baseline is not None and quantized is not None and baseline > 0
    return RecoveryRow(
        model=canonical(cells["model"]),
        params=float(cells["params_b"]) * 1e9 if cells["params_b"] else params_of(cells["model"]),
        scheme=Scheme(cells["scheme"]),
        method=cells["method"],
        recipe=cells["recipe"],
        benchmark=cells["benchmark"],
        setting=cells["setting"],
        baseline=baseline,
        quantized=quantized,
        recovery=quantized / baseline if recomputed and quantized and baseline else float(cells["recovery_pct"]) / 100,
        printed=printed / 100 if printed is not None else None,
        statistic=Statistic(cells["statistic"]),
        flags=tuple(flag for flag in cells["flag"].split(";") if flag),
        note=cells["note"],
        source=cells["source"],
        as_of=cells["as_of"],
        confidence=cells["confidence"],
    )
