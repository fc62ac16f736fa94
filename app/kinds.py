"""Kinds of value in the vocabulary: how text of one is read, what it may be, and the same as a JSON Schema. Pure.

Links, flags, columns, documents, help and the description of the interface all read these, so none can say another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pricing.negotiated import AgreedPrice, AgreedPrices
from pricing.offers import PurchaseOption

MOST_NAMED_VALUES = 12  # of a closed set, in a notice; help lists them all


class Rejected(ValueError):
    """Text that is no value of its kind; says what would be, as the end of a sentence that begins with the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueKind:
    """`parse` raises `Rejected`; `words` are what a value is, after "takes"; `schema` is of the value in JSON."""

    parse: Callable[[str], Any]
    words: str
    schema: Mapping[str, Any]
    separator: str = ","  # between the items of a list, in text

    def __call__(self, text: str) -> Any:
        return self.parse(text)


@dataclass(frozen=True, slots=True)
class Adapters:
    """LoRA adapters resident at once: value of the key `lora`, as "4@16"."""

    count: int
    rank: int

    def __str__(self) -> str:
        return f"{self.count}@{self.rank}"


def integer(low: int, high: int) -> ValueKind:
    words = f"a whole number from {low:,} to {high:,}"

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) or not low <= int(text) <= high:
            raise Rejected(f"needs {words}")
        return int(text)

    return ValueKind(parse=parse, words=words, schema={"type": "integer", "minimum": low, "maximum": high})


def number(low: float, high: float, *, above: bool = False, below: bool = False) -> ValueKind:
    lower, upper = ("above" if above else "from"), ("below" if below else "to")
    words = f"a number {lower} {_plain(low)} {upper} {_plain(high)}"
    ends = {"exclusiveMinimum" if above else "minimum": low, "exclusiveMaximum" if below else "maximum": high}

    def parse(text: str) -> float:
        if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{0,24})?|\.[0-9]{1,24}", text, re.ASCII):
            raise Rejected(f"needs {words}")
        value = float(text)
        if not low <= value <= high or (above and value == low) or (below and value == high):
            raise Rejected(f"needs {words}")
        return value

    return ValueKind(parse=parse, words=words, schema={"type": "number", **ends})


def scientific(low: float, high: float) -> ValueKind:
    """A number that people write with an exponent: 2e12 tokens."""
    words = f"a number from {low:g} to {high:g}, such as 2e12"

    def parse(text: str) -> float:
        read = re.fullmatch(r"[0-9]{1,24}(\.[0-9]{1,9})?(e[0-9]{1,2})?", text, re.ASCII | re.I)
        if read is None or not low <= float(text) <= high:
            raise Rejected(f"needs {words}")
        return float(text)

    return ValueKind(parse=parse, words=words, schema={"type": "number", "minimum": low, "maximum": high})


def decimal(low: str, high: str, *, above: bool = True) -> ValueKind:
    """A number that is money or hours: what is written is what is meant, to the last digit."""
    plain = number(float(low), float(high), above=above)

    def parse(text: str) -> Decimal:
        plain(text)
        return Decimal(text)

    return ValueKind(parse=parse, words=plain.words, schema=plain.schema)


def _plain(value: float) -> str:
    return format(Decimal(repr(value)).normalize(), ",f")


def choice(kind: type[StrEnum], *, but: Collection[StrEnum] = ()) -> ValueKind:
    names = [value.value for value in kind if value not in but]

    def parse(text: str) -> StrEnum:
        if text.lower() not in names:
            raise Rejected(f"is not one of {shortened(names)}")
        return kind(text.lower())

    return ValueKind(parse=parse, words=f"one of {', '.join(names)}", schema={"type": "string", "enum": names})


def shortened(names: Collection[str]) -> str:
    """ "a, b, c, d, or 9 others"."""
    if len(names) <= MOST_NAMED_VALUES:
        return ", ".join(names)
    return ", ".join([*list(names)[:4], f"or {len(names) - 4} others"])


