"""One item of the price list, from JSON text or from a row of an offers file, to the offers it holds."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from pricing.aws.errors import UnexpectedReply
from pricing.offers import PurchaseOption

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_ITEM_CHARACTERS = 1_000_000  # the largest GPU item seen is under 20,000
_PLAIN = re.compile(r"[0-9]{1,9}(\.[0-9]{1,12})?")  # the dearest upfront sum seen is under two million
HOURS_PER_YEAR = 8760
CURRENCY = "USD"
BARE_METAL_FAMILY = "Compute Instance (bare metal)"

# What identifies the plain Linux machine, shared tenancy, running, paid by the hour: the product attribute and value.
LINUX_ON_DEMAND: Mapping[str, str] = {
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "capacitystatus": "Used",
    "preInstalledSw": "NA",
    "licenseModel": "No License required",
    "marketoption": "OnDemand",
}
# AWS lists bare metal under dedicated tenancy.
LINUX_BARE_METAL: Mapping[str, str] = {**LINUX_ON_DEMAND, "tenancy": "Dedicated"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """One way to pay for one product."""

    option: PurchaseOption
    usd_per_hour: Decimal  # effective
    upfront_usd: Decimal
    rate_code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSku:
    """One SKU: a machine in a region with its rates, and what had to be left out."""

    sku: str
    instance_type: str
    family: str
    attributes: Mapping[str, str]
    rates: tuple[Rate, ...]
    refused: tuple[str, ...]
    publication: str


def _mapping(value: object, what: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise UnexpectedReply(f"A price list item has no {what}.")
    return value


def amount(text: object, whose: str = "") -> Decimal:
    """A price as written, refused unless it is plain digits: no sign, exponent, underscore or other script's."""
    if not _PLAIN.fullmatch(str(text)):
        raise UnexpectedReply(f"{whose}{': ' if whose else ''}AWS gives {str(text)[:32]!r} as a price.")
    return Decimal(str(text))


def reserved_option(lease: str, payment: str, offering_class: str) -> PurchaseOption | None:
    """``1yr``, ``Partial Upfront``, ``convertible`` to the purchase option; None for words never seen."""
    suffix = {"standard": "", "convertible": "_convertible"}.get(offering_class.lower())
    name = f"reserved_{lease.lower()}_{payment.lower().replace(' ', '_')}{suffix}"
    return PurchaseOption(name) if suffix is not None and name in set(PurchaseOption) else None


def effective_rate(hourly: Decimal, upfront: Decimal, years: int) -> Decimal:
    """Hourly rate with the upfront sum spread over the term: e = h + u / (8760 y).

    $67,523 upfront for one year and nothing an hour is $7.7081 an hour.
    """
    return hourly if not upfront else (hourly + upfront / (HOURS_PER_YEAR * years)).quantize(Decimal("1e-10"))


def rate(option: PurchaseOption, dimensions: Iterable[tuple[str, object, str]]) -> Rate:
    """The rate of one term from its dimensions (unit, price, rate code): one by the hour, at most one upfront."""
    found: dict[str, tuple[Decimal, str]] = {}
    for unit, price, code in dimensions:
        if unit not in ("Hrs", "Quantity") or unit in found:
            raise UnexpectedReply(f"its {option} price is per {unit[:32]!r}, or given twice.")
        found[unit] = (amount(price), code)
    if "Hrs" not in found or ("Quantity" in found and not option.years):
        raise UnexpectedReply(f"its {option} price has no hourly rate.")
    upfront = found.get("Quantity", (Decimal(0), ""))[0]
    total = effective_rate(found["Hrs"][0], upfront, option.years)
    if total == 0:
        raise UnexpectedReply(f"its {option} price is zero.")
    return Rate(option=option, usd_per_hour=total, upfront_usd=upfront, rate_code=found["Hrs"][1])


def _dimensions(term: dict[str, object]) -> list[tuple[str, object, str]]:
    read = []
    for value in _mapping(term.get("priceDimensions"), "price dimensions").values():
        dimension = _mapping(value, "price dimension")
        prices = _mapping(dimension.get("pricePerUnit"), "price per unit")
        if set(prices) != {CURRENCY}:
            raise UnexpectedReply(f"it is priced in {', '.join(sorted(prices))[:32] or 'no currency'}, not {CURRENCY}.")
        read.append((str(dimension.get("unit")), prices[CURRENCY], str(dimension.get("rateCode"))[:128]))
    return read


def _options(terms: dict[str, object]) -> Iterable[tuple[PurchaseOption, dict[str, object]]]:
    for value in _mapping(terms.get("OnDemand", {}), "on-demand terms").values():
        yield PurchaseOption.ON_DEMAND, _mapping(value, "term")
    for value in _mapping(terms.get("Reserved", {}), "reserved terms").values():
        term = _mapping(value, "term")
        said = _mapping(term.get("termAttributes"), "term attributes")
        words = (str(said.get(key)) for key in ("LeaseContractLength", "PurchaseOption", "OfferingClass"))
        option = reserved_option(*words)
        if option is not None:
            yield option, term


def _rates(terms: dict[str, object]) -> tuple[tuple[Rate, ...], tuple[str, ...]]:
    rates: dict[PurchaseOption, Rate] = {}
    refused: dict[PurchaseOption, str] = {}
    for option, term in _options(terms):
        try:
            if option in rates:
                raise UnexpectedReply(f"it has two {option} prices.")
            rates[option] = rate(option, _dimensions(term))
        except UnexpectedReply as error:
            refused[option] = error.message
    kept = tuple(found for option, found in rates.items() if option not in refused)
    return kept, tuple(refused.values())


def parse_product(text: object) -> MachineSku:
    """One string of ``PriceList``; refuses what is not JSON or not a product with terms."""
    if not isinstance(text, str) or len(text) > MAX_ITEM_CHARACTERS:
        raise UnexpectedReply("A price list item is not a text of reasonable length.")
    try:
        item = _mapping(json.loads(text), "content")
    except (ValueError, RecursionError):
        raise UnexpectedReply("A price list item is not valid JSON.") from None
    product = _mapping(item.get("product"), "product")
    attributes = {key: str(value) for key, value in _mapping(product.get("attributes"), "attributes").items()}
    rates, refused = _rates(_mapping(item.get("terms", {}), "terms"))
    return MachineSku(
        sku=str(product.get("sku"))[:64],
        instance_type=attributes.get("instanceType", "")[:64],
        family=str(product.get("productFamily")),
        attributes=attributes,
        rates=rates,
        refused=refused,
        publication=str(item.get("publicationDate", ""))[:32],
    )


def is_plain_linux(product: MachineSku, region: str) -> bool:
    """Whether a product is the machine asked for, whatever the server did with the filters."""
    said = product.attributes
    wanted = LINUX_BARE_METAL if product.instance_type.endswith(".metal") else LINUX_ON_DEMAND
    if said.get("regionCode") != region or said.get("operation", "").endswith(":CB"):
        return False
    return all(said.get(name) == value for name, value in wanted.items())
