"""Scenario and sources in, Plan out: the one place where estimators and prices meet. No Streamlit, no own I/O."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Protocol

from app import refusals
from app.format import gib, seconds
from app.machines import automatic_machines, instances_needed, named_machines, placements
from app.narrative import precision_name
from app.plan import Candidate, Machine, ObjectiveCheck, Plan
from app.scenario import LoadMode, Scenario
from estimators.architecture.spec import ModelSpec
from estimators.architecture.typical import spec_from_parameter_count
from estimators.hardware.support import Support, kv_support, support
from estimators.latency import estimate_latency
from estimators.latency.estimate import LatencyEstimate
from estimators.memory import draft_precision, estimate_memory
from estimators.memory.estimate import MemoryEstimate
from estimators.precision import KvPrecision, Precision, Weights, resolve_precision
from estimators.provenance import Refusal
from estimators.workload import EngineSettings, Load, Placement, Speculation, Workload
from pricing.cost import monthly_cost
from pricing.offers import Offer, PriceBook, PriceSource, PurchaseOption

FILES_AGREE = 0.03  # headers and duplicated tied heads make files and formula differ by less than this
MOST_REPLICAS = 10_000  # beyond this a rate is refused rather than searched


class Sources(Protocol):
    """What a plan reads from outside."""

    @property
    def book(self) -> PriceBook: ...

    def spec(self, model: str) -> ModelSpec: ...

    def file_bytes(self, model: str) -> int | None:
        """Bytes of the model's weight files as its repository lists them, when known."""
        ...


def plan(scenario: Scenario, sources: Sources) -> Plan:
    """The plan of one scenario. Never raises for an input: what failed is in `refusal`, the rest is filled."""
    result = Plan(asked=scenario, resolved=scenario)
    try:
        spec = _spec(scenario, sources)
        result = replace(result, spec=spec, notes=spec.notes)
        precision = resolve_precision(spec, scenario.weights, scenario.method, scenario.kv)
        result = replace(
            result, precision=precision, notes=(*result.notes, *_cross_check(scenario, precision, sources))
        )
        _check(scenario)
        draft = draft_precision(speculation_of(scenario), precision.kv, sources.spec)
        return _place(result, _Question(scenario, precision, draft, sources.book))
    except Refusal as refusal:
        return replace(result, refusal=refusal)


def _spec(scenario: Scenario, sources: Sources) -> ModelSpec:
    if scenario.model is not None:
        return sources.spec(scenario.model)
    if scenario.params is None:
        raise Refusal("No model is named.", field="model", remedy="Give a Hub id, or a count such as 8B.")
    return spec_from_parameter_count(scenario.params * 1e9, scenario.active * 1e9 if scenario.active else None)


def _check(scenario: Scenario) -> None:
    """Refuses what no engine starts with, whatever the machine."""
    context = scenario.prompt + scenario.output
    if scenario.max_len is not None and scenario.max_len < context:
        raise Refusal(
            f"max_len={scenario.max_len:,} is shorter than prompt + output, {context:,} tokens.",
            field="max_len",
            remedy="Raise it or leave it blank.",
        )
    if scenario.buy is PurchaseOption.OWNED and scenario.price is None:
        raise Refusal("Owned hardware has no price list.", field="price", remedy="Give price, in dollars an hour.")
    if scenario.price is not None and scenario.instance is None and scenario.buy is not PurchaseOption.OWNED:
        raise Refusal("A price belongs to a machine.", field="price", remedy="Name the instance it is for.")
    if scenario.buy is PurchaseOption.OWNED and scenario.instance is None and scenario.gpu is None:
        raise Refusal("Owned hardware needs a name.", field="gpu", remedy="Name the accelerator or the instance.")


def _cross_check(scenario: Scenario, precision: Precision, sources: Sources) -> Iterable[str]:
    """A note when the repository's own weight files are of another size than the formula says."""
    files = sources.file_bytes(scenario.model) if scenario.model else None
    if files and precision.published and abs(precision.weights_bytes - files) > FILES_AGREE * files:
        yield (
            f"The repository's weight files are {gib(files)}, the formula says {gib(precision.weights_bytes)}: "
            "it may hold several formats, or parts this estimate does not load."
        )


@dataclass
class _Question:
    """One scenario being weighed over many machines; estimates are shared by machines with the same accelerator."""

    scenario: Scenario
    precision: Precision
    draft: Precision | None
    book: PriceBook
    served: dict[tuple[object, ...], _Served] = field(default_factory=dict)

    @property
    def settings(self) -> EngineSettings:
        return settings_of(self.scenario)


@dataclass(frozen=True)
class _Served:
    """A replica layout on an accelerator, with as many replicas as the load needs."""

    replicas: int
    memory: MemoryEstimate
    latency: LatencyEstimate | None


