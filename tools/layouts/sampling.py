"""What a model type's shapes do when its config changes: one field at a time, then several at once."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tools.layouts.building import Config, Shapes, build, changed, default, leaves

NO_SHAPE = re.compile(
    r"token|(^|[._])(bos|eos|pad|sep|unk|cls)_|_ids?$|dropout|_eps$|theta|seed|version|initializer|_std$|num_labels|beam|"
    r"loss|temperature|max_length|min_length|top_[pk]$|label|_range$|aux|return_|output_(att|hid)|use_cache|gradient"
)
STACKS = re.compile(r"(layers?|depth|blocks?|n_layer|stages?)$")
EXPERTS = re.compile(r"(num_experts|n_routed_experts|num_local_experts|moe_num_experts|zero_expert_num)$")
CHOSEN = re.compile(r"(experts_per_tok(en)?|top_?k|moe_k|n_group|topk_group)$")
FEW_LAYERS, FEW_EXPERTS = 5, 4
KINDS = (
    "full_attention",
    "linear_attention",
    "sliding_attention",
    "attention",
    "mamba",
    "sparse",
    "dense",
    "moe",
    "conv",
)
# What a class needs and its defaults leave out.
NEEDED: Mapping[str, Any] = {
    "head_dim": 64,
    "num_key_value_heads": 4,
    "pad_token_id": 0,
    "n_routed_experts": 8,
    "n_shared_experts": 2,
    "num_experts_per_tok": 2,
    "layer_types": None,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One build. `values` maps each path of the config to its value."""

    values: Mapping[str, Any]
    shapes: Shapes


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """Builds of one type. `regimes` maps a flipped switch, (path, value), to builds under it."""

    model_type: str
    base: Config
    moving: tuple[str, ...]  # numbers whose change changes a shape
    stuck: tuple[str, ...]  # numbers that the class let nobody change, alone or with another
    samples: tuple[Sample, ...]
    regimes: Mapping[tuple[str, Any], tuple[Sample, ...]]
    unseen: tuple[Sample, ...]  # builds of other sizes and switches, kept apart to check with

    def base_leaves(self) -> list[tuple[str, Any]]:
        return list(leaves(self.base))


