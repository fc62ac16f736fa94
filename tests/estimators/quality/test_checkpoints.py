"""Published checkpoints, from the table."""

import pytest

from estimators.quality.checkpoints import (
    _validated,
    checkpoints,
    deployed,
    names_to_try,
    published_checkpoint,
    published_checkpoints,
    validated_in,
)
from estimators.quality.recipes import check_model_id, recipe_script, recipes_for
from estimators.quality.schemes import Scheme

LLAMA_8B = "meta-llama/Llama-3.1-8B-Instruct"


@pytest.mark.parametrize(
    ("model", "scheme", "method", "expected"),
    [
        (LLAMA_8B, "int4", None, "RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16"),
        (LLAMA_8B, "int4", "awq", "hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4"),
        (LLAMA_8B, "int8", None, "RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w8a8"),
        ("meta-llama/Meta-Llama-3.1-8B-Instruct", "int8", "auto", "RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w8a8"),
        ("ibm-granite/granite-3.1-8b-instruct", "int4", None, "RedHatAI/granite-3.1-8b-instruct-quantized.w4a16"),
        ("Qwen/Qwen2.5-7B-Instruct", "int4", "gptq", "Qwen/Qwen2.5-7B-Instruct-GPTQ-Int4"),
        ("meta-llama/Llama-3.3-70B-Instruct", "nvfp4", None, "RedHatAI/Llama-3.3-70B-Instruct-NVFP4"),
        ("openai/gpt-oss-20b", "mxfp4", None, "openai/gpt-oss-20b"),  # it comes that way
    ],
)
def test_the_checkpoint_that_already_is_it(model, scheme, method, expected):
    assert published_checkpoint(model, scheme, method).id == expected


def test_none_known_is_none():
    assert published_checkpoint("someone/else", "int4") is None
    assert published_checkpoint(LLAMA_8B, "nf4") is None


def test_a_checkpoint_stands_for_its_base():
    assert deployed("RedHatAI/Qwen3-8B-NVFP4", "as-published") == ("Qwen/Qwen3-8B", Scheme.NVFP4, None)
    assert deployed("Qwen/Qwen2-7B-Instruct-AWQ", "int4") == ("Qwen/Qwen2-7B-Instruct", Scheme.INT4, "awq")


def test_a_model_asked_for_as_it_comes_is_unchanged():
    assert deployed("openai/gpt-oss-20b", "mxfp4") == ("openai/gpt-oss-20b", Scheme.AS_PUBLISHED, None)
    assert deployed(LLAMA_8B, "int4", "gptq") == (LLAMA_8B, Scheme.INT4, "gptq")


def test_names_to_try_follow_the_publishers():
    assert names_to_try("Qwen/Qwen3-8B", "int4") == (
        "RedHatAI/Qwen3-8B-quantized.w4a16",
        "Qwen/Qwen3-8B-AWQ",
        "Qwen/Qwen3-8B-GPTQ-Int4",
    )
    assert names_to_try("no-organisation", "int4") == ()


def test_the_table_holds_hub_ids_once():
    entries = checkpoints()
    assert len(entries) > 170
    assert len({(entry.id, entry.scheme) for entry in entries}) == len(entries)
    for entry in entries:
        assert check_model_id(entry.id) == entry.id
        assert entry.native == (entry.id == entry.model)


def test_recipes_name_their_output_as_the_published_checkpoint_is_named():
    made = {recipe_script("ibm-granite/granite-3.1-8b-instruct", kind).output for kind in recipes_for("int4")}
    assert published_checkpoint("ibm-granite/granite-3.1-8b-instruct", "int4").id.split("/")[1] in made


@pytest.mark.parametrize(
    ("checkpoint", "month"),
    [
        ("RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16", "2025-05"),
        ("neuralmagic/Meta-Llama-3.1-8B-Instruct-quantized.w4a16", "2025-05"),  # as it was called before
        ("redhatai/qwen3-8b-fp8-dynamic", "2025-09"),
        ("openai/gpt-oss-20b", "2025-10"),  # Red Hat AI's copy is the same weights
        ("RedHatAI/gemma-4-31B-it-NVFP4", "2026-08"),
        ("someone/gpt-oss-20b", None),
        ("Qwen/Qwen3-8B-FP8", None),  # another's quantization of the same model
        ("hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4", None),
    ],
)
def test_the_month_of_the_collection_that_names_it(checkpoint, month):
    found = validated_in(checkpoint)
    assert (found.month if found else None) == month


def test_what_is_validated_comes_before_the_rest_of_its_publisher_and_then_the_maker():
    llama = [entry.id for entry in published_checkpoints(LLAMA_8B, "fp8")]
    assert llama[:2] == [
        "RedHatAI/Meta-Llama-3.1-8B-Instruct-FP8-dynamic",  # of May 2025
        "RedHatAI/Llama-3.1-8B-Instruct-FP8-block",
    ]
    fp8 = [entry.id for entry in published_checkpoints("Qwen/Qwen3-235B-A22B", "fp8")]
    assert fp8 == ["RedHatAI/Qwen3-235B-A22B-FP8-dynamic", "Qwen/Qwen3-235B-A22B-FP8", "nvidia/Qwen3-235B-A22B-FP8"]


def test_months_are_of_the_calendar_and_ids_of_the_hub():
    months = {entry.month for entry in _validated().values()}
    assert months == {"2025-05", "2025-09", "2025-10", "2026-01", "2026-02", "2026-03", "2026-05", "2026-08"}
    assert all(check_model_id(entry.checkpoint).startswith("RedHatAI/") for entry in _validated().values())
