"""Several models were named: each one's cheapest plan, how much dearer it is, or why it has none. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

from app.format import usd
from app.planning.plan import Candidate
from app.planning.question import Question
from app.planning.recommendation import Recommendation
from app.planning.words import headline
from estimators.provenance import Refusal

MOST = 8  # models of a table that is read as one; more are told apart in the plans


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedModel:
    """One model that was named. `why_not`: what stands against it; empty for the cheapest."""

    model: str
    candidate: Candidate | None
    why_not: str


def named_models(question: Question, recommended: Callable[[Question], Recommendation]) -> tuple[NamedModel, ...]:
    """The models of the question in their order; `recommended` answers a question about one of them."""
    found: list[tuple[str, Candidate | None, str]] = []
    for model in question.models[:MOST]:
        try:
            answer = recommended(replace(question, models=(model,)))
        except Refusal as refusal:
            found.append((model, None, str(refusal)))
            continue
        found.append((model, answer.plans[0].candidate if answer.plans else None, headline(answer)))
    prices = [usd_of(candidate) for _, candidate, _ in found if candidate is not None]
    return tuple(
        NamedModel(
            model=model,
            candidate=candidate,
            why_not=said if candidate is None else _dearer(usd_of(candidate) - min(prices)),
        )
        for model, candidate, said in found
    )


def usd_of(candidate: Candidate) -> Decimal:
    return candidate.usd_per_month or Decimal(0)


def _dearer(by: Decimal) -> str:
    return f"{usd(by)} a month more" if by > 0 else ""
