"""A question answered by up to three plans: as asked, the cheapest that meets every limit, and a safe one. Pure.

As asked is the model as published, without drafting, on the cheapest machines that do. The cheapest may take any
precision, cache, drafting and machine that is allowed. The safe one clears every limit with its whole 80 % interval,
on evidence of this chip and this model. Plans that coincide are one card.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache, partial
from typing import Protocol

from app.planning.budget import Allowance, OutOfBudget
from app.planning.plan import OBJECTIVES, Candidate, Plan, p95_of
from app.planning.planner import CHEAPEST, Sources, plan
from app.planning.quality_bar import SIXTEEN_BITS
from app.planning.question import Question
from app.planning.recommend import Explained, Weighing, best_plans, recommend, recommendation
from app.planning.recommendation import Ranked, Recommendation
from app.planning.weigher import Weigher
from app.scenario import Scenario, model_text
from estimators.latency.estimate import Interval, LatencyEstimate
from estimators.precision import KvPrecision, Weights
from estimators.provenance import Refusal
from estimators.quality.recovery import Level, recovery
from estimators.quality.verdict import Meets
from pricing.offers import PurchaseOption

SAFE_SHOWN = 30
_ROWS = re.compile(r"[0-9]+ published rows on .+, (?P<exact>[0-9]+) of them with ")


class Kind(StrEnum):
    """What a card answers."""

    AS_ASKED = "as asked"
    CHEAPEST = "cheapest"
    SAFE = "safe"


class Grade(StrEnum):
    """How near the evidence of a figure is to the case, the nearest first."""

    MEASURED = "measured here"
    CASE = "published for this case"
    NEAR = "published for this model or chip"
    CLASS = "from its class"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What is known of a plan's quality. `ratio` of the model as published, or of the bar's reference; None: unknown"""

    ratio: float | None
    low: float | None
    grade: Grade | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One plan with what a reader decides by. `saving_usd` is a month against as asked; negative costs more."""

    kinds: tuple[Kind, ...]
    plan: Plan
    candidate: Candidate
    saving_usd: Decimal | None
    times: Mapping[str, Interval]  # "ttft", "tpot", "e2e": 95th percentile with its 80 % interval
    speed: Grade | None
    quality: Quality

    @property
    def may_miss(self) -> tuple[str, ...]:
        """Keys of the limits that are met by the estimate and missed within its interval."""
        keys = [limit.key for limit in self.candidate.limits if limit.may_miss]
        memory = self.candidate.memory
        if memory is not None and memory.fits and memory.memory_bytes_per_gpu_high > memory.memory_budget_bytes_per_gpu:
            keys.append("memory")
        return tuple(dict.fromkeys(keys))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The cards in the order as asked, cheapest, safe; and the recommendation, with the one plan the cheapest heads."""

    asked: Plan
    cards: tuple[Card, ...]
    found: Recommendation | None
    refusal: Refusal | None = None  # why nothing could be weighed
    stopped: Refusal | None = None  # why not everything was looked for: it would have taken too long

    def card(self, kind: Kind) -> Card | None:
        return next((card for card in self.cards if kind in card.kinds), None)


class Planned(Protocol):
    """How the plan as asked is made; `weighed` is what the question weighed already."""

    def __call__(self, asked: Scenario, /, *, weighed: Weigher | None) -> Plan: ...


def answer(question: Question, asked: Scenario, sources: Sources, planned: Planned | None = None) -> Answer:
    """The cards of `question`, whose model as published is what `asked` says: its plan by `planned`, where the caller
    has its own way to make it. Raises nothing."""
    budget, explained = Allowance(), lru_cache(maxsize=None)(partial(plan, sources=sources))  # cards may be one plan
    weighing, found, own, refusal, stopped = None, None, None, None, None
    try:
        with budget.spending():
            weighing = Weighing(question, sources)
            found = recommendation(weighing, explained, shown=1, told=False)
            own = _as_published(question, asked, sources) if _wider(question, asked) else None
    except Refusal as refused:
        refusal, own = refused.kept(), None
    except OutOfBudget as out:
        refusal = stopped = out.refusal
        own = None
    if own is None and not question.owned:
        asked = replace(asked, region=question.regions[0], buy=question.options[0])
    weighed = weighing.weigher if weighing else None
    if planned is None:
        planned = partial(plan, sources=sources, within=CHEAPEST)
    plain = own.plan if own else planned(asked, weighed=weighed)
    ways: list[tuple[Kind, Plan, Candidate]] = []
    named = question.bar is not None or asked.model is None or asked.model in question.models
    if named and plain.chosen is not None and plain.chosen.memory is not None:
        ways.append((Kind.AS_ASKED, plain, own.candidate if own else plain.chosen))
    if found is not None and found.plans:
        ways.append((Kind.CHEAPEST, found.plans[0].plan, found.plans[0].candidate))
        plainly = Ranked(candidate=ways[0][2], plan=plain, next_cheaper=None)
        safe, stopped = _safe(question, plainly, sources, explained, budget, weighed)
        if safe is not None:
            ways.append((Kind.SAFE, safe.plan, safe.candidate))
    return Answer(asked=plain, cards=tuple(_cards(ways)), found=found, refusal=refusal, stopped=stopped)


