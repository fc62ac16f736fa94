"""Speculative decoding in memory: what each method adds, and which models it is refused for."""

import itertools
from dataclasses import replace

import pytest

from estimators.architecture.catalogue import entries, load_spec
from estimators.architecture.spec import ModelSpec
from estimators.hardware.catalogue import find_accelerator
from estimators.memory import MemoryEstimate, draft_precision, estimate_memory
from estimators.precision import KvPrecision, Precision, Weights, resolve_precision
from estimators.provenance import Refusal
from estimators.workload import Engine, EngineSettings, Load, Placement, Speculation, Workload

LLAMA, SMALL = "meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Llama-3.2-1B-Instruct"
NGRAM, EAGLE, MTP = (Speculation(method=method, tokens=3) for method in ("ngram", "eagle", "mtp"))
DRAFT = Speculation(method="draft", tokens=3, draft_model=SMALL)


def estimate(
    model: str | ModelSpec,
    speculation: Speculation | None,
    *,
    gpu: str = "H200",
    tp: int = 1,
    load: Load = Load.CONCURRENCY,
    engine: Engine = Engine.VLLM,
    weights: Weights = Weights.AS_PUBLISHED,
    kv: KvPrecision = KvPrecision.AUTO,
    draft: Precision | None = None,
) -> MemoryEstimate:
    spec = load_spec(model) if isinstance(model, str) else model
    return estimate_memory(
        resolve_precision(spec, weights, kv=kv),
        find_accelerator(gpu),
        Placement(tp=tp),
        Workload(prompt_tokens=1024, output_tokens=128, load=load),
        EngineSettings(engine=engine, speculation=speculation),
        draft=draft,
    )


def refused(model: str | ModelSpec, speculation: Speculation) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        estimate(model, speculation)
    return refusal.value


def test_a_draft_model_brings_its_weights_and_its_cache() -> None:
    plain, drafted = estimate(LLAMA, None), estimate(LLAMA, DRAFT)
    # 1,235,814,400 parameters in bf16, and rotary tables of 131,072 positions x 64 x 2 bytes
    more = 1_235_814_400 * 2 + 131_072 * 64 * 2
    assert drafted.weights_bytes_per_gpu - plain.weights_bytes_per_gpu == more == 2_488_406_016
    # 16 layers x keys and values x 8 heads x 64 x 2 bytes = 32,768 a token, 1,152 tokens in flight
    assert drafted.kv_bytes_per_token_per_gpu - plain.kv_bytes_per_token_per_gpu == 32_768
    assert drafted.load_bytes_per_gpu - plain.load_bytes_per_gpu == 1152 * 32_768
    assert drafted.memory_bytes_per_gpu - plain.memory_bytes_per_gpu == more + 1152 * 32_768
    assert dict(drafted.weights_bytes_per_gpu_by_role)["draft model"] == more
    assert drafted.weights_bytes == plain.weights_bytes  # of the model itself
    assert any("Drafting (draft model) takes 2.32 GiB" in note for note in drafted.notes)


def test_a_draft_is_split_like_its_target_and_whole_where_it_cannot_be() -> None:
    whole, halves = (dict(estimate(LLAMA, DRAFT, tp=tp).weights_bytes_per_gpu_by_role)["draft model"] for tp in (1, 2))
    assert whole / 2 < halves < 0.51 * whole
    odd = replace(DRAFT, draft_model="Qwen/Qwen2.5-0.5B-Instruct")  # 14 heads do not divide over 8 GPUs
    one, eight = (dict(estimate(LLAMA, odd, tp=tp).weights_bytes_per_gpu_by_role)["draft model"] for tp in (1, 8))
    assert one == eight


def test_a_draft_shares_the_type_of_cache() -> None:
    assert estimate(LLAMA, DRAFT, kv=KvPrecision.FP8).kv_bytes_per_token_per_gpu == (131_072 + 32_768) / 2


def test_a_draft_of_another_vocabulary_is_pointed_out() -> None:
    assert any("vLLM refuses a draft of another vocabulary" in note for note in estimate("Qwen/Qwen3-8B", DRAFT).notes)
    assert not any("vocabulary" in note for note in estimate(LLAMA, DRAFT).notes)


def test_a_draft_found_elsewhere_is_the_one_counted() -> None:
    named = replace(DRAFT, draft_model="someone/fine-tuned-1B")
    found = draft_precision(named, load=lambda name: replace(load_spec(SMALL), id=name))
    assert found is not None
    assert found.spec.id == "someone/fine-tuned-1B"
    assert estimate(LLAMA, named, draft=found).memory_bytes_per_gpu == estimate(LLAMA, DRAFT).memory_bytes_per_gpu
    assert draft_precision(NGRAM) is None
    assert draft_precision(None) is None


