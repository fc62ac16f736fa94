"""Scenario and sources in, Plan out: the one place where estimators and prices meet. No Streamlit, no own I/O.

A scenario is a question in which everything named is fixed: what it leaves open is weighed by the one weigher, and
what comes first is explained by the full estimate.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Protocol

import numpy as np

from app.format import gib
from app.planning import refusals
from app.planning.engine_support import Reasons, unsupported
from app.planning.explain import Deployment, explain, misses, overrun
from app.planning.loads import is_population, searches_replicas, settings_of, speculation_of, workload_of
from app.planning.market import Chip, Market, chips_of, market_of, placements
from app.planning.plan import Candidate, Plan
from app.planning.quality_bar import NO_BAR
from app.planning.question import Question
from app.planning.replicas import Ask, Served, serve
from app.planning.ways import Layout, Variant, benches_of
from app.planning.weigh import SAME_PRICE, buy
from app.planning.weigher import Weigher
from app.scenario import Scenario
from estimators.architecture.spec import ModelSpec
from estimators.architecture.typical import spec_from_parameter_count
from estimators.engines.support import precision_in
from estimators.hardware.catalogue import read_as
from estimators.measuring.measurement import Measurement
from estimators.memory import draft_precision
from estimators.precision import Precision
from estimators.provenance import Refusal
from estimators.workload import Placement
from pricing.offers import PriceBook, PurchaseOption

__all__ = ["Sources", "plan", "plan_many", "settings_of", "workload_of"]

FILES_AGREE = 0.03  # headers and duplicated tied heads make files and formula differ by less than this
EVERY, CHEAPEST = math.inf, 1.0  # machines, by how many times what the cheapest costs
NEAR = 3.0  # what costs more is no alternative: not beside a plan, in its report, or to an old price
AT_ONCE = 6  # layouts weighed first while the cheapest is looked for; then twice as many, and so on


class Sources(Protocol):
    """What a plan reads from outside."""

    @property
    def book(self) -> PriceBook: ...

    def spec(self, model: str) -> ModelSpec: ...

    def file_bytes(self, model: str) -> int | None:
        """Bytes of the model's weight files as its repository lists them, when known."""
        ...

    @property
    def logs(self) -> tuple[Measurement, ...]:
        """Start-up logs that narrow the memory of the servers they are of."""
        ...


Planning = Generator[Ask, Served, Plan]  # asks for layouts to be served until its plan is made


def plan(scenario: Scenario, sources: Sources, *, within: float = EVERY, weighed: Weigher | None = None) -> Plan:
    """The plan of one scenario. Never raises for an input: what failed is in `refusal`, the rest is filled.

    Machines are weighed that could cost up to `within` times the cheapest, for whoever shows them: one, where none is
    shown beside it; every machine, with those that will not do or are priced too long ago to choose by, unless it says
    otherwise. What a wider question has
    `weighed` already is not weighed again; the plan is the same.
    """
    return plan_many((scenario,), sources, within=within, weighed=weighed)[0]


def plan_many(
    scenarios: Sequence[Scenario], sources: Sources, *, within: float = CHEAPEST, weighed: Weigher | None = None
) -> list[Plan]:
    """The plan of each scenario, the same as alone, what they weigh served together in arrays."""
    plans: dict[int, Plan] = {}
    runs = {number: _planning(scenario, sources, within, weighed) for number, scenario in enumerate(scenarios)}
    answers: dict[int, Served | None] = dict.fromkeys(runs)
    while answers:
        asks: dict[int, Ask] = {}
        for number, answer in answers.items():
            try:
                asks[number] = next(runs[number]) if answer is None else runs[number].send(answer)
            except StopIteration as done:
                plans[number] = done.value
        answers = dict(zip(asks, serve(list(asks.values())), strict=True))
    return [plans[number] for number in runs]


