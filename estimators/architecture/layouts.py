"""What each class of transformers stores, as formulas of its config: the table that `python -m tools.layouts` learns.

One line of data/layouts.jsonl per model type. A tensor has a name with {0} (the layer) and {1} (the expert) in it, a
formula per dimension and the layers that hold it. A formula is a sum of products of fields ("2*n_heads*head_dim"),
"a/b" a whole division, "1/a" the nearest whole number, "a/-16" one rounded up, "a[i]" the entry of the layer. A place
is "all" or conditions on the index i joined by "&", with "~" in front where they must not all hold.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache, lru_cache
from pathlib import Path

from estimators.architecture.fields import MAX_COUNT, MAX_LAYERS, ConfigError, shown

TABLE = Path(__file__).parent / "data" / "layouts.jsonl"
MAX_COPIES = 1 << 16
MAX_DIMENSION = 1 << 40
FIELD = re.compile(r"[a-z_][\w.]*", re.IGNORECASE)
# A config that leaves these out describes no model, unless it is a section of a larger one.
ESSENTIAL = frozenset(
    [
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "vocab_size",
        "intermediate_size",
        "moe_intermediate_size",
        "n_routed_experts",
        "num_experts",
        "num_local_experts",
        "num_experts_per_tok",
        "kv_lora_rank",
        "qk_rope_head_dim",
        "qk_nope_head_dim",
        "v_head_dim",
        "n_embd",
        "n_layer",
        "n_head",
        "d_model",
        "num_layers",
        "num_heads",
        "d_ff",
        "ffn_dim",
    ]
)
NAMED_SWITCHES = frozenset({"gating"})  # that published configs turn on by a name: Laguna's "per-head"
HEAD = re.compile(r"(^|\.)lm_head\.")
NEVER_NONE = re.compile(r"heads|head_dim|hidden_size|n_head|n_embd|d_model|vocab|lora_rank")
CONDITION = re.compile(r"(?P<field>[\w.]*)(?P<entry>\[i\])?(?P<test><-|>=-|<|>=|!=|=|@|!@|%)(?P<value>.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One tensor of a layout. `needs` are fields that must be set, with "!" those that must not; "a!=b" two that must
    differ."""

    name: str
    dims: tuple[str, ...]
    place: str = "all"
    needs: tuple[str, ...] = ()
    buffer: bool = False

    def fields(self, of: ClassLayout) -> list[str]:
        """Paths its sizes are made of, those of the stacks it stands in included."""
        stacks = [of.stacks[path] for path in stack_paths(self.name)]
        return [name for said in (*self.dims, *stacks) for name in FIELD.findall(said)]

    def of_section(self, of: ClassLayout) -> str | None:
        sections = {path.partition(".")[0] for path in self.fields(of) if "." in path}
        return sections.pop() if len(sections) == 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassLayout:
    model_type: str
    name: str  # the class
    defaults: Mapping[str, object]
    aliases: Mapping[str, str]  # other names of fields
    stacks: Mapping[str, str]  # path before a repeating number -> how many
    fills: Mapping[str, str]  # a number that a config may leave out -> what the class makes of the others
    lists: Mapping[str, Sequence[Sequence[str]]]  # a list per layer that a config may leave out -> (kind, place)
    entries: tuple[Entry, ...]
    stuck: tuple[str, ...]  # numbers that no build could change: how the tensors follow them is not known
    miss: float  # largest relative error of its parameters at sizes it was not fitted on; 0 where all are exact

    def fields(self) -> list[str]:
        """Paths that any size is made of."""
        return [name for entry in self.entries for name in entry.fields(self)]

    def sections(self) -> dict[str, str]:
        """Sections of the config and the model type each has by default."""
        made = {}
        for name, value in self.defaults.items():
            if isinstance(value, Mapping) and isinstance(value.get("model_type"), str):
                made[name] = str(value["model_type"])
        return made

    def spelled(self, path: str) -> list[str]:
        return [alias for alias, meant in self.aliases.items() if meant == path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A tensor as stored, or those of one name in several layers."""

    name: str  # with {i} for the layer and {e} for what repeats inside it
    shape: tuple[int, ...]
    layers: tuple[int, ...] | None  # None outside of layers
    copies: int = 1
    buffer: bool = False
    dtype: str | None = None


@cache
def lines() -> Mapping[str, str]:
    """Model type to its undecoded line."""
    if not TABLE.exists():
        return {}
    text = TABLE.read_text(encoding="utf-8")
    return {line.split('"', 4)[3]: line for line in text.splitlines()}


def known(model_type: str) -> bool:
    return model_type in lines()


@lru_cache(maxsize=64)
def layout(model_type: str, *, part: bool = False) -> ClassLayout | None:
    """The layout of a type; as a `part` of a larger model, whose sections leave out what equals the default."""
    line = lines().get(model_type)
    return None if line is None else decoded(json.loads(line), part=part)


def decoded(data: Mapping[str, object], *, part: bool = False) -> ClassLayout:
    entries: list[Sequence[str]] = data["entries"]  # type: ignore[assignment]
    defaults: dict[str, object] = data["defaults"]  # type: ignore[assignment]
    whole = not any(isinstance(value, dict) and "hidden_size" in value for value in defaults.values())
    if whole and not part:
        defaults = {name: value for name, value in defaults.items() if name not in ESSENTIAL}
    return ClassLayout(
        model_type=str(data["model_type"]),
        name=str(data["class"]),
        defaults=defaults,
        aliases=data.get("aliases", {}),  # type: ignore[arg-type]
        stacks=data["stacks"],  # type: ignore[arg-type]
        fills=data.get("fills", {}),  # type: ignore[arg-type]
        lists=data.get("lists", {}),  # type: ignore[arg-type]
        entries=tuple(
            Entry(
                name=name,
                dims=tuple(dims.split(",")) if dims else (),
                place=where or "all",
                needs=tuple(needs.split()),
                buffer=kind == "buffer",
            )
            for name, dims, where, needs, kind in entries
        ),
        stuck=tuple(data.get("stuck", ())),  # type: ignore[arg-type]
        miss=float(data["miss"]),  # type: ignore[arg-type]
    )


class Values:
    """Fields by their path ("text_config.hidden_size"): as written, under another name, or the class's default."""

    def __init__(self, config: Mapping[str, object], of: ClassLayout) -> None:
        self._config, self._of = config, of
        self._known: dict[str, object] = {}

    def get(self, path: str) -> object:
        if path not in self._known:
            self._known[path] = None  # a list that asks for itself
            value = self._read(path)
            self._known[path] = self._usual(path) if value is None else value
        return self._known[path]

    def _usual(self, path: str) -> object:
        """What every class makes of a null: heads of D / N, and as many for keys and values as for queries."""
        section, dot, name = path.rpartition(".")
        if name == "num_key_value_heads":
            return self.get(f"{section}{dot}num_attention_heads")
        if name == "head_dim":
            width, count = self.get(f"{section}{dot}hidden_size"), self.get(f"{section}{dot}num_attention_heads")
            if type(width) is int and type(count) is int and count > 0:
                return width // count
        return None

    def _read(self, path: str) -> object:
        if path.endswith(".#"):
            listed = self.get(path[:-2])
            return len(listed) if isinstance(listed, list | tuple) else None
        if path.endswith("]"):
            return self._entry(*path[:-1].split("["))
        if (width := self._exchanged(path)) is not None:
            return width
        for spelled in (path, *(alias for alias, meant in self._of.aliases.items() if meant == path)):
            found, value = at(self._config, spelled)
            if found and (value is not None or path not in self._of.fills):
                return value
        older = self._respelled(path)
        if older is not None:
            return older
        if path in self._of.fills:
            return self._filled(path, self._of.fills[path])
        rules = self._of.lists.get(path)
        if rules is not None:
            return self._list(path, rules)
        return self.usual(path)

    def _exchanged(self, path: str) -> object:
        """The widths of Inkling's files, which call its experts' `intermediate_size` and the other one dense."""
        section, dot, name = path.rpartition(".")
        dense = at(self._config, f"{section}{dot}dense_intermediate_size")[1]
        if dense is None or f"{section}{dot}dense_intermediate_size" in self._of.fields():
            return None
        both = f"{section}{dot}moe_intermediate_size" in self._of.fields()
        if both and name == "intermediate_size":
            return dense
        if both and name == "moe_intermediate_size":
            return at(self._config, f"{section}{dot}intermediate_size")[1]
        return None

    def _respelled(self, path: str) -> object:
        """A field that a config says in the words of published files from before transformers named it so: which
        layers are dense and which sparse, the sizes of an index, the experts under another name. None where it says
        nothing."""
        section, dot, name = path.rpartition(".")

        def told(other: str) -> object:
            return at(self._config, f"{section}{dot}{other}")[1]

        if name == "mlp_layer_types":
            return self._feed_forwards(path, told)
        if name == "layer_types" and (indexed := told("sparse_attention_config.sparse_attention_freq")) is not None:
            marks = self._per_layer(path, "sparse_attention_freq", indexed)
            return ["minimax_m3_sparse" if mark else "full_attention" for mark in marks]
        if name in INDEX_NAMES:
            return told(f"sparse_attention_config.{INDEX_NAMES[name]}")
        if name in EXPERT_NAMES:
            others = [told(other) for other in EXPERT_NAMES if other != name]
            return next((count for count in others if type(count) is int), None)
        return None

    def _feed_forwards(self, path: str, told: Callable[[str], object]) -> list[object] | None:
        """Dense first layers and one sparse in so many, or a mark for each layer."""
        first, every = told("first_k_dense_replace"), told("moe_layer_freq")
        first = told("dense_mlp_idx") if first is None else first
        if every is not None and type(every) is not int:
            return ["sparse" if mark else "dense" for mark in self._per_layer(path, "moe_layer_freq", every)]
        if first is None and every in (None, 1):
            return None
        kinds = self._kinds(path)
        for field, number in (("first_k_dense_replace", first), ("moe_layer_freq", every)):
            if number is not None and (type(number) is not int or not 0 <= number <= len(kinds)):
                raise self.error(field, f"should be a number of at most {len(kinds)} layers and is {shown(number)}")
        if type(first) is int:
            kinds = ["dense" if i < first else "sparse" for i in range(len(kinds))]
        period = every if type(every) is int and every > 0 else 1
        return [kind if i % period == 0 else "dense" for i, kind in enumerate(kinds)]

    def _per_layer(self, path: str, field: str, marks: object) -> list[object] | tuple[object, ...]:
        """Marks of which there is one for each layer, and perhaps for prediction layers behind them."""
        count = len(self._kinds(path))
        if not isinstance(marks, list | tuple) or len(marks) < count:
            raise self.error(field, f"should have {count} entries, one per layer, and is {shown(marks)}")
        return marks[:count]

    def _kinds(self, path: str) -> list[object]:
        """What the class makes of each layer by itself."""
        rules = self._of.lists.get(path)
        if rules is not None:
            return self._list(path, rules)
        usual = self.usual(path)
        return list(usual) if isinstance(usual, list) else []

    def _entry(self, path: str, index: str) -> object:
        """Of a list with a number per layer; where there is none, what it would be per layer: "heads_per_layer[3]" of
        a config that has "heads" alone."""
        listed = self.get(path)
        if listed is None:
            return self.get(path.removesuffix("_per_layer"))
        return listed[int(index)] if isinstance(listed, list | tuple) and int(index) < len(listed) else None

    def usual(self, path: str) -> object:
        """What the class has where a config says nothing."""
        return at(self._of.defaults, path)[1]

    def flag(self, path: str) -> bool:
        """Whether a switch is on, or a size that may be absent is there."""
        value = self.get(path)
        named = path in NAMED_SWITCHES and isinstance(value, str)
        if isinstance(self.usual(path), bool) and value is not None and not isinstance(value, bool) and not named:
            raise self.error(path, f"should be true or false and is {shown(value)}")
        return bool(value)

    def _filled(self, path: str, formula: str) -> int:
        """What the class works out; a share that does not divide describes no model."""
        whole, _, parts = formula.partition("/")
        if parts and "*" not in formula:
            total, count = value_of(whole, self), value_of(parts, self)
            if not count or total % count:
                raise self.error(parts, f"({count}) should divide {whole} ({total})")
        return quantity(formula, self)

    def _list(self, path: str, rules: Sequence[Sequence[str]]) -> list[object]:
        """An entry per layer: the first kind whose place holds."""
        count, made = rules[0][2], []
        for index in range(size := self.whole(count)):
            kind = next((kind for kind, where, _ in rules if holds(where, self, index, size)), rules[-1][0])
            made.append(json.loads(kind))
        return made

    def whole(self, formula: str, most: int = MAX_LAYERS) -> int:
        count = quantity(formula, self)
        if not 0 <= count <= most:
            raise self.error(formula, f"comes to {shown(count)}, outside 0 to {most}")
        return count

    def error(self, field: str, problem: str) -> ConfigError:
        return ConfigError(
            f"The model's config cannot be used: {field} {problem}.",
            field=field,
            remedy="Use the config.json of a published model.",
        )


# What MiniMax-M3's files call the sizes of its index.
INDEX_NAMES = {
    "index_n_heads": "sparse_num_index_heads",
    "index_head_dim": "sparse_index_dim",
    "index_block_size": "sparse_block_size",
    "index_topk_blocks": "sparse_topk_blocks",
    "index_local_blocks": "sparse_local_block",
}
EXPERT_NAMES = ("n_routed_experts", "num_experts", "num_local_experts", "moe_num_experts")


def at(config: object, path: str) -> tuple[bool, object]:
    """Whether a config says anything at a path, and what. A null says so too."""
    for name in path.split("."):
        if isinstance(config, Mapping) and name in config:
            config = config[name]
        elif isinstance(config, list | tuple) and name.isdigit() and int(name) < len(config):
            config = config[int(name)]
        elif isinstance(config, int) and not isinstance(config, bool) and name.isdigit():
            pass  # one number where a list of equal ones is usual
        else:
            return False, None
    return True, config


def quantity(formula: str, values: Values) -> int:
    """The value of a formula, a whole number of at least 0."""
    total = Fraction(0)
    for term in formula.split("+"):
        product = Fraction(1)
        for factor in term.split("*"):
            product *= atom(factor, values)
        total += product
    made = int(total)
    if not 0 <= made <= MAX_DIMENSION:
        raise values.error(formula, f"comes to {shown(made)}, which no tensor has")
    return made


def atom(factor: str, values: Values) -> Fraction:
    """A number, a field, or one field over another."""
    if factor.startswith("1/") and not factor[2].isdigit():
        share = value_of(factor[2:], values)
        if not share:
            raise values.error(factor[2:], "is 0")
        return Fraction(round(1 / share))
    if factor.lstrip("-")[:1].isdigit():
        return Fraction(factor)
    above, _, below = factor.partition("/")
    number = value_of(above, values)
    if not below:
        return number
    if below == "-16":
        return Fraction(-(-number // 16))
    divisor = value_of(below, values)
    if not divisor:
        raise values.error(below, "is 0")
    return Fraction(number // divisor)


def value_of(field: str, values: Values) -> Fraction:
    value = values.get(field)
    whole = isinstance(value, int) or isinstance(values.usual(field), float)
    if isinstance(value, bool) or not isinstance(value, int | float) or not whole or not abs(value) <= MAX_COUNT:
        raise values.error(field, "is missing" if value is None else f"should be a number and is {shown(value)}")
    return Fraction(value)


def holds(place: str, values: Values, index: int, count: int) -> bool:
    if place.startswith("~"):
        return not holds(place[1:], values, index, count)
    return place == "all" or all(_holds(part, values, index, count) for part in place.split("&"))


def _holds(condition: str, values: Values, index: int, count: int) -> bool:
    match = CONDITION.fullmatch(condition)
    if match is None:
        raise ValueError(condition)
    field, test, value = match["field"], match["test"], match["value"]
    if match["entry"]:
        return _kind_is(values.get(field), index, value, wanted=test == "=")
    if test in ("@", "!@"):
        listed = values.get(value)
        inside = index in listed if isinstance(listed, list | tuple) else False
        return inside == (test == "@")
    if test == "%":
        period_field, unequal, rest = re.split(r"(!?=)", value, maxsplit=1)
        period = number(period_field, values)
        meets = period > 0 and (index - number(rest, values)) % period == 0
        return meets == (unequal == "=")
    border = number(value, values)
    border = count - border if test.endswith("-") else border
    return index < border if test.startswith("<") else index >= border


def _kind_is(listed: object, index: int, kind: str, *, wanted: bool) -> bool:
    """A list or text shorter than the stack says nothing of the layers beyond it."""
    if not isinstance(listed, list | tuple | str) or index >= len(listed):
        return False
    return (str(listed[index]) == kind) == wanted


def number(text: str, values: Values) -> int:
    return int(text) if text.lstrip("-").isdigit() else int(value_of(text, values) if values.get(text) else 0)


def stack_paths(name: str) -> list[str]:
    """The paths before each repeating number of a name."""
    return [re.sub(r"\{\d\}", "{}", name[: match.start()]) for match in re.finditer(r"\{\d\}", name)]


def met(needs: Sequence[str], values: Values) -> bool:
    return all(_is_met(need, values) for need in needs)


def _is_met(need: str, values: Values) -> bool:
    field, differs, other = need.partition("!=")
    if differs:
        return values.get(field) != values.get(other)
    return values.flag(need.lstrip("!")) != need.startswith("!")


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
