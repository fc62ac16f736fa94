"""One reader for every architecture nobody described by hand: named tensors and a config in, layers out.

The tensors come from a repository's safetensors headers, else from the layout of the class that the config names,
else from the known layout whose fields the config shares most. What a tensor is for follows from its name, heads,
cache and state from its shape, windows and the experts a token takes from the config.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from estimators.architecture import mixing
from estimators.architecture.blocks import Body
from estimators.architecture.class_tensors import composed, moved, stored
from estimators.architecture.class_values import Values
from estimators.architecture.fields import MAX_TOKENS, Fields
from estimators.architecture.kinship import nearest
from estimators.architecture.layouts import ClassLayout, Stored, layout
from estimators.architecture.roles import BESIDE, CROSS, HEAD, NORM, TOKENS, module, role_of, tensor
from estimators.architecture.spec import Attention, AttentionKind, LayerGroup, Reading, Role, Tensor

TEXT = ("text_config", "language_config", "llm_config", "thinker_config.text_config", "text_model_config", "decoder")
TYPES = ("layer_types", "layers_block_type", "block_types", "attn_layer_types", "attention_types")
CONTEXT = (
    "max_position_embeddings",
    "model_max_length",
    "max_sequence_length",
    "n_positions",
    "seq_length",
    "max_seq_len",
)
CONTEXTS = (*CONTEXT, "max_target_positions", "n_ctx")
# Parameters that only a recurrence has; it owns the module they stand in.
RECURRING = re.compile(r"(.*?)\.(A_log|dt_bias|(\w+_)?conv1d|conv|rg_lru\.\w+|time_decay|conv_1d)(\.bias)?")
SLIDING = "sliding_attention"
KNOWN = re.compile(
    r"full|global|slid|local|chunk|linear|mamba|attention|conv|recurrent|moe|mlp|sparse|dense|hybrid|swa|csa|hca|dsa"
)
LINEAR = re.compile(r"linear|mamba|recurrent|lightning|kda|gdn")
MAX_PASSES = 64  # through the same layers
STATE_DTYPES = ("mamba_ssm_cache_dtype", "mamba_ssm_dtype", "dtype", "torch_dtype")


class Section(Fields):
    """The fields of the language model in a config: its own section over the top, over the defaults of the class."""

    __slots__ = ("_values", "_where")

    def __init__(self, config: Mapping[str, object], values: Values | None) -> None:
        super().__init__(config)
        self._values = values
        self._where = next((path for path in TEXT if _section(config, values, path)), "")

    def get(self, name: str) -> object:
        paths = (f"{self._where}.{name}", name) if self._where else (name,)
        for path in paths:
            value = self._values.get(path) if self._values is not None else _plain(self._data, path)
            if value is not None:
                return value
        return None

    def states(self, name: str) -> bool:
        """Whether the config itself says so, rather than its class."""
        paths = (f"{self._where}.{name}", name) if self._where else (name,)
        return any(_plain(self._data, path) is not None for path in paths)

    def has(self, name: str) -> bool:
        return self.get(name) is not None


def _plain(config: object, path: str) -> object:
    for name in path.split("."):
        config = config.get(name) if isinstance(config, Mapping) else None
    return config


def _section(config: Mapping[str, object], values: Values | None, path: str) -> bool:
    if isinstance(_plain(config, path), Mapping):
        return True
    return values is not None and isinstance(values.get(path), Mapping) and "hidden_size" not in config


def body_of(config: Mapping[str, object], model_type: str) -> Body:
    """A model of a type no family describes: by the layout of its class, else like its nearest kin, as a range."""
    of = layout(model_type)
    if of is not None:
        body = read(composed(of, config), config, of)
        fixed = unmoved(of, config)
        if fixed:
            return unsettled(body, fixed)
        if not of.miss:
            return body
        said = (
            f"Some sizes of {model_type} follow no rule known here: its parameters, memory and cache may be off by "
            f"{of.miss:.1%}, the most its class was found to differ at other sizes."
        )
        return replace(body, reading=Reading.CONVENTION, relative_range=min(of.miss, 1.0), notes=(*body.notes, said))
    kin = nearest(config)
    body = read(kin.tensors, config, kin.layout)
    said = (
        f"{model_type[:60]!r} is not described here: read by convention, like {kin.layout.model_type}. "
        f"Parameters, memory and cache may be off by {kin.relative_range:.0%} or more."
    )
    return replace(body, reading=Reading.CONVENTION, relative_range=kin.relative_range, notes=(*body.notes, said))


def unmoved(of: ClassLayout, config: Mapping[str, object]) -> str:
    """A size that differs from the class's default though no build ever changed it: what follows it is not known.

    The width of the decoder is the one that classes with several encoders hold to.
    """
    values, used = Values(config, of), set(of.fields())
    widths = [path for path in ("hidden_size", *(f"{section}.hidden_size" for section in TEXT)) if values.usual(path)]
    for path in (*of.stuck, *(path for path in widths if path not in used)):
        stated, usual = values.get(path), values.usual(path)
        if type(stated) is int and stated != usual and path not in used:
            return path
    return outgrown(of, values)


def outgrown(of: ClassLayout, values: Values) -> str:
    """A list per layer that a config leaves out, its class's default being of another number of layers."""
    listed: set[str] = {name for entry in of.entries for name in re.findall(r"([\w.]+)\[i\]", entry.place)}
    for path in sorted(listed - set(of.lists)):
        usual, section = values.usual(path), path.rpartition(".")[0]
        count = values.get(f"{section}.num_hidden_layers" if section else "num_hidden_layers")
        if isinstance(usual, list) and values.get(path) == usual and type(count) is int and count != len(usual):
            return path
    return ""


