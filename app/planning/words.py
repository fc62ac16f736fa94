"""Recommendations in sentences: who, on what, within which limits, and why the cheaper ones fail. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from app.format import gib, p95, plural, seconds, small_number, usd
from app.planning.plan import Candidate, Limit, p95_of
from app.planning.recommendation import Loosening, Ranked, Recommendation
from app.planning.sentences import beyond_context, model_name, option_name, precision_name
from estimators.latency.estimate import TIMES
from estimators.precision import KvPrecision, Weights
from pricing.offers import PurchaseOption

LIMITS: Mapping[str, str] = {
    **{key: p95(name) for key, name in TIMES.items()},
    "memory": "memory per GPU",
    "rate": "requests a second",
    "capacity": "requests running at once",
    "quality": "quality",
    "budget": "monthly cost",
    "offer": "not offered in the allowed regions and ways to pay",
    "layout": "attention heads that do not divide",
    "speculation": "requests in flight while drafting",
}


TIGHT_MEMORY = 0.02  # share of the budget left, below which a plan is called tight


def value_text(key: str, value: float | None) -> str:
    """A limit's or an estimate's value with its unit."""
    if value is None:
        return "no published evidence"
    if key in ("ttft", "tpot", "e2e"):
        return seconds(value)
    if key == "memory":
        return gib(value)
    if key == "quality":
        return f"{100 * value:.1f} %"
    return usd(value) if key == "budget" else f"{value:,.3g}"


def margin_text(limit: Limit) -> str:
    """ "p95 time to first token 1.75 s against 1 s", "quality 90.8 % against a bar of 99 %"."""
    name = LIMITS[limit.key]
    if limit.key == "offer":
        return name
    if limit.value is None:
        return f"no published evidence of {name}" if limit.key == "quality" else f"{name} unknown"
    against = "a bar of " if limit.floor else ""
    return f"{name} {value_text(limit.key, limit.value)} against {against}{value_text(limit.key, limit.limit)}"


def left_text(limit: Limit) -> str:
    """What is left of a limit: "9 % below the limit", "2.4 points above the bar"."""
    if limit.value is None:
        return "unknown"
    if limit.key == "quality":
        return f"{100 * (limit.value - limit.limit):+.1f} points to the bar"
    share = abs(limit.shortfall)
    side = "above" if limit.value > limit.limit else "below"
    said = f"{100 * share:.0f} % {side} the limit"
    if limit.may_miss and limit.high is not None:
        return f"{said}, may miss: interval to {value_text(limit.key, limit.high)}"
    return f"{said}: tight" if is_tight(limit) else said


def is_tight(limit: Limit) -> bool:
    """Memory of which next to nothing is left."""
    return limit.key == "memory" and bool(limit.met) and limit.shortfall > -TIGHT_MEMORY


def cautions(ranked: Ranked) -> Iterator[str]:
    """What stands beside a plan that meets every limit: how wide its estimates are, and where they may miss."""
    chosen = ranked.plan.chosen
    for limit in ranked.candidate.limits:
        if limit.value is not None and limit.low is not None and limit.high is not None:
            may = f"; it may miss {value_text(limit.key, limit.limit)} within its interval" if limit.may_miss else ""
            yield f"{_first_up(LIMITS[limit.key])}: {_ranged(limit.value, limit.low, limit.high)}{may}."
    if chosen is not None and chosen.latency is not None and ranked.candidate.scenario.e2e is None:
        whole = p95_of(chosen.latency, "e2e")
        yield f"{_first_up(LIMITS['e2e'])}: {_ranged(whole.value, whole.low, whole.high)}."
    for limit in filter(is_tight, ranked.candidate.limits):
        left = 100 * abs(limit.shortfall)
        yield f"Memory is tight: {left:.1f} % of what the engine may take is left. Try it before committing."
    if context := beyond_context(ranked.plan):
        yield f"It works only{context.removeprefix(',')}."


def _ranged(value: float, low: float, high: float) -> str:
    return f"{seconds(value)} (80 % interval {seconds(low)} to {seconds(high)})"


def _first_up(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"


def precision_of(candidate: Candidate) -> str:
    weights = candidate.scenario.weights
    name = "its published precision" if weights is Weights.AS_PUBLISHED else precision_name(weights)
    return f"{name}, cache in FP8" if candidate.scenario.kv is KvPrecision.FP8 else name


def machine_of(candidate: Candidate) -> str:
    """ "one L40S in each of 9 replicas (9 x g6e.xlarge)"."""
    copies = f" in each of {candidate.replicas} replicas" if candidate.replicas > 1 else ""
    where = f"{candidate.instances} x {candidate.label}" if candidate.instances > 1 else candidate.label
    if candidate.offer is not None and candidate.offer.option is PurchaseOption.OWNED:
        where = "yours"
    size = candidate.placement.gpus if candidate.placement else 1
    return f"{small_number(size)} {candidate.accelerator}{copies} ({where})"


def drafting_of(candidate: Candidate) -> str:
    """ "prompt look-up, n-gram (3 tokens a step)"; nothing for a plan without."""
    return candidate.drafting.name if candidate.drafting else ""


def name_of(candidate: Candidate) -> str:
    drafting = f", drafting with {drafting_of(candidate)}," if candidate.drafting else ""
    return f"{model_name(candidate.scenario)} in {precision_of(candidate)}{drafting} on {machine_of(candidate)}"


def purchase_of(candidate: Candidate) -> str:
    """ "us-east-1, on demand"; nothing for owned hardware."""
    offer = candidate.offer
    if offer is None:
        return "not offered"
    if offer.option is PurchaseOption.OWNED:
        return "hardware you have"
    return f"{offer.region}, {option_name(offer.option)}"


def headline(answer: Recommendation) -> str:
    """The one sentence of a recommendation."""
    if answer.plans:
        best = answer.plans[0].candidate
        return f"{name_of(best)}: {usd(best.usd_per_month or Decimal(0))} a month."
    if answer.nearest is None and answer.without_evidence:
        unknown = "; ".join(answer.without_evidence)
        return f"No plan is known to meet the quality bar: nobody has published a comparison for {unknown}."
    if answer.nearest is None:
        return "Nothing that was named could be weighed."
    failed = _failing(answer.nearest)
    return f"No plan meets every limit. The last one standing, {name_of(answer.nearest)}, fails on {failed}."


def _failing(candidate: Candidate) -> str:
    """The limits a candidate misses, or what else is said against it."""
    missed = [margin_text(limit) for limit in candidate.failed]
    failed = " and ".join(missed or list(candidate.reasons) or ["a limit of the plan made of it"])
    untried = " and ".join(LIMITS[key] for key in candidate.unweighed)
    return f"{failed} ({untried} not worked out for it)" if untried else failed


def cheaper_sentence(rejected: Candidate | None) -> str:
    """Why the next cheaper candidate is not the answer."""
    if rejected is None:
        return "Nothing that runs this load is cheaper."
    failed = _failing(rejected)
    cost = f" at {usd(rejected.usd_per_month)}" if rejected.usd_per_month is not None else ""
    return f"The next cheaper, {name_of(rejected)}{cost}, fails on {failed}."


def ways_out(loosenings: tuple[Loosening, ...]) -> Iterator[str]:
    """One line per limit that would admit a plan if it alone gave way."""
    for found in loosenings:
        least = "be lowered to" if found.key == "quality" else "be raised to"
        cost = f", {usd(found.candidate.usd_per_month)} a month" if found.candidate.usd_per_month is not None else ""
        yield (
            f"{_first_up(LIMITS[found.key])} would have to {least} "
            f"{value_text(found.key, found.needed)} (now {value_text(found.key, found.limit)}): "
            f"{name_of(found.candidate)}{cost}."
        )


def weighed_sentence(answer: Recommendation) -> str:
    """ "4,172 candidates weighed, 510 of them distinct in memory and speed"; then what each limit removed."""
    drafting = f", {answer.drafting:,} of them with speculative decoding" if answer.drafting else ""
    weighed = f"{plural(answer.weighed, 'candidate')} weighed{drafting}"
    unsold = answer.killed.get("offer", 0)
    elsewhere = (
        f" {plural(unsold, 'layout')} more {'is' if unsold == 1 else 'are'} {LIMITS['offer']}." if unsold else ""
    )
    killed = "; ".join(f"{LIMITS[key]} {count:,}" for key, count in answer.killed.items() if key != "offer")
    if not killed:
        return f"{weighed}; every one{' without it' if drafting else ''} meets every limit.{elsewhere}"
    return f"{weighed}. Fail{', without it' if drafting else ''}, one may miss several limits: {killed}.{elsewhere}"
