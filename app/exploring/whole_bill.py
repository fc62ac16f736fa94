"""The whole bill of a plan: its machines alone, and everything that a month costs beside them. No Streamlit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from app.exploring.commit_words import week_words
from app.exploring.finding import PageFinding
from app.exploring.token_cost import bill_of, output_tokens_of_month
from app.format import percent, plural, significant, usd
from app.planning.plan import Plan
from app.planning.sentences import machine_phrase, model_name, option_name, source_phrase
from estimators.provenance import Refusal
from pricing.bill import OWN_RATES, Bill, Extras
from pricing.commitments import week_of, week_text

NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class BillAsked:
    """What the page's keys hold."""

    extras: Extras
    week: str = "always"
    spare: int = 0
    start_minutes: int = 10


def bill_asked(values: Mapping[str, Any]) -> BillAsked:
    """What the keys hold, the rest as the page starts. Raises `Refusal` for rates that cannot be read."""

    def given(key: str, start: int = 0) -> Decimal:
        return Decimal(values.get(key, start))

    def named(key: str) -> str:
        return "" if values.get(key, NONE) == NONE else str(values[key])

    extras = Extras(
        control_plane=named("bill_control"),
        balancers=values.get("bill_balancers", 0),
        lcus=given("bill_lcu", 1),
        logs_gb=given("bill_logs"),
        storage_gb=given("bill_storage"),
        transfer_gb=given("bill_transfer"),
        support=named("bill_support"),
        other_aws_usd=given("bill_other"),
        people=given("bill_people") / 100,
        person_usd_per_year=given("bill_salary"),
        own_rates=own_rates_of(values.get("bill_rates", "")),
    )
    return BillAsked(
        extras=extras,
        week=values.get("week", "always"),
        spare=values.get("bill_spare", 0),
        start_minutes=values.get("bill_start", 10),
    )


def own_rates_of(text: str) -> dict[str, Decimal]:
    """ "storage:0.1, transfer:0.12" by line; its form is `PAGE_KEYS["bill_rates"]`'s."""
    found: dict[str, Decimal] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        line, _, rate = part.partition(":")
        if line.strip() not in OWN_RATES:
            lines = ", ".join(OWN_RATES)
            raise Refusal(f"{line.strip()[:40]!r} is no line of the bill.", field="bill_rates", remedy=f"Use {lines}.")
        found[line.strip()] = Decimal(rate.strip())
    return found


def edited_week(shares: Sequence[float], edits: Mapping[int, Mapping[str, float | None]]) -> str:
    """A week whose grid of days by hours was changed to these percents in some cells, as the key `week` holds it."""
    changed = list(shares)
    for day, hours in edits.items():
        for hour, share in hours.items():
            changed[24 * day + int(hour)] = min(100.0, max(0.0, share or 0.0)) / 100
    return week_text(changed)


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeBill:
    """The bill, and the tokens it pays for."""

    asked: BillAsked
    plan: Plan
    bill: Bill
    output_tokens: float | None  # a month, where the plan's speed is known

    @property
    def beside_usd(self) -> Decimal:
        return self.bill.usd_per_month - self.bill.machines_usd

    def per_million(self, dollars: Decimal) -> Decimal | None:
        return dollars * 1_000_000 / Decimal(repr(self.output_tokens)) if self.output_tokens else None


def whole_bill(plan: Plan, asked: BillAsked) -> WholeBill:
    """The bill of a plan. Raises `Refusal` where the machine has no price, or a line no rate."""
    profile = week_of(asked.week)
    extras = replace(asked.extras, percent_off=plan.asked.discount)
    bill = bill_of(plan, profile, extras, spare=asked.spare, start_hours=asked.start_minutes / 60)
    if bill is None:
        refused = plan.refusal
        raise Refusal(str(refused or "There is no price for this machine here, so there is no bill."), field="region")
    return WholeBill(asked=asked, plan=plan, bill=bill, output_tokens=output_tokens_of_month(plan, profile))


def bill_sentence(found: WholeBill) -> str:
    """ "The whole bill is $1,320 a month: $940 for the machines alone, and $380 beside them for people." """
    bill, where = found.bill, machine_phrase(found.plan.chosen) if found.plan.chosen else ""
    alone = usd(bill.machines_usd)
    saved = bill.list_usd - bill.machines_usd
    less = f" What was negotiated saves {usd(saved)} of {usd(bill.list_usd)} at list." if saved > 0 else ""
    if not found.beside_usd:
        return f"The machines alone, {where}, are {alone} a month; nothing beside them is counted.{less}"
    most = max(bill.lines[1:], key=lambda line: line.usd)
    largest = f", the most for {most.label.lower()} ({usd(most.usd)})" if len(bill.lines) > 2 else ""
    return (
        f"The whole bill is {usd(bill.usd_per_month)} a month: {alone} for the machines alone, {where}, "
        f"and {usd(found.beside_usd)} beside them{largest or f' for {most.label.lower()}'}.{less}"
    )


def bill_finding(found: WholeBill) -> PageFinding:
    """The bill line by line, for the page, the terminal and the report."""
    bill = found.bill
    whole = bill.usd_per_month
    rows = [
        (line.label, usd(line.usd), percent(line.usd / whole) if whole else "", line.formula, line.source)
        for line in bill.lines
    ]
    rows.append(("Whole bill", usd(whole), percent(Decimal(1)) if whole else "", "", ""))
    return PageFinding(
        title=f"The whole bill of {model_name(found.plan.asked)}",
        sentence=bill_sentence(found),
        heads=("Line", "A month", "Share", "How", "Source"),
        rows=tuple(rows),
        notes=tuple(_notes(found)),
    )


def _notes(found: WholeBill) -> Iterator[str]:
    bill, chosen = found.bill, found.plan.chosen
    if chosen is not None and chosen.offer is not None:
        offer = chosen.offer
        yield f"Machines: {offer.region}, {option_name(offer.option)}, {source_phrase(offer)}."
        if found.asked.extras.support and offer.list_usd_per_hour is not None:
            yield "Support is a share of list prices: AWS takes it before any discount."
    yield (
        f"Load over the week: {week_words(found.asked.week)}, {percent(week_of(found.asked.week).mean)} of its peak on "
        f"average: {bill.instance_hours:,.0f} instance hours, {significant(bill.mean_instances, 3)} machines; "
        f"left on all month they would be {usd(bill.always_on_usd_per_month)}."
    )
    if bill.upfront_usd:
        yield f"{usd(bill.upfront_usd)} is due on the first day; it is spread over the term above."
    alone, whole = found.per_million(bill.machines_usd), found.per_million(bill.usd_per_month)
    if alone is not None and whole is not None and found.output_tokens:
        millions = significant(found.output_tokens / 1e6)
        yield (
            f"{millions} million output tokens a month at this load: {usd(alone)} a million on the machines alone, "
            f"{usd(whole)} with everything."
        )
    if found.asked.spare:
        yield f"{plural(found.asked.spare, 'spare machine')} on top of what the load needs."
    yield f"Not included: {bill.not_included}."
