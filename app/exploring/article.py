"""The article's own example of quantization: what was published of it, and what we estimate, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from app.planning.remembered import VersionedSources, remembered_plan
from app.scenario import Scenario
from estimators.fitting.latency_measured import published_seconds
from estimators.precision import Weights
from estimators.quality.evidence import recovery_rows

MODEL, ACCELERATOR, VERSION = "ibm-granite/granite-3.1-8b-instruct", "RTX A6000", "0.6.6"
PROMPT, OUTPUT = 1024, 128


@dataclass(frozen=True, slots=True, kw_only=True)
class ArticleRow:
    """One precision of the article's model on its machine. Published figures are None where none were printed."""

    weights: Weights
    weights_bytes: int | None  # estimated
    e2e_published_s: float | None
    e2e_estimated_s: float | None
    e2e_low_s: float | None
    e2e_high_s: float | None
    score: float | None  # OpenLLM v1 average
    recovery: float | None
    sources: tuple[str, ...]


@lru_cache(maxsize=1)
def _published() -> Mapping[str, tuple[float, str]]:
    return published_seconds(MODEL, ACCELERATOR, VERSION, PROMPT, OUTPUT)


def article_rows(sources: VersionedSources) -> tuple[ArticleRow, ...]:
    """BF16 and INT4: 3.4 s against 1.5 s and 70.3 against 69.8 published (99.3 %), and our bytes and seconds."""
    return tuple(_row(weights, sources) for weights in (Weights.BF16, Weights.INT4))


def _row(weights: Weights, sources: VersionedSources) -> ArticleRow:
    scenario = Scenario(
        model=MODEL, weights=weights, gpu=ACCELERATOR, prompt=PROMPT, output=OUTPUT, engine_version=VERSION
    )
    made = remembered_plan(scenario, sources)
    timed = made.chosen.latency if made.chosen else None
    seconds, source = _published().get(weights.value, (None, ""))
    pair = next(
        (
            row
            for row in recovery_rows()
            if row.model == MODEL and row.scheme.value == Weights.INT4 and row.benchmark == "openllm-v1"
        ),
        None,
    )
    quantized = weights is Weights.INT4
    return ArticleRow(
        weights=weights,
        weights_bytes=made.precision.weights_bytes if made.precision else None,
        e2e_published_s=seconds,
        e2e_estimated_s=timed.e2e_s.value if timed else None,
        e2e_low_s=timed.e2e_s.low if timed else None,
        e2e_high_s=timed.e2e_s.high if timed else None,
        score=(pair.quantized if quantized else pair.baseline) if pair else None,
        recovery=pair.recovery if pair and quantized else None,
        sources=tuple(text for text in (source, pair.source if pair else "") if text),
    )
