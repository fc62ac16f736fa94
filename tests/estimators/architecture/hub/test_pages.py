"""What is taken from a model's page: which files are the weights, and what a copy's name says."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from estimators.architecture.hub.pages import file_sizes, precision_in_name, weight_files, weight_files_bytes


@pytest.mark.parametrize(
    ("files", "weights"),
    [
        (["model.safetensors", "config.json"], ["model.safetensors"]),
        (
            ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "consolidated.safetensors"],
            ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"],
        ),
        (["model.safetensors", "original/model.safetensors", "metal/model.bin"], ["model.safetensors"]),
        (["weights-00001-of-00001.safetensors"], ["weights-00001-of-00001.safetensors"]),
        (["adapter_model.safetensors"], []),
        (["unet.safetensors", "vae.safetensors"], []),  # two sets: which is meant is not said
        (["pytorch_model.bin"], []),
    ],
)
def test_the_files_a_loader_reads(files, weights):
    sizes = dict.fromkeys(files, 10)
    assert list(weight_files(sizes)) == weights
    assert weight_files_bytes(sizes) == (10 * len(weights) or None)


def test_a_size_the_page_leaves_out_makes_the_total_unknown():
    assert weight_files_bytes({"model.safetensors": None}) is None


def test_sizes_that_cannot_be_are_dropped():
    said = [("a", 5), ("b", -1), ("c", True), ("d", "9"), ("e", 1 << 60), (7, 1), ("x" * 501, 1)]
    siblings = [SimpleNamespace(rfilename=name, size=size) for name, size in said]
    assert file_sizes(siblings) == {"a": 5, "b": None, "c": None, "d": None, "e": None}
    assert file_sizes(None) == {}


@pytest.mark.parametrize(
    ("model_id", "label"),
    [
        ("RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16", "int4"),
        ("RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w8a8", "int8"),
        ("RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w8a16", "int8-weight-only"),
        ("RedHatAI/Meta-Llama-3.1-8B-Instruct-FP8-dynamic", "fp8"),
        ("hugging-quants/Meta-Llama-3.1-70B-Instruct-AWQ-INT4", "int4"),
        ("Qwen/Qwen2.5-7B-Instruct-GPTQ-Int4", "int4"),
        ("Qwen/Qwen2.5-7B-Instruct-GPTQ-Int8", "int8-weight-only"),
        ("nvidia/Qwen3-235B-A22B-NVFP4", "nvfp4"),
        ("unsloth/Llama-3.1-8B-bnb-4bit", "nf4"),
        ("fp8-labs/Llama-3.1-8B", None),  # the organisation's name says nothing
    ],
)
def test_the_precision_a_name_points_to(model_id, label):
    assert precision_in_name(model_id) == label
