"""A plan with somebody's own measurements laid over its estimate: like with like, and said so. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from app.measuring.estimates import measured_roofline
from app.planning.costs import plan_cost
from app.planning.explain import holding_of
from app.planning.loads import settings_of, workload_of
from app.planning.logged import logged_estimate, narrowed, spec_of
from app.planning.plan import Candidate, Plan
from app.scenario import LoadMode
from estimators.latency.estimate import TIMES, Interval, LatencyEstimate
from estimators.measuring.comparison import Comparison, compare
from estimators.measuring.measurement import Measurement
from estimators.measuring.narrowing import EstimatedCase, Narrowed, roofline, with_measurements
from estimators.memory import MemoryEstimate
from estimators.workload import Engine
from pricing.cost import usd_per_million_tokens

METRICS = {"ttft_s": "ttft_s", "tpot_s": "itl_s", "e2e_s": "e2e_s"}  # field of the estimate -> of a measurement


def case_of(plan: Plan) -> EstimatedCase | None:
    """What the plan's chosen machine is being asked, in the words of a measurement."""
    chosen = plan.chosen
    if chosen is None or chosen.placement is None or plan.precision is None:
        return None
    workload = workload_of(plan.asked, max(1, chosen.replicas))
    running = chosen.latency.running_requests if chosen.latency else 1
    return EstimatedCase(
        engine=plan.asked.engine.value,
        accelerator=chosen.machine.accelerator.name,
        gpus=chosen.placement.gpus,
        model=(plan.asked.model or "").partition("@")[0],
        config_digest="",
        weights=plan.precision.weights.value,
        prompt_tokens=plan.asked.prompt,
        output_tokens=plan.asked.output,
        batch=round(workload.concurrency or running or 1),
    )


def with_own_measurements(plan: Plan, measurements: Sequence[Measurement]) -> Plan:
    """The plan with the chosen machine's times and memory narrowed by measurements of the same case, or its siblings.

    Unchanged without any. Siblings (another shape or model, same engine and accelerator) are carried over by the ratio
    of the rooflines, their memory by how far its estimate was off.
    """
    case = case_of(plan)
    if not measurements or case is None:
        return plan
    return _with_memory(_with_times(plan, measurements, case), measurements)


def _with_times(plan: Plan, measurements: Sequence[Measurement], case: EstimatedCase) -> Plan:
    chosen = plan.chosen
    if chosen is None or chosen.latency is None:
        return plan
    rooflines = _rooflines(plan, chosen, case)
    found = {
        field: with_measurements(
            getattr(chosen.latency, field),
            measurements,
            metric=metric,
            case=case,
            floor_s=rooflines.get(metric),
            floor_of=partial(_roofline_of, plan, metric=metric),
        )
        for field, metric in METRICS.items()
    }
    told = dict.fromkeys(one.sentence for one in found.values() if one.changed)
    if not told:
        return plan
    latency = _narrowed(chosen.latency, found)
    return replace(plan, chosen=_repriced(plan, chosen, latency, tuple(told)))


def _with_memory(plan: Plan, measurements: Sequence[Measurement]) -> Plan:
    chosen, precision = plan.chosen, plan.precision
    if chosen is None or chosen.memory is None or chosen.placement is None or precision is None:
        return plan
    memory = narrowed(
        chosen.memory,
        measurements,
        model=plan.asked.model or "",
        precision=precision,
        accelerator=chosen.machine.accelerator,
        placement=chosen.placement,
        settings=settings_of(plan.asked),
    )
    if memory is chosen.memory:
        return plan
    return replace(
        plan,
        chosen=replace(chosen, memory=memory, holding=holding_of(memory), notes=(*chosen.notes, memory.measured)),
    )


def _rooflines(plan: Plan, chosen: Candidate, case: EstimatedCase) -> dict[str, float]:
    """Of the plan's own case, by the metric of a measurement."""
    if plan.precision is None or chosen.placement is None:
        return {}
    found = roofline(
        plan.precision,
        chosen.machine.accelerator,
        chosen.placement,
        prompt_tokens=case.prompt_tokens,
        output_tokens=case.output_tokens,
        batch=case.batch,
        # Plain transformers runs its prompts as one batch, as it is measured.
        prompts_together=plan.asked.load is LoadMode.BATCH or plan.asked.engine is Engine.TRANSFORMERS,
    )
    return {"ttft_s": found.ttft_s, "itl_s": found.itl_s, "e2e_s": found.e2e_s}


def _roofline_of(plan: Plan, measurement: Measurement, *, metric: str) -> float | None:
    """Of a measured case, when its model is the plan's or an embedded one: nothing is asked of the Hub here."""
    spec = spec_of(plan.asked.model or "", plan.spec, measurement)
    return None if spec is None else measured_roofline(spec, measurement, metric)


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedTime:
    """One time of a plan before and after measurements are laid over it."""

    label: str
    before: Interval
    after: Interval


