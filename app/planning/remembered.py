"""Plans and recommendations already worked out in this process: pages ask for the same ones again and again.

One link opened by many people is worked out once: who asks while it is being worked out waits for it.
"""

from __future__ import annotations

from functools import partial
from typing import Protocol

from app.planning.answer import Answer, answer
from app.planning.budget import Allowance, OutOfBudget, waiting
from app.planning.plan import Plan
from app.planning.planner import CHEAPEST, Sources, plan
from app.planning.question import Question
from app.planning.recommend import recommend
from app.planning.recommendation import Recommendation
from app.planning.weigher import Weigher
from app.scenario import Scenario
from app.timed_cache import TimedCache
from estimators.architecture.hub.errors import HubPending

SECONDS_KEPT = 300.0  # a refreshed price or a Hub answer shows within five minutes at the latest

_plans: TimedCache[tuple[int, Scenario, float], Plan] = TimedCache(entries=400, seconds=SECONDS_KEPT)
_answers: TimedCache[tuple[int, Question, bool], Recommendation] = TimedCache(entries=40, seconds=SECONDS_KEPT)
_cards: TimedCache[tuple[int, Question, Scenario, float], Answer] = TimedCache(entries=100, seconds=SECONDS_KEPT)


class VersionedSources(Sources, Protocol):
    """Sources that say when an answer may have changed."""

    @property
    def version(self) -> int: ...


def remembered_plan(
    scenario: Scenario, sources: VersionedSources, *, within: float = CHEAPEST, weighed: Weigher | None = None
) -> Plan:
    """`plan`, or the same plan as a moment ago."""

    def made() -> Plan:
        with Allowance().spending():
            return plan(scenario, sources, within=within, weighed=weighed)

    try:
        return _plans.once((sources.version, scenario, within), made, kept=_settled, waiting=waiting)
    except OutOfBudget as stopped:
        return Plan(asked=scenario, resolved=scenario, refusal=stopped.refusal)


def _settled(plan: Plan) -> bool:
    return not isinstance(plan.refusal, HubPending)


def remembered_recommendation(question: Question, sources: VersionedSources, *, first: bool = False) -> Recommendation:
    """`recommend`, or the same answer as a moment ago; with `first` its best plan alone, and nothing told beside it.

    Raises `Refusal`, for what takes too long as well.
    """

    def made() -> Recommendation:
        with Allowance().spending():
            return recommend(question, sources, shown=1, told=False) if first else recommend(question, sources)

    try:
        return _answers.once((sources.version, question, first), made, waiting=waiting)
    except OutOfBudget as stopped:
        raise stopped.refusal from None


def remembered_answer(
    question: Question, asked: Scenario, sources: VersionedSources, *, within: float = CHEAPEST
) -> Answer:
    """`answer`, or the same cards as a moment ago; the plan as asked is the one `remembered_plan` has `within` as
    much."""
    return _cards.once(
        (sources.version, question, asked, within),
        lambda: answer(
            question,
            asked,
            sources,
            partial(remembered_plan, sources=sources, within=within) if within > CHEAPEST else None,
        ),
        kept=lambda found: _settled(found.asked) and (found.found is not None or found.stopped is None),
        waiting=waiting,
    )


def forget() -> None:
    """Remember nothing: another book stands behind the same version."""
    for cache in (_plans, _answers, _cards):
        cache.clear()
