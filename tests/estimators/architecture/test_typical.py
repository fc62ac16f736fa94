"""A bare parameter count: typical shapes, exact where a real model has that size."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimators.architecture.spec import AttentionKind, SpecSource
from estimators.architecture.typical import shapes, spec_from_parameter_count
from estimators.provenance import Refusal


def kv_elements_per_token(spec):
    return sum(group.count * group.attention.cached_elements_per_token for group in spec.groups)


@pytest.mark.parametrize(
    ("params", "layers", "hidden", "ffn", "kv_elements"),
    [
        (8_030_261_248, 32, 4096, 14336, 32 * 8 * 256),  # Llama-3.1-8B
        (70_553_706_496, 80, 8192, 28672, 80 * 8 * 256),  # Llama-3.1-70B
        (405_853_388_800, 126, 16384, 53248, 126 * 8 * 256),  # Llama-3.1-405B
        (1_235_814_400, 16, 2048, 8192, 16 * 8 * 128),  # Llama-3.2-1B, tied
    ],
)
def test_the_count_of_a_real_model_gives_its_shape_to_the_parameter(params, layers, hidden, ffn, kv_elements):
    spec = spec_from_parameter_count(params)
    (group,) = spec.groups
    assert (spec.layer_count, spec.hidden_size, group.ffn.width) == (layers, hidden, ffn)
    assert spec.resident_params == spec.active_params == params
    assert kv_elements_per_token(spec) == kv_elements


def test_a_mixture_takes_the_shape_of_the_one_it_resembles():
    spec = spec_from_parameter_count(46.7e9, 12.9e9)  # Mixtral-8x7B: 46.70 B, 12.88 B active
    (group,) = spec.groups
    assert (group.ffn.experts, group.ffn.experts_per_token, group.ffn.width) == (8, 2, 14336)
    assert (spec.layer_count, spec.hidden_size) == (32, 4096)


@pytest.mark.parametrize(
    ("params", "published_kv_elements", "tolerance"),
    [
        (7_248_023_552, 32 * 8 * 256, 0.05),  # Mistral-7B-v0.3: 32 layers, 8 heads of 128
        (12_247_782_400, 40 * 8 * 256, 0.10),  # Mistral-Nemo
        (72_706_203_648, 80 * 8 * 256, 0.05),  # Qwen2.5-72B
        (34_388_917_248, 60 * 8 * 256, 0.15),  # Yi-34B
    ],
)
def test_models_outside_the_table_have_about_the_cache_estimated(params, published_kv_elements, tolerance):
    spec = spec_from_parameter_count(params)
    assert kv_elements_per_token(spec) == pytest.approx(published_kv_elements, rel=tolerance)


def test_it_says_that_it_is_an_approximation_and_of_what():
    spec = spec_from_parameter_count(20e9)
    assert spec.approximate
    assert spec.source is SpecSource.PARAMETER_COUNT
    assert spec.id == "20B parameters"
    assert "between Qwen/Qwen3-14B and Qwen/Qwen3-32B" in spec.source_note
    assert any("several times more or less" in note for note in spec.notes)
    assert spec.max_positions is None  # a count says nothing of the context length
    assert spec.dtype == "bfloat16"


def test_beyond_the_table_it_says_extrapolated():
    assert "extrapolated beyond meta-llama/Llama-3.1-405B" in spec_from_parameter_count(2e12).source_note
    assert "extrapolated below HuggingFaceTB/SmolLM2-135M-Instruct" in spec_from_parameter_count(2e7).source_note


counts = st.floats(math.log(1e7), math.log(5e12)).map(math.exp)


@settings(max_examples=150)
@given(counts)
def test_resident_parameters_come_out_as_asked(params):
    params = min(max(params, 1e7), 5e12)
    spec = spec_from_parameter_count(params)
    assert spec.resident_params == pytest.approx(params, rel=0.005)
    assert spec.active_params == spec.resident_params


@settings(max_examples=150)
@given(counts, st.floats(0.03, 0.9))
def test_a_mixture_comes_out_as_asked_in_both_counts(params, share):
    params = min(max(params, 1e9), 5e12)
    spec = spec_from_parameter_count(params, params * share)
    assert spec.resident_params == pytest.approx(params, rel=0.005)
    assert spec.active_params == pytest.approx(params * share, rel=0.05)
    assert spec.active_params < spec.resident_params


@settings(max_examples=100)
@given(counts)
def test_heads_divide_so_that_any_engine_could_load_it(params):
    (group,) = spec_from_parameter_count(min(max(params, 1e7), 5e12)).groups
    assert group.attention.kind is AttentionKind.FULL
    assert group.attention.q_heads % group.attention.kv_heads == 0


def test_a_mixture_is_found_for_every_published_one():
    published = [(671e9, 37e9), (1026e9, 33e9), (400e9, 17e9), (109e9, 17e9), (16e9, 2.7e9), (132e9, 36e9)]
    for params, active in published:  # DeepSeek-V3, Kimi K2, Llama 4 Maverick and Scout, DeepSeek-MoE, DBRX
        spec = spec_from_parameter_count(params, active)
        assert spec.active_params == pytest.approx(active, rel=0.02)


def test_active_as_large_as_the_model_is_a_dense_model():
    assert spec_from_parameter_count(8e9, 8e9) == spec_from_parameter_count(8e9)


@pytest.mark.parametrize("params", [0, -8e9, 9.9e6, 5.1e12, math.nan, math.inf, -math.inf, 10**400, True])
def test_counts_out_of_bounds_are_refused_by_name(params):
    with pytest.raises(Refusal, match=r"between 0\.01 and 5000 billion") as refused:
        spec_from_parameter_count(params)
    assert refused.value.field == "params"


@pytest.mark.parametrize("active", [9e9, 0, -1, math.nan, math.inf, 1e7])
def test_active_counts_that_cannot_be_are_refused_by_name(active):
    with pytest.raises(Refusal) as refused:
        spec_from_parameter_count(8e9, active)
    assert refused.value.field == "active"


def test_every_row_of_the_table_adds_up_to_its_parameters():
    """Total = backbone + 3 L D F (n); what the plain shape leaves out (biases, head norms) is under 0.3 %."""
    for shape in (*shapes(), *shapes(mixtures=True)):
        total = shape.backbone_params + shape.ffn * shape.ffn_params_per_width
        assert total == pytest.approx(shape.params, rel=0.003), shape.model
