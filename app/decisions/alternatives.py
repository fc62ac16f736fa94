"""The next-best answers beside the verdict: another machine, another precision."""

from __future__ import annotations

from dataclasses import replace

from app.format import usd
from app.memo import VersionedSources, remembered_plan
from app.narrative import machine_phrase, precision_name
from app.plan import Candidate, Plan
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
        if other.chosen and other.chosen.eligible and other.chosen.cost:
            cost = other.chosen.cost.usd_per_month
            kept = quality_phrase(current.asked.model, weights)
            room = _room(chosen, other.chosen)
            lines.append(f"In {precision_name(weights)}: {machine_phrase(other.chosen)}, {usd(cost)}{room}; {kept}.")
    return tuple(lines)


def _room(now: Candidate, other: Candidate) -> str:
    """What the same machine gains: ", holds 71 requests at once instead of 25"."""
    if now.machine != other.machine or now.memory is None or other.memory is None:
        return ""
    return f", holds {other.memory.max_concurrency:,} requests at once instead of {now.memory.max_concurrency:,}"


def quality_phrase(model: str | None, weights: Weights) -> str:
    """Published quality of a precision against the 16-bit model: "keeps 100.9 % of its score (2 comparisons)"."""
    found = recovery(model, weights.value) if model else None
    if found is None or found.median is None:
        return "no published quality comparison"
    if found.median >= 1:
        return f"published scores hold ({found.label})"
    return f"keeps {found.median:.1%} of its published score ({found.label})".replace("%", " %")
