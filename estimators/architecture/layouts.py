"""What each class of transformers stores, as formulas of its config: the table that `python -m tools.layouts` learns.

One line of data/layouts.jsonl per model type. A tensor has a name with {0} (the layer) and {1} (the expert) in it, a
formula per dimension and the layers that hold it. A formula is a sum of products of fields ("2*n_heads*head_dim"),
"a/b" a whole division, "1/a" the nearest whole number, "a/-16" one rounded up, "a[i]" the entry of the layer. A place
is "all" or conditions on the index i joined by "&", with "~" in front where they must not all hold.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

TABLE = Path(__file__).parent / "data" / "layouts.jsonl"
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


def stack_paths(name: str) -> list[str]:
    """The paths before each repeating number of a name."""
    return [re.sub(r"\{\d\}", "{}", name[: match.start()]) for match in re.finditer(r"\{\d\}", name)]
