"""Any model type of the installed transformers, built on torch's meta device: names, shapes and nothing else."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import torch
import transformers
from transformers import CONFIG_MAPPING
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import (
    PrefixChange,
    WeightConverter,
    WeightRenaming,
    apply_converters,
    apply_renamings,
    revert_weight_conversion,
)
from transformers.models.auto import modeling_auto

Config = dict[str, Any]
Shapes = Mapping[str, tuple[tuple[int, ...], bool]]  # name in the checkpoint -> shape, whether it is a buffer
GENERATING = ("IMAGE_TEXT_TO_TEXT", "CAUSAL_LM", "SEQ_TO_SEQ_CAUSAL_LM", "SPEECH_SEQ_2_SEQ")
TABLES = tuple(f"MODEL_FOR_{task}_MAPPING_NAMES" for task in GENERATING)
transformers.logging.set_verbosity_error()
for _name in dir(torch.nn.init):
    if _name.endswith("_") and not _name.startswith("_"):  # there is nothing to fill on the meta device
        setattr(torch.nn.init, _name, lambda tensor, *_args, **_more: tensor)


@cache
def classes() -> Mapping[str, str]:
    """Model type -> the class that generates text, the one that sees or hears where there are several."""
    found: dict[str, str] = {}
    for table in TABLES:
        for model_type, name in getattr(modeling_auto, table).items():
            found.setdefault(model_type, name if isinstance(name, str) else name[0])
    return found


@cache
def parts() -> Mapping[str, str]:
    """Model type -> its bare class, for encoders that stand inside others."""
    table = modeling_auto.MODEL_MAPPING_NAMES
    return {kind: name if isinstance(name, str) else name[0] for kind, name in table.items()}


def default(model_type: str) -> Config:
    made: Config = CONFIG_MAPPING[model_type]().to_dict()
    return made


def model(model_type: str, config: Config) -> Any:
    name = classes().get(model_type) or parts()[model_type]
    with torch.device("meta"):
        return getattr(transformers, name)(CONFIG_MAPPING[model_type].from_dict(copy.deepcopy(config)))


def build(model_type: str, config: Config) -> Shapes | None:
    """Shapes under the names a checkpoint has; None where the class does not take the config."""
    try:
        made = model(model_type, config)
        params = dict(made.named_parameters())
        kept = set(made.state_dict())
        stored = {name: tensor for name, tensor in made.named_buffers() if name in kept}
        buffers = checkpoint(made, stored) if stored else {}
        everything = checkpoint(made, {**params, **stored})
    except Exception:  # whatever a class says to a config it cannot take
        return None
    return {name: (tuple(tensor.shape), name in buffers) for name, tensor in everything.items()}


_RULES: dict[str, tuple[list[Any], list[Any], list[Any]]] = {}
_RENAMED: dict[tuple[str, str], str | None] = {}


def checkpoint(made: Any, tensors: Mapping[str, Any]) -> Mapping[str, Any]:
    """The tensors as `save_pretrained` writes them: experts apart, older names.

    `revert_weight_conversion` does it; what only changes its name is remembered, since that takes most of the time.
    """
    kind = made.config.model_type
    if kind not in _RULES:
        found = [
            rule for rule in get_model_conversion_mapping(made, add_legacy=False) if not isinstance(rule, PrefixChange)
        ]
        back = [rule.reverse_transform() for rule in found[::-1]]
        renamings = [rule for rule in back if isinstance(rule, WeightRenaming)]
        _RULES[kind] = found, renamings, [rule for rule in back if isinstance(rule, WeightConverter)]
    rules, renamings, converters = _RULES[kind]
    if not rules:
        return tensors
    written: dict[str, Any] = {}
    merged: dict[str, Any] = {}
    for name, tensor in tensors.items():
        if (kind, name) not in _RENAMED:
            converts = apply_converters(name, converters)[1] is not None
            _RENAMED[kind, name] = None if converts else apply_renamings(name, renamings)
        renamed = _RENAMED[kind, name]
        if renamed is None:
            merged[name] = tensor
        else:
            written[renamed] = tensor
    return {**written, **(revert_weight_conversion(made, merged) if merged else {})}


def leaves(config: Config, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a config with its path; the entries of short number lists one by one."""
    for name, value in config.items():
        if not isinstance(name, str):
            continue
        where = f"{path}{name}"
        if isinstance(value, dict):
            if name not in {"rope_parameters", "rope_scaling", "quantization_config"}:
                yield from leaves(value, f"{where}.")
            continue
        yield where, value
        if isinstance(value, list) and len(value) <= 4 and all(type(item) is int for item in value):
            yield from ((f"{where}.{index}", item) for index, item in enumerate(value))


def changed(config: Config, changes: Mapping[str, Any]) -> Config:
    made = copy.deepcopy(config)
    for path, value in changes.items():
        *sections, name = path.split(".")
        place: Any = made
        for section in sections:
            place = place[section]
        place[int(name) if isinstance(place, list) else name] = value
    return made
