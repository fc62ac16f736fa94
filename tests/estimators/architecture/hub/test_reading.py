"""What the client makes of a repository: its config, what that leaves out, and the files behind it."""

from __future__ import annotations

import json

import pytest

from estimators.architecture.hub.client import ConfigUnreadable, WeightsUnreadable
from estimators.architecture.parse import ConfigError
from estimators.architecture.spec import Reading, SpecSource
from tests.estimators.architecture.hub.small_llama import LLAMA, LLAMA_PARAMS, refusal
from tests.estimators.architecture.test_gguf import file as gguf_file
from tests.servers.hub import commit_of

# ---------------------------------------------------------------- hostile configs


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (b"", "not readable JSON"),
        (b"<html>", "not readable JSON"),
        (b"\xff\xfe{", "not readable JSON"),
        (b"[" * 100_000, "not readable JSON"),
        (b'{"hidden_size": ' + b"9" * 5000 + b"}", "not readable JSON"),
        (b"[1]", "not a JSON object"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "deeper than 32 levels"),
        (b'{"a": "' + b"x" * (5 << 20) + b'"}', "larger than 4 MiB"),
    ],
)
def test_a_config_that_cannot_be_read(hub, client, config, words):
    hub.add_model("org/odd", config=config)
    error = refusal(client, "org/odd")
    assert type(error) is ConfigUnreadable
    assert words in error.message


def test_a_config_with_a_field_that_cannot_be(hub, client):
    hub.add_model("org/odd", config=LLAMA | {"hidden_size": "wide"})
    error = refusal(client, "org/odd")
    assert isinstance(error, ConfigError)
    assert error.field == "hidden_size"


def test_code_in_a_repository_is_never_fetched(hub, client):
    hub.add_model(
        "org/remote",
        config=LLAMA | {"auto_map": {"AutoConfig": "evil.Config"}},
        files={"evil.py": b"raise SystemExit"},
    )
    client.fetch("org/remote")
    assert not any(r.path.endswith(".py") for r in hub.requests)


# ---------------------------------------------------------------- what transformers fills in


def test_fields_left_out_are_filled_from_the_config_class(hub, client):
    sparse = {"model_type": "mixtral", "hidden_size": 4096, "num_hidden_layers": 2}
    hub.add_model("org/sparse", config=sparse)
    found = client.fetch("org/sparse")
    (group,) = found.spec.groups
    assert (group.ffn.experts, group.ffn.experts_per_token) == (8, 2)  # defaults of MixtralConfig
    assert {"num_local_experts", "num_experts_per_tok"} <= set(found.filled)
    assert any("num_local_experts" in note for note in found.spec.notes)


def test_what_the_repository_wrote_stays(hub, client):
    quantized = {"quant_method": "fp8", "weight_block_size": [128, 128], "activation_scheme": "dynamic", "fmt": "e4m3"}
    hub.add_model("org/fp8", config=LLAMA | {"quantization_config": quantized})
    spec = client.fetch_spec("org/fp8")
    assert spec.quantization.method == "fp8"
    assert spec.resident_params == LLAMA_PARAMS


def test_latent_attention_gets_no_head_size_filled_in(hub, client):
    hub.add_model("org/mla", config={"model_type": "deepseek_v3", "num_hidden_layers": 1, "first_k_dense_replace": 1})
    found = client.fetch("org/mla")
    assert "head_dim" not in found.filled
    assert found.spec.groups[0].attention.cached_elements_per_token == 576  # 512 + 64


@pytest.mark.parametrize("field", ["num_hidden_layers", "num_labels"])
def test_a_number_that_would_fill_memory_fills_nothing(hub, client, field):
    hub.add_model("org/vast", config=LLAMA | {field: 10**9})
    if field == "num_hidden_layers":
        assert refusal(client, "org/vast").field == "num_hidden_layers"
    else:
        assert client.fetch_spec("org/vast").resident_params == LLAMA_PARAMS


# ---------------------------------------------------------------- architectures nobody has described


ODD = {"model_type": "never_heard_of_it", "architectures": ["OddForCausalLM"]}


def test_an_unknown_architecture_has_its_stored_weights_read(hub, client):
    hub.add_model(
        "org/odd",
        config=ODD,
        safetensors={
            "model-00001-of-00002.safetensors": {"a.weight": ("BF16", [1000, 64]), "a.bias": ("F32", [64])},
            "model-00002-of-00002.safetensors": {"b.weight": ("F8_E4M3", [10, 10])},
        },
    )
    spec = client.fetch_spec("org/odd")
    assert spec.source is SpecSource.HEADER
    assert spec.stored.elements == 64_000 + 64 + 100
    assert spec.stored.total_bytes == 128_000 + 256 + 100
    assert spec.revision == commit_of("org/odd")


