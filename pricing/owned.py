"""Hardware you own, as an offer like any other: the purchase spread over its years, and the power it draws."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from estimators.provenance import Refusal, Term
from pricing.offers import Offer, PriceSource, PurchaseOption

if TYPE_CHECKING:
    from datetime import date

HOURS_PER_YEAR = 8760


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
    upkeep_usd_per_year: Decimal = Decimal(0)  # colocation, support, spares, people

    def __post_init__(self) -> None:
        for name in ("purchase_usd", "power_kw", "usd_per_kwh", "resale_usd", "upkeep_usd_per_year"):
            _require(getattr(self, name) >= 0, name, "0 or more")
        _require(self.years > 0, "years", "more than 0")
        _require(self.pue >= 1, "pue", "1 or more")
        _require(0 <= self.utilisation <= 1, "utilisation", "between 0 and 1")
        _require(self.resale_usd <= self.purchase_usd, "resale_usd", "at most the purchase price")


def typical_power_kw(tdp_watts: float | None, count: int) -> float:
    """Where nobody has metered it: the data sheet's watts (350 where it prints none), and 500 for the host.

    Eight H100 of 700 W: 8 x 0.7 + 0.5 = 6.1 kW.
    """
    return round(((tdp_watts or 350.0) * count + 500) / 1000, 2)


def _require(holds: bool, name: str, what: str) -> None:
    if not holds:
        raise Refusal(f"{name} of owned hardware has to be {what}.", field="buy", remedy="Correct it.")


def capital_usd_per_hour(machine: OwnedMachine) -> Decimal:
    """c = (P - R) / (8760 y): $250,000 over 4 years is $7.13 an hour."""
    return (machine.purchase_usd - machine.resale_usd) / (HOURS_PER_YEAR * machine.years)


def power_usd_per_hour(machine: OwnedMachine) -> Decimal:
    """e = kW x $/kWh x PUE x u: 10.2 kW at $0.12, PUE 1.3 and full use is $1.59 an hour."""
    return machine.power_kw * machine.usd_per_kwh * machine.pue * machine.utilisation


def owned_usd_per_hour(machine: OwnedMachine) -> Decimal:
    """Cost of an hour of the calendar, busy or not: h = c + e + upkeep / 8760."""
    upkeep = machine.upkeep_usd_per_year / HOURS_PER_YEAR
    return capital_usd_per_hour(machine) + power_usd_per_hour(machine) + upkeep


def owned_terms(machine: OwnedMachine) -> tuple[Term, ...]:
    """Each part of the hour, explained."""
    capital, power = capital_usd_per_hour(machine), power_usd_per_hour(machine)
    written = f"({machine.purchase_usd} - {machine.resale_usd}) / (8760 x {machine.years})"
    drawn = f"{machine.power_kw} kW x ${machine.usd_per_kwh} x {machine.pue} x {machine.utilisation}"
    source = "entered on the page"
    terms = [
        Term(
            label="Purchase", value=float(capital), unit="USD", formula=f"(P - R) / (8760 y) = {written}", source=source
        ),
        Term(label="Power", value=float(power), unit="USD", formula=f"kW p PUE u = {drawn}", source=source),
    ]
    if machine.upkeep_usd_per_year:
        upkeep = machine.upkeep_usd_per_year / HOURS_PER_YEAR
        formula = f"k / 8760 = {machine.upkeep_usd_per_year} / 8760"
        terms.append(Term(label="Upkeep", value=float(upkeep), unit="USD", formula=formula, source=source))
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
