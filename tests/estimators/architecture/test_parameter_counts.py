"""Parameters of every embedded config against counts made elsewhere, and the Hub's own counts explained.

`params` and `active_params` of the catalogue were counted by building each model on transformers' meta device;
`hub_elements` is what the Hub reports: everything stored, copies and buffers included.
"""

from __future__ import annotations

import csv
import json

import pytest

from estimators.architecture.catalogue import CatalogueEntry, entries, load_spec
from estimators.architecture.families import FAMILIES
from estimators.architecture.parse import parse_config
from estimators.architecture.spec import ModelSpec, Role, SpecSource
from tests.conftest import REFERENCE

# Counts that differ, each with its cause. Nothing else may.
DIFFERENT = {
    "stepfun-ai/Step-3.7-Flash": (
        663_552,
        "the config states a vocabulary of 128,896; the count was made with the class default of 128,815, times 4096",
    ),
}
# transformers has no class for these, so there is no count to compare with.
UNCOUNTED = {
    "microsoft/Phi-3-small-8k-instruct",
    "sgl-project/DeepSeek-V4-Flash-FP8",
    "sgl-project/DeepSeek-V4-Pro-FP8",
}

with (REFERENCE / "meta_counts.csv").open(newline="", encoding="utf-8") as file:
    BUILT = list(csv.DictReader(file))
# Types that no class builds on their own: names of V4 and Step in other files, and Phi 3 small (see the Hub's count).
UNBUILT = {"deepseek_ref", "phi3small", "step3p5"}
COUNTED = [entry for entry in entries() if entry.params is not None]


@pytest.mark.parametrize("entry", COUNTED, ids=lambda entry: entry.id)
def test_parameters_equal_the_count_of_the_built_model(entry: CatalogueEntry) -> None:
    spec = load_spec(entry.id)
    difference, _ = DIFFERENT.get(entry.id, (0, ""))
    assert entry.params is not None
    assert spec.resident_params - entry.params == difference
    if entry.active_params is not None:
        assert spec.active_params - entry.active_params == difference


def test_the_exceptions_are_the_ones_listed() -> None:
    assert {entry.id for entry in entries() if entry.params is None} == UNCOUNTED


@pytest.mark.parametrize("row", BUILT, ids=lambda row: row["model_type"])
def test_small_configs_of_every_family_equal_the_built_model(row: dict[str, str]) -> None:
    """Uneven sizes and every switch a family has, so that no factor can hide behind another."""
    config = json.loads(row["config"])
    spec = parse_config(config, model_id="built", source=SpecSource.FILE, source_note=row["source"])
    assert spec.resident_params == int(row["params"])


def test_every_family_is_held_to_some_count() -> None:
    covered = {row["model_type"] for row in BUILT} | {entry.model_type for entry in COUNTED}
    assert set(FAMILIES) - covered == UNBUILT


def test_llama_8b_is_the_sum_of_its_matrices() -> None:
    """Worked by hand: V 128256, D 4096, L 32, K H 1024, F 14336, two norms a layer and one at the end."""
    embeddings = 2 * 128_256 * 4096
    attention = 2 * 4096 * 4096 + 2 * 1024 * 4096
    layer = attention + 3 * 14_336 * 4096 + 2 * 4096
    assert load_spec("meta-llama/Llama-3.1-8B").resident_params == embeddings + 32 * layer + 4096 == 8_030_261_248


def test_active_parameters_of_a_mixture_drop_the_idle_experts() -> None:
    """Qwen3-30B-A3B: 120 of 128 experts of 3 x 768 x 2048 idle in each of 48 layers."""
    spec = load_spec("Qwen/Qwen3-30B-A3B")
    idle = 48 * 120 * 3 * 768 * 2048
    assert spec.active_params == spec.resident_params - idle == 30_532_122_624 - 27_179_089_920


def everything(spec: ModelSpec) -> int:
    """All elements of a plain checkpoint: prediction layers and buffers too."""
    inside = sum(tensor.elements for group in spec.groups for tensor in group.tensors for _ in group.layers)
    return inside + sum(tensor.elements for tensor in spec.tensors)


@pytest.mark.parametrize(
    ("model", "hub_elements"),
    [
        ("zai-org/GLM-4.5-Air", 110_468_824_832),
        ("zai-org/GLM-5", 753_864_139_008),
        ("Qwen/Qwen3-Next-80B-A3B-Instruct", 81_324_862_720),
        ("Qwen/Qwen3.5-27B", 27_781_427_952),
        ("Qwen/Qwen3.5-35B-A3B", 35_951_822_704),
        ("Qwen/Qwen3.5-397B-A17B", 403_397_928_944),
        ("Qwen/Qwen3.5-9B", 9_653_104_368),
        ("XiaomiMiMo/MiMo-7B-Base", 7_833_409_536),
    ],
)
def test_prediction_layers_explain_what_the_hub_counts_more(model: str, hub_elements: int) -> None:
    """Hub safetensors totals; the model itself is the part without stack "mtp"."""
    spec = load_spec(model)
    assert everything(spec) == hub_elements
    assert spec.resident_params < hub_elements


@pytest.mark.parametrize(
    ("model", "hub_elements", "copy"),
    [
        ("Qwen/Qwen3-0.6B", 751_632_384, 151_936 * 1024),  # tied head stored again
        ("tiiuae/falcon-7b", 7_217_189_760, 65_024 * 4544),
        ("tiiuae/falcon-40b", 41_835_970_560, 65_024 * 8192),
        ("google/gemma-4-31B", 32_682_372_656, 262_144 * 5376),
        ("openai-community/gpt2", 137_022_720, 12 * (1024 * 1024)),  # causal masks
        ("openai-community/gpt2-xl", 1_607_942_848, 48 * (1024 * 1024)),
        ("NousResearch/Llama-2-7b-hf", 6_738_417_664, 32 * 64),  # rotary frequencies
        ("microsoft/Phi-3-small-8k-instruct", 7_392_274_432, 32 * 64),
        ("EleutherAI/pythia-12b", 11_997_067_840, 36 * (2048 * 2048 + 16)),  # masks and rotary frequencies
    ],
)
def test_other_differences_to_the_hub_are_stored_copies(model: str, hub_elements: int, copy: int) -> None:
    assert load_spec(model).resident_params + copy == hub_elements


def test_tied_embeddings_count_once() -> None:
    spec = load_spec("meta-llama/Llama-3.2-1B-Instruct")
    assert spec.tied_embeddings
    assert not [tensor for tensor in spec.tensors if tensor.role is Role.LM_HEAD]
    assert spec.resident_params == 1_235_814_400
