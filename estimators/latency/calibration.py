"""Calibrated rates: where measured kernels put an operator, and additive effects of what served runs show beside.

A share of a ceiling is a logistic of its standing plus its effects, so it stays below 1 and no estimate passes the
floor; a time is an exponential. An accelerator without rows has no effect of its own and stands at its class.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path as FilePath

from estimators.hardware.accelerator import Accelerator
from estimators.latency.chip_classes import chip_class, link_class
from estimators.latency.operators import Place, find_operator
from estimators.latency.sharding import Shard
from estimators.latency.step import Rates
from estimators.provenance import Refusal
from estimators.remembered import Remembered

_TABLE = FilePath(__file__).parent / "data" / "constants.csv"
_MEMORY_KINDS = ("hbm", "gddr")  # of the chips that were measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One kind of rate: how its effects become a number, and where it stands before any served run.

    A family of operators stands where measured kernels put it for the case (`standing`), others at `prior`.
    """

    name: str
    share: bool  # logistic (a share of a ceiling) or exponential (seconds, tokens, a factor)
    prior: float  # sum of effects before any measurement: logit of the share, or log of the value
    levels: tuple[str, ...]  # kinds of effect that enter


def _logit(share: float) -> float:
    return math.log(share / (1.0 - share))


_ENGINE = ("engine", "era")
_SERVING = ("serving", "serving*era")
_PRODUCT = ("class", "chip", "engine", "era", "class*era", "path", "path*engine", "slot", "layout")

FAMILIES: dict[str, Family] = {
    f.name: f
    for f in (
        Family(name="memory", share=True, prior=0.0, levels=_PRODUCT),
        Family(name="compute", share=True, prior=0.0, levels=_PRODUCT),
        Family(name="cache_memory", share=True, prior=0.0, levels=("class", "engine", "era", "class*era", "attention")),
        Family(name="attention_compute", share=True, prior=0.0, levels=("engine", "attention")),
        Family(name="collective_s", share=False, prior=0.0, levels=("link", "engine")),
        Family(name="link_share", share=True, prior=0.0, levels=("link", "engine")),
        Family(name="starting", share=False, prior=math.log(0.8), levels=(*_ENGINE, "attention")),
        Family(name="regroup", share=True, prior=_logit(0.05), levels=()),
        Family(name="activation_memory", share=True, prior=_logit(0.7), levels=()),
        Family(name="routing", share=False, prior=math.log(2.0), levels=()),
        Family(name="kernel_s", share=False, prior=math.log(2.0e-6), levels=("engine", "attention", "ffn")),
        Family(name="eager_s", share=False, prior=math.log(8e-6), levels=(*_ENGINE, "path*engine")),
        Family(name="step_s", share=False, prior=math.log(6e-4), levels=(*_ENGINE, "class", *_SERVING)),
        Family(name="sequence_s", share=False, prior=math.log(8e-6), levels=(*_ENGINE, *_SERVING)),
        Family(name="request_s", share=False, prior=math.log(8e-3), levels=(*_ENGINE, "class", "serving")),
        Family(name="prompt_token_s", share=False, prior=math.log(1e-6), levels=_ENGINE),
        Family(name="queueing", share=False, prior=math.log(3.0), levels=_ENGINE),
        Family(name="training", share=False, prior=math.log(0.8), levels=()),
        Family(name="filling", share=True, prior=_logit(0.9), levels=_ENGINE),
        Family(name="ending", share=False, prior=math.log(0.5), levels=()),
    )
}
SLOTS = ("linear", "wide", "expert", "head")
SLOTTED: Mapping[str, tuple[str, ...]] = {"memory": SLOTS, "compute": SLOTS}  # families with a value per product
_NUMBERS_REDUCED = (2, 4, 8)  # GPUs whose all-reduce was measured
# A kernel is timed with the quantization of its input launched apart; engines fuse that with the norm before it. So a
# narrow product starts at most this much later than one in 16 bits.
_FUSED = 1.5
_LOW, _HIGH = 0.02, 0.97  # shares a kernel is taken to reach at least and at most


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelStanding:
    """What measured kernels say of a case: where the families of operators stand, and what is taken as it is."""

    families: Mapping[tuple[str, int | None], float]  # (family, slot) -> logit of the share, or log of the seconds
    fixed: Mapping[str, float]  # rates of `Rates` that no served run moves


