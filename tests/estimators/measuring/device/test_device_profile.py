"""Jobs, device profiles, and estimates made of a micro-benchmark worked by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from estimators.architecture.catalogue import load_config, load_spec
from estimators.architecture.parse import parse_config
from estimators.architecture.spec import SpecSource
from estimators.measuring.device.device_estimate import calibrated, estimate_from_device, product_seconds, step_seconds
from estimators.measuring.device.device_profile import (
    CPU_GRID,
    GPU_GRID,
    DeviceProfile,
    Grid,
    TimedProduct,
    read_profile,
)
from estimators.measuring.device.fit_check import needed_bytes, refuse_too_big
from estimators.measuring.foreign import ForeignInput
from estimators.measuring.jobs.job_request import DeviceJob, check, from_json, runnable_config, total_layers
from estimators.precision import Weights
from estimators.provenance import Refusal

# A device with 10 GB/s and 100 GFLOP/s at any size, in bf16: 1 token through E weights takes 2 E / 10^10 s,
# 512 tokens 2 x 512 E / 10^11 s.
PROFILE = DeviceProfile(
    device="toy",
    dtype="bfloat16",
    element_bytes=2,
    threads=1,
    products=tuple(
        TimedProduct(tokens=tokens, elements=elements, seconds=seconds * elements)
        for elements in (1_000, 1_000_000)
        for tokens, seconds in ((1, 2e-10), (512, 2 * 512 / 1e11))
    ),
    layer_s=1e-4,
    layer_alone_s=5e-5,
    step_s=5e-4,
    norm_s_per_element=0.0,
    gate_s_per_element=0.0,
    attention_s_per_pair=1e-11,
    decode_s_per_pair=2e-11,
    cache_s_per_element=1e-10,
)


def test_a_profile_says_what_was_achieved() -> None:
    assert PROFILE.bandwidth_bytes_per_s == pytest.approx(1e10)
    assert PROFILE.flops == pytest.approx(1e11)
    assert read_profile(json.loads(json.dumps(PROFILE.as_dict()))) == PROFILE


@pytest.mark.parametrize(
    "damage", [{"products": []}, {"layer_s": "x"}, {"products": [{"tokens": 0}]}, {"threads": None}]
)
def test_a_damaged_profile_is_refused(damage: dict[str, object]) -> None:
    with pytest.raises(ForeignInput):
        read_profile(PROFILE.as_dict() | damage)


def test_products_lie_between_the_measured_ones() -> None:
    assert product_seconds(PROFILE.products, 1, 1_000_000) == pytest.approx(2e-4)
    assert product_seconds(PROFILE.products, 1, 4_000_000) == pytest.approx(8e-4)  # beyond: proportional
    assert product_seconds(PROFILE.products, 1024, 1_000_000) == pytest.approx(2 * 0.01024)
    assert 2e-4 < product_seconds(PROFILE.products, 32, 1_000_000) < 0.01024


def test_a_decode_step_of_llama_8b_reads_its_weights() -> None:
    """32 layers of 218,103,808 linear weights and a head of 525,336,576: 7,504,658,432 x 2 B / 10 GB/s = 1.501 s."""
    parts = step_seconds(PROFILE, load_spec("meta-llama/Llama-3.1-8B-Instruct"), batch=1, tokens=1, context=1000)
    assert parts["products"] + parts["head"] == pytest.approx(1.5009, rel=1e-3)
    assert parts["launches"] == pytest.approx(5e-4 + 32 * 1e-4)
    assert parts["attention"] == pytest.approx(32 * 1000 * 32 * 128 * 2e-11)
    assert parts["cache"] == pytest.approx(32 * 1000 * 2048 * 1e-10)


def test_a_prefill_computes() -> None:
    """512 tokens: 2 x 512 x 6,979,321,856 FLOP / 10^11 = 71.47 s, and the head for one position only."""
    found = estimate_from_device(
        PROFILE, load_spec("meta-llama/Llama-3.1-8B-Instruct"), prompt_tokens=512, output_tokens=2
    )
    attention = 32 * 512 * 512 * 32 * 128 * 1e-11
    assert found.ttft_s == pytest.approx(71.468 + 0.105 + 0.0037 + attention, rel=1e-3)
    assert found.e2e_s == pytest.approx(found.ttft_s + found.itl_s)


def test_a_mixture_reads_the_experts_it_touches() -> None:
    """Mixtral: one token touches 2 of 8 experts of three 4096 x 14336 matrices in each of 32 layers."""
    spec = load_spec("mistralai/Mixtral-8x7B-Instruct-v0.1")
    one = step_seconds(PROFILE, spec, batch=1, tokens=1, context=1)["products"]
    experts = 32 * 2 * 3 * 4096 * 14336 * 2e-10
    attention = 32 * (2 * 4096 * 4096 + 2 * 1024 * 4096) * 2e-10
    assert one == pytest.approx(experts + attention, rel=0.01)  # the router adds 0.002 %


def test_layers_the_benchmark_does_not_time_are_refused() -> None:
    with pytest.raises(Refusal, match="no recurrent layers and no latent attention"):
        estimate_from_device(PROFILE, load_spec("deepseek-ai/DeepSeek-V3"), prompt_tokens=8, output_tokens=8)


def test_launches_are_what_products_and_attention_leave_of_a_real_layer() -> None:
    """A step 0.6 ms longer than its parts has 0.6 ms of launches; never fewer than a layer has alone."""
    layer = load_spec("meta-llama/Llama-3.1-8B-Instruct")
    one = step_seconds(PROFILE, layer, batch=1, tokens=1, context=16)
    work = sum(one.values()) - one["launches"] - one["head"]
    assert calibrated(PROFILE, layer, work + 6e-4, 0.0).layer_s == pytest.approx(6e-4)
    assert calibrated(PROFILE, layer, work / 2, 0.0).layer_s == PROFILE.layer_alone_s


def test_a_model_that_fits_the_cache_launches_faster() -> None:
    """A layer of 4 x 256 x 256 + 3 x 256 x 688 weights: 1.6 MB in bf16, against the 16 GB of Llama 8B."""
    config = {"model_type": "llama", "hidden_size": 256, "intermediate_size": 688, "num_attention_heads": 4}
    small = parse_config(
        config | {"num_hidden_layers": 1, "vocab_size": 64}, model_id="small", source=SpecSource.FILE, source_note=""
    )
    assert step_seconds(PROFILE, small, batch=1, tokens=1, context=1)["launches"] == pytest.approx(5e-4 + 5e-5)


def test_a_disturbed_reference_does_not_run_away() -> None:
    layer = load_spec("meta-llama/Llama-3.1-8B-Instruct")
    busy = replace(PROFILE, norm_s_per_element=1e-9, gate_s_per_element=1e-9)
    assert calibrated(busy, layer, 0.0, 1e6).norm_s_per_element == pytest.approx(8e-9)
    assert calibrated(busy, layer, 0.0, 0.0).norm_s_per_element == pytest.approx(1e-9)


JOB = DeviceJob(
    model="meta-llama/Llama-3.1-8B-Instruct",
    config=load_config("meta-llama/Llama-3.1-8B-Instruct"),
    weights=Weights.BF16,
    prompt_tokens=128,
    output_tokens=64,
)


def test_a_job_survives_the_pipe() -> None:
    assert from_json(JOB.to_json()) == JOB


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"prompt_tokens": 0}, "prompt"),
        ({"output_tokens": 1}, "output"),
        ({"batch": 10**6}, "concurrency"),
        ({"weights": Weights.FP8}, "weights"),
        ({"device": "cuda:x"}, "device"),
        ({"device": "/dev/mem"}, "device"),
        ({"seconds": 0.0}, "seconds"),
        ({"seconds": float("nan")}, "seconds"),
        ({"layers": 1}, "layers"),
        ({"config": {"x": "y" * (2 << 20)}}, "model"),
    ],
)
def test_jobs_that_cannot_be_measured_are_refused_by_field(change: dict[str, object], field: str) -> None:
    with pytest.raises(Refusal) as refusal:
        check(replace(JOB, **change))  # type: ignore[arg-type]
    assert refusal.value.field == field


def test_a_shallow_config_is_shallow_everywhere() -> None:
    config = {"num_hidden_layers": 4, "layer_types": ["full", "sliding"] * 2, "eos_token_id": [1, 2], "hidden_size": 8}
    shallow = runnable_config(config, 2)
    assert shallow == {
        "num_hidden_layers": 2,
        "layer_types": ["full", "sliding"],
        "eos_token_id": [1, 2],
        "hidden_size": 8,
    }
    assert total_layers(config) == 4


def test_a_config_brings_no_code_and_no_quantization() -> None:
    config = {"num_hidden_layers": 4, "auto_map": {"AutoModel": "evil.py"}, "quantization_config": {"bits": 4}}
    assert runnable_config(config, None) == {"num_hidden_layers": 4}
    kernels = {"_attn_implementation": "acme/kernel", "attn_implementation": "acme/kernel", "use_kernels": True}
    assert runnable_config({"num_hidden_layers": 4} | kernels, None) == {"num_hidden_layers": 4}
    assert runnable_config({"text_config": {"model_type": "t", "num_hidden_layers": 3}, "vision": 1}, None) == {
        "model_type": "t",
        "num_hidden_layers": 3,
    }


def test_timed_matrices_are_read_from_memory_and_not_from_a_cache() -> None:
    """16 Mi bf16 elements are 32 MiB: two of them for a CPU, eight for a GPU; of the smallest 64 are enough."""
    assert CPU_GRID.pool(4096 * 4096, 2) == 2
    assert GPU_GRID.pool(4096 * 4096, 2) == 8
    assert CPU_GRID.pool(64 * 64, 2) == 64
    assert CPU_GRID.pool(8192 * 8192, 4) == 1


@pytest.mark.parametrize("grid", [CPU_GRID, GPU_GRID], ids=["cpu", "gpu"])
def test_every_matrix_is_timed_for_one_token_and_the_largest_for_a_prompt(grid: Grid) -> None:
    sizes = [out * inner for out, inner in grid.shapes]
    assert grid.tokens[0] == 1
    assert 128 * max(sizes) <= grid.most_work


def test_a_case_needs_its_weights_and_its_cache() -> None:
    """Llama-3.1-8B in bf16: 16,060,522,496 B, and 1,024 tokens x 131,072 B."""
    job = replace(JOB, prompt_tokens=1000, output_tokens=24)
    assert needed_bytes(job) == 16_060_522_496 + 1024 * 131_072


def test_a_shallow_case_needs_its_share() -> None:
    """16 of 32 layers: the embeddings and head (2 x 525,336,576 x 2 B) and norm stay, the rest halves."""
    job = replace(JOB, prompt_tokens=1000, output_tokens=24, layers=16)
    outside = 2 * 525_336_576 * 2 + 4096 * 2
    assert needed_bytes(job) == outside + (16_060_522_496 - outside + 1024 * 131_072) // 2


def test_what_does_not_fit_is_refused_before_it_is_built() -> None:
    refuse_too_big(10, 10, None)
    refuse_too_big(None, 10, None)
    with pytest.raises(Refusal, match=r"needs 15.0 GiB and the device has 14.0 GiB free.*fewer layers"):
        refuse_too_big(15 << 30, 14 << 30, None)