def unsettled(body: Body, field: str) -> Body:
    said = f"How the sizes follow {field} is not known here: those of the class's default stand, and may be far off."
    return replace(body, reading=Reading.CONVENTION, relative_range=1.0, notes=(*body.notes, said))


def part_of(c: Fields, model_type: str, root: str) -> Body:
    """The decoder inside a larger model: the section of a config, by the layout of its own type, under `root`."""
    of = layout(model_type, part=True)
    if of is None or of.miss:
        raise c.error("model_type", f"{model_type[:60]!r} is not described here inside another model")
    if not c.has("hidden_size"):
        raise c.error("hidden_size", "is missing")
    section = c.filled()
    return read([replace(t, name=moved(t.name, root)) for t in stored(of, section)], section, of)


def read(tensors: Sequence[Stored], config: Mapping[str, object], of: ClassLayout | None = None) -> Body:
    """Layers, cache and state of a model from what it stores."""
    c = Section(config, None if of is None else Values(config, of))
    embedding = token_table(tensors, c)
    stack = main_stack(tensors, embedding)
    root = stack[: stack.index("{i}")].rpartition(".")[0].rpartition(".")[0] if stack else ""
    inside = [t for t in tensors if stack and t.name.startswith(stack) and t.layers is not None]
    mine = {id(t) for t in inside}
    groups = grouped(inside, stack.removesuffix("."), c)
    if not groups:
        raise c.error("num_hidden_layers", "describes no layers")
    unseen = not any(group.attention or group.state for group in groups)
    if unseen:
        groups = tuple(replace(group, attention=mixing.stated(c, group.layers[0])) for group in groups)
    outside = tuple(made for t in tensors if id(t) not in mine for made in repeated(t, outer_role(t, root, embedding)))
    tied = not any(t.role is Role.LM_HEAD and len(t.shape) == 2 for t in outside)
    return Body(
        hidden_size=embedding.shape[1] if embedding is not None else c.count("hidden_size"),
        vocab_size=embedding.shape[0] if embedding is not None else c.count("vocab_size"),
        tied=tied,
        groups=groups,
        tensors=outside,
        max_positions=mixing.first_of(c, CONTEXTS, high=MAX_TOKENS),
        reading=Reading.CONVENTION if unseen else Reading.DESCRIBED,
        relative_range=0.1 if unseen else 0.0,
        notes=(
            ("Its tensors do not show what its attention caches: taken from the heads that its config states.",)
            if unseen
            else ()
        ),
    )


def token_table(tensors: Sequence[Stored], c: Fields) -> Stored | None:
    """The embedding of the tokens the model writes: named so, outside of encoders, the largest of several."""
    found = [t for t in tensors if TOKENS.search(module(t.name)) and len(t.shape) == 2 and t.layers is None]
    best = [t for t in found if not BESIDE.search(t.name)] or found
    return max(best, key=lambda t: t.shape[0] * t.shape[1], default=None)


def main_stack(tensors: Sequence[Stored], embedding: Stored | None) -> str:
    """The path of the decoder's layers, up to and with "{i}.": the stack nearest to the embedding."""
    sizes: dict[str, int] = defaultdict(int)
    for t in tensors:
        if t.layers is not None:
            path = t.name[: t.name.index("{i}") + 4]
            sizes[path] += len(t.layers) * t.copies * _elements(t.shape)
    near = embedding.name.split(".") if embedding is not None else []

    def rank(path: str) -> tuple[bool, int, bool, int]:
        shared = sum(1 for a, b in zip(path.split("."), near, strict=False) if a == b)
        return "expert" not in path, shared, not BESIDE.search(path), sizes[path]

    return max(sizes, key=rank, default="")


