"""From a config to a `ModelSpec`: which family reads it, and what every family has in common."""

from __future__ import annotations

import json
from collections.abc import Mapping

from estimators.architecture import conventions
from estimators.architecture.blocks import Body
from estimators.architecture.defaults import defaults
from estimators.architecture.families import FAMILIES
from estimators.architecture.fields import ConfigError, Fields, MissingField, UnknownArchitecture, shown
from estimators.architecture.layouts import known
from estimators.architecture.quantizers import parse_quantization
from estimators.architecture.spec import ModelSpec, SpecSource

__all__ = ["ConfigError", "UnknownArchitecture", "parse_config", "parse_config_text"]

MAX_CONFIG_BYTES = 4 << 20  # the largest config.json known, with a 4-bit ignore list per expert, is under 1 MB
DTYPES = {"bfloat16", "float16", "float32"}
ALIASES = {"bf16": "bfloat16", "fp16": "float16", "half": "float16", "fp32": "float32", "float": "float32"}


def parse_config_text(
    text: str | bytes, *, model_id: str, source: SpecSource, source_note: str, revision: str | None = None
) -> ModelSpec:
    """`parse_config` of a config.json not yet decoded; refuses one that is too large, too deep or not JSON."""
    config = decode_config(text)
    return parse_config(config, model_id=model_id, source=source, source_note=source_note, revision=revision)


def decode_config(text: str | bytes) -> dict[str, object]:
    """The JSON object in a config.json, bounded in size and depth."""
    remedy = "Use the config.json of a published model."
    if len(text) > MAX_CONFIG_BYTES:
        raise ConfigError(
            f"config.json is larger than {MAX_CONFIG_BYTES >> 20} MiB.", field="config.json", remedy=remedy
        )
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise ConfigError("config.json is not readable JSON.", field="config.json", remedy=remedy) from problem
    if not isinstance(config, dict):
        raise ConfigError("config.json is not a JSON object.", field="config.json", remedy=remedy)
    return config


def parse_config(
    config: Mapping[str, object], *, model_id: str, source: SpecSource, source_note: str, revision: str | None = None
) -> ModelSpec:
    """Every tensor and layer of the model the config describes.

    Families written by hand come first, then the layouts of `layouts`; a type that has neither is read like its
    nearest kin, as a range. Raises `UnknownArchitecture` where nothing is near, and `ConfigError` naming the field
    that is missing, contradictory or absurd. Llama-3.1-8B comes to 8,030,261,248 resident parameters.
    """
    model_type = model_type_of(config)
    fields = Fields(config, defaults().get(model_type))
    body = read(fields, config, model_type)
    dtype, dtype_notes = dtype_of(config, model_type, body)
    quantization = parse_quantization(config, Fields(config))
    return ModelSpec(
        id=model_id,
        revision=revision,
        source=source,
        source_note=source_note,
        architecture=architecture_of(fields, model_type),
        model_type=model_type,
        hidden_size=body.hidden_size,
        vocab_size=body.vocab_size,
        max_positions=body.max_positions,
        dtype=dtype,
        tied_embeddings=body.tied,
        groups=body.groups,
        tensors=body.tensors,
        quantization=quantization,
        reading=body.reading,
        relative_range=body.relative_range,
        notes=body.notes + dtype_notes,
    )


def read(fields: Fields, config: Mapping[str, object], model_type: str) -> Body:
    """By the family, else by convention; a field that only the family asks for is not missed by the class's layout."""
    if model_type not in FAMILIES:
        return conventions.body_of(config, model_type)
    try:
        return FAMILIES[model_type](fields)
    except MissingField:
        if not known(model_type):
            raise
        try:
            return conventions.body_of(config, model_type)
        except ConfigError:
            pass
        raise


def model_type_of(config: Mapping[str, object]) -> str:
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or not model_type:
        problem = "is missing" if model_type is None else f"should be a name and is {shown(model_type)}"
        raise ConfigError(
            f"The model's config cannot be used: model_type {problem}.",
            field="model_type",
            remedy="Use the config.json of a published model.",
        )
    return model_type


def architecture_of(fields: Fields, model_type: str) -> str:
    names = fields.texts("architectures", limit=16)
    return names[0][:120] if names else model_type


def dtype_of(config: Mapping[str, object], model_type: str, body: Body) -> tuple[str, tuple[str, ...]]:
    """The dtype of the unquantized tensors: `dtype` or `torch_dtype`, of the model or of its text part.

    A config that names none takes what its family is published in, and the spec says so.
    """
    text = config.get("text_config")
    for section in (config, text if isinstance(text, Mapping) else {}):
        for key in ("dtype", "torch_dtype"):
            value = section.get(key)
            if value is None or value == "auto":
                continue
            if not isinstance(value, str):
                raise ConfigError(
                    f"The model's config cannot be used: {key} should be a name and is {shown(value)}.", field=key
                )
            name = ALIASES.get(value.removeprefix("torch."), value.removeprefix("torch."))
            if name not in DTYPES:
                raise ConfigError(
                    f"The model's config cannot be used: {key} is {shown(value)}.",
                    field=key,
                    remedy=f"Known are {', '.join(sorted(DTYPES))}.",
                )
            return name, ()
    published = defaults().get(model_type, {}).get("dtype")
    if isinstance(published, str):
        return published, (f"The config names no dtype; {model_type} checkpoints are published in {published}.",)
    return "bfloat16", ("The config names no dtype; taken as bfloat16.",)