def _planning(scenario: Scenario, sources: Sources, within: float, weighed: Weigher | None) -> Planning:
    result = Plan(asked=scenario, resolved=scenario)
    try:
        spec = _spec(scenario, sources)
        read = read_as(scenario.gpu) if scenario.gpu else ""
        result = replace(result, spec=spec, notes=(*spec.notes, *((f"{read}.",) if read else ())))
        precision = precision_in(scenario.engine, spec, scenario.weights, scenario.method, scenario.kv)
        result = replace(
            result, precision=precision, notes=(*result.notes, *_cross_check(scenario, precision, sources))
        )
        _check(scenario)
        draft = draft_precision(speculation_of(scenario), precision.kv, sources.spec)
        variant = Variant(
            model=scenario.model or "",
            precision=precision,
            asked_weights=scenario.weights,
            kv=precision.kv,
            own_kv=precision.kv,
            draft=draft,
            logs=sources.logs,
        )
        return (yield from _place(replace(result, draft=draft), variant, sources.book, within, weighed))
    except Refusal as refusal:
        return replace(result, refusal=refusal.kept())


def _spec(scenario: Scenario, sources: Sources) -> ModelSpec:
    if scenario.model is not None:
        return sources.spec(scenario.model)
    if scenario.params is None:
        raise Refusal("No model is named.", field="model", remedy="Give a Hub id, or a count such as 8B.")
    return _typical(scenario.params, scenario.active)


@lru_cache(maxsize=256)
def _typical(params: float, active: float | None) -> ModelSpec:
    return spec_from_parameter_count(params * 1e9, active * 1e9 if active else None)


def _check(scenario: Scenario) -> None:
    """Refuses what no engine starts with, whatever the machine."""
    context = scenario.prompt + scenario.output
    if scenario.max_len is not None and scenario.max_len < context:
        raise Refusal(
            f"max_len={scenario.max_len:,} is shorter than prompt + output, {context:,} tokens.",
            field="max_len",
            remedy="Raise it or leave it blank.",
        )
    if scenario.buy is PurchaseOption.OWNED and scenario.price is None:
        raise Refusal("Owned hardware has no price list.", field="price", remedy="Give price, in dollars an hour.")
    if scenario.price is not None and scenario.instance is None and scenario.buy is not PurchaseOption.OWNED:
        raise Refusal("A price belongs to a machine.", field="price", remedy="Name the instance it is for.")
    if scenario.buy is PurchaseOption.OWNED and scenario.instance is None and scenario.gpu is None:
        raise Refusal("Owned hardware needs a name.", field="gpu", remedy="Name the accelerator or the instance.")


def _cross_check(scenario: Scenario, precision: Precision, sources: Sources) -> Iterable[str]:
    """A note when the repository's own weight files are of another size than the formula says."""
    files = sources.file_bytes(scenario.model) if scenario.model else None
    if files and precision.published and abs(precision.weights_bytes - files) > FILES_AGREE * files:
        yield (
            f"The repository's weight files are {gib(files)}, the formula says {gib(precision.weights_bytes)}: "
            "it may hold several formats, or parts this estimate does not load."
        )


def _place(result: Plan, variant: Variant, book: PriceBook, within: float, weighed: Weigher | None) -> Planning:
    scenario = result.asked
    question = Question.of(scenario)
    chips = chips_of(question)
    market = market_of(question, chips, book)
    named = scenario.gpu is not None or scenario.instance is not None
    only = _only(question, variant, chips, market) if named else None
    if only is not None:
        candidates: tuple[Candidate, ...] = (only,)
    else:
        already = _known(weighed, question, variant, chips, market) if within < EVERY else None
        if already is not None and (yield from _completed(already, question, variant)):
            candidates = _best_of_machines(already, scenario, market, within)
        else:
            candidates = yield from _machines_weighed(question, variant, chips, market, within)
    if not candidates:
        raise Refusal("No machine is known for this request.", field="gpu", remedy="Name an accelerator.")
    chosen = candidates[0]
    if not named and not chosen.eligible:
        return replace(result, candidates=candidates, refusal=refusals.of_automatic_choice(scenario, candidates))
    if scenario.gpu is not None and chosen.offer is None and chosen.machine.instance is not None:
        chosen = min(candidates, key=lambda c: (bool(c.reasons) and not c.fits, c.placement.gpus if c.placement else 0))
    first, chosen = chosen, _explained(scenario, variant, chosen)
    if named:
        chosen = yield from _with_replicas_that_do(scenario, variant, chosen)
    result = replace(
        result,
        candidates=tuple(chosen if candidate is first else candidate for candidate in candidates),
        chosen=chosen,
        resolved=chosen.scenario,
    )
    against = unsupported(scenario, variant.precision, chosen.machine.accelerator)
    refusal = refusals.of_named_machine(scenario, chosen, against)
    return replace(result, refusal=refusal) if refusal else result


