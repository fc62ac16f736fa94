"""The answer to a question: ranked plans, what they leave of each limit, and why the cheaper ones fail. Types only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from app.planning.plan import Plan
from app.planning.quality_bar import Judgement
from app.planning.question import Question
from app.planning.speculation import Drafting
from app.scenario import Scenario
from estimators.latency.estimate import Interval, LatencyEstimate
from pricing.offers import Offer


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """One limit and where a candidate stands. Seconds, bytes, USD a month, or ratios; `value` None is unknown."""

    key: str  # "ttft", "tpot", "e2e", "memory", "rate", "quality", "budget", "offer", "layout", "speculation"
    limit: float
    value: float | None
    floor: bool = False  # the limit is a least value (quality), not a most
    low: float | None = None  # ends of the value's 80 % interval, where it is an estimate of a plan
    high: float | None = None

    @property
    def met(self) -> bool:
        if self.value is None:
            return False
        return self.value >= self.limit if self.floor else self.value <= self.limit

    @property
    def may_miss(self) -> bool:
        """Met by the estimate, and missed by the upper end of its interval."""
        return self.met and self.high is not None and self.high > self.limit

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
class Candidate:
    """One model, precision, cache, layout and its cheapest way to be bought."""

    scenario: Scenario  # resolved: what a link to it carries
    model: str
    accelerator: str
    machine: str
    tp: int
    replicas: int
    instances: int
    usd_per_month: Decimal | None  # None: not offered
    offer: Offer | None
    ttft_p95_s: float | None
    tpot_p95_s: float | None
    e2e_p95_s: float | None
    quality: Judgement
    margins: tuple[Margin, ...]
    remark: str = ""  # why it cannot be weighed, where that is not one of the limits
    drafting: Drafting | None = None  # how it drafts, where it does

    @property
    def failed(self) -> tuple[Margin, ...]:
        return tuple(margin for margin in self.margins if not margin.met)

    @property
    def unweighed(self) -> tuple[str, ...]:
        """Objectives that were asked for and not held against it: it has no speed where it does not fit."""
        held = {margin.key for margin in self.margins}
        return tuple(
            key for key in ("ttft", "tpot", "e2e") if getattr(self.scenario, key) is not None and key not in held
        )

    @property
    def passes(self) -> bool:
        return not self.failed and not self.remark


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A plan that meets every limit. `plan` is the same as the estimate page makes of its link."""

    candidate: Candidate
    plan: Plan
    next_cheaper: Candidate | None  # the costliest candidate that is cheaper and fails


@dataclass(frozen=True, slots=True, kw_only=True)
class Loosening:
    """The least a limit would have to give, all others kept, for `candidate` to pass."""

    key: str
    limit: float
    needed: float
    candidate: Candidate


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One model, precision and accelerator in its cheapest layout, for the pictures."""

    model: str
    precision: str
    accelerator: str
    usd_per_month: float
    ttft_p95_s: float
    tpot_p95_s: float
    e2e_p95_s: float
    quality: float | None
    passes: bool
    meets_speed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """Plans cheapest first. Empty: `nearest` is the last candidate standing and `loosenings` the ways out."""

    question: Question
    plans: tuple[Ranked, ...]
    weighed: int  # candidates: model x precision x cache x layout x instance x region x way to pay
    layouts: int  # of which distinct in memory and speed
    killed: Mapping[str, int]  # candidates that miss a limit, by limit; one may miss several. "offer": layouts not sold
    nearest: Candidate | None
    loosenings: tuple[Loosening, ...]
    points: tuple[Point, ...]
    without_evidence: tuple[str, ...]  # model and precision pairs nobody has published a comparison for
    notes: tuple[str, ...]
    drafting: int = 0  # of the candidates weighed, those with speculative decoding
