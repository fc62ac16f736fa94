"""Bytes, seconds and dollars as text, the only place that rounds; and what the figures are called. Pure."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal

GIB = 2**30

MONTHLY_COST, MEMORY_PER_GPU, PER_MILLION = "Monthly cost", "Memory per GPU", "Per million output tokens"


def p95(name: str) -> str:
    """ "Time to first token" -> "p95 time to first token"."""
    return f"p95 {name[0].lower()}{name[1:]}"


def significant(value: float, digits: int = 3) -> str:
    """`digits` significant figures with thousands separators and no exponent: 0.0123, 1.23, 12.3, 1,230."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "unlimited"
    rounded = round(value, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{rounded:,.{max(0, digits - 1 - math.floor(math.log10(abs(rounded))))}f}"


def gib(count: float, digits: int = 3) -> str:
    """Bytes as GiB (2^30): 16060522496 -> "15.0 GiB"; small amounts as MiB or KiB."""
    if abs(count) >= GIB / 10 or count == 0:
        return f"{significant(count / GIB, digits)} GiB"
    if abs(count) >= 2**20 / 10:
        return f"{significant(count / 2**20, digits)} MiB"
    return f"{significant(count / 2**10, digits)} KiB"


def seconds(value: float) -> str:
    """0.0062 -> "6.2 ms"; 1.46 -> "1.46 s"; 95 -> "95 s"; 400 -> "6.7 min"."""
    if value < 1:
        return f"{significant(value * 1e3, 2 if value < 0.1 else 3)} ms"
    if value < 120:
        return f"{significant(value, 3 if value < 10 else 2)} s"
    return f"{significant(value / 60, 2)} min"


def span(low: float, high: float) -> str:
    """A range in seconds with its unit once: "21 to 28 ms"."""
    first, last = seconds(low), seconds(high)
    if first == last:
        return first
    if first.rsplit(" ", 1)[1] == last.rsplit(" ", 1)[1]:
        first = first.rsplit(" ", 1)[0]
    return f"{first} to {last}"


def usd(value: Decimal | float, *, cents: bool = False) -> str:
    """Dollars: whole above 100 unless `cents`; two places below; tenths of a cent below ten cents."""
    amount = Decimal(str(value)) if isinstance(value, float) else value
    if not amount.is_finite():
        return "unlimited"
    places = "0.01" if cents or abs(amount) < 100 else "1"
    if not cents and amount != 0 and abs(amount) < Decimal("0.1"):
        places = "0.0001"
    return f"${amount.quantize(Decimal(places), ROUND_HALF_UP):,}"


def percent(share: Decimal | float) -> str:
    """0.65 -> "65 %"; below a tenth one place more: "2.5 %"."""
    value = 100 * float(share)
    return f"{value:.1f} %" if 0 < abs(value) < 9.95 else f"{value:,.0f} %"


def count(value: float) -> str:
    """Parameters: 8030261248 -> "8.03 B"."""
    for size, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M")):
        if abs(value) >= size:
            return f"{significant(value / size)} {unit}"
    return f"{value:,.0f}"


def plural(number: int, word: str) -> str:
    """1 user, 2 users."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


_SMALL = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def small_number(number: int) -> str:
    """Numbers to ten as words, as in running text."""
    return _SMALL[number] if 0 <= number < len(_SMALL) else f"{number:,}"
