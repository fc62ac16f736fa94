"""The tensors that a class of transformers stores for a config, by its layout."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from estimators.architecture.class_values import Values, at, holds, met, quantity
from estimators.architecture.fields import MAX_LAYERS, shown
from estimators.architecture.layouts import ClassLayout, Entry, Stored, layout, stack_paths

MAX_COPIES = 1 << 16
HEAD = re.compile(r"(^|\.)lm_head\.")
NEVER_NONE = re.compile(r"heads|head_dim|hidden_size|n_head|n_embd|d_model|vocab|lora_rank")


def stored(of: ClassLayout, config: Mapping[str, object]) -> list[Stored]:
    """Every tensor that a class builds for this config."""
    values, made = Values(config, of), []
    may_lack = {need.lstrip("!") for entry in of.entries for need in entry.needs}
    for entry in of.entries:
        if not met(entry.needs, values) or any(
            values.get(field) is None for field in entry.fields(of) if field in may_lack
        ):
            continue
        paths = stack_paths(entry.name)
        said = [of.stacks[path] for path in paths]
        said[-1:] = [of.stacks.get(entry.name, said[-1])] if said else []  # fewer of this tensor than of others
        counts = [values.whole(count, MAX_COPIES if level else MAX_LAYERS) for level, count in enumerate(said)]
        indices = [i for i in range(counts[0]) if holds(entry.place, values, i, counts[0])] if counts else None
        copies = 1
        for count in counts[1:]:
            copies *= count
        if indices == [] or not copies:
            continue
        if copies > MAX_COPIES:
            raise values.error(paths[1], f"repeats {shown(copies)} times")
        for shape, layers in shapes(entry, values, indices):
            made.append(
                Stored(
                    name=entry.name.replace("{0}", "{i}").replace("{1}", "{e}").replace("{2}", "{f}"),
                    shape=shape,
                    layers=layers,
                    copies=copies,
                    buffer=entry.buffer,
                )
            )
    return made


def shapes(
    entry: Entry, values: Values, indices: Sequence[int] | None
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...] | None]]:
    """A tensor's shape and its layers; several where a dimension is of the layer ("heads_per_layer[i]")."""
    told = {dim for dim in entry.dims if "[i]" in dim}
    found: dict[tuple[int, ...], list[int]] = {}
    for index in indices or (0,):
        shape = tuple(quantity(dim.replace("[i]", f"[{index}]"), values) for dim in entry.dims)
        found.setdefault(shape, []).append(index)
        if not told:
            found[shape] = list(indices or ())
            break
    for shape, layers in found.items():
        if 0 not in shape:
            yield shape, None if indices is None else tuple(layers)
        elif NEVER_NONE.search(without := entry.dims[shape.index(0)]):
            raise values.error(without, "comes to 0")


def composed(of: ClassLayout, config: Mapping[str, object]) -> list[Stored]:
    """`stored`, where sections may be of other types than the class has by default: those by their own layouts."""
    if not any(is_stated(config, of, path) for path in of.fields()):
        raise Values(config, of).error("hidden_size", "is missing")
    swapped = {
        section: other
        for section, usual in of.sections().items()
        if (stated := at(config, f"{section}.model_type")[1]) != usual
        and isinstance(stated, str)
        and (other := layout(stated, part=True)) is not None
    }
    if not swapped:
        return stored(of, config)
    kept, made = list(of.entries), []
    for section, other in swapped.items():
        own = [entry for entry in of.entries if entry.of_section(of) == section]
        root = common_root([entry.name for entry in own if "{0}" in entry.name])
        gone = [entry for entry in own if belongs(entry.name, root)]
        kept = [entry for entry in kept if entry not in gone]
        part = at(config, section)[1]
        part = dict(part) if isinstance(part, Mapping) else {}
        if isinstance(tied := Values(config, of).get("tie_word_embeddings"), bool):
            part["tie_word_embeddings"] = tied  # the whole model's word is the one that counts
        tensors = stored(other, part)
        made += [replace(tensor, name=moved(tensor.name, root)) for tensor in tensors]
    return made + stored(replace(of, entries=tuple(kept)), config)


def belongs(name: str, root: str) -> bool:
    """Whether a tensor is part of the stack under `root`, not of what joins it to another."""
    joins = re.search(r"proj(ector|ection)|merger|connector|adapter|tower|visual|audio|image", name[len(root) :])
    return HEAD.search(name) is not None or (name.startswith(f"{root}.") and not joins)


def common_root(names: Sequence[str]) -> str:
    """The path before the layers."""
    return names[0][: names[0].index("{0}")].rstrip(".").rpartition(".")[0] if names else ""


def moved(name: str, root: str) -> str:
    """A tensor of a model under the root that it has inside another; the head stands beside the root's stack."""
    rest = re.sub(r"^(model|transformer|gpt_neox|backbone)\.", "", name)
    if name.startswith("lm_head"):
        return f"{root.removesuffix('.model')}.{name}" if root.endswith(".model") else name
    return f"{root}.{rest}" if root else name


def is_stated(config: Mapping[str, object], of: ClassLayout, path: str) -> bool:
    return any(at(config, name)[1] is not None for name in (path, of.aliases.get(path, path), *of.spelled(path)))


def count(tensors: Sequence[Stored]) -> int:
    """Parameters, without buffers."""
    total = 0
    for tensor in tensors:
        elements = tensor.copies * (1 if tensor.layers is None else len(tensor.layers))
        for size in tensor.shape:
            elements *= size
        total += 0 if tensor.buffer else elements
    return total
