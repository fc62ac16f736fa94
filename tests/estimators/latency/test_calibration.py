"""What the fitted effects of a case depend on."""

from dataclasses import replace

import pytest

from estimators.hardware.catalogue import find_accelerator
from estimators.latency.calibration import case_context, case_rates
from estimators.latency.operators import Place, find_operator
from estimators.latency.plan import in_process
from estimators.latency.sharding import shard_of
from estimators.latency.step import Rates, Step
from estimators.precision import Method, Weights, resolve_precision
from estimators.provenance import Refusal
from estimators.workload import Engine, Load, Placement, Workload
from tests.latency_cases import LLAMA, ONE_GPU, precision_of

LLAMA_2 = "meta-llama/Llama-2-7b-hf"  # 32 layers of 32 heads, all of them cached; 128 dense products a pass


def generating(weights: Weights = Weights.BF16, method: Method = Method.AUTO) -> Rates:
    """Rates of generate() on an A100, Llama-2-7B."""
    a100 = find_accelerator("A100-80GB")
    shard = shard_of(resolve_precision(precision_of(LLAMA_2).spec, weights, method), a100, ONE_GPU)
    return case_rates(case_context(a100, shard, "transformers", "transformers", 1, True))


def test_a_chip_of_a_class_nobody_measured_stands_where_its_memory_does() -> None:
    """A later NVIDIA chip with stacked memory is not taken for one with graphics memory."""
    h100 = find_accelerator("H100")
    shard = shard_of(precision_of(LLAMA), h100, ONE_GPU)
    later = replace(h100, name="R100", compute_capability="11.0", architecture="Rubin")
    context = case_context(later, shard, "vllm", "vllm-0.14", 1, False)
    assert dict(context.labels)["class"] == "sm11.0"
    hbm = Place(chip="", chip_class="", memory_kind="hbm", engine="vllm")
    assert context.standing.fixed["cache_start"] == find_operator("cache", "16bit", hbm).start_s


def test_a_kind_of_memory_nobody_measured_is_refused_with_what_to_add() -> None:
    inferentia = find_accelerator("Inferentia")
    shard = shard_of(precision_of(LLAMA), inferentia, ONE_GPU)
    with pytest.raises(Refusal, match="'ddr' memory") as refusal:
        case_context(inferentia, shard, "neuron", "neuron", 1, False)
    assert refusal.value.field == "gpu"
    assert "measured rows" in refusal.value.remedy


@pytest.mark.parametrize(("model", "times"), [(LLAMA_2, 3.0), (LLAMA, 11.0)])
def test_generate_copies_the_cache_and_repeats_shared_heads_in_memory(model: str, times: float) -> None:
    """Each step reads and writes the cache, then reads it: three times. Of Llama-3.1 it also writes each cached head
    once per query head, four times, and reads that instead: 2 + 1 + 4 + 4."""
    shard = shard_of(precision_of(model), find_accelerator("A100-80GB"), ONE_GPU)
    rates = replace(generating(), cache_start=0.0, regroup=0.0)
    copied, read = (
        Step(shard, replace(rates, copying=copying), prompts=False, context=4096.0).terms(64.0).cache
        for copying in (1.0, 0.0)
    )
    assert rates.copying == 1.0
    assert copied / read == pytest.approx(times, rel=0.01)


def test_nf4_weights_are_widened_in_memory_for_more_than_one_token() -> None:
    """6.476 G elements of layers: 2 bytes each written and read again, 25.9 GB, at the share products reach."""
    a100 = find_accelerator("A100-80GB")
    shard = shard_of(resolve_precision(precision_of(LLAMA_2).spec, Weights.NF4), a100, ONE_GPU)
    rates = case_rates(case_context(a100, shard, "transformers", "transformers", 1, True))
    step, kept = (Step(shard, replace(rates, widened=extra), prompts=False) for extra in (rates.widened, 0.0))
    more = step.terms(2.0).linear - kept.terms(2.0).linear
    assert more == pytest.approx(25.9e9 / (2.039e12 * rates.linear_memory), rel=1e-2)
    assert step.terms(1.0).linear == kept.terms(1.0).linear


