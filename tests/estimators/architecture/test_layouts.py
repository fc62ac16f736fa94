"""Formulas, places and defaults of a layout, worked by hand; every learned layout against the built class."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from estimators.architecture import catalogue, layouts
from estimators.architecture.class_tensors import composed, count, stored
from estimators.architecture.class_values import Values, holds, quantity
from estimators.architecture.fields import ConfigError
from estimators.architecture.layouts import ClassLayout, decoded
from estimators.architecture.parse import parse_config
from estimators.architecture.spec import SpecSource
from tests.conftest import REFERENCE

TINY = decoded(
    {
        "model_type": "tiny",
        "class": "TinyForCausalLM",
        "miss": 0,
        "defaults": {"window": 3, "n_heads": 4, "head_dim": None, "bias": False, "layer_types": ["a"], "experts": 2},
        "aliases": {"num_hidden_layers": "n_layer"},
        "stacks": {"model.layers.": "n_layer", "model.layers.{}.experts.": "experts"},
        "lists": {"layer_types": [['"b"', "i%window=-1", "n_layer"], ['"a"', "all", "n_layer"]]},
        "entries": [
            ["model.embed_tokens.weight", "vocab,width", "", "", ""],
            ["model.layers.{0}.q_proj.weight", "2*width+n_heads,width/n_heads", "", "", ""],
            ["model.layers.{0}.q_proj.bias", "1/2*width", "", "bias", ""],
            ["model.layers.{0}.mix.weight", "width", "layer_types[i]=b", "", ""],
            ["model.layers.{0}.experts.{1}.w.weight", "width,width", "~i<1", "!bias", ""],
            ["model.layers.{0}.count", "1", "", "", "buffer"],
        ],
    }
)
CONFIG = {"vocab": 100, "width": 8, "n_layer": 6}


def by_name(config: dict[str, object], of: ClassLayout = TINY) -> dict[str, layouts.Stored]:
    return {tensor.name: tensor for tensor in stored(of, config)}


def test_a_formula_is_a_sum_of_products() -> None:
    values = Values(CONFIG | {"n_heads": 3}, TINY)
    assert quantity("2*width*width+n_heads+5", values) == 2 * 64 + 3 + 5
    assert quantity("width/n_heads*10", values) == 20  # 8 / 3 is 2
    assert quantity("vocab/-16", values) == 7  # 100 / 16, rounded up
    assert quantity("3/4*width", values) == 6


@pytest.mark.parametrize(
    ("place", "layers"),
    [
        ("all", [0, 1, 2, 3, 4, 5]),
        ("i<2", [0, 1]),
        ("i>=-2", [4, 5]),
        ("i%window=-1", [2, 5]),
        ("i%window!=-1&i>=2", [3, 4]),
        ("~i%window=-1", [0, 1, 3, 4]),
        ("i@chosen", [1, 4]),
        ("layer_types[i]=b", [2, 5]),
        ("layer_types[i]!=b", [0, 1, 3, 4]),
    ],
)
def test_a_place_names_layers(place: str, layers: list[int]) -> None:
    values = Values(CONFIG | {"chosen": [1, 4]}, TINY)
    assert [i for i in range(6) if holds(place, values, i, 6)] == layers


def test_a_dimension_of_the_layer_splits_a_tensor_by_shape() -> None:
    """Where a config lists no number for each layer, all have the one it states."""
    of = decoded(
        {
            "model_type": "tiny",
            "class": "TinyForCausalLM",
            "miss": 0,
            "defaults": {},
            "stacks": {"model.layers.": "n_layer"},
            "entries": [["model.layers.{0}.q_proj.weight", "2*heads_per_layer[i],width", "", "", ""]],
        }
    )
    found = stored(of, CONFIG | {"n_layer": 4, "heads_per_layer": [3, 5, 5, 3]})
    assert [(tensor.shape, tensor.layers) for tensor in found] == [((6, 8), (0, 3)), ((10, 8), (1, 2))]
    found = stored(of, CONFIG | {"n_layer": 4, "heads": 7})
    assert [(tensor.shape, tensor.layers) for tensor in found] == [((14, 8), (0, 1, 2, 3))]
    with pytest.raises(ConfigError, match="is missing"):
        stored(of, CONFIG | {"n_layer": 4, "heads_per_layer": [3, 5]})


def test_every_tensor_of_a_config_is_listed_once_with_its_layers() -> None:
    found = by_name(CONFIG)
    assert found["model.embed_tokens.weight"].shape == (100, 8)
    assert found["model.layers.{i}.q_proj.weight"].shape == (20, 2)
    assert found["model.layers.{i}.mix.weight"].layers == (2, 5)
    assert (found["model.layers.{i}.experts.{e}.w.weight"].copies, found["model.layers.{i}.count"].buffer) == (2, True)
    assert "model.layers.{i}.q_proj.bias" not in found
    assert count(list(found.values())) == 800 + 6 * 40 + 2 * 8 + 5 * 2 * 64


def test_a_switch_takes_tensors_away_and_brings_others() -> None:
    found = by_name(CONFIG | {"bias": True})
    assert found["model.layers.{i}.q_proj.bias"].shape == (4,)
    assert "model.layers.{i}.experts.{e}.w.weight" not in found


def test_a_tensor_may_need_two_sizes_to_differ() -> None:
    of = replace(TINY, entries=(layouts.Entry(name="project", dims=("width",), needs=("width!=narrow",)),))
    assert by_name(CONFIG | {"narrow": 8}, of) == {}
    assert list(by_name(CONFIG | {"narrow": 4}, of)) == ["project"]


def test_another_name_of_a_field_is_read() -> None:
    renamed = decoded({**json.loads(json.dumps(RAW)), "aliases": {"n_layers": "n_layer"}})
    assert count(stored(renamed, {"vocab": 100, "width": 8, "n_layers": 6})) == count(stored(TINY, CONFIG))


RAW = {
    "model_type": "tiny",
    "miss": 0,
    "class": "TinyForCausalLM",
    "defaults": TINY.defaults,
    "stacks": TINY.stacks,
    "lists": TINY.lists,
    "entries": [
        [e.name, ",".join(e.dims), e.place, " ".join(e.needs), "buffer" if e.buffer else ""] for e in TINY.entries
    ],
}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"width": None}, "width"),
        ({"width": "8"}, "width"),
        ({"width": float("nan")}, "width"),
        ({"n_layer": 10**9}, "n_layer"),
        ({"n_layer": -1}, "n_layer"),
        ({"n_heads": 0}, "n_heads"),
        ({"experts": 1 << 20}, "experts"),
    ],
)
def test_a_size_that_cannot_be_is_refused_by_name(change: dict[str, object], field: str) -> None:
    with pytest.raises(ConfigError) as refused:
        stored(TINY, CONFIG | change)
    assert field in str(refused.value.field)


def test_a_config_without_any_size_is_refused() -> None:
    with pytest.raises(ConfigError) as refused:
        composed(TINY, {"model_type": "tiny", "bias": True})
    assert refused.value.field == "hidden_size"


def test_a_section_of_another_type_is_read_by_its_own_layout() -> None:
    """LLaVA-NeXT-Video around a Qwen 3 of 4 layers: its encoder, its projector to 512 and that decoder.

    314,237,440 is the count of the class built so on the meta device by transformers 5.23.0.
    """
    of = layouts.layout("llava_next_video")
    assert of is not None
    text = {
        "model_type": "qwen3", "hidden_size": 512, "intermediate_size": 1024, "num_hidden_layers": 4,
        "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 64, "vocab_size": 1000,
        "tie_word_embeddings": False,
    }  # fmt: skip
    assert count(composed(of, {**of.defaults, "text_config": text})) == 314_237_440


ROWS = [json.loads(line) for line in (REFERENCE / "class_counts.jsonl").read_text().splitlines()]
LEARNED = [row for row in ROWS if row["model_type"] in layouts.lines()]


@pytest.mark.parametrize("row", LEARNED, ids=lambda row: row["model_type"])
def test_a_layout_counts_the_default_config_as_the_class_does(row: dict[str, object]) -> None:
    of = layouts.layout(str(row["model_type"]))
    assert of is not None
    assert count(composed(of, row["config"])) == pytest.approx(row["params"], rel=of.miss, abs=0)  # type: ignore[arg-type]


def test_minimax_m3_says_its_layers_and_index_in_its_own_words() -> None:
    """427,040,132,864 as transformers 5.24 builds its config: 3 dense layers, 57 sparse ones with an index of 128.

    A token keeps 60 x 2 x 4 x 128 elements, and 128 of the index in each sparse layer.
    """
    spec = catalogue.load_spec("MiniMaxAI/MiniMax-M3")
    assert spec.resident_params == 427_040_132_864
    dense, sparse = spec.groups
    assert (dense.count, dense.ffn.experts if dense.ffn else None) == (3, 0)
    assert (sparse.count, sparse.ffn.experts if sparse.ffn else None) == (57, 128)
    assert dense.attention is not None
    assert sparse.attention is not None
    assert (dense.attention.indexer_dim, dense.attention.indexer_topk) == (0, 0)
    assert (sparse.attention.indexer_dim, sparse.attention.indexer_topk) == (128, 16 * 128)
    assert sparse.attention.cached_elements_per_token == 1024


def test_minimax_m3s_index_is_as_large_as_its_file_says() -> None:
    config = json.loads(json.dumps(catalogue.load_config("MiniMaxAI/MiniMax-M3")))
    index = config["text_config"]["sparse_attention_config"]
    index |= {"sparse_index_dim": 64, "sparse_block_size": 32, "sparse_topk_blocks": 8}
    sparse = parse_config(config, model_id="acme/one", source=SpecSource.FILE, source_note="a test").groups[1].attention
    assert sparse is not None
    assert (sparse.indexer_dim, sparse.indexer_topk) == (64, 8 * 32)


@pytest.mark.parametrize(
    ("model_type", "said", "params"),
    [
        ("axk1", {"first_k_dense_replace": 2}, 510_878_273_536),
        ("axk1", {"moe_layer_freq": 2}, 275_839_689_728),
        ("inkling_text", {"dense_mlp_idx": 2}, 947_025_547_842),
        ("deepseek_v32", {"n_routed_experts": None, "num_experts": 64}, 181_366_528_256),
    ],
)
def test_what_files_of_before_call_otherwise_is_read(model_type: str, said: dict[str, object], params: int) -> None:
    """As torch's meta device builds these configs with transformers 5.24."""
    row = next(row for row in ROWS if row["model_type"] == model_type)
    config = {**row["config"], **said}
    config = {name: value for name, value in config.items() if value is not None and name != "mlp_layer_types"}
    spec = parse_config(config, model_id="acme/one", source=SpecSource.FILE, source_note="a test")
    assert spec.resident_params == params