def test_a_server_that_ignores_ranges_does_not_make_us_read_the_weights(hub, client):
    hub.ignore_range = True
    hub.add_model("org/odd", config=ODD, safetensors={"model.safetensors": {"w": ("BF16", [1 << 20, 4096])}})
    spec = client.fetch_spec("org/odd")
    assert spec.stored.total_bytes == 8 << 30
    assert hub.body_bytes < 64 << 20  # what lay in socket buffers when the client hung up


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00" * 7, (10).to_bytes(8, "little"), (1 << 60).to_bytes(8, "little") + b"{}",
     (0).to_bytes(8, "little") + b"{}", (2).to_bytes(8, "little") + b"[]", (5).to_bytes(8, "little") + b"{\"a\":",
     (300_000).to_bytes(8, "little") + b" " * 200_000],
)  # fmt: skip
def test_a_lying_header_is_refused(hub, client, content):
    hub.add_model("org/odd", config=ODD, files={"model.safetensors": content})
    assert isinstance(refusal(client, "org/odd"), WeightsUnreadable)


def test_an_unknown_architecture_without_safetensors_is_refused(hub, client):
    hub.add_model("org/odd", config=ODD, files={"pytorch_model.bin": b"x"})
    error = refusal(client, "org/odd")
    assert "never_heard_of_it" in error.message
    assert error.field == "model"


NOVEL = LLAMA | {"model_type": "novel_llm", "architectures": ["NovelForCausalLM"]}
NOVEL_TENSORS = {
    "model.embed_tokens.weight": ("BF16", [100, 64]), "lm_head.weight": ("BF16", [100, 64]),
    "model.norm.weight": ("BF16", [64]),
} | {
    f"model.layers.{i}.{name}.weight": ("BF16", shape)
    for i in range(3)
    for name, shape in {
        "self_attn.q_proj": [64, 64], "self_attn.k_proj": [32, 64], "self_attn.v_proj": [32, 64],
        "self_attn.o_proj": [64, 64], "mlp.gate_proj": [200, 64], "mlp.up_proj": [200, 64], "mlp.down_proj": [64, 200],
        "input_layernorm": [64], "post_attention_layernorm": [64],
    }.items()
}  # fmt: skip


def test_the_files_decide_where_a_type_is_read_by_convention(hub, client):
    """The config says 2 layers of width 160; the files hold 3 of 200, the third beyond the config's count."""
    hub.add_model("org/novel", config=NOVEL, safetensors={"model.safetensors": NOVEL_TENSORS})
    spec = client.fetch_spec("org/novel")
    assert spec.reading is Reading.MATCHED
    assert spec.resident_params == 12_800 + 64 + 2 * (12_288 + 3 * 200 * 64 + 128)
    assert [(group.stack, group.count) for group in spec.groups] == [("decoder", 2), ("mtp", 1)]
    assert any("against the" in note for note in spec.notes)


def test_files_that_cannot_be_read_leave_the_range_and_say_so(hub, client):
    hub.add_model("org/novel", config=NOVEL, files={"model.safetensors": (2).to_bytes(8, "little") + b"[]"})
    spec = client.fetch_spec("org/novel")
    assert spec.reading is Reading.CONVENTION
    assert spec.relative_range > 0
    assert any("could not settle it" in note for note in spec.notes)


def test_a_repository_with_only_params_json(hub, client):
    params = {"dim": 64, "n_layers": 2, "head_dim": 16, "hidden_dim": 160, "n_heads": 4, "n_kv_heads": 2}
    params |= {"vocab_size": 100, "norm_eps": 1e-5, "tied_embeddings": False}
    hub.add_model("org/native", files={"params.json": json.dumps(params).encode()})
    spec = client.fetch_spec("org/native")
    assert spec.resident_params == LLAMA_PARAMS
    assert any("params.json" in note for note in spec.notes)
    hub.add_model("org/latent", files={"params.json": json.dumps(params | {"kv_lora_rank": 8}).encode()})
    assert "kv_lora_rank" in refusal(client, "org/latent").message


def test_a_repository_with_only_a_gguf_file(hub, client):
    hub.add_model("org/gguf", files={"model-Q4_K_M.gguf": gguf_file()})
    spec = client.fetch_spec("org/gguf")
    assert (spec.reading, spec.layer_count, spec.max_positions) == (Reading.CONVENTION, 2, 4096)
    assert any("Q4_K" in note for note in spec.notes)


def test_a_repository_with_only_safetensors(hub, client):
    hub.add_model("org/bare-weights", safetensors={"model.safetensors": NOVEL_TENSORS})
    spec = client.fetch_spec("org/bare-weights")
    assert (spec.reading, spec.layer_count) == (Reading.MATCHED, 3)
