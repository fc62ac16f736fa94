"""A link that is a decision: the scenario with its price, and the figures it was decided on, frozen.

Frozen figures are shown as the link's, beside ours and checked against them; nothing is computed from them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from app.exploring.calibration import Standing, formula_version, standing_of
from app.planning.market import book_of
from app.planning.plan import Plan
from app.planning.remembered import VersionedSources, remembered_plan
from app.scenario import ADDED_KEYS, Problem, Scenario, decode, decode_frozen, encode, with_page_defaults
from pricing.offers import PriceSource, PurchaseOption
from pricing.snapshot import snapshot_history

SAME = 0.005  # figures that agree to half a percent are shown alike


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a link says was decided. Times are 95th percentiles in seconds, memory is bytes per GPU."""

    scenario: Scenario  # as decided, price included
    formula: str
    on: date
    usd_per_month: Decimal | None
    memory_bytes_per_gpu: float | None
    ttft_s: float | None
    tpot_s: float | None
    e2e_s: float | None
    cheapest: str | None  # the machine that was the cheapest for the same question


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number three times: as the link says, as computed now at the link's price, and at today's."""

    key: str  # "usd_month", "memory", "ttft", "tpot", "e2e"
    link: float | None
    ours: float | None
    today: float | None

    @property
    def differs(self) -> bool:
        """Whether the link's figure is not what its own inputs and price come to now."""
        if self.link is None or self.ours is None:
            return False
        return abs(self.link - self.ours) > SAME * max(abs(self.ours), 1e-12)

    @property
    def moved(self) -> float | None:
        """Change from the link's price to today's, as a share."""
        if self.ours is None or self.today is None or self.ours == 0:
            return None
        return self.today / self.ours - 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A decision held against today: the figures, what the book says of its price, and whether it flips."""

    decision: Decision
    figures: tuple[Figure, ...]
    price_known: bool | None  # the book has, or had, this price; None: no price, or hardware one owns
    calibration: Standing  # of the version in the link
    cheapest_now: str | None
    machine_gone: bool

    @property
    def altered(self) -> tuple[Figure, ...]:
        """Figures that differ though neither price nor calibration can explain it: the link was not made by us.

        Machines x price x hours is the same in every calibration.
        """
        if self.machine_gone:
            return ()
        estimated = {figure.key for figure in self.figures} - {"usd_month"}
        excused = estimated if self.calibration is Standing.EARLIER else set()
        return tuple(figure for figure in self.figures if figure.differs and figure.key not in excused)

    @property
    def refitted(self) -> tuple[Figure, ...]:
        """Figures that an earlier calibration gave and ours does not."""
        return tuple(figure for figure in self.figures if figure.differs and figure not in self.altered)

    @property
    def flips(self) -> bool | None:
        """Whether another machine is the cheapest today; None when the link does not say which one was."""
        if self.decision.cheapest is None or self.cheapest_now is None:
            return None
        return self.decision.cheapest != self.cheapest_now


def mark_of(scenario: Scenario) -> str:
    """Twelve hex digits of the inputs and price, so that figures never stand beside inputs they were not made for.

    A key added to the vocabulary is covered only where it asks for more than a link without it does, so that links
    made before it keep their mark.
    """
    flat = encode(with_page_defaults(scenario), every_field=True)
    covered = (f"{key}={text}" for key, text in sorted(flat.items()) if text != ADDED_KEYS.get(key))
    return hashlib.sha256("&".join(covered).encode()).hexdigest()[:12]


def freeze(decided: Plan, today: date, sources: VersionedSources) -> dict[str, str]:
    """The flat parameters of the decision link of a plan: resolved inputs, price, figures and formula version."""
    chosen = decided.chosen
    scenario = decided.resolved
    if chosen is not None and chosen.offer is not None and scenario.price is None and scenario.instance is not None:
        known = None if chosen.offer.as_of == date.min else chosen.offer.as_of
        scenario = replace(scenario, price=chosen.offer.usd_per_hour, price_as_of=known)
    flat = encode(scenario, every_field=True)
    if chosen is None or chosen.memory is None:
        return flat
    scenario = decode(flat).scenario  # what the link will be read as
    latency, cost = chosen.latency, chosen.cost
    figures: dict[str, float | Decimal | None] = {
        "decided_usd_month": cost.usd_per_month if cost else None,
        "decided_memory": float(chosen.memory.memory_bytes_per_gpu),
        "decided_ttft": latency.ttft_p95_s if latency else None,
        "decided_tpot": latency.tpot_p95_s if latency else None,
        "decided_e2e": latency.e2e_p95_s if latency else None,
    }
    flat["decision"] = mark_of(scenario)
    flat["formula"] = formula_version()
    flat["decided_on"] = today.isoformat()
    for key, value in figures.items():
        if value is not None and 0 < value < 10**6 * (10**6 if key == "decided_memory" else 10**3):
            flat[key] = f"{value:.9f}".rstrip("0").rstrip(".") if key != "decided_memory" else f"{value:.0f}"
    chose_itself = decided.asked.instance is None and decided.asked.gpu is None and chosen.eligible
    cheapest = chosen.label if chose_itself else cheapest_machine(scenario, sources)
    if cheapest is not None:
        flat["decided_cheapest"] = cheapest
    return flat


def cheapest_machine(scenario: Scenario, sources: VersionedSources) -> str | None:
    """The machine the same question chooses by itself at the book's prices."""
    answer = remembered_plan(unpinned(scenario), sources).chosen
    usable = answer is not None and answer.eligible and answer.machine.instance is not None
    return answer.machine.name if answer is not None and usable else None


