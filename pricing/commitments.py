"""Commitments: from which use they pay, how much to commit under a load that moves, and what a fall puts at risk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from estimators.provenance import Refusal
from pricing.cost import HOURS_PER_MONTH
from pricing.hours import WeekProfile, always, business_hours

MONTHS_PER_YEAR = 12
STEPS = 20  # of a load in an hour
Use = Sequence[tuple[int, Decimal]]  # machines in use, and for how many hours of a month


def break_even_share(committed_usd_per_hour: Decimal, used_usd_per_hour: Decimal) -> Decimal | None:
    """Share of a month's 730 hours from which paying for all of them is cheaper: p_c / p_u; None where it never is.

    Reserved for a year at $0.52312 against $0.8048 on demand: 0.65, 474.5 hours.
    """
    if used_usd_per_hour <= 0:
        return None
    share = committed_usd_per_hour / used_usd_per_hour
    return share if share <= 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """So many machines committed, the rest of each hour's on demand. Dollars a month."""

    baseline: int
    peak: int
    usd_per_month: Decimal
    on_demand_usd: Decimal  # all of it on demand, as used
    committed_usd: Decimal  # the peak committed

    @property
    def saving_usd(self) -> Decimal:
        """Against the better of the two pure ways."""
        return min(self.on_demand_usd, self.committed_usd) - self.usd_per_month


def best_mix(use: Use, committed: Decimal, on_demand: Decimal) -> Mix:
    """The baseline of least cost: C(b) = 730 b p_c + sum of max(0, m - b) h p_od.

    One machine, four for 50 hours a week, $0.65 against $1: the first is on all week and committed, the three others
    30 % of it and not: 730 x 0.65 + 3 x 217.26 x 1 = $1,126.29, where on demand is $1,381.79 and all committed $1,898.
    """
    peak = peak_of(use)
    costs = {b: _mixed(use, b, committed, on_demand) for b in range(peak + 1)}
    baseline = min(costs, key=lambda b: (costs[b], b))
    return Mix(
        baseline=baseline,
        peak=peak,
        usd_per_month=costs[baseline],
        on_demand_usd=costs[0],
        committed_usd=peak * committed * HOURS_PER_MONTH,
    )


def peak_of(use: Use) -> int:
    """Machines of the busiest hour."""
    if not use or any(machines < 0 or hours < 0 for machines, hours in use):
        raise Refusal("A month needs the machines of its hours.", field="week")
    return max(machines for machines, _ in use)


def machine_hours(use: Use) -> Decimal:
    """Instance-hours of a month."""
    return sum((machines * hours for machines, hours in use), Decimal(0))


def _mixed(use: Use, baseline: int, committed: Decimal, on_demand: Decimal) -> Decimal:
    above = sum((max(0, machines - baseline) * hours for machines, hours in use), Decimal(0))
    return baseline * committed * HOURS_PER_MONTH + above * on_demand


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """A commitment whose traffic changed on the first day, its worst case. Dollars a month but for the terms."""

    committed: int  # machines signed for
    needed: int  # machines the new traffic takes in its busiest hour
    years: int
    committed_usd: Decimal  # of the commitment, with on demand beside it where it is too little
    on_demand_usd: Decimal  # of what the new traffic takes, without any commitment
    idle_usd: Decimal  # paid for machines that stand idle in every hour

    @property
    def idle_usd_of_term(self) -> Decimal:
        """Dollars at risk: what the whole term pays for machines that nobody needs any more."""
        return self.idle_usd * MONTHS_PER_YEAR * self.years

    @property
    def regret_usd_of_term(self) -> Decimal:
        """What the term costs more than on demand would; negative is still saved."""
        return (self.committed_usd - self.on_demand_usd) * MONTHS_PER_YEAR * self.years


def risk_of(use: Use, *, committed: int, years: int, committed_price: Decimal, on_demand_price: Decimal) -> Risk:
    """n p_c 730 + sum of max(0, m - n) h p_od against the sum of m h p_od; idle: max(0, n - max m) p_c 730.

    Ten signed for a year at $0.65 where on demand is $1, seven needed all month: idle 3 x 0.65 x 730 x 12 = $17,082,
    and yet (10 x 0.65 - 7 x 1) x 730 x 12 = -$4,380: it still saves.
    """
    needed = peak_of(use)
    return Risk(
        committed=committed,
        needed=needed,
        years=years,
        committed_usd=_mixed(use, committed, committed_price, on_demand_price),
        on_demand_usd=_mixed(use, 0, committed_price, on_demand_price),
        idle_usd=max(0, committed - needed) * committed_price * HOURS_PER_MONTH,
    )


def week_text(shares: Sequence[float]) -> str:
    """The letters of a week, to the nearest 5 % of its peak."""
    return "".join(chr(ord("a") + round(share * STEPS)) for share in shares)


def week_of(text: str) -> WeekProfile:
    """ "always", or "8-18x5@20": full load from 8 to 18 o'clock on five days, 20 % of it otherwise; or a letter for
    each of 168 hours from Monday on, a for none of the peak, b for 5 % of it and so on to u."""
    if text == "always":
        return always()
    if text.isalpha():
        shares = tuple((ord(letter) - ord("a")) / STEPS for letter in text)
        if not any(shares):
            raise Refusal("No hour of the week has any load.", field="week")
        return WeekProfile(shares=shares)
    hours, _, rest = text.partition("@")
    span, _, days = hours.partition("x")
    start, _, end = span.partition("-")
    if int(rest or 0) > 100:
        raise Refusal(f"The load otherwise is {rest} % of the peak.", field="week", remedy="Give 0 to 100.")
    return business_hours(int(start), int(end), int(days), int(rest or 0) / 100)
