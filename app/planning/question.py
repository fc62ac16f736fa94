"""What a recommendation is asked: a load, its limits, and everything that may be chosen from. Types only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from app.scenario import Scenario, model_text
from estimators.precision import KvPrecision, Weights
from estimators.provenance import Refusal
from estimators.quality.scores import Ruler, Score
from estimators.quality.tasks import Task
from pricing.offers import PurchaseOption

# A checkpoint as it is, and the formats the serving engines load from published quantized checkpoints. FP16 is BF16's
# stand-in on chips without BF16 units.
USUAL_WEIGHTS = (Weights.AS_PUBLISHED, Weights.FP16, Weights.FP8, Weights.INT8, Weights.INT4, Weights.NVFP4)
USUAL_KV = (KvPrecision.AUTO, KvPrecision.FP8)
MOST_MODELS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityBar:
    """At least `minimum_ratio` of the reference's published quality on one task; 0.99 is "within 1 %"."""

    task: Task
    reference: str  # model id
    minimum_ratio: float
    reasoning: bool = False  # accept scores taken while the model reasons, which spends tokens the load may not have
    own: tuple[Score, ...] = ()  # a person's own runs; they come before published ones
    ruler: Ruler | None = None  # the published scores to read; None: the nearest to the task, for each model its own


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnedHardware:
    """Accelerators one has already; `usd_per_gpu_hour` is what they are written off at, 0 when they are sunk."""

    gpu: str  # any alias
    count: int
    usd_per_gpu_hour: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A load with its limits, and the models, precisions, machines and ways to pay that may be chosen from.

    What `scenario` names is fixed: tokens, load, objectives, hours, engine settings, a machine, a layout, replicas, a
    way to draft. Its model, precision, cache, region and payment are not read: those are the question's own axes. With
    `owned` only that hardware is weighed and `regions`, `options` are not read.
    """

    scenario: Scenario
    models: tuple[str, ...]
    weights: tuple[Weights, ...] = USUAL_WEIGHTS
    kv: tuple[KvPrecision, ...] = USUAL_KV
    regions: tuple[str, ...] = ("us-east-1",)
    options: tuple[PurchaseOption, ...] = (PurchaseOption.ON_DEMAND,)
    vendors: frozenset[str] = frozenset({"NVIDIA"})
    bar: QualityBar | None = None
    budget_usd_per_month: Decimal | None = None
    owned: tuple[OwnedHardware, ...] = ()
    drafting: bool = True  # speculative decoding may be chosen, where the scenario names none
    whole_interval: bool = False  # limits on time hold for the upper end of the 80 % interval, not for its middle
    favoured: tuple[str, Weights] | None = None  # of plans that cost the same those of this model and format come first
    fixed: bool = False  # asked by a scenario: one model, precision, region and payment

    @classmethod
    def of(cls, scenario: Scenario) -> Question:
        """The question a scenario asks: everything with a default in the vocabulary is named, and what is `auto` among
        machine, layout and replicas is open."""
        return cls(
            scenario=scenario,
            models=(model_text(scenario),),
            weights=(scenario.weights,),
            kv=(scenario.kv,),
            regions=(scenario.region,),
            options=(scenario.buy,),
            drafting=False,
            fixed=True,
        )

    def __post_init__(self) -> None:
        if not self.models:
            raise Refusal("No model may be chosen.", field="model", remedy="Name at least one.")
        if len(self.models) > MOST_MODELS:
            remedy = f"Name up to {MOST_MODELS}."
            raise Refusal(f"{len(self.models)} models are too many to weigh.", field="model", remedy=remedy)
        if not self.owned and not (self.regions and self.options):
            raise Refusal(
                "No region or no way to pay is allowed.", field="region", remedy="Allow at least one of each."
            )
        if self.bar is not None and not 0 < self.bar.minimum_ratio <= 2:
            raise Refusal("A quality bar lies between 0 and 200 % of the reference.", field="quality")


_OWNED = re.compile(
    r"(?P<count>[0-9]{1,5})\s*[x×]?\s+(?P<gpu>[A-Za-z][A-Za-z0-9 ._()/+-]{0,60}?)"
    r"\s*(@\s*\$?(?P<usd>[0-9]{1,6}(\.[0-9]{1,4})?))?"
)
MOST_OWNED = 12


def owned_from(text: str) -> tuple[OwnedHardware, ...]:
    """Hardware one has, a line each: "8 x A100-80GB", or "8 x A100-80GB @ 0.90" with USD per GPU and hour.

    Raises `Refusal` for a line that says something else.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > MOST_OWNED:
        raise Refusal(f"More than {MOST_OWNED} kinds of hardware.", field="gpu", remedy="List fewer.")
    found = []
    for line in lines:
        read = _OWNED.fullmatch(line)
        if read is None or int(read["count"]) < 1:
            raise Refusal(
                f"{line[:60]!r} names no hardware.", field="gpu", remedy="Write a line such as 8 x A100-80GB."
            )
        cost = Decimal(read["usd"]) if read["usd"] else Decimal(0)
        found.append(OwnedHardware(gpu=read["gpu"].strip(), count=int(read["count"]), usd_per_gpu_hour=cost))
    return tuple(found)
