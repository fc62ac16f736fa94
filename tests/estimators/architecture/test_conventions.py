"""Layers, heads, cache and experts from names and shapes: small models worked by hand, and the classes' own caches."""

from __future__ import annotations

import json

import pytest

from estimators.architecture import layouts
from estimators.architecture.conventions import body_of, read
from estimators.architecture.fields import ConfigError
from estimators.architecture.layouts import Stored
from estimators.architecture.parse import parse_config
from estimators.architecture.spec import AttentionKind, Reading, Role, SpecSource, Split
from estimators.hardware.catalogue import find_accelerator
from estimators.latency.sharding import shard_of
from estimators.precision import Weights, resolve_precision
from estimators.workload import Placement
from tests.conftest import REFERENCE

CONFIG: dict[str, object] = {"num_attention_heads": 4, "num_key_value_heads": 2, "hidden_size": 32, "head_dim": 16}


def layer(*tensors: tuple[str, tuple[int, ...]], layers: tuple[int, ...] = (0, 1), copies: int = 1) -> list[Stored]:
    return [Stored(name=f"model.layers.{{i}}.{n}.weight", shape=s, layers=layers, copies=copies) for n, s in tensors]


OUTSIDE = [
    Stored(name="model.embed_tokens.weight", shape=(100, 32), layers=None),
    Stored(name="model.norm.weight", shape=(32,), layers=None),
    Stored(name="lm_head.weight", shape=(100, 32), layers=None),
]
ATTENTION = layer(
    ("self_attn.q_proj", (64, 32)),
    ("self_attn.k_proj", (32, 32)),
    ("self_attn.v_proj", (32, 32)),
    ("self_attn.o_proj", (32, 64)),
)
MLP = layer(("mlp.gate_proj", (96, 32)), ("mlp.up_proj", (96, 32)), ("mlp.down_proj", (32, 96)))


def test_grouped_queries_and_a_gated_feed_forward() -> None:
    body = read(OUTSIDE + ATTENTION + MLP, CONFIG)
    (group,) = body.groups
    assert group.attention is not None
    assert group.ffn is not None
    assert (group.layers, group.prefix) == ((0, 1), "model.layers.{i}")
    assert (group.attention.q_heads, group.attention.kv_heads, group.attention.head_dim) == (4, 2, 16)
    assert group.attention.cached_elements_per_token == 2 * (16 + 16)
    assert (group.ffn.width, group.ffn.gated, group.ffn.experts) == (96, True, 0)
    assert {t.name: t.split for t in group.tensors}["self_attn.k_proj"] is Split.KV_COLUMN
    assert {t.role for t in body.tensors} == {Role.EMBEDDING, Role.NORM, Role.LM_HEAD}
    assert (body.hidden_size, body.vocab_size, body.tied) == (32, 100, False)


def test_a_fused_projection_gives_keys_what_the_output_does_not_take() -> None:
    fused = layer(("self_attn.qkv_proj", (64 + 2 * 32, 32)), ("self_attn.o_proj", (32, 64)))
    attention = read(OUTSIDE + fused + MLP, CONFIG).groups[0].attention
    assert attention is not None
    assert attention.cached_elements_per_token == 64


def test_windows_follow_the_kinds_that_the_config_names() -> None:
    kinds = {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 8}
    first, second = read(OUTSIDE + ATTENTION + MLP, CONFIG | kinds).groups
    assert (first.attention.kind, first.attention.window) == (AttentionKind.SLIDING, 8)  # type: ignore[union-attr]
    assert second.attention.kind is AttentionKind.FULL  # type: ignore[union-attr]


def test_a_latent_is_what_is_cached() -> None:
    latent = layer(
        ("self_attn.q_proj", (4 * 24, 32)),
        ("self_attn.kv_a_proj_with_mqa", (40 + 8, 32)),
        ("self_attn.kv_b_proj", (4 * 32, 40)),
        ("self_attn.o_proj", (32, 64)),
    )
    attention = read(OUTSIDE + latent + MLP, CONFIG | {"qk_rope_head_dim": 8}).groups[0].attention
    assert attention is not None
    assert (attention.kind, attention.latent_dim, attention.rope_dim) == (AttentionKind.MLA, 40, 8)
    assert (attention.head_dim, attention.value_dim, attention.cached_elements_per_token) == (24, 16, 48)


