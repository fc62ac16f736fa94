"""Completing a config: the defaults of transformers agree with the parser's own on every embedded config."""

from __future__ import annotations

import pytest

from estimators.architecture.catalogue import entries, load_config
from estimators.architecture.fields import ConfigError, UnknownArchitecture
from estimators.architecture.hub.config import parse_completed, with_defaults
from estimators.architecture.hub.library import config_object
from estimators.architecture.parse import parse_config
from estimators.architecture.spec import SpecSource


class Written:
    """A config object that says what a test wants."""

    def __init__(self, **fields):
        self.fields = fields

    def to_dict(self):
        return self.fields


def filled(config, **full):
    return with_defaults(config, lambda model_type, given: Written(**full))


def test_only_absent_fields_are_filled():
    config, names = filled({"model_type": "x", "a": 1, "b": None}, a=9, b=9, c=9, d=None)
    assert config == {"model_type": "x", "a": 1, "b": None, "c": 9}
    assert names == ("c",)


def test_nested_configs_are_completed_and_the_quantization_is_not_touched():
    config, names = filled(
        {"model_type": "x", "text_config": {"a": 1}, "quantization_config": {"bits": 4}},
        text_config={"a": 2, "b": 3},
        quantization_config={"bits": 8, "group_size": 128},
    )
    assert config["text_config"] == {"a": 1, "b": 3}
    assert config["quantization_config"] == {"bits": 4}
    assert names == ("text_config.b",)


def test_a_language_model_described_at_the_top_is_not_shadowed_by_a_section_of_defaults():
    config, _ = filled({"model_type": "x", "hidden_size": 64, "vocab_size": 100}, text_config={"vocab_size": 32000})
    assert "text_config" not in config


def test_draft_layers_and_private_switches_are_not_invented():
    _, names = filled(
        {"model_type": "x"}, mtp_layers=1, num_nextn_predict_layers=1, _private=1, dtype="float32", real=1
    )
    assert names == ("real",)


def test_a_class_that_refuses_the_config_fills_nothing():
    def refuse(model_type, given):
        raise ZeroDivisionError

    assert with_defaults({"model_type": "x"}, refuse) == ({"model_type": "x"}, ())


@pytest.mark.parametrize("field", ["num_hidden_layers", "n_layer", "depth", "encoder_layers", "vocab_size"])
def test_a_config_class_never_sees_a_number_it_could_fill_memory_with(field):
    def fail(model_type, given):
        pytest.fail("was called")

    assert with_defaults({"model_type": "x", "vision_config": {field: 10**9}}, fail)[1] == ()


def test_a_config_class_sees_neither_code_nor_label_tables():
    seen = {}

    def look(model_type, given):
        seen.update(given)
        return Written()

    with_defaults({"model_type": "x", "auto_map": {}, "num_labels": 10**9, "_name": 1, "text_config": {"_n": 1}}, look)
    assert seen == {"model_type": "x", "text_config": {}}


def sizes(spec):
    cached = sum(g.count * g.attention.cached_elements_per_token for g in spec.groups if g.attention is not None)
    return spec.resident_params, spec.active_params, cached, spec.layer_count, spec.tied_embeddings


@pytest.mark.filterwarnings("ignore::FutureWarning:transformers")  # pytest undoes the filter of hub_library
def test_on_every_embedded_config_both_sources_of_defaults_agree():
    """The same model must come to the same numbers from the catalogue and from the Hub."""
    compared = 0
    for entry in entries():
        config = load_config(entry.id)
        try:
            alone = parse_config(config, model_id=entry.id, source=SpecSource.CATALOGUE, source_note="")
        except (ConfigError, UnknownArchitecture):
            continue
        completed, names = parse_completed(config, config_object, model_id=entry.id, source_note="", revision="a" * 40)
        assert sizes(completed) == sizes(alone), entry.id
        compared += bool(names)
    assert compared >= 100
