"""The embedded configs: enough of them, findable, labelled with what they are."""

from __future__ import annotations

import pytest

from estimators.architecture.catalogue import entries, find, load_config, load_spec, names
from estimators.architecture.spec import SpecSource
from estimators.precision import Weights, resolve_precision
from estimators.provenance import Refusal


def test_more_than_a_hundred_models_answer_without_a_network() -> None:
    assert len(entries()) >= 100
    for entry in entries():
        spec = load_spec(entry.id)
        assert spec.source is SpecSource.CATALOGUE
        assert spec.resident_params > 1e7
        assert entry.as_of in spec.source_note


def test_every_alias_loads() -> None:
    for name, entry in names().items():
        if entry.alias_of is not None and name == entry.id.lower():
            assert load_spec(entry.id).resident_params > 1e7


@pytest.mark.parametrize("family", ["meta-llama/", "google/gemma-2-", "google/gemma-3-"])
def test_gated_families_are_embedded_and_say_so(family: str) -> None:
    gated = [entry for entry in entries() if entry.id.startswith(family)]
    assert len(gated) >= 2
    assert all(entry.gated for entry in gated)


@pytest.mark.parametrize(
    ("model", "params"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", 8_030_261_248),
        ("meta-llama/Meta-Llama-3.1-8B-Instruct", 8_030_261_248),
        ("meta-llama/Llama-3.1-70B-Instruct", 70_553_706_496),
        ("meta-llama/Llama-3.1-405B-Instruct", 405_853_388_800),
        ("META-LLAMA/llama-3.1-405b", 405_853_388_800),
        (" Llama-3.3-70B-Instruct ", 70_553_706_496),
    ],
)
def test_models_are_found_by_alias_in_any_case_and_by_a_unique_short_name(model: str, params: int) -> None:
    assert load_spec(model).resident_params == params


def test_an_unknown_id_is_refused_with_a_way_out() -> None:
    assert find("nobody/nothing") is None
    with pytest.raises(Refusal) as refused:
        load_spec("nobody/nothing")
    assert refused.value.field == "model"
    assert "parameter count" in refused.value.remedy


def test_an_unconfirmed_config_is_labelled() -> None:
    entry = find("facebook/opt-66b")
    assert entry is not None
    assert not entry.confirmed
    assert "not confirmed" in load_spec("facebook/opt-66b").source_note


def test_an_alias_says_whose_config_it_is_and_applies_its_differences() -> None:
    assert load_config("mistralai/Mistral-7B-v0.1")["sliding_window"] == 4096
    assert load_config("mistralai/Mistral-7B-Instruct-v0.2")["sliding_window"] is None
    spec = load_spec("mistralai/Mistral-7B-Instruct-v0.2")
    assert spec.id == "mistralai/Mistral-7B-Instruct-v0.2"
    assert "mistralai/Mistral-7B-v0.1" in spec.source_note


def test_a_quantized_alias_carries_its_recipe() -> None:
    precision = resolve_precision(load_spec("Qwen/Qwen2.5-32B-Instruct-AWQ"))
    assert (precision.weights, precision.method) == (Weights.INT4, "awq")


def test_a_config_handed_out_can_be_changed_without_harm() -> None:
    load_config("Qwen/Qwen3-8B")["hidden_size"] = 1
    assert load_config("Qwen/Qwen3-8B")["hidden_size"] == 4096


def test_gemma_4_reads_the_context_it_is_published_with() -> None:
    """26B and 31B: 256 Ki tokens, as the quantized copies of both say; E2B and E4B: 128 Ki."""
    contexts = {name: load_spec(f"google/gemma-4-{name}").max_positions for name in ("26B-A4B", "31B", "E4B")}
    assert contexts == {"26B-A4B": 262_144, "31B": 262_144, "E4B": 131_072}
