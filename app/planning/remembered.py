"""Plans and recommendations already worked out in this process: pages ask for the same ones again and again."""

from __future__ import annotations

from typing import Protocol

from app.planning.answer import Answer, answer
from app.planning.plan import Plan
from app.planning.planner import Sources, plan
from app.planning.question import Question
from app.planning.recommend import recommend
from app.planning.recommendation import Recommendation
from app.scenario import Scenario
from app.timed_cache import TimedCache

SECONDS_KEPT = 300.0  # a refreshed price or a Hub answer shows within five minutes at the latest

_plans: TimedCache[tuple[int, Scenario, bool], Plan] = TimedCache(entries=400, seconds=SECONDS_KEPT)
_answers: TimedCache[tuple[int, Question], Recommendation] = TimedCache(entries=40, seconds=SECONDS_KEPT)
_cards: TimedCache[tuple[int, Question, Scenario], Answer] = TimedCache(entries=100, seconds=SECONDS_KEPT)


class VersionedSources(Sources, Protocol):
    """Sources that say when an answer may have changed."""

    @property
    def version(self) -> int: ...


def remembered_plan(scenario: Scenario, sources: VersionedSources, *, whole: bool = False) -> Plan:
    """`plan`, or the same plan as a moment ago; `whole` with every machine weighed."""
    key = (sources.version, scenario, whole)
    known = _plans.get(key)
    if known is None:
        known = plan(scenario, sources, whole=whole)
        _plans.put(key, known)
    return known


def remembered_recommendation(question: Question, sources: VersionedSources) -> Recommendation:
    """`recommend`, or the same answer as a moment ago."""
    key = (sources.version, question)
    known = _answers.get(key)
    if known is None:
        known = recommend(question, sources)
        _answers.put(key, known)
    return known


def remembered_answer(question: Question, asked: Scenario, sources: VersionedSources) -> Answer:
    """`answer`, or the same cards as a moment ago."""
    key = (sources.version, question, asked)
    known = _cards.get(key)
    if known is None:
        known = answer(question, asked, sources)
        _cards.put(key, known)
    return known
