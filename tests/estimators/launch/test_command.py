"""The command that starts a plan, and the sentence where there is none."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimators.architecture.catalogue import entries, load_config, load_spec
from estimators.architecture.parse import parse_config
from estimators.architecture.spec import SpecSource
from estimators.architecture.typical import spec_from_parameter_count
from estimators.hardware.catalogue import find_accelerator
from estimators.launch import Launch, launch
from estimators.launch.arguments import Listed, arguments_of
from estimators.launch.heads import heads
from estimators.precision import KvPrecision, Method, Weights, resolve_precision
from estimators.provenance import Refusal
from estimators.quality.checkpoints import checkpoints, published_checkpoints
from estimators.workload import Engine, EngineSettings, Load, Placement, Speculation, Workload

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
SHORT = Workload(prompt_tokens=1024, output_tokens=128, concurrency=8)


def started(
    model: str = LLAMA,
    weights: Weights = Weights.AS_PUBLISHED,
    *,
    gpu: str = "H100",
    placement: Placement = Placement(),  # noqa: B008
    load: Workload = SHORT,
    settings: EngineSettings = EngineSettings(),  # noqa: B008
    kv: KvPrecision = KvPrecision.AUTO,
) -> Launch:
    return launch(resolve_precision(load_spec(model), weights, kv=kv), find_accelerator(gpu), placement, load, settings)


def value(command: str, flag: str) -> str:
    words = shlex.split(command)
    return words[words.index(flag) + 1]


def drafting(method: str, tokens: int = 3, **fields: str) -> EngineSettings:
    return EngineSettings(speculation=Speculation(method=method, tokens=tokens, **fields))  # type: ignore[arg-type]


def test_it_realises_the_plan() -> None:
    found = started(
        "Qwen/Qwen3-30B-A3B",
        Weights.FP8,
        kv=KvPrecision.FP8,
        placement=Placement(tp=2, ep=2),
        load=Workload(prompt_tokens=1000, output_tokens=24),
        settings=EngineSettings(memory_utilization=0.9, lora_adapters=2, eager=True),
    )
    assert found.command == (
        "vllm serve Qwen/Qwen3-30B-A3B-FP8 --tensor-parallel-size 2 --enable-expert-parallel --max-model-len 1280 "
        "--gpu-memory-utilization 0.9 --max-num-batched-tokens 8192 --max-num-seqs 1024 --enforce-eager "
        "--kv-cache-dtype fp8 --enable-lora --max-loras 2 --max-lora-rank 16"
    )


def test_room_above_prompt_and_output_is_stated() -> None:
    """1,152 tokens get 256 more; 32,128 an eighth, 4,016, in pages of 16; beyond the model's context there is none."""
    short = started()
    assert value(short.command, "--max-model-len") == "1408"
    assert "--max-model-len leaves 256 tokens above the 1,152 of prompt and output." in short.notes
    long = started(load=replace(SHORT, prompt_tokens=32_000))
    assert value(long.command, "--max-model-len") == "36144"
    full = started("openai-community/gpt2", load=replace(SHORT, prompt_tokens=900, output_tokens=100))
    assert value(full.command, "--max-model-len") == "1024"


def test_the_longest_context_asked_for_is_what_it_says_and_what_its_memory_is_of() -> None:
    found = started(settings=EngineSettings(max_model_len=32_768))
    assert value(found.command, "--max-model-len") == "32768"
    assert found.max_model_len == 32_768
    assert any("the longest context asked for" in note for note in found.notes)
    assert found.memory is not None
    plain = started()
    assert plain.memory is not None
    assert (found.memory.kv_logged_concurrency or 0) < (plain.memory.kv_logged_concurrency or 0) / 20


def test_no_more_room_than_one_request_can_have() -> None:
    """On an L4 15.96 of 20.29 GiB are taken before any cache: 4.33 GiB hold 35,424 tokens of 128 KiB, no 36,000."""
    tight = Workload(prompt_tokens=31_000, output_tokens=1000, concurrency=1)
    found = started(gpu="L4", load=tight)
    assert value(found.command, "--max-model-len") == "32000"
    assert "--max-model-len is prompt and output exactly, 32,000 tokens: there is no room for more." in found.notes