def settings_of(scenario: Scenario) -> EngineSettings:
    return EngineSettings(
        engine=scenario.engine,
        version=scenario.engine_version,
        memory_utilization=scenario.util,
        max_model_len=scenario.max_len,
        batched_tokens=scenario.batched_tokens,
        speculation=speculation_of(scenario),
    )


def speculation_of(scenario: Scenario) -> Speculation | None:
    if scenario.spec is None:
        return None
    known = scenario.spec in ("ngram", "eagle", "mtp")
    return Speculation(
        method=scenario.spec if known else "draft",
        tokens=scenario.spec_tokens or 3,
        acceptance=scenario.accept,
        draft_model=None if known else scenario.spec,
    )


def workload_of(scenario: Scenario, replicas: int) -> Workload:
    """The load of one of `replicas` copies: totals are split evenly, requests in flight rounded up."""
    if scenario.rate is not None:
        load, flight, rate = Load.RATE, None, scenario.rate / replicas
    elif scenario.load is LoadMode.MAX:
        load, flight, rate = Load.MAX, None, None
    else:
        load = Load.BATCH if scenario.load is LoadMode.BATCH else Load.CONCURRENCY
        flight, rate = math.ceil((scenario.requests_in_flight or 1) / replicas), None
    return Workload(
        prompt_tokens=scenario.prompt,
        output_tokens=scenario.output,
        load=load,
        concurrency=flight,
        requests_per_second=rate,
        prefix_share=scenario.prefix,
    )


def busy_replicas(scenario: Scenario, replicas: int) -> float:
    """Replicas' worth of throughput a load draws: C / ceil(C / r), as each is estimated at the rounded-up share.

    9 requests over 8 replicas are estimated at 2 each: 4.5 replicas' worth. A rate or a maximum keeps all busy.
    """
    flight = scenario.requests_in_flight
    return float(replicas) if flight is None else flight / math.ceil(flight / replicas)


def _place(result: Plan, question: _Question) -> Plan:
    scenario = question.scenario
    named = named_machines(scenario)
    machines = tuple(automatic_machines()) if named is None else named
    weighed = [_best_on(question, machine) for machine in machines]
    weighed.sort(key=_rank)
    if not weighed:
        raise Refusal("No machine is known for this request.", field="gpu", remedy="Name an accelerator.")
    chosen = weighed[0]
    result = replace(result, candidates=tuple(weighed))
    if named is None and not chosen.eligible:
        return replace(result, refusal=refusals.of_automatic_choice(scenario, weighed))
    if scenario.gpu is not None and chosen.offer is None and chosen.machine.instance is not None:
        chosen = min(weighed, key=lambda c: (bool(c.reasons) and not c.fits, c.placement.gpus if c.placement else 0))
    result = replace(result, chosen=chosen, resolved=_resolve(question, chosen))
    refusal = refusals.of_named_machine(scenario, chosen, _unsupported(question, chosen.machine))
    return replace(result, refusal=refusal) if refusal else result


def _rank(candidate: Candidate) -> tuple[bool, bool, bool, Decimal, int, int]:
    """Eligible first, then those sold here, then those that fit, then by monthly cost; ties go to fewer machines."""
    cost = _month(candidate)
    gpus = candidate.placement.gpus if candidate.placement else 0
    return (not candidate.eligible, cost.is_infinite(), not candidate.fits, cost, candidate.instances, gpus)


def _month(candidate: Candidate) -> Decimal:
    return candidate.cost.usd_per_month if candidate.cost else Decimal("Infinity")


def _best_on(question: _Question, machine: Machine) -> Candidate:
    """The cheapest eligible layout on one machine; else the first that could be estimated at all."""
    first: Candidate | None = None
    best: Candidate | None = None
    for placement in placements(question.scenario, machine):
        candidate = _evaluate(question, machine, placement)
        if candidate.eligible and (best is None or _month(candidate) < _month(best)):
            best = candidate
        if (
            first is None
            or (first.memory is None and candidate.memory is not None)
            or (not first.fits and candidate.fits)
        ):
            first = candidate
        if best is not None and question.scenario.rate is None:
            break
    if best is not None:
        return best
    if first is None:
        reason = f"has fewer accelerators than pp={question.scenario.pp} needs"
        return Candidate(machine=machine, placement=None, replicas=0, instances=0, reasons=(reason,))
    return first


