"""What the engine of a scenario runs on an accelerator, by its version: weights and cache, and why it does not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from app.scenario import Scenario
from estimators.engines.support import Support, kv_support, support
from estimators.hardware.accelerator import Accelerator
from estimators.precision import KvPrecision, Precision, Weights

if TYPE_CHECKING:
    from app.planning.ways import Variant


class Reasons:
    """Why a variant does not run on an accelerator, if it does not: what the engine's version supports there.

    FP16 is BF16's stand-in on chips without BF16 units: where a model is weighed in both, each chip has one of them
    (same bytes, same speed, same price).
    """

    def __init__(self, scenario: Scenario, variants: Sequence[Variant]) -> None:
        self._scenario = scenario
        self._bf16 = {v.model for v in variants if v.precision.weights is Weights.BF16}
        self._fp16 = {v.model for v in variants if v.precision.weights is Weights.FP16}
        self._known: dict[tuple[int, str], tuple[str, ...]] = {}

    def __call__(self, variant: Variant, accelerator: Accelerator) -> tuple[str, ...]:
        key = (id(variant), accelerator.name)
        if key not in self._known:
            self._known[key] = tuple(dict.fromkeys(self._reasons(variant, accelerator)))
        return self._known[key]

    def _reasons(self, variant: Variant, accelerator: Accelerator) -> Iterator[str]:
        weights = variant.precision.weights
        if weights is Weights.FP16 and accelerator.bf16 and variant.model in self._bf16:
            yield "weighed in BF16, which it computes in as well"
        if weights is Weights.BF16 and not accelerator.bf16 and variant.model in self._fp16:
            yield "weighed in FP16, which it computes in"
        yield from unsupported(self._scenario, variant.precision, accelerator)


def unsupported(scenario: Scenario, precision: Precision, accelerator: Accelerator) -> Iterator[str]:
    """What this engine's version does not run here: the weights, the cache."""
    runs = weights_support(scenario, precision, accelerator)
    if not runs.runs:
        yield runs.reason
    kv_runs = cache_support(scenario, precision, accelerator)
    if not kv_runs.runs:
        yield kv_runs.reason


def cache_support(scenario: Scenario, precision: Precision, accelerator: Accelerator) -> Support:
    """A cache that was left open may be kept in another type than the checkpoint's."""
    return kv_support(
        accelerator,
        precision.kv,
        scenario.engine,
        scenario.engine_version,
        published=scenario.kv is KvPrecision.AUTO and precision.published,
    )


def weights_support(scenario: Scenario, precision: Precision, accelerator: Accelerator) -> Support:
    return support(
        accelerator, precision.weights, scenario.engine, scenario.engine_version, published=precision.published
    )
