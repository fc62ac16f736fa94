"""The engine's own terms, each beside a figure a server logged."""

import pytest

from estimators.architecture.catalogue import load_spec
from estimators.hardware.catalogue import find_accelerator
from estimators.memory import activations, estimate_memory
from estimators.memory.engine import Running, start
from estimators.memory.weights import stage_weights
from estimators.precision import KvPrecision, Weights, resolve_precision
from estimators.workload import EngineSettings, Placement, Workload

GIB = 2**30


def running(gpu: str, version: str, max_model_len: int = 8192, max_num_seqs: int | None = None) -> Running:
    accelerator = find_accelerator(gpu)
    settings = EngineSettings(version=version, max_num_seqs=max_num_seqs)
    return start(settings, accelerator, accelerator.memory_bytes, max_model_len)


def peak(model: str, engine: Running, placement: Placement, weights: Weights = Weights.AS_PUBLISHED) -> float:
    precision = resolve_precision(load_spec(model), weights)
    stage = stage_weights(precision, placement, serving=True)[-1]
    return activations.activation_bytes(precision, placement, engine, stage) / GIB


@pytest.mark.parametrize(
    ("model", "version", "tp", "logged"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", "0.19.0", 1, 1.89),
        ("meta-llama/Llama-3.1-8B-Instruct", "0.19.0", 4, 1.89),  # the sampler is not split
        ("Qwen/Qwen2.5-72B-Instruct", "0.19.0", 2, 2.29),
        ("google/gemma-2-27b", "0.19.0", 1, 3.66),
        ("Qwen/Qwen3-30B-A3B", "0.19.0", 1, 2.68),  # with the experts' work space
        ("NousResearch/Llama-2-7b-hf", "0.19.0", 1, 0.77),  # CodeLlama: a small vocabulary, so a layer decides
        ("Qwen/Qwen3-32B", "0.11.0", 2, 5.64),
        ("openai/gpt-oss-20b", "0.11.0", 1, 7.38),
        ("meta-llama/Meta-Llama-3-8B", "0.6.5", 1, 1.26),
    ],
)
def test_activation_peak_as_vllm_logged_it(model: str, version: str, tp: int, logged: float) -> None:
    assert peak(model, running("H100", version), Placement(tp=tp)) == pytest.approx(logged, rel=0.12)


def test_float32_samples_in_wider_copies() -> None:
    # vLLM 0.19 logged 2.21 GiB for Llama-3.1-8B with --dtype float32
    model = "meta-llama/Llama-3.1-8B-Instruct"
    assert peak(model, running("H100", "0.19.0"), Placement(), Weights.FP32) == pytest.approx(2.21, rel=0.05)


def test_fewer_requests_sample_fewer_logits() -> None:
    model = "Qwen/Qwen3-8B"
    sizes = [peak(model, running("H100", "0.19.0", max_num_seqs=seqs), Placement()) for seqs in (1024, 512, 256)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > sizes[2]


def test_communication_buffers_appear_with_tensor_parallelism() -> None:
    newest = running("H100", "0.19.0")
    one, two, four = (activations.non_torch_bytes(newest, Placement(tp=tp)) / GIB for tp in (1, 2, 4))
    assert one == pytest.approx(0.26, abs=0.03)
    assert two == pytest.approx(2.07, abs=0.05)
    assert four == pytest.approx(2.17, abs=0.05)


def test_adapters_take_r_times_in_plus_out() -> None:
    # Llama-3.1-8B, r 16: 16 x (8192 + 5120 + 5120 + 8192 + 3 x 18432) a layer, 32 layers, 2 bytes
    llama = resolve_precision(load_spec("meta-llama/Llama-3.1-8B-Instruct"))
    one = activations.adapter_bytes(llama, Placement(), 16, 1)
    assert one == 41_943_040 * 2
    assert activations.adapter_bytes(llama, Placement(), 16, 4) == 4 * one
    assert activations.adapter_bytes(llama, Placement(), 12, 1) == one  # buffers come in ranks of 8, 16, 32 ...
    assert activations.adapter_bytes(llama, Placement(), 16, 0) == 0
    assert one / 2 < activations.adapter_bytes(llama, Placement(tp=2), 16, 1) < one


def test_graphs_grow_with_layers() -> None:
    engine = running("H100", "0.19.0")
    small, large = (
        stage_weights(resolve_precision(load_spec(model)), Placement(tp=2), serving=True)[0]
        for model in ("meta-llama/Llama-3.2-1B-Instruct", "meta-llama/Llama-3.3-70B-Instruct")
    )
    assert activations.graph_bytes(engine, small) < activations.graph_bytes(engine, large)
    assert activations.graph_bytes(engine, large) / GIB == pytest.approx(1.7, abs=0.4)  # logged 1.66-1.85


@pytest.mark.parametrize(
    ("version", "kv", "reserved"),
    [
        ("0.28.0", KvPrecision.FP8, 5 * 81_920 * 576 * 2),
        ("0.28.0", KvPrecision.BF16, 0),
        ("0.11.0", KvPrecision.FP8, 0),
    ],
)
def test_sparse_latent_attention_reserves_rows_for_the_longest_context(
    version: str, kv: KvPrecision, reserved: int
) -> None:
    """vLLM, flashmla_sparse.py: 5 x max_model_len x 576 x 2 bytes beside an FP8 cache, 900 MB at 163,840."""

    def activation(longest: int) -> int:
        settings = EngineSettings(version=version, batched_tokens=512, max_num_seqs=16, max_model_len=longest)
        precision = resolve_precision(load_spec("zai-org/GLM-5.2"), Weights.FP8, kv=kv)
        load = Workload(prompt_tokens=1024, output_tokens=128)
        memory = estimate_memory(precision, find_accelerator("H200"), Placement(tp=8), load, settings)
        return memory.activation_bytes_per_gpu

    assert activation(163_840) - activation(81_920) == reserved
