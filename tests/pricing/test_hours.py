"""Hours of a week, and how many machines are on in each."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimators.provenance import Refusal
from pricing.hours import Scaling, WeekProfile, always, business_hours, replica_hours_per_month, replicas_by_hour

profiles = st.lists(st.sampled_from((0.0, 0.1, 0.5, 1.0)), min_size=168, max_size=168).map(
    lambda shares: WeekProfile(shares=tuple(shares))
)


@pytest.mark.parametrize(
    ("scaling", "busy", "idle"),
    [
        (Scaling(peak_replicas=3), 3, 0),
        (Scaling(peak_replicas=3, spare_replicas=1), 4, 0),
        (Scaling(peak_replicas=3, minimum_replicas=1), 3, 1),
        (Scaling(peak_replicas=1, spare_replicas=1, minimum_replicas=2), 2, 2),
    ],
)
def test_replicas_follow_the_load_with_spare_ones_and_a_floor(scaling: Scaling, busy: int, idle: int) -> None:
    on = replicas_by_hour(business_hours(), scaling)
    assert (on[9], on[0]) == (busy, idle)
    assert scaling.most == max(busy, idle)


def test_half_the_peak_of_three_needs_two_replicas_and_a_spare() -> None:
    on = replicas_by_hour(business_hours(rest=0.5), Scaling(peak_replicas=3, spare_replicas=1))
    assert on[0] == 3  # ceil(1.5) + 1


def test_a_machine_is_paid_for_while_it_starts() -> None:
    # (2 replicas x 50 h + 5 mornings x 2 starts x 0.25 h) x 730 / 168
    hours = replica_hours_per_month(business_hours(), Scaling(peak_replicas=2, start_hours=0.25))
    assert round(hours, 2) == Decimal("445.39")


def test_machines_that_stay_on_start_once_and_cost_730_hours() -> None:
    assert round(replica_hours_per_month(always(), Scaling(peak_replicas=2, start_hours=0.5)), 6) == 1460


@given(profiles, st.integers(1, 20), st.integers(0, 2), st.floats(0, 1))
def test_more_load_spare_or_start_time_never_costs_fewer_hours(
    profile: WeekProfile, peak: int, spare: int, start: float
) -> None:
    plain = replica_hours_per_month(profile, Scaling(peak_replicas=peak))
    more = replica_hours_per_month(profile, Scaling(peak_replicas=peak + 1, spare_replicas=spare, start_hours=start))
    assert plain <= more
    assert more <= (peak + 1 + spare) * 730 * 2


@pytest.mark.parametrize("shares", [(1.0,) * 167, (1.1,) * 168, (-0.1,) * 168, (float("nan"),) * 168])
def test_a_profile_is_168_shares(shares: tuple[float, ...]) -> None:
    with pytest.raises(Refusal, match="168 shares"):
        WeekProfile(shares=shares)


def test_impossible_hours_and_replicas_are_refused() -> None:
    with pytest.raises(Refusal):
        business_hours(18, 8)
    with pytest.raises(Refusal):
        Scaling(peak_replicas=0)
    with pytest.raises(Refusal):
        Scaling(peak_replicas=1, start_hours=2)
