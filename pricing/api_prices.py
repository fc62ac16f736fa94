"""Hosted APIs: what providers ask for a million tokens, and the volume from which machines of your own are cheaper."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

from estimators.provenance import Refusal, read_table

TABLE = Path(__file__).parent / "data" / "api_prices.csv"
TIERS_TABLE = Path(__file__).parent / "data" / "api_tier_prices.csv"
STANDARD, BATCH, OWN = "standard", "batch", "entered"
MOST_OWN = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiPrice:
    """One provider's price for one model."""

    provider: str
    model: str  # the provider's name for it
    hub_id: str  # the open model it is, empty for a closed one or when the name does not say
    usd_per_million_input: Decimal
    usd_per_million_output: Decimal
    as_of: date
    source: str
    note: str = ""


@lru_cache(maxsize=1)
def api_prices() -> tuple[ApiPrice, ...]:
    """The newest price of every hosted model."""
    required = ("provider", "model", "usd_per_million_input", "usd_per_million_output", "source", "as_of")
    return tuple(
        ApiPrice(
            provider=row["provider"],
            model=row["model"],
            hub_id=row["hub_id"],
            usd_per_million_input=Decimal(row["usd_per_million_input"]),
            usd_per_million_output=Decimal(row["usd_per_million_output"]),
            as_of=date.fromisoformat(row["as_of"]),
            source=row["source"],
            note=row["note"],
        )
        for row in read_table(TABLE, required=required, key=("provider", "model"))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiTier:
    """One tier of one hosted model. USD for a million tokens; `cached` None: cached input is not said to be cheaper."""

    provider: str
    model: str
    hub_id: str
    tier: str  # "standard", "batch", "flex", "priority"; "entered" by a person
    usd_per_million_input: Decimal
    usd_per_million_cached: Decimal | None
    usd_per_million_output: Decimal
    as_of: date | None  # None: entered
    source: str

    @property
    def name(self) -> str:
        """ "DeepInfra: Meta-Llama-3.1-8B-Instruct"; what a person entered as they named it."""
        return f"{self.provider}: {self.model.rpartition('/')[2]}" if self.provider else self.model

    def usd(self, new: Decimal, cached: Decimal, output: Decimal) -> tuple[Decimal, Decimal, Decimal]:
        """Of a volume in millions: (new input, cached input, output). 1,000 new, 600 cached and 200 out at $0.20, $0.10
        and $0.60 are $200, $60 and $120."""
        reading = self.usd_per_million_input if self.usd_per_million_cached is None else self.usd_per_million_cached
        return new * self.usd_per_million_input, cached * reading, output * self.usd_per_million_output


@lru_cache(maxsize=1)
def api_tiers() -> tuple[ApiTier, ...]:
    """Every tier that is known; the plain price of models whose tiers nobody lists."""
    rows = list(read_table(TIERS_TABLE, key=("provider", "model", "tier")))
    listed = {(row["provider"], row["model"]) for row in rows}
    hub_ids = {(price.provider, price.model): price.hub_id for price in api_prices()}
    tiers = [
        ApiTier(
            provider=row["provider"],
            model=row["model"],
            hub_id=hub_ids.get((row["provider"], row["model"]), ""),
            tier=row["tier"],
            usd_per_million_input=Decimal(row["usd_per_million_input"]),
            usd_per_million_cached=Decimal(cached) if (cached := row["usd_per_million_cached_input"]) else None,
            usd_per_million_output=Decimal(row["usd_per_million_output"]),
            as_of=date.fromisoformat(row["as_of"]),
            source=row["source"],
        )
        for row in rows
    ]
    plain = [price for price in api_prices() if (price.provider, price.model) not in listed]
    return (*tiers, *(_plain_tier(price) for price in plain))


def standard_tiers(hub_id: str) -> tuple[ApiTier, ...]:
    """Standard tiers of one open model, provider by provider; the precision they serve is mostly not said."""
    wanted = hub_id.partition("@")[0].lower()
    return tuple(tier for tier in api_tiers() if tier.tier == STANDARD and tier.hub_id.lower() == wanted)


def _plain_tier(price: ApiPrice) -> ApiTier:
    return ApiTier(
        provider=price.provider,
        model=price.model,
        hub_id=price.hub_id,
        tier=STANDARD,
        usd_per_million_input=price.usd_per_million_input,
        usd_per_million_cached=None,
        usd_per_million_output=price.usd_per_million_output,
        as_of=price.as_of,
        source=price.source,
    )


_RATE = re.compile(r"\$?(?P<usd>[0-9]{1,4}(\.[0-9]{1,6})?)")


def own_tiers(text: str) -> tuple[ApiTier, ...]:
    """Prices a person enters, a line each: name, input, output, and cached input where it is cheaper, per million.

    Raises `Refusal` naming the line for what is none.
    """
    lines = [line.strip() for line in re.split(r"[\n;]", text) if line.strip()]
    if len(lines) > MOST_OWN:
        raise Refusal(f"{len(lines)} prices are too many.", field="api_own", remedy=f"Enter up to {MOST_OWN}.")
    return tuple(_own(number, line) for number, line in enumerate(lines, start=1))


def _own(number: int, line: str) -> ApiTier:
    name, *cells = (cell.strip() for cell in line.split(","))
    read = [_RATE.fullmatch(cell) for cell in cells]
    if not name or len(name) > 60 or len(cells) not in (2, 3) or not all(read):
        raise Refusal(
            f"Line {number} of your prices says no input and output price.",
            field="api_own",
            remedy="Write name, dollars per million in, out, and cached in: ours batch, 0.10, 0.40, 0.05",
        )
    usd = [Decimal(found["usd"]) for found in read if found]
    return ApiTier(
        provider="",
        model=name,
        hub_id="",
        tier=OWN,
        usd_per_million_input=usd[0],
        usd_per_million_cached=usd[2] if len(usd) == 3 else None,
        usd_per_million_output=usd[1],
        as_of=None,
        source="entered on the page",
    )
