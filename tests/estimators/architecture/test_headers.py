"""Tensors named by safetensors headers, gathered into layers and read; headers that lie or contradict the config."""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from estimators.architecture.headers import Header, gathered, shaped
from estimators.architecture.spec import Reading, SpecSource
from estimators.architecture.stored import HeaderError, compared, spec_from_headers
from estimators.provenance import Refusal

CONFIG: dict[str, object] = {
    "model_type": "novel", "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4, "vocab_size": 100,
    "num_experts_per_tok": 2, "head_dim": 16,
}  # fmt: skip


def model(layers: int = 4, experts: int = 8, dtype: str = "BF16") -> list[Header]:
    made: list[Header] = [("model.embed_tokens.weight", dtype, (100, 32)), ("model.norm.weight", dtype, (32,))]
    for i in range(layers):
        block = f"model.layers.{i}"
        made += [
            (f"{block}.self_attn.{n}_proj.weight", dtype, (rows, 32)) for n, rows in (("q", 64), ("k", 32), ("v", 32))
        ]
        made += [
            (f"{block}.self_attn.o_proj.weight", dtype, (32, 64)),
            (f"{block}.mlp.gate.weight", "F32", (experts, 32)),
        ]
        for e in range(experts):
            made += [(f"{block}.mlp.experts.{e}.{n}.weight", dtype, (12, 32)) for n in ("gate_proj", "up_proj")]
            made.append((f"{block}.mlp.experts.{e}.down_proj.weight", dtype, (32, 12)))
    return made


def encoded(tensors: list[Header]) -> dict[str, bytes]:
    entries, end = {}, 0
    for name, dtype, shape in tensors:
        size = math.prod(shape) * {"BF16": 2, "F32": 4, "U8": 1, "F8_E4M3": 1, "I32": 4}[dtype]
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    return {"model.safetensors": json.dumps(entries).encode()}


def spec(tensors: list[Header], **changes: object) -> Any:
    return spec_from_headers(encoded(tensors), model_id="o/m", source_note="n", config=CONFIG | changes)


def test_a_model_nobody_described_has_its_layers_and_cache_from_its_files() -> None:
    found = spec(model())
    (group,) = found.groups
    assert (found.reading, found.source) == (Reading.MATCHED, SpecSource.HEADER)
    assert found.resident_params == found.stored.elements == 100 * 32 + 32 + 4 * (6144 + 8 * 32 + 8 * 3 * 12 * 32)
    assert found.active_params == found.resident_params - 4 * 6 * 3 * 12 * 32
    assert group.attention.cached_elements_per_token == 64
    assert {t.name: t.dtype for t in group.tensors}["mlp.gate"] == "float32"
    assert any("headers" in note for note in found.notes)


def test_scales_beside_narrow_weights_are_no_parameters() -> None:
    narrow = [(n, "F8_E4M3" if d == "BF16" else d, s) for n, d, s in model()]
    scales: list[Header] = [(f"{n}_scale_inv", "F32", (1, 1)) for n, _, s in narrow if len(s) == 2]
    assert shaped(narrow + scales)
    assert len(gathered(narrow + scales, "bfloat16")) == len(gathered(narrow, "bfloat16"))


def test_packed_weights_leave_a_count_alone() -> None:
    packed = [(n, "I32", s) if "experts" in n else (n, d, s) for n, d, s in model()]
    found = spec(packed)
    assert (found.reading, found.groups) == (Reading.COUNT, ())
    assert found.stored.total_bytes > 0


def test_layers_that_differ_stand_apart_and_extra_ones_are_for_prediction() -> None:
    found = spec(model(layers=5))
    assert [(g.stack, g.count) for g in found.groups] == [("decoder", 4), ("mtp", 1)]


def test_the_difference_to_a_formula_is_said() -> None:
    found = spec(model(layers=4))
    assert "as its formula has parameters" in compared(found, found.stored)
    more = 3232 + 4 * 15616 - (3232 + 3 * 15616)
    assert f"{more / (3232 + 3 * 15616):+.1%}" in compared(spec(model(layers=3)), found.stored)


names = st.sampled_from([name for name, _, _ in model(experts=2)]) | st.text(
    "model.layers0123456789qkv_proj", max_size=30
)
tensors = st.tuples(names, st.sampled_from(["BF16", "F32", "F8_E4M3", "U8"]), st.lists(st.integers(0, 40), max_size=3))


@settings(max_examples=150, deadline=2000, derandomize=True)
@given(
    st.lists(tensors, max_size=12), st.dictionaries(st.sampled_from(sorted(CONFIG)), st.none() | st.integers(-5, 99))
)
def test_any_headers_are_read_or_refused(found: list[tuple[str, str, list[int]]], changes: dict[str, object]) -> None:
    unique = {name: (name, dtype, tuple(shape)) for name, dtype, shape in found}
    try:
        read = spec(list(unique.values()), **changes)
    except (HeaderError, Refusal):
        return
    assert read.resident_params >= read.active_params >= 0
    assert read.stored.total_bytes > 0