def unpinned(scenario: Scenario) -> Scenario:
    """The question behind a decision: its machine, layout and price left open again."""
    counted = scenario.rate is None  # replicas of a rate were resolved, those of a population were chosen
    return replace(
        scenario,
        instance=None,
        gpu=None,
        gpus=None,
        replicas=scenario.replicas if counted else None,
        price=None,
        price_as_of=None,
    )


def read_decision(raw: Mapping[str, str], scenario: Scenario) -> tuple[Decision | None, Scenario, tuple[Problem, ...]]:
    """(the decision a link carries, the scenario to use, what was not used).

    Figures made for other inputs are dropped, and with them the frozen price. A link without figures is no decision,
    and opens as any other. Never raises.
    """
    values, problems = decode_frozen(raw)
    if "decision" not in values or "decided_on" not in values:
        return None, scenario, problems
    if values["decision"] != mark_of(scenario):
        message = "were frozen for other inputs than this link now has, so they and the frozen price are not shown."
        stale = Problem("decision", "The decided figures", message)
        return None, replace(scenario, price=None, price_as_of=None), (*problems, stale)
    decision = Decision(
        scenario=scenario,
        formula=values.get("formula", ""),
        on=values["decided_on"],
        usd_per_month=values.get("decided_usd_month"),
        memory_bytes_per_gpu=values.get("decided_memory"),
        ttft_s=values.get("decided_ttft"),
        tpot_s=values.get("decided_tpot"),
        e2e_s=values.get("decided_e2e"),
        cheapest=values.get("decided_cheapest"),
    )
    return decision, scenario, problems


def review(decision: Decision, sources: VersionedSources) -> Review:
    """The decision's figures beside ours at its price and at today's, and what changed since."""
    frozen = remembered_plan(decision.scenario, sources)
    now = remembered_plan(replace(decision.scenario, price=None, price_as_of=None), sources)
    then, today = figures_of(frozen), figures_of(now)
    said = {
        "usd_month": float(decision.usd_per_month) if decision.usd_per_month is not None else None,
        "memory": decision.memory_bytes_per_gpu,
        "ttft": decision.ttft_s,
        "tpot": decision.tpot_s,
        "e2e": decision.e2e_s,
    }
    gone = frozen.chosen is None or frozen.chosen.memory is None
    return Review(
        decision=decision,
        figures=tuple(Figure(key=key, link=said[key], ours=then.get(key), today=today.get(key)) for key in said),
        price_known=_price_known(decision.scenario, sources),
        calibration=standing_of(decision.formula),
        cheapest_now=cheapest_machine(decision.scenario, sources),
        machine_gone=gone,
    )


def figures_of(result: Plan) -> dict[str, float]:
    """The figures a decision is made on, by key; nothing where there is no machine."""
    chosen = result.chosen
    if chosen is None or chosen.memory is None:
        return {}
    found = {"memory": float(chosen.memory.memory_bytes_per_gpu)}
    if chosen.cost is not None:
        found["usd_month"] = float(chosen.cost.usd_per_month)
    if chosen.latency is not None:
        found |= {
            "ttft": chosen.latency.ttft_p95_s,
            "tpot": chosen.latency.tpot_p95_s,
            "e2e": chosen.latency.e2e_p95_s,
        }
    return found


def _price_known(scenario: Scenario, sources: VersionedSources) -> bool | None:
    """Whether the book has this price now, or the bundled history had it on that day."""
    if scenario.price is None or scenario.instance is None or scenario.buy is PurchaseOption.OWNED:
        return None
    offer = book_of(scenario, sources.book).get(scenario.instance, scenario.region, scenario.buy)
    if offer is not None and offer.source is not PriceSource.LINK and offer.usd_per_hour == scenario.price:
        return True
    history = snapshot_history(scenario.instance, scenario.region, scenario.buy)
    return any(point.usd_per_hour * (1 - scenario.discount / 100) == scenario.price for point in history)
