"""Stored weights from safetensors headers: exact when the header is true, refused when it is not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimators.architecture.spec import SpecSource
from estimators.architecture.stored import HeaderError, spec_from_headers, stored_weights


def header(**tensors):
    entries = {name: {"dtype": d, "shape": s, "data_offsets": o} for name, (d, s, o) in tensors.items()}
    return json.dumps({"__metadata__": {"format": "pt"}, **entries}).encode()


def test_bytes_and_elements_add_up_over_files():
    one = header(a=("BF16", [10, 4], [0, 80]), b=("F32", [], [80, 84]))
    two = header(c=("F8_E4M3", [8], [0, 8]), d=("F4", [4, 4], [8, 16]), e=("I64", [0], [16, 16]))
    stored = stored_weights({"1.safetensors": one, "2.safetensors": two}, {"1.safetensors": 8 + len(one) + 84})
    assert stored.elements == 40 + 1 + 8 + 16
    assert dict(stored.bytes_by_dtype) == {"BF16": 80, "F32": 4, "F8_E4M3": 8, "F4": 8, "I64": 0}
    assert stored.total_bytes == 100


def test_a_spec_from_headers_knows_its_weights_and_says_what_it_does_not_know():
    config = {"architectures": ["Odd"], "model_type": "odd", "text_config": {"hidden_size": 64}, "vocab_size": "x"}
    spec = spec_from_headers(
        {"m": header(a=("F16", [8], [0, 16]), b=("F32", [1], [16, 20]))},
        model_id="o/m",
        source_note="n",
        config=config | {"quantization_config": {"bits": 4}},
    )
    assert (spec.resident_params, spec.active_params) == (9, 9)
    assert (spec.source, spec.dtype, spec.architecture) == (SpecSource.HEADER, "float16", "Odd")
    assert (spec.hidden_size, spec.vocab_size, spec.groups) == (64, 0, ())
    assert any("KV cache and speed unknown" in note for note in spec.notes)
    assert any("pack several parameters" in note for note in spec.notes)


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({}, "no weights"),
        ({"a": ("BF16", [10], [0, 21])}, "occupies 21 bytes"),
        ({"a": ("BF16", [10], [20, 0])}, "occupies -20 bytes"),
        ({"a": ("BF16", [10], [4, 24])}, "hole or overlaps"),
        ({"a": ("BF16", [4], [0, 8]), "b": ("BF16", [4], [4, 12])}, "hole or overlaps"),
        ({"a": ("BF17", [10], [0, 20])}, "unknown dtype"),
        ({"a": (["BF16"], [10], [0, 20])}, "unknown dtype"),
        ({"a": ("BF16", [-10], [0, -20])}, "no usable shape"),
        ({"a": ("BF16", [True], [0, 2])}, "no usable shape"),
        ({"a": ("BF16", "10", [0, 20])}, "no usable shape"),
        ({"a": ("BF16", [1] * 17, [0, 2])}, "no usable shape"),
        ({"a": ("BF16", [10], [0])}, "no usable offsets"),
        ({"a": ("U8", [1 << 50, 1 << 50], [0, 1 << 50])}, "occupies"),
    ],
)
def test_a_header_that_cannot_be_true_is_refused(tensors, words):
    with pytest.raises(HeaderError, match=words):
        stored_weights({"m": header(**tensors)}, {})


def test_a_header_must_match_the_size_of_its_file():
    text = header(a=("BF16", [10], [0, 20]))
    with pytest.raises(HeaderError, match="has 1000 bytes"):
        stored_weights({"m": text}, {"m": 1000})


def test_a_tensor_in_two_files_is_refused():
    text = header(a=("BF16", [10], [0, 20]))
    with pytest.raises(HeaderError, match="stored twice"):
        stored_weights({"1": text, "2": text}, {})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
entries = json_values | st.fixed_dictionaries(
    {"dtype": st.sampled_from(["BF16", "F4", "U8"]) | json_values, "shape": json_values, "data_offsets": json_values}
)


@given(
    st.dictionaries(st.text(max_size=5), entries, max_size=3).map(json.dumps).map(str.encode) | st.binary(max_size=50)
)
def test_whatever_the_header_holds_it_is_read_or_refused(text):
    try:
        stored = stored_weights({"m": text}, {})
    except HeaderError:
        return
    assert stored.elements > 0
