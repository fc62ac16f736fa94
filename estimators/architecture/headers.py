"""The tensors that safetensors headers name, gathered into layers: what `conventions` reads."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

from estimators.architecture.layouts import Stored

NUMBER = re.compile(r"(?<![^.])\d+(?=\.|$)")
WIDE = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}
NARROW = ("F8_E4M3", "F8_E5M2")  # one element a parameter; scales beside it
SCALE = re.compile(r"(scale|scale_inv|scales|input_scale|zero_point|zeros|g_idx|absmax|quant_map|nested_\w+)$")
FEW = 2  # numbered children of a path that still count as parts of their own

Header = tuple[str, str, tuple[int, ...]]  # name, dtype, shape


def shaped(tensors: Iterable[Header]) -> bool:
    """Whether every weight is stored with an element per parameter, so that shapes are the model's own."""
    return all(dtype in WIDE or dtype in NARROW or SCALE.search(name) or dtype == "I64" for name, dtype, _ in tensors)


def gathered(tensors: Iterable[Header], dtype: str) -> list[Stored]:
    """One `Stored` for tensors of one name, shape and type in several layers; scales are left to the formats."""
    held = [(name, kind, shape) for name, kind, shape in tensors if not SCALE.search(name) and kind != "I64"]
    repeating = repeats(name for name, _, _ in held)
    found: dict[tuple[str, tuple[int, ...], str], dict[int | None, int]] = defaultdict(lambda: defaultdict(int))
    for name, kind, shape in held:
        pattern, numbers = numbered(name, repeating)
        found[pattern, shape, kind][numbers[0] if numbers else None] += 1
    made = []
    for (pattern, shape, kind), layers in found.items():
        for copies, indices in by_copies(layers).items():
            own = WIDE.get(kind)
            made.append(
                Stored(
                    name=pattern,
                    shape=shape,
                    layers=indices,
                    copies=copies,
                    buffer=pattern.endswith(("e_score_correction_bias", "inv_freq")),
                    dtype=own if own is not None and own != dtype else None,
                )
            )
    return made


def by_copies(layers: Mapping[int | None, int]) -> dict[int, tuple[int, ...] | None]:
    """Number of copies inside a layer -> the layers that have so many."""
    made: dict[int, list[int]] = defaultdict(list)
    for index, copies in layers.items():
        if index is None:
            return {copies: None}
        made[copies].append(index)
    return {copies: tuple(sorted(indices)) for copies, indices in made.items()}


def repeats(names: Iterable[str]) -> frozenset[str]:
    """Paths with more than a few numbered children: stacks of layers, lists of experts."""
    children: dict[str, set[str]] = defaultdict(set)
    for name in names:
        for match in NUMBER.finditer(name):
            children[NUMBER.sub("{}", name[: match.start()])].add(match.group())
    return frozenset(path for path, found in children.items() if len(found) > FEW)


def numbered(name: str, repeating: frozenset[str]) -> tuple[str, list[int]]:
    """The name with {i} for the layer and {e} for what repeats inside it, and the numbers."""
    numbers: list[int] = []

    def mark(match: re.Match[str]) -> str:
        if NUMBER.sub("{}", name[: match.start()]) not in repeating:
            return match.group()
        numbers.append(int(match.group()))
        return ("{i}", "{e}", "{f}")[min(len(numbers), 3) - 1]

    return NUMBER.sub(mark, name), numbers
