"""Text of sizes, times and money."""

from __future__ import annotations

from decimal import Decimal

import pytest

from app.format import count, gib, percent, seconds, significant, span, usd


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0123, "0.0123"),
        (1.234, "1.23"),
        (12.34, "12.3"),
        (123.4, "123"),
        (1234.5, "1,230"),
        (0, "0"),
        (9.999, "10.0"),
        (float("inf"), "unlimited"),
    ],
)
def test_significant_figures(value: float, text: str) -> None:
    assert significant(value) == text


def test_shares() -> None:
    assert [percent(share) for share in (0.65, 1, 1.33, 0.025, 0)] == ["65 %", "100 %", "133 %", "2.5 %", "0 %"]


def test_bytes() -> None:
    assert gib(16_060_522_496) == "15.0 GiB"
    assert gib(131_072) == "0.125 MiB"
    assert gib(70_272) == "68.6 KiB"


@pytest.mark.parametrize(
    ("value", "text"), [(0.0062, "6.2 ms"), (0.28, "280 ms"), (1.456, "1.46 s"), (95.2, "95 s"), (400, "6.7 min")]
)
def test_seconds(value: float, text: str) -> None:
    assert seconds(value) == text


def test_a_span_names_its_unit_once() -> None:
    assert span(0.021, 0.028) == "21 to 28 ms"
    assert span(0.9, 1.2) == "900 ms to 1.20 s"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("734.38"), "$734"),
        (Decimal("40179.2"), "$40,179"),
        (Decimal("0.8048"), "$0.80"),
        (Decimal("0.0123"), "$0.0123"),
    ],
)
def test_dollars(value: Decimal, text: str) -> None:
    assert usd(value) == text


def test_dollars_to_the_cent() -> None:
    assert usd(Decimal("16029.0786"), cents=True) == "$16,029.08"


def test_parameters() -> None:
    assert count(8_030_261_248) == "8.03 B"
    assert count(671e9) == "671 B"
