"""Sign or not, in sentences and rows. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from app.exploring.commit import ONE_YEAR, NotSold, WaysToPay, WayToPay
from app.exploring.finding import PageFinding
from app.format import percent, plural, usd
from app.planning.plan import Plan
from app.planning.sentences import machine_phrase, model_name, option_name, source_phrase
from pricing.commitments import Risk, machine_hours
from pricing.offers import PurchaseOption

SAVINGS_MISSING = (
    "Savings Plans are not compared: their prices are live only, and there are no AWS credentials that may read them "
    "(savingsplans:DescribeSavingsPlansOfferingRates). The rest stands without them."
)


def verdict_of(found: WaysToPay) -> str:
    """The one sentence: what signing costs, from which use it pays, and what a fall of traffic does to it."""
    best, machine = found.best, machine_phrase(found.chosen)
    now = machine_hours(found.use) * found.on_demand.usd_per_hour
    if best is None:
        year = next((item for item in found.not_sold if item.kind == ONE_YEAR), None)
        beside = f" {_beside(year)}" if year is not None else ""
        return (
            f"Nothing to sign: {machine} is not sold with a commitment in {found.on_demand.region}, as far as known "
            f"prices go; on demand it is {usd(now)} a month.{beside}"
        )
    if best.break_even is None:
        return f"Do not sign: {option_name(best.option)} is dearer than on demand even if used in every hour."
    years = f"{plural(best.option.years, 'year')}"
    pays = found.share_used >= best.break_even
    first = (
        f"{'Sign' if pays else 'Do not sign'} for {years}: {usd(best.usd_per_month)} a month "
        f"({option_name(best.option)}) against {usd(now)} on demand; it pays from {percent(best.break_even)} of the "
        f"hours, and you use {percent(found.share_used)}."
    )
    return f"{first} {_after_the_fall(found, best)}"


def _after_the_fall(found: WaysToPay, best: WayToPay) -> str:
    risk = best.after_fall
    if risk is None or not found.asked.fall:
        return ""
    term = "year" if best.option.years == 1 else f"{best.option.years} years"
    if risk.needed >= risk.committed:
        return (
            f"If traffic falls {found.asked.fall} %, as many machines are needed as now ({found.now}): nothing idles."
        )
    idle = f"{risk.committed - risk.needed} of {plural(risk.committed, 'machine')}"
    end = (
        f"it still costs {usd(-risk.regret_usd_of_term)} less than on demand would"
        if risk.regret_usd_of_term <= 0
        else f"it costs {usd(risk.regret_usd_of_term)} more than on demand would"
    )
    return (
        f"If traffic falls {found.asked.fall} %, {idle} would idle, {usd(risk.idle_usd_of_term)} at risk over the "
        f"{term}; {end}."
    )


def mix_sentence(found: WaysToPay) -> str:
    """What to commit and what to leave on demand; nothing where there is nothing to sign."""
    mix, signed = found.mix, found.best
    if mix is None or signed is None:
        return ""
    if mix.saving_usd <= 0:
        pure = "on demand" if mix.on_demand_usd <= mix.committed_usd else f"committed ({option_name(signed.option)})"
        said = f"No mix is cheaper than all {plural(mix.peak, 'machine')} {pure}: {usd(mix.usd_per_month)} a month."
    else:
        said = (
            f"Commit {mix.baseline} of {plural(mix.peak, 'machine')} ({option_name(signed.option)}) and leave "
            f"{mix.peak - mix.baseline} on demand: {usd(mix.usd_per_month)} a month, "
            f"{usd(mix.saving_usd)} less than the better of all on demand ({usd(mix.on_demand_usd)}) and all committed "
            f"({usd(mix.committed_usd)})."
        )
    if found.waiting_usd is not None:
        beside = "and no spot price is known" if found.spot_usd is None else f"{usd(found.spot_usd)} on spot"
        said += f" The {found.asked.wait} % that can wait cost {usd(found.waiting_usd)} on demand, {beside}."
    return said


def finding_of(plan: Plan, found: WaysToPay) -> PageFinding:
    """The comparison as the page, the terminal and the report show it."""
    rows = [_row(found, way) for way in found.ways]
    rows += [(item.kind, "not sold", *("",) * 6) for item in found.not_sold]
    return PageFinding(
        title=f"Commit? {model_name(plan.asked)} on {machine_phrase(found.chosen)}",
        sentence=verdict_of(found),
        heads=(
            "Way to pay",
            "A month",
            "Pays from, share of hours",
            "Upfront",
            f"Idle if traffic falls {found.asked.fall} %, over the term",
            "Against on demand then",
            f"A month if it grows {found.asked.grow} %",
            "Price",
        ),
        rows=tuple(rows),
        notes=tuple(_notes(found)),
    )


def _row(found: WaysToPay, way: WayToPay) -> tuple[str, ...]:
    fall = way.after_fall
    even = "never" if way.break_even is None else "any" if not way.break_even else percent(way.break_even)
    return (
        option_name(way.option),
        usd(way.usd_per_month),
        "" if way.option is PurchaseOption.ON_DEMAND else even,
        usd(way.offer.upfront_usd * found.now) if way.offer.upfront_usd else "",
        _idle(fall) if fall else "",
        _against(fall) if fall else "",
        usd(way.usd_grown),
        source_phrase(way.offer),
    )


def _idle(risk: Risk) -> str:
    return usd(risk.idle_usd_of_term) if risk.idle_usd_of_term else "nothing"


def _against(risk: Risk) -> str:
    regret = risk.regret_usd_of_term
    return f"{usd(-regret)} saved" if regret <= 0 else f"{usd(regret)} lost"


def _beside(item: NotSold) -> str:
    """ "Not sold as a capacity block ...; the nearest that is, p5.48xlarge (8 x H100-SXM5), takes $28,711 a month"."""
    said = f"Not sold as {item.kind}, as far as known prices go"
    if item.kin is None or item.kin_offer is None:
        return f"{said}, and neither is anything like it."
    cost = item.kin_plan.chosen.cost if item.kin_plan and item.kin_plan.chosen else None
    name = f"{item.kin.instance_type} ({item.kin.accelerator_count} x {item.kin.accelerator})"
    takes = f"takes {usd(cost.usd_per_month)} a month for this load" if cost else "does not serve this load"
    return f"{said}; the nearest that is, {name}, {takes} ({source_phrase(item.kin_offer)})."


def _notes(found: WaysToPay) -> Iterator[str]:
    yield from (_beside(item) for item in found.not_sold)
    if found.savings_missing:
        yield SAVINGS_MISSING
    yield (
        f"{plural(found.now, 'machine')} now, {found.fallen} after a fall of {found.asked.fall} %, {found.grown} after "
        f"a growth of {found.asked.grow} %: the fewest the planner finds that meet every limit. The fall is taken to "
        "come on the first day; a commitment cannot be given back."
    )
    spot = next((way.offer for way in found.ways if way.option is PurchaseOption.SPOT), None)
    if spot is not None and spot.usd_per_hour < found.on_demand.usd_per_hour:
        redo = found.on_demand.usd_per_hour / spot.usd_per_hour - 1
        yield (
            "Spot machines are taken back at two minutes' notice, how often nobody can promise: spot stays cheaper "
            f"than on demand until {percent(redo)} of its work is done twice."
        )
    if any(way.option is PurchaseOption.CAPACITY_BLOCK for way in found.ways):
        yield "Capacity Blocks are reserved ahead in whole days and paid at their start; billed here by the hours used."


def week_words(text: str) -> str:
    """ "8-18x5@20" -> "8 to 18 o'clock on 5 days, 20 % of the load otherwise"."""
    if text == "always":
        return "the same load in every hour"
    if text.isalpha():
        return "hour by weekday"
    hours, _, rest = text.partition("@")
    span, _, days = hours.partition("x")
    start, _, end = span.partition("-")
    return f"{start} to {end} o'clock on {plural(int(days), 'day')}, {int(rest or 0)} % of the load otherwise"