def _wider(question: Question, asked: Scenario) -> bool:
    """Whether the question allows other hardware, regions or ways to pay than the scenario names."""
    return bool(question.owned) or question.regions != (asked.region,) or question.options != (asked.buy,)


def _as_published(question: Question, asked: Scenario, sources: Sources) -> Ranked | None:
    """The model as published on the cheapest of what the question allows."""
    found = recommend(_plainly(question, asked), sources, shown=1, told=False).plans
    return found[0] if found else None


def _plainly(question: Question, asked: Scenario) -> Question:
    model = asked.model or question.models[0]
    return replace(question, models=(model,), weights=(asked.weights,), kv=(asked.kv,), drafting=False, bar=None)


def narrowed_to(card: Card, question: Question, asked: Scenario) -> Question:
    """The question that a card is the answer to: the whole one where it is the cheapest, which keeps what was asked as
    long as nothing else is cheaper; else the narrower one it was found by. A safe plan also has the nearest evidence,
    which no question asks for."""
    if Kind.CHEAPEST in card.kinds:
        kept = card.plan.precision if Kind.AS_ASKED in card.kinds else None
        return replace(question, favoured=(model_text(asked), kept.weights) if kept else None)
    return _plainly(question, asked) if Kind.AS_ASKED in card.kinds else _surely(question)


def _cards(ways: list[tuple[Kind, Plan, Candidate]]) -> Iterator[Card]:
    """One card a plan; a cheapest plan that is no cheaper than what was asked, which does too, is what was asked."""
    kinds: dict[int, list[Kind]] = {}
    for number, (kind, _, candidate) in enumerate(ways):
        same = next((n for n in kinds if _coincide(kind, ways[n][2], candidate)), number)
        kinds.setdefault(same, []).append(kind)
    asked = next((c.usd_per_month for kind, _, c in ways if kind is Kind.AS_ASKED), None)
    for number, found in kinds.items():
        _, made, candidate = ways[number]
        latency = candidate.latency or (made.chosen.latency if made.chosen else None)
        usd = candidate.usd_per_month
        new = Kind.AS_ASKED not in found and asked is not None and usd is not None
        yield Card(
            kinds=tuple(found),
            plan=made,
            candidate=candidate,
            saving_usd=asked - usd if new and asked is not None and usd is not None else None,
            times={key: p95_of(latency, key) for key in OBJECTIVES} if latency else {},
            speed=speed_grade(latency),
            quality=_quality(candidate),
        )


def _coincide(kind: Kind, shown: Candidate, other: Candidate) -> bool:
    if kind is Kind.CHEAPEST:  # nothing is given up where it saves nothing
        does = shown.eligible and all(limit.met for limit in shown.limits)
        if does and shown.usd_per_month is not None and other.usd_per_month is not None:
            return _burden(shown) <= _burden(other)
    return _identity(shown) == _identity(other)


def _burden(candidate: Candidate) -> tuple[Decimal, int]:
    """Dollars a month; then, of hardware one has, how much of it is kept busy."""
    return candidate.usd_per_month or Decimal(0), owned_accelerators(candidate)


def owned_accelerators(candidate: Candidate) -> int:
    """How many of one's own accelerators a plan keeps busy; 0 for what is rented."""
    own = candidate.offer is not None and candidate.offer.option is PurchaseOption.OWNED
    return candidate.instances if own else 0


def _identity(candidate: Candidate) -> tuple[object, ...]:
    s = candidate.scenario
    cache = None if s.kv is KvPrecision.AUTO or s.kv in (KvPrecision.BF16, KvPrecision.FP16) else s.kv
    return (
        candidate.model,
        s.weights,
        cache,
        candidate.label,
        s.gpus,
        s.pp,
        candidate.replicas,
        s.region,
        s.buy,
        s.spec,
    )


