"""Speed of a replica: published cases, the physics no estimate may break, and loads pushed to their edges."""

import math
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimators.fitting.latency_cases import stack
from estimators.hardware.catalogue import accelerators, find_accelerator
from estimators.latency import curve, model
from estimators.latency.calibration import FAMILIES, SLOTTED, case_context, case_rates, constants, value
from estimators.latency.estimate import Interval
from estimators.latency.intervals import find_spread
from estimators.latency.physical_floor import physical_floor
from estimators.latency.plan import ReplicaPlan, resolve
from estimators.latency.serving import Request
from estimators.latency.sharding import build_shard
from estimators.latency.step import Rates, Step
from estimators.memory import estimate_memory
from estimators.precision import Weights
from estimators.provenance import Refusal
from estimators.workload import Engine, EngineSettings, Load, Placement, Workload
from tests.latency_cases import LLAMA, ONE_GPU, arrivals, at_maximum, estimate, precision_of, workload

GRANITE = "ibm-granite/granite-3.1-8b-instruct"
VLLM_V0 = EngineSettings(engine=Engine.VLLM, version="0.6.6")


@pytest.mark.parametrize(("weights", "published"), [(Weights.BF16, 3.4), (Weights.INT4, 1.5)])
def test_granite_on_an_a6000_as_its_model_card_prints_it(weights: Weights, published: float) -> None:
    """RedHatAI Granite 3.1 8B card: 1024 in, 128 out, one RTX A6000, vLLM 0.6.6: 3.4 s in BF16, 1.5 s in INT4."""
    found = estimate(workload(1024, 128), GRANITE, weights, "A6000", settings=VLLM_V0)
    assert found.e2e_s.value == pytest.approx(published, rel=0.10)
    assert found.e2e_s.low <= published <= found.e2e_s.high


@pytest.mark.parametrize("gpu", ["T4", "A10G", "L4", "L40S", "A100-40GB", "H100", "H200", "B200", "MI300X"])
@pytest.mark.parametrize("weights", [Weights.BF16, Weights.FP8, Weights.INT8, Weights.INT4])
def test_no_estimate_and_no_interval_passes_the_physical_floor(gpu: str, weights: Weights) -> None:
    precision, accelerator = precision_of(LLAMA, weights), find_accelerator(gpu)
    shard = build_shard(precision, accelerator, Placement())
    floor = physical_floor(shard, Request(prompt=1024.0, cached=0.0, output=128.0))
    found = estimate(workload(1024, 128), weights=weights, gpu=gpu)
    assert found.ttft_s.low >= floor.ttft_s
    assert found.tpot_s.low >= floor.tpot_s
    assert found.e2e_s.low >= floor.e2e_s


def test_the_floor_of_llama_on_an_h100_by_hand() -> None:
    """Weights a token reads: 8,030,261,248 less the embedding's 128256 x 4096, 2 bytes each, over 3.35 TB/s."""
    shard = build_shard(precision_of(LLAMA), find_accelerator("H100"), Placement())
    floor = physical_floor(shard, Request(prompt=1024.0, cached=0.0, output=1.0))
    read = 2 * (8_030_261_248 - 128_256 * 4096)
    assert floor.tpot_s == pytest.approx(read / 3.35e12, rel=1e-3)
    assert floor.ttft_s == pytest.approx(1024 * 2 * 6.98e9 / 989e12, rel=0.01)


@settings(max_examples=25)
@given(
    prompt=st.integers(16, 8000),
    output=st.integers(2, 2000),
    gpu=st.sampled_from(["A10G", "L4", "H100", "B200"]),
    concurrency=st.sampled_from([1, 3, 17, 64]),
)
def test_longer_requests_take_longer_and_intervals_hold_their_value(
    prompt: int, output: int, gpu: str, concurrency: int
) -> None:
    found = estimate(workload(prompt, output, concurrency), gpu=gpu)
    longer = estimate(workload(prompt, output + 500, concurrency), gpu=gpu)
    assert longer.e2e_s.value > found.e2e_s.value
    for interval in (found.ttft_s, found.tpot_s, found.e2e_s, found.output_tok_per_s, found.req_per_s):
        assert 0.0 < interval.low <= interval.value <= interval.high < math.inf
    assert found.ttft_p95_s >= found.ttft_s.value
    assert found.tpot_p95_s >= found.tpot_s.value
    assert found.e2e_p95_s >= found.e2e_s.value