def test_beyond_its_context_a_model_has_no_command() -> None:
    found = started("openai-community/gpt2", load=replace(SHORT, prompt_tokens=4000))
    assert found.command == ""
    assert found.why.startswith("4,128 tokens are more than the 1,024 the config of openai-community/gpt2 allows")


def test_a_count_alone_has_no_command() -> None:
    spec = spec_from_parameter_count(30e9, 3e9)
    found = launch(resolve_precision(spec), find_accelerator("H100"), Placement(), SHORT, EngineSettings())
    assert (found.command, found.why) == (
        "", "A parameter count names no model to start. Name a model of the Hub instead.",
    )  # fmt: skip


def test_what_a_shell_would_run_is_no_name() -> None:
    hostile = replace(load_spec(LLAMA), id="a/b; rm -rf ~")
    found = launch(resolve_precision(hostile), find_accelerator("H100"), Placement(), SHORT, EngineSettings())
    assert found.command == ""
    assert "is not the name of a repository" in found.why


@pytest.mark.parametrize(
    ("model", "settings", "config"),
    [
        (LLAMA, drafting("ngram", 4), {"method": "ngram", "num_speculative_tokens": 4}),
        (LLAMA, drafting("eagle"), {
            "method": "eagle3", "model": "yuhuili/EAGLE3-LLaMA3.1-Instruct-8B", "num_speculative_tokens": 3}),
        ("RedHatAI/Qwen3-8B-FP8-dynamic", drafting("eagle"), {
            "method": "eagle3", "model": "AngelSlim/Qwen3-8B_eagle3", "num_speculative_tokens": 3}),
        (LLAMA, drafting("draft", draft_model="meta-llama/Llama-3.2-1B-Instruct"), {
            "method": "draft_model", "model": "meta-llama/Llama-3.2-1B-Instruct", "num_speculative_tokens": 3}),
        ("XiaomiMiMo/MiMo-7B-Base", drafting("mtp", 1), {"method": "mtp", "num_speculative_tokens": 1}),
    ],
)  # fmt: skip
def test_drafting_is_told_by_vllms_own_names(model: str, settings: EngineSettings, config: dict[str, object]) -> None:
    assert json.loads(value(started(model, settings=settings).command, "--speculative-config")) == config


def test_a_checkpoint_with_a_markov_head_drafts_by_dspark() -> None:
    config = {**load_config("deepseek-ai/DeepSeek-V4-Flash"), "dspark_target_layer_ids": [40, 41, 42]}
    config["dspark_markov_rank"] = 256
    spec = parse_config(config, model_id="acme/drafts", source=SpecSource.FILE, source_note="a test")
    settings = replace(drafting("mtp", 5), version="0.33.0")
    found = launch(resolve_precision(spec), find_accelerator("H200"), Placement(tp=8), SHORT, settings)
    assert json.loads(value(found.command, "--speculative-config")) == {"method": "dspark", "num_speculative_tokens": 5}


def test_no_head_no_command() -> None:
    found = started("google/gemma-3-12b-it", settings=drafting("eagle"))
    assert found.command == ""
    assert found.why.startswith("No EAGLE head of google/gemma-3-12b-it is known to be published")


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (EngineSettings(engine=Engine.SGLANG), "Commands are written for vLLM; this plan is for sglang."),
        (EngineSettings(version="0.8.5"), "The arguments of vLLM 0.8.5 are not known here, only those from 0.11.0 on."),
        (
            replace(drafting("draft", draft_model="meta-llama/Llama-3.2-1B-Instruct"), version="0.11.0"),
            "Draft models are known to run in vLLM from 0.21.0 on, not in 0.11.0.",
        ),
        (EngineSettings(memory_utilization=1.0), "vLLM does not start with these settings:"),
    ],
)
def test_why_there_is_none(settings: EngineSettings, why: str) -> None:
    found = started(settings=settings)
    assert found.command == ""
    assert found.why.startswith(why)


def test_a_rank_is_rounded_up_to_one_that_vllm_takes() -> None:
    assert value(started(settings=EngineSettings(lora_adapters=1, lora_rank=20)).command, "--max-lora-rank") == "32"
    assert "ranks of up to 512" in started(settings=EngineSettings(lora_adapters=1, lora_rank=600)).why