def _safe(
    question: Question,
    plainly: Ranked | None,
    sources: Sources,
    explained: Explained,
    budget: Allowance,
    weighed: Weigher | None,
) -> tuple[Ranked | None, Refusal | None]:
    """(the cheapest plan whose whole interval clears every limit, why the search was stopped); the one as asked, where
    it does and nothing that does is cheaper."""
    asked = question.scenario
    timed = any(getattr(asked, key) is not None for key in OBJECTIVES) or asked.rate is not None

    def clears(ranked: Ranked) -> bool:
        return _clears(ranked, timed)

    may_stand = plainly is not None and question.bar is None and plainly.candidate.eligible
    best = plainly if plainly and may_stand and clears(plainly) else None
    try:
        with budget.spending():
            plans = tuple(best_plans(_surely_weighed(question, sources, weighed), explained, SAFE_SHOWN, clears))
    except Refusal:
        return best, None
    except OutOfBudget as out:
        return best, out.refusal
    found = plans[-1] if plans and clears(plans[-1]) else None
    return (found if found is not None and (best is None or _usd(found) < _usd(best)) else best), None


def _surely(question: Question) -> Question:
    """Limits held for the whole interval, without what is not published for every load."""
    held = replace(question, whole_interval=True, drafting=False)
    # what an FP8 cache keeps is published for tasks alone
    return held if question.bar is not None else replace(held, kv=(question.scenario.kv,))


def _surely_weighed(question: Question, sources: Sources, weighed: Weigher | None) -> Weigher:
    """Limits held for the whole interval: where time has none, what was weighed without it stands, as no other limit
    has one."""
    sure, asked = _surely(question), question.scenario
    if weighed is None or any(getattr(asked, key) is not None for key in OBJECTIVES):
        return Weighing(sure, sources).weigher
    kept = [number for number, v in enumerate(weighed.variants) if v.own_cache or sure.kv == question.kv]
    return weighed.narrowed(weighed.question, kept, weighed.judgements)


def _usd(ranked: Ranked) -> Decimal:
    return ranked.candidate.usd_per_month or Decimal(0)


def _clears(ranked: Ranked, timed: bool) -> bool:
    """Every limit with the whole interval, memory's high end within its budget, on evidence of this case."""
    candidate, chosen = ranked.candidate, ranked.plan.chosen
    if chosen is None or chosen.memory is None or any(limit.may_miss or not limit.met for limit in candidate.limits):
        return False
    if chosen.memory.memory_bytes_per_gpu_high > chosen.memory.memory_budget_bytes_per_gpu:
        return False
    if timed and speed_grade(chosen.latency) in (None, Grade.CLASS):
        return False
    result = candidate.quality.result
    if result is not None:
        return result.meets is Meets.YES
    known = _quality(candidate)
    return known.ratio is not None and known.grade in (Grade.MEASURED, Grade.CASE)


def speed_grade(latency: LatencyEstimate | None) -> Grade | None:
    """ "113 published rows on L40S, 0 of them with vllm and fp8 products" is evidence of the chip, not of the case."""
    if latency is None:
        return None
    rows = _ROWS.match(latency.evidence)
    if rows is None:
        return Grade.CLASS
    return Grade.CASE if int(rows["exact"]) else Grade.NEAR


_GRADES = {Level.REFERENCE: Grade.CASE, Level.EXACT: Grade.CASE, Level.FAMILY: Grade.NEAR}


def _quality(candidate: Candidate) -> Quality:
    """Against the bar's reference where there is a bar; else the share of its own suite averages a precision keeps."""
    verdict = candidate.quality.verdict
    if verdict is not None:
        known = verdict.ratio is not None and candidate.quality.known
        grade = _GRADES.get(verdict.level, Grade.CLASS) if known and verdict.level else None
        return Quality(ratio=verdict.ratio if known else None, low=verdict.low if known else None, grade=grade)
    asked = candidate.scenario
    if asked.kv is KvPrecision.FP8:
        return Quality(ratio=None, low=None, grade=None)
    if asked.weights is Weights.AS_PUBLISHED or asked.weights in SIXTEEN_BITS:
        return Quality(ratio=1.0, low=1.0, grade=Grade.CASE)
    found = recovery(asked.model, asked.weights.value) if asked.model else None
    if found is None or found.median is None:
        return Quality(ratio=None, low=None, grade=None)
    return Quality(ratio=found.median, low=found.low, grade=_GRADES.get(found.level, Grade.CLASS))