def test_a_closed_population_obeys_littles_law() -> None:
    found = estimate(workload(1024, 256, 32))
    assert found.req_per_s.value * found.e2e_s.value == pytest.approx(32, rel=0.01)
    assert found.output_tok_per_s.value == pytest.approx(256 * found.req_per_s.value)


def test_more_in_flight_means_more_throughput_and_slower_tokens() -> None:
    estimates = [estimate(workload(1024, 256, n)) for n in (1, 4, 16, 64)]
    rates = [e.output_tok_per_s.value for e in estimates]
    tokens = [e.tpot_s.value for e in estimates]
    assert rates == sorted(rates)
    assert tokens == sorted(tokens)


def test_fewer_bits_decode_faster_where_bandwidth_binds() -> None:
    tpot = {w: estimate(workload(), weights=w, gpu="A10G").tpot_s.value for w in (Weights.BF16, Weights.INT4)}
    assert 0.25 < tpot[Weights.INT4] / tpot[Weights.BF16] < 0.55


def test_fp8_without_fp8_units_saves_bandwidth_but_no_arithmetic() -> None:
    wide = estimate(workload(4096, 128), gpu="A100-80GB")
    narrow = estimate(workload(4096, 128), weights=Weights.FP8, gpu="A100-80GB")
    assert narrow.tpot_s.value < 0.8 * wide.tpot_s.value
    assert narrow.ttft_s.value > 0.9 * wide.ttft_s.value
    assert any("16 bits" in note for note in narrow.notes)


def test_a_prefix_cache_hit_spares_its_prefill() -> None:
    cold = estimate(workload(8192, 64))
    warm = estimate(workload(8192, 64, prefix_share=0.9))
    assert warm.ttft_s.value < 0.4 * cold.ttft_s.value


def test_a_rate_above_what_the_replica_serves_is_said_to_saturate_it() -> None:
    calm, flooded = estimate(arrivals(0.5)), estimate(arrivals(500.0))
    assert not calm.saturated
    assert calm.req_per_s.value == pytest.approx(0.5)
    assert flooded.saturated
    assert flooded.req_per_s.value < 500.0
    assert any("replicas keep up" in note for note in flooded.notes)


def test_an_idle_server_under_poisson_arrivals_is_a_single_stream() -> None:
    alone, rare = estimate(workload()), estimate(arrivals(0.001))
    assert rare.e2e_s.value == pytest.approx(alone.e2e_s.value, rel=0.02)


def test_a_static_batch_larger_than_the_cache_runs_in_waves() -> None:
    few = estimate(workload(2048, 512, 8, load=Load.BATCH), gpu="A10G")
    many = estimate(workload(2048, 512, 200, load=Load.BATCH), gpu="A10G")
    assert many.e2e_s.value > 4 * few.e2e_s.value
    assert any("waves" in note for note in many.notes)


def test_maximum_throughput_is_near_that_of_a_full_server() -> None:
    most = estimate(at_maximum())
    full = estimate(workload(concurrency=300))
    assert 0.7 < most.output_tok_per_s.value / full.output_tok_per_s.value < 1.6


def test_pcie_makes_tensor_parallelism_cost_more_than_nvlink() -> None:
    two = Placement(tp=2)
    slow = [o for o in estimate(workload(), gpu="L40S", placement=two).decode_step if o.name == "collectives"]
    fast = [o for o in estimate(workload(), gpu="H100", placement=two).decode_step if o.name == "collectives"]
    assert slow[0].seconds > fast[0].seconds > 0.0
    assert slow[0].bound == "link"


