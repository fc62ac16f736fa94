"""What the chosen machine would hold, and how fast it would be, if one thing were different."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from app.planning.loads import settings_of, workload_of
from app.planning.plan import Candidate, Plan
from app.planning.sentences import precision_name
from estimators.engines.support import support
from estimators.latency import CurvePoint, curve
from estimators.memory import MemoryEstimate, estimate_memory
from estimators.precision import KvPrecision, Precision, Weights, resolve_precision
from estimators.provenance import Refusal
from estimators.workload import EngineSettings, Load, Placement, Workload

CONCURRENCIES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
CONTEXTS = (1_024, 2_048, 4_096, 8_192, 16_384, 32_768, 65_536, 131_072)
OTHER_WEIGHTS = (Weights.BF16, Weights.FP8, Weights.INT8, Weights.INT4)
OTHER_KV = (KvPrecision.BF16, KvPrecision.FP8)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPoint:
    """Demand of the fullest GPU at one load. `amount` is requests or tokens, as the axis says."""

    amount: int
    bytes_per_gpu: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryVariant:
    """The same load with another precision or layout. `problem` says why it cannot be, then the sizes are None."""

    weights: Weights
    kv: KvPrecision
    tp: int
    memory: MemoryEstimate | None
    problem: str = ""
    current: bool = False

    @property
    def label(self) -> str:
        return f"{precision_name(self.weights)}, {self.kv.value} cache, {self.tp} GPU"


@dataclass(frozen=True)
class _Setting:
    """The chosen machine with everything an estimate needs."""

    precision: Precision
    chosen: Candidate
    placement: Placement
    workload: Workload
    settings: EngineSettings

    def memory(self, precision: Precision, placement: Placement, workload: Workload) -> MemoryEstimate:
        return estimate_memory(
            precision,
            self.chosen.machine.accelerator,
            placement,
            workload,
            self.settings,
            memory_bytes=self.chosen.machine.memory_bytes,
        )


def _setting(plan: Plan) -> _Setting | None:
    chosen = plan.chosen
    if plan.precision is None or chosen is None or chosen.placement is None or chosen.memory is None:
        return None
    workload = workload_of(plan.asked, max(1, chosen.replicas))
    if workload.load in (Load.RATE, Load.MAX):
        flight = chosen.latency.running_requests if chosen.latency else 1
        workload = replace(workload, load=Load.CONCURRENCY, concurrency=max(1, round(flight)))
    return _Setting(plan.precision, chosen, chosen.placement, workload, settings_of(plan.asked))


def memory_by_concurrency(plan: Plan) -> tuple[MemoryPoint, ...]:
    """Bytes per GPU as requests in flight grow, this machine and context kept."""
    setting = _setting(plan)
    if setting is None:
        return ()
    return tuple(
        MemoryPoint(amount=flight, bytes_per_gpu=_demand(setting, replace(setting.workload, concurrency=flight)))
        for flight in CONCURRENCIES
    )


def memory_by_context(plan: Plan) -> tuple[MemoryPoint, ...]:
    """Bytes per GPU as the context grows to the model's limit, this machine and concurrency kept."""
    setting = _setting(plan)
    if setting is None:
        return ()
    limit = setting.precision.spec.max_positions or CONTEXTS[-1]
    output = setting.workload.output_tokens
    lengths = [length for length in CONTEXTS if output < length <= limit]
    return tuple(
        MemoryPoint(
            amount=length,
            bytes_per_gpu=_demand(setting, replace(setting.workload, prompt_tokens=length - output)),
        )
        for length in lengths
    )


def _demand(setting: _Setting, workload: Workload) -> int:
    return setting.memory(setting.precision, setting.placement, workload).memory_bytes_per_gpu


def memory_variants(plan: Plan) -> tuple[MemoryVariant, ...]:
    """Other precisions, KV types and tensor-parallel counts on the same machine."""
    setting = _setting(plan)
    return tuple(_variants(setting, plan)) if setting else ()


def _variants(setting: _Setting, plan: Plan) -> Iterator[MemoryVariant]:
    spec = setting.precision.spec
    instance = setting.chosen.machine.instance
    most = instance.accelerator_count if instance else setting.placement.tp
    sizes = sorted({setting.placement.tp, *(n for n in (1, 2, 4, 8) if n <= most)})
    own = (setting.precision.weights, setting.precision.kv, setting.placement.tp)
    choices = dict.fromkeys((setting.precision.weights, *OTHER_WEIGHTS))
    for weights in choices:
        for kv in dict.fromkeys((setting.precision.kv, *OTHER_KV)):
            for tp in sizes:
                current = (weights, kv, tp) == own
                try:
                    precision = (
                        setting.precision
                        if current or (weights, kv) == own[:2]
                        else resolve_precision(spec, weights, plan.asked.method, kv)
                    )
                    runs = support(
                        setting.chosen.machine.accelerator, weights, plan.asked.engine, plan.asked.engine_version
                    )
                    memory = setting.memory(precision, replace(setting.placement, tp=tp), setting.workload)
                except Refusal as refusal:
                    yield MemoryVariant(weights=weights, kv=kv, tp=tp, memory=None, problem=refusal.message)
                    continue
                problem = "" if runs.runs else runs.reason
                yield MemoryVariant(weights=weights, kv=kv, tp=tp, memory=memory, problem=problem, current=current)


def serving_curve(plan: Plan) -> tuple[CurvePoint, ...]:
    """Throughput and latency of one replica of the chosen plan at rising concurrency."""
    setting = _setting(plan)
    if setting is None or setting.chosen.memory is None or setting.chosen.memory.max_concurrency < 1:
        return ()
    return curve(
        setting.precision,
        setting.chosen.machine.accelerator,
        setting.placement,
        setting.workload,
        setting.settings,
        setting.chosen.memory,
        CONCURRENCIES,
        plan.draft,
    )
