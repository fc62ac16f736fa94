"""Many small calls and few large ones: what a task costs, how long it takes, and against one large model for all.

Calls of one model share its machines: the planner is asked once for their load together. No Streamlit, no own I/O.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from app.exploring.load_units import (
    MEAN,
    Length,
    PeopleLoad,
    PlannedLoad,
    ServedLoad,
    Unit,
    load_of,
    scenario_of,
    serve_load,
)
from app.exploring.model_search import find
from app.exploring.pipeline_steps import ANY, TaskStep, critical_path
from app.exploring.question_link import REFERENCE, asked_scenario
from app.planning.quality_bar import comparable, judge
from app.planning.question import MOST_MODELS, QualityBar, Question
from app.planning.remembered import VersionedSources, remembered_recommendation
from app.planning.words import headline
from app.scenario import Scenario, decode
from estimators.engines.support import precision_in
from estimators.provenance import Refusal
from pricing.cost import HOURS_PER_MONTH, SECONDS_PER_HOUR

ROUTED, SMALL, LARGE = "router", "small", "large"
ROUTER_TOKENS = (512, 4, 0.75)  # of the routing preset: tokens in, out, cached share
MOST_DOUBLINGS = 10  # of the tasks, in looking for where a mix pays
GRID = 10  # percent between the shares a router is priced at


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLoad:
    """How many tasks, and what they are held against."""

    tasks: float = 10_000  # a day
    peak: float = 2
    week: str = "always"
    large: str = REFERENCE  # the one model that could do everything
    bar: float = 95  # percent of its quality that is good enough, for "any"


def task_load_of(values: Mapping[str, Any]) -> TaskLoad:
    """What the page's keys hold, the rest as it starts."""
    start = TaskLoad()
    return TaskLoad(
        tasks=values.get("pipe_tasks", start.tasks),
        peak=values.get("pipe_peak", start.peak),
        week=values.get("week", start.week),
        large=values.get("pipe_large", start.large),
        bar=values.get("pipe_bar", start.bar),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Router:
    """A small model that takes a share, and a large one for the rest and for what the small one fails."""

    small: str = "meta-llama/Llama-3.1-8B-Instruct"
    by: str = "none"  # the model that routes
    share: float = 70  # percent that the small one is given
    fail: float = 10  # percent of its tries that go on to the large one


def router_of(values: Mapping[str, Any]) -> Router:
    """What the page's keys hold, the rest as it starts."""
    start = Router()
    return Router(
        small=values.get("route_small", start.small),
        by=values.get("route_by", start.by),
        share=values.get("route_share", start.share),
        fail=values.get("route_fail", start.fail),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A step with the model it comes to, in a precision."""

    step: TaskStep
    scenario: Scenario  # of the model; its load is the step's own
    ratio: float | None  # published quality against the large model on the step's task; None: a gap
    gap: str  # why there is none


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPool:
    """The machines of one model, for all steps that call it."""

    steps: tuple[Chosen, ...]
    served: ServedLoad

    @property
    def usd_per_month(self) -> Decimal:
        chosen = self.served.plan.chosen
        return (chosen.usd_per_month if chosen else None) or Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskBill:
    """What tasks cost and how long one takes. Seconds of the critical path: in the mean, and with every call late."""

    pools: tuple[ModelPool, ...]
    tasks_per_month: float
    path: tuple[str, ...]
    mean_s: float
    late_s: float
    quality: float | None  # of all answers, weighted by their number, where it is published
    known: float  # share of them it is published for
    gaps: tuple[str, ...]

    @property
    def usd_per_month(self) -> Decimal:
        return sum((pool.usd_per_month for pool in self.pools), Decimal(0))

    @property
    def usd_per_thousand(self) -> Decimal:
        """Dollars for a thousand tasks."""
        return self.usd_per_month * 1000 / Decimal(repr(self.tasks_per_month))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """The steps as asked, each step alone on machines of its own, and all of it on the large model."""

    asked: TaskLoad
    steps: tuple[TaskStep, ...]
    mixed: TaskBill
    apart: tuple[ModelPool, ...]  # of each step, on machines of its own
    all_large: TaskBill | None
    pays_from: float | None = None  # tasks a day from which it is cheaper than the large model, where it is not yet
    problem: str = ""  # why there is no all-large


def price_pipeline(
    steps: Sequence[TaskStep], asked: TaskLoad, scenario: Scenario, sources: VersionedSources, known: Sequence[str]
) -> Pipeline:
    """What the steps cost under the tasks. Raises `Refusal` where a step has no model or no machine."""
    chosen = [_chosen(step, asked, scenario, sources, known) for step in steps]
    mixed = _bill(chosen, steps, asked, sources)
    apart = tuple(_pool([one], asked, sources) for one in chosen)
    found = Pipeline(asked=asked, steps=tuple(steps), mixed=mixed, apart=apart, all_large=None)
    try:
        large = [_large(step, asked, scenario, known) for step in steps]
        return replace(
            found,
            all_large=_bill(large, steps, asked, sources),
            pays_from=_tasks_from((steps, chosen), (steps, large), asked, sources),
        )
    except Refusal as refusal:
        return replace(found, problem=str(refusal))


def _tasks_from(
    mix: tuple[Sequence[TaskStep], Sequence[Chosen]],
    large: tuple[Sequence[TaskStep], Sequence[Chosen]],
    asked: TaskLoad,
    sources: VersionedSources,
) -> float | None:
    """The first doubling of the tasks at which the mix is cheaper than the large model; None where it is so already,
    and where none of them is: a large machine that stands half idle takes small calls for nothing."""
    for doubling in range(MOST_DOUBLINGS + 1):
        more = replace(asked, tasks=asked.tasks * 2**doubling)
        try:
            ends = [_bill(chosen, steps, more, sources).usd_per_month for steps, chosen in (mix, large)]
        except Refusal:
            return None
        if ends[0] < ends[1]:
            return more.tasks if doubling else None
    return None


def _large(step: TaskStep, asked: TaskLoad, scenario: Scenario, known: Sequence[str]) -> Chosen:
    named = _named(asked.large, scenario, known, "pipe_large")
    return Chosen(step=step, scenario=named, ratio=1.0, gap="")


def _named(text: str, scenario: Scenario, known: Sequence[str], field: str) -> Scenario:
    """The scenario with the model that a name means."""
    matched = find(text, known)
    if matched.model is None:
        near = f"Did you mean {', '.join(matched.near)}?" if matched.near else "Give a Hub id, or a size such as 8B."
        raise Refusal(f"No model is known by the name {text[:60]!r}.", field=field, remedy=near)
    read = decode({"model": matched.model}).scenario
    return replace(
        scenario, model=read.model, params=read.params, active=read.active, spec=None, spec_tokens=None, accept=None
    )


def _chosen(
    step: TaskStep, asked: TaskLoad, scenario: Scenario, sources: VersionedSources, known: Sequence[str]
) -> Chosen:
    large = _named(asked.large, scenario, known, "pipe_large")
    if step.model.lower() != ANY:
        return _judged(step, _named(step.model, scenario, known, "pipe_steps"), large, sources)
    if large.model is None:
        raise Refusal("A size has no published quality to choose by.", field="pipe_large", remedy="Name a model.")
    bar = QualityBar(task=step.task, reference=large.model, minimum_ratio=asked.bar / 100)
    load = scenario_of(asked_scenario(scenario), _load([step], asked))
    models = comparable(tuple(known), large.model, step.task)[:MOST_MODELS] or (large.model,)
    question = Question(
        scenario=load, models=models, regions=(scenario.region,), options=(scenario.buy,), bar=bar, drafting=False
    )
    found = remembered_recommendation(question, sources, first=True)
    if not found.plans:
        raise Refusal(f"{step.name}: {headline(found)}", field="pipe_steps", remedy="Lower the bar or name a model.")
    best = found.plans[0].candidate.scenario
    taken = replace(scenario, model=best.model, params=None, active=None, weights=best.weights, kv=best.kv, spec=None)
    return Chosen(step=step, scenario=taken, ratio=found.plans[0].candidate.quality.ratio, gap="")


def _judged(step: TaskStep, scenario: Scenario, large: Scenario, sources: VersionedSources) -> Chosen:
    """The published quality of a named model against the large one, or why there is none."""
    name = scenario.model or f"a typical model of {scenario.params:g} billion"
    if scenario.model is None or large.model is None:
        return Chosen(step=step, scenario=scenario, ratio=None, gap=f"{step.name}: a size has no published quality")
    spec = sources.spec(scenario.model)
    precision = precision_in(scenario.engine, spec, scenario.weights, scenario.method, scenario.kv)
    bar = QualityBar(task=step.task, reference=large.model, minimum_ratio=0.95)
    judged = judge(scenario.model, precision, precision.kv, bar)
    if judged.ratio is None:
        task = step.task.value.replace("-", " ")
        return Chosen(step=step, scenario=scenario, ratio=None, gap=f"{step.name}: nobody compares {name} on {task}")
    return Chosen(step=step, scenario=scenario, ratio=judged.ratio, gap="")


def _tasks(asked: TaskLoad) -> PlannedLoad:
    """The tasks themselves, as if each were one call."""
    try:
        return load_of(PeopleLoad(unit=Unit.TASKS, amount=asked.tasks, each=1, peak=asked.peak, week=asked.week))
    except Refusal as refusal:
        field = "pipe_tasks" if refusal.field == "load_amount" else refusal.field
        raise Refusal(refusal.message, field=field, remedy=refusal.remedy) from None


def _load(steps: Sequence[TaskStep], asked: TaskLoad) -> PlannedLoad:
    """The calls of these steps together: the tasks' rate times their calls, each length with its share of them."""
    tasks = _tasks(asked)
    calls = math.fsum(step.calls for step in steps)
    if tasks.rate * calls < 1e-6:
        raise Refusal("That is less than a call in eleven days.", field="pipe_tasks", remedy="Give more tasks a day.")
    lengths = tuple(
        Length(
            share=step.calls / calls,
            prompt=step.prompt,
            cached=min(step.cached * step.prompt, step.prompt - 1),
            output=step.output,
            most=step.prompt + step.output,
        )
        for step in steps
    )
    return replace(tasks, rate=tasks.rate * calls, mean_rate=tasks.mean_rate * calls, lengths=lengths)


def _pool(steps: Sequence[Chosen], asked: TaskLoad, sources: VersionedSources) -> ModelPool:
    served = serve_load(steps[0].scenario, _load([one.step for one in steps], asked), sources)
    names = " and ".join(one.step.name for one in steps)
    if served.plan.refusal is not None or not served.times:
        raise Refusal(f"{names}: {served.plan.refusal or 'no machine serves it.'}", field="pipe_steps")
    if served.plan.chosen is None or served.plan.chosen.cost is None:
        raise Refusal(f"{names}: its machine has no price here.", field="pipe_steps")
    return ModelPool(steps=tuple(steps), served=served)


def _bill(chosen: Sequence[Chosen], steps: Sequence[TaskStep], asked: TaskLoad, sources: VersionedSources) -> TaskBill:
    groups: dict[tuple[object, ...], list[Chosen]] = {}
    for one in chosen:
        s = one.scenario
        groups.setdefault((s.model, s.params, s.active, s.weights, s.kv), []).append(one)
    pools = tuple(_pool(group, asked, sources) for group in groups.values())
    times: dict[str, Mapping[str, float]] = {
        one.step.name: seconds for pool in pools for one, seconds in zip(pool.steps, pool.served.times, strict=True)
    }
    mean, path = critical_path(steps, {step.name: step.in_a_row * times[step.name][MEAN] for step in steps})
    late, _ = critical_path(steps, {step.name: math.ceil(step.in_a_row) * times[step.name]["e2e"] for step in steps})
    judged = [one for one in chosen if one.ratio is not None]
    weights = math.fsum(one.step.weight for one in chosen)
    known = math.fsum(one.step.weight for one in judged)
    tasks = _tasks(asked)
    return TaskBill(
        pools=pools,
        tasks_per_month=tasks.mean_rate * SECONDS_PER_HOUR * float(HOURS_PER_MONTH),
        path=path,
        mean_s=mean,
        late_s=late,
        quality=math.fsum((one.ratio or 0.0) * one.step.weight for one in judged) / known if known else None,
        known=known / weights,
        gaps=tuple(one.gap for one in chosen if one.gap and one.step.weight),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """A router at its share, at both ends, and what every share costs."""

    asked: TaskLoad
    router: Router
    mixed: TaskBill
    all_large: TaskBill
    curve: tuple[tuple[float, Decimal], ...]  # share in percent, dollars a month
    pays_from: float | None  # percent that the small model must take to pay; None: at no share
    tasks_from: float | None  # tasks a day from which it pays at its share, where it does not yet


def router_steps(router: Router, asked: TaskLoad, scenario: Scenario, share: float) -> tuple[TaskStep, ...]:
    """The router as steps: 1 call to route, s to the small model, (1 - s) + s f to the large one.

    70 % to the small, of which 10 % fail: 0.7 small and 0.3 + 0.07 = 0.37 large calls a task.
    """
    small, failed = share / 100, router.fail / 100
    prompt, output, cached = ROUTER_TOKENS
    plain = TaskStep(
        name=ROUTED,
        model=router.by,
        calls=1.0,
        at_once=False,
        prompt=prompt,
        output=output,
        cached=cached,
        after=(),
        answers=0.0,
    )
    answering = replace(plain, prompt=scenario.prompt, output=scenario.output, cached=scenario.prefix, answers=None)
    made = [] if router.by.lower() == "none" else [plain]
    tried = replace(answering, name=SMALL, model=router.small, calls=small, answers=small * (1 - failed))
    rest = replace(answering, name=LARGE, model=asked.large, calls=(1 - small) + small * failed)
    for step in (tried, rest):
        if step.calls > 0:
            made.append(replace(step, after=(made[-1].name,) if made else ()))
    return tuple(made)


def price_router(
    router: Router, asked: TaskLoad, scenario: Scenario, sources: VersionedSources, known: Sequence[str]
) -> Routing:
    """What routing costs at its share and at every other, against the large model alone."""

    def chosen_at(share: float) -> tuple[tuple[TaskStep, ...], list[Chosen]]:
        steps = router_steps(router, asked, scenario, share)
        return steps, [_chosen(step, asked, scenario, sources, known) for step in steps]

    def priced(share: float) -> TaskBill:
        steps, chosen = chosen_at(share)
        return _bill(chosen, steps, asked, sources)

    plain = router_steps(replace(router, by="none"), asked, scenario, 0.0)
    large = [_large(step, asked, scenario, known) for step in plain]
    all_large = _bill(large, plain, asked, sources)
    curve = tuple((float(share), priced(share).usd_per_month) for share in range(0, 101, GRID))
    steps, chosen = chosen_at(router.share)
    return Routing(
        asked=asked,
        router=router,
        mixed=priced(router.share),
        all_large=all_large,
        curve=curve,
        pays_from=_pays_from(curve, all_large.usd_per_month, lambda share: priced(share).usd_per_month),
        tasks_from=_tasks_from((steps, chosen), (plain, large), asked, sources),
    )


def _pays_from(
    curve: Sequence[tuple[float, Decimal]], bar: Decimal, priced: Callable[[float], Decimal]
) -> float | None:
    """The least share from which every larger one drawn is cheaper than the bar, to one percent."""
    paying = None
    for share, usd in reversed(curve):
        if usd >= bar:
            break
        paying = share
    if paying is None or paying == curve[0][0]:
        return paying
    low, high = paying - GRID, paying
    while high - low > 1:
        middle = round((low + high) / 2)
        low, high = (low, middle) if priced(middle) < bar else (middle, high)
    return high
