"""The warning beside an answer that stands on a price too old to count on."""

from __future__ import annotations

from app.format import usd
from app.planning.plan import Plan
from app.planning.sentences import machine_phrase


def old_price(plan: Plan) -> str:
    """What to know of a stale price, and the cheapest fresh one where there is any; nothing for a fresh price."""
    offer = plan.chosen.offer if plan.chosen else None
    if offer is None or not offer.stale:
        return ""
    said = f"This price is of {offer.as_of.isoformat()}, too old to count on."
    for candidate in plan.candidates:
        if candidate.eligible and candidate.cost and candidate.offer and not candidate.offer.stale:
            month, day = usd(candidate.cost.usd_per_month), candidate.offer.as_of.isoformat()
            return f"{said} The cheapest with a fresh price: {machine_phrase(candidate)}, {month} a month, of {day}."
    return f"{said} No machine that was weighed and fits has a fresher one here; set AWS credentials for live prices."