def test_every_operator_says_what_bound_it() -> None:
    found = estimate(workload(4096, 128))
    assert {o.bound for o in found.decode_step} <= {"bandwidth", "compute", "link", "launch", "host"}
    decode = {o.name: o.bound for o in found.decode_step}
    prefill = {o.name: o.bound for o in found.prefill_step}
    assert decode["projections and dense layers"] == "bandwidth"
    assert prefill["projections and dense layers"] == "compute"


@pytest.mark.parametrize(
    ("load", "field"),
    [
        (workload(prompt=0), "prompt"),
        (workload(output=0), "output"),
        (workload(concurrency=0.0), "concurrency"),
        (arrivals(0.0), "rate"),
    ],
)
def test_loads_without_an_answer_are_refused_by_the_field_at_fault(load: Workload, field: str) -> None:
    with pytest.raises(Refusal) as refused:
        estimate(load)
    assert refused.value.field == field


def test_a_context_over_the_models_limit_is_said() -> None:
    found = estimate(workload(200_000, 128), gpu="H200")
    assert any("config allows" in note for note in found.notes)


def test_an_accelerator_without_peaks_is_refused() -> None:
    blank = next(name for name, a in accelerators().items() if a.flops_16bit is None)
    with pytest.raises(Refusal) as refused:
        build_shard(precision_of(LLAMA), accelerators()[blank], Placement())
    assert refused.value.field == "gpu"


def test_the_curve_rises_in_throughput_and_ends_where_requests_wait() -> None:
    precision, accelerator = precision_of(LLAMA), find_accelerator("A10G")
    load, placement, engine = workload(2048, 256), Placement(), EngineSettings()
    memory = estimate_memory(precision, accelerator, placement, load, engine)
    points = curve(precision, accelerator, placement, load, engine, memory)
    assert [p.concurrency for p in points] == sorted(p.concurrency for p in points)
    assert points[-1].waits_for_memory
    assert points[1].output_tok_per_s.value > points[0].output_tok_per_s.value


@given(st.integers(1, 8192), st.integers(1, 512), st.sampled_from([1.0, 4.0, 64.0]))
@settings(max_examples=25)
def test_no_range_says_a_request_may_end_before_its_first_token(prompt: int, output: int, in_flight: float) -> None:
    found = estimate(workload(prompt, output, in_flight))
    assert found.ttft_s.low <= found.e2e_s.low
    assert found.ttft_s.high <= found.e2e_s.high


def test_norms_over_all_heads_exchange_once_more_under_tensor_parallelism() -> None:
    """MiniMax-M2 has 62 layers: two all-reduces each, and one for the variance of its queries and keys."""
    four = Placement(tp=4)
    minimax = build_shard(precision_of("MiniMaxAI/MiniMax-M2"), find_accelerator("H200"), four)
    assert minimax.collectives == 62 * 3
    qwen = build_shard(precision_of("Qwen/Qwen3-8B"), find_accelerator("H200"), four)
    assert qwen.collectives == 36 * 2  # normed head by head
    assert qwen.collective_bytes == 72 * 2 * 3 / 4 * 2 * 4096


def test_a_cached_head_shared_by_more_query_heads_is_read_again_by_old_kernels() -> None:
    """Llama-2-7B caches every head; Llama-3.1-8B has 4 query heads to each of its 8 cached ones."""
    h100 = find_accelerator("H100")
    assert build_shard(precision_of("meta-llama/Llama-2-7b-hf"), h100, ONE_GPU).group == 1.0
    grouped = build_shard(precision_of(LLAMA), h100, ONE_GPU)
    assert grouped.group == 4.0
    context = case_context(h100, grouped, "vllm", "vllm-0.14", 1, False)
    once = replace(case_rates(context), regroup=0.0)
    again = replace(once, regroup=0.5)
    one, more = (Step(grouped, rates, prompts=False, context=4096.0).terms(64.0).cache for rates in (once, again))
    ratio = more / one
    assert ratio == pytest.approx(2.0, rel=0.02)  # 4 ** 0.5, where bandwidth binds


