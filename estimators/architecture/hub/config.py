"""A config.json from a stranger: read within limits, and completed by the config classes of transformers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from estimators.architecture.hub.bounds import OverLimit
from estimators.architecture.hub.errors import ConfigUnreadable
from estimators.architecture.parse import MAX_CONFIG_BYTES, ConfigError, decode_config, parse_config
from estimators.architecture.spec import ModelSpec, SpecSource

MAX_DEPTH = 32  # vision-language configs nest four deep
MAX_STACK = 4096  # above it a config class would build per-layer lists of any length asked for
MAX_NUMBER = 1 << 24
STACK_FIELD = re.compile(r"(layers?|depth|blocks?|stages?)$")
TEXT_SECTIONS = frozenset({"text_config", "language_config", "llm_config", "thinker_config"})
NOT_STORED = re.compile(r"_|mtp|.*nextn")  # private; draft layers exist only where a config says so
SIZE_FIELD = re.compile(r"size|layer|head|dim|expert|window|rank|tie_word|state")
LENGTH_FIELD = re.compile(r"theta|position|length|window|freq")  # numbers that only ever scale something
LABELS = frozenset({"num_labels", "id2label", "label2id"})  # classes build a table of any size from them
SWITCHES = frozenset(
    {"output_hidden_states", "output_attentions", "return_dict", "use_cache", "problem_type", "chunk_size_feed_forward"}
)
NOT_A_DEFAULT = LABELS | SWITCHES | {"dtype", "torch_dtype", "quantization_config", "transformers_version"}


class ConfigObject(Protocol):
    def to_dict(self) -> dict[str, object]: ...


Construct = Callable[[str, dict[str, object]], ConfigObject]


def read_text(path: Path) -> bytes:
    """A config.json on disk; `OverLimit` when it is larger than any config."""
    with path.open("rb") as file:
        text = file.read(MAX_CONFIG_BYTES + 1)
    if len(text) > MAX_CONFIG_BYTES:
        raise OverLimit
    return text


def remember(path: Path, revision: str) -> None:
    """Note in the cache which commit a branch or tag stood for, so that an offline reader finds it by that name.

    Layout: refs/<revision> beside snapshots/<commit>, https://huggingface.co/docs/huggingface_hub/guides/manage-cache.
    """
    commit, ref = path.parent.name, path.parents[2] / "refs" / revision
    if revision != commit:
        with suppress(OSError):
            ref.parent.mkdir(parents=True, exist_ok=True)
            ref.write_text(commit, encoding="ascii")


def read_config(text: bytes, model_id: str) -> dict[str, object]:
    """The JSON object in a config.json of at most 4 MiB and 32 levels."""
    try:
        config = decode_config(text)
    except ConfigError as problem:
        raise unreadable(model_id, problem.message) from problem
    if _deeper_than(config, MAX_DEPTH):
        raise unreadable(model_id, f"config.json nests deeper than {MAX_DEPTH} levels.")
    return config


def too_large(model_id: str) -> ConfigUnreadable:
    return unreadable(model_id, f"config.json is larger than {MAX_CONFIG_BYTES >> 20} MiB.")


def unreadable(model_id: str, problem: str) -> ConfigUnreadable:
    return ConfigUnreadable(
        f"The config of {model_id} cannot be read: {problem}",
        "Use the model it was made from, or give a parameter count.",
    )


def parse_completed(
    config: dict[str, object], construct: Construct, *, model_id: str, source_note: str, revision: str
) -> tuple[ModelSpec, tuple[str, ...]]:
    """The model with the defaults of transformers, and which; as written, should those be what is in the way.

    Where they change what the config says of itself, a note tells so.
    """

    def parsed(candidate: Mapping[str, object]) -> ModelSpec:
        return parse_config(
            candidate, model_id=model_id, source=SpecSource.HUB, source_note=source_note, revision=revision
        )

    complete, filled = with_defaults(config, construct)
    if not filled:
        return parsed(config), ()
    try:
        spec = parsed(complete)
    except ConfigError:
        return parsed(config), ()
    try:
        changed = parsed(config) != spec
    except ConfigError:
        changed = True
    if changed:
        names = ", ".join(name for name in filled if SIZE_FIELD.search(name))[:200]
        note = f"The config leaves out {names or 'some fields'}; these are the defaults of its class in transformers."
        spec = replace(spec, notes=(*spec.notes, note))
    return spec, filled


def with_defaults(config: dict[str, object], construct: Construct) -> tuple[dict[str, object], tuple[str, ...]]:
    """The config with the fields it leaves out, and the names of those fields.

    `construct(model_type, config)` makes the config object of transformers. What the repository wrote always
    stays. A class that does not know the model, or refuses the config, fills nothing.
    """
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or not _harmless(_stripped(config)):
        return config, ()
    try:
        full = construct(model_type, _stripped(config)).to_dict()
    except Exception:  # any class of transformers, on any input
        return config, ()
    filled: list[str] = []
    return _merged(config, full, "", filled), tuple(filled)


def _merged(
    written: Mapping[str, object], full: Mapping[str, object], path: str, filled: list[str]
) -> dict[str, object]:
    merged = dict(written)
    # With MLA these two describe no cached head: head_dim is the rotary part alone (DeepSeek-V3: 64).
    if "hidden_size" in written:  # a language model described at the top: no section of defaults may shadow it
        full = {name: value for name, value in full.items() if name in written or name not in TEXT_SECTIONS}
    skip = NOT_A_DEFAULT | ({"head_dim", "num_key_value_heads"} if full.get("kv_lora_rank") else set())
    for name, value in full.items():
        mine = written.get(name)
        if isinstance(mine, Mapping) and isinstance(value, Mapping) and name.endswith("_config"):
            if name != "quantization_config":
                merged[name] = _merged(mine, value, f"{path}{name}.", filled)
        elif name not in written and value is not None and name not in skip and not NOT_STORED.match(name):
            merged[name] = value
            filled.append(path + name)
    return merged


def _stripped(config: Mapping[str, object]) -> dict[str, object]:
    """What a config class may see: no private switches, no label tables, no dtype, no code map."""
    return {
        name: _stripped(value) if isinstance(value, Mapping) and name.endswith("_config") else value
        for name, value in config.items()
        if name not in NOT_A_DEFAULT and name != "auto_map" and not name.startswith("_")
    }


def _harmless(value: object, name: str = "") -> bool:
    """Whether no number could make a config class build a list too long to hold."""
    if isinstance(value, Mapping):
        return all(_harmless(item, str(key)) for key, item in value.items())
    if isinstance(value, int) and not isinstance(value, bool):
        if STACK_FIELD.search(name):
            return value <= MAX_STACK
        return value <= MAX_NUMBER or LENGTH_FIELD.search(name) is not None
    return True


def _deeper_than(value: object, levels: int) -> bool:
    layer = [value]
    for _ in range(levels):
        below: list[object] = []
        for item in layer:
            if isinstance(item, Mapping):
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        if not below:
            return False
        layer = [item for item in below if isinstance(item, Mapping | list)]
    return bool(layer)
