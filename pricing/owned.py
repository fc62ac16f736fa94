"""Hardware you own, as an offer like any other: its purchase over its years, the money in it, power, space, staff."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from estimators.provenance import Refusal, Term
from pricing.offers import Offer, PriceSource, PurchaseOption

if TYPE_CHECKING:
    from datetime import date

HOURS_PER_YEAR = 8760
YEARLY = {"space_usd_per_year": "Space", "staff_usd_per_year": "Staff", "upkeep_usd_per_year": "Upkeep"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnedMachine:
    """One machine as bought, for its whole life."""

    name: str  # stands where an instance type would
    purchase_usd: Decimal
    years: Decimal  # written off over
    power_kw: Decimal  # drawn from the rack while busy
    usd_per_kwh: Decimal
    pue: Decimal = Decimal(1)  # power of the building for each watt of the rack
    utilisation: Decimal = Decimal(1)  # share of the hours it draws that power
    resale_usd: Decimal = Decimal(0)
    capital_percent: Decimal = Decimal(0)  # a year, what the money in it would earn elsewhere
    space_usd_per_year: Decimal = Decimal(0)  # racks, colocation, network
    staff_usd_per_year: Decimal = Decimal(0)
    upkeep_usd_per_year: Decimal = Decimal(0)  # support contracts, spares

    def __post_init__(self) -> None:
        for name in ("purchase_usd", "power_kw", "usd_per_kwh", "resale_usd", *YEARLY):
            _require(getattr(self, name) >= 0, name, "0 or more")
        _require(self.years > 0, "years", "more than 0")
        _require(self.pue >= 1, "pue", "1 or more")
        _require(0 <= self.utilisation <= 1, "utilisation", "between 0 and 1")
        _require(0 <= self.capital_percent <= 100, "capital_percent", "between 0 and 100")
        _require(self.resale_usd <= self.purchase_usd, "resale_usd", "at most the purchase price")


def typical_power_kw(tdp_watts: float | None, count: int) -> float:
    """Where nobody has metered it: the data sheet's watts (350 where it prints none), and 500 for the host.

    Eight H100 of 700 W: 8 x 0.7 + 0.5 = 6.1 kW.
    """
    return round(((tdp_watts or 350.0) * count + 500) / 1000, 2)


def _require(holds: bool, name: str, what: str) -> None:
    if not holds:
        raise Refusal(f"{name} of owned hardware has to be {what}.", field="buy", remedy="Correct it.")


def purchase_usd_per_hour(machine: OwnedMachine) -> Decimal:
    """c = (P - R) / (8760 y): $250,000 over 4 years is $7.13 an hour."""
    return (machine.purchase_usd - machine.resale_usd) / (HOURS_PER_YEAR * machine.years)


def capital_charge_usd_per_hour(machine: OwnedMachine) -> Decimal:
    """What the money costs on top: the level payment that returns P less R at interest i over y years, less c.

    i (P - R / (1+i)^y) / (1 - (1+i)^-y) / 8760 - c. $250,000 at 10 % over 4 years: 0.3154708 x 250,000 = $78,867.70
    a year or $9.00 an hour, of which $7.13 is the purchase and $1.87 the charge.
    """
    if not machine.capital_percent:
        return Decimal(0)
    interest = machine.capital_percent / 100
    grown = (1 + interest) ** machine.years
    yearly = interest * (machine.purchase_usd - machine.resale_usd / grown) / (1 - 1 / grown)
    return yearly / HOURS_PER_YEAR - purchase_usd_per_hour(machine)


def power_usd_per_hour(machine: OwnedMachine) -> Decimal:
    """e = kW x $/kWh x PUE x u: 10.2 kW at $0.12, PUE 1.3 and full use is $1.59 an hour."""
    return machine.power_kw * machine.usd_per_kwh * machine.pue * machine.utilisation


def owned_usd_per_hour(machine: OwnedMachine) -> Decimal:
    """Cost of an hour of the calendar, busy or not: h = c + charge + e + (space + staff + upkeep) / 8760."""
    money = purchase_usd_per_hour(machine) + capital_charge_usd_per_hour(machine)
    yearly = sum((getattr(machine, name) for name in YEARLY), Decimal(0))
    return money + power_usd_per_hour(machine) + yearly / HOURS_PER_YEAR


def owned_terms(machine: OwnedMachine) -> tuple[Term, ...]:
    """Each part of the hour, explained."""
    purchase, power = purchase_usd_per_hour(machine), power_usd_per_hour(machine)
    written = f"({machine.purchase_usd} - {machine.resale_usd}) / (8760 x {machine.years})"
    spread = f"(P - R) / (8760 y) = {written}"
    drawn = f"{machine.power_kw} kW x ${machine.usd_per_kwh} x {machine.pue} x {machine.utilisation}"
    source = "entered on the page"
    terms = [
        Term(
            label="Purchase",
            value=float(purchase),
            unit="USD",
            formula=spread,
            source=source,
        ),
        Term(label="Power", value=float(power), unit="USD", formula=f"kW p PUE u = {drawn}", source=source),
    ]
    if charge := capital_charge_usd_per_hour(machine):
        i, years = f"{machine.capital_percent} %", machine.years
        formula = f"i (P - R/(1+i)^y) / (1 - (1+i)^-y) / 8760 less the purchase, i = {i}, y = {years}"
        terms.insert(1, Term(label="Cost of capital", value=float(charge), unit="USD", formula=formula, source=source))
    for name, label in YEARLY.items():
        if yearly := getattr(machine, name):
            formula, hourly = f"k / 8760 = {yearly} / 8760", float(yearly / HOURS_PER_YEAR)
            terms.append(Term(label=label, value=hourly, unit="USD", formula=formula, source=source))
    return tuple(terms)


def owned_offer(machine: OwnedMachine, *, region: str, today: date) -> Offer:
    """The machine as an offer; like a reservation it costs all 730 hours of a month."""
    return Offer(
        instance_type=machine.name,
        region=region,
        option=PurchaseOption.OWNED,
        usd_per_hour=owned_usd_per_hour(machine).quantize(Decimal("1e-6")),
        upfront_usd=machine.purchase_usd,
        source=PriceSource.OWNED,
        as_of=today,
        origin="entered on the page",
        note=f"bought, written off over {machine.years} years; power at {machine.utilisation} use",
    )
