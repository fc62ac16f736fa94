"""What would change a decision: for each assumption the nearest value, down and up, at which another plan comes first.

Every value is the one planner's answer to the same question with that one thing changed. It is looked for outward from
the present value in even steps of its logarithm, then between the last step that keeps the plan and the first that does
not. Only ways that a bound leaves standing are weighed again (`_between_ends`), fewer still once that step is found
(`_within`), and what several assumptions ask is served together: asking costs more than what is asked. No Streamlit, no
own I/O.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import islice
from typing import TypeAlias

import numpy as np

from app.exploring.likelihood import Likelihood, likelihood
from app.exploring.outward import Flip, looked_for, outward
from app.exploring.repricing import place_of, repriced
from app.exploring.sensitivity import MOST_HOURS, Assumption, assumptions_of
from app.exploring.standing import NEAR, Standings, Winner, slowed, stand, winner_of
from app.planning.budget import QUESTION_S, Allowance, OutOfBudget
from app.planning.contenders import PlanKey, cheapest_by_plan, contenders, reweighed
from app.planning.ground import NEARLY, Ground, Scales, scales_of
from app.planning.market import market_of
from app.planning.plan import OBJECTIVES, Candidate
from app.planning.quality_bar import judge
from app.planning.question import QualityBar, Question
from app.planning.remembered import SECONDS_KEPT, VersionedSources
from app.planning.ways import Cell
from app.planning.weigh import SAME_PRICE
from app.timed_cache import TimedCache
from pricing.offers import Offer, PurchaseOption

FARTHEST = 4.0  # how far a value is looked for, as a factor of the present one
FEW_LAYOUTS = 5_000  # of a question whose assumptions are all looked at side by side; of more, one after the other
MOST_S = 2 * QUESTION_S  # for one decision: of one model it takes a third of one, of 37 all of one
PERMILLE = 1_000  # a quality bar is looked at in tenths of a point


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """One assumption: its value now, the values between which it was looked at, and the flips found on either side.

    `key` is the vocabulary's, or "price" (of the plan's machine, dollars an hour), "rival_price" (of the machine that
    needs the least discount) or "speed" (what the plan's times are multiplied by; 1 now).
    """

    key: str
    name: str
    now: float
    low: float
    high: float
    down: Flip | None = None
    up: Flip | None = None

    @property
    def nearest(self) -> Flip | None:
        return min((flip for flip in (self.down, self.up) if flip), key=self.distance, default=None)

    def distance(self, flip: Flip) -> float:
        """How far off, as a share of the factor a value is looked for within; of a quality bar, of its five points."""
        if self.key == "quality":
            return abs(flip.value - self.now) / NEARLY
        return abs(math.log(max(flip.value, 1e-12) / self.now)) / math.log(FARTHEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """The plan that comes first and what would change it. `rival` is what would come first without it; `stopped` says
    why not everything was looked at."""

    question: Question
    chosen: Candidate
    key: PlanKey
    rival: Candidate | None
    offer: Offer | None
    rival_offer: Offer | None  # the one of "rival_price"
    outlooks: tuple[Outlook, ...]
    stopped: str = ""

    @property
    def by_nearness(self) -> tuple[Outlook, ...]:
        """Those that flip, the nearest first."""
        near = [(outlook.distance(flip), outlook) for outlook in self.outlooks if (flip := outlook.nearest)]
        return tuple(outlook for _, outlook in sorted(near, key=lambda pair: pair[0]))


Asked: TypeAlias = tuple[int, int, Question, float]  # of which book and version of the sources, what, traffic off by
# Asks for grounds to be weighed, and is sent their scales; None for a load that no engine takes.
Search: TypeAlias = Generator[Sequence[Ground], Sequence[Scales | None], Flip | None]
_standings: TimedCache[Asked, Standings] = TimedCache(entries=4, seconds=SECONDS_KEPT)  # each holds its book
_decided: TimedCache[Asked, Decided] = TimedCache(entries=40, seconds=SECONDS_KEPT)
_likely: TimedCache[Asked, Likelihood] = TimedCache(entries=40, seconds=SECONDS_KEPT)


def decided(question: Question, sources: VersionedSources) -> Decided:
    """The decision on a question, or the same as a moment ago. Raises `Refusal` where no plan meets every limit."""
    standing = _standing(question, sources)
    return _decided.once(_asked(question, sources), lambda: decide(standing), kept=lambda found: not found.stopped)


def how_likely(question: Question, sources: VersionedSources, traffic_percent: float = 0.0) -> Likelihood | None:
    """How likely what comes first is the cheapest; None where that would take too long. Raises `Refusal`."""
    standing = _standing(question, sources)

    def made() -> Likelihood:
        with Allowance().spending():
            return likelihood(standing, traffic_percent)

    try:
        return _likely.once(_asked(question, sources, traffic_percent), made)
    except OutOfBudget:
        return None


def _asked(question: Question, sources: VersionedSources, traffic_percent: float = 0.0) -> Asked:
    return id(sources.book), sources.version, question, traffic_percent


def _standing(question: Question, sources: VersionedSources) -> Standings:
    def made() -> Standings:
        with Allowance().spending():
            return stand(question, sources)

    try:
        return _standings.once(_asked(question, sources), made)
    except OutOfBudget as out:
        raise out.refusal from None


def decide(standing: Standings) -> Decided:
    """What would change what comes first, as far as the time allows."""
    budget, found, stopped = Allowance(MOST_S), list[Outlook](), ""
    rival_offer = _rival_offer(standing)
    try:
        with budget.spending():
            for outlook in _outlooks(standing, rival_offer):  # what was found before the time ran out stays
                found.append(outlook)
    except OutOfBudget as out:
        stopped = out.refusal.message
    winner, rival = standing.winner, standing.rival
    return Decided(
        question=standing.question,
        chosen=winner.candidate(),
        key=winner.key,
        rival=None if rival is None else rival.candidate(),
        offer=winner.offer,
        rival_offer=rival_offer,
        outlooks=tuple(found),
        stopped=stopped,
    )


def _outlooks(standing: Standings, rival_offer: Offer | None) -> Iterator[Outlook]:
    """What is cheap to find comes first: where the time runs out, the rest is missing."""
    scenario, bar = standing.question.scenario, standing.question.bar
    if (own := standing.winner.offer) is not None and own.usd_per_hour > 0:
        yield _price(standing, own, "price", FARTHEST)
    if rival_offer is not None:
        yield _price(standing, rival_offer, "rival_price", 1 / FARTHEST)
    if slowed(scenario, 2.0) != scenario:
        yield _speed(standing)
    if bar is not None:
        yield _quality(standing, bar)
    assumed = [
        assumption
        for assumption in assumptions_of(
            replace(scenario, buy=PurchaseOption.ON_DEMAND)
        )  # the question has its own ways
        if assumption.value > 0 and (assumption.key != "hours" or _hours_matter(standing.question))
    ]
    at_once = len(assumed) if len(standing.winner.weigher.layouts) <= FEW_LAYOUTS else 1
    for start in range(0, len(assumed), max(1, at_once)):
        yield from _assumed(standing, assumed[start : start + at_once])


def _hours_matter(question: Question) -> bool:
    """Where every way to pay is billed by the hour, hours scale every plan alike; where none is, they scale nothing."""
    mixed = len({option.committed for option in question.options}) > 1
    return not question.owned and (mixed or question.budget_usd_per_month is not None)


def _assumed(standing: Standings, assumptions: Sequence[Assumption]) -> list[Outlook]:
    """Loads, lengths, limits or hours, both ways, all looked for side by side."""
    ends = [ends_of(assumption) for assumption in assumptions]
    searches = [
        _toward(standing, assumption, end)
        for assumption, both in zip(assumptions, ends, strict=True)
        for end in both
        if end != assumption.value
    ]
    flips = iter(_together(standing, searches))
    return [
        Outlook(
            key=assumption.key, name=assumption.name, now=assumption.value, low=low, high=high,
            down=next(flips) if low != assumption.value else None, up=next(flips) if high != assumption.value else None,
        )
        for assumption, (low, high) in zip(assumptions, ends, strict=True)
    ]  # fmt: skip


def ends_of(assumption: Assumption) -> tuple[float, float]:
    """Between which values an assumption is looked at."""
    now = assumption.value
    low = max(1.0, now / FARTHEST) if assumption.whole else now / FARTHEST
    high = min(float(MOST_HOURS), now * FARTHEST) if assumption.key == "hours" else now * FARTHEST
    return low, high


def _together(standing: Standings, searches: Sequence[Search]) -> list[Flip | None]:
    """What each search comes to; what all of them ask next is weighed at once."""
    found: list[Flip | None] = [None] * len(searches)
    asked: dict[int, Sequence[Ground]] = {}

    def go_on(number: int, scales: Sequence[Scales | None] | None) -> None:
        try:
            asked[number] = next(searches[number]) if scales is None else searches[number].send(scales)
        except StopIteration as ended:
            asked.pop(number, None)
            found[number] = ended.value

    for number in range(len(searches)):
        go_on(number, None)
    while asked:
        scales = iter(scales_of([ground for grounds in asked.values() for ground in grounds], standing.book))
        for number, grounds in list(asked.items()):
            go_on(number, list(islice(scales, len(grounds))))
    return found


def _toward(standing: Standings, assumption: Assumption, end: float) -> Search:
    """The nearest flip between the present value and `end`."""
    now, monotone = assumption.value, assumption.key not in ("prompt", "output")
    heavier = (end > now) == (assumption.key not in OBJECTIVES)
    made: dict[float, Scales | None] = {}

    def asked(value: float) -> Question:
        return replace(standing.question, scenario=assumption.at(standing.question.scenario, value))

    ground = yield from _between_ends(standing, asked(end), heavier=heavier, monotone=monotone)
    steps = outward(
        now,
        end,
        lambda found: found is not None and found.key == standing.winner.key,
        whole=assumption.whole,
        digits=4 if assumption.whole else 3,
    )
    step, whole = next(steps), True
    while True:
        if whole and step.value != step.before and step.before in made:
            light, heavy = (step.before, step.value) if heavier else (step.value, step.before)
            ground, whole = _within(ground, made[light], made[heavy], monotone=monotone), False
        values = [*step.points, *([] if made else [now])]
        made |= zip(values, (yield [ground.asking(asked(value)) for value in values]), strict=True)
        try:
            step = steps.send([scales and winner_of(scales.weigher) for scales in map(made.get, step.points)])
        except StopIteration as ended:
            flip: Flip | None = ended.value
            return flip


def _between_ends(
    standing: Standings, end: Question, *, heavier: bool, monotone: bool
) -> Generator[Sequence[Ground], Sequence[Scales | None], Ground]:
    """The cells that could come first on the way from the present question to `end`.

    What grows dearer the heavier the load costs at least what it does at the lighter end, and the winner at most what
    it does at the heavier. Longer prompts and answers weigh more, yet a longer answer takes less time per token: there
    a cell costs no less than at the cheaper of its two ends, and some plan no more than at the dearer of its own; half
    as much again is kept, as the plan's layout may change on the way.
    """
    if monotone and heavier:
        (there,) = yield [standing.near.asking(end)]
        hardest = there and winner_of(there.weigher)
        return standing.up_to(math.inf if hardest is None else hardest.usd)
    (there,) = yield [standing.ground.asking(end)]
    if there is None:  # no engine takes a request of that length
        return standing.up_to(math.inf)
    if monotone:
        return standing.ground.narrowed(contenders(there.weigher, there.benches, standing.winner.usd))
    return standing.ground.narrowed(_either(Scales(standing.winner.weigher, standing.benches, ()), there))


def _within(ground: Ground, light: Scales | None, heavy: Scales | None, *, monotone: bool) -> Ground:
    """The same between the lighter and the heavier end of a step: what comes first there costs no less than at the
    lighter, and no more than what comes first at the heavier."""
    if light is None or heavy is None or (hardest := winner_of(heavy.weigher)) is None:
        return ground
    kept = contenders(light.weigher, light.benches, hardest.usd) if monotone else _either(light, heavy)
    return ground.narrowed(kept)


def _either(one: Scales, other: Scales) -> AbstractSet[Cell]:
    """The cells of one ground that could come first between two loads of it, neither the heavier for all."""
    costs, there = cheapest_by_plan(one.weigher), cheapest_by_plan(other.weigher)
    most = NEAR * min((max(usd, there[key]) for key, usd in costs.items() if key in there), default=math.inf)
    return contenders(one.weigher, one.benches, most) | contenders(other.weigher, other.benches, most)


def _price(standing: Standings, offer: Offer, key: str, times: float) -> Outlook:
    """One price moves: nothing is served anew."""
    now = float(offer.usd_per_hour)
    elsewhere = [
        usd for plan, usd in standing.costs.items() if (plan.machine, plan.region, plan.option) != place_of(offer)
    ]
    most = min(elsewhere, default=math.inf) if key == "price" else _least_on(standing, offer)
    scales = standing.up_to(max(most, standing.winner.usd)).laid(standing.book)
    weigher = scales.weigher
    weigher.add(scales.layouts, bounds=any(bench.drafting for bench in scales.benches))
    weigher.add_drafting(scales.benches, prune=False)

    def firsts(values: Sequence[float]) -> list[Winner | None]:
        found = []
        for value in values:
            question, book = repriced(standing.question, standing.book, offer, Decimal(repr(value)))
            chips = standing.ground.asking(question).chips
            found.append(winner_of(reweighed(weigher, question, chips, market_of(question, chips, book))))
        return found

    search = outward(now, times * now, lambda found: found is not None and found.key == standing.winner.key, digits=4)
    flip = looked_for(search, firsts)
    up = times > 1
    return Outlook(
        key=key, name=offer.instance_type, now=now, low=now if up else now * times, high=now * times if up else now,
        down=None if up else flip, up=flip if up else None,
    )  # fmt: skip


def _least_on(standing: Standings, offer: Offer) -> float:
    """Dollars a month of the cheapest plan at this price."""
    costs = standing.costs.items()
    return min(usd for plan, usd in costs if (plan.machine, plan.region, plan.option) == place_of(offer))


def _rival_offer(standing: Standings) -> Offer | None:
    """The price of another machine whose plan costs least: the one that needs the least discount to come first."""
    own = standing.winner.offer
    for key in sorted(standing.costs, key=lambda key: standing.costs[key]):
        place = (key.machine, key.region, key.option)
        if standing.costs[key] > 0 and key.option is not None and (own is None or place != place_of(own)):
            purchases = (purchase for several in standing.winner.weigher.market.sold for purchase in several)
            return next(p.offer for p in purchases if p.offer is not None and place_of(p.offer) == place)
    return None


def _speed(standing: Standings) -> Outlook:
    """The plan's accelerator is slower than estimated for everything, all others are as estimated."""
    winner, weigher = standing.winner, standing.winner.weigher
    names = np.array([chip.machine.accelerator.name for chip in weigher.chips])
    own = weigher.purchase(winner.way).machine.accelerator.name
    rival = winner_of(weigher, names[weigher.weighed.chip[weigher.weighed.layout]] != own)
    usd = math.inf if rival is None else rival.usd
    ground = standing.up_to(usd)
    alone = ground.narrowed({cell for cell in ground.cells or () if names[cell.chip] == own})

    def firsts(values: Sequence[float]) -> list[Winner | None]:
        scenario = standing.question.scenario
        asked = [replace(standing.question, scenario=slowed(scenario, times)) for times in values]
        found = standing.firsts(alone, asked)
        return [rival if one is None or one.usd > usd * (1 + SAME_PRICE) else one for one in found]

    search = outward(1.0, FARTHEST, lambda found: found is not None and found.key == winner.key)
    flip = looked_for(search, firsts)
    return Outlook(key="speed", name=own, now=1.0, low=1.0, high=FARTHEST, up=flip)


def _quality(standing: Standings, bar: QualityBar) -> Outlook:
    """The bar moves: nothing is served anew. It matters where the plan's own quality falls short of it, and where one
    that is as cheap begins to pass; downwards as far as variants were weighed."""
    weigher, now, key = standing.winner.weigher, bar.minimum_ratio, standing.winner.key
    w = weigher.weighed
    cheap = set(w.variant[w.layout[w.speed & (w.usd <= standing.winner.usd * (1 + SAME_PRICE))]].tolist())
    own = {v for v, variant in enumerate(weigher.variants) if (variant.model, variant.precision.weights) == key[:2]}
    values = [
        (v, now + judged.result.margin)
        for v, judged in enumerate(weigher.judgements)
        if judged.known and judged.result is not None and judged.result.margin is not None
        and abs(judged.result.margin) <= NEARLY
    ]  # fmt: skip
    short = sorted({math.floor(value * PERMILLE) + 1 for v, value in values if v in own and value >= now})
    enough = sorted({math.floor(value * PERMILLE) for v, value in values if v in cheap and value < now}, reverse=True)
    return Outlook(
        key="quality", name="Quality bar", now=now, low=now - NEARLY, high=now + NEARLY,
        down=next(filter(None, (_moved(standing, bar, step, step + 1) for step in enough)), None),
        up=next(filter(None, (_moved(standing, bar, step, step - 1) for step in short)), None),
    )  # fmt: skip


def _moved(standing: Standings, bar: QualityBar, step: int, before: int) -> Flip | None:
    """The flip with the bar at `step` thousandths of the reference, if it is one."""
    weigher, there = standing.winner.weigher, replace(bar, minimum_ratio=step / PERMILLE)
    judgements = tuple(judge(v.model, v.precision, v.kv, there) for v in weigher.variants)
    question = replace(standing.question, bar=there)
    found = winner_of(reweighed(weigher, question, weigher.chips, weigher.market, judgements))
    if found is not None and found.key == standing.winner.key:
        return None
    to = None if found is None else found.candidate()
    return Flip(value=step / PERMILLE, before=before / PERMILLE, to=to)
