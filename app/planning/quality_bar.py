"""Does a model at a precision clear the quality bar: the published verdict, with what a bar adds to it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from app.planning.question import QualityBar
from estimators.precision import KvPrecision, Precision, Weights
from estimators.quality.models import same_model
from estimators.quality.recovery import recovery
from estimators.quality.scores import ruler_of
from estimators.quality.tasks import Task
from estimators.quality.verdict import BarResult, Meets, QualityVerdict, compare_quality, meets_bar

SIXTEEN_BITS = frozenset({Weights.FP32, Weights.BF16, Weights.FP16})


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The verdict of one model and precision, and whether it clears the bar. `verdict` None: no bar was set."""

    verdict: QualityVerdict | None
    result: BarResult | None

    @property
    def passes(self) -> bool:
        return self.result is None or self.result.passes

    @property
    def known(self) -> bool:
        return self.result is None or self.result.meets is not Meets.UNKNOWN

    @property
    def ratio(self) -> float | None:
        return self.verdict.ratio if self.verdict else None

    @property
    def caveats(self) -> tuple[str, ...]:
        return self.verdict.caveats if self.verdict else ()


NO_BAR = Judgement(verdict=None, result=None)


def judge(model: str, precision: Precision, kv: KvPrecision, bar: QualityBar | None) -> Judgement:
    """The published quality of `model` in `precision` with its cache in `kv`, against the bar.

    Weights as published, and in 16 bits where that is what was published, lose nothing by definition. A cache
    narrower than the checkpoint asks for is a change of its own and needs its own evidence.
    """
    if bar is None:
        return NO_BAR
    sixteen = precision.spec.quantization is None and precision.weights in SIXTEEN_BITS
    scheme = Weights.AS_PUBLISHED if precision.published or sixteen else precision.weights
    method = None if precision.method in ("none", "compressed-tensors") else precision.method
    cached_less = kv is KvPrecision.FP8 and not (
        precision.spec.quantization and precision.spec.quantization.kv_bits == 8
    )
    return _judged(model.partition("@")[0], scheme.value, method, cached_less, bar)


@lru_cache(maxsize=4096)
def _judged(model: str, scheme: str, method: str | None, cache_in_fp8: bool, bar: QualityBar) -> Judgement:
    verdict = compare_quality(
        model, scheme, bar.reference, bar.task, method=method, own_scores=bar.own, ruler=bar.ruler
    )
    result = meets_bar(verdict, bar.minimum_ratio)
    if verdict.ratio is not None and not bar.reasoning and (mode := reasoning_mode(verdict)):
        reason = f"its score was taken in the mode {mode!r}, whose tokens this load does not have"
        return Judgement(
            verdict=verdict, result=BarResult(meets=Meets.UNKNOWN, margin=None, reason=f"No evidence: {reason}.")
        )
    if cache_in_fp8 and result.passes:
        return _with_fp8_cache(model, verdict, result, bar)
    return Judgement(verdict=verdict, result=result)


def _with_fp8_cache(model: str, verdict: QualityVerdict, result: BarResult, bar: QualityBar) -> Judgement:
    """The verdict times what an FP8 cache keeps on the task; unknown where nobody has published that."""
    kept = recovery(model, "kv-fp8", None, bar.task)
    if kept is None or kept.median is None or verdict.ratio is None:
        reason = f"No evidence: no published recovery of an FP8 cache on {bar.task}, for this model or any near it."
        return Judgement(verdict=verdict, result=BarResult(meets=Meets.UNKNOWN, margin=None, reason=reason))
    margin = verdict.ratio * kept.median - bar.minimum_ratio
    low = (verdict.low or 0.0) * kept.low
    meets = Meets.NO if margin < 0 else Meets.YES if low >= bar.minimum_ratio else Meets.LIKELY
    reason = f"{result.reason} An FP8 cache keeps {100 * kept.median:.1f} % ({kept.label})."
    return Judgement(verdict=verdict, result=BarResult(meets=meets, margin=margin, reason=reason))


def kept_share(precision: Precision, judged: Judgement, own_cache: bool) -> float:
    """What plans of one price are told apart by: the quality on the bar's task, as a share of its reference's; without
    a bar, the share of its suite averages that the precision keeps of what was published (0 where nobody has said)."""
    if judged.result is not None and judged.verdict is not None:
        return (judged.verdict.ratio or 0.0) if judged.known else 0.0
    kept = 1.0
    if not precision.published and precision.weights not in SIXTEEN_BITS:
        kept = _suite_average(precision.spec.id, precision.weights.value)
    return kept if own_cache else kept * _suite_average(precision.spec.id, "kv-fp8")


@lru_cache(maxsize=4096)
def _suite_average(model: str, scheme: str) -> float:
    found = recovery(model, scheme)
    return found.median if found is not None and found.median is not None else 0.0


def reasoning_mode(verdict: QualityVerdict) -> str:
    """The mode the deciding score was taken in when it reasons before it answers, else nothing."""
    if verdict.scores is None:
        return ""
    return verdict.scores.candidate.mode if verdict.scores.candidate.reasons else ""


def on_one_ruler(bar: QualityBar | None, models: Sequence[str]) -> QualityBar | None:
    """The bar with the one ruler that ranks these models: scores of different benchmarks share no ranking."""
    return replace(bar, ruler=ruler_of(bar.reference, bar.task, models)) if bar is not None else None


@lru_cache(maxsize=256)
def comparable(models: tuple[str, ...], reference: str, task: Task) -> tuple[str, ...]:
    """The models that the ruler of them has measured beside the reference on this task, the reference included."""
    ruler = ruler_of(reference, task, models)
    return tuple(
        model
        for model in models
        if same_model(model, reference)
        or (ruler and compare_quality(model, "as-published", reference, task, ruler=ruler).ratio is not None)
    )
