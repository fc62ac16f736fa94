"""What fails and by how much: the limits that most ways miss, the nearest miss, and what giving way would bring."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cached_property

import numpy as np

from app.planning.plan import Candidate, Limit
from app.planning.recommendation import Loosening
from app.planning.weigher import Weigher

LOOSENED = ("ttft", "tpot", "e2e", "quality", "budget")  # limits that a person sets and can move


class Misses:
    """Of a weigher to which every layout has been added."""

    def __init__(self, weigher: Weigher) -> None:
        self._weigher = weigher

    @cached_property
    def _failed(self) -> tuple[tuple[int, tuple[Limit, ...]], ...]:
        """Per layout, its cheapest way and the limits that misses; none for one that passes, or could not be laid."""
        w = self._weigher.weighed
        ways = self._weigher.best_of_layouts(np.ones(len(w.layout), dtype=np.bool_)).tolist()
        return tuple(
            (
                way,
                ()
                if w.passing[way] or w.layouts[w.layout[way]].laid.refusal
                else tuple(limit for limit in self._weigher.limits(way, best=True) if not limit.met),
            )
            for way in ways
        )

    def killed(self) -> dict[str, int]:
        """Candidates without drafting (ways to buy included) that miss each limit; under "offer" the layouts that
        nobody sells here, which are no candidates."""
        w = self._weigher.weighed
        counts: Counter[str] = Counter()
        offers = np.zeros(len(w.layouts), dtype=np.int64)
        np.add.at(offers, w.layout, w.offers)
        for way, failed in self._failed:
            row = int(w.layout[way])
            if w.drafts[row]:
                continue
            missed = ["layout"] if w.layouts[row].laid.refusal else [limit.key for limit in failed]
            for key in missed if offers[row] else ["offer"]:
                counts[key] += int(offers[row]) or 1
        return dict(counts.most_common())

    def nearest(self) -> Candidate | None:
        """The candidate that misses fewest limits, by the least: what stands last. One that is not sold comes after all
        that are; a limit nothing could be held against, for want of a speed, counts as missed."""
        asked, w = self._weigher.question.scenario, self._weigher.weighed
        untimed = sum(limit is not None for limit in (asked.ttft, asked.tpot, asked.e2e))
        best: tuple[bool, int, float, float, int] | None = None
        for way, failed in self._failed:
            laid = w.layouts[w.layout[way]].laid
            if laid.refusal or laid.skipped:
                continue
            worst = max((limit.shortfall for limit in failed), default=0.0)
            usd = float(w.usd[way])
            missed = len(failed) + (0 if laid.replica is not None else untimed)
            key = (not np.isfinite(usd), missed, worst, usd, way)
            if best is None or key < best:
                best = key
        return self._weigher.at_best(best[-1]) if best else None

    def loosenings(self) -> Iterable[Loosening]:
        """For each limit, the candidate that misses only it and by the least."""
        best: dict[str, tuple[float, float, int, Limit]] = {}
        w = self._weigher.weighed
        for way, failed in self._failed:
            fixed = len(failed) != 1 or failed[0].value is None or failed[0].key not in LOOSENED
            if fixed or w.layouts[w.layout[way]].laid.skipped:
                continue
            key = (failed[0].shortfall, float(w.usd[way]), way, failed[0])
            if failed[0].key not in best or key[:3] < best[failed[0].key][:3]:
                best[failed[0].key] = key
        for name, (_, _, way, limit) in best.items():
            yield Loosening(
                key=name, limit=limit.limit, needed=limit.value or 0.0, candidate=self._weigher.at_best(way)
            )
