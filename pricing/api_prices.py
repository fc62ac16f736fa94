"""Hosted APIs: what providers ask for a million tokens, and the volume from which machines of your own are cheaper."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

from estimators.provenance import Refusal, read_table

TABLE = Path(__file__).parent / "data" / "api_prices.csv"


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

    def usd(self, input_millions: Decimal, output_millions: Decimal) -> Decimal:
        """Cost of a volume: V_in p_in + V_out p_out."""
        return input_millions * self.usd_per_million_input + output_millions * self.usd_per_million_output


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


def api_prices_of(hub_id: str) -> tuple[ApiPrice, ...]:
    """Providers of one open model, cheapest output first; the precision they serve is mostly not said."""
    wanted = hub_id.partition("@")[0].lower()
    found = [price for price in api_prices() if price.hub_id.lower() == wanted]
    return tuple(sorted(found, key=lambda price: (price.usd_per_million_output, price.usd_per_million_input)))


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEven:
    """Where renting tokens and renting machines cost the same, for one mixture of input and output."""

    input_per_output: Decimal  # input tokens for each output token
    api_usd_per_million_output: Decimal  # with the input that comes with it
    machine_usd_per_million_output: Decimal  # of full machines; above the API's, the API is always cheaper
    first_output_millions: Decimal | None  # a month, from which machines can be cheaper; None: never
    always_output_millions: Decimal | None  # from which they stay so, whatever a further replica costs

    @property
    def first_input_millions(self) -> Decimal | None:
        """The input that comes with the first volume."""
        return None if self.first_output_millions is None else self.first_output_millions * self.input_per_output


def break_even(
    *, api: ApiPrice, replica_usd_per_month: Decimal, replica_output_millions: Decimal, input_per_output: Decimal
) -> BreakEven:
    """Monthly volume from which machines are cheaper than an API.

    The API costs V q, with q = rho p_in + p_out for a million output tokens and their input; machines cost
    ceil(V / K) C, with C a replica's month and K what it serves in one. They meet at V = C / q if that is at most K;
    else never, as a full replica costs more than its tokens. $734.38 a month against $0.20 in and $0.20 out, four in
    for each out: q = $1, first at 734.38 million output tokens.
    """
    if replica_usd_per_month < 0 or replica_output_millions <= 0 or input_per_output < 0:
        raise Refusal("A break-even needs a replica's cost and what it serves a month.", field="rate")
    api_rate = input_per_output * api.usd_per_million_input + api.usd_per_million_output
    machine_rate = replica_usd_per_month / replica_output_millions
    cheaper = api_rate > 0 and machine_rate <= api_rate
    first = replica_usd_per_month / api_rate if cheaper else None
    return BreakEven(
        input_per_output=input_per_output,
        api_usd_per_million_output=api_rate,
        machine_usd_per_million_output=machine_rate,
        first_output_millions=first,
        always_output_millions=_always(first, replica_output_millions) if first is not None else None,
    )


def _always(first: Decimal, capacity: Decimal) -> Decimal | None:
    """The volume from which no further replica makes machines dearer again: n f with n = ceil(f / (K - f)).

    Just above n full replicas the next one has nothing to do: (n + 1) C <= n K q, that is n >= f / (K - f), f = C / q.
    A replica that pays from 60 of its 100: n = ceil(1.5) = 2, so from 120.
    """
    if first >= capacity:
        return None
    return max(1, math.ceil(first / (capacity - first))) * first


def equal_cost_line(api: ApiPrice, machines_usd_per_month: Decimal) -> tuple[Decimal | None, Decimal | None]:
    """Ends of the line of equal cost in the plane of volumes: all input, C / p_in, and all output, C / p_out.

    In millions of tokens: $734.38 against $0.15 and $0.60 is the line from 4,895.87 of input to 1,223.97 of output.
    """
    prices = (api.usd_per_million_input, api.usd_per_million_output)
    alone = [machines_usd_per_month / price if price else None for price in prices]
    return alone[0], alone[1]