def _only(question: Question, variant: Variant, chips: Sequence[Chip], market: Market) -> Candidate | None:
    """The one layout that a named machine leaves, with nothing to weigh; None where there is something."""
    scenario = question.scenario
    several = len(chips) > 1 or len(market.sold[0]) > 1 or len(placements(scenario, chips[0])) != 1
    if several or searches_replicas(scenario):
        return None
    (purchase,), (placement,) = market.sold[0], placements(scenario, chips[0])
    replicas = scenario.replicas or 1
    return explain(scenario, variant, Deployment(purchase.machine, placement, replicas, purchase.offer))


def _explained(scenario: Scenario, variant: Variant, candidate: Candidate) -> Candidate:
    if candidate.placement is None or candidate.memory is not None:
        return candidate
    way = Deployment(candidate.machine, candidate.placement, max(1, candidate.replicas), candidate.offer)
    return explain(scenario, variant, way)


def _machines_weighed(
    question: Question, variant: Variant, chips: Sequence[Chip], market: Market, within: float
) -> Generator[Ask, Served, tuple[Candidate, ...]]:
    """Each machine with its best layout, in the planner's order; those that are not eligible come last, with reasons.

    Layouts are weighed from the least they could cost upwards, until nothing left could come `within` so many times
    what the first costs; those that are dearer, and those that will not do, are there where every machine is wanted or
    none will do.
    """
    scenario = question.scenario
    supported = Reasons(scenario, (variant,))
    bench = benches_of(question, (variant,))[0].plain
    in_turn = _by_least_cost(scenario, chips, market)
    weigher = Weigher(question, (variant,), chips, market, (NO_BAR,))
    size = len(in_turn) if within == EVERY else AT_ONCE
    while in_turn and not _settled(weigher, in_turn[0][0], within):
        layouts = [
            Layout(
                0,
                chip,
                bench.laid(chips[chip].machine, placement),
                unsupported=supported(variant, chips[chip].machine.accelerator),
            )
            for _, chip, placement in in_turn[:size]
        ]
        in_turn, size = in_turn[size:], 2 * size
        served = yield Ask(scenario, layouts, affordable=None if within > CHEAPEST else weigher.affordable(layouts))
        weigher.add(layouts, served)
    return _best_of_machines(weigher, scenario, market, within)


def _known(
    weighed: Weigher | None, question: Question, variant: Variant, chips: tuple[Chip, ...], market: Market
) -> Weigher | None:
    """The layouts of this variant that a wider question weighed on the same machines, under the same load and limits;
    None where there are none."""
    if weighed is None or weighed.question.whole_interval or weighed.market is not market or weighed.chips != chips:
        return None
    wide, asked = weighed.question.scenario, question.scenario
    if replace(wide, model=asked.model, params=asked.params, active=asked.active) != asked:
        return None
    places = [
        number
        for number, other in enumerate(weighed.variants)
        if other.precision is variant.precision and other.draft is variant.draft and other.logs == variant.logs
    ]
    made = weighed.narrowed(question, places, (NO_BAR,) * len(weighed.variants))
    return made if made.layouts and not any(layout.laid.skipped for layout in made.layouts) else None


