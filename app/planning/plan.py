"""What planning comes to: ways to serve a load, what each leaves of its limits, and plans. Types only."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from app.planning.drafting import Drafting
from app.planning.quality_bar import NO_BAR, Judgement
from app.scenario import Scenario, model_text
from estimators.architecture.spec import ModelSpec
from estimators.hardware.accelerator import Accelerator
from estimators.latency.estimate import Interval, LatencyEstimate
from estimators.memory.estimate import MemoryEstimate
from estimators.precision import Precision
from estimators.provenance import Refusal
from estimators.workload import Placement
from pricing.cost import MonthlyCost
from pricing.instances import Instance
from pricing.offers import Offer

OBJECTIVES = ("ttft", "tpot", "e2e")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where a replica can run: an EC2 instance type, or an accelerator that AWS does not sell (no instance)."""

    accelerator: Accelerator
    instance: Instance | None
    memory_bytes: int  # of one accelerator, as software sees it; the slice of a fractional instance

    @property
    def name(self) -> str:
        return self.instance.instance_type if self.instance else self.accelerator.name

    @property
    def partition(self) -> float:
        return self.instance.partition if self.instance else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One limit and where a candidate stands. Seconds, bytes, USD a month, or ratios; `value` None is unknown."""

    key: str  # "ttft", "tpot", "e2e", "memory", "rate", "capacity", "quality", "budget", "offer", "speculation"
    limit: float
    value: float | None
    floor: bool = False  # the limit is a least value (quality), not a most
    low: float | None = None  # ends of the value's 80 % interval, where the candidate is explained
    high: float | None = None

    @property
    def met(self) -> bool | None:
        """None while it cannot be checked."""
        if self.value is None:
            return None
        return self.value >= self.limit if self.floor else self.value <= self.limit

    @property
    def may_miss(self) -> bool:
        """Met by the estimate, and missed by the upper end of its interval."""
        return bool(self.met) and self.high is not None and self.high > self.limit

    @property
    def shortfall(self) -> float:
        """By which share the limit is missed; negative is what is left. 1.3 s against 1 s is 0.3."""
        if self.value is None:
            return float("inf")
        if self.limit == 0:
            return float("inf") if self.value > 0 else 0.0
        share = self.value / self.limit - 1.0
        return -share if self.floor else share


def p95_of(latency: LatencyEstimate, key: str) -> Interval:
    """The 95th percentile of "ttft", "tpot" or "e2e" with the relative interval of its mean: 0.9 s, where the mean is
    0.6 s within 0.5 to 0.8 s, lies within 0.75 to 1.2 s."""
    mean: Interval = getattr(latency, f"{key}_s")
    late: float = getattr(latency, f"{key}_p95_s")
    if mean.value <= 0:
        return Interval(value=late, low=late, high=late)
    return Interval(value=late, low=late * mean.low / mean.value, high=late * mean.high / mean.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """Memory of one replica against its budget, in bytes of the fullest GPU."""

    memory_bytes: float  # demand of the load's share
    budget_bytes: float
    max_concurrency: int  # requests of prompt + output that it holds
    fits: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One way to serve the load: a model in a precision, laid over a machine, in a number of copies, bought.

    `reasons` says why it is not eligible; empty means it is. `memory` and `latency` are there where it was explained
    by the full estimate, which the plans shown are.
    """

    scenario: Scenario  # resolved: what a link to it carries; of a machine beside the chosen one, what was asked
    machine: Machine
    placement: Placement | None
    replicas: int
    instances: int
    offer: Offer | None = None
    cost: MonthlyCost | None = None  # None: not offered, or an accelerator that AWS does not sell
    holding: Holding | None = None
    ttft_p95_s: float | None = None
    tpot_p95_s: float | None = None
    e2e_p95_s: float | None = None
    limits: tuple[Limit, ...] = ()
    quality: Judgement = NO_BAR
    drafting: Drafting | None = None  # how it drafts, where that was for the planner to choose
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()  # true of this machine, and no reason against it
    refusal: Refusal | None = None  # of the estimators, when nothing could be estimated
    memory: MemoryEstimate | None = None
    latency: LatencyEstimate | None = None

    @property
    def fits(self) -> bool | None:
        return None if self.holding is None else self.holding.fits

    @property
    def eligible(self) -> bool:
        return not self.reasons

    @property
    def label(self) -> str:
        return self.machine.name

    @property
    def model(self) -> str:
        return self.scenario.model or model_text(self.scenario)

    @property
    def accelerator(self) -> str:
        return self.machine.accelerator.name

    @property
    def usd_per_month(self) -> Decimal | None:
        return self.cost.usd_per_month if self.cost else None

    @property
    def objectives(self) -> tuple[Limit, ...]:
        """The limits on time that were set."""
        return tuple(limit for limit in self.limits if limit.key in OBJECTIVES)

    @property
    def failed(self) -> tuple[Limit, ...]:
        return tuple(limit for limit in self.limits if not limit.met)

    @property
    def unweighed(self) -> tuple[str, ...]:
        """Objectives that were asked for and not held against it: it has no speed where it does not fit."""
        held = {limit.key for limit in self.limits}
        return tuple(key for key in OBJECTIVES if getattr(self.scenario, key) is not None and key not in held)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything known of one scenario. What could not be reached is None, and `refusal` says why."""

    asked: Scenario
    resolved: Scenario  # every auto replaced by what it came to
    spec: ModelSpec | None = None
    precision: Precision | None = None
    draft: Precision | None = None  # of the model that drafts, where one does
    chosen: Candidate | None = None  # explained by the full estimate
    candidates: tuple[Candidate, ...] = ()  # the machines weighed, eligible ones first, in the planner's order
    refusal: Refusal | None = None
    notes: tuple[str, ...] = ()

    @property
    def all_notes(self) -> tuple[str, ...]:
        """What is noted of the model, then of the machine that was chosen, each once."""
        return tuple(dict.fromkeys((*self.notes, *(self.chosen.notes if self.chosen else ()))))