@pytest.mark.parametrize(
    "model", [LLAMA, "deepseek-ai/DeepSeek-R1", "MiniMaxAI/MiniMax-M2", "Qwen/Qwen2.5-7B-Instruct-AWQ"]
)
@pytest.mark.parametrize("gpu", ["H100", "L4", "MI300X", "T4"])
def test_rates_are_where_kernels_put_them_and_every_fitted_effect_that_names_the_case(model: str, gpu: str) -> None:
    shard = build_shard(precision_of(model), find_accelerator(gpu), Placement(tp=2))
    context = case_context(find_accelerator(gpu), shard, "vllm", "vllm-0.14", 2, False)
    rates, effects = case_rates(context), constants()
    for name, family in FAMILIES.items():
        for number, slot in enumerate(SLOTTED.get(name, (None,))):
            total = sum(effects.get(e, 0.0) for e in context.effects(family, None if slot is None else number))
            found = getattr(rates, f"{slot}_{name}" if slot else name)
            at = context.standing.families.get((name, None if slot is None else number), family.prior)
            assert found == pytest.approx(value(family, at, total))


def test_the_floor_of_many_requests_reads_the_cache_of_all_of_them() -> None:
    """Llama-3.1-8B in bf16: 15.009 GB of weights, 131,072 B a cached token; 64 requests of 1,088 on 3.35 TB/s."""
    shard = build_shard(precision_of(LLAMA, Weights.BF16), find_accelerator("H100"), ONE_GPU)
    asked = Request(prompt=1024.0, cached=0.0, output=128.0)
    alone, together = physical_floor(shard, asked), physical_floor(shard, asked, 64.0)
    assert together.tpot_s - alone.tpot_s == pytest.approx(63 * 1088 * 131_072 / 3.35e12, rel=1e-6)


@pytest.mark.parametrize("gpu", ["L4", "H100", "L40S"])
@pytest.mark.parametrize("weights", [Weights.BF16, Weights.FP8, Weights.INT4])
@pytest.mark.parametrize("in_flight", [2, 16, 64])
def test_no_range_under_load_passes_the_floor_of_that_load(gpu: str, weights: Weights, in_flight: int) -> None:
    found = estimate(workload(1024, 128, in_flight), weights=weights, gpu=gpu)
    shard = build_shard(precision_of(LLAMA, weights), find_accelerator(gpu), ONE_GPU)
    floor = physical_floor(shard, Request(prompt=1024.0, cached=0.0, output=128.0), found.running_requests)
    assert found.tpot_s.low >= floor.tpot_s * 0.999
    assert found.tpot_s.low < found.tpot_s.value < found.tpot_s.high


@pytest.mark.parametrize("weights", [Weights.BF16, Weights.FP8, Weights.INT8, Weights.INT4])
@pytest.mark.parametrize("in_flight", [1, 8, 25])
def test_ranges_of_a_request_and_of_its_parts_agree(weights: Weights, in_flight: int) -> None:
    found = estimate(workload(1024, 128, in_flight), weights=weights, gpu="L4")
    slowest = found.ttft_s.high + 127 * found.tpot_s.high
    fastest = found.ttft_s.low + 127 * found.tpot_s.low
    assert found.e2e_s.high <= slowest * 1.001
    assert found.e2e_s.low >= fastest * 0.999
    for figure in (found.ttft_s, found.tpot_s, found.e2e_s):
        assert figure.low < figure.value < figure.high


def replica(model: str, gpu: str = "H100", tp: int = 1) -> ReplicaPlan:
    precision, accelerator, placement = precision_of(model), find_accelerator(gpu), Placement(tp=tp)
    load = workload(concurrency=16.0)
    memory = estimate_memory(precision, accelerator, placement, load, EngineSettings())
    return resolve(precision, accelerator, placement, load, EngineSettings(), memory)


