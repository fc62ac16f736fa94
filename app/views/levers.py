"""Levers side by side for the current plan: memory, latency, cost, quality, evidence, effort; they combine."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd
import streamlit as st

from app.exploring.article import article_rows
from app.exploring.levers import Effect, Lever, LeverKind, combined_sentence, effect_of, levers_for, ready_on_the_hub
from app.exploring.retraining import TRAINING_INSTANCE, experts, payback, payback_sentence, smaller_model, sparsity
from app.exploring.sensitivity import swings
from app.figures.decisions import tornado
from app.format import GIB, gib, p95, plural, seconds, span, usd
from app.planning.plan import Plan
from app.planning.sentences import load_phrase, precision_name, verdict
from app.planning.words import name_of
from app.sources import dashboard_sources
from app.text import in_code, in_markdown
from app.views import current
from app.views.parts import chart
from estimators.latency.estimate import SHORT_TIMES, TIMES
from estimators.provenance import Refusal
from estimators.quality.checkpoints import published_checkpoints
from estimators.quality.recipes import recipe_script, recipes_for
from estimators.quality.schemes import Scheme
from estimators.quality.tasks import Task


def _row(name: str, effect: Effect, lever: Lever | None) -> dict[str, object]:
    memory = effect.memory_bytes
    return {
        "Lever": name,
        "A month": effect.usd_per_month,
        "Memory, GiB per GPU": memory / GIB if memory is not None else None,
        **{p95(SHORT_TIMES[key]): _time(effect, key) for key in ("ttft", "tpot")},
        "Quality": _quality(effect) if lever else "",
        "Effort": lever.effort if lever else "",
    }


def _quality(effect: Effect) -> str:
    return "not published" if effect.kept.ratio is None else f"{100 * effect.kept.ratio:.1f} %"


def _time(effect: Effect, key: str) -> str:
    if effect.overloaded:
        return "overloaded"
    value = effect.latency(key)
    return "unknown" if value is None else seconds(value)


def draw_table(plan: Plan, levers: tuple[Lever, ...]) -> None:
    sources = current.sources()
    base = effect_of(plan, (), sources)
    effects = [(lever, effect_of(plan, (lever,), sources)) for lever in levers]
    rows = [_row("As it is", base, None), *(_row(lever.name, effect, lever) for lever, effect in effects)]
    number = st.column_config.NumberColumn
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        key="levers_table",
        column_config={
            "A month": number(format="dollar", help="On the cheapest machine that then meets load and objectives."),
            "Memory, GiB per GPU": number(format="%.1f", help="On the plan's own machine."),
        },
    )
    if base.overloaded:
        st.warning(in_markdown(base.problem), icon=":material/info:")
    st.caption(
        f"{plural(len(levers), 'lever')}. Memory and times on the plan's own machine, cost on the cheapest that then "
        "meets the load and its objectives."
    )
    draw_evidence(effects)


def draw_evidence(effects: list[tuple[Lever, Effect]]) -> None:
    """What is known of each lever, in full: a table would cut it off."""
    with st.expander("What is known of each lever", key="lever_evidence", expanded=True):
        for lever, effect in effects:
            said = [f"Quality: {effect.kept.said}", effect.problem.rstrip("."), lever.note.rstrip(".")]
            st.markdown(f"**{in_markdown(lever.name)}.** {in_markdown('. '.join(part for part in said if part))}.")
            if lever.group is LeverKind.SPECULATION:
                st.caption(in_markdown(lever.evidence))


def draw_combined(plan: Plan, levers: tuple[Lever, ...]) -> None:
    """The levers chosen, together."""
    names = {lever.key: lever for lever in levers}
    chosen = st.multiselect(
        "Pull together",
        list(names),
        format_func=lambda key: names[key].name,
        key="pulled",
        persist_state="session",
        placeholder="choose levers; of two quantizations the last stands",
    )
    if not chosen:
        return
    sources = current.sources()
    before, effect = effect_of(plan, (), sources), effect_of(plan, [names[key] for key in chosen], sources)
    with st.container(border=True, key="combined"):
        st.markdown(f"## {in_markdown(combined_sentence(before, effect))}")
        st.markdown(f"- Quality: {in_markdown(effect.kept.said)}.")
        if effect.problem:
            st.markdown(f"- {in_markdown(effect.problem)}")
        st.caption(in_markdown(f"Cheapest machine: {verdict(effect.cheapest)}"))


def draw_recipes(plan: Plan, levers: tuple[Lever, ...]) -> None:
    """Scripts that make the quantized checkpoints, to run elsewhere."""
    model = plan.asked.model
    quantizations = [lever for lever in levers if lever.group is LeverKind.QUANTIZATION]
    if model is None or not quantizations:
        return
    st.markdown("### Make it yourself")
    kinds = [kind for lever in quantizations for kind in recipes_for(lever.key)] + [*recipes_for(Scheme.SPARSE_2_4)]
    moe = experts(plan) is not None
    kind = st.selectbox("LLM Compressor recipe", kinds, key="recipe", persist_state="session")
    try:
        script = recipe_script(model, kind, moe=moe)
    except Refusal as refusal:
        st.warning(in_markdown(str(refusal)))
        return
    _draw_lookup(model, script.scheme)
    said = f"{script.title}. Writes {script.output}. Checked: {script.verified}. {script.note}"
    st.caption(in_markdown(said))
    with st.expander("The script", key="script"):
        st.code(script.script, language="python")
    name = f"{script.output}.py"
    st.download_button("Download the script", script.script, name, "text/x-python", on_click="ignore")


def _draw_lookup(model: str, scheme: Scheme) -> None:
    """What is published already: the table at once, the Hub when asked."""
    known = published_checkpoints(model, scheme.value)
    for entry in known:
        st.markdown(f"Published: {in_code(entry.id)} ({in_markdown(entry.source)}, {entry.as_of})")
    if st.button("Look on the Hub", key="look_on_hub"):
        with st.spinner("Asking the Hub"):
            found, problem = ready_on_the_hub(model, scheme.value, dashboard_sources())
        names = ", ".join(map(in_code, found))
        missing = problem or "Nothing under the usual publishers' names."
        st.markdown(f"On the Hub: {names}." if found else in_markdown(missing))


def draw_training(plan: Plan, task: Task) -> None:
    """What needs training, or another model."""
    st.markdown("### With training, or another model")
    left, right = st.columns(2)
    with left:
        _draw_smaller(plan, task)
        mixture = experts(plan)
        st.markdown("**Mixture of experts**")
        st.markdown(
            in_markdown(mixture.said) if mixture else "This model is dense: every parameter is read for every token."
        )
    with right:
        _draw_payback(plan)
        found = sparsity(plan)
        st.markdown("**2:4 sparsity**")
        st.markdown(in_markdown(found.said))
        for fact in (*found.facts, *found.elsewhere[:2]):
            kept = f"{100 * fact.recovery:.1f} % kept on {fact.metric}" if fact.recovery else fact.metric
            speed = f", {fact.speedup:g} times the speed" if fact.speedup else ""
            st.caption(in_markdown(f"{fact.model} to {fact.result}: {kept}{speed} ({fact.setting}). {fact.source}"))
        if not found.facts:
            st.caption("Nobody has published 2:4 sparsity of this model.")


def _draw_smaller(plan: Plan, task: Task) -> None:
    st.markdown("**A smaller model at equal quality**")
    try:
        with st.spinner("Weighing smaller models"):
            found = smaller_model(plan, task, current.sources())
    except Refusal as refusal:  # too much for one question, or nothing to weigh
        st.info(in_markdown(str(refusal)))
        return
    if found is None:
        st.markdown("No smaller model has a published score within 1 % of this one on this task, on one suite.")
        return
    st.markdown(in_markdown(f"{name_of(found)}: {usd(found.usd_per_month or Decimal(0))} a month."))
    if found.quality.result is not None and found.quality.verdict is not None:
        st.caption(in_markdown(f"{found.quality.result.reason} {found.quality.verdict.reason}."))


def _draw_payback(plan: Plan) -> None:
    st.markdown("**Distillation and pruning**")
    if plan.spec is None:
        return
    share = st.slider("Parameters kept, %", 10, 90, 50, step=5, key="student", persist_state="session")
    own = st.number_input(
        "Your own one-off cost, $",
        min_value=0.0,
        max_value=1e9,
        value=None,
        step=1000.0,
        format="%g",
        key="own_one_off",
        persist_state="session",
        placeholder="from the published recipe",
        help="GPU time, data and people, once. Blank: GPU time by the one recipe that prints its cost.",
    )
    cost = Decimal(str(own)) if own is not None else None
    try:
        found = payback(plan, plan.spec.resident_params * share / 100, current.sources(), one_off_usd=cost)
    except Refusal as refusal:
        st.markdown(in_markdown(str(refusal)))
        return
    st.markdown(in_markdown(payback_sentence(found)))
    if not found.own_cost:
        where = f"{TRAINING_INSTANCE} in {found.trained_in}"
        recipe = (
            f"{found.gpu_hours.value:,.0f} GPU hours at {usd(found.usd_per_gpu_hour)} ({where}), "
            "data and people not included"
        )
        st.caption(in_markdown(f"{recipe}. {found.gpu_hours.formula}; {found.gpu_hours.source}."))
        st.caption("One published recipe is all there is: half to double is our allowance, not a measured spread.")
    for fact in found.facts[:3]:
        kept = f"{fact.baseline:g} to {fact.score:g} on {fact.metric}" if fact.baseline and fact.score else fact.metric
        st.caption(in_markdown(f"Published: {fact.result}, {kept}. {fact.source}"))
    if not found.facts:
        st.caption("Nobody has published a distilled or pruned version of this model: its quality is unknown.")


def draw_sensitivity(plan: Plan) -> None:
    """Which assumption matters, on request: it plans a dozen scenarios."""
    st.markdown("### Which assumption matters")
    if not st.toggle("Move each assumption by half", key="sensitivity", persist_state="session"):
        return
    with st.spinner("Moving each assumption"):
        found = swings(plan, current.sources())
    if not found:
        st.markdown("No machine does the job as it is.")
        return
    chart(tornado(found), key="tornado", alt="Cost by assumption.")
    st.page_link("views/change.py", label="At which value would another plan win? What would change it")


def draw_article() -> None:
    """The article's example, published beside estimated."""
    with st.expander("The article's example: Granite 3.1 8B in BF16 and INT4 on one RTX A6000", key="article_row"):
        rows = article_rows(dashboard_sources())
        table = [
            {
                "": precision_name(row.weights),
                "Weights, estimated": gib(row.weights_bytes) if row.weights_bytes else "unknown",
                f"{TIMES['e2e']}, published": seconds(row.e2e_published_s) if row.e2e_published_s else "not published",
                f"{TIMES['e2e']}, estimated": seconds(row.e2e_estimated_s) if row.e2e_estimated_s else "unknown",
                "80 % interval": span(row.e2e_low_s, row.e2e_high_s) if row.e2e_low_s and row.e2e_high_s else "",
                "OpenLLM v1, published": f"{row.score:g}" if row.score else "not published",
                "Kept": f"{100 * row.recovery:.1f} %" if row.recovery else "",
            }
            for row in rows
        ]
        st.dataframe(pd.DataFrame(table), hide_index=True, key="article_table")
        st.caption("One request of 1,024 tokens in and 128 out, vLLM 0.6.6. " + "; ".join(rows[-1].sources) + ".")


result = current.plan()
st.markdown("## What would change this plan")
st.markdown(in_markdown(f"{verdict(result)} Load: {load_phrase(result.asked)}."))
task = st.selectbox(
    "Quality on",
    list(Task),
    key="lever_task",
    format_func=lambda value: value.value.replace("-", " "),
    persist_state="session",
)
found_levers = levers_for(result, task)
if not found_levers:
    st.info("Choose a plan that fits a machine first.")
else:
    draw_combined(result, found_levers)
    draw_table(result, found_levers)
    draw_recipes(result, found_levers)
    draw_training(result, task)
    draw_sensitivity(result)
    draw_article()
