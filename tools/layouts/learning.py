"""A layout from the builds of one type."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from transformers import CONFIG_MAPPING

from estimators.architecture import class_values, layouts
from estimators.architecture.fields import ConfigError
from tools.layouts import fitting
from tools.layouts.building import Config, changed, classes, default, leaves, parts
from tools.layouts.sampling import NO_SHAPE, STACKS, Sample, Study, study

UNFIT = 0.01  # at least what a type may be off by in which some dimension followed no formula
Row = tuple[str, str, str, str, str]


def learned(model_type: str) -> dict[str, Any] | None:
    """The line of the table for a type; None where no config of it builds."""
    made = study(model_type)
    return None if made is None else assembled(made)


def assembled(made: Study) -> dict[str, Any]:
    everything = [*made.samples, *(s for more in made.regimes.values() for s in more)]
    repeating = fitting.stacks(everything)
    words = fitting.Words()
    base = fitted(made, made.samples, repeating, made.moving, words)
    stacks, rows, doubtful = base
    needs: dict[int, list[str]] = {index: [] for index in range(len(rows))}
    entries = list(rows)
    for (path, value), samples in made.regimes.items():
        word = path if value else f"!{path}"
        moving = (*made.moving, path) if type(value) is int and value else made.moving
        more_stacks, more_rows, more_doubtful = fitted(made, samples, repeating, moving, words)
        stacks = more_stacks | stacks
        settled = settle(entries, rows, more_rows, samples, stacks, repeating, needs, word)
        doubtful = doubtful or (settled and more_doubtful)
    return {
        "model_type": made.model_type,
        "class": classes().get(made.model_type) or parts()[made.model_type],
        "miss": UNFIT if doubtful else 0,
        "stuck": list(made.stuck),
        "defaults": kept(default(made.model_type), CONFIG_MAPPING[made.model_type]),
        "fills": fills(made.model_type),
        "aliases": aliases(made.model_type),
        "stacks": stacks,
        "lists": lists(made),
        "entries": [
            [name, dims, "" if where == "all" else where, " ".join(dict.fromkeys([*needs[i]])), kind]
            for i, (name, dims, where, kind) in enumerate(entries)
        ],
    }


def settle(
    entries: list[Any],
    base: Sequence[Any],
    turned: Sequence[Any],
    samples: Sequence[Sample],
    stacks: Mapping[str, str],
    repeating: frozenset[str],
    needs: dict[int, list[str]],
    word: str,
) -> bool:
    """What a flipped switch takes away and brings; whether it brought anything."""
    opposite = word[1:] if word.startswith("!") else f"!{word}"
    seen = [fitting.units(sample, repeating) for sample in samples]
    stays: set[str] = set()
    by_name: dict[str, list[int]] = {}
    for index, row in enumerate(base):
        by_name.setdefault(row[0], []).append(index)
    for name, indices in by_name.items():
        if all(
            agrees(sample, unit.get(name, {}), [base[i] for i in indices], stacks)
            for sample, unit in zip(samples, seen, strict=True)
        ):
            stays.add(name)
        else:
            for index in indices:
                needs[index].append(opposite)
    brought = False
    for row in turned:
        if row[0] not in stays:
            needs[len(entries)] = [word]
            entries.append(row)
            brought = True
    return brought


def agrees(
    sample: Sample, found: Mapping[tuple[int, ...], Any], rows: Sequence[Any], stacks: Mapping[str, str]
) -> bool:
    """Whether the rows of one name give what a build shows under it."""
    expected: dict[int | None, tuple[int, ...]] = {}
    values = fitting.Flat(sample)
    try:
        for name, dims, where, _ in rows:
            shape = tuple(class_values.quantity(dim, values) for dim in dims.split(",")) if dims else ()
            if "{0}" not in name:
                expected[None] = shape
                continue
            count = values.whole(stacks[layouts.stack_paths(name)[0]])
            expected |= {i: shape for i in range(count) if class_values.holds(where, values, i, count)}
    except (KeyError, ConfigError):
        return False
    return expected == {(numbers[0] if numbers else None): shape for numbers, (shape, _) in found.items()}


def fitted(
    made: Study, samples: Sequence[Sample], repeating: frozenset[str], moving: Sequence[str], words: fitting.Words
) -> tuple[dict[str, str], list[Any], bool]:
    """Stacks with their counts, rows (name, dims, place, kind), and whether something followed no formula."""
    seen = [fitting.units(sample, repeating) for sample in samples]
    stacks: dict[str, str] = {}
    counts: dict[str, list[int]] = {}
    words.move(samples, moving)
    doubtful = False
    names = list(dict.fromkeys(name for unit in seen for name in unit))
    for path in dict.fromkeys(path for name in names for path in layouts.stack_paths(name)):
        counts[path] = sizes = [stack_size(unit, path) for unit in seen]
        having = [index for index, size in enumerate(sizes) if size]
        said = words.formula([sizes[i] for i in having], having)
        stacks[path] = said or str(sizes[having[0]])
        doubtful = doubtful or said is None
    for name in names:
        if "{1}" not in name:
            continue
        path = layouts.stack_paths(name)[-1]
        own = [max((numbers[-1] + 1 for numbers in unit.get(name, {})), default=0) for unit in seen]
        if any(mine and mine != all_ for mine, all_ in zip(own, counts[path], strict=True)):
            having = [index for index, size in enumerate(own) if size]
            stacks[name] = words.formula([own[i] for i in having], having) or str(own[having[0]])
    tables: dict[str, dict[str, list[frozenset[int]]]] = {}
    rows: list[Any] = []
    for name in names:
        each = [unit.get(name, {}) for unit in seen]
        made_rows, sure = unit_rows(made, name, each, samples, words, stacks, counts, tables)
        rows += made_rows
        doubtful = doubtful or not sure
    return stacks, rows, doubtful


def stack_size(unit: Mapping[str, Any], path: str) -> int:
    depth = path.count("{}")
    wanted = path.split("{}")
    size = 0
    for name, numbers in unit.items():
        parts_ = re.split(r"\{\d\}", name)
        if len(parts_) > depth + 1 and parts_[: depth + 1] == wanted:
            size = max(size, max(n[depth] for n in numbers) + 1)
    return size


def unit_rows(
    made: Study,
    name: str,
    each: Sequence[Mapping[tuple[int, ...], Any]],
    samples: Sequence[Sample],
    words: fitting.Words,
    stacks: Mapping[str, str],
    counts: Mapping[str, list[int]],
    tables: dict[str, dict[str, list[frozenset[int]]]],
) -> tuple[list[Any], bool]:
    kind = "buffer" if next(iter(next(e for e in each if e).values()))[1] else ""
    if "{0}" not in name:
        having = [i for i, e in enumerate(each) if e]
        dims, sure = dimensions([each[i][()][0] for i in having], having, words)
        return [(name, dims, "all", kind)], sure and len(having) == len(each)
    path = layouts.stack_paths(name)[0]
    if path not in tables:
        field = stacks[path]
        conditions = fitting.places(made, field)
        tables[path] = {
            say: [
                frozenset(i for i in range(n) if test(sample.values, i, n))
                for sample, n in zip(samples, counts[path], strict=True)
            ]
            for say, test in conditions.items()
        }
    whole = [frozenset(range(n)) for n in counts[path]]
    groups = split(each, tables[path], whole)
    rows, sure = [], groups is not None
    for group in groups or [each]:
        having = [i for i, e in enumerate(group) if e]
        presence = [frozenset(numbers[0] for numbers in e) for e in group]
        where = fitting.place(presence, whole, tables[path])
        shapes = [next(iter(group[i].values()))[0] for i in having]
        dims, fits = dimensions(shapes, having, words)
        rows.append((name, dims, where or fallback(presence[0], whole[0]), kind))
        sure = sure and fits and where is not None
    return rows, sure


def fallback(presence: frozenset[int], whole: frozenset[int]) -> str:
    return "all" if not presence or presence == whole else f"i>={min(presence)}"


def split(
    each: Sequence[Mapping[tuple[int, ...], Any]],
    table: Mapping[str, Sequence[frozenset[int]]],
    whole: Sequence[frozenset[int]],
) -> list[Sequence[Mapping[tuple[int, ...], Any]]] | None:
    """The tensors of one name, apart where their shape differs between layers; None when no condition says where."""
    if uniform(each):
        return [list(each)]
    for sets in table.values():
        inside = [{n: s for n, s in e.items() if n[0] in chosen} for e, chosen in zip(each, sets, strict=True)]
        outside = [{n: s for n, s in e.items() if n[0] not in chosen} for e, chosen in zip(each, sets, strict=True)]
        if uniform(inside) and uniform(outside) and any(inside) and any(outside):
            return [inside, outside]
    return None


def uniform(each: Sequence[Mapping[tuple[int, ...], Any]]) -> bool:
    return all(len({shape for shape, _ in e.values()}) <= 1 for e in each)


def dimensions(shapes: Sequence[tuple[int, ...]], having: Sequence[int], words: fitting.Words) -> tuple[str, bool]:
    dims, sure = [], True
    for axis in range(len(shapes[0])):
        said = words.formula([shape[axis] for shape in shapes], having)
        sure = sure and said is not None
        dims.append(said or str(shapes[0][axis]))
    return ",".join(dims), sure


def kept(config: Config, cls: Any = None) -> Config:
    """The defaults that shapes or the cache may depend on; null for what the class works out itself."""
    worked_out = {field.name for field in dataclasses.fields(cls) if field.default is None} if cls else set()
    sections = getattr(cls, "sub_configs", None) or {}
    made: Config = {}
    for name, value in config.items():
        if not isinstance(name, str):
            continue
        if isinstance(value, dict) and name not in {"rope_parameters", "rope_scaling", "id2label", "label2id"}:
            made[name] = kept(value, section_class(value, sections.get(name)))
        elif name == "model_type":
            made[name] = value
        elif isinstance(value, bool | int | float | list) and not NO_SHAPE.search(name):
            made[name] = None if name in worked_out and type(value) is int else value
    return made


def section_class(value: Config, cls: Any) -> Any:
    """The config class of a section; of the type that it names where any may stand there."""
    kind = value.get("model_type")
    return CONFIG_MAPPING[kind] if isinstance(kind, str) and kind in CONFIG_MAPPING else cls


def fills(model_type: str) -> dict[str, str]:
    """What a class makes of whole numbers that a config leaves out, as formulas of the other fields."""
    base, made = default(model_type), {}
    null = {path for path, value in leaves(kept(base, CONFIG_MAPPING[model_type])) if value is None}
    for path in null:
        section = path.rpartition(".")[0]
        near = [p for p, v in leaves(base) if type(v) is int and p.rpartition(".")[0] == section and p not in null]
        samples = []
        for changes in ({}, *({p: dict(leaves(base))[p] * k} for k in (2, 3) for p in near)):
            try:
                config = changed(base, {**changes, path: None})
                values = dict(leaves(CONFIG_MAPPING[model_type].from_dict(config).to_dict()))
            except Exception:  # whatever a class says to a config it cannot take
                continue
            if type(values.get(path)) is int:
                samples.append(Sample(values=values, shapes={}))
        if samples:
            words = fitting.Words()
            words.move(samples, near)
            said = words.formula([sample.values[path] for sample in samples], range(len(samples)))
            if said is not None:
                made[path] = said
    return made


def aliases(model_type: str) -> dict[str, str]:
    """Other names of fields: the class's own map, and that of its sections."""
    cls = CONFIG_MAPPING[model_type]
    made = dict(getattr(cls, "attribute_map", None) or {})
    for section, sub in (getattr(cls, "sub_configs", None) or {}).items():
        for meant, spelled in (getattr(sub, "attribute_map", None) or {}).items():
            made[f"{section}.{meant}"] = f"{section}.{spelled}"
    return made


