"""The month's bill of a plan: replicas over a week, what is kept spare, and the lines beside the machines."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from estimators.provenance import Refusal, Term
from pricing.cost import HOURS_PER_MONTH, SECONDS_PER_HOUR
from pricing.hours import Scaling, WeekProfile, replica_hours_per_month, replicas_by_hour

if TYPE_CHECKING:
    from pricing.offers import Offer

NEVER_INCLUDED = "load balancers, NAT, monitoring, support plans and tax"
ENTERED = "entered on the page"


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """Lines beside the machines. Prices have no default: they depend on the region and are the reader's to enter."""

    storage_gb: Decimal = Decimal(0)  # per instance
    storage_usd_per_gb_month: Decimal = Decimal(0)
    egress_gb_per_month: Decimal = Decimal(0)
    egress_usd_per_gb: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        pairs = (
            (self.storage_gb, self.storage_usd_per_gb_month, "storage"),
            (self.egress_gb_per_month, self.egress_usd_per_gb, "egress"),
        )
        for amount, price, what in pairs:
            if amount < 0 or price < 0 or (amount > 0 and price == 0):
                raise Refusal(f"{what.capitalize()} needs an amount and a price.", field="hours", remedy="Give both.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """A month of a plan: as billed, and as if every machine ran every hour."""

    usd_per_month: Decimal  # as billed, extras included
    always_on_usd_per_month: Decimal  # the same machines for 730 hours
    instance_hours: Decimal
    mean_instances: float
    upfront_usd: Decimal  # due on the first day of a commitment, part of the hourly rate
    terms: tuple[Term, ...]
    not_included: str


def _machines_term(offer: Offer, hours: Decimal, cost: Decimal, how: str) -> Term:
    return Term(
        label="Machines",
        value=float(cost),
        unit="USD",
        formula=f"C = p x instance-hours = ${offer.usd_per_hour} x {hours:.2f} h ({how})",
        source=f"{offer.origin}, {offer.as_of.isoformat()}",
    )


def _extra_terms(extras: Extras, instances: int) -> tuple[tuple[Term, Decimal], ...]:
    lines = []
    if extras.storage_gb:
        cost = extras.storage_gb * extras.storage_usd_per_gb_month * instances
        formula = f"n x GB x price = {instances} x {extras.storage_gb} x ${extras.storage_usd_per_gb_month}"
        lines.append((Term(label="Storage", value=float(cost), unit="USD", formula=formula, source=ENTERED), cost))
    if extras.egress_gb_per_month:
        cost = extras.egress_gb_per_month * extras.egress_usd_per_gb
        formula = f"GB x price = {extras.egress_gb_per_month} x ${extras.egress_usd_per_gb}"
        lines.append((Term(label="Egress", value=float(cost), unit="USD", formula=formula, source=ENTERED), cost))
    return tuple(lines)


def _left_out(extras: Extras) -> str:
    missing = [
        what
        for what, amount in (("storage", extras.storage_gb), ("transfer", extras.egress_gb_per_month))
        if not amount
    ]
    return ", ".join([*missing, NEVER_INCLUDED])


def monthly_bill(
    *,
    offer: Offer,
    instances_per_replica: int,
    profile: WeekProfile,
    scaling: Scaling,
    extras: Extras | None = None,
) -> Bill:
    """What a plan costs a month: C = p x n x replica-hours, all 730 hours of the most replicas for a commitment.

    Two g5.xlarge replicas on business hours with N+1 and no start time: 3 x 50 x 4.345 = 651.79 h x $1.006 = $655.70.
    """
    if instances_per_replica < 1:
        raise Refusal("A replica needs at least one instance.", field="replicas")
    extras = extras or Extras()
    most = scaling.most * instances_per_replica
    committed = offer.option.committed
    used = replica_hours_per_month(profile, scaling) * instances_per_replica
    hours = HOURS_PER_MONTH * most if committed else used
    machines = offer.usd_per_hour * hours
    how = "a commitment bills every hour" if committed else "replicas follow the load"
    lines = _extra_terms(extras, most)
    mean = sum(replicas_by_hour(profile, scaling)) / len(profile.shares) * instances_per_replica
    return Bill(
        usd_per_month=machines + sum((cost for _, cost in lines), Decimal(0)),
        always_on_usd_per_month=offer.usd_per_hour * HOURS_PER_MONTH * most,
        instance_hours=hours,
        mean_instances=mean,
        upfront_usd=offer.upfront_usd * most,
        terms=(_machines_term(offer, hours, machines, how), *(term for term, _ in lines)),
        not_included=_left_out(extras),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPrices:
    """Dollars for a million tokens of machines at a stated utilisation."""

    utilisation: float
    usd_per_million_input: Decimal
    usd_per_million_output: Decimal
    usd_per_million_blended: Decimal  # of any kind, in the load's own mixture


def token_prices(
    *,
    usd_per_hour: Decimal,
    input_tokens_per_second: float,
    output_tokens_per_second: float,
    output_weight: float,
    utilisation: float,
) -> TokenPrices:
    """Prices of input and output tokens that together pay for the machines.

    An hour of tokens costs the hour: 3600 u (r_in p_in + r_out p_out) = p 10^6, with p_out = w p_in, where w is the
    machine time of an output token in that of an input token. So p_in = p 10^6 / (3600 u (r_in + w r_out)).
    $1.006 an hour, 1000 input and 100 output tokens a second, w = 10, u = 0.5: $0.28 and $2.79, blended $0.51.
    """
    if not 0 < utilisation <= 1 or output_weight <= 0:
        raise Refusal("Utilisation is a share above 0, and an output token costs some time.", field="hours")
    if input_tokens_per_second < 0 or output_tokens_per_second < 0:
        raise Refusal("A rate of tokens cannot be negative.", field="rate")
    total = input_tokens_per_second + output_tokens_per_second
    weighted = input_tokens_per_second + output_weight * output_tokens_per_second
    if not weighted:
        raise Refusal("Without tokens there is no price for one.", field="rate", remedy="Give a load.")
    per_input = usd_per_hour * 1_000_000 / _exact(SECONDS_PER_HOUR * utilisation * weighted)
    return TokenPrices(
        utilisation=utilisation,
        usd_per_million_input=per_input,
        usd_per_million_output=per_input * _exact(output_weight),
        usd_per_million_blended=usd_per_hour * 1_000_000 / _exact(SECONDS_PER_HOUR * utilisation * total),
    )


def _exact(number: float) -> Decimal:
    return Decimal(repr(number))