def _evaluate(question: _Question, machine: Machine, placement: Placement) -> Candidate:
    scenario = question.scenario
    reasons: list[str] = []
    if machine.instance is not None and placement.tp > machine.instance.accelerator_count:
        reasons.append(refusals.beyond_the_machine(machine, placement))
    offer = _offer(question, machine)
    if offer is None and machine.instance is not None:
        reasons.append(refusals.not_offered(scenario))
    reasons += _unsupported(question, machine)
    try:
        served = _serve(question, machine, placement)
    except Refusal as refusal:
        reasons.append(refusal.message)
        return Candidate(
            machine=machine,
            placement=placement,
            replicas=0,
            instances=0,
            offer=offer,
            reasons=tuple(reasons),
            refusal=refusal,
        )
    memory, latency = served.memory, served.latency
    if not memory.fits:
        reasons.append(
            f"needs {gib(memory.memory_bytes_per_gpu)} per GPU, {gib(memory.memory_budget_bytes_per_gpu)} usable"
        )
    checks = _objectives(scenario, latency)
    reasons += [
        f"p95 {check.key.upper()} {seconds(check.estimate)}, limit {seconds(check.limit)}"
        for check in checks
        if check.met is False and check.estimate is not None
    ]
    if latency is not None and latency.saturated and scenario.rate is not None:
        reasons.append(f"serves {latency.req_per_s.value:.3g} requests/s per replica at most")
    count = instances_needed(machine, placement, served.replicas)
    return Candidate(
        machine=machine,
        placement=placement,
        replicas=served.replicas,
        instances=count,
        memory=memory,
        latency=latency,
        offer=offer,
        cost=monthly_cost(
            offer=offer,
            instances=count,
            hours=scenario.hours,
            output_tokens_per_second=latency.output_tok_per_s.value * busy_replicas(scenario, served.replicas)
            if latency
            else None,
        )
        if offer is not None
        else None,
        objectives=checks,
        reasons=tuple(reasons),
        notes=(*_caveats(question, machine, memory), *_speed_caveats(scenario, checks, latency)),
    )


def _unsupported(question: _Question, machine: Machine) -> Iterable[str]:
    scenario, precision = question.scenario, question.precision
    runs = _weights_support(question, machine)
    if not runs.runs:
        yield runs.reason
    kv_runs = kv_support(
        machine.accelerator,
        precision.kv,
        scenario.engine,
        scenario.engine_version,
        published=scenario.kv is KvPrecision.AUTO and precision.published,
    )
    if not kv_runs.runs:
        yield kv_runs.reason


def _weights_support(question: _Question, machine: Machine) -> Support:
    scenario, precision = question.scenario, question.precision
    return support(
        machine.accelerator,
        precision.weights,
        scenario.engine,
        scenario.engine_version,
        published=precision.published,
    )


def _caveats(question: _Question, machine: Machine, memory: MemoryEstimate) -> Iterable[str]:
    """What a careful reader should know of a machine that fits."""
    if memory.fits and memory.memory_bytes_per_gpu_high > memory.memory_budget_bytes_per_gpu:
        yield "It is tight: the interval of the memory estimate reaches above the limit, so try it before committing."
    limit = question.precision.spec.max_positions
    context = max(question.scenario.max_len or 0, question.scenario.prompt + question.scenario.output)
    if limit is not None and context > limit:
        yield f"{context:,} tokens are more than the model's config allows, {limit:,}: engines refuse to start so."
    runs = _weights_support(question, machine)
    if runs.path == "native" and runs.reason:
        yield f"{runs.reason.removesuffix('.')}."
    if runs.path == "weight-only" and runs.reason:
        name = precision_name(question.precision.weights)
        yield f"{name} is stored but not computed in here: {runs.reason.removesuffix('.')}."


def _speed_caveats(
    scenario: Scenario, checks: tuple[ObjectiveCheck, ...], latency: LatencyEstimate | None
) -> Iterable[str]:
    """Where the load is at the edge of what the plan serves, or an objective is met only on paper."""
    if latency is None:
        return
    if scenario.rate is not None and not checks and scenario.replicas is None:
        yield (
            "This is the least that keeps up with the rate: one request in twenty waits "
            f"{seconds(latency.ttft_p95_s)} or more for its first token. Set an objective to size for it."
        )
    intervals = {"ttft": latency.ttft_s, "tpot": latency.tpot_s, "e2e": latency.e2e_s}
    for check in checks:
        interval = intervals[check.key]
        if check.met and check.estimate is not None and check.estimate * interval.high / interval.value > check.limit:
            yield (
                f"The estimate, {seconds(check.estimate)}, meets {seconds(check.limit)} for p95 {check.key.upper()}, "
                "but the upper end of its interval does not: measure before promising it."
            )


def _offer(question: _Question, machine: Machine) -> Offer | None:
    """The price of the machine: frozen in the scenario, else from the book; None is "not offered"."""
    scenario = question.scenario
    owned = scenario.buy is PurchaseOption.OWNED
    if scenario.price is not None and (owned or scenario.instance is not None):
        return Offer(
            instance_type=machine.name,
            region=scenario.region,
            option=scenario.buy,
            usd_per_hour=scenario.price,
            source=PriceSource.OWNED if owned else PriceSource.LINK,
            as_of=scenario.price_as_of or date.min,
            origin="given with the scenario",
        )
    if machine.instance is None:
        return None
    return question.book.get(machine.instance.instance_type, scenario.region, scenario.buy)