def test_a_replica_over_several_machines_runs_on_ray() -> None:
    place = resolve_precision(load_spec("deepseek-ai/DeepSeek-V3")), find_accelerator("H100")
    found = launch(*place, Placement(tp=8, pp=2), SHORT, EngineSettings(), gpus_a_machine=8)
    assert value(found.command, "--distributed-executor-backend") == "ray"
    assert any(note.startswith("One replica spans 2 machines: join them in a Ray cluster") for note in found.notes)
    one = launch(*place, Placement(tp=8, pp=2), SHORT, EngineSettings(), gpus_a_machine=16)
    assert "--distributed-executor-backend" not in one.command
    ranks = launch(*place, Placement(tp=8, dp=2), SHORT, EngineSettings(), gpus_a_machine=8)
    assert ranks.why.startswith("Data-parallel ranks on several machines are started one by one")


def test_a_value_the_version_does_not_list_is_not_written() -> None:
    """This checkpoint comes with an FP8 cache; vLLM 0.11.0 takes no float16 instead, 0.21.0 does."""
    model = "Qwen/Qwen3-32B-FP8-Static-PerTensor"
    new = started(model, kv=KvPrecision.FP16, settings=EngineSettings(version="0.21.0"))
    assert value(new.command, "--kv-cache-dtype") == "float16"
    old = started(model, kv=KvPrecision.FP16, settings=EngineSettings(version="0.11.0"))
    assert old.why.startswith("vLLM 0.11.0 has no --kv-cache-dtype float16.")


def test_a_load_that_does_not_fit_has_no_command() -> None:
    assert started("meta-llama/Llama-3.3-70B-Instruct", gpu="L4").why.startswith("This load does not fit L4: it needs")


def test_a_model_class_the_version_lacks_has_no_command() -> None:
    assert (
        "vLLM 0.33.0 is not known to have a model for T5ForConditionalGeneration" in started("google-t5/t5-small").why
    )
    assert "vLLM 0.11.0 is not known" in started("google/gemma-4-31B", settings=EngineSettings(version="0.11.0")).why


def test_it_carries_as_many_requests_as_it_starts_with() -> None:
    """vllm-project/recipes#551: 856 state blocks at 0.95 of an H100, where 1,024 requests are the default."""
    settings = EngineSettings(version="0.22.0", memory_utilization=0.95)
    found = started("Qwen/Qwen3.5-27B", Weights.FP8, settings=settings,
                    load=Workload(prompt_tokens=262_143, output_tokens=1))  # fmt: skip
    assert found.memory is not None
    assert found.memory.starts_with_seqs is not None
    assert value(found.command, "--max-num-seqs") == str(found.memory.starts_with_seqs)
    assert found.memory.starts_with_seqs == pytest.approx(856, rel=0.02)


def test_neuron_counts_cores_and_blocks() -> None:
    """Two Inferentia2 are four NeuronCores; eight requests are eight blocks of the longest context."""
    found = started(gpu="Inferentia2", placement=Placement(tp=2))
    assert found.command == (
        f"vllm serve {LLAMA} --tensor-parallel-size 4 --max-model-len 1408 --max-num-seqs 8 "
        "--block-size 1408 --num-gpu-blocks-override 8 --no-enable-prefix-caching"
    )
    assert any("Neuron plug-in 0.5.0 (NxD Inference) on vLLM 0.16.0" in note for note in found.notes)


def test_neuron_takes_no_more_requests_than_whole_contexts_fit() -> None:
    """2 x 32 GiB at 0.92, 14.96 GiB of weights: 43 contexts of 8,192 tokens (1 GiB each) would be 43 GiB."""
    load = Workload(prompt_tokens=1024, output_tokens=128, concurrency=64)
    found = started(gpu="Inferentia2", placement=Placement(tp=2), load=load,
                    settings=EngineSettings(max_model_len=8192))  # fmt: skip
    assert 35 <= int(value(found.command, "--num-gpu-blocks-override")) <= 44


@pytest.mark.parametrize(
    ("model", "weights", "settings", "why"),
    [
        ("deepseek-ai/deepseek-moe-16b-chat", Weights.AS_PUBLISHED, EngineSettings(), "is not known to compile"),
        (LLAMA, Weights.FP8, EngineSettings(), "takes quantized weights and caches by a configuration of its own"),
        (LLAMA, Weights.AS_PUBLISHED, drafting("ngram"), "compiled by hand on Neuron"),
    ],
)
def test_what_neuron_does_not_start(model: str, weights: Weights, settings: EngineSettings, why: str) -> None:
    found = started(model, weights, gpu="Trainium2", settings=settings)
    assert found.command == ""
    assert why in found.why


