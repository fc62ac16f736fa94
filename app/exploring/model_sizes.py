"""Monthly cost by model size: the article's three machines and the cheapest that fits today, as ordinary scenarios."""

from __future__ import annotations

from dataclasses import dataclass, replace

from app.planning.plan import Plan
from app.planning.remembered import VersionedSources, remembered_plan
from app.planning.sentences import model_name, precision_name
from app.scenario import Scenario
from estimators.precision import Weights

# The article on running smaller models prices an 8B on one A10G, a 70B on eight A100 and a 405B on eight H100.
# 405B parameters in BF16 are 756 GiB; eight H100 have 633 GiB, so FP8 is the widest precision that fits there.
ARTICLE = (
    ("meta-llama/Llama-3.1-8B-Instruct", Weights.BF16, "g5.xlarge"),
    ("meta-llama/Llama-3.1-70B-Instruct", Weights.BF16, "p4d.24xlarge"),
    ("meta-llama/Llama-3.1-405B", Weights.FP8, "p5.48xlarge"),
)
# One model per size, small to 8B, medium to 70B, large above.
SIZES = (
    ("meta-llama/Llama-3.2-1B-Instruct", Weights.BF16),
    ("meta-llama/Llama-3.2-3B", Weights.BF16),
    ("meta-llama/Llama-3.1-8B-Instruct", Weights.BF16),
    ("Qwen/Qwen2.5-14B", Weights.BF16),
    ("Qwen/Qwen3-32B", Weights.BF16),
    ("meta-llama/Llama-3.1-70B-Instruct", Weights.BF16),
    ("mistralai/Mistral-Large-Instruct-2407", Weights.BF16),
    ("meta-llama/Llama-3.1-405B", Weights.FP8),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SizedCost:
    """One model of the chart. `usd_per_month` is None where its machine is not offered or too small."""

    label: str
    params: int
    machine: str
    precision: str
    usd_per_month: float | None
    fits: bool
    problem: str | None


def cost_by_model_size(
    conditions: Scenario, sources: VersionedSources
) -> tuple[tuple[SizedCost, ...], tuple[SizedCost, ...]]:
    """(the article's machines, the cheapest that fit) in the region, hours and at the prices of `conditions`."""
    base = Scenario(
        region=conditions.region,
        buy=conditions.buy,
        hours=conditions.hours,
        discount=conditions.discount,
        negotiated=conditions.negotiated,
    )
    article = [replace(base, model=model, weights=weights, instance=machine) for model, weights, machine in ARTICLE]
    sizes = [replace(base, model=model, weights=weights) for model, weights in SIZES]
    return (
        tuple(_sized(remembered_plan(scenario, sources)) for scenario in article),
        tuple(_sized(remembered_plan(scenario, sources)) for scenario in sizes),
    )


def _sized(result: Plan) -> SizedCost:
    chosen = result.chosen
    cost = chosen.cost if chosen and chosen.fits else None
    return SizedCost(
        label=model_name(result.asked),
        params=result.spec.resident_params if result.spec else 0,
        machine=chosen.label if chosen else "none",
        precision=precision_name(result.precision.weights) if result.precision else "",
        usd_per_month=float(cost.usd_per_month) if cost else None,
        fits=bool(chosen and chosen.fits),
        problem=str(result.refusal) if result.refusal else None,
    )