def effects(before: Plan, after: Plan) -> tuple[MovedTime, ...]:
    """The times of the chosen machine that measurements moved."""
    old, new = (plan.chosen.latency if plan.chosen else None for plan in (before, after))
    if old is None or new is None:
        return ()
    pairs = ((name, old.of(key)[0], new.of(key)[0]) for key, name in TIMES.items())
    return tuple(MovedTime(label=name, before=one, after=two) for name, one, two in pairs if one != two)


def memory_effect(before: Plan, after: Plan) -> tuple[Interval, Interval] | None:
    """Memory of the fullest GPU in bytes, where a log moved it."""
    old, new = (plan.chosen.memory if plan.chosen else None for plan in (before, after))
    return (_demand(old), _demand(new)) if old is not None and new is not None and old is not new else None


def _demand(memory: MemoryEstimate) -> Interval:
    return Interval(
        value=memory.memory_bytes_per_gpu, low=memory.memory_bytes_per_gpu_low, high=memory.memory_bytes_per_gpu_high
    )


def sentences(before: Plan, after: Plan) -> tuple[str, ...]:
    """What measurements added to the chosen machine's notes."""
    old, new = (plan.chosen.notes if plan.chosen else () for plan in (before, after))
    return tuple(note for note in new if note not in old)


def _narrowed(latency: LatencyEstimate, found: dict[str, Narrowed]) -> LatencyEstimate:
    """Times as narrowed; rates move as the end-to-end time does, since what is in flight is given."""
    times = {field: result.interval for field, result in found.items()}
    faster = latency.e2e_s.value / times["e2e_s"].value
    before, after = latency.e2e_s, times["e2e_s"]

    def rate(old: Interval) -> Interval:
        value = old.value * faster
        return Interval(value=value, low=value * after.value / after.high, high=value * after.value / after.low)

    return replace(
        latency,
        ttft_s=times["ttft_s"],
        tpot_s=times["tpot_s"],
        e2e_s=times["e2e_s"],
        ttft_p95_s=latency.ttft_p95_s * times["ttft_s"].value / latency.ttft_s.value,
        tpot_p95_s=latency.tpot_p95_s * times["tpot_s"].value / latency.tpot_s.value,
        e2e_p95_s=latency.e2e_p95_s * after.value / before.value,
        output_tok_per_s=rate(latency.output_tok_per_s),
        req_per_s=rate(latency.req_per_s),
    )


def _repriced(plan: Plan, chosen: Candidate, latency: LatencyEstimate, told: tuple[str, ...]) -> Candidate:
    cost = plan_cost(plan.asked, chosen.offer, chosen.instances, max(1, chosen.replicas), latency)
    return replace(chosen, latency=latency, cost=cost, notes=(*chosen.notes, *told))


def beside_plan(plan: Plan, measurement: Measurement) -> tuple[Comparison, ...]:
    """Each measured quantity beside the plan's estimate, when it measured what the plan asks; else without one."""
    if measurement.logged is not None:
        estimated = logged_estimate(plan.asked.model or "", plan.precision, measurement)
        return _beside_log(estimated, measurement.logged.pool_bytes_per_gpu)
    chosen, case = plan.chosen, case_of(plan)
    same = (
        case is not None
        and measurement.engine.value == case.engine
        and measurement.accelerator.casefold() == case.accelerator.casefold()
        and measurement.model.casefold() == case.model.casefold()
        and measurement.weights.value == case.weights
    )
    if chosen is None or chosen.latency is None or chosen.memory is None or not same:
        return compare(measurement)
    return compare(
        measurement,
        ttft_s=chosen.latency.ttft_s,
        itl_s=chosen.latency.tpot_s,
        output_tok_per_s=chosen.latency.output_tok_per_s,
        memory_bytes=_demand(chosen.memory),
        usd_per_million=partial(usd_per_million_tokens, chosen.cost.usd_per_hour / max(1, chosen.replicas))
        if chosen.cost
        else None,
    )


def _beside_log(memory: MemoryEstimate | None, pool_bytes: int) -> tuple[Comparison, ...]:
    if memory is None:
        return ()
    load = memory.memory_bytes_per_gpu - memory.fixed_bytes_per_gpu
    found = _demand(memory)
    fixed = Interval(value=found.value - load, low=found.low - load, high=found.high - load)
    return (
        Comparison(
            key="memory_bytes",
            label="Memory beside the cache",
            estimated=fixed,
            measured=float(memory.memory_budget_bytes_per_gpu - pool_bytes),
        ),
    )