@pytest.mark.parametrize("name", ["someone/unheard-of", "", None])
def test_an_unknown_draft_is_refused(name: str | None) -> None:
    assert refused(LLAMA, replace(DRAFT, draft_model=name)).field == "spec"


def test_prediction_layers_are_counted_where_they_draft() -> None:
    plain, drafted = (estimate("deepseek-ai/DeepSeek-V3", drafting, tp=8) for drafting in (None, MTP))
    # of layer 61, an eighth of 256 x 3 x 2048 x 7168 in FP8 and of an embedding and a head of 129,280 x 7168 in bf16,
    # and the whole projection of 7168 x 14,336 in bf16: 1.409 + 0.463 + 0.206 GB; attention and the rest are 2 % more
    parts = (256 * 3 * 2048 * 7168 + 2 * 129_280 * 7168 * 2) / 8 + 7168 * 14_336 * 2
    more = drafted.weights_bytes_per_gpu - plain.weights_bytes_per_gpu
    assert more == pytest.approx(1.02 * parts, rel=0.01)
    assert drafted.kv_bytes_per_token_per_gpu == plain.kv_bytes_per_token_per_gpu + 576 * 2


def test_models_without_prediction_layers_are_refused() -> None:
    refusal = refused(LLAMA, MTP)
    assert refusal.field == "spec"
    assert "DeepSeek V3" in refusal.message
    able = {load_spec(entry.id).model_type for entry in entries() if _drafts(entry.id)}
    assert able == {  # the families the sentence names; change both together
        "deepseek_ref",
        "deepseek_v3",
        "deepseek_v32",
        "deepseek_v4",
        "glm4_moe",
        "glm_moe_dsa",
        "mimo",
        "nemotron_h",
        "qwen3_5",
        "qwen3_5_moe",
        "qwen3_next",
    }


def _drafts(model: str) -> bool:
    return any(group.stack == "mtp" for group in load_spec(model).groups)


def test_an_eagle_head_is_one_more_layer() -> None:
    plain, drafted = estimate(LLAMA, None), estimate(LLAMA, EAGLE)
    # a layer of 218,112,000 parameters and 3 x 4,096 x 4,096, in bf16
    assert drafted.weights_bytes_per_gpu - plain.weights_bytes_per_gpu == (218_112_000 + 50_331_648) * 2
    assert drafted.kv_bytes_per_token_per_gpu == 33 * 4096


@pytest.mark.parametrize("model", ["tiiuae/falcon-mamba-7b", "state-spaces/mamba-130m-hf"])
def test_a_model_without_attention_has_no_eagle_head(model: str) -> None:
    refusal = refused(model, EAGLE)
    assert refusal.field == "spec"
    assert "no attention layers" in refusal.message


@pytest.mark.parametrize("speculation", [EAGLE, MTP], ids=["eagle", "mtp"])
def test_what_is_added_to_unknown_layers_is_not_guessed(speculation: Speculation) -> None:
    assert refused(replace(load_spec(LLAMA), groups=()), speculation).field == "spec"


@pytest.mark.parametrize("tokens", [-1, 0, 17])
def test_drafted_tokens_have_a_range(tokens: int) -> None:
    assert refused(LLAMA, replace(NGRAM, tokens=tokens)).field == "spec_tokens"
    assert estimate(LLAMA, replace(NGRAM, tokens=16)).fits


def test_an_unknown_method_is_refused() -> None:
    assert refused(LLAMA, Speculation(method="medusa", tokens=3)).field == "spec"


def test_looking_up_n_grams_takes_no_memory() -> None:
    assert estimate(LLAMA, NGRAM).memory_bytes_per_gpu == estimate(LLAMA, None).memory_bytes_per_gpu


@pytest.mark.parametrize("speculation", [NGRAM, EAGLE, MTP, DRAFT], ids=lambda found: found.method)
def test_every_known_model_is_answered_or_refused(speculation: Speculation) -> None:
    """Each with every count of GPUs, loads, engines and precisions taking turns: no other error than a refusal."""
    turns = itertools.cycle(itertools.product(Engine, Load, Weights, (KvPrecision.AUTO, KvPrecision.FP8)))
    answered, refusals = 0, set()
    for entry, tp in itertools.product(entries(), (1, 2, 4, 8)):
        engine, load, weights, kv = next(turns)
        try:
            found = estimate(entry.id, speculation, tp=tp, load=load, engine=engine, weights=weights, kv=kv)
        except Refusal as refusal:
            refusals.add(refusal.field)
            continue
        answered += 1
        assert found.memory_bytes_per_gpu_low < found.memory_bytes_per_gpu < found.memory_bytes_per_gpu_high
    assert answered > 50
    assert refusals <= {"spec", "gpus", "pp", "weights", "kv"}
