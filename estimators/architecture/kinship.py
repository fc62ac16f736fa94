"""A model type nobody has seen: read like the known type whose fields its config shares most, as a range."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from estimators.architecture.class_tensors import count, stored
from estimators.architecture.class_values import at
from estimators.architecture.fields import ConfigError, UnknownArchitecture
from estimators.architecture.layouts import ClassLayout, Stored, layout, lines

ALIKE = 5  # how many of the nearest give the range
LEAST_RANGE = 0.02  # norms and biases that no field speaks of
SHARES = 0.75  # of the fields a layout needs, that a config must state


@dataclass(frozen=True, slots=True, kw_only=True)
class Kin:
    """The nearest known layout, what it makes of the config, and by how much the next ones differ."""

    layout: ClassLayout
    tensors: list[Stored]
    relative_range: float


@cache
def needed() -> Mapping[str, frozenset[str]]:
    """The sizes each known type is made of."""
    made = {}
    for model_type in lines():
        of = layout(model_type)
        if of is None or of.miss:
            continue
        made[model_type] = frozenset(of.fields())
    return made


def unread_experts(ignored: frozenset[str]) -> bool:
    """Whether a layout would leave out what most of a mixture's parameters are in."""
    return any(re.search(r"(num|n)_(routed_|local_)?experts$|moe_num_experts$", path) for path in ignored)


def nearest(config: Mapping[str, object]) -> Kin:
    """Score: fields of the layout that the config states, less three times those it lacks, less those it ignores."""
    own = frozenset(path for path in sizes(config))
    ranked = sorted(
        (
            (3 * len(fields - own) + len(own - fields) - len(fields & own), model_type)
            for model_type, fields in needed().items()
            if len(fields & own) >= SHARES * len(fields) and len(fields & own) > 3 and not unread_experts(own - fields)
        ),
    )
    read: list[tuple[int, ClassLayout, list[Stored]]] = []
    for _, model_type in ranked:
        of = layout(model_type)
        try:
            tensors = stored(of, config) if of is not None else []
        except ConfigError:
            continue
        if of is not None and (total := count(tensors)):
            read.append((total, of, tensors))
        if len(read) == ALIKE:
            break
    if not read:
        raise UnknownArchitecture(
            f"The architecture {str(config.get('model_type'))[:60]!r} is not described here, and its config names "
            "no sizes that any known one has.",
            field="model",
            remedy="Give a parameter count instead, or a model of a known architecture.",
        )
    best, of, tensors = read[0]
    spread = max(abs(total - best) / best for total, _, _ in read)
    return Kin(layout=of, tensors=tensors, relative_range=round(min(max(spread, LEAST_RANGE), 1.0), 4))


def sizes(config: Mapping[str, object], path: str = "", depth: int = 0) -> list[str]:
    """Paths of the whole numbers in a config, its sections included."""
    found = []
    for name, value in config.items():
        where = f"{path}{name}"
        if isinstance(value, Mapping) and depth < 4 and len(value) < 1000:
            found += sizes(value, f"{where}.", depth + 1)
        elif type(value) is int and at(config, name)[0] and not re.search(r"token|_id$|version", str(name)):
            found.append(where)
    return found
