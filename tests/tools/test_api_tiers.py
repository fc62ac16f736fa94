"""Rows of hosted tiers from the shapes that genai-prices keeps them in."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from tools.api_tiers import _row, _tiers

NOW = datetime(2026, 11, 28, tzinfo=UTC)


def prices(**usd: Any) -> SimpleNamespace:
    return SimpleNamespace(**{"input_mtok": None, "output_mtok": None, "cache_read_mtok": None, **usd})


def variant(when: dict[str, str], *, active: bool = True) -> SimpleNamespace:
    return SimpleNamespace(when=when, prices=prices(), constraint=SimpleNamespace(active=lambda now: active))


def test_tiers_in_force_that_are_known_here() -> None:
    variants = [
        variant({"processing": "batch"}),
        variant({"service_tier": "flex"}, active=False),
        variant({"service_tier": "fast"}),
        variant({"processing": "batch", "region": "eu"}),
    ]
    model = SimpleNamespace(get_prices=lambda now: prices(), price_variants=variants)
    assert [tier for tier, _ in _tiers(model, NOW)] == ["standard", "batch"]


def test_of_prices_that_rise_with_length_the_first_counts() -> None:
    found = _row(
        "someone", "m", "batch", prices(input_mtok=SimpleNamespace(base=Decimal("1.50")), output_mtok=Decimal(15))
    )
    assert found == {
        "provider": "someone",
        "model": "m",
        "tier": "batch",
        "usd_per_million_input": "1.5",
        "usd_per_million_cached_input": "",
        "usd_per_million_output": "15",
    }


def test_a_model_without_a_price_of_output_is_no_row() -> None:
    assert _row("someone", "m", "standard", prices(input_mtok=Decimal(1))) is None
