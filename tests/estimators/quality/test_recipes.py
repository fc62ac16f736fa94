"""Scripts for LLM Compressor 0.14, as text."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimators.provenance import Refusal
from estimators.quality.recipes import RecipeKind, check_model_id, recipe_script, recipes_for
from estimators.quality.schemes import Scheme

MODEL = "meta-llama/Llama-3.1-8B-Instruct"


@pytest.mark.parametrize("kind", list(RecipeKind))
def test_every_script_is_python_and_names_the_model_once_as_a_literal(kind):
    made = recipe_script(MODEL, kind, moe=True)
    tree = ast.parse(made.script)
    literals = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    assert literals.count(MODEL) == 1
    assert literals.count(made.output) == 1
    assert "trust_remote_code" not in made.script


def modifiers(kind):
    """Names of the modifiers in the recipe list, in order."""
    tree = ast.parse(recipe_script(MODEL, kind).script)
    lists = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "recipe"
    ]
    return [call.func.id for call in lists[0].elts]


def test_awq_is_paired_with_the_modifier_that_quantizes():
    assert modifiers(RecipeKind.AWQ_INT4) == ["AWQModifier", "QuantizationModifier"]


def test_smoothquant_comes_before_gptq():
    assert modifiers(RecipeKind.SMOOTHQUANT_GPTQ_INT8) == ["SmoothQuantModifier", "GPTQModifier"]


def test_awq_is_listed_as_not_verified_and_the_rest_as_run():
    verified = {kind: recipe_script(MODEL, kind).verified for kind in RecipeKind}
    assert verified.pop(RecipeKind.AWQ_INT4).startswith("not verified")
    assert set(verified.values()) == {"ran to the end on a tiny model on the CPU"}


def test_routers_stay_wide_only_where_there_are_any():
    assert "router" not in recipe_script(MODEL, RecipeKind.FP8_DYNAMIC).script
    assert "router" in recipe_script("Qwen/Qwen3-30B-A3B", RecipeKind.FP8_DYNAMIC, moe=True).script


def test_fp8_dynamic_needs_no_sample_texts():
    made = recipe_script(MODEL, RecipeKind.FP8_DYNAMIC)
    assert not made.calibrated
    assert "load_dataset" not in made.script


def test_sparsity_says_that_it_saves_no_memory():
    assert "Saves no memory" in recipe_script(MODEL, RecipeKind.SPARSEGPT_2_4).note


def test_recipes_are_found_by_scheme():
    assert recipes_for("int4") == (RecipeKind.GPTQ_INT4, RecipeKind.AWQ_INT4)
    assert recipes_for("int8") == (RecipeKind.SMOOTHQUANT_GPTQ_INT8,)
    assert recipes_for("nf4") == ()  # bitsandbytes quantizes while loading; there is nothing to make


def test_the_output_is_named_as_red_hat_names_its_checkpoints():
    outputs = {recipe_script(MODEL, kind).output for kind in RecipeKind}
    assert "Llama-3.1-8B-Instruct-quantized.w8a8" in outputs
    assert "Llama-3.1-8B-Instruct-FP8-dynamic" in outputs
    assert recipe_script(MODEL, RecipeKind.NVFP4).scheme is Scheme.NVFP4


@pytest.mark.parametrize(
    "hostile",
    [
        '"; import os; os.system("x")#/y',
        "org/name\nimport os",
        "org/name'''",
        "../../etc/passwd",
        "/etc/passwd",
        "org/..",
        "org/name/extra",
        "name",
        "",
        "org/na me",
        "org/name--x",
        "org/\u0661",
        "org/" + "a" * 200,
        "$model/$title",
    ],
)
def test_an_id_that_could_end_a_string_or_a_path_is_refused(hostile):
    with pytest.raises(Refusal) as refusal:
        recipe_script(hostile, RecipeKind.GPTQ_INT4)
    assert refusal.value.field == "model"


@given(st.text(max_size=60))
def test_whatever_is_accepted_still_parses(text):
    try:
        name = check_model_id(text)
    except Refusal:
        return
    ast.parse(recipe_script(name, RecipeKind.GPTQ_INT4).script)