def test_experts_shared_ones_and_a_router() -> None:
    moe = layer(("mlp.experts.{e}.up_proj", (12, 32)), ("mlp.experts.{e}.down_proj", (32, 12)), copies=8)
    moe += layer(
        ("mlp.gate", (8, 32)), ("mlp.shared_experts.up_proj", (24, 32)), ("mlp.shared_experts.down_proj", (32, 24))
    )
    (group,) = read(OUTSIDE + ATTENTION + moe, CONFIG | {"num_experts_per_tok": 2, "n_shared_experts": 2}).groups
    assert group.ffn is not None
    assert (group.ffn.experts, group.ffn.experts_per_token, group.ffn.width, group.ffn.gated) == (8, 2, 12, False)
    assert (group.ffn.shared_experts, group.ffn.shared_width) == (2, 12)
    assert {t.name: t.role for t in group.tensors}["mlp.gate"] is Role.ROUTER


def test_a_mamba_layer_keeps_a_matrix_per_head_and_a_convolution() -> None:
    mixer = [
        Stored(name=f"model.layers.{{i}}.mamba.{name}", shape=shape, layers=(0,))
        for name, shape in {
            "A_log": (4,), "D": (4,), "dt_bias": (4,), "conv1d.weight": (64 + 2 * 10, 1, 4),
            "in_proj.weight": (64 + 84 + 4, 32), "out_proj.weight": (32, 64),
        }.items()
    ]  # fmt: skip
    attends = layer(("self_attn.q_proj", (64, 32)), ("self_attn.k_proj", (32, 32)), layers=(1,))
    attends += layer(("self_attn.v_proj", (32, 32)), ("self_attn.o_proj", (32, 64)), layers=(1,))
    mamba, full = read(OUTSIDE + mixer + attends + MLP, CONFIG | {"mamba_d_state": 10}).groups
    assert mamba.state is not None
    assert (mamba.state.kind, mamba.state.conv_elements, mamba.state.recurrent_elements) == ("mamba2", 84 * 3, 64 * 10)
    assert (mamba.attention, full.state) == (None, None)


def test_layers_beyond_those_the_config_counts_predict_further_tokens() -> None:
    groups = read(OUTSIDE + ATTENTION + MLP, CONFIG | {"num_hidden_layers": 1}).groups
    assert [(group.stack, group.layers) for group in groups] == [("decoder", (0,)), ("mtp", (1,))]


def test_a_stack_run_several_times_keeps_a_cache_for_each_pass() -> None:
    stored_once, again = read(OUTSIDE + ATTENTION + MLP, CONFIG | {"num_hidden_layers": 6}).groups
    assert (stored_once.count, again.count, again.tensors) == (2, 4, ())
    assert again.attention == stored_once.attention


def test_an_encoder_beside_the_decoder_is_a_tower() -> None:
    tower = [
        Stored(name="model.visual.blocks.{i}.attn.qkv.weight", shape=(90, 30), layers=(0, 1, 2)),
        Stored(name="model.visual.embeddings.position_embedding.weight", shape=(9, 30), layers=None),
    ]
    body = read(OUTSIDE + ATTENTION + MLP + tower, CONFIG)
    assert sum(t.elements for t in body.tensors if t.role is Role.TOWER) == 3 * 90 * 30 + 9 * 30
    assert [group.prefix for group in body.groups] == ["model.layers.{i}"]


ROWS = [json.loads(line) for line in (REFERENCE / "class_counts.jsonl").read_text().splitlines()]
LEARNED = [row for row in ROWS if row["model_type"] in layouts.lines() and row["kv_elements_per_token"]]
# What transformers keeps and engines do not, or the other way round.
CACHED_OTHERWISE: dict[str, str] = {}


