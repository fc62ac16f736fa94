"""All layouts of a question side by side: served, bought, and held against every limit. No Streamlit, no I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from app.decisions.fleet import Bools, Fleet, Floats, Ints, Outcome, Served
from app.decisions.layouts import Chip, Layout, Variant
from app.decisions.purchase import Purchase
from app.decisions.quality_bar import Judgement
from app.decisions.question import Question
from app.decisions.recommendation import Candidate, Loosening, Margin, Point
from app.narrative import precision_name
from app.scenario import Scenario, decode
from estimators.precision import Method
from pricing.cost import monthly_cost
from pricing.offers import PurchaseOption

LOOSENED = ("ttft", "tpot", "e2e", "quality", "budget")  # limits that a person sets and can move


@dataclass(frozen=True)
class _Bought:
    """Per layout: its cheapest machine, how many, and what they cost a month; infinite where it is not offered."""

    machine: Ints
    instances: Ints
    usd: Floats
    offers: Ints


class Field:
    """All layouts of a question side by side, one array element each."""

    def __init__(
        self,
        question: Question,
        variants: tuple[Variant, ...],
        chips: tuple[Chip, ...],
        market: tuple[tuple[Purchase, ...], ...],
        judgements: tuple[Judgement, ...],
        layouts: tuple[Layout, ...],
    ) -> None:
        self.question, self.variants, self.chips = question, variants, chips
        self.market, self.judgements, self.layouts = market, judgements, layouts
        self._variant = np.array([layout.variant for layout in layouts])
        self._chip = np.array([layout.chip for layout in layouts])
        self._tp = np.array([layout.laid.tp for layout in layouts])
        self._runs = np.array([layout.laid.replica is not None for layout in layouts])
        self.outcome = self._serve()
        self.bought = self._buy()
        self.weighed = int(self.bought.offers.sum())
        good = np.array([judged.passes for judged in judgements])[self._variant]
        budget = question.budget_usd_per_month
        afford = self.bought.usd <= (float("inf") if budget is None else float(budget))
        self._speed = self.outcome.meets & np.isfinite(self.bought.usd)
        self._passing = self._speed & good & afford

    def _serve(self) -> Outcome:
        """The fleet's outcome, over all layouts: those without a server never meet."""
        runs = np.flatnonzero(self._runs)
        total = len(self.layouts)
        replicas, meets = np.ones(total, dtype=np.int64), np.zeros(total, dtype=np.bool_)
        columns = {name: np.full(total, np.nan) for name in ("ttft", "tpot", "e2e", "running", "requests_per_s")}
        most = np.zeros(total)
        if len(runs):
            plans = [layout.laid.replica for layout in self.layouts if layout.laid.replica is not None]
            capacity = np.array([self.layouts[i].laid.max_concurrency for i in runs])
            found = Fleet(plans, capacity, replace(self.question.scenario, spec=None)).answer()
            replicas[runs], meets[runs], most[runs] = found.replicas, found.meets, found.most_requests_per_s
            for name, column in columns.items():
                column[runs] = getattr(found.served, name)
        return Outcome(replicas=replicas, meets=meets, served=Served(**columns), most_requests_per_s=most)

    def _buy(self) -> _Bought:
        total = len(self.layouts)
        machine, instances = np.full(total, -1, dtype=np.int64), np.zeros(total, dtype=np.int64)
        usd, offers = np.full(total, np.inf), np.zeros(total, dtype=np.int64)
        for c, sold in enumerate(self.market):
            rows = np.flatnonzero(self._chip == c)
            for m, purchase in enumerate(sold):
                possible = rows[self._tp[rows] <= (purchase.most or purchase.gpus)]
                offers[possible] += purchase.offers
                needed = _machines(self.outcome.replicas[possible], self._tp[possible], purchase)
                cost = needed * purchase.usd_per_month
                if purchase.most is not None:
                    cost = np.where(needed <= purchase.most, cost, np.inf)
                cheaper = (cost < usd[possible]) | (machine[possible] < 0)
                rows_now = possible[cheaper]
                machine[rows_now], instances[rows_now], usd[rows_now] = m, needed[cheaper], cost[cheaper]
        return _Bought(machine, instances, usd, offers)

    def order(self, which: Bools) -> Ints:
        """The layouts of a mask, cheapest first; ties go to fewer machines, fewer GPUs, the wider cache."""
        rows = np.flatnonzero(which)
        keys = (self._variant[rows], self._tp[rows], self.bought.instances[rows], self.bought.usd[rows])
        return rows[np.lexsort(keys)]

    def groups(self, which: Bools) -> Iterator[int]:
        """The cheapest layout of each model, precision and accelerator, cheapest group first."""
        seen: set[tuple[str, object, int]] = set()
        for row in self.order(which).tolist():
            variant = self.variants[self._variant[row]]
            key = (variant.model, variant.precision.weights, int(self._chip[row]))
            if key not in seen:
                seen.add(key)
                yield row

    def passing(self) -> Iterator[int]:
        return self.groups(self._passing)

    def rejected_below(self, usd: float) -> int | None:
        """The costliest layout that runs, would be cheaper than `usd` and fails."""
        rows = self.order(~self._passing & (self.bought.usd < usd) & self._runs)
        return int(rows[-1]) if len(rows) else None

    def candidate(self, row: int) -> Candidate:
        layout, bought, served = self.layouts[row], self.bought, self.outcome.served
        variant, judged = self.variants[layout.variant], self.judgements[layout.variant]
        sold = self.market[layout.chip]
        purchase = sold[int(bought.machine[row])] if bought.machine[row] >= 0 else None
        replicas, count = int(self.outcome.replicas[row]), int(bought.instances[row])
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
        )

    def _usd(self, purchase: Purchase | None, count: int, usd: float) -> Decimal | None:
        if purchase is None or not np.isfinite(usd):
            return None
        if purchase.offer is None:
            return Decimal(repr(round(usd, 6)))
        return monthly_cost(offer=purchase.offer, instances=count, hours=self.question.scenario.hours).usd_per_month

    def _scenario(self, variant: Variant, layout: Layout, purchase: Purchase | None, replicas: int) -> Scenario:
        asked = self.question.scenario
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
            buy=purchase.offer.option if purchase and purchase.offer else PurchaseOption.ON_DEMAND,
            spec=None,
            spec_tokens=None,
            accept=None,
            price=None,
            price_as_of=None,
        )

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
        usd = float(self.bought.usd[row])
        if not np.isfinite(usd):
            yield Margin(key="offer", limit=1.0, value=0.0, floor=True)
        elif self.question.budget_usd_per_month is not None:
            yield Margin(key="budget", limit=float(self.question.budget_usd_per_month), value=usd)

    def _speed_margins(self, row: int) -> Iterator[Margin]:
        layout, asked, served = self.layouts[row], self.question.scenario, self.outcome.served
        yield Margin(key="memory", limit=layout.laid.budget_bytes, value=layout.laid.memory_bytes)
        if layout.laid.replica is None:
            return
        for key, values in (("ttft", served.ttft), ("tpot", served.tpot), ("e2e", served.e2e)):
            limit = getattr(asked, key)
            if limit is not None:
                yield Margin(key=key, limit=limit, value=float(values[row]))
        if asked.rate is not None:
            able = float(self.outcome.most_requests_per_s[row]) * int(self.outcome.replicas[row])
            yield Margin(key="rate", limit=asked.rate, value=able, floor=True)
        yield Margin(key="capacity", limit=float(layout.laid.max_concurrency), value=float(served.running[row]))

    def killed(self) -> dict[str, int]:
        """Candidates (ways to buy included) that miss each limit."""
        counts: Counter[str] = Counter()
        for row in range(len(self.layouts)):
            if self._passing[row]:
                continue
            for key in self._failed_keys(row):
                counts[key] += max(1, int(self.bought.offers[row]))
        return dict(counts.most_common())

    def _failed_keys(self, row: int) -> list[str]:
        if self.layouts[row].laid.refused:
            return ["layout"]
        return [margin.key for margin in self._margins(row) if not margin.met]

    def nearest(self) -> Candidate | None:
        """The candidate that misses fewest limits, by the least: what stands last."""
        best: tuple[int, float, float, int] | None = None
        for row, layout in enumerate(self.layouts):
            if layout.laid.refused or layout.laid.skipped:
                continue
            failed = [margin for margin in self._margins(row) if not margin.met]
            worst = max((margin.shortfall for margin in failed), default=0.0)
            key = (len(failed), worst, float(self.bought.usd[row]), row)
            if best is None or key < best:
                best = key
        return self.candidate(best[3]) if best else None

    def loosenings(self) -> Iterable[Loosening]:
        """For each limit, the candidate that misses only it and by the least."""
        best: dict[str, tuple[float, float, int, Margin]] = {}
        for row in range(len(self.layouts)):
            failed = [margin for margin in self._margins(row) if not margin.met]
            fixed = len(failed) != 1 or failed[0].value is None or failed[0].key not in LOOSENED
            if fixed or self.layouts[row].laid.skipped:
                continue
            key = (failed[0].shortfall, float(self.bought.usd[row]), row, failed[0])
            if failed[0].key not in best or key[:3] < best[failed[0].key][:3]:
                best[failed[0].key] = key
        for name, (_, _, row, margin) in best.items():
            yield Loosening(key=name, limit=margin.limit, needed=margin.value or 0.0, candidate=self.candidate(row))

    def points(self) -> Iterator[Point]:
        served = self.outcome.served
        for row in self.groups(self._speed):
            variant, judged = self.variants[self._variant[row]], self.judgements[self._variant[row]]
            yield Point(
                model=variant.model,
                precision=precision_name(variant.precision.weights),
                accelerator=self.chips[self._chip[row]].machine.accelerator.name,
                usd_per_month=float(self.bought.usd[row]),
                ttft_p95_s=float(served.ttft[row]),
                tpot_p95_s=float(served.tpot[row]),
                e2e_p95_s=float(served.e2e[row]),
                quality=judged.ratio if judged.known else None,
                passes=bool(self._passing[row]),
                meets_speed=True,
            )


def _machines(replicas: Ints, tp: Ints, purchase: Purchase) -> Ints:
    """Machines for the replicas: ceil(R / floor(g / tp)); owned accelerators are counted one by one."""
    if purchase.most is not None:
        return replicas * tp
    return -(-replicas // (purchase.gpus // tp))
