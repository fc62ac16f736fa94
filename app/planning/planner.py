"""Scenario and sources in, Plan out: the one place where estimators and prices meet. No Streamlit, no own I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Protocol

from app.format import gib
from app.planning import refusals
from app.planning.candidates import evaluate, unsupported
from app.planning.loads import settings_of, speculation_of, workload_of
from app.planning.machines import automatic_machines, named_machines, placements
from app.planning.plan import Candidate, Machine, Plan
from app.planning.replicas import Case, replicas_that_do
from app.scenario import Scenario
from estimators.architecture.spec import ModelSpec
from estimators.architecture.typical import spec_from_parameter_count
from estimators.memory import draft_precision
from estimators.precision import KvPrecision, Precision, Weights, resolve_precision
from estimators.provenance import Refusal
from pricing.offers import PriceBook, PurchaseOption

__all__ = ["Sources", "plan", "settings_of", "workload_of"]

SPOT_AGES_APART = timedelta(days=90)
FILES_AGREE = 0.03  # headers and duplicated tied heads make files and formula differ by less than this


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
        return _place(replace(result, draft=draft), Case(scenario, precision, draft, sources.book))
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


def _place(result: Plan, case: Case) -> Plan:
    scenario = case.scenario
    named = named_machines(scenario)
    machines = tuple(automatic_machines()) if named is None else named
    weighed = [_best_on(case, machine) for machine in machines]
    newest = max((c.offer.as_of for c in weighed if c.offer is not None), default=None)
    weighed.sort(key=lambda candidate: _rank(candidate, newest))
    if not weighed:
        raise Refusal("No machine is known for this request.", field="gpu", remedy="Name an accelerator.")
    chosen = weighed[0]
    result = replace(result, candidates=tuple(weighed))
    if named is None and not chosen.eligible:
        return replace(result, refusal=refusals.of_automatic_choice(scenario, weighed))
    if scenario.gpu is not None and chosen.offer is None and chosen.machine.instance is not None:
        chosen = min(weighed, key=lambda c: (bool(c.reasons) and not c.fits, c.placement.gpus if c.placement else 0))
    if named is not None:
        chosen = _with_replicas_that_do(case, chosen)
    result = replace(result, chosen=chosen, resolved=_resolve(case, chosen))
    refusal = refusals.of_named_machine(scenario, chosen, unsupported(case, chosen.machine))
    return replace(result, refusal=refusal) if refusal else result


def _rank(candidate: Candidate, newest: date | None) -> tuple[bool, bool, bool, bool, Decimal, int, int]:
    """Eligible first, then those sold here, then those that fit, then by monthly cost; ties go to fewer machines.

    A spot price moves by the hour: one much older than the newest is no price to choose by, and comes after the others.
    """
    cost = _month(candidate)
    gpus = candidate.placement.gpus if candidate.placement else 0
    offer = candidate.offer
    gone = (
        offer is not None
        and newest is not None
        and offer.option is PurchaseOption.SPOT
        and newest - offer.as_of > SPOT_AGES_APART
    )
    return (not candidate.eligible, cost.is_infinite(), not candidate.fits, gone, cost, candidate.instances, gpus)


def _month(candidate: Candidate) -> Decimal:
    return candidate.cost.usd_per_month if candidate.cost else Decimal("Infinity")


def _best_on(case: Case, machine: Machine) -> Candidate:
    """The cheapest eligible layout on one machine; else the first that could be estimated at all."""
    first: Candidate | None = None
    best: Candidate | None = None
    for placement in placements(case.scenario, machine):
        candidate = evaluate(case, machine, placement)
        if candidate.eligible and (best is None or _month(candidate) < _month(best)):
            best = candidate
        if (
            first is None
            or (first.memory is None and candidate.memory is not None)
            or (not first.fits and candidate.fits)
        ):
            first = candidate
        if best is not None and _settled(case.scenario, best):
            break
    if best is not None:
        return best
    if first is None:
        reason = f"has fewer accelerators than pp={case.scenario.pp} needs"
        return Candidate(machine=machine, placement=None, replicas=0, instances=0, reasons=(reason,))
    return first


def _settled(scenario: Scenario, best: Candidate) -> bool:
    """Whether no other layout of the machine costs less: one machine is the least, and a named accelerator starts from
    the smallest layout."""
    return scenario.rate is None and (best.instances <= 1 or scenario.gpu is not None)


def _with_replicas_that_do(case: Case, chosen: Candidate) -> Candidate:
    """A named machine that does not hold its load in one replica, with the number of replicas that would."""
    waits = chosen.latency is not None and chosen.latency.saturated
    missed = any(check.met is False for check in chosen.objectives)
    if chosen.placement is None or chosen.memory is None or (chosen.fits and not waits and not missed):
        return chosen
    if (count := replicas_that_do(case, chosen.machine, chosen.placement)) is None:
        return chosen
    note = (
        f"One replica does not serve {case.scenario.requests_in_flight or 1:,} requests at once as asked; "
        f"replicas={count} would."
    )
    return replace(chosen, notes=(*chosen.notes, note))


def _resolve(case: Case, chosen: Candidate) -> Scenario:
    """The scenario with every auto replaced by what it came to, and one key of each group."""
    asked, precision = case.scenario, case.precision
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
