"""GGUF headers, written by hand: shapes, types, bytes, layers; and fronts that lie."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimators.architecture.conventions import read
from estimators.architecture.gguf import BadGguf, as_config, gathered, read_gguf


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def file(layers: int = 2, kind: int = 12) -> bytes:
    fields: dict[str, bytes] = {
        "general.architecture": struct.pack("<I", 8) + text("llama"),
        "tokenizer.ggml.tokens": struct.pack("<IIQ", 9, 8, 2) + text("a") + text("b"),
    }
    numbers = {
        "block_count": layers, "embedding_length": 256, "attention.head_count": 4, "attention.head_count_kv": 2,
        "context_length": 4096,
    }  # fmt: skip
    fields |= {f"llama.{name}": struct.pack("<II", 4, value) for name, value in numbers.items()}
    shapes = {"token_embd.weight": (256, 512), "output_norm.weight": (256,)}
    for i in range(layers):
        shapes |= {f"blk.{i}.attn_{n}.weight": (256, r) for n, r in (("q", 256), ("k", 128), ("v", 128))}
        shapes |= {f"blk.{i}.attn_output.weight": (256, 256), f"blk.{i}.attn_norm.weight": (256,)}
        shapes |= {f"blk.{i}.ffn_{n}.weight": (256, 768) for n in ("gate", "up")}
        shapes |= {f"blk.{i}.ffn_down.weight": (768, 256), f"blk.{i}.ffn_norm.weight": (256,)}
    made = b"GGUF" + struct.pack("<IQQ", 3, len(shapes), len(fields))
    made += b"".join(text(name) + value for name, value in fields.items())
    for name, shape in shapes.items():
        plain = 0 if len(shape) == 1 else kind
        made += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, plain, 0)
    return made


def test_a_file_says_its_shapes_types_and_bytes() -> None:
    found = read_gguf(file())
    assert found.tensors["blk.0.ffn_down.weight"] == ((256, 768), "Q4_K")
    matrices = 256 * 512 + 2 * (2 * 256 * 256 + 2 * 128 * 256 + 3 * 768 * 256)
    assert found.stored_bytes == matrices // 256 * 144 + 5 * 256 * 4
    assert found.types == ("F32", "Q4_K")


def test_its_layers_are_read_as_those_of_any_checkpoint() -> None:
    found = read_gguf(file())
    body = read(gathered(found), as_config(found))
    (group,) = body.groups
    assert group.attention is not None
    assert (group.count, group.attention.kv_heads, group.attention.head_dim) == (2, 2, 64)
    assert (body.hidden_size, body.vocab_size, body.tied, body.max_positions) == (256, 512, True, 4096)
    assert group.ffn is not None
    assert (group.ffn.width, group.ffn.gated) == (768, True)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "does not begin"),
        (b"GGUF" + struct.pack("<I", 1), "version"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 50, 0), "claims"),
        (file()[:-40], "longer than"),
        (file(kind=63), "unknown type"),
    ],
)
def test_a_front_that_lies_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(BadGguf, match=words):
        read_gguf(data)


@settings(max_examples=200, deadline=1000, derandomize=True)
@given(st.integers(0, 400), st.binary(min_size=1, max_size=12))
def test_any_bytes_are_read_or_refused(at: int, other: bytes) -> None:
    data = file()
    with suppress(BadGguf):
        assert read_gguf(data[:at] + other + data[at + len(other) :]).stored_bytes >= 0
