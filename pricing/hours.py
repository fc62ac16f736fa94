"""Hours: how many a month a machine is on, and how many machines are on in each hour of a week."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

from estimators.provenance import Refusal
from pricing.cost import HOURS_PER_MONTH

HOURS_PER_WEEK = 168
WEEKS_PER_MONTH = HOURS_PER_MONTH / HOURS_PER_WEEK  # 4.345
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, slots=True, kw_only=True)
class WeekProfile:
    """Load by the hour, as a share of the peak: 168 numbers from 0 to 1, Monday 00:00 first."""

    shares: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.shares) != HOURS_PER_WEEK or not all(0 <= share <= 1 for share in self.shares):
            raise Refusal(
                "A week's profile is 168 shares between 0 and 1.", field="hours", remedy="Give one for each hour."
            )

    @property
    def mean(self) -> float:
        """Average load as a share of the peak."""
        return math.fsum(self.shares) / HOURS_PER_WEEK


def always() -> WeekProfile:
    """The same load in every hour: 730 hours a month."""
    return WeekProfile(shares=(1.0,) * HOURS_PER_WEEK)


def business_hours(start: int = 8, end: int = 18, days: int = 5, rest: float = 0.0) -> WeekProfile:
    """Full load from `start` to `end` o'clock on the first `days` days, `rest` of it otherwise."""
    if not (0 <= start < end <= 24 and 1 <= days <= 7):
        raise Refusal("Business hours run from an earlier to a later hour of the day.", field="week")
    day = tuple(1.0 if start <= hour < end else rest for hour in range(24))
    return WeekProfile(shares=day * days + (rest,) * (24 * (7 - days)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """How replicas follow the load."""

    peak_replicas: int  # that the peak load needs
    spare_replicas: int = 0  # 1 for N+1: a replica may fail and the load still fits
    minimum_replicas: int = 0  # kept on without load
    start_hours: float = 0.0  # from asking for a machine to its first answer: boot, image, weights

    def __post_init__(self) -> None:
        if self.peak_replicas < 1 or self.spare_replicas < 0 or self.minimum_replicas < 0:
            raise Refusal("A plan needs at least one replica.", field="replicas")
        if not 0 <= self.start_hours <= 1:
            raise Refusal("A machine starts within an hour.", field="hours", remedy="Give 0 to 1 hours.")

    @property
    def most(self) -> int:
        """Replicas at the peak, spare ones included."""
        return max(self.peak_replicas + self.spare_replicas, self.minimum_replicas)


def replicas_by_hour(profile: WeekProfile, scaling: Scaling) -> tuple[int, ...]:
    """Replicas on in each hour of the week: ceil(share x peak) + spare, where there is load; never under the minimum.

    Half of a peak of 3 with N+1 needs ceil(1.5) + 1 = 3.
    """
    needed = (math.ceil(share * scaling.peak_replicas - 1e-9) for share in profile.shares)
    return tuple(max(n + scaling.spare_replicas if n else 0, scaling.minimum_replicas) for n in needed)


def replica_hours_per_month(profile: WeekProfile, scaling: Scaling) -> Decimal:
    """Replica-hours on the bill: (sum of replicas + starts x start time) x 730 / 168.

    A machine is paid for while it starts, so every rise of n replicas costs n start times more: two replicas for 50
    hours a week, on five mornings, a quarter of an hour each, are (100 + 5 x 2 x 0.25) x 4.345 = 445.39.
    """
    on = replicas_by_hour(profile, scaling)
    rises = sum(max(0, now - before) for before, now in zip(on[-1:] + on[:-1], on, strict=True))
    weekly = Decimal(sum(on)) + rises * Decimal(repr(scaling.start_hours))
    return weekly * WEEKS_PER_MONTH
