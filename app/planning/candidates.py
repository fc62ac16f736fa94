"""One machine and layout weighed for a scenario: what it needs, costs and misses. No Streamlit, no I/O."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from app.format import gib, seconds
from app.planning import refusals
from app.planning.loads import busy_replicas
from app.planning.machines import instances_needed
from app.planning.plan import Candidate, Machine, ObjectiveCheck
from app.planning.replicas import Case, objectives, serve
from app.planning.sentences import precision_name
from app.scenario import Scenario
from estimators.engines.support import Support, kv_support, support
from estimators.latency.estimate import LatencyEstimate
from estimators.memory.estimate import MemoryEstimate
from estimators.precision import KvPrecision
from estimators.provenance import Refusal
from estimators.workload import Placement
from pricing.cost import monthly_cost
from pricing.offers import Offer, PriceSource, PurchaseOption


def evaluate(case: Case, machine: Machine, placement: Placement) -> Candidate:
    scenario = case.scenario
    reasons: list[str] = []
    if machine.instance is not None and placement.tp > machine.instance.accelerator_count:
        reasons.append(refusals.beyond_the_machine(machine, placement))
    offer = _offer(case, machine)
    if offer is None and machine.instance is not None:
        reasons.append(refusals.not_offered(scenario))
    reasons += unsupported(case, machine)
    try:
        served = serve(case, machine, placement)
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
    checks = objectives(scenario, latency)
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
        notes=(*_caveats(case, machine, memory), *_speed_caveats(scenario, checks, latency)),
    )


def unsupported(case: Case, machine: Machine) -> Iterable[str]:
    scenario, precision = case.scenario, case.precision
    runs = _weights_support(case, machine)
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


def _weights_support(case: Case, machine: Machine) -> Support:
    scenario, precision = case.scenario, case.precision
    return support(
        machine.accelerator,
        precision.weights,
        scenario.engine,
        scenario.engine_version,
        published=precision.published,
    )


def _caveats(case: Case, machine: Machine, memory: MemoryEstimate) -> Iterable[str]:
    """What a careful reader should know of a machine that fits."""
    if memory.fits and memory.memory_bytes_per_gpu_high > memory.memory_budget_bytes_per_gpu:
        yield "It is tight: the interval of the memory estimate reaches above the limit, so try it before committing."
    limit = case.precision.spec.max_positions
    context = max(case.scenario.max_len or 0, case.scenario.prompt + case.scenario.output)
    if limit is not None and context > limit:
        yield (
            f"{context:,} tokens are more than the {limit:,} the model's config allows: engines refuse to start so, "
            "unless its context is extended (rope scaling) and they are told to allow it."
        )
    runs = _weights_support(case, machine)
    name = precision_name(case.precision.weights)
    if runs.path == "native" and runs.reason:
        said = runs.reason.removesuffix(".").replace("W8A8", "weights and activations both in 8 bits (W8A8)")
        yield f"{name} on {machine.accelerator.name}: {said}."
    if runs.path == "weight-only" and runs.reason:
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


def _offer(case: Case, machine: Machine) -> Offer | None:
    """The price of the machine: frozen in the scenario, else from the book; None is "not offered"."""
    scenario = case.scenario
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
    return case.book.get(machine.instance.instance_type, scenario.region, scenario.buy)
