"""Hardware of one's own beside the machines a plan rents: what an hour costs, and when it pays. No Streamlit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

from app.exploring.finding import PageFinding
from app.format import percent, significant, usd
from app.planning.plan import Plan
from app.scenario import Scenario
from estimators.provenance import Refusal
from pricing.commitments import break_even_share
from pricing.cost import monthly_cost
from pricing.offers import Offer, PurchaseOption
from pricing.owned import OwnedMachine, owned_offer, owned_terms, typical_power_kw

YEARS, BUSY, TARIFF, PUE = "4", 30, "0.12", "1.4"  # as the page starts


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnHardware:
    """The machine as bought, as an offer, and beside what is rented. Dollars a month are of all machines."""

    machine: OwnedMachine
    offer: Offer
    gpus: int
    usd_per_month: Decimal
    rented: Offer | None
    rented_usd: Decimal | None
    pays_from: Decimal | None  # share of the month's hours, of the rented machines, from which owning costs no more
    even_discount: Decimal | None  # share off the list price at which renting in these hours costs the same

    @property
    def terms_by_hour(self) -> tuple[tuple[str, Decimal, str], ...]:
        return tuple((term.label, Decimal(repr(term.value)), term.formula) for term in owned_terms(self.machine))


def power_of(plan: Plan) -> float:
    """Kilowatts of the plan's accelerators and their host, where nobody has metered them."""
    chosen = plan.chosen
    if chosen is None or chosen.placement is None:
        return 0.0
    return typical_power_kw(chosen.machine.accelerator.tdp_watts, chosen.placement.gpus)


def own_hardware(plan: Plan, values: Mapping[str, Any], today: date) -> OwnHardware | None:
    """The plan on hardware that is bought; None until its price is given. Raises `Refusal` for one that cannot be."""
    chosen = plan.chosen
    if chosen is None or chosen.placement is None or values.get("own_purchase") is None:
        return None

    def given(key: str, start: str = "0") -> Decimal:
        return Decimal(values.get(key, start))

    machine = OwnedMachine(
        name=chosen.machine.accelerator.name,
        purchase_usd=given("own_purchase"),
        years=given("own_years", YEARS),
        power_kw=given("own_kw", repr(power_of(plan))),
        usd_per_kwh=given("own_tariff", TARIFF),
        pue=given("own_pue", PUE),
        utilisation=given("own_busy", str(BUSY)) / 100,
        resale_usd=given("own_resale"),
        capital_percent=given("own_capital"),
        space_usd_per_year=given("own_space"),
        staff_usd_per_year=given("own_staff"),
        upkeep_usd_per_year=given("own_upkeep"),
    )
    offer = owned_offer(machine, region=plan.asked.region, today=today)
    count = max(1, chosen.replicas)
    month = monthly_cost(offer=offer, instances=count, hours=plan.asked.hours).usd_per_month
    rented = chosen.offer if chosen.offer is not None and chosen.offer.option is not PurchaseOption.OWNED else None
    hourly = chosen.cost.usd_per_hour if rented is not None and chosen.cost is not None else None
    return OwnHardware(
        machine=machine,
        offer=offer,
        gpus=chosen.placement.gpus,
        usd_per_month=month,
        rented=rented,
        rented_usd=chosen.cost.usd_per_month if hourly is not None and chosen.cost is not None else None,
        pays_from=None if hourly is None else break_even_share(offer.usd_per_hour * count, hourly),
        even_discount=_even_discount(plan, month),
    )


def _even_discount(plan: Plan, month: Decimal) -> Decimal | None:
    """1 - own / list: $470 of one's own beside $587.50 at list are 20 % off; None where list is the cheaper already."""
    chosen = plan.chosen
    if chosen is None or chosen.offer is None or chosen.cost is None or not chosen.cost.usd_per_month:
        return None
    listed = chosen.offer.list_usd_per_hour or chosen.offer.usd_per_hour
    at_list = chosen.cost.usd_per_month * listed / chosen.offer.usd_per_hour
    return 1 - month / at_list if month < at_list else None


def owned_sentence(found: OwnHardware) -> str:
    """What it costs an hour and a month, and when it pays."""
    hour, month = usd(found.offer.usd_per_hour, cents=True), usd(found.usd_per_month)
    if found.rented_usd is None:
        return f"{hour} an hour, {month} a month."
    beside = f"{hour} an hour, {month} a month, beside {usd(found.rented_usd)} rented."
    if found.rented is not None and found.rented.option.committed:
        pays = ""
    elif found.pays_from is None:
        pays = " Renting is the cheaper in whichever hours."
    else:
        pays = f" Owning pays from {percent(found.pays_from)} of the month's hours."
    even = found.even_discount if found.usd_per_month < found.rented_usd else None
    return beside + pays + (f" {percent(even)} off the list price would make renting as cheap." if even else "")


def owned_finding(found: OwnHardware) -> PageFinding:
    """Every part of an hour, for the page, the terminal and the report."""
    rows = [(label, usd(hour, cents=True), formula) for label, hour, formula in found.terms_by_hour]
    rows.append(("An hour of the calendar", usd(found.offer.usd_per_hour, cents=True), ""))
    busy = significant(float(100 * found.machine.utilisation), 3)
    return PageFinding(
        title=f"A machine of your own with {found.gpus} x {found.machine.name}",
        sentence=owned_sentence(found),
        heads=("Part", "An hour", "How"),
        rows=tuple(rows),
        notes=(f"Everything as entered on the page; power is drawn in {busy} % of the hours.",),
    )


def owned_scenario(plan: Plan, found: OwnHardware) -> Scenario:
    """The plan on this machine, for a link: its price is what was worked out, and no discount of AWS applies."""
    if plan.chosen is None:
        raise Refusal("There is no plan to own machines for.", field="model")
    return replace(
        plan.resolved,
        instance=None,
        gpu=found.machine.name,
        buy=PurchaseOption.OWNED,
        price=found.offer.usd_per_hour,
        price_as_of=found.offer.as_of,
    )
