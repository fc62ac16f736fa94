"""Plans already worked out in this process, by scenario and price book: pages ask for the same ones again and again."""

from __future__ import annotations

from typing import Protocol

from app.planning.plan import Plan
from app.planning.planner import Sources, plan
from app.scenario import Scenario
from app.timed_cache import TimedCache

PLANS_KEPT = 400
PLANS_KEEP_S = 300.0  # a refreshed price or a Hub answer shows within five minutes at the latest

_plans: TimedCache[tuple[int, Scenario], Plan] = TimedCache(entries=PLANS_KEPT, seconds=PLANS_KEEP_S)


class VersionedSources(Sources, Protocol):
    """Sources that say when an answer may have changed."""

    @property
    def version(self) -> int: ...


def remembered_plan(scenario: Scenario, sources: VersionedSources) -> Plan:
    """`plan`, or the same plan as a moment ago."""
    key = (sources.version, scenario)
    known = _plans.get(key)
    if known is None:
        known = plan(scenario, sources)
        _plans.put(key, known)
    return known