@pytest.mark.parametrize("row", LEARNED, ids=lambda row: row["model_type"])
def test_the_cache_of_a_token_is_what_the_class_keeps(row: dict[str, object]) -> None:
    if row["model_type"] in CACHED_OTHERWISE:
        pytest.skip(CACHED_OTHERWISE[str(row["model_type"])])
    body = body_of(row["config"], str(row["model_type"]))  # type: ignore[arg-type]
    if body.reading is Reading.DESCRIBED:
        kept = sum(g.count * g.attention.cached_elements_per_token for g in body.groups if g.attention)
        assert kept == row["kv_elements_per_token"]


def test_a_width_that_no_build_could_change_is_never_answered_as_exact() -> None:
    """inkling2 holds its width to that of its encoder; at another one nothing is known of how its tensors follow."""
    of = layouts.layout("inkling2", part=True)
    assert of is not None
    config = {**of.defaults, "text_config": {**of.defaults["text_config"], "hidden_size": 4096}}  # type: ignore[dict-item]
    body = body_of(config, "inkling2")
    assert (body.reading, body.relative_range) == (Reading.CONVENTION, 1.0)
    assert any("text_config.hidden_size" in note for note in body.notes)


def test_a_type_nobody_knows_is_read_like_its_kin_as_a_range() -> None:
    config = {
        "model_type": "quantum_llm", "hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 3,
        "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 8, "vocab_size": 500,
        "max_position_embeddings": 4096, "tie_word_embeddings": False,
    }  # fmt: skip
    spec = parse_config(config, model_id="o/m", source=SpecSource.FILE, source_note="n")
    layer_params = 2 * 64 * 64 + 2 * 16 * 64 + 3 * 160 * 64
    assert spec.reading is Reading.CONVENTION
    assert spec.relative_range >= 0.02
    assert abs(spec.resident_params / (2 * 500 * 64 + 3 * layer_params) - 1) < spec.relative_range
    assert any("quantum_llm" in note and "off by" in note for note in spec.notes)


# --- layers a token runs through more than once

LOOPED = OUTSIDE + layer(
    ("self_attn.q_proj", (64, 32)),
    ("self_attn.k_proj", (32, 32)),
    ("self_attn.v_proj", (32, 32)),
    ("self_attn.o_proj", (32, 64)),
    layers=(0, 1, 2, 3),
)
TWICE = {"num_hidden_layers": 4, "n_input_layers": 1, "n_output_layers": 1, "n_recurrent_loops": 2}


@pytest.mark.parametrize(
    ("said", "layers", "caching"),
    [
        (TWICE, 4 + 2, 4 + 2),
        (TWICE | {"recurrent_kv_cache_mode": "last_loop"}, 4 + 2, 4),
        # Attention and feed-forward listed as layers of their own: every count is of halves.
        (
            {
                "num_hidden_layers": 8,
                "layer_types": ["full_attention", "mlp"] * 4,
                "n_input_layers": 2,
                "n_output_layers": 2,
                "n_recurrent_loops": 3,
            },
            4 + 2 * 2,
            4 + 2 * 2,
        ),
        (
            {"num_hidden_layers": 4, "loop_layer_index_start": 1, "loop_layer_index_end": 4, "loop_num_passes": 2},
            4 + 3,
            4 + 3,
        ),
        ({"num_hidden_layers": 4, "total_ut_steps": 4}, 16, 16),
        ({"num_hidden_layers": 8}, 8, 8),  # twice as many as are stored (HRM)
    ],
)
def test_a_pass_through_the_same_layers_stores_nothing_and_caches_again(
    said: dict[str, object], layers: int, caching: int
) -> None:
    groups = read(LOOPED, CONFIG | said).groups
    assert sorted(index for group in groups for index in group.layers) == list(range(layers))
    assert sum(g.count * g.attention.cached_elements_per_token for g in groups if g.attention) == caching * 64
    assert sum(g.count * g.elements_per_layer for g in groups) == 4 * 32 * (64 + 32 + 32 + 64)
    assert sum(g.count * len(g.again) for g in groups) == (layers - 4) * 4