def _completed(known: Weigher, question: Question, variant: Variant) -> Generator[Ask, Served, bool]:
    """Whether any of these does, with the layouts that the wider question had of another variant: of FP16, for one, on
    chips that do not compute in BF16."""
    scenario, place, there = question.scenario, known.layouts[0].variant, {layout.chip for layout in known.layouts}
    supported, bench = Reasons(scenario, (variant,)), benches_of(question, (variant,))[0].plain
    layouts = [
        Layout(place, number, bench.laid(chip.machine, placement))
        for number, chip in enumerate(known.chips)
        if number not in there and not supported(variant, chip.machine.accelerator)
        for placement in placements(scenario, chip)
    ]
    if layouts:
        known.add(layouts, (yield Ask(scenario, layouts)))
    return bool(known.weighed.passing.any())


def _by_least_cost(
    scenario: Scenario, chips: Sequence[Chip], market: Market
) -> list[tuple[tuple[bool, float], int, Placement]]:
    """((only at a price too old to choose by, the least it could cost), chip, layout), cheapest first."""
    laid = [(number, placement) for number, chip in enumerate(chips) for placement in placements(scenario, chip)]
    if not laid:
        return []
    chip = np.array([number for number, _ in laid], dtype=np.int64)
    gpus = np.array([placement.gpus for _, placement in laid], dtype=np.int64)
    copies = np.full(len(laid), scenario.replicas or 1, dtype=np.int64)
    bought = buy(market, chip, gpus, copies, named=scenario.gpus is not None)
    least = np.full((len(laid), 2), np.inf)
    for column, fresh in enumerate((~bought.gone, bought.gone)):
        np.minimum.at(least[:, column], bought.layout[fresh], bought.usd[fresh])
    keys = [(True, late) if fresh == np.inf and late < np.inf else (False, fresh) for fresh, late in least.tolist()]
    return sorted(((key, number, placement) for key, (number, placement) in zip(keys, laid, strict=True)), key=_first)


def _first(item: tuple[tuple[bool, float], int, Placement]) -> tuple[bool, float]:
    return item[0]


def _settled(weigher: Weigher, least: tuple[bool, float], within: float) -> bool:
    """Whether nothing from this cost up could come within so many times what meets every limit already."""
    w = weigher.weighed
    if not w.passing.any():
        return False
    gone, usd = min(zip(w.gone[w.passing].tolist(), w.usd[w.passing].tolist(), strict=True))
    return least > (gone, within * usd * (1 + SAME_PRICE))


def _best_of_machines(weigher: Weigher, scenario: Scenario, market: Market, within: float) -> tuple[Candidate, ...]:
    w = weigher.weighed
    fewest = scenario.gpu is not None and scenario.gpus is None
    eligible = (weigher.order(w.passing, fewest=True) if fewest else weigher.choice()).tolist()
    if eligible and within == CHEAPEST:
        return (weigher.candidate(eligible[0]),)
    machines = list(zip(w.chip[w.layout].tolist(), w.machine.tolist(), strict=True))
    first: dict[tuple[int, int], int] = {}
    for way in eligible:
        first.setdefault(machines[way], way)
    shown = list(first.values())
    if eligible and within < EVERY:
        most, gone = within * w.usd[eligible[0]] * (1 + SAME_PRICE), w.gone[eligible[0]]
        shown = [way for way in shown if w.usd[way] <= most and w.gone[way] == gone]
    best = [weigher.candidate(way, linked=way == eligible[0]) for way in shown]
    if eligible and within < EVERY:
        return tuple(best)
    left: dict[tuple[int, int], list[int]] = {}
    for way, machine in enumerate(machines):
        if machine not in first:
            left.setdefault(machine, []).append(way)
    rest = [_ineligible(weigher, scenario, _most_telling(weigher, ways, scenario)) for _, ways in sorted(left.items())]
    rest += _too_small(scenario, market)
    rest.sort(key=_nearness)
    return (*best, *rest)


