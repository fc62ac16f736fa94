"""What a link opens to: what its keys say, and the plan that the dashboard then speaks of. No Streamlit.

The pages, the card and what is said of a link before the dashboard runs all go through here, so that none says another
plan than the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from app.exploring.asking import known_models
from app.exploring.decision_link import Decision, read_decision
from app.exploring.model_search import find
from app.exploring.question_link import Asked, question_of
from app.planning.answer import Answer, Card, Kind
from app.planning.plan import Plan
from app.planning.planner import CHEAPEST
from app.planning.remembered import remembered_answer, remembered_plan
from app.scenario import PAGE_MODEL, Decoded, Scenario, decode
from app.sources import LocalSources, MeasuredSources
from estimators.precision import Weights
from estimators.provenance import Refusal
from estimators.quality.scores import Score

PageSources = LocalSources | MeasuredSources
MOST_NAME = 120  # characters of a model's name


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A link as it was read: `raw` with the id of a model that was named as people write it, `decoded` without a price
    that was frozen for other inputs."""

    raw: Mapping[str, str]
    decoded: Decoded
    decision: Decision | None


def open_link(raw: Mapping[str, str]) -> Opened:
    """Read the scenario's keys of a link and the decision it carries. Never raises."""
    if raw.get("model") and (found := find(raw["model"], known_models()).model):
        raw = {**raw, "model": found}
    decoded = decode({key: value for key, value in raw.items() if key != "embed"})
    decision, scenario, dropped = read_decision(raw, decoded.scenario)
    return Opened(
        raw=raw,
        decoded=replace(decoded, scenario=scenario, problems=(*decoded.problems, *dropped)),
        decision=decision,
    )


def unknown_model(text: str) -> Refusal | None:
    """Why there is no answer for a model of this name, where it is none known here and no id of the Hub."""
    found = find(text[:MOST_NAME] or PAGE_MODEL, known_models())
    if found.model is not None:
        return None
    near = ", ".join(found.near)
    remedy = f"Did you mean {near}?" if near else "Choose one from the list, or give a Hub id such as org/name."
    return Refusal(f"No model is known by the name {text[:60]!r}.", field="model", remedy=remedy)


class PlanShown(NamedTuple):
    """The plan, the card it is of, and the answer that has the card; without them for a link's own price, and for
    loads that ask how much a machine can do."""

    answer: Answer | None
    card: Card | None
    plan: Plan


def refused(scenario: Scenario, refusal: Refusal) -> PlanShown:
    """What is shown where the question names nothing that can be planned."""
    return PlanShown(None, None, Plan(asked=scenario, resolved=scenario, refusal=refusal))


def shown(
    scenario: Scenario,
    asked: Asked,
    choice: str | None,
    sources: PageSources,
    own: Sequence[Score] = (),
    *,
    within: float = CHEAPEST,
) -> PlanShown:
    """What every page speaks of: the plan that was chosen; else the cheapest where something was left to choose, else
    the one as asked. Machines beside it are weighed `within` as much."""
    answer = _answer(scenario, asked, sources, own, within=within)
    card = _chosen(answer, asked, choice)
    if card is not None:
        return PlanShown(answer, card, card.plan)
    if answer is not None and answer.refusal is None:
        return PlanShown(answer, None, answer.asked)
    return PlanShown(answer, None, remembered_plan(scenario, sources, within=within))


def _answer(
    scenario: Scenario, asked: Asked, sources: PageSources, own: Sequence[Score], *, within: float
) -> Answer | None:
    if scenario.price is not None or scenario.load is not None:
        return None
    try:
        question = question_of(asked, scenario, known_models(), tuple(own))
    except Refusal as refusal:
        return Answer(asked=remembered_plan(scenario, sources, within=within), cards=(), found=None, refusal=refusal)
    plain = scenario
    if question.bar is not None:
        plain = replace(scenario, model=question.bar.reference, params=None, active=None, weights=Weights.AS_PUBLISHED)
    elif len(asked.models) == 1:
        only = decode({"model": asked.models[0]}).scenario
        plain = replace(scenario, model=only.model, params=only.params, active=only.active)
    for model in question.models:  # all at once, so that a slow Hub is waited for once
        if "/" in model:
            sources.coming(model)
    return remembered_answer(question, plain, sources, within=within)


def _chosen(found: Answer | None, asked: Asked, choice: str | None) -> Card | None:
    if found is None or not found.cards:
        return None
    left_open = asked.percent is not None or asked.models or asked.owned or asked.budget or asked.regions
    wanted = Kind(choice) if choice in list(Kind) else Kind.CHEAPEST if left_open else Kind.AS_ASKED
    return found.card(wanted) or found.cards[0]
