"""Is it validated: the plan's checkpoint and heads, what of its quality is measured, and one's own results kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import streamlit as st

from app.exploring.asking import known_models
from app.exploring.decision_link import unpinned
from app.exploring.good_enough import tasks_of
from app.exploring.missing_score import ScoreEvidence, evidence_of, score_finding
from app.exploring.validated import Validated, validated, validated_finding
from app.measuring.jobs import measurement_store
from app.planning.plan import Plan
from app.planning.question import USUAL_WEIGHTS
from app.planning.remembered import remembered_plan
from app.planning.sentences import precision_name
from app.scenario import decode_page
from app.sources import dashboard_sources
from app.text import in_markdown
from app.views import current
from app.views.asking import draw_ending, draw_table
from app.views.authority import may_measure
from app.views.parts import uploader
from estimators.architecture.hub.pages import HubListing
from estimators.precision import Weights
from estimators.provenance import Refusal
from estimators.quality.checkpoints import deployed
from estimators.quality.kept_scores import KeptScore, read_for, scores_in
from estimators.quality.schemes import Scheme
from estimators.quality.tasks import Task

KEYS = ("score_on", "score_in")
MOST_RESULTS = 2_000_000  # characters of one results file that is pasted
MOST_SCORES = 400


def draw(plan: Plan) -> None:
    """Folded; nothing of it is worked out, and nobody is asked, before somebody opens it."""
    if plan.asked.model is None or plan.precision is None:
        return
    label = "Is it validated? Checkpoint, drafting heads, scores"
    linked = bool(_linked())
    with st.expander(label, expanded=linked, key="validated_fold", on_change="rerun") as fold:
        if not fold.open:
            return
        sentence = st.container()
        published = validated(plan, listing := _draw_hub(plan))
        if published is None:
            return
        sentence.markdown(f"**{in_markdown(published.sentence)}**")
        draw_table(validated_finding(published), key="validated_table")
        _draw_score(plan, _seen(plan, published, listing))
        st.divider()
        _draw_results(plan)


def _seen(plan: Plan, published: Validated, listing: HubListing | None) -> str | None:
    """A checkpoint that only the Hub knew of: from now on it is what the plan is started with."""
    by_tables = validated(plan)
    if listing is None or published.serves is None or by_tables is None or by_tables.serves is not None:
        return None
    st.session_state["hub_checkpoint"] = {current.hub_question(plan): published.serves.id}
    return published.serves.id


def _draw_hub(plan: Plan) -> HubListing | None:
    """What the Hub lists, once somebody asked it for this model."""
    base = deployed((plan.asked.model or "").partition("@")[0], "as-published")[0]
    if st.button("Look on the Hub", key="look_on_hub"):
        st.session_state["hub_asked"] = base
    if st.session_state.get("hub_asked") != base:
        return None
    try:
        with st.spinner("Asking the Hub"):
            return dashboard_sources().made_of(base)
    except Refusal as refusal:
        st.caption(in_markdown(str(refusal)))
        return None


def _linked() -> dict[str, Any]:
    """What a copied link of this panel asked; the boxes themselves follow the bar and the plan."""
    return decode_page({key: st.query_params[key] for key in KEYS if key in st.query_params})[0]


def _draw_score(plan: Plan, found: str | None) -> None:
    asked, linked = current.asked(), _linked()
    usual = linked.get("score_on") or (asked.task if asked.percent is not None else tasks_of(asked.use, None)[0])
    left, right = st.columns(2)
    task = left.selectbox(
        "Its quality on", list(Task), index=list(Task).index(usual), key=f"score_on_{usual}", format_func=_name
    )
    own_weights = plan.precision.weights if plan.precision else Weights.AS_PUBLISHED
    first = linked.get("score_in", own_weights)
    precisions = list(dict.fromkeys([first, own_weights, *(asked.weights or USUAL_WEIGHTS)]))
    weights = right.selectbox(
        "in", precisions, key=f"score_in_{first}", format_func=precision_name,
        help="A precision that no plan may take for want of a score can be looked at here as well.",
    )  # fmt: skip
    if weights is not own_weights:
        plan, found = remembered_plan(replace(unpinned(plan.asked), weights=weights), current.sources()), None
    reference = asked.reference if asked.percent is not None else (plan.asked.model or "").partition("@")[0]
    own = current.own_scores()
    known = evidence_of(plan, task, reference, current.sources(), own=own, found=found)
    if known is None:
        return
    st.markdown(f"**{in_markdown(known.sentence)}**")
    draw_table(replace(score_finding(known), notes=()), key="score_table")
    _draw_runs(known)
    draw_ending(
        score_finding(known), KEYS, key="validated", instead={"score_on": task.value, "score_in": weights.value}
    )


def _name(task: Task) -> str:
    return task.value.replace("-", " ")


def _draw_runs(known: ScoreEvidence) -> None:
    """The commands, ready to copy."""
    for run in known.runs:
        st.markdown(f"Run {in_markdown(run.what)}:")
        if run.command:
            st.code(run.command, language="bash", wrap_lines=True)
        else:
            st.caption(in_markdown(run.why))
    if known.harness is not None and known.runs:
        st.code(known.harness.installed_by, language="bash")
        note = f" {known.harness.note[0].upper()}{known.harness.note[1:]}." if known.harness.note else ""
        said = f"Task and shots: {known.harness.source}, {known.harness.as_of}.{note}"
        st.caption(in_markdown(f"{said} Leave out --apply_chat_template for a model that has none."))


def _draw_results(plan: Plan) -> None:
    """A file of one's own run: counted in this visit, or kept for everybody and counted by whoever says so."""
    st.markdown("**Your own results**")
    st.caption(
        "A results_*.json of lm_eval per model and precision. Runs compare only when task, shots and filter agree."
    )
    file = uploader("File", ["json"], key="harness_file")
    st.text_area("Or paste it", key="harness_json", height=100, max_chars=MOST_RESULTS, placeholder='{"results": ...}')
    bar = current.asked()
    models = dict.fromkeys([(plan.asked.model or "").partition("@")[0], bar.reference, *known_models()])
    left, right = st.columns([3, 2])
    left.selectbox("Of the model", list(models), key="harness_model", persist_state="session")
    usual = plan.precision.weights.value if plan.precision and not plan.precision.published else Scheme.AS_PUBLISHED
    right.selectbox(
        "In", list(Scheme), index=list(Scheme).index(Scheme(usual)), key="harness_scheme", persist_state="session"
    )
    given = file.getvalue() if file is not None else st.session_state.get("harness_json") or ""
    first, second = st.columns(2)
    first.button("Use it in the plan", key="use_results", on_click=_use, args=(given,), disabled=not given)
    with second:
        if given and may_measure():
            st.button("Keep it and use it in the plan", key="keep_results", on_click=_keep, args=(given,))
    if problem := st.session_state.pop("harness_problem", ""):
        st.warning(in_markdown(problem), icon=":material/info:")
    _draw_held()


