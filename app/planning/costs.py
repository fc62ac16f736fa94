"""A plan's tokens per second and its dollars: the one place where a load's throughput meets a price."""

from __future__ import annotations

from decimal import Decimal

from app.planning.loads import busy_replicas
from app.scenario import Scenario
from estimators.latency.estimate import Interval, LatencyEstimate
from pricing.cost import MonthlyCost, monthly_cost, usd_per_million_tokens
from pricing.offers import Offer


def tokens_per_second(scenario: Scenario, replicas: int, latency: LatencyEstimate) -> Interval:
    """Output tokens a second that the load draws from all replicas together, with its 80 % interval.

    9 requests over 8 replicas are estimated at 2 each: 4.5 replicas' worth of throughput.
    """
    busy, rate = busy_replicas(scenario, replicas), latency.output_tok_per_s
    return Interval(value=rate.value * busy, low=rate.low * busy, high=rate.high * busy)


def requests_per_second(scenario: Scenario, replicas: int, latency: LatencyEstimate) -> float:
    """Requests a second that the load draws from all replicas together."""
    return latency.req_per_s.value * busy_replicas(scenario, replicas)


def plan_cost(
    scenario: Scenario, offer: Offer | None, instances: int, replicas: int, latency: LatencyEstimate | None
) -> MonthlyCost | None:
    """The month, and a million output tokens between the ends of the throughput's interval."""
    if offer is None:
        return None
    tokens = tokens_per_second(scenario, replicas, latency) if latency is not None else None
    return monthly_cost(
        offer=offer,
        instances=instances,
        hours=scenario.hours,
        output_tokens_per_second=tokens.value if tokens else None,
        slowest=tokens.low if tokens else None,
        fastest=tokens.high if tokens else None,
    )


def usd_per_million_between(cost: MonthlyCost, replicas: int, rate: Interval) -> tuple[Decimal, Decimal]:
    """(least, most) for a million output tokens of one replica at a throughput of its own: fast is cheap.

    Two replicas at $2 an hour, 80 to 125 tokens/s each: $1 over 0.45 million tokens and over 0.288, $2.22 to $3.47.
    """
    hourly = cost.usd_per_hour / replicas
    return usd_per_million_tokens(hourly, rate.high), usd_per_million_tokens(hourly, rate.low)
