"""One way to serve a scenario by the full estimate: every number explained, what it costs, what it misses."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from app.format import gib, plural, seconds
from app.planning import refusals
from app.planning.costs import plan_cost
from app.planning.engine_support import unsupported, weights_support
from app.planning.loads import settings_of, workload_of
from app.planning.logged import narrowed
from app.planning.market import instances_needed
from app.planning.plan import OBJECTIVES, Candidate, Holding, Limit, Machine, p95_of
from app.planning.sentences import model_name, precision_name
from app.planning.ways import Variant, ids_of
from app.planning.weigher import resolved
from app.scenario import Scenario
from estimators.latency import estimate_latency
from estimators.latency.estimate import Interval, LatencyEstimate
from estimators.launch.heads import head_for
from estimators.memory import estimate_memory
from estimators.memory.estimate import MemoryEstimate
from estimators.provenance import Refusal
from estimators.remembered import Remembered
from estimators.workload import EngineSettings, Load, Placement, Workload
from pricing.offers import Offer


@dataclass(frozen=True, slots=True)
class Deployment:
    """What is to be explained: a layout on a machine, in a number of copies, at an offer."""

    machine: Machine
    placement: Placement
    replicas: int
    offer: Offer | None


def explain(scenario: Scenario, variant: Variant, way: Deployment) -> Candidate:
    """The way with both estimates in full. What the estimators refuse is its `refusal`, and among its reasons."""
    reasons: list[str] = []
    machine, placement = way.machine, way.placement
    if machine.instance is not None and placement.tp > machine.instance.accelerator_count:
        reasons.append(refusals.beyond_the_machine(machine, placement))
    if way.offer is None and machine.instance is not None:
        reasons.append(refusals.not_offered(scenario))
    reasons += unsupported(scenario, variant.precision, machine.accelerator)
    asked = resolved(scenario, variant, machine, tp=placement.tp, replicas=way.replicas)
    try:
        memory, latency = estimate(scenario, variant, way)
    except Refusal as refusal:
        return Candidate(
            scenario=asked,
            machine=machine,
            placement=placement,
            replicas=0,
            instances=0,
            offer=way.offer,
            reasons=(*reasons, refusal.message),
            refusal=refusal.kept(),
        )
    limits = tuple(_limits(scenario, latency))
    reasons += misses(scenario, memory.fits, memory.memory_bytes_per_gpu, memory.memory_budget_bytes_per_gpu, limits)
    if latency is not None and latency.saturated and scenario.rate is not None:
        reasons.append(overrun(latency.req_per_s.value))
    instances = instances_needed(machine, placement, way.replicas)
    return Candidate(
        scenario=asked,
        machine=machine,
        placement=placement,
        replicas=way.replicas,
        instances=instances,
        offer=way.offer,
        cost=plan_cost(scenario, way.offer, instances, way.replicas, latency),
        holding=holding_of(memory),
        ttft_p95_s=latency.ttft_p95_s if latency else None,
        tpot_p95_s=latency.tpot_p95_s if latency else None,
        e2e_p95_s=latency.e2e_p95_s if latency else None,
        limits=limits,
        reasons=tuple(reasons),
        notes=(
            *_caveats(scenario, variant, machine, memory),
            *_longest_context(scenario, way, memory, latency),
            *_speed_caveats(scenario, limits, latency),
        ),
        memory=memory,
        latency=latency,
    )


def holding_of(memory: MemoryEstimate) -> Holding:
    return Holding(
        memory_bytes=memory.memory_bytes_per_gpu,
        budget_bytes=memory.memory_budget_bytes_per_gpu,
        max_concurrency=memory.max_concurrency,
        fits=memory.fits,
    )


Estimates = tuple[MemoryEstimate, LatencyEstimate | None]
_ESTIMATES: Remembered[Estimates] = Remembered(256)  # as many cards as are looked at at a time, and each has one or two


def estimate(scenario: Scenario, variant: Variant, way: Deployment) -> Estimates:
    """Memory of the load's share of one replica, and its speed where one request fits; once for cards that are one
    plan, whatever it costs and what it is held to."""
    settings, placement = settings_of(scenario), way.placement
    workload, share = (workload_of(scenario, way.replicas * ranks) for ranks in (1, placement.dp))
    owners = (variant.precision, variant.draft, way.machine.accelerator)
    logs = (variant.model, ids_of(variant.logs)) if variant.logs else None
    key = (workload, share, settings, placement, way.machine.memory_bytes, logs)
    return _ESTIMATES.of(owners, key, lambda: _estimate(variant, way, workload, share, settings))


def _estimate(
    variant: Variant, way: Deployment, workload: Workload, share: Workload, settings: EngineSettings
) -> Estimates:
    memory = _memory(variant, way, workload, settings)
    if memory.max_concurrency < 1:
        return memory, None
    latency = _rank_by_rank(variant, way, share, settings, memory)
    if workload.load is Load.RATE:
        # Never more than the engine holds: what comes beyond waits, and `saturated` says so.
        running = max(1, min(math.ceil(latency.running_requests), memory.max_concurrency))
        flight = replace(workload, load=Load.CONCURRENCY, concurrency=running)
        memory = _memory(variant, way, flight, settings)
    return memory, latency


def _memory(variant: Variant, way: Deployment, load: Workload, settings: EngineSettings) -> MemoryEstimate:
    """Of the layout under this load, as kept start-up logs of such servers narrow it."""
    precision, chip, placement = variant.precision, way.machine.accelerator, way.placement
    memory_bytes = way.machine.memory_bytes
    memory = estimate_memory(precision, chip, placement, load, settings, memory_bytes=memory_bytes, draft=variant.draft)
    return narrowed(
        memory,
        variant.logs,
        model=variant.model,
        precision=precision,
        accelerator=chip,
        placement=placement,
        settings=settings,
    )


def _rank_by_rank(
    variant: Variant, way: Deployment, share: Workload, settings: EngineSettings, memory: MemoryEstimate
) -> LatencyEstimate:
    """Speed of the replica: of one rank of data-parallel attention under its share, and the throughput of all."""
    ranks = way.placement.dp
    held = memory if ranks == 1 else replace(memory, max_concurrency=max(1, memory.max_concurrency // ranks))
    one = estimate_latency(
        variant.precision, way.machine.accelerator, way.placement, share, settings, held, variant.draft
    )
    if ranks == 1:
        return one
    return replace(
        one,
        output_tok_per_s=_times(one.output_tok_per_s, ranks),
        req_per_s=_times(one.req_per_s, ranks),
        running_requests=one.running_requests * ranks,
    )


def _times(one: Interval, ranks: int) -> Interval:
    return Interval(value=one.value * ranks, low=one.low * ranks, high=one.high * ranks)


def misses(scenario: Scenario, fits: bool, need: float, have: float, limits: Iterable[Limit]) -> Iterator[str]:
    """What stands against a way that was estimated: its memory, the objectives it misses."""
    if not fits:
        yield f"needs {gib(need)} per GPU, {gib(have)} usable"
    for limit in limits:
        if limit.key in OBJECTIVES and limit.met is False and limit.value is not None:
            yield f"p95 {limit.key.upper()} {seconds(limit.value)}, limit {seconds(limit.limit)}"


def overrun(most_requests_per_s: float) -> str:
    return f"serves {most_requests_per_s:.3g} requests/s per replica at most"


def _limits(scenario: Scenario, latency: LatencyEstimate | None) -> Iterator[Limit]:
    """The objectives that were set, each against its p95 and the interval of that."""
    for key in OBJECTIVES:
        limit = getattr(scenario, key)
        if limit is None:
            continue
        found = p95_of(latency, key) if latency is not None else None
        if found is None:
            yield Limit(key=key, limit=limit, value=None)
        else:
            yield Limit(key=key, limit=limit, value=found.value, low=found.low, high=found.high)


def _caveats(scenario: Scenario, variant: Variant, machine: Machine, memory: MemoryEstimate) -> Iterator[str]:
    """What a careful reader should know of a machine that fits."""
    if memory.fits and memory.memory_bytes_per_gpu_high > memory.memory_budget_bytes_per_gpu:
        yield "It is tight: the interval of the memory estimate reaches above the limit, so try it before committing."
    if memory.measured:
        yield memory.measured
    if memory.engine_starts is False:
        yield f"The engine does not start with these settings: {memory.engine_starts_reason}"
    precision = variant.precision
    limit = precision.spec.max_positions
    context = max(scenario.max_len or 0, scenario.prompt + scenario.output)
    if limit is not None and context > limit:
        yield (
            f"{context:,} tokens are more than the {limit:,} the model's config allows: engines refuse to start so, "
            "unless its context is extended (rope scaling) and they are told to allow it."
        )
    if scenario.spec == "eagle" and head_for(precision.spec.id, scenario.spec) is None:
        yield (
            f"No EAGLE head of {model_name(scenario)} is known to be published: one has to be trained before this plan "
            "can run."
        )
    runs = weights_support(scenario, precision, machine.accelerator)
    name = precision_name(precision.weights)
    if runs.path == "native" and runs.reason:
        said = runs.reason.removesuffix(".").replace("W8A8", "weights and activations both in 8 bits (W8A8)")
        yield f"{name} on {machine.accelerator.name}: {said}."
    if runs.path == "weight-only" and runs.reason:
        yield f"{name} is stored but not computed in here: {runs.reason.removesuffix('.')}."


def _longest_context(
    scenario: Scenario, way: Deployment, memory: MemoryEstimate, latency: LatencyEstimate | None
) -> Iterator[str]:
    """How many of the requests at once may grow to a longest context beyond their own length."""
    if scenario.max_len is None or scenario.max_len <= scenario.prompt + scenario.output or not memory.kv_known:
        return
    share = workload_of(scenario, way.replicas).concurrency or (latency.running_requests if latency else 1)
    share = min(share, (scenario.max_num_seqs or math.inf) * scenario.dp)  # what is more queues
    running, held = math.ceil(share), memory.longest_concurrency
    holds = f"one replica holds {plural(held, 'request')} of {scenario.max_len:,} tokens at once"
    if held >= running:
        yield f"Sized for the longest context: {holds}, and {running:,} run at most."
    else:
        yield f"At the longest context {holds}, not {running:,}: beyond that the engine puts requests off."


def _speed_caveats(scenario: Scenario, limits: tuple[Limit, ...], latency: LatencyEstimate | None) -> Iterator[str]:
    """Where the load is at the edge of what the plan serves, or an objective is met only on paper."""
    if latency is None:
        return
    if scenario.rate is not None and not limits and scenario.replicas is None:
        yield (
            "This is the least that keeps up with the rate: one request in twenty waits "
            f"{seconds(latency.ttft_p95_s)} or more for its first token. Set an objective to size for it."
        )
    for limit in limits:
        if limit.may_miss and limit.value is not None:
            yield (
                f"The estimate, {seconds(limit.value)}, meets {seconds(limit.limit)} for p95 {limit.key.upper()}, "
                "but the upper end of its interval does not: measure before promising it."
            )