def _elements(shape: Sequence[int]) -> int:
    made = 1
    for size in shape:
        made *= size
    return made


def outer_role(t: Stored, root: str, embedding: Stored | None) -> Role:
    """Outside of the layers: the tables, the head, the norms of the decoder; all else is an encoder beside it."""
    path = module(t.name)
    if embedding is not None and t.name == embedding.name:
        return Role.EMBEDDING
    if BESIDE.search(path) or t.layers is not None:
        return Role.TOWER
    if HEAD.search(path):
        return Role.LM_HEAD
    if NORM.search(path) and len(t.shape) == 1:
        return Role.NORM
    if re.search(r"embed|wpe|wte|position", path):
        return Role.EMBEDDING
    if path.rpartition(".")[0].startswith(root) or not root or "." not in path:
        return Role.FFN
    return Role.TOWER


def repeated(t: Stored, role: Role) -> tuple[Tensor, ...]:
    """A tensor outside of the decoder's layers; those of an encoder's layers are copies."""
    copies = t.copies * (1 if t.layers is None else len(t.layers))
    name = t.name.replace("{e}", "{f}").replace("{i}", "{e}")
    return (tensor(replace(t, copies=copies), name, role),)


def grouped(inside: Sequence[Stored], stack: str, c: Section) -> tuple[LayerGroup, ...]:
    """Layers with the same tensors, the same kind and the same window stand together."""
    held: dict[int, list[Stored]] = defaultdict(list)
    for t in inside:
        for index in t.layers or ():
            held[index].append(t)
    stated = mixing.first_of(c, ("num_hidden_layers", "n_layer", "n_layers", "num_layers"), high=1 << 16)
    if stated and paired(c):
        stated //= 2
    kinds, reusing = layer_kinds(c, len(held)), reuses(c, len(held))
    looped = loop(c, len(held))
    alike: dict[object, list[int]] = defaultdict(list)
    for index in sorted(held):
        key = (tuple(id(t) for t in held[index]), kinds[index] if index < len(kinds) else "", index in reusing)
        beyond = stated is not None and index >= stated and len(held) > stated
        alike[(*key, index in looped.layers), beyond].append(index)
    groups = []
    for (key, beyond), indices in alike.items():  # type: ignore[misc]
        group = one_layer(held[indices[0]], stack, c, kind=key[1], index=indices[0], reuses_cache=key[2])
        groups.append(replace(group, layers=tuple(indices), stack="mtp" if beyond else "decoder"))
    passing = [group for group in groups if group.stack == "decoder" and group.layers[0] in looped.layers]
    first = len(held)
    for _ in range(looped.passes - 1):
        for group in passing:
            groups.append(again(group, first, group.count, caches=looped.caches))
            first += group.count
    if looped.passes == 1 and stated is not None and held and stated >= 2 * len(held) and stated % len(held) == 0:
        groups.append(again(groups[-1], len(held), stated - len(held)))
    return tuple(groups)


def again(group: LayerGroup, first: int, count: int, *, caches: bool = True) -> LayerGroup:
    """Another pass through the same weights (HRM), which keeps a cache of its own and stores nothing."""
    attention = group.attention
    if attention is not None and not caches:
        attention = replace(attention, reuses_earlier_cache=True)
    layers = tuple(range(first, first + count))
    return replace(group, layers=layers, tensors=(), again=(*group.tensors, *group.again), attention=attention)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """Layers that a token runs through several times; each pass after the first may keep a cache of its own."""

    layers: range = range(0)
    passes: int = 1
    caches: bool = True


