"""Write pricing/data/api_tier_prices.csv: cached input, batch and other tiers of hosted models from genai-prices' data.

Run after a row was added to api_prices.csv, or to take newer prices: pip install genai-prices, then
python -m tools.api_tiers. A row that says what it said before keeps its date.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pricing.api_prices import TIERS_TABLE, api_prices

PROVIDERS = {  # ours -> theirs, and what our names have before theirs
    "AWS Bedrock": ("aws", ""),
    "Anthropic": ("anthropic", ""),
    "DeepSeek": ("deepseek", ""),
    "Fireworks AI": ("fireworks", "fireworks_ai/"),
    "Google": ("google", "gemini/"),
    "Groq": ("groq", "groq/"),
    "Mistral": ("mistral", ""),
    "OpenAI": ("openai", ""),
    "Together AI": ("together", "together_ai/"),
}
TIERS = {("processing", "batch"): "batch", ("service_tier", "flex"): "flex", ("service_tier", "priority"): "priority"}
COLUMNS = (
    "provider", "model", "tier", "usd_per_million_input", "usd_per_million_cached_input", "usd_per_million_output",
    "as_of", "source", "note",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    argparse.ArgumentParser(prog="python -m tools.api_tiers", description=__doc__).parse_args(arguments)
    providers = import_module("genai_prices.data").providers
    today, source = datetime.now(UTC), f"genai-prices {version('genai-prices')}"
    known = {provider.id: provider for provider in providers}
    before = _before(TIERS_TABLE)
    with TIERS_TABLE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for price in api_prices():
            their, prefix = PROVIDERS.get(price.provider, ("", ""))
            model = price.model.removeprefix(prefix)
            found = next((one for one in known[their].models if one.is_match(model)), None) if their else None
            for tier, prices in _tiers(found, today) if found is not None else ():
                row = _row(price.provider, price.model, tier, prices)
                if row is not None:
                    same = before.get(tuple(row.values()))
                    writer.writerow(
                        {**row, **(same or {"as_of": today.date().isoformat(), "source": source, "note": ""})}
                    )


def _tiers(model: Any, now: datetime) -> list[tuple[str, Any]]:
    """(tier, prices) in force now: the standard one, and the variants that are known here."""
    made = [("standard", model.get_prices(now))]
    for variant in model.price_variants or ():
        named = [TIERS[item] for item in variant.when.items() if item in TIERS]
        if len(variant.when) == len(named) == 1 and (variant.constraint is None or variant.constraint.active(now)):
            made.append((named[0], variant.prices))
    return list(dict(made).items())


def _row(provider: str, model: str, tier: str, prices: Any) -> dict[str, str] | None:
    """None without a price of input and of output. Of prices that rise with length the first counts."""
    into, out = _plain(prices.input_mtok), _plain(prices.output_mtok)
    if not into or not out:
        return None
    cached = _plain(getattr(prices, "cache_read_mtok", None))
    cells = (provider, model, tier, into, cached, out)
    return dict(zip(COLUMNS, cells, strict=False))


def _plain(price: Any) -> str:
    value = getattr(price, "base", price)
    return format(Decimal(value).normalize(), "f") if value is not None else ""


def _before(path: Path) -> dict[tuple[str, ...], dict[str, str]]:
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {tuple(row[c] for c in COLUMNS[:6]): {c: row[c] for c in COLUMNS[6:]} for row in rows}


if __name__ == "__main__":
    main()
