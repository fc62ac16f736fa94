"""What an hour of a measured machine costs."""

from __future__ import annotations

from decimal import Decimal

from app.measuring.hourly import Hourly, hourly
from pricing.book import Book


def test_the_cheapest_machine_that_has_as_many() -> None:
    """g6.xlarge has one L4 for $0.8048; two are half of a g6.12xlarge at $4.6016."""
    book = Book()
    assert hourly(book, "L4", 1, "us-east-1") == Hourly(usd=Decimal("0.8048"), said="g6.xlarge, on demand in us-east-1")
    assert hourly(book, "L4", 2, "us-east-1") == Hourly(
        usd=Decimal("2.3008"), said="2 of 4 of a g6.12xlarge, on demand in us-east-1"
    )


def test_what_nobody_sells_has_no_price() -> None:
    assert hourly(Book(), "AMD EPYC", 1, "us-east-1") is None
    assert hourly(Book(), "L4", 64, "us-east-1") is None
