"""Which repository a precision is served from."""

from dataclasses import replace

import pytest

from estimators.architecture.catalogue import load_spec
from estimators.hardware.catalogue import find_accelerator
from estimators.launch.arguments import arguments_of
from estimators.launch.checkpoint import Repository, served
from estimators.precision import Method, Weights, resolve_precision
from estimators.provenance import Refusal

GEMMA = "google/gemma-3-12b-it"  # nobody is known to have published it quantized
LLAMA_70B = "meta-llama/Llama-3.3-70B-Instruct"
NAMED = "nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-FP8"  # its config.json does not say that it is in FP8
DEEPSEEK = "deepseek-ai/DeepSeek-V3"  # published in FP8
ROOM = 80 * 2**30


def choose(
    model: str,
    weights: Weights,
    method: Method = Method.AUTO,
    *,
    version: str | None = None,
    room: int = ROOM,
    found: str | None = None,
) -> Repository:
    known = arguments_of(version)
    assert known is not None
    precision = resolve_precision(load_spec(model), weights, method)
    return served(precision, find_accelerator("H100"), known, room, found)


@pytest.mark.parametrize(
    ("model", "weights", "method", "checkpoint"),
    [
        (LLAMA_70B, Weights.NVFP4, Method.AUTO, "RedHatAI/Llama-3.3-70B-Instruct-NVFP4"),
        (LLAMA_70B, Weights.FP8, Method.AUTO, "RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic"),
        ("Qwen/Qwen3-32B", Weights.INT4, Method.AWQ, "Qwen/Qwen3-32B-AWQ"),
        ("Qwen/Qwen2.5-7B-Instruct", Weights.INT4, Method.GPTQ, "Qwen/Qwen2.5-7B-Instruct-GPTQ-Int4"),
        (DEEPSEEK, Weights.AS_PUBLISHED, Method.AUTO, DEEPSEEK),
        (NAMED, Weights.AS_PUBLISHED, Method.AUTO, NAMED),
        (NAMED, Weights.FP8, Method.AUTO, NAMED),
        ("RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic", Weights.INT8, Method.AUTO,
         "RedHatAI/Llama-3.3-70B-Instruct-quantized.w8a8"),  # of what the copy was made from
    ],
)  # fmt: skip
def test_the_published_one(model: str, weights: Weights, method: Method, checkpoint: str) -> None:
    chosen = choose(model, weights, method)
    assert (chosen.model, chosen.words, chosen.recipe) == (checkpoint, (), None)


def test_its_source_and_date_are_said() -> None:
    said = choose("Qwen/Qwen3-32B", Weights.FP8).said
    assert said == "Qwen/Qwen3-32B-FP8, published in FP8: its config.json is in a public collection, 2026-11-20."


def test_a_copy_in_16_bits_is_what_it_was_made_from() -> None:
    chosen = choose("RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic", Weights.BF16)
    assert (chosen.model, chosen.words) == (LLAMA_70B, ("--dtype", "bfloat16"))


def test_none_is_published_so_vllm_makes_it_where_the_original_fits() -> None:
    """12.2 billion parameters in 16 bits are 24.4 GB: more than 22 GiB hold."""
    chosen = choose(GEMMA, Weights.FP8)
    assert (chosen.model, chosen.words) == (GEMMA, ("--dtype", "bfloat16", "--quantization", "fp8"))
    small = choose(GEMMA, Weights.FP8, room=22 * 2**30)
    assert small.model == "./gemma-3-12b-it-FP8-dynamic"
    assert small.recipe is not None


def test_else_the_script_that_makes_it() -> None:
    chosen = choose(GEMMA, Weights.INT4)
    assert chosen.model == "./gemma-3-12b-it-quantized.w4a16"
    assert chosen.recipe is not None
    assert f'OUTPUT = "{chosen.model[2:]}"' in chosen.recipe.script
    assert choose(GEMMA, Weights.INT4, Method.AWQ).model == "./gemma-3-12b-it-awq.w4a16"


def test_what_the_hub_holds_comes_before_a_script() -> None:
    assert choose(GEMMA, Weights.INT4, found="RedHatAI/gemma-3-12b-it-quantized.w4a16").recipe is None


def test_nf4_while_vllm_made_it() -> None:
    assert choose(GEMMA, Weights.NF4, version="0.21.0").words[-1] == "bitsandbytes"
    with pytest.raises(Refusal, match=r"vLLM 0\.33\.0 makes none while loading \(0\.21\.0 still did\)"):
        choose(GEMMA, Weights.NF4)


@pytest.mark.parametrize("weights", [Weights.BF16, Weights.INT4])
def test_of_a_model_published_quantized_no_other_is_made(weights: Weights) -> None:
    with pytest.raises(Refusal, match="is published quantized, and no checkpoint of it in"):
        choose(DEEPSEEK, weights)


def test_what_vllm_does_not_load_is_not_proposed() -> None:
    """Of Llama 3.2 3B in NVFP4 only an FP-Quant checkpoint is published, of DeepSeek-R1 in MXFP4 only AMD's."""
    assert choose("meta-llama/Llama-3.1-8B-Instruct", Weights.NVFP4).model == "./Llama-3.1-8B-Instruct-NVFP4"
    with pytest.raises(Refusal, match="no checkpoint of it in MXFP4"):
        choose("deepseek-ai/DeepSeek-R1", Weights.MXFP4)


def test_a_checkpoint_of_a_method_the_version_dropped() -> None:
    awq = load_spec("Qwen/Qwen2.5-72B-Instruct-AWQ")
    assert awq.quantization is not None
    spec = replace(awq, id="someone/qwen-bnb", quantization=replace(awq.quantization, method="bitsandbytes"))
    precision, chip = resolve_precision(spec), find_accelerator("H100")
    old, newest = arguments_of("0.21.0"), arguments_of(None)
    assert old is not None
    assert newest is not None
    assert served(precision, chip, old, ROOM).model == "someone/qwen-bnb"
    with pytest.raises(Refusal, match=r"0\.33\.0 does not load bitsandbytes checkpoints .*; 0\.21\.0 does"):
        served(precision, chip, newest, ROOM)
