"""A plan as the flat columns of the public contract: unrounded, SI units, empty where unknown. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from enum import StrEnum

from app.kinds import Adapters
from app.planning.plan import Candidate, Plan
from app.scenario import KEYS, VERSION, Problem
from estimators.latency.estimate import Interval, LatencyEstimate
from estimators.memory.estimate import MemoryEstimate
from pricing.negotiated import AgreedPrices

Cell = str | int | float | bool | Decimal | None

SIZE_COLUMNS = ("resident_params", "active_params", "weights_bytes")
MEMORY_COLUMNS = (
    "weights_bytes_per_gpu",
    "kv_bytes_per_token",
    "kv_bytes_per_token_per_gpu",
    "state_bytes_per_request",
    "activation_bytes_per_gpu",
    "overhead_bytes_per_gpu",
    "memory_bytes_per_gpu",
    "memory_budget_bytes_per_gpu",
    "kv_capacity_tokens",
    "max_concurrency",
    "fits",
)
INTERVAL_COLUMNS = ("ttft_s", "tpot_s", "e2e_s", "output_tok_per_s", "req_per_s")
P95_COLUMNS = ("ttft_p95_s", "tpot_p95_s", "e2e_p95_s")
LATENCY_COLUMNS = (
    "ttft_s",
    "tpot_s",
    "e2e_s",
    *P95_COLUMNS,
    "output_tok_per_s",
    "req_per_s",
    *(f"{name}_{end}" for name in INTERVAL_COLUMNS for end in ("low", "high")),
)
MACHINE_COLUMNS = ("accelerator", "gpus", "instance", "instances", "replicas")
PRICE_COLUMNS = (
    "usd_per_hour", "list_usd_per_hour", "price_source", "price_as_of", "usd_per_month",
    "usd_per_million_output_tokens",
)  # fmt: skip
START_COLUMNS = ("engine_starts", "engine_starts_reason", "kv_logged_tokens", "kv_logged_concurrency")
READING_COLUMNS = ("model_reading", "model_range")  # `Reading`, and by which share its parameters may be off
COLUMNS = (
    *SIZE_COLUMNS, *MEMORY_COLUMNS, *LATENCY_COLUMNS, *MACHINE_COLUMNS, *PRICE_COLUMNS, *START_COLUMNS,
    *READING_COLUMNS, "error",
)  # fmt: skip

_COST_KEYS = frozenset({"region", "buy", "hours", "price", "price_as_of", "discount", "negotiated"})


def columns_of(plan: Plan, problems: tuple[Problem, ...] = ()) -> dict[str, Cell]:
    """Every column of the contract for one plan. `problems` (of strict input) blank what depends on them."""
    row: dict[str, Cell] = dict.fromkeys(COLUMNS)
    if plan.spec is not None:
        row["resident_params"] = plan.spec.resident_params
        row["active_params"] = plan.spec.active_params
        row["model_reading"] = plan.spec.reading.value
        row["model_range"] = plan.spec.relative_range
    if plan.precision is not None:
        row["weights_bytes"] = plan.precision.weights_bytes
    if plan.chosen is not None:
        row.update(_machine(plan.chosen))
        row.update(_memory(plan.chosen.memory))
        row.update(_latency(plan.chosen.latency))
        row.update(_price(plan.chosen))
    sentences = [problem.message for problem in problems]
    if plan.refusal is not None:
        sentences.append(str(plan.refusal))
    for problem in problems:
        for column in _dependent_on(problem.key, named=bool(plan.asked.gpu or plan.asked.instance)):
            row[column] = None
    row["error"] = " ".join(sentences) or None
    return {key: _finite(value) for key, value in row.items()}


def _dependent_on(key: str, *, named: bool) -> tuple[str, ...]:
    """Columns that a wrong value of `key` makes meaningless."""
    if key in ("model", "params", "active"):
        return COLUMNS[:-1]
    of_model = {*SIZE_COLUMNS[:2], *READING_COLUMNS, "error"}
    if key in ("weights", "method", "kv"):
        return tuple(name for name in COLUMNS if name not in of_model)
    if key in _COST_KEYS and named:
        return PRICE_COLUMNS
    return tuple(name for name in COLUMNS if name not in {*of_model, "weights_bytes"})


def _machine(chosen: Candidate) -> dict[str, Cell]:
    instance = chosen.machine.instance
    return {
        "accelerator": chosen.machine.accelerator.name,
        "gpus": chosen.placement.tp if chosen.placement else None,
        "instance": instance.instance_type if instance else None,
        "instances": chosen.instances if instance and chosen.instances else None,
        "replicas": chosen.replicas or None,
    }


def _memory(memory: MemoryEstimate | None) -> dict[str, Cell]:
    if memory is None:
        return {}
    return {name: getattr(memory, name) for name in (*MEMORY_COLUMNS, *START_COLUMNS)}


def _latency(latency: LatencyEstimate | None) -> dict[str, Cell]:
    if latency is None:
        return {}
    row: dict[str, Cell] = {name: getattr(latency, name) for name in P95_COLUMNS}
    for name in INTERVAL_COLUMNS:
        interval: Interval = getattr(latency, name)
        row |= {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
    return row


def _price(chosen: Candidate) -> dict[str, Cell]:
    if chosen.offer is None or chosen.cost is None:
        return {}
    listed = chosen.offer.list_usd_per_hour
    return {
        "usd_per_hour": chosen.cost.usd_per_hour,
        "list_usd_per_hour": None if listed is None else listed * max(1, chosen.instances),
        "price_source": chosen.offer.source.value,
        "price_as_of": None if chosen.offer.as_of == date.min else chosen.offer.as_of.isoformat(),
        "usd_per_month": chosen.cost.usd_per_month,
        "usd_per_million_output_tokens": chosen.cost.usd_per_million_output_tokens,
    }


def _finite(value: Cell) -> Cell:
    """Never NaN or infinity in a file that other programs read."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Decimal) and not value.is_finite():
        return None
    return value


def as_text(value: Cell) -> str:
    """A CSV cell: empty for unknown, true/false for booleans, plain decimals for money."""
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _json_value(value: object) -> object:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, Adapters | AgreedPrices):
        return str(value)
    return value.isoformat() if isinstance(value, date) else value


def as_json_values(columns: Mapping[str, Cell]) -> dict[str, object]:
    """Columns as JSON has them: money as a number."""
    return {key: _json_value(value) for key, value in columns.items()}


def as_json(plan: Plan, problems: tuple[Problem, ...] = ()) -> dict[str, object]:
    """The resolved scenario's keys and the columns in one flat object, with notes and what was ignored."""
    row: dict[str, object] = {key: _json_value(getattr(plan.resolved, key)) for key in KEYS}
    row["v"] = VERSION
    row |= as_json_values(columns_of(plan))
    row["notes"] = list(plan.all_notes)
    row["problems"] = [problem.message for problem in problems]
    return row