@pytest.mark.parametrize(
    ("said", "field"),
    [
        (TWICE | {"n_recurrent_loops": 1 << 20}, "n_recurrent_loops"),
        (TWICE | {"n_output_layers": 3}, "n_input_layers"),
        ({"loop_num_passes": 2, "loop_layer_index_start": 2, "loop_layer_index_end": 9}, "loop_layer_index_end"),
    ],
)
def test_a_loop_over_layers_that_do_not_exist_is_refused(said: dict[str, object], field: str) -> None:
    with pytest.raises(ConfigError, match=field):
        read(LOOPED, {"num_hidden_layers": 4} | CONFIG | said)


def test_each_pass_reads_its_weights_again() -> None:
    """The layers of HRM's lower stack run as 128: a step reads the 16 eight times, and a GPU holds them once."""
    rows = (REFERENCE / "class_counts.jsonl").read_text(encoding="utf-8").splitlines()
    config = next(row["config"] for row in map(json.loads, rows) if row["model_type"] == "hrm_text")
    spec = parse_config(config, model_id="o/m", source=SpecSource.FILE, source_note="a class's default")
    precision = resolve_precision(spec, Weights.BF16)
    shard = shard_of(precision, find_accelerator("L4"), Placement())
    stored = 16 * 1536 * (1536 + 4096 + 8192 + 6144)  # out, down, gate and up, gate and queries with keys and values
    assert shard.linear.elements == 8 * stored
    assert shard.weights_bytes == 2 * (stored + 2 * 151_808 * 1536)  # with the embeddings and the head


def test_a_cache_that_no_tensor_shows_is_taken_from_the_heads_and_said() -> None:
    strange = OUTSIDE + layer(("mixer.alpha", (64, 32)), ("mixer.omega", (32, 64))) + MLP
    body = read(strange, CONFIG | {"num_hidden_layers": 2})
    assert sum(g.count * g.attention.cached_elements_per_token for g in body.groups if g.attention) == 2 * 64
    assert (body.reading, body.relative_range) == (Reading.CONVENTION, 0.1)
    assert "taken from the heads" in body.notes[0]


@pytest.mark.parametrize("model_type", ["inkling_text", "mellum", "minimax_m3_vl"])
def test_a_list_that_a_config_leaves_out_grows_with_its_layers(model_type: str) -> None:
    """Twice the layers of the default are those of its tail over again."""
    rows = (REFERENCE / "class_counts.jsonl").read_text(encoding="utf-8").splitlines()
    config = next(row["config"] for row in map(json.loads, rows) if row["model_type"] == model_type)
    text = config.get("text_config", config)
    few = text["num_hidden_layers"]
    lists = [name for name, value in text.items() if isinstance(value, list) and len(value) == few]
    for name in lists:
        del text[name]
    sizes = []
    for count in (few, 2 * few, 3 * few):
        text["num_hidden_layers"] = count
        body = body_of(config, model_type)
        assert body.relative_range == 0
        sizes.append(sum(group.count * group.elements_per_layer for group in body.groups))
    assert sizes[1] > 1.9 * sizes[0]
    assert sizes[2] - sizes[1] == pytest.approx(sizes[1] - sizes[0], rel=0.001)


def test_a_list_whose_rule_is_not_known_makes_the_count_a_range() -> None:
    of = layouts.layout("hy_v4")
    assert of is not None
    assert "indexer_types" not in of.lists
    stated = json.loads(layouts.lines()["hy_v4"])["defaults"]
    for name in ("indexer_types", "mlp_layer_types", "layer_types"):
        del stated[name]
    body = body_of(stated | {"num_hidden_layers": 2 * int(stated["num_hidden_layers"])}, "hy_v4")
    assert (body.reading, body.relative_range) == (Reading.CONVENTION, 1.0)
    assert "indexer_types" in body.notes[0]
