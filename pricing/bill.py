"""The month's bill of a plan: replicas over a week, what is kept spare, and the lines beside the machines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from estimators.provenance import Refusal, Term
from pricing.bill_rates import ANYWHERE, USUAL_REGION, banded_usd, bands_of
from pricing.cost import HOURS_PER_MONTH, SECONDS_PER_HOUR
from pricing.hours import Scaling, WeekProfile, replica_hours_per_month, replicas_by_hour
from pricing.offers import PurchaseOption

if TYPE_CHECKING:
    from pricing.offers import Offer

NEVER_INCLUDED = "NAT, metrics and traces, snapshots and tax"
ENTERED = "entered on the page"
MONTHS = 12
CONTROL_PLANES = ("eks", "eks-extended", "ecs")
SUPPORT_PLANS = ("business-plus", "enterprise", "unified-operations")
OWN_RATES = ("balancer", "lcu", "logs", "logs-kept", "storage", "transfer")  # that a person may enter instead


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What is billed beside the machines, all of it off by default."""

    control_plane: str = ""  # one of `CONTROL_PLANES`
    balancers: int = 0
    lcus: Decimal = Decimal(1)  # capacity units that each balancer uses, on average
    logs_gb: Decimal = Decimal(0)  # a month, kept for one
    storage_gb: Decimal = Decimal(0)  # per machine
    transfer_gb: Decimal = Decimal(0)  # a month, out to the internet
    support: str = ""  # one of `SUPPORT_PLANS`
    other_aws_usd: Decimal = Decimal(0)  # a month that the same account spends elsewhere: it sets the band
    people: Decimal = Decimal(0)  # of one engineer, 1 for all of a year
    person_usd_per_year: Decimal = Decimal(0)
    own_rates: Mapping[str, Decimal] = field(default_factory=dict)  # by line; they come before published ones
    percent_off: Decimal = Decimal(0)  # of what AWS lists; not of support, of own rates or of people

    def __post_init__(self) -> None:
        for name in ("balancers", "lcus", "logs_gb", "storage_gb", "transfer_gb", "other_aws_usd", "people"):
            if getattr(self, name) < 0:
                raise Refusal(f"{name} of the bill cannot be negative.", field="bill_rates")
        if self.people and not self.person_usd_per_year:
            remedy = "Give what an engineer costs a year, everything included."
            raise Refusal("People need a price.", field="bill_salary", remedy=remedy)


@dataclass(frozen=True, slots=True, kw_only=True)
class BillLine:
    """One line: dollars a month, and where they come from."""

    label: str
    usd: Decimal
    formula: str
    source: str

    @property
    def term(self) -> Term:
        return Term(label=self.label, value=float(self.usd), unit="USD", formula=self.formula, source=self.source)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """A month of a plan: machines alone, which is what one plan more would cost, and with everything beside them."""

    lines: tuple[BillLine, ...]  # the machines first
    list_usd: Decimal  # the machines at list prices; what they cost where nothing was negotiated
    always_on_usd_per_month: Decimal  # the same machines for 730 hours, spare ones included
    instance_hours: Decimal
    mean_instances: float
    upfront_usd: Decimal  # due on the first day of a commitment, part of the hourly rate
    not_included: str

    @property
    def machines_usd(self) -> Decimal:
        return self.lines[0].usd

    @property
    def usd_per_month(self) -> Decimal:
        return sum((line.usd for line in self.lines), Decimal(0))

    @property
    def terms(self) -> tuple[Term, ...]:
        return tuple(line.term for line in self.lines)


def monthly_bill(
    *,
    offer: Offer,
    instances_per_replica: int,
    profile: WeekProfile,
    scaling: Scaling,
    hours: Decimal = HOURS_PER_MONTH,
    extras: Extras | None = None,
) -> Bill:
    """What a plan costs a month: C = p x n x replica-hours x h / 730, all 730 hours of the most replicas if committed.

    Two g5.xlarge replicas on business hours with N+1 and no start time: 3 x 50 x 4.345 = 651.79 h x $1.006 = $655.70,
    a third of it for the spare one.
    """
    if instances_per_replica < 1:
        raise Refusal("A replica needs at least one instance.", field="replicas")
    extras = extras or Extras()
    most, committed = scaling.most * instances_per_replica, offer.option.committed

    def hours_of(scaled: Scaling) -> Decimal:
        if committed:
            return HOURS_PER_MONTH * scaled.most * instances_per_replica
        return replica_hours_per_month(profile, scaled) * instances_per_replica * hours / HOURS_PER_MONTH

    total, needed = hours_of(scaling), hours_of(replace(scaling, spare_replicas=0))
    how = "a commitment bills every hour" if committed else "replicas follow the load"
    lines = [_machines("Machines", offer, needed, how)]
    if total > needed:
        lines.append(_machines("Spare capacity", offer, total - needed, how))
    listed = offer.list_usd_per_hour or offer.usd_per_hour
    on_aws = Decimal(0) if offer.option is PurchaseOption.OWNED else listed * total
    beside = tuple(_aws_lines(extras, offer.region, most))
    lines += [line for line, _ in beside]
    if extras.support:
        lines.append(_support(extras, on_aws + sum((full for _, full in beside), Decimal(0))))
    if extras.people:
        usd = extras.people * extras.person_usd_per_year / MONTHS
        formula = f"share x a year / 12 = {extras.people:f} x ${extras.person_usd_per_year:f} / 12"
        lines.append(BillLine(label="People", usd=usd, formula=formula, source=ENTERED))
    mean = sum(replicas_by_hour(profile, scaling)) / len(profile.shares) * instances_per_replica
    return Bill(
        lines=tuple(lines),
        list_usd=listed * needed,
        always_on_usd_per_month=offer.usd_per_hour * HOURS_PER_MONTH * most,
        instance_hours=total,
        mean_instances=mean,
        upfront_usd=offer.upfront_usd * most,
        not_included=_left_out(extras),
    )


