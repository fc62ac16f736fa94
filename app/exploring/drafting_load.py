"""Up to which load drafting pays on a plan's machine: the estimate's break-even beside what is published. Pure."""

from __future__ import annotations

from app.format import plural
from app.planning.drafting import ALONE, bound_words
from app.planning.loads import settings_of, speculation_of, workload_of
from app.planning.plan import Plan
from app.scenario import Scenario
from estimators.latency.drafting_evidence import Bound, Drafted, drafted_for, published_bound
from estimators.latency.plan import resolve
from estimators.latency.speculative import break_even, draft_for
from estimators.provenance import Refusal
from estimators.quality.models import canonical


def overloaded(plan: Plan) -> bool:
    """The plan's replicas cannot serve the rate it was asked for: its times are those of a full server, not of users
    in a queue that grows without end."""
    latency = plan.chosen.latency if plan.chosen else None
    return latency is not None and latency.saturated and plan.asked.rate is not None


def acceptance_of(plan: Plan, method: str) -> Drafted | None:
    """The published acceptance of this method on the plan's model; None where there is none."""
    rows = drafted_for(canonical(plan.asked.model) if plan.asked.model else "")
    return next((row for row in rows if row.method == method), None)


def pays_until(plan: Plan, change: Scenario) -> str:
    """Where the load undoes it, as published and by the estimate. `change` is the plan's scenario, drafting."""
    bound = _bound(plan, change.spec or "")
    known = bound.pays_until if bound else ALONE
    running = plan.chosen.latency.running_requests if plan.chosen and plan.chosen.latency else 0.0
    try:
        limit, most = break_even_of(plan, change)
    except Refusal as refusal:
        return refusal.message
    if limit is not None and limit <= 1.0:
        return "Does not pay here by the estimate, even with one request in flight."
    whose = f", on {bound.gain.model.rpartition('/')[2]}" if bound and not bound.own_model else ""
    measured = f"{'Published' if bound else 'Taken'} to pay up to {plural(round(known), 'request')} in flight{whose}"
    if overloaded(plan):
        here = "this load is more than the replicas serve"
    else:
        here = f"this load has {running:.1f} a replica, {'within' if running <= known else 'beyond'} that"
    if limit is None:
        estimated = f"The estimate finds no break-even up to the {most:.0f} a replica runs at once"
    else:
        estimated = f"The estimate's break-even is {limit:.0f}"
    reach = limit or most
    doubt = f", which nobody has measured beyond {known:.0f}" if reach > known else ""
    return f"{measured}; {here}. {estimated}{doubt}."


def evidence_of(plan: Plan, method: str) -> str:
    """The published load, with its setting and source."""
    name = canonical(plan.asked.model) if plan.asked.model else ""
    return bound_words(_bound(plan, method), name)


def _bound(plan: Plan, method: str) -> Bound | None:
    name = canonical(plan.asked.model) if plan.asked.model else ""
    return published_bound(method, name, plan.asked.engine.value)


def break_even_of(plan: Plan, change: Scenario) -> tuple[float | None, float]:
    """(requests in flight per replica above which the drafting of `change` slows the plan down, None where no load
    does; the most a replica runs at once). Raises `Refusal` where there is no machine, or the method is not possible.
    """
    chosen, precision = plan.chosen, plan.precision
    if chosen is None or precision is None or chosen.memory is None or chosen.placement is None:
        raise Refusal("There is no machine to draft on.", field="spec")
    speculation = speculation_of(change)
    if speculation is None:
        raise Refusal("No drafting method is named.", field="spec")
    plain = settings_of(plan.asked)
    workload = workload_of(plan.asked, max(1, chosen.replicas))
    accelerator = chosen.machine.accelerator
    replica = resolve(precision, accelerator, chosen.placement, workload, plain, chosen.memory)
    known = plan.draft if change.spec == plan.asked.spec else None
    draft = draft_for(speculation, precision, accelerator, chosen.placement, replica.shard, replica.server.rates, known)
    found = break_even(replica.server, draft, replica.request, replica.scheduler)
    return found, float(replica.scheduler.running)
