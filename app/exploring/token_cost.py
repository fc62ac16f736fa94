"""What the plan's tokens cost: at a stated utilisation, and over a week's profile."""

from __future__ import annotations

from app.exploring.finding import PageFinding
from app.format import percent, usd
from app.planning.costs import requests_per_second, tokens_per_second
from app.planning.plan import Candidate, Plan
from app.planning.sentences import load_phrase
from pricing.bill import Bill, Extras, TokenPrices, monthly_bill, token_prices
from pricing.cost import HOURS_PER_MONTH
from pricing.hours import Scaling, WeekProfile, always

SECONDS_PER_MONTH = 730 * 3600


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
        hours=plan.asked.hours if profile == always() else HOURS_PER_MONTH,
        extras=extras,
    )


def output_tokens_of_month(plan: Plan, profile: WeekProfile) -> float | None:
    """Output tokens that the load draws in a month whose hours follow `profile`; None without a speed estimate.

    100 tokens a second at the peak, in a third of 730 hours: 87.6 million.
    """
    chosen = plan.chosen
    if chosen is None or chosen.latency is None:
        return None
    hours = float(plan.asked.hours if profile == always() else HOURS_PER_MONTH) * profile.mean
    return tokens_per_second(plan.asked, max(1, chosen.replicas), chosen.latency).value * 3600 * hours


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


def tokens_finding(plan: Plan, busy_percent: int = 100) -> PageFinding | None:
    """What a million tokens cost as billed and without an idle second; None without a speed estimate or a price."""
    prices, full = prices_of_tokens(plan, busy_percent / 100), prices_of_tokens(plan, 1.0)
    if prices is None or full is None:
        return None
    cost = plan.chosen.cost if plan.chosen else None
    whole = cost.usd_per_million_output_tokens if cost else None
    alone = f"; with nothing charged for input it is {usd(whole)}, the figure of the first screen" if whole else ""
    ins, out, busy = prices.usd_per_million_input, prices.usd_per_million_output, percent(prices.utilisation)
    return PageFinding(
        title="What a million tokens cost",
        sentence=f"A million tokens cost {usd(ins)} in and {usd(out)} out on machines that work {busy} of their hours.",
        heads=("A million tokens", "As billed", "If always busy"),
        rows=(
            ("Input", usd(ins), usd(full.usd_per_million_input)),
            ("Output", usd(out), usd(full.usd_per_million_output)),
            ("Blended", usd(prices.usd_per_million_blended), usd(full.usd_per_million_blended)),
        ),
        notes=(
            f"At this load ({load_phrase(plan.asked)}). As billed spreads the bill over the tokens served; if always "
            "busy is the same machines without an idle second. Input and output are split by the machine time each "
            f"takes: a million output tokens, always busy, cost {usd(full.usd_per_million_output)}{alone}. More "
            "requests at a time make every token cheaper.",
        ),
    )
