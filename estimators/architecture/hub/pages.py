"""What a model's page on the Hub says of its files and of its copies. Pure; the page is not trusted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

SHARD = re.compile(r"[-_.]\d{5,6}-of-\d{5,6}")
MAX_WEIGHT_FILES = 1024  # DeepSeek-V3 has 163
MAX_FILE_BYTES = 1 << 50

# Parts of a checkpoint's name -> precision of the public vocabulary, the most telling first. Naming customs of
# RedHatAI, Qwen, nvidia, hugging-quants and unsloth on huggingface.co, read 2026.
NAMED = (
    (r"nvfp4", "nvfp4"),
    (r"mxfp4", "mxfp4"),
    (r"w8a16", "int8-weight-only"),
    (r"w8a8[-_.]?fp8|fp8", "fp8"),
    (r"w8a8", "int8"),
    (r"bnb[-_]?4bit|nf4", "nf4"),
    (r"w4a16|int4|4bit|awq", "int4"),
    (r"gptq[-_]?int8|int8|8bit", "int8-weight-only"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizedCheckpoint:
    """A published checkpoint that says, or whose name says, that it is a quantized copy of a model."""

    id: str
    label: str | None  # precision of the public vocabulary the name points to; None when it does not say
    declared: bool  # its page names the base model, rather than only its name being alike
    downloads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HubListing:
    """What a Hub lists that was made of one model: most used first."""

    quantized: tuple[QuantizedCheckpoint, ...]
    heads: tuple[str, ...]  # ids of repositories whose pages and names say that they draft for it


def precision_in_name(model_id: str) -> str | None:
    """The precision a checkpoint's name points to: "...-quantized.w4a16" is int4. A hint, not a fact."""
    name = model_id.rpartition("/")[2].lower()
    return next((label for pattern, label in NAMED if re.search(pattern, name)), None)


def weight_files(sizes: Mapping[str, int | None]) -> tuple[str, ...]:
    """The safetensors files a loader reads: the set called `model`, else the only set at the top of the repository.

    Copies in other layouts (``original/``, ``consolidated.safetensors``) and adapters are left out. Empty when it
    is not clear which set is meant.
    """
    sets: dict[str, list[str]] = {}
    for name in sizes:
        if name.endswith(".safetensors") and "/" not in name:
            sets.setdefault(SHARD.sub("", name), []).append(name)
    sets.pop("adapter_model.safetensors", None)
    chosen = sets.get("model.safetensors")
    if chosen is None:
        sets.pop("consolidated.safetensors", None)
        chosen = next(iter(sets.values())) if len(sets) == 1 else []
    return tuple(sorted(chosen)) if len(chosen) <= MAX_WEIGHT_FILES else ()


def weight_files_bytes(sizes: Mapping[str, int | None]) -> int | None:
    """Bytes of those files, headers included, or None when the page leaves a size out."""
    total = 0
    names = weight_files(sizes)
    for name in names:
        size = sizes[name]
        if size is None:
            return None
        total += size
    return total if names else None


def file_sizes(siblings: Iterable[object] | None) -> dict[str, int | None]:
    """Names and sizes of a repository's files; what is not a name or not a plausible size is dropped."""
    sizes: dict[str, int | None] = {}
    for sibling in siblings or ():
        name, size = getattr(sibling, "rfilename", None), getattr(sibling, "size", None)
        if isinstance(name, str) and len(name) <= 500:
            known = isinstance(size, int) and not isinstance(size, bool) and 0 <= size <= MAX_FILE_BYTES
            sizes[name] = size if known else None
    return sizes
