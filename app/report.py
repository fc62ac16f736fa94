"""A plan as lines of text, for the terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from app.exploring.validated import validated
from app.format import count, gib, plural, seconds, span, usd
from app.planning.plan import Candidate, Plan
from app.planning.sentences import conditions, load_phrase, reading_phrase, source_phrase, verdict
from estimators.latency.estimate import TIMES


def as_lines(plan: Plan) -> Iterator[str]:
    """Verdict, conditions, sizes, speeds and the next machines, one line each."""
    yield verdict(plan)
    if plan.refusal is not None and str(plan.refusal) != verdict(plan):
        yield str(plan.refusal)
    if plan.spec is None:
        return
    yield f"  {conditions(plan)}"
    yield f"  load: {load_phrase(plan.asked)}"
    yield f"  parameters: {count(plan.spec.resident_params)} resident, {count(plan.spec.active_params)} active"
    yield f"  config: {plan.spec.source_note}; {reading_phrase(plan.spec)}"
    if plan.precision is not None:
        yield f"  weights: {gib(plan.precision.weights_bytes)}"
    if (published := validated(plan)) is not None and published.quantized:
        yield f"  checkpoint: {published.sentence}"
    if plan.chosen is not None:
        yield from _machine(plan.chosen)
    others = [c for c in plan.candidates if c.eligible and c is not plan.chosen][:3]
    for other in others:
        if other.cost is not None and other.offer is not None:
            yield f"  or {other.label}: {usd(other.cost.usd_per_month)} a month ({source_phrase(other.offer)})"
    for note in plan.all_notes:
        yield f"  note: {note}"


def _machine(chosen: Candidate) -> Iterator[str]:
    memory, latency = chosen.memory, chosen.latency
    if memory is not None:
        used = f"{gib(memory.memory_bytes_per_gpu)} of {gib(memory.memory_budget_bytes_per_gpu)} per GPU"
        yield f"  memory: {used}; holds {plural(memory.max_concurrency, 'request')} of this length"
    if latency is not None:
        means = ((name, latency.of(key)[0]) for key, name in TIMES.items())
        yield f"  {', '.join(f'{name.lower()} {span(mean.low, mean.high)}' for name, mean in means)} (80 % intervals)"
    else:
        yield "  latency: not estimated"
    for check in chosen.objectives:
        state = {True: "met", False: "missed", None: "not checked"}[check.met]
        estimate = f", estimate {seconds(check.value)}" if check.value is not None else ""
        yield f"  objective {check.key} {seconds(check.limit)}: {state}{estimate}"
