"""All layouts of a question side by side: served, bought, and held against every limit. No Streamlit, no I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from decimal import Decimal
from functools import cached_property

import numpy as np

from app.planning.drafted import worth_building
from app.planning.fleet import Bools, Ints
from app.planning.layouts import Benches, Chip, Layout, Variant, drafted_layout, layouts_of
from app.planning.purchase import Purchase
from app.planning.quality_bar import Judgement
from app.planning.question import Question
from app.planning.recommendation import Candidate, Loosening, Margin, Point
from app.planning.sentences import precision_name
from app.planning.weighing import Market, Weighing, joined, weigh
from app.scenario import LoadMode, Scenario, decode
from estimators.precision import Method
from pricing.cost import monthly_cost
from pricing.offers import PurchaseOption

LOOSENED = ("ttft", "tpot", "e2e", "quality", "budget")  # limits that a person sets and can move


class Field:
    """All layouts of a question side by side, one array element each: the plain ones, then those that draft."""

    def __init__(
        self,
        question: Question,
        variants: tuple[Variant, ...],
        chips: tuple[Chip, ...],
        market: Market,
        judgements: tuple[Judgement, ...],
        benches: tuple[Benches, ...],
        *,
        skipped: frozenset[int] = frozenset(),
        prune: bool = True,
    ) -> None:
        self.question, self.variants, self.chips = question, variants, chips
        self.market, self.judgements = market, judgements
        plain = weigh(question, tuple(layouts_of(question, variants, chips, benches, skipped)), market, judgements)
        self._w, self.drafting = plain, 0
        self._weigh_drafting(plain, benches, prune)
        self.weighed = int(plain.bought.offers.sum()) + self.drafting
        self.layouts = self._w.layouts

    def _weigh_drafting(self, plain: Weighing, benches: tuple[Benches, ...], prune: bool) -> None:
        """Add the layouts that draft: those that could come out ahead, or all of them."""
        draftings = [tuple(bench.drafting) for bench in benches]
        ways = np.array([len(several) for several in draftings], dtype=np.int64)
        self.drafting = int((plain.bought.offers * ways[plain.variant])[plain.runs].sum())
        if not self.drafting:
            return
        if prune:
            pairs = worth_building(
                self.question, self.variants, plain, self.market, self.judgements, draftings
            )  # fmt: skip
        else:
            pairs = [(row, how) for row in np.flatnonzero(plain.runs).tolist() for how in draftings[plain.variant[row]]]
        layouts = [drafted_layout(plain.layouts[row], how, self.chips, benches) for row, how in pairs]
        if layouts:
            self._w = joined(plain, weigh(self.question, layouts, self.market, self.judgements))

    def order(self, which: Bools) -> Ints:
        """The layouts of a mask, cheapest first; ties go to no drafting, fewer machines, fewer GPUs."""
        rows = np.flatnonzero(which)
        keys = (
            self._w.variant[rows],
            self._w.tp[rows],
            self._w.bought.instances[rows],
            self._w.drafts[rows],
            self._w.bought.usd[rows],
        )
        return rows[np.lexsort(keys)]

    def groups(self, which: Bools) -> Iterator[int]:
        """The cheapest layout of each model, precision and accelerator, cheapest group first."""
        seen: set[tuple[str, object, int]] = set()
        for row in self.order(which).tolist():
            variant = self.variants[self._w.variant[row]]
            key = (variant.model, variant.precision.weights, int(self._w.chip[row]))
            if key not in seen:
                seen.add(key)
                yield row

    def passing(self) -> Iterator[int]:
        return self.groups(self._w.passing)

    def rejected_below(self, usd: float) -> int | None:
        """The costliest layout that runs without drafting, would be cheaper than `usd` and fails."""
        rows = self.order(~self._w.passing & (self._w.bought.usd < usd) & self._w.runs & ~self._w.drafts)
        return int(rows[-1]) if len(rows) else None

    def candidate(self, row: int) -> Candidate:
        layout, bought, served = self.layouts[row], self._w.bought, self._w.outcome.served
        variant, judged = self.variants[layout.variant], self.judgements[layout.variant]
        sold = self.market[layout.chip]
        purchase = sold[int(bought.machine[row])] if bought.machine[row] >= 0 else None
        replicas, count = int(self._w.outcome.replicas[row]), int(bought.instances[row])
        timed = layout.laid.replica is not None
        return Candidate(
            scenario=self._scenario(variant, layout, purchase, replicas),
            model=variant.model,
            accelerator=self.chips[layout.chip].machine.accelerator.name,
            machine=purchase.machine.name if purchase else self.chips[layout.chip].machine.name,
            tp=layout.laid.tp,
            replicas=replicas,
            instances=count,
            usd_per_month=self._usd(purchase, count, float(bought.usd[row])),
            offer=purchase.offer if purchase else None,
            ttft_p95_s=float(served.ttft[row]) if timed else None,
            tpot_p95_s=float(served.tpot[row]) if timed else None,
            e2e_p95_s=float(served.e2e[row]) if timed else None,
            quality=judged,
            margins=tuple(self._margins(row)),
            remark=layout.laid.refused,
            drafting=layout.drafting,
        )

    def _usd(self, purchase: Purchase | None, count: int, usd: float) -> Decimal | None:
        if purchase is None or not np.isfinite(usd):
            return None
        if purchase.offer is None:
            return Decimal(repr(round(usd, 6)))
        return monthly_cost(offer=purchase.offer, instances=count, hours=self.question.scenario.hours).usd_per_month

    def _scenario(self, variant: Variant, layout: Layout, purchase: Purchase | None, replicas: int) -> Scenario:
        asked, drafted = self.question.scenario, layout.drafting.drafted if layout.drafting else None
        named = decode({"model": variant.model}).scenario  # an id, or a count such as 30B-A3B
        instance = purchase.machine.instance.instance_type if purchase and purchase.machine.instance else None
        return replace(
            asked,
            model=named.model,
            params=named.params,
            active=named.active,
            weights=variant.asked_weights,
            method=Method.AUTO,
            kv=variant.kv,
            instance=instance,
            gpu=None if instance else self.chips[layout.chip].machine.accelerator.name,
            gpus=layout.laid.tp,
            pp=1,
            ep=1,
            replicas=replicas,
            region=purchase.offer.region if purchase and purchase.offer else asked.region,
            buy=purchase.offer.option if purchase and purchase.offer else self._unbought,
            spec=drafted.method if drafted else None,
            spec_tokens=drafted.tokens if drafted else None,
            accept=drafted.per_token if drafted else None,
            price=self._own_price(layout),
            price_as_of=None,
        )

    @property
    def _unbought(self) -> PurchaseOption:
        return PurchaseOption.OWNED if self.question.owned else PurchaseOption.ON_DEMAND

    def _own_price(self, layout: Layout) -> Decimal | None:
        """What one replica on accelerators of one's own costs an hour, as a plan of them is priced; None on AWS."""
        if not self.question.owned:
            return None
        return layout.laid.tp * self.question.owned[layout.chip].usd_per_gpu_hour

    def _margins(self, row: int) -> Iterator[Margin]:
        layout = self.layouts[row]
        if layout.laid.refused:
            return
        if not layout.laid.skipped:
            yield from self._speed_margins(row)
        judged = self.judgements[layout.variant]
        if self.question.bar is not None and judged.result is not None:
            bar = self.question.bar.minimum_ratio
            known = judged.known and judged.result.margin is not None
            value = bar + (judged.result.margin or 0.0) if known else None
            yield Margin(key="quality", limit=bar, value=value, floor=True)
        usd = float(self._w.bought.usd[row])
        if not np.isfinite(usd):
            yield Margin(key="offer", limit=1.0, value=0.0, floor=True)
        elif self.question.budget_usd_per_month is not None:
            yield Margin(key="budget", limit=float(self.question.budget_usd_per_month), value=usd)

    def _speed_margins(self, row: int) -> Iterator[Margin]:
        layout, asked, served = self.layouts[row], self.question.scenario, self._w.outcome.served
        yield Margin(key="memory", limit=layout.laid.budget_bytes, value=layout.laid.memory_bytes)
        if layout.laid.replica is None:
            return
        for key, values in (("ttft", served.ttft), ("tpot", served.tpot), ("e2e", served.e2e)):
            limit = getattr(asked, key)
            if limit is not None:
                yield Margin(key=key, limit=limit, value=float(values[row]))
        if asked.rate is not None:
            able = float(self._w.outcome.most_requests_per_s[row]) * int(self._w.outcome.replicas[row])
            yield Margin(key="rate", limit=asked.rate, value=able, floor=True)
        yield from self._capacity_margin(row)
        if layout.drafting is not None:
            running = float(np.ceil(served.running[row] - 1e-9))
            yield Margin(key="speculation", limit=layout.drafting.pays_until, value=running)

    def _capacity_margin(self, row: int) -> Iterator[Margin]:
        """Requests one replica has against those it holds; of a population the share that is its, which must run too.
        The engine's maximum fills the cache by itself."""
        layout, asked = self.layouts[row], self.question.scenario
        replica, held = layout.laid.replica, float(layout.laid.max_concurrency)
        if replica is None or asked.load is LoadMode.MAX:
            return
        if asked.requests_in_flight is None or asked.load is LoadMode.BATCH:
            yield Margin(key="capacity", limit=held, value=float(self._w.outcome.served.running[row]))
            return
        share = float(np.ceil(asked.requests_in_flight / self._w.outcome.replicas[row]))
        yield Margin(key="capacity", limit=min(held, float(np.floor(replica.scheduler.running))), value=share)

    @cached_property
    def _failed(self) -> tuple[tuple[Margin, ...], ...]:
        """Per layout, the limits it misses; none for one that passes, or that no engine could lay out."""
        refused = [layout.laid.refused for layout in self.layouts]
        return tuple(
            () if self._w.passing[row] or refused[row] else tuple(m for m in self._margins(row) if not m.met)
            for row in range(len(self.layouts))
        )

    def killed(self) -> dict[str, int]:
        """Candidates without drafting (ways to buy included) that miss each limit; under "offer" the layouts that
        nobody sells here, which are no candidates."""
        counts: Counter[str] = Counter()
        for row, layout in enumerate(self.layouts):
            if layout.drafting is not None:
                continue
            offers = int(self._w.bought.offers[row])
            missed = ["layout"] if layout.laid.refused else [margin.key for margin in self._failed[row]]
            for key in missed if offers else ["offer"]:
                counts[key] += offers or 1
        return dict(counts.most_common())

    def nearest(self) -> Candidate | None:
        """The candidate that misses fewest limits, by the least: what stands last. One that is not sold comes after all
        that are; a limit nothing could be held against, for want of a speed, counts as missed."""
        asked = self.question.scenario
        untimed = sum(limit is not None for limit in (asked.ttft, asked.tpot, asked.e2e))
        best: tuple[bool, int, float, float, int] | None = None
        for row, layout in enumerate(self.layouts):
            if layout.laid.refused or layout.laid.skipped:
                continue
            worst = max((margin.shortfall for margin in self._failed[row]), default=0.0)
            usd = float(self._w.bought.usd[row])
            missed = len(self._failed[row]) + (0 if layout.laid.replica is not None else untimed)
            key = (not np.isfinite(usd), missed, worst, usd, row)
            if best is None or key < best:
                best = key
        return self.candidate(best[-1]) if best else None

    def loosenings(self) -> Iterable[Loosening]:
        """For each limit, the candidate that misses only it and by the least."""
        best: dict[str, tuple[float, float, int, Margin]] = {}
        for row, failed in enumerate(self._failed):
            fixed = len(failed) != 1 or failed[0].value is None or failed[0].key not in LOOSENED
            if fixed or self.layouts[row].laid.skipped:
                continue
            key = (failed[0].shortfall, float(self._w.bought.usd[row]), row, failed[0])
            if failed[0].key not in best or key[:3] < best[failed[0].key][:3]:
                best[failed[0].key] = key
        for name, (_, _, row, margin) in best.items():
            yield Loosening(key=name, limit=margin.limit, needed=margin.value or 0.0, candidate=self.candidate(row))

    def points(self) -> Iterator[Point]:
        served = self._w.outcome.served
        for row in self.groups(self._w.speed):
            variant, judged = self.variants[self._w.variant[row]], self.judgements[self._w.variant[row]]
            yield Point(
                model=variant.model,
                precision=precision_name(variant.precision.weights),
                accelerator=self.chips[self._w.chip[row]].machine.accelerator.name,
                usd_per_month=float(self._w.bought.usd[row]),
                ttft_p95_s=float(served.ttft[row]),
                tpot_p95_s=float(served.tpot[row]),
                e2e_p95_s=float(served.e2e[row]),
                quality=judged.ratio if judged.known else None,
                passes=bool(self._w.passing[row]),
                meets_speed=True,
            )