def _most_telling(weigher: Weigher, ways: Sequence[int], scenario: Scenario) -> int:
    """Of the layouts of one machine none of which will do, the one shown: of the largest (of an accelerator that was
    named, the smallest) the first that could be estimated, or better, that fits."""
    w = weigher.weighed
    sign = 1 if scenario.gpu is not None else -1
    in_turn = sorted(ways, key=lambda way: sign * int(w.gpus[w.layout[way]]))
    held = {way: weigher.holding(int(w.layout[way])) for way in in_turn}
    sized = [way for way in in_turn if held[way] is not None]
    fitting = [way for way in sized if (holding := held[way]) is not None and holding.fits]
    return (fitting or sized or in_turn)[0]


def _ineligible(weigher: Weigher, scenario: Scenario, way: int) -> Candidate:
    """The way with everything that stands against it."""
    candidate = weigher.candidate(way, linked=False)
    w, row = weigher.weighed, int(weigher.weighed.layout[way])
    reasons: list[str] = []
    machine, placement = candidate.machine, candidate.placement
    if machine.instance is not None and placement and placement.tp > machine.instance.accelerator_count:
        reasons.append(refusals.beyond_the_machine(machine, placement))
    if candidate.offer is None and machine.instance is not None:
        reasons.append(refusals.not_offered(scenario))
    reasons += candidate.reasons
    if candidate.holding is not None:
        held = candidate.holding
        reasons += misses(scenario, held.fits, held.memory_bytes, held.budget_bytes, candidate.limits)
        if w.served.pace.saturated[row]:
            reasons.append(overrun(float(w.served.most_requests_per_s[row])))
    if candidate.holding is None:  # nothing could be estimated
        return replace(candidate, reasons=tuple(reasons), replicas=0, instances=0)
    return replace(candidate, reasons=tuple(reasons))


def _too_small(scenario: Scenario, market: Market) -> tuple[Candidate, ...]:
    """Machines with fewer accelerators than one replica has stages."""
    reason = f"has fewer accelerators than pp={scenario.pp} needs"
    return tuple(
        Candidate(
            scenario=scenario, machine=purchase.machine, placement=None, replicas=0, instances=0, reasons=(reason,)
        )
        for sold in market.sold
        for purchase in sold
        if purchase.machine.instance and purchase.gpus < scenario.pp and scenario.gpus is None
    )


def _nearness(candidate: Candidate) -> tuple[bool, bool, float, int, int]:
    """Of what will not do, first what is sold here, then what fits, then by cost."""
    usd = float("inf") if candidate.usd_per_month is None else float(candidate.usd_per_month)
    gpus = candidate.placement.gpus if candidate.placement else 0
    return (usd == float("inf"), not candidate.fits, usd, candidate.instances, gpus)


def _with_replicas_that_do(
    scenario: Scenario, variant: Variant, chosen: Candidate
) -> Generator[Ask, Served, Candidate]:
    """A named machine that does not hold its load in one replica, with the number of replicas that would."""
    waits = chosen.latency is not None and chosen.latency.saturated
    missed = any(limit.met is False for limit in chosen.objectives)
    if chosen.placement is None or chosen.memory is None or (chosen.fits and not waits and not missed):
        return chosen
    if scenario.replicas is not None or not is_population(scenario) or scenario.requests_in_flight == 1:
        return chosen
    open_ = replace(scenario, instance=None, gpu=None)
    bench = benches_of(Question.of(open_), (variant,))[0].plain
    served = yield Ask(open_, (Layout(0, 0, bench.laid(chosen.machine, chosen.placement)),))
    count = int(served.replicas[0])
    if not served.meets[0] or count == 1:
        return chosen
    note = (
        f"One replica does not serve {scenario.requests_in_flight or 1:,} requests at once as asked; "
        f"replicas={count} would."
    )
    return replace(chosen, notes=(*chosen.notes, note))
