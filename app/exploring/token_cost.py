"""What the plan's tokens cost: at a stated utilisation, over a week's profile, and against hosted APIs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

from app.exploring.what_if import serving_curve
from app.planning.costs import requests_per_second, tokens_per_second
from app.planning.plan import Candidate, Plan
from app.scenario import LoadMode
from pricing.api_prices import ApiPrice, BreakEven, api_prices, api_prices_of, break_even, equal_cost_line
from pricing.bill import Bill, Extras, TokenPrices, monthly_bill, token_prices
from pricing.hours import Scaling, WeekProfile

SECONDS_PER_MONTH = 730 * 3600
POINTS = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeCost:
    """Cost a month of one volume of output tokens and the input that comes with it."""

    output_millions: float
    api_usd: float
    machines_usd: float
    planned_output_millions: float  # what the plan's load makes in 730 hours


def bill_of(plan: Plan, profile: WeekProfile, extras: Extras, *, spare: int, start_hours: float) -> Bill | None:
    """The month's bill of the chosen machines when they follow `profile`; None without a price.

    Replicas that share a machine go on and off with it, so the unit that scales is the machine then; `spare` counts
    these units.
    """
    chosen = plan.chosen
    if chosen is None or chosen.offer is None or not chosen.instances:
        return None
    replicas = max(1, chosen.replicas)
    shared = replicas > chosen.instances
    return monthly_bill(
        offer=chosen.offer,
        instances_per_replica=1 if shared else chosen.instances // replicas,
        profile=profile,
        scaling=Scaling(
            peak_replicas=chosen.instances if shared else replicas, spare_replicas=spare, start_hours=start_hours
        ),
        extras=extras,
    )


def output_weight(chosen: Candidate, prompt_tokens: int) -> float | None:
    """Machine time of an output token in that of an input token, from the estimated steps.

    w = (decode step / tokens it makes) / (prefill time / prompt tokens). None without a latency estimate.
    """
    latency = chosen.latency
    if latency is None:
        return None
    prefill = sum(operator.seconds for operator in latency.prefill_step)
    decode = sum(operator.seconds for operator in latency.decode_step)
    if prefill <= 0 or decode <= 0:
        return None
    return (decode / max(1.0, latency.running_requests)) / (prefill / prompt_tokens)


def prices_of_tokens(plan: Plan, utilisation: float) -> TokenPrices | None:
    """Dollars per million input, output and blended tokens when the machines are busy `utilisation` of the time."""
    chosen = plan.chosen
    if chosen is None or chosen.cost is None or chosen.latency is None:
        return None
    weight = output_weight(chosen, plan.asked.prompt)
    requests = requests_per_second(plan.asked, max(1, chosen.replicas), chosen.latency)
    if weight is None or requests <= 0:
        return None
    return token_prices(
        usd_per_hour=chosen.cost.usd_per_hour,
        input_tokens_per_second=requests * plan.asked.prompt,
        output_tokens_per_second=requests * plan.asked.output,
        output_weight=weight,
        utilisation=utilisation,
    )


def candidates_for_comparison(plan: Plan) -> tuple[ApiPrice, ...]:
    """Hosted prices of the same open model first, then every other."""
    same = api_prices_of(plan.asked.model) if plan.asked.model else ()
    return (*same, *(price for price in api_prices() if price not in same))


def equal_cost_with_api(
    plan: Plan, api: ApiPrice
) -> tuple[tuple[float | None, float | None], tuple[float, float]] | None:
    """Ends of the line of equal cost for one replica's month, and what the load makes: millions of input, of output."""
    chosen = plan.chosen
    if chosen is None or chosen.cost is None or chosen.latency is None:
        return None
    replicas = max(1, chosen.replicas)
    ends = equal_cost_line(api, chosen.cost.usd_per_month / replicas)
    requests = chosen.latency.req_per_s.value * SECONDS_PER_MONTH / 1e6
    load = (requests * plan.asked.prompt, requests * plan.asked.output)
    return (None if ends[0] is None else float(ends[0]), None if ends[1] is None else float(ends[1])), load


def compare_with_api(plan: Plan, api: ApiPrice) -> tuple[BreakEven, tuple[VolumeCost, ...]] | None:
    """Break-even of one replica of the plan against an API, and the two costs over volume.

    A replica is taken to serve as many requests at once as its memory holds, all month: the machines' best case. A load
    that is already the engine's most is taken as it was estimated, so that a page shows one price for it.
    """
    chosen = plan.chosen
    if chosen is None or chosen.cost is None or chosen.latency is None:
        return None
    replicas = max(1, chosen.replicas)
    per_replica = chosen.cost.usd_per_month / replicas
    rate = (
        chosen.latency.output_tok_per_s.value
        if plan.asked.load is LoadMode.MAX
        else max((point.output_tok_per_s.value for point in serving_curve(plan)), default=0.0)
    )
    capacity = Decimal(repr(rate * SECONDS_PER_MONTH / 1e6))
    if capacity <= 0:
        return None
    mixture = Decimal(plan.asked.prompt) / Decimal(plan.asked.output)
    found = break_even(
        api=api, replica_usd_per_month=per_replica, replica_output_millions=capacity, input_per_output=mixture
    )
    centre = float(capacity)
    planned = tokens_per_second(plan.asked, replicas, chosen.latency).value * SECONDS_PER_MONTH / 1e6
    low, high = math.log10(min(centre, planned)) - 2, math.log10(centre) + 1
    volumes = [10 ** (low + (high - low) * step / (POINTS - 1)) for step in range(POINTS)]
    line = tuple(
        VolumeCost(
            output_millions=volume,
            api_usd=volume * float(found.api_usd_per_million_output),
            machines_usd=math.ceil(volume / centre) * float(per_replica),
            planned_output_millions=planned,
        )
        for volume in volumes
    )
    return found, line