CATALOGUE = {entry.id for entry in entries()}
MODELS = [*sorted(CATALOGUE), None]  # None: a count alone
REPOSITORIES = {name for entry in checkpoints() for name in (entry.id, entry.model)} | CATALOGUE
REPOSITORIES |= {head.id for head in heads()}
SPECULATIONS = [
    None,
    Speculation(method="ngram", tokens=3),
    Speculation(method="eagle", tokens=3),
    Speculation(method="mtp", tokens=1),
    Speculation(method="draft", tokens=3, draft_model="Qwen/Qwen3-0.6B"),
]


@settings(max_examples=400, deadline=None)
@given(
    model=st.sampled_from(MODELS),
    weights=st.sampled_from(Weights),
    method=st.sampled_from(Method),
    kv=st.sampled_from(KvPrecision),
    gpu=st.sampled_from(["L4", "L40S", "A100-80GB", "H100", "H200", "B200", "MI300X", "Inferentia2", "Trainium2"]),
    tp=st.sampled_from([1, 2, 4, 8]),
    load=st.sampled_from([
        SHORT,
        Workload(prompt_tokens=30_000, output_tokens=2000, load=Load.MAX, concurrency=None),
        Workload(prompt_tokens=200, output_tokens=20, load=Load.RATE, concurrency=None, requests_per_second=2.0),
        Workload(prompt_tokens=4000, output_tokens=500, load=Load.BATCH, concurrency=64, prefix_share=0.5),
    ]),
    engine=st.sampled_from([Engine.VLLM, Engine.VLLM, Engine.VLLM, Engine.SGLANG]),
    version=st.sampled_from([None, "0.33.0", "0.21.0", "0.16.0", "0.11.0", "0.6.3"]),
    speculation=st.sampled_from(SPECULATIONS),
    longest=st.sampled_from([None, None, 40_000]),
)  # fmt: skip
def test_a_command_runs_or_a_sentence_says_why_there_is_none(
    model: str | None, weights: Weights, method: Method, kv: KvPrecision, gpu: str, tp: int, load: Workload,
    engine: Engine, version: str | None, speculation: Speculation | None, longest: int | None,
) -> None:  # fmt: skip
    spec = load_spec(model) if model else spec_from_parameter_count(30e9, 3e9)
    try:
        precision = resolve_precision(spec, weights, method, kv)
    except Refusal:
        return
    asked = EngineSettings(engine=engine, version=version, speculation=speculation, max_model_len=longest)
    found = launch(precision, find_accelerator(gpu), Placement(tp=tp), load, asked, gpus_a_machine=4)
    if not found.command:
        assert found.why.endswith(".")
        return
    words = shlex.split(found.command)
    assert not {"<", ">"} & set(found.command)
    assert words[:2] == ["vllm", "serve"]
    made = f"./{found.recipe.output}" if found.recipe else None
    assert words[2] in REPOSITORIES | {made}
    known = arguments_of("0.16.0" if gpu in ("Inferentia2", "Trainium2") and version is None else version)
    assert known is not None
    for flag, told in zip(words[3:], [*words[4:], ""], strict=True):
        if flag.startswith("--"):
            assert known.has(Listed.FLAG, flag)
        if flag in ("--dtype", "--quantization", "--kv-cache-dtype", "--distributed-executor-backend"):
            assert known.has(Listed(flag[2:]), told)
        if flag == "--speculative-config":
            config = json.loads(told)
            assert known.has(Listed.DRAFTING, config["method"])
            assert all(known.has(Listed.DRAFTING_KEY, key) for key in config)
            assert config.get("model", "Qwen/Qwen3-0.6B") in REPOSITORIES
    online = "--quantization" in words and words[words.index("--quantization") + 1] == "fp8"
    assert not (online and (published_checkpoints(words[2], "fp8") or "FP8" in words[2]))
    length = int(value(found.command, "--max-model-len"))
    assert load.tokens_per_request <= length <= (spec.max_positions or length)
