"""A model from the headers of its safetensors files: every tensor's name, shape and bytes, exact.

Format: https://huggingface.co/docs/safetensors (a header of name -> dtype, shape, data_offsets, then the data).
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeGuard

from estimators.architecture import gguf
from estimators.architecture.conventions import read
from estimators.architecture.fields import Fields
from estimators.architecture.gguf import read_gguf
from estimators.architecture.headers import WIDE, Header, gathered, shaped
from estimators.architecture.quantizers import parse_quantization
from estimators.architecture.spec import ModelSpec, Reading, SpecSource, StoredWeights
from estimators.provenance import Refusal

# Bits per element, from the Dtype enum of safetensors 0.8 (tensor.rs).
BITS = {
    "BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32,
    "F32": 32, "F64": 64, "I64": 64, "U64": 64, "C64": 64,
}  # fmt: skip
GGUF_RANGE = 0.01  # converters drop buffers, split and merge projections
SAME = 1e-4  # of the parameters: what buffers come to
MAX_BYTES = 1 << 50
MAX_DIMENSIONS = 16


class HeaderError(ValueError):
    """A safetensors header that cannot be true."""


def spec_from_headers(
    headers: Mapping[str, bytes],
    *,
    model_id: str,
    source_note: str,
    config: Mapping[str, object] | None = None,
    revision: str | None = None,
    file_bytes: Mapping[str, int | None] | None = None,
) -> ModelSpec:
    """A spec of what is stored: with layers and cache where the shapes show them, else a count alone.

    `headers` maps each file to its JSON header, `file_bytes` to its size where known, which the header must match.
    """
    stored = stored_weights(headers, file_bytes or {})
    config = config or {}
    names = config.get("architectures")
    architecture = names[0] if isinstance(names, list) and names and isinstance(names[0], str) else "unknown"
    wide = [(size, WIDE[dtype]) for dtype, size in stored.bytes_by_dtype if dtype in WIDE]
    bare = ModelSpec(
        id=model_id,
        revision=revision,
        source=SpecSource.HEADER,
        source_note=source_note,
        architecture=architecture[:120],
        model_type=str(config.get("model_type") or "unknown")[:60],
        hidden_size=_size(config, "hidden_size"),
        vocab_size=_size(config, "vocab_size"),
        max_positions=_size(config, "max_position_embeddings") or None,
        dtype=max(wide)[1] if wide else "bfloat16",
        tied_embeddings=config.get("tie_word_embeddings") is True,
        groups=(),
        tensors=(),
        stored=stored,
        reading=Reading.COUNT,
    )
    tensors = [tensor for file, header in headers.items() for tensor in named(file, header)]
    return with_layers(bare, tensors, config) or replace(bare, notes=tuple(_unknown(config)))


def _unknown(config: Mapping[str, object]) -> list[str]:
    notes = ["The architecture is not described here: the stored weights are exact, the KV cache and speed unknown."]
    if isinstance(config.get("quantization_config"), Mapping):
        notes.append("The checkpoint is quantized: its stored elements may pack several parameters each.")
    return notes


def with_layers(bare: ModelSpec, tensors: Sequence[Header], config: Mapping[str, object]) -> ModelSpec | None:
    """The layers that the shapes show; None where the weights are packed or the layers cannot be told."""
    if not shaped(tensors):
        return None
    try:
        body = read(gathered(tensors, bare.dtype), config)
        quantization = parse_quantization(config, Fields(config))
    except Refusal:
        return None
    if not any(group.attention or group.state for group in body.groups):
        return None
    return replace(
        bare,
        hidden_size=body.hidden_size,
        vocab_size=body.vocab_size,
        max_positions=body.max_positions,
        tied_embeddings=body.tied,
        groups=body.groups,
        tensors=body.tensors,
        quantization=quantization,
        reading=Reading.MATCHED,
        notes=(
            f"{bare.model_type!r} is not described here: layers, cache and bytes are read from the headers of its "
            "files, by the names and shapes of the tensors; windows and experts per token from its config.",
        ),
    )


def spec_from_gguf(front: bytes, *, model_id: str, source_note: str, revision: str | None = None) -> ModelSpec:
    """A spec from the front of a GGUF file, as of the model before it was quantized."""
    file = read_gguf(front)
    config = gguf.as_config(file)
    body = read(gguf.gathered(file), config)
    types = ", ".join(file.types)
    return ModelSpec(
        id=model_id,
        revision=revision,
        source=SpecSource.HEADER,
        source_note=source_note,
        architecture=str(config["model_type"])[:60],
        model_type=str(config["model_type"])[:60],
        hidden_size=body.hidden_size,
        vocab_size=body.vocab_size,
        max_positions=body.max_positions,
        dtype="bfloat16",
        tied_embeddings=body.tied,
        groups=body.groups,
        tensors=body.tensors,
        reading=Reading.CONVENTION,
        relative_range=GGUF_RANGE,
        notes=(
            f"The repository has no config.json: layers and cache are read from the header of one GGUF file, which "
            f"holds {file.stored_bytes:,} bytes in {types}. Estimates are of these weights in 16 bits unless another "
            "precision is chosen; this tool does not price GGUF's own formats.",
        ),
    )


def compared(spec: ModelSpec, stored: StoredWeights) -> str:
    """How the elements of the files differ from the formula's parameters, in a sentence.

    Files also hold prediction layers, copies of tied tables and buffers, which the parameters leave out.
    """
    formula = spec.resident_params
    difference = stored.elements / formula - 1
    if abs(difference) < SAME:
        return f"Its files hold {stored.elements:,} elements, as its formula has parameters."
    return f"Its files hold {stored.elements:,} elements, {difference:+.1%} against the {formula:,} of its formula."


def stored_weights(headers: Mapping[str, bytes], file_bytes: Mapping[str, int | None]) -> StoredWeights:
    """Bytes per dtype and elements over all files, every offset checked: B = sum over tensors of end - begin."""
    size_of: Counter[str] = Counter()
    elements = 0
    seen: set[str] = set()
    for file, header in headers.items():
        end = 0
        for name, dtype, count, first, last in sorted(_tensors(file, header), key=lambda t: (t[3], t[4])):
            if name in seen:
                raise HeaderError(f"{name[:60]!r} is stored twice")
            if first != end:
                raise HeaderError(f"{file} leaves a hole or overlaps before {name[:60]!r}")
            seen.add(name)
            size_of[dtype] += last - first
            elements += count
            end = last
        known = file_bytes.get(file)
        if known is not None and known != 8 + len(header) + end:
            raise HeaderError(f"{file} has {known} bytes where its header describes {8 + len(header) + end}")
    if not elements or sum(size_of.values()) > MAX_BYTES:
        raise HeaderError("it describes no weights, or more than any disk holds")
    return StoredWeights(bytes_by_dtype=tuple(sorted(size_of.items())), elements=elements)


def named(file: str, header: bytes) -> list[Header]:
    """(name, dtype, shape) of each tensor of one file, checked before by `stored_weights`."""
    entries = json.loads(header)
    return [(name, entry["dtype"], tuple(entry["shape"])) for name, entry in entries.items() if name != "__metadata__"]


def _tensors(file: str, header: bytes) -> list[tuple[str, str, int, int, int]]:
    """(name, dtype, elements, begin, end) of each tensor of one file."""
    try:
        entries = json.loads(header)
    except (ValueError, RecursionError):
        raise HeaderError(f"{file} is not JSON") from None
    if not isinstance(entries, dict):
        raise HeaderError(f"{file} is not a JSON object")
    return [(name, *_tensor(name, entry)) for name, entry in entries.items() if name != "__metadata__"]


def _tensor(name: str, entry: object) -> tuple[str, int, int, int]:
    shown = repr(name[:60])
    if not isinstance(entry, dict):
        raise HeaderError(f"{shown} is not described")
    dtype, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in BITS:
        raise HeaderError(f"{shown} has an unknown dtype")
    if not _whole_numbers(shape) or len(shape) > MAX_DIMENSIONS:
        raise HeaderError(f"{shown} has no usable shape")
    if not _whole_numbers(offsets) or len(offsets) != 2:
        raise HeaderError(f"{shown} has no usable offsets")
    count = math.prod(shape)
    first, last = offsets
    if (last - first) * 8 != count * BITS[dtype]:
        raise HeaderError(f"{shown} occupies {last - first} bytes, which its shape and dtype do not come to")
    return dtype, count, first, last


def _whole_numbers(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(n) is int and 0 <= n <= MAX_BYTES for n in value)


def _size(config: Mapping[str, object], name: str) -> int:
    text = config.get("text_config")
    for section in (config, text if isinstance(text, Mapping) else {}):
        value = section.get(name)
        if type(value) is int and 0 < value < 1 << 32:
            return value
    return 0
