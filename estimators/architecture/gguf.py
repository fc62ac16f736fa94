"""The front of a GGUF file: its metadata and every tensor's name, shape and type.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (little-endian, versions 2 and 3). Sizes of a block:
ggml-common.h and ggml.c of the same project.
"""

from __future__ import annotations

import math
import re
import struct
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from estimators.architecture.layouts import Stored
from estimators.provenance import Refusal

# Type -> name, elements in a block, bytes of a block.
TYPES = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 36), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8), 28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17),
}  # fmt: skip
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
MAX_ENTRIES, MAX_TEXT, MAX_ARRAY = 100_000, 1 << 20, 1 << 22
NAMES = (
    (r"^token_embd\.", "model.embed_tokens."),
    (r"^output\.", "lm_head."),
    (r"^output_norm\.", "model.norm."),
    (r"^blk\.\d+\.", "model.layers.{i}."),
    (r"attn_output\.", "self_attn.o_proj."),
    (r"attn_(q|k|v|qkv)\.", r"self_attn.\1_proj."),
    (r"attn_(q|k)_norm\.", r"self_attn.\1_norm."),
    (r"attn_(q_a|q_b|kv_b|k_b|v_b)\.", r"self_attn.\1_proj."),
    (r"attn_kv_a_mqa\.", "self_attn.kv_a_proj_with_mqa."),
    (r"ffn_gate_inp\.", "mlp.gate."),
    (r"ffn_(gate|up|down)_exps\.", r"mlp.experts.\1_proj."),
    (r"ffn_(gate|up|down)_shexp\.", r"mlp.shared_experts.\1_proj."),
    (r"ffn_(gate|up|down)\.", r"mlp.\1_proj."),
    (r"ssm_(a|d)$", r"mamba.\1"),
    (r"ssm_conv1d\.", "mamba.conv1d."),
    (r"ssm_(in|out)\.", r"mamba.\1_proj."),
)
FIELDS = {
    "embedding_length": "hidden_size",
    "block_count": "num_hidden_layers",
    "context_length": "max_position_embeddings",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "attention.sliding_window": "sliding_window",
    "attention.kv_lora_rank": "kv_lora_rank",
    "rope.dimension_count": "qk_rope_head_dim",
    "expert_used_count": "num_experts_per_tok",
    "expert_shared_count": "n_shared_experts",
}


class BadGguf(Refusal):
    """A front that is not that of a GGUF file, or that goes on beyond what was read."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"The GGUF file cannot be read: {problem}.",
            field="model",
            remedy="Use the model it was made from, or give a parameter count.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Gguf:
    """`tensors` maps a name to its shape, outermost first, and its type."""

    metadata: Mapping[str, object]
    tensors: Mapping[str, tuple[tuple[int, ...], str]]
    stored_bytes: int

    @property
    def types(self) -> tuple[str, ...]:
        return tuple(sorted({kind for _, kind in self.tensors.values()}))


class _Front:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, form: str) -> int | float | bool:
        size = struct.calcsize(form)
        (value,) = struct.unpack(f"<{form}", self._cut(size))
        made: int | float | bool = value
        return made

    def count(self, form: str, most: int, what: str) -> int:
        value = self.take(form)
        if not isinstance(value, int) or value > most:
            raise BadGguf(f"it claims {value} {what}")
        return value

    def text(self) -> str:
        return self._cut(self.count("Q", MAX_TEXT, "characters in a name")).decode("utf-8", "replace")

    def value(self, kind: int, depth: int = 0) -> object:
        if kind in SCALARS:
            return self.take(SCALARS[kind])
        if kind == STRING:
            return self.text()
        if kind != ARRAY or depth > 3:
            raise BadGguf(f"it has a value of unknown type {kind}")
        inner, length = self.count("I", 64, "as a type"), self.count("Q", MAX_ARRAY, "entries in a list")
        if inner in SCALARS and length > MAX_ENTRIES:
            self._cut(length * struct.calcsize(SCALARS[inner]))
            return None
        items = [self.value(inner, depth + 1) for _ in range(length)]
        return items if length <= 4096 else None

    def _cut(self, size: int) -> bytes:
        if self._at + size > len(self._data):
            raise BadGguf("its header is longer than what was read of it")
        cut = self._data[self._at : self._at + size]
        self._at += size
        return cut


def read_gguf(data: bytes) -> Gguf:
    """Metadata and tensors of a file from its first bytes."""
    if data[:4] != b"GGUF":
        raise BadGguf("it does not begin as one")
    front = _Front(data[4:])
    version = front.take("I")
    if version not in (2, 3):
        raise BadGguf(f"its version is {version}")
    tensor_count = front.count("Q", MAX_ENTRIES, "tensors")
    metadata = {}
    for _ in range(front.count("Q", MAX_ENTRIES, "fields")):
        name = front.text()
        metadata[name] = front.value(front.count("I", 64, "as a type"))
    tensors, total = {}, 0
    for _ in range(tensor_count):
        name = front.text()
        shape = tuple(front.count("Q", 1 << 40, "in a shape") for _ in range(front.count("I", 8, "dimensions")))[::-1]
        kind = front.count("I", 64, "as a type")
        front.take("Q")
        if kind not in TYPES:
            raise BadGguf(f"{name[:60]!r} has the unknown type {kind}")
        label, block, size = TYPES[kind]
        total += -(-math.prod(shape) // block) * size
        tensors[name] = (shape, label)
    return Gguf(metadata=metadata, tensors=tensors, stored_bytes=total)


def gathered(file: Gguf) -> list[Stored]:
    """The tensors under the names that checkpoints share, layers together; rotary tables left out."""
    found: dict[tuple[str, tuple[int, ...]], list[int]] = defaultdict(list)
    for name, (shape, _) in file.tensors.items():
        if name.startswith("rope_"):
            continue
        index = re.match(r"blk\.(\d+)\.", name)
        for pattern, instead in NAMES:
            name = re.sub(pattern, instead, name)
        found[name, shape].append(int(index.group(1)) if index else -1)
    return [
        Stored(name=name, shape=shape, layers=None if layers == [-1] else tuple(sorted(layers)))
        for (name, shape), layers in found.items()
    ]


def as_config(file: Gguf) -> dict[str, object]:
    """What the metadata says, in the words of a config."""
    architecture = file.metadata.get("general.architecture")
    made: dict[str, object] = {"model_type": architecture if isinstance(architecture, str) else "unknown"}
    for name, meant in FIELDS.items():
        value = file.metadata.get(f"{architecture}.{name}")
        if value is not None:
            made[meant] = value
    return made