def _machines(label: str, offer: Offer, hours: Decimal, how: str) -> BillLine:
    return BillLine(
        label=label,
        usd=offer.usd_per_hour * hours,
        formula=f"C = p x instance-hours = ${offer.usd_per_hour} x {hours:.2f} h ({how})",
        source=offer.read_from,
    )


def _aws_lines(extras: Extras, region: str, machines: int) -> Iterator[tuple[BillLine, Decimal]]:
    """(the line, its dollars before any discount)."""
    balanced = extras.balancers * HOURS_PER_MONTH
    wanted = (
        (extras.control_plane, "Control plane", HOURS_PER_MONTH if extras.control_plane else Decimal(0)),
        ("balancer", "Load balancers", balanced),
        ("lcu", "Load balancer capacity", balanced * extras.lcus),
        ("logs", "Logs taken in", extras.logs_gb),
        ("logs-kept", "Logs kept", extras.logs_gb),
        ("storage", "Storage", extras.storage_gb * machines),
        ("transfer", "Transfer out", extras.transfer_gb),
    )
    for line, label, amount in wanted:
        if amount:
            yield _usage(extras, region, line, label, amount)


def _usage(extras: Extras, region: str, line: str, label: str, amount: Decimal) -> tuple[BillLine, Decimal]:
    if (own := extras.own_rates.get(line)) is not None:
        formula = f"{amount.normalize():f} x ${own:f}"
        return BillLine(label=label, usd=amount * own, formula=formula, source=ENTERED), amount * own
    bands = bands_of(line, region)
    if not bands:
        usual = bands_of(line, USUAL_REGION)
        usd, first = f"{usual[0].usd.normalize():f}", f" for the first {usual[1].from_amount:,f}" if usual[1:] else ""
        raise Refusal(
            f"No rate of {label.lower()} is known for {region}: {USUAL_REGION}'s is ${usd} a {usual[0].unit}{first}.",
            field="bill_rates",
            remedy=f"Enter {region}'s as your own, such as {line}:{usd}.",
        )
    full = banded_usd(bands, amount)
    off = f", less {extras.percent_off.normalize():f} % entered" if extras.percent_off else ""
    each = " then ".join(f"${band.usd:f}" for band in bands)
    paid = BillLine(
        label=label,
        usd=full * (1 - extras.percent_off / 100),
        formula=f"{amount.normalize():f} {bands[0].unit} x {each}{off}",
        source=f"{bands[0].source}, {bands[0].as_of.isoformat()}",
    )
    return paid, full


def _support(extras: Extras, usd_at_list: Decimal) -> BillLine:
    """The plan's share of the account's fee, by dollars: fee(plan + other) x plan / (plan + other), on list prices.

    $10,000 of an account of $100,000 with Business Support+: a tenth of $6,800.
    """
    bands, whole = bands_of(extras.support, ANYWHERE), usd_at_list + extras.other_aws_usd
    fee = banded_usd(bands, whole)
    share = usd_at_list / whole if whole else Decimal(1)
    formula = f"fee of ${whole:,.2f} a month before discounts, ${fee:,.2f}, x {100 * share:.1f} %"
    source = f"{bands[0].source}, {bands[0].as_of.isoformat()}"
    return BillLine(label="Support", usd=fee * share, formula=formula, source=source)


def _left_out(extras: Extras) -> str:
    lines = (
        ("a control plane", extras.control_plane),
        ("load balancers", extras.balancers),
        ("logs", extras.logs_gb),
        ("storage", extras.storage_gb),
        ("transfer", extras.transfer_gb),
        ("support", extras.support),
        ("people", extras.people),
    )
    return ", ".join([*(what for what, counted in lines if not counted), NEVER_INCLUDED])


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
