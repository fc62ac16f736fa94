"""The answer to a question: ranked plans, the nearest miss, and why the cheaper ones fail. Types only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.planning.plan import Candidate, Plan
from app.planning.question import Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A plan that meets every limit. `plan` is what its link opens to."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """Plans in the planner's order. Empty: `nearest` is the last candidate standing, `loosenings` the ways out."""

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