def lists(made: Study) -> dict[str, list[list[str]]]:
    """How the class fills a list with an entry per layer that a config leaves out."""
    base, found = made.base, {}
    values = dict(leaves(base))
    for path, value in values.items():
        section = path.rpartition(".")[0]
        counts = [
            p for p, v in values.items() if type(v) is int and STACKS.search(p) and p.rpartition(".")[0] == section
        ]
        count = next(
            (p for p in counts if isinstance(value, list) and len(value) == values[p] and len(value) > 1), None
        )
        if count is None:
            continue
        rules = rules_of(made, path, count)
        if rules:
            found[path] = rules
    return found


def rules_of(made: Study, path: str, count: str) -> list[list[str]]:
    samples = []
    section = path.rpartition(".")[0]
    periods = [
        p
        for p, v in leaves(made.base)
        if type(v) is int and p.rpartition(".")[0] == section and p != count and 0 < v < 64 and not NO_SHAPE.search(p)
    ]
    # Another list that kept its length would have the class refuse the number of layers.
    beside = {
        p: None
        for p, v in leaves(made.base)
        if isinstance(v, list) and p.rpartition(".")[0] == section and len(v) == dict(leaves(made.base))[count]
    }
    for size in (6, 13, 24):
        for change in ({}, *({p: 3} for p in periods), *({p: 5} for p in periods)):
            try:
                config = changed(made.base, {**beside, count: size, path: None, **change})
                full = CONFIG_MAPPING[made.model_type].from_dict(config).to_dict()
            except Exception:  # whatever a class says to a config it cannot take
                continue
            got = dict(leaves(full))
            if isinstance(got.get(path), list) and len(got[path]) == size:
                samples.append(Sample(values=got, shapes={}))
    if not samples:
        return []
    kinds = sorted({json.dumps(item) for s in samples for item in s.values[path]})
    sizes = [len(s.values[path]) for s in samples]
    conditions = {say: test for say, test in fitting.places(made, count).items() if path not in say}
    table = {
        say: [frozenset(i for i in range(n) if test(s.values, i, n)) for s, n in zip(samples, sizes, strict=True)]
        for say, test in conditions.items()
    }
    whole = [frozenset(range(n)) for n in sizes]
    rules: list[list[str]] = []
    for kind in kinds:
        presence = [frozenset(i for i, item in enumerate(s.values[path]) if json.dumps(item) == kind) for s in samples]
        where = fitting.place(presence, whole, table)
        if where is not None:
            rules.append([kind, where, count])
    missing = [kind for kind in kinds if kind not in {rule[0] for rule in rules}]
    return [*rules, [missing[0], "all", count]] if len(missing) == 1 else rules if not missing else []