@pytest.mark.parametrize(
    ("model_type", "said", "params"),
    [
        ("hy_v3", {"mlp_layer_types": None}, 295_033_528_320),  # a null list is one left out
        ("hy_v3", {"dense_intermediate_size": 99_999}, 295_033_528_320),  # the experts' own width is the config's
        ("inkling_text", {"mlp_layer_types": None}, 975_340_270_146),
        ("inkling_text", {"dense_intermediate_size": 24_576, "moe_intermediate_size": None, "intermediate_size": 3072},
         975_340_270_146),  # as its files spell both widths
    ],
)  # fmt: skip
def test_what_says_nothing_of_feed_forwards_leaves_them_as_they_are(
    model_type: str, said: dict[str, object], params: int
) -> None:
    config = next(row for row in ROWS if row["model_type"] == model_type)["config"] | said
    spec = parse_config(config, model_id="acme/one", source=SpecSource.FILE, source_note="a test")
    assert spec.resident_params == params


def test_more_dense_first_layers_than_there_are_make_all_of_them_dense() -> None:
    config = next(row for row in ROWS if row["model_type"] == "axk1")["config"]
    listed = {**config, "mlp_layer_types": ["dense"] * config["num_hidden_layers"]}
    config = {name: value for name, value in config.items() if name != "mlp_layer_types"}
    first, every = (
        parse_config(made, model_id="acme/one", source=SpecSource.FILE, source_note="a test")
        for made in ({**config, "first_k_dense_replace": 1000}, listed)
    )
    assert first.resident_params == every.resident_params


