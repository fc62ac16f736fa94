"""A plan in sentences: the verdict, its conditions and its alternatives. Pure."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

from app.format import plural, small_number, usd
from app.planning.drafting import NAMES
from app.planning.plan import Candidate, Plan
from app.scenario import LoadMode, Scenario, model_text
from estimators.architecture.spec import ModelSpec, Reading
from estimators.precision import Weights
from pricing.cost import HOURS_PER_MONTH
from pricing.negotiated import bridge
from pricing.offers import Offer, PriceSource, PurchaseOption

PRECISION_NAMES = {
    Weights.FP32: "FP32",
    Weights.BF16: "BF16",
    Weights.FP16: "FP16",
    Weights.FP8: "FP8",
    Weights.INT8: "INT8",
    Weights.INT8_WEIGHT_ONLY: "INT8 (weights only)",
    Weights.INT4: "INT4",
    Weights.NF4: "NF4",
    Weights.NVFP4: "NVFP4",
    Weights.MXFP4: "MXFP4",
    Weights.AS_PUBLISHED: "its published precision",
}
READING_PHRASES = {
    Reading.DESCRIBED: "read tensor by tensor from its config, as counted on the built model",
    Reading.MATCHED: "read by convention, equal to the headers of its files",
    Reading.CONVENTION: "read by convention alone",
    Reading.COUNT: "known by a count alone",
}
_TAIL = re.compile(r"[-_](instruct|chat|it|hf)([-_](hf|v?[0-9.]+|[0-9]{4}))?$", re.I)


def model_name(scenario: Scenario) -> str:
    """ "meta-llama/Llama-3.1-8B-Instruct" -> "Llama 3.1 8B"; "openai/gpt-oss-120b" -> "gpt-oss-120b", as it is written
    everywhere; a bare count -> "A typical 8B model"."""
    if scenario.model is None:
        return f"A typical {model_text(scenario)} model"
    name = scenario.model.split("@")[0].rsplit("/", 1)[-1]
    name = re.sub(r"^Meta-(?=Llama)", "", name)
    name = _TAIL.sub("", name)
    return name if name[:1].islower() else name.replace("-", " ").replace("_", " ")


def reading_phrase(spec: ModelSpec) -> str:
    """How sure the shape of a model is: "read by convention alone, within about 4 %"."""
    return READING_PHRASES[spec.reading] + (f", within about {spec.relative_range:.0%}" if spec.relative_range else "")


def precision_name(weights: Weights) -> str:
    return PRECISION_NAMES[weights]


@lru_cache(maxsize=64)
def option_name(option: PurchaseOption) -> str:
    """ "reserved_1yr_no_upfront" -> "reserved 1 year, no upfront"."""
    words = option.value.replace("_", " ").replace("1yr", "1 year,").replace("3yr", "3 years,")
    return (
        words.replace("ec2", "EC2")
        .replace("savings compute", "Compute Savings Plan")
        .replace("savings EC2", "EC2 Savings Plan")
    )


def machine_phrase(candidate: Candidate) -> str:
    """ "one L4 (g6.xlarge)", "eight A100-40GB-SXM4 (p4d.24xlarge)"."""
    gpus = candidate.placement.gpus if candidate.placement else 1
    accelerator = candidate.machine.accelerator.name
    share = f"{candidate.machine.partition:g} of one" if candidate.machine.partition < 1 else small_number(gpus)
    owned = candidate.offer is not None and candidate.offer.option is PurchaseOption.OWNED
    elsewhere = "your own" if owned else "not sold on AWS"
    place = candidate.machine.instance.instance_type if candidate.machine.instance else elsewhere
    times = f"{candidate.instances} x " if candidate.instances > 1 else ""
    copies = f" in each of {candidate.replicas} replicas" if candidate.replicas > 1 else ""
    return f"{share} {accelerator}{copies} ({times}{place})"


def verdict(plan: Plan) -> str:
    """The one sentence of the first screen; a refusal's sentence when there is no answer."""
    chosen = plan.chosen
    if plan.precision is None or chosen is None or (plan.refusal and chosen.memory is None):
        return str(plan.refusal or "Nothing to show yet.")
    who = f"{model_name(plan.asked)} in {precision_name(plan.precision.weights)}{_drafting(plan.asked)}"
    where = machine_phrase(chosen)
    if not chosen.fits:
        return f"{who} does not fit {where}."
    if plan.refusal is not None and plan.refusal.field in ("weights", "gpus"):
        return f"{who} does not run on {where}."
    if plan.refusal is not None and plan.refusal.field == "region":
        return f"{who} fits {where}, for which no price is known in {plan.asked.region}."
    unmet = [check for check in chosen.objectives if check.met is False]
    verb = "fits" if plan.asked.rate is None else "is served by"
    if unmet:
        verb = "fits, but misses an objective on,"
    cost = "" if chosen.cost is None else f": {usd(chosen.cost.usd_per_month)} a month"
    return f"{who} {verb} {where}{cost}{beyond_context(plan)}."


