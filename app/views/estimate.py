"""The first screen: the cards, the verdict of the one that is chosen, its machines and sizes, and all plans."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pandas as pd
import streamlit as st

from app.exploring.alternatives import alternatives
from app.exploring.model_sizes import SizedCost, cost_by_model_size
from app.exploring.question_link import encode_question
from app.exploring.validated import validated as published_of
from app.figures.base import CostPoint, cost_by_size
from app.figures.memory_bar import memory_bar
from app.figures.plan_tables import MEMORY_USED, KeyFigure, key_figures, machines_table
from app.format import MEMORY_PER_GPU, MONTHLY_COST, PER_MILLION, count, gib, plural, seconds, span, usd
from app.planning.plan import Candidate, Holding, Plan
from app.planning.planner import EVERY, NEAR
from app.planning.remembered import remembered_plan, remembered_recommendation
from app.planning.sentences import (
    conditions,
    load_phrase,
    model_name,
    precision_name,
    reading_phrase,
    source_phrase,
    verdict,
)
from app.text import in_markdown
from app.views import cards, current, good_enough, plans, validated
from app.views.decision import draw_exports
from app.views.parts import Html, Lines, chart, how, old_price, table_of
from estimators.latency.estimate import TIMES

WHY_NOT = "Why not"


def draw_verdict(plan: Plan) -> None:
    with st.container(border=True, key="verdict"):
        lines = Lines()
        lines.say(f"## {in_markdown(verdict(plan))}")
        if plan.spec is not None:
            lines.say(in_markdown(f"{conditions(plan)}. Load: {load_phrase(plan.asked)}."))
        said, meaning = cards.said_of_the_only(current.answer())
        lines.say(said)
        lines.draw(help=meaning or None)
        if plan.spec is None:
            return
        if warning := old_price(plan):
            st.warning(in_markdown(warning), icon=":material/history:")
        if plan.refusal is not None and str(plan.refusal) not in verdict(plan):
            st.error(in_markdown(str(plan.refusal)), icon=":material/error:")
        if (published := published_of(plan)) is not None and published.quantized:
            st.markdown(f"**Checkpoint:** {in_markdown(published.sentence)}")
        for note in plan.chosen.notes if plan.chosen else ():
            st.markdown(f"**Note:** {in_markdown(note)}")
        if (card := current.card()) is not None and card.candidate.drafting is not None:
            st.markdown(f"**Note:** its speed counts on {in_markdown(card.candidate.drafting.name)}.")
        if current.card() is None:
            for line in alternatives(plan, current.sources()):
                st.markdown(f"- {in_markdown(line)}")


def draw_figures(plan: Plan, chosen: Candidate) -> None:
    memory, latency, cost = chosen.memory, chosen.latency, chosen.cost
    e2e = latency.e2e_s if latency else None
    million = cost.usd_per_million_output_tokens if cost else None
    figures = (
        KeyFigure(
            MONTHLY_COST,
            usd(cost.usd_per_month) if cost else "not priced",
            f"{usd(cost.usd_per_hour, cents=True)} an hour" if cost else "",
        ),
        KeyFigure(
            MEMORY_PER_GPU,
            gib(memory.memory_bytes_per_gpu) if memory else "unknown",
            f"of {gib(memory.memory_budget_bytes_per_gpu)} usable" if memory else "",
        ),
        KeyFigure(
            TIMES["e2e"],
            seconds(e2e.value) if e2e else "not estimated",
            span(e2e.low, e2e.high) if e2e else "",
            "mean and 80 % interval" if e2e else "",
        ),
        KeyFigure(
            PER_MILLION,
            usd(million) if million else "not estimated",
            _million_range(chosen) if million else "",
            "at this load, every hour busy" if million else "",
        ),
    )
    st.html(Html(key_figures(figures)))
    terms = {
        MONTHLY_COST: cost.terms[:1] if cost else (),
        MEMORY_PER_GPU: memory.terms if memory else (),
        TIMES["e2e"]: latency.terms if latency else (),
        PER_MILLION: cost.terms[1:] if cost else (),
    }
    how(terms, key="how", label="How these figures are made: formula, inputs and source of every term")


def _million_range(chosen: Candidate) -> str:
    """The interval of the throughput as dollars: fast is cheap."""
    cost = chosen.cost
    if cost is None or cost.usd_per_million_low is None or cost.usd_per_million_high is None:
        return ""
    return f"{usd(cost.usd_per_million_low)} to {usd(cost.usd_per_million_high)}"


def draw_memory(plan: Plan, chosen: Candidate, lines: Lines) -> None:
    memory = chosen.memory
    if memory is None:
        return
    lines.say("### Memory of one GPU")
    lines.draw()
    used = f"{gib(memory.memory_bytes_per_gpu)} of {gib(memory.memory_budget_bytes_per_gpu)} usable"
    st.html(Html(memory_bar(memory, said=f"Memory per GPU: {used}.")))
    tokens = plan.asked.prompt + plan.asked.output
    low, high = gib(memory.memory_bytes_per_gpu_low), gib(memory.memory_bytes_per_gpu_high)
    lines.say(
        f"Holds **{plural(memory.max_concurrency, 'request')}** of {tokens:,} tokens at once "
        f"({memory.kv_capacity_tokens:,} tokens of cache). Uses {used}; 80 % interval {low} to {high}."
    )
    for note in memory.notes:
        lines.note(note)


def draw_latency(chosen: Candidate, lines: Lines) -> None:
    latency = chosen.latency
    if latency is None:
        return
    rows = ["| | mean, 80 % interval | 95th percentile |", "|---|---|---|"]
    for key, name in TIMES.items():
        mean, late = latency.of(key)
        rows.append(f"| {name} | {span(mean.low, mean.high)} | {seconds(late)} |")
    lines.say("### Speed at this load", "\n".join(rows))
    for note in latency.notes:
        lines.note(note)


def draw_machines(plan: Plan, lines: Lines) -> None:
    """What was said before, and one row per accelerator and layout, on the cheapest machine that carries it; what is
    dear is folded away."""
    if plan.asked.instance is None and plan.asked.gpu is None:
        weighed = plan
    else:  # a card names its machine: the others are those of the same model and precision
        lines.draw()  # before what has to be weighed
        opened = replace(plan.asked, instance=None, gpu=None, gpus=None, replicas=None, price=None, price_as_of=None)
        weighed = remembered_plan(opened, current.sources(), within=NEAR)
    named = plan.chosen if plan.chosen and plan.chosen.cost else None
    found = by_accelerator(weighed.candidates, named)
    if found:
        lines.say("### Machines")
    lines.draw()
    if not found:
        return
    near = [one for one in found if one.eligible]
    if near:
        rows = [{name: said for name, said in _machine_row(one).items() if name != WHY_NOT} for one in near]
        st.html(Html(machines_table(rows, said="Machines that carry this load, the cheapest first")))
    if not weighed.candidates:  # one's own hardware is all there is
        return
    others = "Other machines: dearer, at a spot price too old to choose by, or why they will not do"
    with st.expander(others if near else "Machines that will not do, and why", key="dear", on_change="rerun") as fold:
        if fold.open:
            every = remembered_plan(weighed.asked, current.sources(), within=EVERY)
            above = {_layout(one) for one in near}
            if rest := [one for one in by_accelerator(every.candidates, named) if _layout(one) not in above]:
                _draw_others(rest)
            else:
                st.caption(in_markdown(str(every.refusal or "None.")))


def by_accelerator(candidates: Iterable[Candidate], named: Candidate | None) -> list[Candidate]:
    """The cheapest machine of each accelerator and layout, `named` standing for its own; what does not do last."""
    best: dict[tuple[str, int], Candidate] = {}
    for candidate in candidates:
        key = _layout(candidate)
        known = best.get(key)
        if known is None or _rank(candidate) < _rank(known):
            best[key] = candidate
    if named is not None:
        best[_layout(named)] = named
    return sorted(best.values(), key=_rank)


def _layout(candidate: Candidate) -> tuple[str, int]:
    return (candidate.accelerator, candidate.placement.gpus if candidate.placement else 0)


def _rank(candidate: Candidate) -> tuple[bool, float]:
    usd_month = candidate.usd_per_month
    return (not candidate.eligible, float("inf") if usd_month is None else float(usd_month))


def _draw_others(candidates: Sequence[Candidate]) -> None:
    """So many that one sorts and searches them."""
    st.dataframe(
        table_of([_machine_row(candidate) for candidate in candidates]),
        key="machines_dear",
        hide_index=True,
        height=36 + 35 * min(len(candidates), 9),
        column_config={
            "A month": st.column_config.NumberColumn(format="dollar", width="small"),
            "Machine": st.column_config.TextColumn(width="medium"),
            MEMORY_USED: st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1),
        },
    )


def _machine_row(candidate: Candidate) -> dict[str, object]:
    memory, cost, offer = candidate.memory or candidate.holding, candidate.cost, candidate.offer
    gpus = candidate.placement.gpus if candidate.placement else None
    budget = None
    if isinstance(memory, Holding):
        used, budget = memory.memory_bytes, memory.budget_bytes
    elif memory is not None:
        used, budget = memory.memory_bytes_per_gpu, memory.memory_budget_bytes_per_gpu
    count = f"{candidate.instances} x " if candidate.instances > 1 else ""
    return {
        "A month": float(cost.usd_per_month) if cost else None,
        "Machine": f"{count}{candidate.label}",
        "Accelerators of a copy": f"{gpus} x {candidate.accelerator}" if gpus else candidate.accelerator,
        "Copies": candidate.replicas or None,
        WHY_NOT: "; ".join(candidate.reasons),
        MEMORY_USED: used / budget if budget else None,
        "Holds": memory.max_concurrency if memory else None,
        "Price": source_phrase(offer) if offer else "",
    }


def draw_sizes(plan: Plan) -> None:
    st.markdown("### Monthly cost by model size")
    article, cheapest = cost_by_model_size(plan.asked, current.sources())
    chosen = plan.chosen
    own = None
    if chosen and chosen.cost and chosen.fits and plan.spec and plan.precision:
        own = CostPoint(
            label=model_name(plan.asked),
            billions=plan.spec.resident_params / 1e9,
            usd_per_month=float(chosen.cost.usd_per_month),
            machine=chosen.label,
            precision=precision_name(plan.precision.weights),
        )
    figure = cost_by_size(_points(article), _points(cheapest), own)
    spoken = "; ".join(f"{c.label} on {c.machine} {usd(c.usd_per_month)}" for c in article if c.usd_per_month)
    chart(figure, key="sizes", alt=f"Monthly cost by model size. {spoken}.")
    rows = [
        {
            "Model": a.label,
            "Precision": a.precision,
            "The article's machine": a.machine,
            "A month there": a.usd_per_month,
            "Cheapest that fits": c.machine,
            "A month": c.usd_per_month,
        }
        for a in article
        for c in cheapest
        if c.label == a.label and c.precision == a.precision
    ]
    money = st.column_config.NumberColumn(format="dollar")
    st.dataframe(
        pd.DataFrame(rows), hide_index=True, key="article", column_config={"A month there": money, "A month": money}
    )
    st.caption(
        "An article on running smaller models priced an 8B on one A10G, a 70B on eight A100 and a 405B on eight H100; "
        "here they are priced like any other scenario, for one request at a time, as region, payment and hours say. "
        "On eight H100 a 405B needs FP8: in BF16 its weights alone are 756 GiB."
    )


def _points(costs: tuple[SizedCost, ...]) -> list[CostPoint]:
    return [
        CostPoint(
            label=c.label,
            billions=c.params / 1e9,
            usd_per_month=c.usd_per_month,
            machine=c.machine,
            precision=c.precision,
        )
        for c in costs
        if c.usd_per_month is not None
    ]


def draw_footer(plan: Plan) -> None:
    lines = [f"Model: {plan.spec.source_note}; {reading_phrase(plan.spec)}."] if plan.spec else []
    lines += plan.notes
    lines.append("Estimates, not measurements; the Accuracy page shows how far they were from published ones.")
    lines.append("Not included: storage, data transfer, load balancing, people.")
    if plan.spec:
        lines.append(
            f"{count(plan.spec.resident_params)} parameters must be loaded (resident); "
            f"{count(plan.spec.active_params)} are touched per token (active)."
        )
    with st.container(key="footer"):
        st.caption(in_markdown(" ".join(lines)))


def draw_plans(result: Plan) -> None:
    """Folded: every plan that meets the limits, why the cheaper fail, pictures, the report."""
    found, card = current.answer(), current.card()
    recommendation = found.found if found is not None else None
    if recommendation is None or not recommendation.plans:
        return
    label = "All plans, why the cheaper ones fail, pictures, report"
    with st.expander(label, key="plans_fold", on_change="rerun") as fold:
        if not fold.open:
            return
        recommendation = remembered_recommendation(recommendation.question, current.sources())
        chosen = card.candidate if card is not None else recommendation.plans[0].candidate
        draw_exports(current.estimated(), chosen, recommendation, encode_question(current.asked()))
        plans.draw_plans(recommendation)
        plans.draw_pictures(recommendation)
        plans.draw_evidence(recommendation)


result = current.plan()
if (answered := current.answer()) is not None:
    cards.draw(answered)
draw_verdict(result)
draw_plans(result)
good_enough.draw()
validated.draw(result)
told = Lines()
if result.chosen is not None and result.spec is not None:
    draw_figures(result, result.chosen)
    draw_memory(result, result.chosen, told)
    draw_latency(result.chosen, told)
draw_machines(result, told)
if result.spec is not None:
    article = "An article's machines for 8B, 70B and 405B, priced today"
    with st.expander(article, key="article_fold", on_change="rerun") as fold:  # nothing that is folded is worked out
        if fold.open:
            draw_sizes(result)
draw_footer(result)