def matching(pattern: re.Pattern[str], words: str) -> ValueKind:
    def parse(text: str) -> str:
        if not pattern.fullmatch(text):
            raise Rejected(f"is not {words}")
        return text

    return ValueKind(parse=parse, words=words, schema={"type": "string", "pattern": f"^({pattern.pattern})$"})


def named(names: Collection[str]) -> ValueKind:
    """One of a closed set of names, however they are capitalised."""
    known = {name.lower(): name for name in names}

    def parse(text: str) -> str:
        if text.lower() not in known:
            raise Rejected(f"is not one of {shortened(names)}")
        return known[text.lower()]

    return ValueKind(parse=parse, words=f"one of {', '.join(names)}", schema={"type": "string", "enum": list(names)})


def several(item: ValueKind, *, most: int, separator: str = ",", words: str = "") -> ValueKind:
    """A list, in text with `separator` between; `words` are what each is, where it is shorter than the item's own."""

    def parse(text: str) -> tuple[Any, ...]:
        parts = [part.strip() for part in text.split(separator) if part.strip()]
        if len(parts) > most:
            raise Rejected(f"holds more than {most}")
        return tuple(item(part) for part in parts)

    listed = {"type": "array", "items": item.schema, "maxItems": most}
    said = f"up to {most} with {separator} between, each {words or item.words}"
    return ValueKind(parse=parse, words=said, schema=listed, separator=separator)


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise Rejected("is not one of true, false")
    return text.lower() == "true"


def _adapters(text: str) -> Adapters:
    parts = re.fullmatch(r"([0-9]{1,4})@([0-9]{1,4})", text, re.ASCII)
    if parts is None or not int(parts[1]) or not int(parts[2]):
        raise Rejected("needs a count and a rank such as 4@16")
    return Adapters(int(parts[1]), int(parts[2]))


def _day(text: str) -> date:
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text, re.ASCII):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise Rejected("needs a date such as 2026-11-21")


_AGREED = re.compile(r"([a-z0-9.-]{3,40})(?:@([a-z0-9_]{3,50}))?\s*:\s*\$?([0-9]{1,5}(?:\.[0-9]{1,10})?)", re.ASCII)


def _agreed(text: str) -> AgreedPrices:
    found: dict[tuple[str, PurchaseOption], AgreedPrice] = {}
    for part in filter(None, (part.strip() for part in text.lower().split(","))):
        read = _AGREED.fullmatch(part)
        if read is None or not Decimal(read[3]):
            raise Rejected("needs machines and dollars an hour such as p5.48xlarge:40,g6.xlarge:0.6")
        if read[2] and (read[2] not in list(PurchaseOption) or read[2] == PurchaseOption.OWNED):
            raise Rejected(f"names no way to pay to AWS: {read[2]}")
        rate = AgreedPrice(read[1], Decimal(read[3]), PurchaseOption(read[2] or PurchaseOption.ON_DEMAND))
        if (rate.instance_type, rate.option) in found:
            raise Rejected(f"prices {rate.instance_type} twice")
        found[rate.instance_type, rate.option] = rate
    if not 0 < len(found) <= MOST_AGREED:
        raise Rejected(f"needs one to {MOST_AGREED} machines")
    return AgreedPrices(tuple(found.values()))


FLAG = ValueKind(parse=_flag, words="true or false", schema={"type": "boolean"})
ADAPTERS = ValueKind(
    parse=_adapters,
    words="a count and a rank such as 4@16",
    schema={"type": "string", "pattern": "^(?!0+@)[0-9]{1,4}@(?!0+$)[0-9]{1,4}$"},
)
MOST_AGREED = 12
NEGOTIATED = ValueKind(
    parse=_agreed,
    words=f"up to {MOST_AGREED} of a machine and its dollars an hour such as p5.48xlarge:40, with a comma between; "
    "with another way to pay g6.xlarge@spot:0.3",
    schema={"type": "string", "maxLength": 300},
)
DAY = ValueKind(parse=_day, words="a date such as 2026-11-21", schema={"type": "string", "format": "date"})
