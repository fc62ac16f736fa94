"""Pipelines and routers in sentences and rows. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from app.exploring.finding import PageFinding
from app.exploring.pipeline import SMALL, ModelPool, Pipeline, Routing, TaskBill
from app.format import percent, seconds, usd
from app.planning.quality_bar import SIXTEEN_BITS
from app.planning.sentences import machine_phrase, model_name, precision_name
from estimators.precision import Precision


def pipeline_sentence(found: Pipeline) -> str:
    """What the tasks cost, against one large model, and how long one takes."""
    mixed = found.mixed
    first = (
        f"{_tasks(found.asked.tasks)} cost {usd(mixed.usd_per_month)} a month, {usd(mixed.usd_per_thousand)} per 1,000"
    )
    path = ", ".join(mixed.path)
    return f"{first}{_against(mixed, found.all_large)}; a task takes {seconds(mixed.mean_s)} along {path}."


def _tasks(tasks: float) -> str:
    return f"{tasks:,.0f} tasks a day" if tasks >= 1 else f"{tasks:g} tasks a day"


def _against(mixed: TaskBill, large: TaskBill | None) -> str:
    if large is None:
        return ""
    saved = large.usd_per_month - mixed.usd_per_month
    name = model_of(large.pools[0])
    if saved == 0:
        return f", as much as {name} for everything"
    how = f"{percent(abs(saved) / large.usd_per_month)} {'less' if saved > 0 else 'more'}"
    return f", {how} than the {usd(large.usd_per_month)} of {name} for everything"


def model_of(pool: ModelPool) -> str:
    """The model of its machines, with its precision where that is not as published."""
    precision, name = pool.served.plan.precision, model_name(pool.steps[0].scenario)
    if precision is None or precision.published or _as_it_came(precision):
        return name
    return f"{name} in {precision_name(precision.weights)}"


def _as_it_came(precision: Precision) -> bool:
    """Sixteen bits named, of a model that came in sixteen bits."""
    return precision.spec.quantization is None and precision.weights in SIXTEEN_BITS


def pipeline_finding(found: Pipeline) -> PageFinding:
    """Every step with its model, machines, price alone, time and quality."""
    return PageFinding(
        title="Pipeline: what a task costs",
        sentence=pipeline_sentence(found),
        heads=("Step", "Model", "Calls", "Machines", "A month alone", "p95 of a call", "Quality of the large model"),
        rows=tuple(_rows(found)),
        notes=(*_from(found.pays_from), *_notes(found.mixed, found.all_large, found.problem, found.apart)),
    )


def _from(tasks: float | None) -> Iterator[str]:
    if tasks is not None:
        yield (
            "The large model's machines have room at this volume, so that the small calls cost nothing more there; "
            f"from about {tasks:,.0f} tasks a day on the small models pay."
        )


def _rows(found: Pipeline) -> Iterator[tuple[str, ...]]:
    alone = {pool.steps[0].step.name: pool.usd_per_month for pool in found.apart}
    for pool in found.mixed.pools:
        for one, times in zip(pool.steps, pool.served.times, strict=True):
            step = one.step
            yield (
                step.name,
                model_of(pool),
                f"{step.calls:g}{' at once' if step.at_once else ''}",
                _machines(pool),
                usd(alone[step.name]),
                seconds(times["e2e"]),
                "not published"
                if one.ratio is None
                else f"{percent(one.ratio)} on {step.task.value.replace('-', ' ')}",
            )


def _machines(pool: ModelPool) -> str:
    chosen = pool.served.plan.chosen
    return machine_phrase(chosen) if chosen else ""


def _notes(mixed: TaskBill, large: TaskBill | None, problem: str, apart: tuple[ModelPool, ...]) -> Iterator[str]:
    for pool in mixed.pools:
        shared = " shared by " + " and ".join(one.step.name for one in pool.steps) if len(pool.steps) > 1 else ""
        alone = sum(
            other.usd_per_month for other in apart if other.steps[0].step.name in {o.step.name for o in pool.steps}
        )
        saved = f"; apart they would cost {usd(alone)}" if shared and alone else ""
        yield f"{model_of(pool)}: {_machines(pool)}, {usd(pool.usd_per_month)} a month{shared}{saved}."
    if problem:
        yield f"No comparison with one large model: {problem}"
    elif large is not None:
        yield (
            f"{model_of(large.pools[0])} for everything: {_machines(large.pools[0])}, {usd(large.usd_per_month)} a "
            f"month, {usd(large.usd_per_thousand)} per 1,000 tasks; a task takes {seconds(large.mean_s)}."
        )
    if mixed.quality is not None:
        yield (
            f"Quality: {percent(mixed.quality)} of the large model's published scores, weighted by answers, known "
            f"for {percent(mixed.known)} of them. How errors of one step add to the next, no score says."
        )
    if mixed.gaps:
        yield f"Without a published score: {'; '.join(mixed.gaps)}."
    yield (
        f"Time of a task: the mean of its calls along the critical path; with every call as late as one in twenty, "
        f"{seconds(mixed.late_s)}. Tools, retrieval and the network come on top."
    )


def routing_sentence(found: Routing) -> str:
    """What routing costs, and the share the small model must take to pay."""
    mixed, router = found.mixed, found.router
    small = next((pool for pool in mixed.pools for one in pool.steps if one.step.name == SMALL), None)
    taken = f"{router.share:g} % of {_tasks(found.asked.tasks)} to {model_of(small)}" if small else "Nothing routed"
    first = f"{taken}: {usd(mixed.usd_per_month)} a month, {usd(mixed.usd_per_thousand)} per 1,000"
    if found.pays_from is None:
        pays = "at this volume no share pays"
    elif found.pays_from == 0:
        pays = "it pays at any share"
    else:
        pays = f"it pays from {found.pays_from:g} % on"
    return f"{first}{_against(mixed, found.all_large)}; {pays}."


def routing_finding(found: Routing) -> PageFinding:
    """What every share costs."""
    large = found.all_large.usd_per_month
    rows = tuple(
        (f"{share:g} %", usd(cost), f"{usd(large - cost)} saved" if cost <= large else f"{usd(cost - large)} more")
        for share, cost in found.curve
    )
    router = found.router
    by = "no router of its own" if router.by.lower() == "none" else f"{router.by} routes every task"
    notes = (
        f"{router.fail:g} % of the small model's tries go on to the large one, which answers them again; {by}.",
        *_from(found.tasks_from),
        *_notes(found.mixed, found.all_large, "", ()),
    )
    return PageFinding(
        title="Router: what share the small model must take",
        sentence=routing_sentence(found),
        heads=("To the small model", "A month", "Against the large model alone"),
        rows=rows,
        notes=notes,
    )