def loop(c: Section, count: int) -> Loop:
    """As looped models say it: Dory by what stands around them, Inkling 2 by first and last, Ouro of all layers."""
    if c.has("n_recurrent_loops"):
        one = 2 if paired(c) else 1
        first, last = (c.count(name, low=0) // one for name in ("n_input_layers", "n_output_layers"))
        field, passes, layers = "n_input_layers", "n_recurrent_loops", range(first, count - last)
    elif c.has("loop_num_passes"):
        field, passes = "loop_layer_index_end", "loop_num_passes"
        layers = range(c.count("loop_layer_index_start", low=0), c.count(field))
    elif c.has("total_ut_steps"):
        field, passes, layers = "num_hidden_layers", "total_ut_steps", range(count)
    else:
        return Loop()
    if not layers or layers.stop > count:
        raise c.error(field, f"loops the layers from {layers.start} to {layers.stop}, which do not all exist")
    caches = c.get("recurrent_kv_cache_mode") != "last_loop"
    return Loop(layers=layers, passes=c.count(passes, high=MAX_PASSES), caches=caches)


def one_layer(
    found: Sequence[Stored], stack: str, c: Section, *, kind: str, index: int, reuses_cache: bool
) -> LayerGroup:
    names = [t.name[len(stack) + 1 :] for t in found]
    recurring = {match[1] for name in names if (match := RECURRING.fullmatch(module(name)))}
    runs_state = bool(recurring)
    by_kind = bool(LINEAR.search(kind)) and not runs_state
    tensors = tuple(
        tensor(t, name, role_of(name, t.shape, state=by_kind or any(name.startswith(f"{path}.") for path in recurring)))
        for t, name in zip(found, names, strict=True)
    )
    state = mixing.state(tensors, c, state_dtype(c), linear=by_kind) if runs_state or by_kind else None
    attends = None if by_kind else mixing.attention(tensors, c, kind=kind, index=index)
    crosses = crossing(tensors, attends)
    if attends is not None and reuses_cache:
        attends = replace(attends, reuses_earlier_cache=True)
    ffn = mixing.feed_forward(tensors, c)
    return LayerGroup(
        layers=(), tensors=tensors, attention=attends, cross_attention=crosses, state=state, ffn=ffn, prefix=stack
    )


def crossing(tensors: Sequence[Tensor], attends: Attention | None) -> Attention | None:
    """Attention to an encoder or an image, as wide as the layer's own."""
    own = [t for t in tensors if CROSS.search(t.name) and len(t.shape) == 2]
    key = mixing.matching(own, mixing.KEY)
    if key is None:
        return None
    if attends is not None:
        return replace(attends, kind=AttentionKind.CROSS, window=None)
    return Attention(kind=AttentionKind.CROSS, q_heads=1, kv_heads=1, head_dim=key.shape[0], value_dim=key.shape[0])


def paired(c: Section) -> bool:
    """Whether attention and feed-forward are listed, and counted, as layers of their own (Dory)."""
    stated = c.get("layer_types")
    return isinstance(stated, list | tuple) and bool(stated) and all(kind == "mlp" for kind in stated[1::2])


def layer_kinds(c: Section, count: int) -> list[str]:
    """What the config calls each layer; windows older than such lists hold on every layer unless switched off."""
    if not any(c.states(name) for name in TYPES):
        older = older_kinds(c, count)
        if older is not None:
            return older
    for name in TYPES:
        stated = c.get(name)
        if isinstance(stated, list | tuple) and all(isinstance(kind, str) for kind in stated):
            if paired(c):
                stated = stated[::2]
            if c.states(name) and len(stated) < count:
                raise c.error(name, f"should have {count} entries, one per layer, and has {len(stated)}")
            for kind in stated:
                if not KNOWN.search(kind):
                    raise c.error(name, f"holds {kind[:40]!r}, which is no kind of layer known here")
            return [str(kind)[:60] for kind in stated]
    slides = mixing.window_of(c, "sliding")[0] is not None and c.get("use_sliding_window") is not False
    return ["sliding_attention" if slides else ""] * count


def older_kinds(c: Section, count: int) -> list[str] | None:
    """Windows as configs told them before `layer_types`: from a layer on, one full in so many, or by letters."""
    first, switch = c.get("max_window_layers"), c.get("use_sliding_window")
    if switch is True and type(first) is int:
        return [SLIDING if index >= first else "" for index in range(count)]
    pattern = (
        c.get("sliding_window_pattern") if c.states("sliding_window_pattern") else c.get("_sliding_window_pattern")
    )
    if isinstance(pattern, str) and 0 < len(pattern) <= 64:
        return [SLIDING if pattern[index % len(pattern)] == "L" else "" for index in range(count)]
    if type(pattern) is int and pattern > 0:
        return ["" if (index + 1) % pattern == 0 else SLIDING for index in range(count)]
    return None


def reuses(c: Section, count: int) -> frozenset[int]:
    """The last layers of Gemma 3n and its kin read the cache of earlier ones."""
    last = mixing.first_of(c, ("num_kv_shared_layers",)) or 0
    return frozenset(range(count - last, count)) if last < count else frozenset()


def state_dtype(c: Fields) -> str:
    """The dtype serving engines keep the state in: what the config asks for, else the model's own."""
    for name in STATE_DTYPES:
        value = c.get(name)
        if isinstance(value, str) and len(value) <= 20:
            return value.removeprefix("torch.")
    return "bfloat16"
