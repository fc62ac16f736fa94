"""Which engine runs which precision on which accelerator."""

import pytest

from estimators.engines.support import kv_support, support
from estimators.hardware.catalogue import accelerators, find_accelerator
from estimators.precision import KvPrecision, Weights
from estimators.provenance import Refusal
from estimators.workload import Engine

FORMATS = [weights for weights in Weights if weights is not Weights.AS_PUBLISHED]


@pytest.mark.parametrize(
    ("gpu", "weights", "engine", "path"),
    [
        ("A100", Weights.FP8, Engine.VLLM, "weight-only"),  # Marlin W8A16
        ("A10G", Weights.FP8, Engine.VLLM, "weight-only"),
        ("L4", Weights.FP8, Engine.VLLM, "native"),
        ("H100", Weights.FP8, Engine.VLLM, "native"),
        ("H100", Weights.NVFP4, Engine.VLLM, "weight-only"),
        ("H100", Weights.MXFP4, Engine.VLLM, "weight-only"),
        ("B200", Weights.NVFP4, Engine.VLLM, "native"),
        ("A100", Weights.INT4, Engine.VLLM, "weight-only"),
        ("A100", Weights.INT8, Engine.VLLM, "native"),
        ("B200", Weights.INT8, Engine.VLLM, "none"),  # no INT8 W8A8 at compute capability 10
        ("T4", Weights.BF16, Engine.VLLM, "none"),
        ("T4", Weights.FP16, Engine.VLLM, "native"),
        ("T4", Weights.MXFP4, Engine.VLLM, "none"),
        ("MI300X", Weights.FP8, Engine.VLLM, "native"),
        ("MI300X", Weights.NVFP4, Engine.VLLM, "none"),
        ("MI355X", Weights.MXFP4, Engine.SGLANG, "native"),
        ("MI300X", Weights.BF16, Engine.TENSORRT_LLM, "none"),
        ("A100", Weights.FP8, Engine.TENSORRT_LLM, "none"),
        ("A100", Weights.FP8, Engine.TRANSFORMERS, "none"),
        ("T4", Weights.NF4, Engine.TRANSFORMERS, "weight-only"),
        ("Trainium2", Weights.BF16, Engine.VLLM, "native"),
        ("Trainium2", Weights.INT4, Engine.VLLM, "none"),
        ("Inferentia", Weights.FP16, Engine.VLLM, "none"),
        ("Radeon Pro V520", Weights.FP16, Engine.VLLM, "none"),
    ],
)
def test_path(gpu: str, weights: Weights, engine: Engine, path: str) -> None:
    answer = support(find_accelerator(gpu), weights, engine)
    assert answer.path == path
    assert answer.runs is (path != "none")


def test_volta_ran_until_vllm_0_14_and_never_int8_w8a8() -> None:
    v100 = find_accelerator("V100")
    assert support(v100, Weights.FP16, Engine.VLLM, "0.9.2").path == "native"
    assert "dropped" in support(v100, Weights.FP16, Engine.VLLM).reason
    assert not support(v100, Weights.FP16, Engine.VLLM, "0.31.0").runs
    assert not support(v100, Weights.INT8, Engine.VLLM, "0.9.2").runs
    assert not support(v100, Weights.BF16, Engine.VLLM, "0.9.2").runs


def test_a_published_bf16_checkpoint_loads_in_fp16_where_there_are_no_bf16_units() -> None:
    t4 = find_accelerator("T4")
    assert not support(t4, Weights.BF16, Engine.VLLM).runs
    as_it_is = support(t4, Weights.BF16, Engine.VLLM, published=True)
    assert as_it_is.path == "native"
    assert "float16" in as_it_is.reason
    assert kv_support(t4, KvPrecision.BF16, Engine.VLLM, published=True).runs
    assert not support(t4, Weights.BF16, Engine.TENSORRT_LLM, published=True).runs
    assert not support(find_accelerator("V100"), Weights.BF16, Engine.VLLM, published=True).runs  # dropped after 0.14
    assert support(find_accelerator("V100"), Weights.BF16, Engine.VLLM, "0.11.0", published=True).runs


def test_a_version_before_the_kernel_does_not_run() -> None:
    h100 = find_accelerator("H100")
    assert not support(h100, Weights.MXFP4, Engine.VLLM, "0.9.0").runs
    assert support(h100, Weights.MXFP4, Engine.VLLM, "v0.11.0").runs


def test_an_fp8_cache_needs_ampere_and_computes_from_ada() -> None:
    paths = {gpu: kv_support(find_accelerator(gpu), KvPrecision.FP8, Engine.VLLM).path for gpu in ("T4", "A100", "L4")}
    assert paths == {"T4": "none", "A100": "weight-only", "L4": "native"}
    assert not kv_support(find_accelerator("H100"), KvPrecision.FP8, Engine.TRANSFORMERS).runs


def test_what_does_not_run_says_why_and_on_whose_word() -> None:
    for accelerator in accelerators().values():
        for engine in Engine:
            for weights in FORMATS:
                answer = support(accelerator, weights, engine)
                assert answer.source
                assert answer.as_of, f"no row for {engine} {weights} {accelerator.architecture}"
                assert answer.runs or answer.reason


def test_unresolved_values_are_refused() -> None:
    with pytest.raises(Refusal, match="Resolve"):
        support(find_accelerator("H100"), Weights.AS_PUBLISHED, Engine.VLLM)
    with pytest.raises(Refusal, match="Resolve"):
        kv_support(find_accelerator("H100"), KvPrecision.AUTO, Engine.VLLM)
    with pytest.raises(Refusal, match="not a version") as refusal:
        support(find_accelerator("H100"), Weights.FP8, Engine.VLLM, "latest")
    assert refusal.value.field == "engine_version"
