"""Calibrated rates: additive effects per global, memory kind, chip class, accelerator, path and engine.

A share of a ceiling is a logistic of the sum of its effects, so it stays below 1 and no estimate passes the floor;
a time is an exponential. An accelerator without rows has no effect of its own and stands at its class.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path as FilePath

from estimators.hardware.accelerator import Accelerator
from estimators.latency.sharding import Shard
from estimators.latency.step import Rates
from estimators.provenance import Refusal
from estimators.remembered import Remembered

_TABLE = FilePath(__file__).parent / "data" / "constants.csv"
_MEMORY_KINDS = ("hbm", "gddr")  # of the chips that were measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One kind of rate: how its effects become a number, and where it stands before any measurement."""

    name: str
    share: bool  # logistic (a share of a ceiling) or exponential (seconds, tokens, a factor)
    prior: float  # sum of effects before any measurement: logit of the share, or log of the value
    levels: tuple[str, ...]  # kinds of effect that enter


_HARDWARE = ("kind", "class", "chip")
_ENGINE = ("engine", "era")


def _logit(share: float) -> float:
    return math.log(share / (1.0 - share))


FAMILIES: dict[str, Family] = {
    f.name: f
    for f in (
        Family(
            name="memory",
            share=True,
            prior=_logit(0.75),
            levels=(*_HARDWARE, *_ENGINE, "path", "path*class", "path*engine", "slot", "slot*engine", "slot*class"),
        ),
        Family(
            name="compute",
            share=True,
            prior=_logit(0.55),
            levels=(*_HARDWARE, *_ENGINE, "path", "path*class", "path*engine", "slot", "slot*engine", "slot*class"),
        ),
        Family(
            name="cache_memory",
            share=True,
            prior=_logit(0.6),
            levels=(*_HARDWARE, *_ENGINE, "attention", "attention*engine", "class*engine"),
        ),
        Family(
            name="attention_compute",
            share=True,
            prior=_logit(0.4),
            levels=(*_HARDWARE, *_ENGINE, "attention", "attention*engine"),
        ),
        Family(name="regroup", share=True, prior=_logit(0.2), levels=(*_ENGINE, "class")),
        Family(name="activation_memory", share=True, prior=_logit(0.6), levels=("class",)),
        Family(name="decode", share=True, prior=_logit(0.5), levels=("kind", "class", "path", "path*class", "engine")),
        Family(name="expert_tile", share=False, prior=math.log(8.0), levels=("expert_path",)),
        Family(name="routing", share=False, prior=math.log(2.0), levels=()),
        Family(
            name="kernel_s",
            share=False,
            prior=math.log(2.5e-6),
            levels=("kind", "class", "engine", "path", "attention", "ffn"),
        ),
        Family(name="eager_s", share=False, prior=math.log(8e-6), levels=(*_ENGINE, "kind", "class")),
        Family(name="step_s", share=False, prior=math.log(1e-3), levels=(*_ENGINE, "class")),
        Family(name="sequence_s", share=False, prior=math.log(8e-6), levels=(*_ENGINE, "kind", "class")),
        Family(name="collective_s", share=False, prior=math.log(1e-5), levels=("link", "class", *_ENGINE, "tp")),
        Family(name="link_share", share=True, prior=_logit(0.5), levels=("link", *_ENGINE)),
        Family(name="request_s", share=False, prior=math.log(8e-3), levels=(*_ENGINE, "kind", "class")),
        Family(name="prompt_token_s", share=False, prior=math.log(1e-6), levels=_ENGINE),
        Family(name="queueing", share=False, prior=math.log(3.0), levels=_ENGINE),
        Family(name="filling", share=True, prior=_logit(0.9), levels=(*_ENGINE, "kind")),
    )
}
SLOTS = ("linear", "wide", "expert", "head")
# Families with a value per product. The head is computed for sampled tokens only, so never at the prompts' share.
SLOTTED: Mapping[str, tuple[str, ...]] = {"memory": SLOTS, "compute": SLOTS[:3], "decode": SLOTS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What of a case the effects depend on."""

    labels: tuple[tuple[str, str], ...]  # (level, value), the path and slot excepted
    paths: tuple[str, ...]  # of the four slots

    def effects(self, family: Family, slot: int | None = None) -> Iterator[str]:
        """Names of the effects that enter a family's sum, the global one first."""
        yield family.name
        values = dict(self.labels)
        if slot is not None:
            values["path"], values["slot"] = self.paths[slot], SLOTS[slot]
        elif "path" in family.levels:
            values["path"] = self.paths[0]
        for level in family.levels:
            parts = [values.get(part) for part in level.split("*")]
            if all(parts):
                yield f"{family.name}|{level}|{'*'.join(str(p) for p in parts)}"


def chip_class(accelerator: Accelerator) -> str:
    """Chips of one compute capability share a class; other vendors' go by architecture."""
    major = accelerator.compute_capability.split(".")[0]
    if accelerator.vendor != "NVIDIA" or not major.isdigit():
        return accelerator.architecture
    return f"sm{accelerator.compute_capability}" if major != "10" else "sm10"


def link_class(accelerator: Accelerator, tp: int) -> str:
    link = accelerator.link.lower()
    if tp > 8:
        return "network"
    if "bridge" in link or "pcie" in link:
        return "pcie"
    return "nvlink" if "nvlink" in link else "other"


def case_context(accelerator: Accelerator, shard: Shard, engine: str, era: str, tp: int) -> Context:
    """What the effects of a case depend on. Raises `Refusal` for a kind of memory no measured chip has."""
    if accelerator.memory_kind not in _MEMORY_KINDS:
        raise Refusal(
            f"No chip with {accelerator.memory_kind!r} memory, as {accelerator.name} has, was measured.",
            field="gpu",
            remedy="Choose another accelerator, or add measured rows of one and fit the constants again.",
        )
    attention = "mla" if shard.has_mla else ("state" if shard.has_state else "")
    labels = (
        ("kind", accelerator.memory_kind),
        ("class", chip_class(accelerator)),
        ("chip", accelerator.name),
        ("engine", engine),
        ("era", era),
        ("attention", attention),
        ("ffn", "moe" if shard.has_experts else ""),
        ("layout", shard.layout),
        ("expert_path", str(shard.expert.path) if shard.has_experts else ""),
        ("link", link_class(accelerator, tp)),
        ("tp", str(tp) if tp > 1 else ""),
    )
    paths = (str(shard.linear.path), str(shard.wide.path), str(shard.expert.path), str(shard.head.path))
    return Context(labels=labels, paths=paths)


@cache
def constants() -> Mapping[str, float]:
    """The fitted effects; an empty table leaves every family at its prior."""
    if not _TABLE.exists():
        return {}
    with _TABLE.open(newline="", encoding="utf-8") as file:
        return {row["effect"]: float(row["value"]) for row in csv.DictReader(file)}


def value(family: Family, total: float) -> float:
    """exp(total) or logistic(total), total counted from the prior."""
    x = family.prior + total
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
    found: dict[str, float] = {}
    for name, family in FAMILIES.items():
        if name not in SLOTTED:
            found[name] = value(family, _total(name, whole))
            continue
        for slot in SLOTTED[name]:
            found[f"{slot}_{name}"] = value(family, _total(name, slots[slot]))
    return Rates(**found)


_RATES: Remembered[Rates] = Remembered(4096)


def case_rates(context: Context) -> Rates:
    """What a case achieves by the committed constants; equal cases share one object."""
    return _RATES.of((), context, lambda: _rates_of(context))
