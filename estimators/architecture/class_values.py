"""What a config says under its class, and what the formulas and places of the table of layouts come to on it.

A field is read as it is written, under another name, in the words of files from before transformers named it so, else
as the class has it by default.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

from estimators.architecture.fields import MAX_COUNT, MAX_LAYERS, ConfigError, shown
from estimators.architecture.layouts import ClassLayout

MAX_DIMENSION = 1 << 40
NAMED_SWITCHES = frozenset({"gating"})  # that published configs turn on by a name: Laguna's "per-head"
CONDITION = re.compile(r"(?P<field>[\w.]*)(?P<entry>\[i\])?(?P<test><-|>=-|<|>=|!=|=|@|!@|%)(?P<value>.*)")
EXPERT_NAMES = ("n_routed_experts", "num_experts", "num_local_experts", "moe_num_experts")


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
            if found and (value is not None or (path not in self._of.fills and path not in self._of.lists)):
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
        dense, experts = (at(self._config, f"{section}{dot}{kind}_intermediate_size")[1] for kind in ("dense", "moe"))
        if dense is None or experts is not None or f"{section}{dot}dense_intermediate_size" in self._of.fields():
            return None
        both = f"{section}{dot}moe_intermediate_size" in self._of.fields()
        if both and name == "intermediate_size":
            return dense
        if both and name == "moe_intermediate_size":
            return at(self._config, f"{section}{dot}intermediate_size")[1]
        return None

    def _respelled(self, path: str) -> object:
        """A field that a config says in the words of published files from before transformers named it so: which
        layers are dense and which sparse, the experts under another name. None where it says nothing."""
        section, dot, name = path.rpartition(".")

        def told(other: str) -> object:
            return at(self._config, f"{section}{dot}{other}")[1]

        if name == "mlp_layer_types":
            return self._feed_forwards(path, told)
        if name == "layer_types" and (indexed := told("sparse_attention_config.sparse_attention_freq")) is not None:
            marks = self._per_layer(path, "sparse_attention_freq", indexed)
            return ["minimax_m3_sparse" if mark else "full_attention" for mark in marks]
        if name in EXPERT_NAMES:
            others = [told(other) for other in EXPERT_NAMES if other != name]
            return next((count for count in others if type(count) is int), None)
        return None

    def _feed_forwards(self, path: str, told: Callable[[str], object]) -> list[object] | None:
        """Dense first layers and one sparse in so many, or a mark for each layer."""
        first, every = told("first_k_dense_replace"), told("moe_layer_freq")
        first = told("dense_mlp_idx") if first is None else first
        if every is not None and type(every) is not int:
            marks = self._per_layer(path, "moe_layer_freq", every)
            if not all(mark in (0, 1) for mark in marks):
                raise self.error("moe_layer_freq", f"should mark each layer by 0 or 1 and is {shown(every)}")
            return ["sparse" if mark else "dense" for mark in marks]
        if first is None and every in (None, 1):
            return None
        kinds = self._kinds(path)
        for field, number, most in (
            ("first_k_dense_replace", first, MAX_LAYERS),
            ("moe_layer_freq", every, len(kinds)),
        ):
            if number is not None and (type(number) is not int or not 0 <= number <= most):
                raise self.error(field, f"should be a number of at most {most} layers and is {shown(number)}")
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


def met(needs: Sequence[str], values: Values) -> bool:
    return all(_is_met(need, values) for need in needs)


def _is_met(need: str, values: Values) -> bool:
    field, differs, other = need.partition("!=")
    if differs:
        return values.get(field) != values.get(other)
    return values.flag(need.lstrip("!")) != need.startswith("!")
