"""What speculative decoding does to a plan at every load, and from which concurrency it costs more than it earns."""

from __future__ import annotations

from dataclasses import dataclass, replace

from estimators.hardware.accelerator import Accelerator
from estimators.latency.plan import resolve
from estimators.latency.speculative import break_even, pays
from estimators.memory.estimate import MemoryEstimate
from estimators.precision import Precision
from estimators.provenance import Refusal, Term
from estimators.workload import EngineSettings, Load, Placement, Workload

_LOADS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftingGain:
    """Throughput with drafting over throughput without, by concurrency; above `break_even` drafting slows it down."""

    gains: tuple[tuple[float, float], ...]  # (requests in flight, ratio)
    break_even: float | None  # None: it pays at every load the replica runs
    terms: tuple[Term, ...]


def drafting_gain(
    precision: Precision,
    accelerator: Accelerator,
    placement: Placement,
    workload: Workload,
    settings: EngineSettings,
    memory: MemoryEstimate,
) -> DraftingGain:
    """The gain of `settings.speculation` on this plan. Raises `Refusal` (field "spec") when none is asked for."""
    if settings.speculation is None:
        raise Refusal("No speculative decoding is asked for.", field="spec", remedy="Use ngram, eagle, mtp or draft.")
    closed = replace(workload, load=Load.CONCURRENCY, concurrency=1.0, requests_per_second=None)
    plain = resolve(precision, accelerator, placement, closed, replace(settings, speculation=None), memory)
    drafted = resolve(precision, accelerator, placement, closed, settings, memory)
    draft = drafted.draft
    assert draft is not None  # noqa: S101  settings.speculation was set
    limit = float(plain.scheduler.running)
    gains = tuple(
        (load, pays(plain.server, draft, plain.request, plain.scheduler, load)) for load in _LOADS if load <= limit
    )
    return DraftingGain(
        gains=gains, break_even=break_even(plain.server, draft, plain.request, plain.scheduler), terms=draft.terms
    )
