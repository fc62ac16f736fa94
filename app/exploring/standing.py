"""A question as it is weighed now: the plan that comes first, and what does when something changes. No own I/O."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from app.planning.contenders import PlanKey, cheapest_by_plan, contenders, first, key_of
from app.planning.ground import Ground, ground_of, weighed_together
from app.planning.plan import Candidate
from app.planning.planner import Sources
from app.planning.question import Question
from app.planning.stacks import Bools
from app.planning.ways import Benches
from app.planning.weigher import Weigher
from app.scenario import Scenario
from estimators.provenance import Refusal
from pricing.offers import Offer, PriceBook

NEAR = 1.5  # times the plan's cost: ways that are looked at first


@dataclass(frozen=True, slots=True, kw_only=True)
class Winner:
    """What comes first, on the scales it was weighed on."""

    weigher: Weigher
    way: int

    @property
    def key(self) -> PlanKey:
        return key_of(self.weigher, self.way)

    @property
    def usd(self) -> float:
        """A month; without end where no price is known, or none to choose by: then anything may come before it."""
        w = self.weigher.weighed
        return math.inf if w.gone[self.way] else float(w.usd[self.way])

    @property
    def offer(self) -> Offer | None:
        return self.weigher.purchase(self.way).offer

    def candidate(self) -> Candidate:
        return self.weigher.candidate(self.way)


@dataclass(frozen=True, kw_only=True)
class Standings:
    """The question weighed once, with the plan that comes first."""

    ground: Ground
    benches: tuple[Benches, ...]
    book: PriceBook
    winner: Winner

    @property
    def question(self) -> Question:
        return self.ground.question

    @cached_property
    def costs(self) -> Mapping[PlanKey, float]:
        """Dollars a month of every plan that meets every limit."""
        return cheapest_by_plan(self.winner.weigher)

    @cached_property
    def rival(self) -> Winner | None:
        """What would come first without the plan."""
        return winner_of(self.winner.weigher, self.others(lambda key: key != self.winner.key))

    def others(self, which: Callable[[PlanKey], bool]) -> Bools:
        """The ways that meet every limit and are of these plans."""
        weigher = self.winner.weigher
        mask = np.zeros(len(weigher.weighed.layout), dtype=np.bool_)
        passing = np.flatnonzero(weigher.weighed.passing).tolist()
        mask[[way for way in passing if which(key_of(weigher, way))]] = True
        return mask

    @cached_property
    def near(self) -> Ground:
        return self.up_to(NEAR * self.winner.usd)

    def up_to(self, usd: float) -> Ground:
        """The ground of what costs so much or less now: all that can come first under a heavier load at that price."""
        return self.ground.narrowed(contenders(self.winner.weigher, self.benches, usd))

    def firsts(self, ground: Ground, questions: Sequence[Question]) -> list[Winner | None]:
        """What comes first of a ground when each of these is asked; None where no plan meets every limit."""
        return [
            None if weigher is None else winner_of(weigher)
            for weigher in weighed_together([ground.asking(question) for question in questions], self.book)
        ]


def winner_of(weigher: Weigher, which: Bools | None = None) -> Winner | None:
    """What comes first, of a mask where one is given."""
    way = first(weigher, which)
    return None if way is None else Winner(weigher=weigher, way=way)


def stand(question: Question, sources: Sources) -> Standings:
    """Raises `Refusal` where nothing can be weighed, or no plan meets every limit."""
    ground = ground_of(question, sources)
    weigher, benches = ground.weighed(sources.book)
    winner = winner_of(weigher)
    if winner is None:
        raise Refusal(
            "No plan meets every limit, so there is no decision to change.",
            field="model",
            remedy="The first screen says which limit would have to give.",
        )
    return Standings(ground=ground, benches=benches, book=sources.book, winner=winner)


def slowed(scenario: Scenario, times: float) -> Scenario:
    """The load that a plan meets as this one is met by the same plan when all its times are `times` as long.

    Time has no unit of its own: a server whose steps take s times as long answers r requests a second within L seconds
    just as it now answers r s a second within L / s. Twice as slow, 5 a second within 1 s are 10 within 0.5 s.
    """
    return replace(
        scenario,
        rate=None if scenario.rate is None else scenario.rate * times,
        ttft=None if scenario.ttft is None else scenario.ttft / times,
        tpot=None if scenario.tpot is None else scenario.tpot / times,
        e2e=None if scenario.e2e is None else scenario.e2e / times,
    )