def test_llm_int8_calls_eight_kernels_for_a_product_and_a_served_engine_one() -> None:
    """128 products a pass: 7 x 128 launches more."""
    rates = generating(Weights.INT8, Method.BNB)
    assert rates.calls == 8.0
    shard = shard_of(precision_of(LLAMA_2), find_accelerator("A100-80GB"), ONE_GPU)
    called, once = (
        Step(shard, replace(rates, calls=calls), prompts=False, eager=1.0).launches4 ** 0.25 for calls in (8.0, 1.0)
    )
    assert called - once == pytest.approx(7 * 128 * rates.eager_s)
    served = case_rates(case_context(find_accelerator("A100-80GB"), shard, "vllm", "vllm-0.14", 1, False))
    assert (served.calls, served.widened, served.copying) == (1.0, 0.0, 0.0)


def test_old_vllm_on_amd_reads_a_shared_head_once_per_query_head() -> None:
    """Its times on MI300X go with layers times query heads, whatever is cached; on NVIDIA a cache catches the rest."""
    mi300x = find_accelerator("MI300X")
    shard = shard_of(precision_of(LLAMA), mi300x, ONE_GPU)
    old, new = (
        case_rates(case_context(mi300x, shard, "vllm", era, 1, True)).regroup for era in ("vllm-0.5", "vllm-0.14")
    )
    assert old > 0.9
    assert new < 0.1


def test_an_all_reduce_over_pcie_goes_by_what_such_boards_reach_not_by_the_chip() -> None:
    """Eight L40S were timed at 6 % of their link and eight RTX PRO 6000 at 36 %, of hosts without and with a way
    between sockets; an A100 on PCIe is like either, and not like one on NVLink."""
    found = {
        name: find_operator(
            "all_reduce", "8", Place(chip=name, chip_class=c, memory_kind=m, engine="vllm", link="pcie")
        )
        for name, c, m in (("L40S", "sm8.9", "gddr"), ("A100-80GB-PCIe", "sm8.0", "hbm"))
    }
    assert found["L40S"] == found["A100-80GB-PCIe"]
    assert 0.06 < found["L40S"].memory < 0.36


@pytest.mark.parametrize(
    ("gpu", "gpus", "gb_per_s"),
    [
        ("A100-80GB-PCIe", 2, 300.0),  # the bridge joins a pair
        ("A100-80GB-PCIe", 4, 32.0),  # the pairs meet over PCIe Gen4 x16
        ("H100-NVL", 4, 64.0),  # and Gen5
        ("RTX A6000", 4, 32.0),
        ("A100-80GB-SXM4", 4, 300.0),
        ("H100-SXM5", 8, 450.0),
        ("H100-SXM5", 16, 50.0),  # two machines, 400 Gbit/s a GPU
        ("L4", 16, 32.0),  # never faster than within one machine
        ("GB200", 16, 900.0),  # a rack is one
        ("RTX 6000 Ada", 2, 16.0),  # no link in its row
    ],
)
def test_a_bridge_joins_two_and_a_machine_eight(gpu: str, gpus: int, gb_per_s: float) -> None:
    """One way. Llama 3.1 70B on eight A100 over PCIe moves 11 GB/s through prompts of 2,048 (TensorRT-LLM 0.14)."""
    shard = shard_of(precision_of(LLAMA), find_accelerator(gpu), Placement(tp=gpus))
    assert shard.link == gb_per_s * 1e9


def test_a_batch_and_generate_have_no_server_in_front() -> None:
    one = Workload(prompt_tokens=16, output_tokens=16, concurrency=1)
    assert not in_process(Engine.VLLM, one)
    assert in_process(Engine.TRANSFORMERS, one)
    assert in_process(Engine.VLLM, replace(one, load=Load.BATCH, concurrency=8))
    h100 = find_accelerator("H100")
    shard = shard_of(precision_of(LLAMA), h100, ONE_GPU)
    served, alone = (
        case_rates(case_context(h100, shard, "vllm", "vllm-0.14", 1, offline)) for offline in (False, True)
    )
    assert alone.request_s < 0.3 * served.request_s
    assert alone.step_s < served.step_s
    assert alone.sequence_s < served.sequence_s