def study(model_type: str, *, several: int = 18, seed: int = 7) -> Study | None:
    base = small(model_type)
    if base is None:
        return None
    for _ in range(3):  # a base that shows every kind of tensor a single change can bring
        base, richer = richest(model_type, base)
        if not richer:
            break
    rng = random.Random(seed)
    first = taken(model_type, base, {})
    assert first is not None
    samples, choices, stuck = singles(model_type, base, first)
    lists = {path: value for path, value in leaves(base) if is_layer_list(base, path, value)}
    regimes = {}
    for path, value in leaves(base):
        for other in flips(path, value, choices):
            flipped = taken(model_type, base, {path: other})
            if flipped is None or flipped.shapes == first.shapes:
                continue
            turned = changed(base, {path: other})
            free = {p: c for p, c in choices.items() if p != path}
            if type(other) is int and other:
                free[path] = [other, other // 2, other + 16]
            if kinds(flipped) - kinds(first):
                free |= singles(model_type, turned, flipped, skip=frozenset(free))[1]
            alone = [taken(model_type, turned, following(turned, {p: c[1]})) for p, c in free.items()]
            more = together(model_type, turned, free, lists, 8, rng)
            regimes[path, tuple(other) if isinstance(other, list) else other] = (
                flipped,
                *(made for made in alone if made),
                *more,
            )
            choices |= {p: c for p, c in free.items() if p not in choices and p != path}
            break
    samples += together(model_type, base, choices, lists, several, rng)
    return Study(
        model_type=model_type,
        base=base,
        moving=tuple(choices),
        stuck=tuple(path for path in stuck if path not in choices),
        samples=tuple(samples),
        regimes=regimes,
        unseen=tuple(unseen(model_type, base, choices, lists, list(regimes), random.Random(seed + 1))),
    )


def unseen(
    model_type: str,
    base: Config,
    choices: Mapping[str, Sequence[Any]],
    lists: Mapping[str, Sequence[Any]],
    switches: Sequence[tuple[str, Any]],
    rng: random.Random,
) -> list[Sample]:
    """Sizes that no formula was fitted on: other multiples, each switch turned one time in four."""
    wider = {
        path: [values[0], *(v + values[0] for v in values if type(v) is int and not STACKS.search(path)), *values[1:2]]
        for path, values in choices.items()
    }
    made: list[Sample] = []
    for _ in range(6):
        turned = changed(base, {p: [*v] if isinstance(v, tuple) else v for p, v in switches if rng.random() < 0.25})
        made += together(model_type, turned, wider, lists, 1, rng)
    return made


def singles(
    model_type: str, base: Config, first: Sample, skip: frozenset[str] = frozenset()
) -> tuple[list[Sample], dict[str, list[Any]], list[str]]:
    """Builds with one number changed, the values of each that changed a shape, and those that no build took."""
    samples, choices = [first], {}
    stuck: list[str] = []
    for path, value in leaves(base):
        if path in skip or not (movable(path, value) or is_kinds(path, value)):
            continue
        worked, same = [], False
        for other in others(value, path):
            made = taken(model_type, base, following(base, {path: other}))
            if made is None:
                continue
            if made.shapes == first.shapes:
                same = True
                break
            worked.append(other)
            samples.append(made)
        if worked:
            choices[path] = [value, *worked]
        elif not same:
            stuck.append(path)
    return samples + paired(model_type, base, stuck, choices), choices, stuck


def paired(model_type: str, base: Config, stuck: Sequence[str], choices: dict[str, list[Any]]) -> list[Sample]:
    """Numbers that a class takes only doubled or halved together with another; both count as free."""
    values, made = dict(leaves(base)), []
    numbers = [p for p, v in values.items() if movable(p, v) and type(v) is int and v > 1]
    for path in stuck:
        if type(values[path]) is not int:
            continue
        section = path.rpartition(".")[0]
        for other in numbers:
            if other == path or other.rpartition(".")[0] != section:
                continue
            for mine, theirs in ((2, 2), (2, 0.5)):
                changes = {path: values[path] * mine, other: int(values[other] * theirs)}
                sample = taken(model_type, base, changes)
                if sample is not None:
                    made.append(sample)
                    for name, value in changes.items():
                        choices.setdefault(name, [values[name]])
                        if value not in choices[name]:
                            choices[name].append(value)
                    break
    return made


def kinds(sample: Sample) -> frozenset[str]:
    return frozenset(re.sub(r"\d+", "#", name) for name in sample.shapes)


def richest(model_type: str, base: Config) -> tuple[Config, bool]:
    """The base changed in the one small number or list that brings names it lacks and takes none away."""
    first = taken(model_type, base, {})
    assert first is not None
    have = kinds(first)
    for path, value in leaves(base):
        name = path.rpartition(".")[2]
        if isinstance(value, list) and re.search(r"layers|idx|indices", name) and not NO_SHAPE.search(name):
            trials: list[Any] = [[1], [1, 3]] if not value else []
        elif (
            isinstance(value, list) and len(value) > 2 and len(set(map(str, value))) == 1 and isinstance(value[0], str)
        ):
            trials = [[value[0], kind, *value[2:]] for kind in KINDS if kind != value[0]]
        elif type(value) is int and 0 <= value < 16 and not STACKS.search(name) and movable(path, value or 1):
            trials = [2]
        else:
            continue
        for other in trials:
            made = taken(model_type, base, {path: other})
            if made is not None and kinds(made) > have:
                return changed(base, {path: other}), True
    return base, False


def small(model_type: str) -> Config | None:
    """The default config, with few layers and few experts, and what it needs to be built at all."""
    base = with_head_dim(default(model_type))
    needed = {
        path: NEEDED[path.rpartition(".")[2]]
        for path, value in leaves(base)
        if value is None and path.rpartition(".")[2] in NEEDED
    }
    plain = default(model_type)
    for start, fill in ((base, {}), (base, needed), (plain, {}), (plain, needed)):
        config = changed(start, fill)
        if build(model_type, config) is None:
            continue
        for limit in (FEW_LAYERS, 8, 12):
            cut = changed(config, {path: v for change in reversed(fewer(config, limit)) for path, v in change.items()})
            if build(model_type, cut) is not None:
                return cut
        for change in fewer(config, 8):  # as far as the class goes along
            cut = changed(config, change)
            config = cut if build(model_type, cut) is not None else config
        return config
    return None


def with_head_dim(config: Config) -> Config:
    """Sections of heads that leave `head_dim` or the key-value heads to the class, with the values it takes."""
    known, made = dict(leaves(config)), {}
    for path, heads in known.items():
        if not path.endswith("num_attention_heads") or type(heads) is not int or not heads:
            continue
        section = path[: -len("num_attention_heads")]
        width = known.get(f"{section}hidden_size")
        if type(width) is int and known.get(f"{section}head_dim") is None:
            made[f"{section}head_dim"] = width // heads
        if f"{section}num_key_value_heads" in known and known[f"{section}num_key_value_heads"] is None:
            made[f"{section}num_key_value_heads"] = heads
    return changed(config, made)


def fewer(config: Config, limit: int) -> list[Config]:
    """Changes to fewer layers and experts, one by one; lists with an entry per layer lose the same layers."""
    made: list[Config] = []
    for path, value in leaves(config):
        if type(value) is int and STACKS.search(path) and value > limit and "mtp" not in path:
            made.append(following(config, {path: limit}))
        elif is_kinds(path, value) and len(value) > limit:
            made.append({path: every_kind(value, limit)})
        elif type(value) is int and EXPERTS.search(path) and value > FEW_EXPERTS:
            made.append({path: FEW_EXPERTS})
        elif type(value) is int and CHOSEN.search(path) and value > 2:
            made.append({path: 2})
    return made


def is_layer_list(config: Config, path: str, value: Any) -> bool:
    return isinstance(value, list) and len(value) > 1 and len(value) in counts_near(config, path).values()


def counts_near(config: Config, path: str) -> dict[str, int]:
    """The numbers of layers in the section of this path."""
    section = path.rpartition(".")[0]
    return {p: v for p, v in leaves(config) if type(v) is int and p.rpartition(".")[0] == section and STACKS.search(p)}


def following(config: Config, changes: dict[str, Any]) -> dict[str, Any]:
    """A change in the number of layers changes the lists that have an entry per layer."""
    made = dict(changes)
    for path, count in changes.items():
        if not STACKS.search(path) or type(count) is not int:
            continue
        section = path.rpartition(".")[0]
        before = dict(leaves(config)).get(path)
        for name, value in leaves(config):
            if name.rpartition(".")[0] == section and isinstance(value, list) and len(value) == before and before > 1:
                made.setdefault(name, every_kind([*value, *(value[-2:] * count)], count))
    return made


def every_kind(value: list[Any], count: int) -> list[Any]:
    """The first entries of a list, the last of them replaced by kinds that would be lost."""
    kept = value[:count]
    lost = [item for n, item in enumerate(value) if item not in kept and item not in value[:n]]
    return kept if len(lost) >= count else [*kept[: count - len(lost)], *lost]


def movable(path: str, value: Any) -> bool:
    if isinstance(value, bool) or NO_SHAPE.search(path.rpartition(".")[2]):
        return False
    if isinstance(value, float):
        return bool(re.search(r"ratio|factor|expand|multiplier", path)) and value > 0
    return type(value) is int and value > 0


def is_kinds(path: str, value: Any) -> bool:
    """A list of the kinds of all layers, where no field counts them."""
    return isinstance(value, list) and len(value) > 2 and isinstance(value[0], str) and "layers" in path


def others(value: Any, path: str) -> list[Any]:
    if isinstance(value, list):
        return [value + value[-2:], value + value[:3]]
    if isinstance(value, float):
        return [value * 2, value / 2, value * 3]
    if STACKS.search(path):
        return [value + 2, value + 4]
    if "head" in path.rpartition(".")[2] and "dim" not in path:
        return [value * 2, value // 2] if value % 2 == 0 else [value * 2, value * 4]
    return [value * 2, value * 3]


def flips(path: str, value: Any, choices: Mapping[str, Any]) -> list[Any]:
    """The other value of a switch; 0 or nothing for a number that may be absent; a number for one that is."""
    name = path.rpartition(".")[2]
    if isinstance(value, bool):
        return [not value]
    if NO_SHAPE.search(name) or name in {"architectures", "model_type", "dtype", "torch_dtype"}:
        return []
    if value == [] and re.search(r"layers|indices", name):
        return [[1]]
    if value is None and re.search(r"dim|size|rank|heads|experts|width|layers|window|latent", name):
        return [96]
    if path in choices and re.search(r"rank|shared|experts|dense|window|latent|mtp|interval|n_group", name):
        return [None] if "rank" in name else [None, 0]
    return []


def taken(model_type: str, base: Config, changes: Mapping[str, Any]) -> Sample | None:
    config = changed(base, changes)
    shapes = build(model_type, config)
    if shapes is None:
        return None
    values = dict(leaves(config))
    values |= {f"{path}.#": len(value) for path, value in values.items() if isinstance(value, list)}
    return Sample(values=values, shapes=shapes)


def together(
    model_type: str,
    base: Config,
    choices: Mapping[str, Sequence[Any]],
    lists: Mapping[str, Sequence[Any]],
    wanted: int,
    rng: random.Random,
) -> list[Sample]:
    """Builds in which about a third of the fields, and the kinds of the layers, differ from the base."""
    made: list[Sample] = []
    for _ in range(2 * wanted):
        if len(made) >= wanted:
            break
        changes = {path: rng.choice(values) for path, values in choices.items() if rng.random() < 0.35}
        changes = following(base, changes)
        if rng.random() < 0.6:
            for path, value in lists.items():
                stated = list(changes.get(path, value))
                known = sorted(set(map(repr, value)))
                if 1 < len(known) < 5:
                    changes[path] = [rng.choice(list(value)) for _ in stated]
        sample = taken(model_type, base, changes)
        if sample is not None:
            made.append(sample)
    return made