def _read(given: str | bytes) -> tuple[KeptScore, ...]:
    """What the file says; nothing, and why, for one that cannot be used."""
    state = st.session_state
    try:
        return read_for(given, state.harness_model, state.harness_scheme, datetime.now(UTC))
    except Refusal as refusal:
        state.harness_problem = str(refusal)
        return ()


def _use(given: str | bytes) -> None:
    state = st.session_state
    held = tuple(state.get("own_scores", ()))
    if added := _read(given):
        state.own_scores = (*held, *(score for score in scores_in(added) if score not in held))[-MOST_SCORES:]
        state.harness_json = ""


def _keep(given: str | bytes) -> None:
    state, made = st.session_state, _read(given)
    if not made:
        return
    try:
        measurement_store().keep_scores(made)
    except Refusal as refusal:
        state.harness_problem = str(refusal)
        return
    state.used_scores = list(dict.fromkeys([*(state.get("used_scores") or ()), *(kept.id for kept in made)]))
    state.harness_json = ""


def _draw_held() -> None:
    """What counts in this visit, and what is kept and may count."""
    if held := st.session_state.get("own_scores", ()):
        counted = sorted({f"{score.model} {score.scheme}: {score.benchmark} {score.score:.1f}" for score in held})
        st.caption(in_markdown(f"Counted in this visit: {'; '.join(counted)}."))
        st.button("Forget them", key="forget_results", on_click=st.session_state.pop, args=("own_scores",))
    try:
        kept = {entry.id: entry for entry in measurement_store().quality_scores()}
    except Refusal as refusal:
        st.caption(in_markdown(str(refusal)))
        return
    if not kept:
        return
    state = st.session_state
    state.used_scores = [key for key in state.get("used_scores") or () if key in kept]
    st.multiselect(
        "Kept results that count in the plan",
        list(kept),
        key="used_scores",
        format_func=lambda key: kept[key].name,
        persist_state="session",
        placeholder="none",
    )
