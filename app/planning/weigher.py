"""The one planner's scales: the ways of a question side by side, and any of them as a candidate with its limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import cached_property

import numpy as np

from app.planning import stacks
from app.planning.draft_bounds import worth_building
from app.planning.engine_support import cache_support, weights_support
from app.planning.limits import holding, limits_of
from app.planning.loads import workload_of
from app.planning.market import Chip, Market, Purchase, instances_needed
from app.planning.plan import Candidate, Holding, Limit, Machine
from app.planning.quality_bar import Judgement, kept_share
from app.planning.question import Question
from app.planning.recommendation import Point
from app.planning.replicas import NO_CAP, Ask, Served, serve, unserved
from app.planning.sentences import precision_name
from app.planning.stacks import Bools, Floats, Ints, is_kept
from app.planning.ways import Benches, Layout, Variant
from app.planning.weigh import SAME_PRICE, Weighed, joined, ordered, taken, undominated, weigh
from app.scenario import Scenario, decode
from estimators.latency.model import kind_of, spread_highs
from estimators.precision import KvPrecision, Method, Weights
from estimators.remembered import Remembered
from pricing.cost import MonthlyCost, monthly_cost
from pricing.offers import Offer, PurchaseOption

LAYOUTS_KEPT = 32  # sets of them, with the upper ends of their intervals
COSTS_KEPT = 4_096
_HIGHS: Remembered[Floats] = Remembered(LAYOUTS_KEPT)
_COSTS: Remembered[MonthlyCost] = Remembered(COSTS_KEPT)
_NOTHING: Remembered[Weighed] = Remembered(LAYOUTS_KEPT)
_NARROWED: Remembered[tuple[Ints, tuple[Layout, ...]]] = Remembered(LAYOUTS_KEPT)


class Weigher:
    """Layouts added so far, weighed: the plain ones, then those that draft."""

    def __init__(
        self,
        question: Question,
        variants: Sequence[Variant],
        chips: Sequence[Chip],
        market: Market,
        judgements: Sequence[Judgement],
    ) -> None:
        self.question, self.variants, self.chips = question, tuple(variants), tuple(chips)
        self.market, self.judgements = market, tuple(judgements)
        self.weighed = _NOTHING.of((market,), None, lambda: self._weigh((), unserved(Ask(question.scenario, ()))))
        self.drafting = 0  # candidates that draft, whether they were worth building or not
        self._holdings: dict[int, Holding | None] = {}
        self._asked: dict[tuple[int, str, PurchaseOption], Scenario] = {}

    def _weigh(self, layouts: Sequence[Layout], served: Served) -> Weighed:
        return weigh(self.question, layouts, served, self.market, self.judgements)

    def add(self, layouts: Sequence[Layout], served: Served | None = None, *, bounds: bool = False) -> None:
        """Weigh these layouts too; `served`, where they were served together with others. `bounds`: with what idle
        replicas would do, for every layout, which says what drafting could bring."""
        if served is None:
            (served,) = serve([self.asking(layouts, bounds=bounds)])
        new = self._weigh(layouts, served)
        self.weighed = joined(self.weighed, new) if self.weighed.layouts else new

    def narrowed(self, question: Question, variants: Sequence[int], judgements: Sequence[Judgement]) -> Weigher:
        """Of some of the variants the layouts that do not draft, as they were served, weighed for a question under the
        same load and limits on time."""
        w = self.weighed

        def found() -> tuple[Ints, tuple[Layout, ...]]:
            rows = np.flatnonzero(~w.drafts & np.isin(w.variant, variants))
            return rows, tuple(w.layouts[row] for row in rows.tolist())

        rows, layouts = _NARROWED.of((w.layouts,), tuple(variants), found) if is_kept(w.layouts) else found()
        made = Weigher(question, self.variants, self.chips, self.market, judgements)
        made.add(layouts, stacks.taken(w.served, rows))
        return made

    def asking(self, layouts: Sequence[Layout], *, bounds: bool = False) -> Ask:
        """These layouts to be served under the question's load."""
        return Ask(self.question.scenario, layouts, bounds=bounds, highs=self._highs(layouts))

    def _highs(self, layouts: Sequence[Layout]) -> Floats | None:
        if not self.question.whole_interval:
            return None
        kind = kind_of(workload_of(self.question.scenario, 1))

        def made() -> Floats:
            plans = ((layout.laid.replica, self.chips[layout.chip].machine.accelerator) for layout in layouts)
            ends = [spread_highs(plan, chip, kind) if plan is not None else (1.0, 1.0, 1.0) for plan, chip in plans]
            return np.array(ends, dtype=np.float64).reshape(-1, 3).T

        return _HIGHS.of((layouts, self.chips), kind, made) if is_kept(layouts) else made()

    def affordable(self, layouts: Sequence[Layout]) -> Callable[[Ints, Bools], Ints]:
        """From the fewest copies of these layouts and whether they do: the copies at which each would cost as much as
        the cheapest that does; more are of no interest."""
        w = self.weighed
        known = float(w.usd[w.passing & ~w.gone].min(initial=np.inf))

        def caps(copies: Ints, does: Bools) -> Ints:
            usd = known
            for row in np.flatnonzero(does).tolist():
                if not layouts[row].unsupported:
                    usd = min(usd, *(cost for cost, _ in self._costs(layouts[row], int(copies[row]))), np.inf)
            return np.array([self._most_copies(layout, usd) for layout in layouts], dtype=np.int64)

        return caps

    def _costs(self, layout: Layout, copies: int) -> Iterator[tuple[float, Purchase]]:
        """What so many copies cost on each machine that carries them at a price to choose by."""
        placement, named = layout.laid.placement, self.question.scenario.gpus is not None
        for purchase in self.market.sold[layout.chip]:
            if not purchase.gone and placement.tp <= purchase.gpus and (named or placement.gpus <= purchase.gpus):
                yield purchase.usd_per_month * instances_needed(purchase.machine, placement, copies), purchase

    def _most_copies(self, layout: Layout, usd: float) -> int:
        """Copies that some machine carries for so much; without end where that is not known."""
        if not math.isfinite(usd):
            return NO_CAP
        most = 0
        for one, purchase in self._costs(layout, 1):
            if one <= 0:
                return NO_CAP
            if not math.isfinite(one):
                continue
            inside = max(1, purchase.gpus // layout.laid.placement.gpus)
            most = max(most, int(usd * (1 + SAME_PRICE) / one) * inside)
        return most

    @property
    def layouts(self) -> tuple[Layout, ...]:
        return self.weighed.layouts

    @cached_property
    def quality(self) -> Floats:
        """Per variant: its quality on the bar's task; without a bar, what its precision keeps of what was published."""
        return np.array([kept_share(v.precision, judged, v.own_cache) for v, judged in self._judged])

    @property
    def _judged(self) -> Iterator[tuple[Variant, Judgement]]:
        return zip(self.variants, self.judgements, strict=True)

    def add_drafting(self, benches: Sequence[Benches], *, prune: bool = True) -> None:
        """Add the layouts that draft: those that could come out ahead of the plain ones, which were added with their
        bounds; or all of them."""
        if layouts := self.worth_drafting(benches, prune=prune):
            self.add(layouts)

    def worth_drafting(self, benches: Sequence[Benches], *, prune: bool = True) -> list[Layout]:
        """The layouts that draft and are to be added, and how many candidates there are of all that could."""
        draftings = [tuple(bench.drafting) for bench in benches]
        ways = np.array([len(several) for several in draftings], dtype=np.int64)
        plain = self.weighed
        self.drafting = int((plain.offers * (ways[plain.variant] * plain.runs)[plain.layout]).sum())
        if not self.drafting:
            return []
        if prune:
            pairs = worth_building(self.question, self.variants, plain, self.market, self.judgements, draftings)
        else:
            pairs = [(row, how) for row in np.flatnonzero(plain.runs).tolist() for how in draftings[plain.variant[row]]]
        layouts = []
        for row, how in pairs:
            base = plain.layouts[row]
            bench = benches[base.variant].drafting[how]
            laid = bench.laid(self.chips[base.chip].machine, base.laid.placement)
            layouts.append(Layout(base.variant, base.chip, laid, how))
        return layouts

    def order(self, which: Bools, *, fewest: bool = False) -> Ints:
        """The ways of a mask, in the planner's order."""
        rows = np.flatnonzero(which)
        return ordered(self.question, self.weighed, self.market, self.quality, rows, fewest=fewest)

    def choice(self) -> Ints:
        """The ways that meet every limit, in order, the first of them beaten by none of its price."""
        in_order = self.order(self.weighed.passing)
        return undominated(self.weighed, self.quality, in_order, taken(self.question, self.weighed, in_order))

    def groups(self, ways: Ints) -> Iterator[int]:
        """The first way of each model, precision and accelerator."""
        seen: set[tuple[str, object, int]] = set()
        for way in ways.tolist():
            layout = self.layouts[self.weighed.layout[way]]
            variant = self.variants[layout.variant]
            key = (variant.model, variant.precision.weights, layout.chip)
            if key not in seen:
                seen.add(key)
                yield way

    def rejected_below(self, usd: float) -> int | None:
        """The costliest way that runs without drafting, would be cheaper than `usd` and fails."""
        w = self.weighed
        rows = self.best_of_layouts(~w.passing & (w.usd < usd) & w.runs[w.layout] & ~w.drafts[w.layout])
        return int(rows[np.argmax(w.usd[rows])]) if len(rows) else None

    def best_of_layouts(self, which: Bools) -> Ints:
        """The cheapest way of each layout among those of a mask; of an equal price the first."""
        w = self.weighed
        rows = np.flatnonzero(which)
        rows = rows[np.lexsort((w.machine[rows], w.usd[rows], w.layout[rows]))]
        first = np.concatenate([[True], np.diff(w.layout[rows]) > 0]) if len(rows) else np.zeros(0, dtype=np.bool_)
        best: Ints = rows[first]
        return best

    def purchase(self, way: int) -> Purchase:
        w = self.weighed
        return self.market.sold[int(w.chip[w.layout[way]])][int(w.machine[way])]

    def candidate(self, way: int, *, linked: bool = True) -> Candidate:
        """The way with its figures, as it was weighed; `linked` with the scenario that opens to it."""
        w, pace = self.weighed, self.weighed.served.pace
        row = int(w.layout[way])
        layout, purchase = w.layouts[row], self.purchase(way)
        replicas, count = int(w.served.replicas[row]), int(w.instances[way])
        scenario = self._scenario(layout, purchase, replicas) if linked else self.question.scenario
        timed = layout.laid.replica is not None
        offer = purchase.offer if np.isfinite(w.usd[way]) and layout.laid.refusal is None else None
        return Candidate(
            scenario=scenario,
            machine=purchase.machine,
            placement=layout.laid.placement,
            replicas=replicas,
            instances=count,
            offer=purchase.offer,
            cost=_cost(offer, count, scenario.hours) if offer else None,
            holding=self.holding(row),
            ttft_p95_s=float(pace.ttft_p95[row]) if timed else None,
            tpot_p95_s=float(pace.tpot_p95[row]) if timed else None,
            e2e_p95_s=float(pace.e2e_p95[row]) if timed else None,
            limits=tuple(self.limits(way)),
            quality=self.judgements[layout.variant],
            drafting=layout.drafting,
            reasons=tuple(self._remarks(layout)),
            refusal=layout.laid.refusal,
        )

    @staticmethod
    def _remarks(layout: Layout) -> Iterator[str]:
        """Why it cannot be weighed, where that is not one of the limits."""
        yield from layout.unsupported
        if layout.laid.refusal is not None:
            yield layout.laid.refusal.message
        held = layout.laid.held
        if held is not None and held.max_concurrency and held.engine_starts_reason:
            yield f"the engine does not start: {held.engine_starts_reason}"

    def holding(self, row: int) -> Holding | None:
        if row not in self._holdings:
            self._holdings[row] = holding(self.question.scenario, self.weighed, row)
        return self._holdings[row]

    def limits(self, way: int, *, best: bool = False) -> Iterator[Limit]:
        """Where the way stands; with `best`, in as many copies as help."""
        row = int(self.weighed.layout[way])
        judged = self.judgements[self.layouts[row].variant]
        bought, held = self.purchase(way), self.holding(row)
        return limits_of(self.question, self.weighed, way, judged=judged, bought=bought, held=held, best=best)

    def _scenario(self, layout: Layout, purchase: Purchase, replicas: int) -> Scenario:
        asked, variant = self.question.scenario, self.variants[layout.variant]
        placement, drafted = layout.laid.placement, layout.drafting.drafted if layout.drafting else None
        region = purchase.offer.region if purchase.offer else asked.region
        buy = purchase.offer.option if purchase.offer else self._unsold
        made = resolved(
            self._bought(layout.variant, region, buy), variant, purchase.machine, tp=placement.tp, replicas=replicas
        )
        if drafted is not None:
            made = replace(made, spec=drafted.method, spec_tokens=drafted.tokens, accept=drafted.per_token)
        if self.question.owned:  # one replica's accelerators, an hour
            price = placement.gpus * self.question.owned[layout.chip].usd_per_gpu_hour
            made = replace(made, price=price, price_as_of=None)
        return made

    def _bought(self, variant: int, region: str, buy: PurchaseOption) -> Scenario:
        """What was asked, of this variant's model, in this region under this way to pay."""
        key = (variant, region, buy)
        if key not in self._asked:
            asked = self.question.scenario
            named = asked if self.question.fixed else decode({"model": self.variants[variant].model}).scenario
            method = asked.method if self.question.fixed else Method.AUTO
            self._asked[key] = replace(
                asked,
                model=named.model,  # an id, or a count
                params=named.params,
                active=named.active,
                method=method,
                region=region,
                buy=buy,
            )
        return self._asked[key]

    @property
    def _unsold(self) -> PurchaseOption:
        return self.question.scenario.buy if self.question.fixed else PurchaseOption.ON_DEMAND

    @property
    def total(self) -> int:
        """Candidates weighed: every layout once per way to buy it, and once more per way to draft."""
        w = self.weighed
        return int(w.offers[~w.drafts[w.layout]].sum()) + self.drafting

    def at_best(self, way: int) -> Candidate:
        """The candidate with its limits as they stand in as many copies as help."""
        pace, row = self.weighed.served.best, int(self.weighed.layout[way])
        found = replace(self.candidate(way), limits=tuple(self.limits(way, best=True)))
        if found.ttft_p95_s is None:
            return found
        return replace(
            found,
            ttft_p95_s=float(pace.ttft_p95[row]),
            tpot_p95_s=float(pace.tpot_p95[row]),
            e2e_p95_s=float(pace.e2e_p95[row]),
        )

    def points(self) -> Iterator[Point]:
        w, pace = self.weighed, self.weighed.served.pace
        for way in self.groups(self.order(w.speed)):
            layout = w.layouts[w.layout[way]]
            row, variant, judged = int(w.layout[way]), self.variants[layout.variant], self.judgements[layout.variant]
            yield Point(
                model=variant.model,
                precision=precision_name(variant.precision.weights),
                accelerator=self.chips[layout.chip].machine.accelerator.name,
                usd_per_month=float(w.usd[way]),
                ttft_p95_s=float(pace.ttft_p95[row]),
                tpot_p95_s=float(pace.tpot_p95[row]),
                e2e_p95_s=float(pace.e2e_p95[row]),
                quality=judged.ratio if judged.known else None,
                passes=bool(w.passing[way]),
            )


def _cost(offer: Offer, instances: int, hours: Decimal) -> MonthlyCost:
    return _COSTS.of((offer,), (instances, hours), lambda: monthly_cost(offer=offer, instances=instances, hours=hours))


def resolved(asked: Scenario, variant: Variant, machine: Machine, *, tp: int | None, replicas: int) -> Scenario:
    """The scenario with every auto replaced by what it came to, and one key of each group."""
    precision, instance = variant.precision, machine.instance
    quantized = precision.by_name or (precision.spec.quantization is not None and precision.published)
    chip = machine.accelerator
    # Where a chip has no BF16 an engine may take FP16 for what was left open; what it refuses is asked for as it is.
    narrowed = not chip.bf16 and precision.weights is Weights.BF16 and weights_support(asked, precision, chip).runs
    cache_narrowed = not chip.bf16 and precision.kv is KvPrecision.BF16 and cache_support(asked, precision, chip).runs
    return replace(
        asked,
        model=f"{asked.model.split('@')[0]}@{precision.spec.revision}"
        if asked.model and precision.spec.revision
        else asked.model,
        weights=Weights.AS_PUBLISHED if quantized else Weights.FP16 if narrowed else precision.weights,
        kv=KvPrecision.FP16 if cache_narrowed else precision.kv,
        concurrency=asked.requests_in_flight,
        instance=instance.instance_type if instance else None,
        gpu=None if instance else machine.accelerator.name,
        gpus=asked.gpus if tp is None else tp,
        replicas=max(1, replicas),
    )