def _drafting(scenario: Scenario) -> str:
    """A speed that rests on drafting says so in the title."""
    return f", drafting with {NAMES.get(scenario.spec, scenario.spec)}," if scenario.spec is not None else ""


def beyond_context(plan: Plan) -> str:
    """ ", if its context is extended: its config allows 1,024 tokens, not 4,128"; nothing within what it allows."""
    limit = plan.spec.max_positions if plan.spec else None
    asked = max(plan.asked.max_len or 0, plan.asked.prompt + plan.asked.output)
    if limit is None or asked <= limit:
        return ""
    return f", if its context is extended: its config allows {limit:,} tokens, not {asked:,}"


def source_phrase(offer: Offer) -> str:
    """ "snapshot of 2026-07-20", "live price of 2026-11-21", "price from the link, of 2026-11-02"."""
    day = offer.day
    phrase = {
        PriceSource.LIVE: f"live price of {day}",
        PriceSource.CACHED: f"last live price, of {day}",
        PriceSource.SNAPSHOT: f"snapshot of {day}",
        PriceSource.LINK: f"price from the link, of {day}",
        PriceSource.OWNED: "your own price",
        PriceSource.ENTERED: "your negotiated price",
    }[offer.source]
    phrase += f", {bridge(offer)}" if offer.list_usd_per_hour is not None else ""
    phrase += ", old" if offer.stale else ""
    return f"{phrase}, kept: the newest cannot be true" if offer.kept else phrase


def conditions(plan: Plan) -> str:
    """What the monthly figure stands on, in one line."""
    scenario, chosen = plan.asked, plan.chosen
    if chosen is None or chosen.offer is None or chosen.cost is None:
        return f"{scenario.region}, {option_name(scenario.buy)}"
    billed = chosen.cost.billed_hours
    hours = f"{_plain(float(billed))} h"
    if billed != scenario.hours:
        hours += f" (a commitment bills them all, not {_plain(float(scenario.hours))})"
    elif billed < HOURS_PER_MONTH:
        hours += f" (always on it would be {usd(chosen.cost.usd_per_hour * HOURS_PER_MONTH)})"
    return (
        f"{scenario.region}, {option_name(scenario.buy)}, {hours}, {source_phrase(chosen.offer)}; "
        "storage and transfer not included"
    )


def _plain(number: float) -> str:
    """2.5, 20, 5000 and 0.000001 as people write them."""
    return format(Decimal(repr(number)).normalize(), ",f")


def load_phrase(scenario: Scenario) -> str:
    """ "1 request at a time, 1,024 tokens in and 128 out"."""
    shape = f"{scenario.prompt:,} tokens in and {scenario.output:,} out"
    if scenario.rate is not None:
        return f"{_plain(scenario.rate)} request{'' if scenario.rate == 1 else 's'} a second, {shape}"
    if scenario.load is LoadMode.MAX:
        return f"as many requests as the engine takes, {shape}"
    flight = scenario.requests_in_flight or 1
    if scenario.load is LoadMode.BATCH:
        return f"a batch of {plural(flight, 'request')}, {shape}"
    return f"{plural(flight, 'request')} at a time, {shape}"