# Decoding with one block per query head, each reading the head of the cache it shares with others: vLLM on AMD until it
# had a kernel of its own (0.6). The caches of a chip of several dies do not catch that.
_HEAD_BY_HEAD = {("CDNA3", "vllm-0.5")}
_WHOLLY = 0.97
# Engines that enqueue a step from C++, at about the launch time of the driver; from Python it takes thrice that.
_COMPILED = {"trt-0.5", "trt-0.10", "lmdeploy"}
_LAUNCH_S, _TOKEN_S = 3e-6, 3e-7
# generate() of transformers calls a library per product, not a kernel: bitsandbytes' LLM.int8 quantizes the input,
# finds its outliers, gathers and widens their weights, multiplies twice and adds; NF4 widens scales and weights, then
# multiplies.
_CALLS: Mapping[str, float] = {"int8": 8.0, "nf4": 3.0}
_WIDENED: Mapping[str, float] = {"nf4": 4.0}  # bytes an element written and read again in 16 bits, each step
_EAGER = "transformers"


@cache
def standing(place: Place, era: str, paths: tuple[str, ...], cache_form: str, gpus: int) -> KernelStanding:
    def share(value: float) -> float:
        return _logit(min(_HIGH, max(_LOW, value)))

    products = [find_operator("expert" if slot == "expert" else "product", path, place)
                for slot, path in zip(SLOTS, paths, strict=True)]  # fmt: skip
    linear, wide, expert, head = products
    plain = _FUSED * find_operator("product", "16bit", place).start_s
    cached, prompt = find_operator("cache", cache_form, place), find_operator("prompt", cache_form, place)
    reduced = find_operator("all_reduce", str(gpus), place)
    families: dict[tuple[str, int | None], float] = {
        ("cache_memory", None): share(cached.memory),
        ("attention_compute", None): share(prompt.compute),
        ("collective_s", None): math.log(reduced.start_s),
        ("link_share", None): share(reduced.memory),
    }
    if (place.chip_class, era) in _HEAD_BY_HEAD:
        families["regroup", None] = _logit(_WHOLLY)
    if era in _COMPILED:
        families["eager_s", None], families["prompt_token_s", None] = math.log(_LAUNCH_S), math.log(_TOKEN_S)
    eager = place.engine == _EAGER
    for number, operator in enumerate(products):
        families["memory", number] = share(operator.memory)
        families["compute", number] = share(operator.compute)
    fixed = {
        "linear_start": min(linear.start_s, plain),
        "expert_start": expert.start_s,
        "head_start": min(head.start_s, plain),
        "cache_start": cached.start_s,
        "prompt_start": prompt.start_s,
        "linear_tile": linear.length,
        "wide_tile": wide.length,
        "expert_tile": expert.length,
        "head_tile": head.length,
        "cache_compute": cached.compute,
        "prompt_length": prompt.length,
        "calls": _CALLS.get(paths[0], 1.0) if eager else 1.0,
        "widened": _WIDENED.get(paths[0], 0.0) if eager else 0.0,
        "copying": float(eager),
    }
    return KernelStanding(families=families, fixed=fixed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What of a case the effects depend on."""

    labels: tuple[tuple[str, str], ...]  # (level, value), the path and slot excepted
    paths: tuple[str, ...]  # of the four slots
    standing: KernelStanding = field(compare=False)  # of the same labels and paths

    def effects(self, family: Family, slot: int | None = None) -> Iterator[str]:
        """Names of the effects that enter a family's sum, the global one first."""
        yield family.name
        values = dict(self.labels)
        if slot is not None:
            values["path"], values["slot"] = self.paths[slot], SLOTS[slot]
        else:
            values["path"] = self.paths[0]
        for level in family.levels:
            parts = [values.get(part) for part in level.split("*")]
            if all(parts):
                yield f"{family.name}|{level}|{'*'.join(str(p) for p in parts)}"


def case_context(accelerator: Accelerator, shard: Shard, engine: str, era: str, tp: int, offline: bool) -> Context:
    """What the effects of a case depend on. Raises `Refusal` for a kind of memory no measured chip has."""
    if accelerator.memory_kind not in _MEMORY_KINDS:
        raise Refusal(
            f"No chip with {accelerator.memory_kind!r} memory, as {accelerator.name} has, was measured.",
            field="gpu",
            remedy="Choose another accelerator, or add measured rows of one and fit the constants again.",
        )
    attention = "sparse" if shard.has_indexer else "mla" if shard.has_mla else "state" if shard.has_state else ""
    gpus = min((n for n in _NUMBERS_REDUCED if n >= tp), default=_NUMBERS_REDUCED[-1])
    labels = (
        ("class", chip_class(accelerator)),
        ("chip", accelerator.name),
        ("engine", engine),
        ("era", era),
        ("attention", attention),
        ("ffn", "moe" if shard.has_experts else ""),
        ("layout", shard.layout),
        ("link", link_class(accelerator, tp) if tp > 1 else ""),
        ("serving", "offline" if offline else ""),
        ("gpus", str(gpus) if tp > 1 else ""),
        ("cache", shard.cache_form),
    )
    paths = (str(shard.linear.path), str(shard.wide.path), str(shard.expert.path), str(shard.head.path))
    place = Place(
        chip=accelerator.name, chip_class=chip_class(accelerator), memory_kind=accelerator.memory_kind, engine=engine,
        link=link_class(accelerator, tp),
    )  # fmt: skip
    return Context(labels=labels, paths=paths, standing=standing(place, era, paths, shard.cache_form, gpus))


@cache
def constants() -> Mapping[str, float]:
    """The fitted effects; an empty table leaves every family at its prior."""
    if not _TABLE.exists():
        return {}
    with _TABLE.open(newline="", encoding="utf-8") as file:
        return {row["effect"]: float(row["value"]) for row in csv.DictReader(file)}


def value(family: Family, standing: float, total: float) -> float:
    """exp or logistic of where the family stands plus the total of its effects."""
    x = standing + total
    return 1.0 / (1.0 + math.exp(-x)) if family.share else math.exp(x)


# Per family: its effect everywhere, and per level the effect of each value.
Levels = tuple[float, tuple[tuple[str, Mapping[str, float]], ...]]
_CROSSED = tuple(
    {level: tuple(level.split("*")) for family in FAMILIES.values() for level in family.levels if "*" in level}.items()
)


@cache
def _levels() -> Mapping[str, Levels]:
    """The fitted effects by family and level, so that a case is summed without spelling the effects' names."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    for name, effect in constants().items():
        family, *rest = name.split("|")
        if rest:
            found.setdefault((family, rest[0]), {})[rest[1]] = effect
    return {
        family.name: (
            constants().get(family.name, 0.0),
            tuple((level, found.get((family.name, level), {})) for level in family.levels),
        )
        for family in FAMILIES.values()
    }


def _total(family: str, values: Mapping[str, str]) -> float:
    total, levels = _levels()[family]
    for level, effects in levels:
        total += effects.get(values.get(level, ""), 0.0)
    return total


def _values(context: Context, slot: str, path: str) -> Mapping[str, str]:
    """What each level is in this case, those that cross two labels too."""
    values = {**dict(context.labels), "slot": slot, "path": path}
    return values | {level: "*".join([values[part] for part in parts]) for level, parts in _CROSSED}


def _rates_of(context: Context) -> Rates:
    """The rates of a case: each family's prior plus the effects that apply to it."""
    whole = _values(context, "", context.paths[0])
    slots = {slot: _values(context, slot, path) for slot, path in zip(SLOTS, context.paths, strict=True)}
    found: dict[str, float] = dict(context.standing.fixed)
    at = context.standing.families
    for name, family in FAMILIES.items():
        if name not in SLOTTED:
            found[name] = value(family, at.get((name, None), family.prior), _total(name, whole))
            continue
        for number, slot in enumerate(SLOTTED[name]):
            found[f"{slot}_{name}"] = value(family, at[name, number], _total(name, slots[slot]))
    return Rates(**found)


_RATES: Remembered[Rates] = Remembered(4096)


def case_rates(context: Context) -> Rates:
    """What a case achieves by the committed constants; equal cases share one object."""
    return _RATES.of((), context, lambda: _rates_of(context))
