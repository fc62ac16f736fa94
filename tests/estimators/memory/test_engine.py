"""Engines as they are started: defaults by version, accelerator and attention."""

import pytest

from estimators.hardware.catalogue import find_accelerator
from estimators.memory.engine import Running, start
from estimators.provenance import Refusal
from estimators.workload import Engine, EngineSettings


def started(gpu: str, max_model_len: int = 4096, *, mla: bool = False, **settings: object) -> Running:
    accelerator = find_accelerator(gpu)
    return start(EngineSettings(**settings), accelerator, accelerator.memory_bytes, max_model_len, mla=mla)


@pytest.mark.parametrize(
    ("gpu", "version", "utilization", "batched", "seqs"),
    [
        ("H100", None, 0.92, 8192, 1024),
        ("H100", "0.11.0", 0.90, 8192, 1024),
        ("A10G", None, 0.92, 2048, 256),
        ("A100-80GB", None, 0.92, 2048, 256),  # left out of vLLM's large tier by name
        ("B200", None, 0.92, 16384, 1024),
        ("B200", "0.27.0", 0.92, 8192, 1024),
        ("H100", "0.8.5", 0.90, 8192, 1024),
    ],
)
def test_vllm_defaults(gpu: str, version: str | None, utilization: float, batched: int, seqs: int) -> None:
    running = started(gpu, version=version)
    assert (running.utilization, running.batched_tokens, running.max_seqs) == (utilization, batched, seqs)


def test_the_first_engine_ran_whole_prompts_unless_they_were_long() -> None:
    assert started("A10G", 8192, version="0.6.4").batched_tokens == 8192
    assert started("A10G", 8192, version="0.6.4").samples
    assert started("A10G", 131_072, version="0.7.2").batched_tokens == 2048
    assert not started("A10G", 131_072, version="0.7.2").samples
    assert started("A10G", 131_072, version="0.8.0").samples  # the second engine samples while it profiles
    assert started("H200", 128_000, version="0.7.3", mla=True).batched_tokens == 128_000


def test_what_is_asked_for_is_what_runs() -> None:
    running = started("H100", memory_utilization=0.5, batched_tokens=1000, max_num_seqs=7)
    assert (running.utilization, running.batched_tokens, running.max_seqs) == (0.5, 1000, 7)


def test_a_load_above_the_schedulers_default_raises_it() -> None:
    h100 = find_accelerator("H100")
    assert start(EngineSettings(), h100, h100.memory_bytes, 4096, requests=2000).max_seqs == 2000
    assert start(EngineSettings(), h100, h100.memory_bytes, 4096, requests=2).max_seqs == 1024


@pytest.mark.parametrize("engine", list(Engine))
def test_every_constant_says_whose_word_it_is(engine: Engine) -> None:
    for constant in started("H100", engine=engine).constants.values():
        assert constant.source
        assert constant.as_of
        assert constant.as_of in constant.evidence


def test_engines_nobody_logged_say_whose_constants_they_borrow() -> None:
    assert "taken over from vLLM" in started("H100", engine=Engine.SGLANG).constants["sampler_copies"].evidence


@pytest.mark.parametrize(("gpu", "sampled"), [("H100", 1024), ("A100-80GB", 256), ("A10G", 256)])
def test_engines_nobody_logged_sample_for_as_many_requests_as_vllm(gpu: str, sampled: int) -> None:
    """SGLang schedules 4,096 requests, TensorRT-LLM 2,048; for how many their profiles hold logits nobody has seen."""
    assert started(gpu, engine=Engine.SGLANG).max_seqs == 4096
    assert started(gpu, engine=Engine.SGLANG).sampled_seqs == sampled
    assert started(gpu, engine=Engine.TENSORRT_LLM).max_seqs == 2048
    assert started(gpu, engine=Engine.TENSORRT_LLM).sampled_seqs == sampled
    assert started(gpu, engine=Engine.TENSORRT_LLM, max_num_seqs=7).sampled_seqs == 7


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"memory_utilization": 0.0}, "util"),
        ({"memory_utilization": 1.1}, "util"),
        ({"version": "newest"}, "engine_version"),
        ({"batched_tokens": -1}, "batched_tokens"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, object], field: str) -> None:
    with pytest.raises(Refusal) as refusal:
        started("H100", **settings)
    assert refusal.value.field == field