@pytest.mark.parametrize(
    ("model_type", "whole", "text", "params"),
    [
        ("llava", False, True, 6_931_830_784),
        ("llava_next", None, True, 7_062_906_880),
        ("llama4", True, False, 108_225_039_360),
        ("muse_glimmer", True, False, 28_431_795_200),
        ("glm_ocr", False, True, 746_662_400),
        ("qwen2_5_vl", False, True, 74_543_520_512),
        ("qwen3_vl", None, True, 12_616_410_352),
        ("paligemma", False, True, 3_437_037_824),
    ],
)
def test_where_a_model_and_its_text_contradict_each_other_its_class_decides(
    model_type: str, whole: bool | None, text: bool, params: int
) -> None:
    """Whether the head is the embedding, as torch's meta device builds these configs with transformers 5.24."""
    config = next(row for row in ROWS if row["model_type"] == model_type)["config"]
    config = {**config, "text_config": {**config["text_config"], "tie_word_embeddings": text}}
    config.pop("tie_word_embeddings", None)
    config |= {} if whole is None else {"tie_word_embeddings": whole}
    spec = parse_config(config, model_id="acme/one", source=SpecSource.FILE, source_note="a test")
    assert spec.resident_params == params


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"moe_layer_freq": [0, 0, 1]}, "moe_layer_freq"),
        ({"moe_layer_freq": "all"}, "moe_layer_freq"),
        ({"moe_layer_freq": ["dense"] * 60}, "moe_layer_freq"),
        ({"moe_layer_freq": 10**12}, "moe_layer_freq"),
        ({"moe_layer_freq": None, "first_k_dense_replace": -5}, "first_k_dense_replace"),
        ({"sparse_attention_config": {"sparse_attention_freq": [1] * 6}}, "sparse_attention_freq"),
    ],
)
def test_marks_that_are_not_of_every_layer_are_refused_by_field(said: dict[str, object], field: str) -> None:
    config = catalogue.load_config("MiniMaxAI/MiniMax-M3")
    text = config["text_config"]
    assert isinstance(text, dict)
    with pytest.raises(ConfigError) as refused:
        parse_config(
            {**config, "text_config": {**text, **said}},
            model_id="acme/one",
            source=SpecSource.FILE,
            source_note="a test",
        )
    assert refused.value.field == field
