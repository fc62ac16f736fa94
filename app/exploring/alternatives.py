"""The next-best answers beside the verdict: another machine, another precision."""

from __future__ import annotations

from dataclasses import replace

from app.format import plural, usd
from app.planning.plan import Candidate, Plan
from app.planning.remembered import VersionedSources, remembered_plan
from app.planning.sentences import machine_phrase, precision_name
from estimators.precision import Method, Weights
from estimators.quality.recovery import recovery

OTHER_PRECISIONS = (Weights.INT8, Weights.INT4)


def alternatives(current: Plan, sources: VersionedSources) -> tuple[str, ...]:
    """One line for the next accelerator, one for INT8 and INT4 on their cheapest machine."""
    chosen = current.chosen
    if chosen is None or current.precision is None or not chosen.fits or chosen.cost is None:
        return ()
    lines: list[str] = []
    others = [
        c for c in current.candidates if c.eligible and c.machine.accelerator.name != chosen.machine.accelerator.name
    ]
    if others and others[0].cost is not None:
        lines.append(f"On {machine_phrase(others[0])}: {usd(others[0].cost.usd_per_month)}.")
    if current.precision.published and current.precision.spec.quantization is not None:
        return tuple(lines)
    for weights in OTHER_PRECISIONS:
        if weights is current.precision.weights:
            continue
        scenario = replace(
            current.asked,
            weights=weights,
            method=Method.AUTO,
            instance=None,
            gpus=None,
            price=None,
            price_as_of=None,
        )
        other = remembered_plan(scenario, sources)
        if other.chosen and other.chosen.eligible and other.chosen.cost and _gains(chosen, other.chosen):
            cost = other.chosen.cost.usd_per_month
            kept = quality_phrase(current.asked.model, weights)
            room = _room(chosen, other.chosen)
            lines.append(f"In {precision_name(weights)}: {machine_phrase(other.chosen)}, {usd(cost)}{room}; {kept}.")
    return tuple(lines)


def _gains(now: Candidate, other: Candidate) -> bool:
    """Whether another precision is worth a line: it costs less, or as much and holds more."""
    if now.cost is None or other.cost is None or now.memory is None or other.memory is None:
        return False
    if other.cost.usd_per_month != now.cost.usd_per_month:
        return other.cost.usd_per_month < now.cost.usd_per_month
    return _holds(other) > _holds(now)


def _holds(candidate: Candidate) -> int:
    """Requests that all replicas hold at once."""
    return candidate.memory.max_concurrency * max(1, candidate.replicas) if candidate.memory else 0


def _room(now: Candidate, other: Candidate) -> str:
    """What the same machines gain: ", holds 71 requests at once instead of 25"."""
    same = now.machine == other.machine and now.replicas == other.replicas
    if not same or _holds(other) <= _holds(now):
        return ""
    return f", holds {plural(_holds(other), 'request')} at once instead of {_holds(now):,}"


def quality_phrase(model: str | None, weights: Weights) -> str:
    """Published quality of a precision against the 16-bit model, over averages of whole suites of tasks, which single
    tasks may fall short of: "keeps 98.3 % of its published suite averages (6 published comparisons of this model)"."""
    found = recovery(model, weights.value) if model else None
    if found is None or found.median is None:
        return "no published comparison of suite averages"
    if found.median >= 1:
        return f"published averages over suites of tasks hold ({found.label})"
    return f"keeps {found.median:.1%} of its published averages over suites of tasks ({found.label})".replace("%", " %")
