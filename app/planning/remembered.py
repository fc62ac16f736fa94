"""Recommendations already worked out in this process, by question and price book."""

from __future__ import annotations

from app.planning.memo import VersionedSources
from app.planning.question import Question
from app.planning.recommend import recommend
from app.planning.recommendation import Recommendation
from app.timed_cache import TimedCache

_answers: TimedCache[tuple[int, Question], Recommendation] = TimedCache(entries=40, seconds=300.0)


def remembered_recommendation(question: Question, sources: VersionedSources) -> Recommendation:
    """`recommend`, or the same answer as a moment ago."""
    key = (sources.version, question)
    known = _answers.get(key)
    if known is None:
        known = recommend(question, sources)
        _answers.put(key, known)
    return known
