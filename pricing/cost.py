"""Hours times offers: what machines cost a month, and a million tokens."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from estimators.provenance import Refusal, Term

if TYPE_CHECKING:
    from pricing.offers import Offer

# 8760 / 12: the month AWS's own calculator and price pages use.
HOURS_PER_MONTH = Decimal(730)
SECONDS_PER_HOUR = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthlyCost:
    """What a plan's machines cost."""

    usd_per_hour: Decimal  # all instances together
    usd_per_month: Decimal
    usd_per_million_output_tokens: Decimal | None  # at the load's throughput; None when that is unknown or zero
    usd_per_million_low: Decimal | None  # at the upper end of the throughput's interval: fast is cheap
    usd_per_million_high: Decimal | None
    billed_hours: Decimal  # an instance's hours a month on the bill
    terms: tuple[Term, ...]


def billed_hours(offer: Offer, hours: Decimal) -> Decimal:
    """Hours on the bill: those used, or all 730 of a commitment (reserved, Savings Plan, owned)."""
    return HOURS_PER_MONTH if offer.option.committed else hours


def usd_per_million_tokens(usd_per_hour: Decimal, tokens_per_second: float) -> Decimal:
    """Dollars for a million tokens: p x 10^6 / (3600 r); $1.006 an hour at 50 tokens/s is $5.59."""
    return usd_per_hour * 1_000_000 / (Decimal(repr(tokens_per_second)) * SECONDS_PER_HOUR)


def monthly_cost(
    *,
    offer: Offer,
    instances: int,
    hours: Decimal,
    output_tokens_per_second: float | None = None,
    slowest: float | None = None,
    fastest: float | None = None,
) -> MonthlyCost:
    """Cost of `instances` machines for a month: C = n x p x h.

    g5.xlarge at $1.006 an hour for 730 hours: 1 x 1.006 x 730 = $734.38. `output_tokens_per_second` is that of all
    instances together, between `slowest` and `fastest`.
    """
    if instances < 1:
        raise Refusal(f"A plan needs at least one instance, not {instances}.", field="replicas")
    if not Decimal(0) <= hours <= Decimal(744):
        raise Refusal(
            f"A month has at most 744 hours, not {hours}.", field="hours", remedy="Give 0 to 744; 730 is all."
        )
    billed = billed_hours(offer, hours)
    per_hour = offer.usd_per_hour * instances
    per_month = per_hour * billed
    origin = offer.read_from
    terms = [
        Term(
            label="Machines",
            value=float(per_month),
            unit="USD",
            formula=f"C = n p h = {instances} x ${offer.usd_per_hour} x {billed} h",
            source=origin,
        )
    ]
    per_million = None
    if output_tokens_per_second:
        per_million = usd_per_million_tokens(per_hour, output_tokens_per_second)
        formula = f"n p 10^6 / (3600 r) = ${per_hour} x 10^6 / (3600 x {output_tokens_per_second:g} tokens/s)"
        terms.append(
            Term(label="Million output tokens", value=float(per_million), unit="USD", formula=formula, source=origin)
        )
    return MonthlyCost(
        usd_per_hour=per_hour,
        usd_per_month=per_month,
        usd_per_million_output_tokens=per_million,
        usd_per_million_low=usd_per_million_tokens(per_hour, fastest) if fastest else None,
        usd_per_million_high=usd_per_million_tokens(per_hour, slowest) if slowest else None,
        billed_hours=billed,
        terms=tuple(terms),
    )