def test_a_server_answers_the_same_whatever_it_was_asked_before() -> None:
    server = replica(LLAMA).server
    before = server.closed(64.0), server.maximum(), server.arrivals(2.0)
    assert (server.closed(64.0), server.maximum(), server.arrivals(2.0)) == before


def test_the_operators_of_a_step_add_up_to_it() -> None:
    plan = replica("openai/gpt-oss-20b")
    step = Step(plan.shard, plan.server.rates, prompts=False, context=1088.0)
    assert step.terms(16.0).total == step.seconds(16.0)
    found = estimate(workload(concurrency=1.0), "openai/gpt-oss-20b")
    by_hand = sum(operator.seconds for operator in found.decode_step)
    assert by_hand == pytest.approx(found.tpot_s.value, rel=1e-3)  # alone, every token is one such step


@pytest.mark.parametrize("prompts", [False, True])
def test_many_cases_at_once_are_timed_as_each_alone(prompts: bool) -> None:
    """A dense model, one with experts and windows, and one left partly in 16 bits: what one lacks another has."""
    plans = [replica(model) for model in (LLAMA, "openai/gpt-oss-20b", "Qwen/Qwen2.5-7B-Instruct-AWQ")]
    shards, rates = [plan.shard for plan in plans], [plan.server.rates for plan in plans]
    columns = {f.name: np.array([getattr(rate, f.name) for rate in rates]) for f in fields(Rates)}
    lengths = {"prompts": prompts, "context": 1088.0, "prompt_context": 512.0, "verified": 4.0, "eager": 1.0}
    together = Step(stack(shards), Rates(**columns), minimum=np.minimum, **lengths)
    alone = [Step(shard, rate, **lengths) for shard, rate in zip(shards, rates, strict=True)]
    prefill = 2048.0 if prompts else 0.0
    assert together.seconds(16.0, prefill) == pytest.approx([step.seconds(16.0, prefill) for step in alone], rel=1e-12)


def within(value: float, low: float, high: float) -> Interval:
    return Interval(value=value, low=low, high=high)


def accord(ttft: Interval, tpot: Interval, e2e: Interval, steps: float, least: float) -> list[tuple[float, float]]:
    return [pytest.approx((found.low, found.high)) for found in model._in_accord(ttft, tpot, e2e, steps, least)]


def test_a_request_ends_no_earlier_than_its_first_token_at_either_end() -> None:
    """Ten steps of 20 ms are a fifth of a second: mostly prefill. The first token's low end comes down to the
    request's, the request's high end goes up to the first token's, and the time per token is left alone."""
    found = accord(within(0.8, 0.5, 1.3), within(0.02, 0.018, 0.022), within(1.0, 0.4, 1.2), 10, 0.0)
    assert found == [(0.4, 1.3), (0.018, 0.022), (0.4, 1.3)]


def test_where_most_of_it_is_decoding_a_tokens_range_reaches_as_far_as_the_requests() -> None:
    """100 steps of 20 ms of 2.5 s: (3.1 - 0.6) / 100 = 25 ms at the slow end, (2.0 - 0.4) / 100 = 16 ms at the fast."""
    found = accord(within(0.5, 0.4, 0.6), within(0.02, 0.019, 0.021), within(2.5, 2.0, 3.1), 100, 0.0)
    assert found == [(0.4, 0.6), (0.016, 0.025), (2.0, 3.1)]


def test_a_tokens_range_that_reaches_further_stays_and_stops_at_the_floor() -> None:
    """The slow end, 30 ms, is past 25 ms; the fast one would be (1.8 - 0.4) / 100 = 14 ms, but none is under 16 ms, so
    that the request takes 0.4 + 100 x 0.016 = 2.0 s at least."""
    found = accord(within(0.5, 0.4, 0.6), within(0.02, 0.017, 0.030), within(2.5, 1.8, 3.1), 100, 0.016)
    assert found == [(0.4, 0.6), (0.016, 0.030), (2.0, 3.1)]