def _serve(question: _Question, machine: Machine, placement: Placement) -> _Served:
    key = (machine.accelerator.name, machine.memory_bytes, placement)
    if key not in question.served:
        question.served[key] = _replicate(question, machine, placement)
    return question.served[key]


def _replicate(question: _Question, machine: Machine, placement: Placement) -> _Served:
    """One layout with the replicas it was given, or for a rate the fewest that keep up and meet the objectives."""
    scenario = question.scenario
    if scenario.replicas is not None or scenario.rate is None:
        return _estimate(question, machine, placement, scenario.replicas or 1)
    served = _estimate(question, machine, placement, 1)
    if not served.memory.fits or served.latency is None or _keeps_up(scenario, served.latency):
        return served
    low, enough = 1, served  # `low` falls short; `enough` is the first count that is not saturated
    while not _keeps_up(scenario, served.latency):
        low = served.replicas
        if low >= MOST_REPLICAS or _idle(served):
            return enough  # the rate is out of reach, or an objective is missed however idle the replicas are
        served = _estimate(question, machine, placement, 2 * low)
        if enough.latency is not None and enough.latency.saturated:
            enough = served
    high = served.replicas
    while high - low > 1:
        middle = (low + high) // 2
        tried = _estimate(question, machine, placement, middle)
        if _keeps_up(scenario, tried.latency):
            high, served = middle, tried
        else:
            low = middle
    return served


def _keeps_up(scenario: Scenario, latency: LatencyEstimate | None) -> bool:
    if latency is None:
        return True
    return not latency.saturated and all(check.met is not False for check in _objectives(scenario, latency))


def _idle(served: _Served) -> bool:
    """Each replica has next to nothing to do: what is missed now is missed with any number of them."""
    latency = served.latency
    return latency is not None and not latency.saturated and latency.running_requests < 0.05


def _estimate(question: _Question, machine: Machine, placement: Placement, replicas: int) -> _Served:
    workload = workload_of(question.scenario, replicas)
    settings = question.settings
    memory = estimate_memory(
        question.precision,
        machine.accelerator,
        placement,
        workload,
        settings,
        memory_bytes=machine.memory_bytes,
        draft=question.draft,
    )
    latency = None
    if memory.max_concurrency >= 1:
        latency = estimate_latency(question.precision, machine.accelerator, placement, workload, settings, memory)
    if latency is not None and workload.load is Load.RATE:
        # Never more than the engine holds: what comes beyond waits, and `saturated` says so.
        running = min(math.ceil(latency.running_requests), memory.max_concurrency)
        flight = replace(workload, load=Load.CONCURRENCY, concurrency=max(1, running))
        memory = estimate_memory(
            question.precision,
            machine.accelerator,
            placement,
            flight,
            settings,
            memory_bytes=machine.memory_bytes,
            draft=question.draft,
        )
    return _Served(replicas, memory, latency)


def _objectives(scenario: Scenario, latency: LatencyEstimate | None) -> tuple[ObjectiveCheck, ...]:
    estimates = {
        "ttft": latency.ttft_p95_s if latency else None,
        "tpot": latency.tpot_p95_s if latency else None,
        "e2e": latency.e2e_p95_s if latency else None,
    }
    return tuple(
        ObjectiveCheck(key=key, limit=limit, estimate=estimate)
        for key, estimate in estimates.items()
        if (limit := getattr(scenario, key)) is not None
    )


def _resolve(question: _Question, chosen: Candidate) -> Scenario:
    """The scenario with every auto replaced by what it came to, and one key of each group."""
    asked, precision = question.scenario, question.precision
    instance = chosen.machine.instance
    quantized = precision.spec.quantization is not None and precision.published
    narrowed = precision.weights is Weights.BF16 and precision.published and not chosen.machine.accelerator.bf16
    return replace(
        asked,
        model=f"{asked.model.split('@')[0]}@{precision.spec.revision}"
        if asked.model and precision.spec.revision
        else asked.model,
        weights=Weights.AS_PUBLISHED if quantized else Weights.FP16 if narrowed else precision.weights,
        kv=KvPrecision.FP16 if narrowed and precision.kv is KvPrecision.BF16 else precision.kv,
        concurrency=asked.requests_in_flight,
        instance=instance.instance_type if instance else None,
        gpu=None if instance else chosen.machine.accelerator.name,
        gpus=chosen.placement.tp if chosen.placement else asked.gpus,
        replicas=max(1, chosen.replicas),
    )