@pytest.mark.parametrize("load", [workload(concurrency=16), workload(concurrency=16, load=Load.BATCH)])
def test_what_is_in_flight_is_given_so_throughput_is_low_where_a_request_is_slow(load: Workload) -> None:
    found = estimate(load)
    requests, e2e = found.req_per_s, found.e2e_s
    assert requests.low < requests.value < requests.high
    assert requests.low * e2e.high == pytest.approx(requests.value * e2e.value)
    assert requests.high * e2e.low == pytest.approx(requests.value * e2e.value)


def test_what_arrives_is_served_whatever_the_speed() -> None:
    found = estimate(arrivals(2.0)).req_per_s
    assert (found.low, found.value, found.high) == (2.0, 2.0, 2.0)


def test_the_range_of_a_maximum_is_that_of_measured_maxima() -> None:
    """On a measured chip, products in 16 bits: from e^q10 to e^q90 of the estimate."""
    found, spread = estimate(at_maximum()).req_per_s, find_spread("max_throughput", "throughput", "cell", "16bit")
    assert (found.low / found.value, found.high / found.value) == pytest.approx(
        (math.exp(spread.low), math.exp(spread.high))
    )


@pytest.mark.parametrize("load", [workload(1024, 128, 16), arrivals(2.0, 1024, 128), at_maximum(1024, 128)])
def test_tokens_a_second_are_requests_a_second_times_their_output_at_each_end(load: Workload) -> None:
    found = estimate(load)
    tokens, requests = found.output_tok_per_s, found.req_per_s
    assert (tokens.low, tokens.value, tokens.high) == pytest.approx(
        (128 * requests.low, 128 * requests.value, 128 * requests.high)
    )


@pytest.mark.parametrize("load", [workload(1024, 128, 1), workload(1024, 128, 24), arrivals(3.0, 1024, 128)])
def test_the_upper_ends_plans_are_told_apart_by_are_those_of_the_estimate(load: Workload) -> None:
    precision, chip = precision_of(LLAMA), find_accelerator("L40S")
    memory = estimate_memory(precision, chip, ONE_GPU, load, EngineSettings())
    plan = resolve(precision, chip, ONE_GPU, load, EngineSettings(), memory)
    found = estimate(load, gpu="L40S")
    means = (found.ttft_s.value, found.tpot_s.value, found.e2e_s.value)
    highs = model.spread_highs(plan, chip, model.kind_of(load))
    assert model.upper_factors(highs, means, 128.0) == pytest.approx(
        tuple(time.high / time.value for time in (found.ttft_s, found.tpot_s, found.e2e_s))
    )


def test_a_point_of_the_curve_is_the_estimate_at_its_load_at_every_end() -> None:
    precision, chip, load = precision_of(LLAMA), find_accelerator("L40S"), workload(1024, 128, 1)
    memory = estimate_memory(precision, chip, ONE_GPU, load, EngineSettings())
    points = curve(precision, chip, ONE_GPU, load, EngineSettings(), memory, (1, 16))
    for point in points:
        alone = estimate(workload(1024, 128, point.concurrency), gpu="L40S")
        for name in ("ttft_s", "tpot_s", "e2e_s", "output_tok_per_s", "req_per_s"):
            here, there = getattr(point, name), getattr(alone, name)
            assert (here.low, here.value, here.high) == pytest.approx((there.low, there.value, there.high), rel=1e-3)


def test_a_saturated_replica_says_how_many_keep_up_at_nine_tenths_of_what_each_serves() -> None:
    """Ten times what one serves, over 0.9 of it: 11.1, so 12 replicas."""
    most = estimate(arrivals(1e6)).req_per_s.value
    assert any("12 replicas keep up" in note for note in estimate(arrivals(10 * most)).notes)
