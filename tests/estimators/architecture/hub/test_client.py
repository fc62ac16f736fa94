"""The Hub client against a real server on loopback: what it asks for, and a sentence for everything that goes wrong."""

from __future__ import annotations

import gzip
import json
import logging
import socket
import subprocess
import sys

import pytest

from estimators.architecture.hub.bounds import may_lead_to
from estimators.architecture.hub.client import (
    BadModelId,
    ConfigMissing,
    ConfigUnreadable,
    GatedModel,
    HubClient,
    HubOffline,
    HubRefusal,
    HubUnavailable,
    HubUnreachable,
    ModelForbidden,
    ModelNotFound,
    RateLimited,
    RepositoryTooLarge,
    RevisionNotFound,
    WeightsUnreadable,
)
from estimators.architecture.parse import ConfigError
from estimators.architecture.spec import Reading, SpecSource
from estimators.provenance import Refusal
from tests.estimators.architecture.test_gguf import file as gguf_file
from tests.servers.hub import HubServer, SparseFile, commit_of

TOKEN = "hf_secretsecretsecret"
LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 100,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}
# 2 x 100 x 64 embeddings and head; per layer q, o 2 x 64 x 64, k, v 2 x 32 x 64, feed-forward 3 x 64 x 160, norms
# 2 x 64; the final norm 64: 12,800 + 2 x 43,136 + 64.
LLAMA_PARAMS = 99_136


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in ("HF_ENDPOINT", "HF_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def hub():
    with HubServer() as server:
        server.add_model("org/llama", config=LLAMA)
        yield server


@pytest.fixture
def client(hub, tmp_path):
    return HubClient(endpoint=hub.url, cache_dir=tmp_path / "cache")


def refusal(client, model_id="org/llama", revision=None):
    with pytest.raises(Refusal) as refused:
        client.fetch(model_id, revision)
    assert refused.value.remedy, "a refusal says the way out"
    return refused.value


# ---------------------------------------------------------------- the ordinary way


def test_a_model_is_read_at_the_commit_its_branch_stands_for(hub, client):
    spec = client.fetch_spec("org/llama")
    assert spec.resident_params == LLAMA_PARAMS
    assert spec.revision == commit_of("org/llama")
    assert spec.source is SpecSource.HUB
    assert spec.id == "org/llama"
    assert spec.revision[:12] in spec.source_note
    assert [(r.method, r.path) for r in hub.requests] == [
        ("GET", "/api/models/org/llama"),
        ("HEAD", f"/org/llama/resolve/{spec.revision}/config.json"),
        ("GET", f"/org/llama/resolve/{spec.revision}/config.json"),
    ]


def test_the_second_time_only_the_commit_is_asked_for(hub, client):
    client.fetch_spec("org/llama")
    before = len(hub.requests)
    client.fetch_spec("org/llama")
    assert [r.path for r in hub.requests[before:]] == ["/api/models/org/llama"]


def test_a_moved_branch_is_read_anew(hub, client):
    client.fetch_spec("org/llama")
    hub.add_model("org/llama", config=LLAMA | {"num_hidden_layers": 3}, revision="b" * 40)
    spec = client.fetch_spec("org/llama")
    assert (spec.layer_count, spec.revision) == (3, "b" * 40)


def test_a_revision_is_asked_for_by_name(hub, client):
    hub.add_model("org/tagged", config=LLAMA, revision="c" * 40, revisions=["v1.0", "refs/pr/7"])
    assert client.fetch_spec("org/tagged", "v1.0").revision == "c" * 40
    assert client.fetch_spec("org/tagged", "refs/pr/7").revision == "c" * 40
    assert client.fetch_spec("org/tagged", "c" * 40).revision == "c" * 40


def test_a_renamed_model_is_followed_to_its_new_name(hub, client):
    hub.add_model("gpt2", renamed_to="org/llama")
    spec = client.fetch_spec("gpt2")
    assert (spec.id, spec.resident_params) == ("gpt2", LLAMA_PARAMS)
    assert "gpt2 is now called org/llama." in spec.notes


def test_no_telemetry_is_sent(hub, client):
    client.fetch_spec("org/llama")
    assert hub.count("/api/agent-harnesses") == 0
    assert all("agent/" not in r.headers["user-agent"] for r in hub.requests)


def test_the_bytes_of_the_weight_files_come_along(hub, client):
    shards = {
        "model-00001-of-00002.safetensors": {"a": ("BF16", [100, 64])},
        "model-00002-of-00002.safetensors": {"b": ("BF16", [50, 64])},
    }
    hub.add_model("org/sharded", config=LLAMA, safetensors=shards, files={"original/a.safetensors": b"x" * 999})
    sizes = sum(SparseFile.of(tensors).size for tensors in shards.values())
    assert client.fetch("org/sharded").weight_files_bytes == sizes
    assert client.fetch("org/llama").weight_files_bytes is None


def test_importing_the_client_loads_neither_library():
    code = (
        "import sys; import estimators.architecture.hub.client;"
        "sys.exit(any(m in sys.modules for m in ('huggingface_hub', 'transformers', 'httpx2')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ---------------------------------------------------------------- environment


def test_the_environment_fills_what_is_not_given(hub, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_ENDPOINT", hub.url + "/")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    HubClient(cache_dir=tmp_path).fetch("org/llama")
    assert {r.headers["authorization"] for r in hub.requests} == {f"Bearer {TOKEN}"}
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert HubClient(cache_dir=tmp_path).offline


def test_offline_reads_the_cache_and_asks_nobody(hub, client, tmp_path):
    client.fetch("org/llama")
    before = len(hub.requests)
    offline = HubClient(endpoint=hub.url, offline=True, cache_dir=tmp_path / "cache")
    found = offline.fetch("org/llama")
    assert found.from_disk
    assert found.spec.resident_params == LLAMA_PARAMS
    assert "local cache (offline)" in found.spec.source_note
    assert isinstance(refusal(offline, "org/other"), HubOffline)
    with pytest.raises(HubOffline):
        offline.find_quantized("org/llama")
    assert len(hub.requests) == before


def test_a_hub_that_stops_answering_leaves_the_copy_on_disk(hub, client):
    client.fetch("org/llama")
    hub.fail("/api/models/", status=503)
    found = client.fetch("org/llama")
    assert found.from_disk
    assert "the Hub did not answer" in found.spec.source_note


def test_a_cache_that_cannot_be_written_is_done_without(hub, tmp_path):
    (tmp_path / "file").write_text("in the way")
    client = HubClient(endpoint=hub.url, cache_dir=tmp_path / "file" / "cache")
    assert client.fetch("org/llama").spec.resident_params == LLAMA_PARAMS


# ---------------------------------------------------------------- the token


def test_a_token_opens_gated_and_private_models(hub, tmp_path):
    hub.token = TOKEN
    hub.add_model("org/gated", config=LLAMA, gated="manual")
    hub.add_model("org/private", config=LLAMA, private=True)
    client = HubClient(endpoint=hub.url, token=TOKEN, cache_dir=tmp_path)
    assert client.fetch("org/gated").gated
    assert client.fetch("org/private").spec.resident_params == LLAMA_PARAMS


def test_the_token_stays_with_its_host_when_a_file_lies_elsewhere(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("RIGHTSIZE_HUB_HOSTS", "*.files.example 127.0.0.1")
    with HubServer() as elsewhere:
        elsewhere.add_model("org/llama", config=LLAMA)
        commit = commit_of("org/llama")
        hub.fail(
            "/org/llama/resolve/",
            status=302,
            headers={
                "Location": f"{elsewhere.url}/org/llama/resolve/{commit}/config.json",
                "ETag": '"abc"',
                "X-Repo-Commit": commit,
            },
        )
        client = HubClient(endpoint=hub.url, token=TOKEN, cache_dir=tmp_path)
        assert client.fetch("org/llama").spec.resident_params == LLAMA_PARAMS
        assert elsewhere.requests
        assert not any("authorization" in r.headers for r in elsewhere.requests)
    assert all(r.headers["authorization"] == f"Bearer {TOKEN}" for r in hub.requests)


@pytest.mark.parametrize("prefix", ["/api/models/org/llama", "/org/llama/resolve/", "/org/bare/resolve/"])
def test_nobody_else_is_asked_because_the_hub_says_so(hub, client, prefix):
    """Of a page, of a config and of the front of a weight file alike."""
    hub.add_model("org/bare", safetensors={"model.safetensors": {"w": ("BF16", [4, 4])}})
    with HubServer() as elsewhere:
        headers = {"Location": f"{elsewhere.url}/latest/meta-data", "ETag": '"x"', "X-Repo-Commit": "a" * 40}
        hub.fail(prefix, status=302, headers=headers)
        error = refusal(client, "org/bare" if "bare" in prefix else "org/llama")
        assert type(error) is HubUnavailable
        assert "sends on to '127.0.0.1'" in error.message
        assert "RIGHTSIZE_HUB_HOSTS" in error.remedy
        assert not elsewhere.requests


@pytest.mark.parametrize(
    ("address", "home", "may"),
    [
        ("http://hub.example/a", "http://hub.example", True),
        ("https://hub.example/a", "http://hub.example:80", True),
        ("http://hub.example:9000/a", "http://hub.example", False),
        ("http://hub.example/a", "https://hub.example", False),  # in the open
        ("https://cas-bridge.xethub.hf.co/x", "https://huggingface.co", True),
        ("https://cdn-lfs.huggingface.co/x", "http://mirror.example", True),
        ("http://cdn-lfs.hf.co/x", "https://huggingface.co", False),
        ("https://hf.co.evil.example/x", "https://huggingface.co", False),
        ("https://evilhf.co/x", "https://huggingface.co", False),
        ("https://hf.co@evil.example/x", "https://huggingface.co", False),
        ("http://169.254.169.254/latest", "https://huggingface.co", False),
        ("https://a.s3.example/x", "https://huggingface.co", True),
        ("https://s3.example/x", "https://huggingface.co", False),
    ],
)
def test_where_a_hub_may_keep_its_files(address, home, may, monkeypatch):
    monkeypatch.setenv("RIGHTSIZE_HUB_HOSTS", "*.s3.example, b.example")
    assert may_lead_to(address, home) is may


def test_a_token_no_header_can_carry_is_never_quoted(hub, tmp_path, caplog):
    caplog.set_level("DEBUG")
    client = HubClient(endpoint=hub.url, token=f"{TOKEN}\nX-Evil: 1", cache_dir=tmp_path)
    error = refusal(client)
    assert TOKEN not in f"{error} {error!r} {error.__cause__!r} {caplog.text} {client!r}"


def test_a_user_name_in_the_endpoint_is_never_quoted(tmp_path):
    client = HubClient(endpoint=f"http://me:{TOKEN}@127.0.0.1:9", cache_dir=tmp_path)
    assert TOKEN not in str(refusal(client))


# ---------------------------------------------------------------- each failure its own sentence


def test_a_model_that_is_not_there(hub, client, tmp_path):
    error = refusal(client, "org/none")
    assert type(error) is ModelNotFound
    assert "private" in error.message
    assert "HF_TOKEN" in error.remedy
    hub.token = TOKEN
    signed_in = HubClient(endpoint=hub.url, token=TOKEN, cache_dir=tmp_path)
    assert "There is no model org/none" in refusal(signed_in, "org/none").message


def test_a_gated_model_says_how_to_open_it(hub, client):
    hub.add_model("org/gated", config=LLAMA, gated="manual")
    error = refusal(client, "org/gated")
    assert type(error) is GatedModel
    assert "licence" in error.message
    assert "HF_TOKEN" in error.remedy
    assert "catalogue" in error.remedy


def test_an_unknown_revision(client):
    error = refusal(client, revision="v9")
    assert type(error) is RevisionNotFound
    assert "'v9'" in error.message


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "has no config.json"),
        ({"adapter_config.json": b"{}"}, "is an adapter"),
        ({"model-q4.gguf": b"GGUF"}, "holds GGUF files"),
    ],
)
def test_no_config(hub, client, files, words):
    hub.add_model("org/bare", files=files)
    error = refusal(client, "org/bare")
    assert type(error) is ConfigMissing
    assert words in error.message


@pytest.mark.parametrize(
    "model_id",
    ["", " ", "a b", "org/na me", "a/b/c", "../etc/passwd", "org/..", "org/na--me", "org/x.git", "/x", "x/", "é/x",
     "org/١", "x" * 300, "https://huggingface.co/org/llama", "org/x\n", "org/x@main", "org/x?y=1", "org/%2e"],
)  # fmt: skip
def test_what_cannot_be_an_id_is_refused_without_asking(hub, client, model_id):
    assert type(refusal(client, model_id)) is BadModelId
    assert not hub.requests


@pytest.mark.parametrize("revision", ["", " ", "../x", "a//b", "a b", "-x", "x" * 300, "é"])
def test_what_cannot_be_a_revision_is_refused_without_asking(hub, client, revision):
    assert type(refusal(client, revision=revision)) is RevisionNotFound
    assert not hub.requests


@pytest.mark.parametrize(
    ("status", "headers", "kind", "words"),
    [
        (401, {}, ModelForbidden, "asks to sign in"),
        (403, {}, ModelForbidden, "asks to sign in"),
        (403, {"X-Error-Message": "Access to this resource is disabled."}, ModelForbidden, "has disabled access"),
        (404, {}, HubUnavailable, "(404)"),
        (429, {"Retry-After": "86400"}, RateLimited, "too many requests"),
        (500, {}, HubUnavailable, "(500)"),
        (503, {"Retry-After": "86400"}, HubUnavailable, "(503)"),
    ],
)
@pytest.mark.parametrize("prefix", ["/api/models/", "/org/llama/resolve/"])
def test_every_status_is_one_sentence_at_once(hub, client, prefix, status, headers, kind, words):
    hub.fail(prefix, status=status, headers=headers)
    error = refusal(client)
    assert type(error) is kind
    assert words in error.message
    assert error.field == "model"


def test_a_refused_token(hub, tmp_path):
    hub.fail("/api/", status=401, headers={"X-Error-Message": "Invalid credentials in Authorization header"})
    error = refusal(HubClient(endpoint=hub.url, token=TOKEN, cache_dir=tmp_path))
    assert type(error) is ModelForbidden
    assert "refused the token" in error.message


def test_nobody_listening(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    error = refusal(HubClient(endpoint=f"http://127.0.0.1:{port}", cache_dir=tmp_path))
    assert type(error) is HubUnreachable
    assert f"127.0.0.1:{port} cannot be reached" in error.message


@pytest.mark.parametrize("endpoint", ["ftp://127.0.0.1", "127.0.0.1", "http://", "http://[", "http://no such host"])
def test_an_endpoint_that_is_none(endpoint, tmp_path):
    assert isinstance(refusal(HubClient(endpoint=endpoint, cache_dir=tmp_path)), HubUnavailable)


def test_a_password_in_the_endpoint_reaches_the_hub_and_no_log(hub, tmp_path, caplog):
    hub.add_model("org/signed", config=LLAMA)
    endpoint = hub.url.replace("://", "://ann:hunter%402@")
    client = HubClient(endpoint=endpoint, offline=False, cache_dir=tmp_path)
    with caplog.at_level(logging.DEBUG):
        client.fetch("org/signed")
        refusal(client, "org/missing")
        hub.fail("/api/models/", status=500)
        said = refusal(client, "org/failing").message
    assert {r.headers.get("authorization") for r in hub.requests} == {"Basic YW5uOmh1bnRlckAy"}  # ann:hunter@2
    for text in (caplog.text, said, repr(vars(client)["endpoint"])):
        assert "hunter" not in text
        assert "YW5uOm" not in text


# ---------------------------------------------------------------- servers that waste time or space


@pytest.mark.parametrize("prefix", ["/api/models/", "/org/llama/resolve/"])
@pytest.mark.parametrize("fault", [{"delay_seconds": 60}, {"drip_seconds": 0.05}])
def test_a_server_that_stalls_is_left_at_the_deadline(hub, tmp_path, prefix, fault):
    hub.fail(prefix, **fault)
    error = refusal(HubClient(endpoint=hub.url, timeout_s=0.4, cache_dir=tmp_path))
    assert type(error) is HubUnavailable
    assert "did not answer within 0.4 s" in error.message


def test_files_that_do_not_come_in_time_are_the_hubs_fault_and_not_the_architectures(hub, tmp_path):
    """The config is on disk by then: read again without the files, it would be an architecture nobody knows."""
    odd = {"architectures": ["OddForCausalLM"], "model_type": "odd"}
    hub.add_model("org/odd", config=odd, safetensors={"model.safetensors": {"w": ("BF16", [4, 4])}})
    hub.fail(f"/org/odd/resolve/{commit_of('org/odd')}/model.safetensors", delay_seconds=60)
    error = refusal(HubClient(endpoint=hub.url, timeout_s=0.6, cache_dir=tmp_path), "org/odd")
    assert type(error) is HubUnavailable
    assert "did not answer within 0.6 s" in error.message


def test_an_endless_redirect(hub, client):
    hub.fail("/api/models/", status=307, headers={"Location": "/api/models/org/llama"})
    assert type(refusal(client)) is HubUnavailable


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b'"x"', b"{}", b'{"id": "org/llama"}', b'{"id": "org/llama", "sha": "../../etc"}',
     b'{"id": 3, "sha": 7, "siblings": 9}', b'{"id": "x", "siblings": [{"rfilename": 3}], "sha": null}',
     b"[" * 200_000, b'{"id": "x", "sha": ' + b"9" * 10_000 + b"}"],
)  # fmt: skip
def test_an_answer_that_is_not_a_hubs(hub, client, body):
    hub.fail("/api/models/", status=200, body=body)
    error = refusal(client)
    assert type(error) is HubUnavailable
    assert "not as a Hugging Face Hub does" in error.message


def test_an_answer_without_end_is_not_read(hub, client):
    hub.fail("/api/models/", status=200, headers={"Content-Length": str(1 << 40)})
    error = refusal(client)
    assert type(error) is RepositoryTooLarge  # its own fault, not the Hub's
    assert "longer than of any model" in error.message


def test_an_answer_that_unpacks_to_more_is_not_unpacked(hub, client):
    bomb = gzip.compress(bytes(1 << 20))
    hub.fail("/api/models/", status=200, body=bomb, headers={"Content-Encoding": "gzip"})
    assert "not as a Hugging Face Hub does" in refusal(client).message


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


# ---------------------------------------------------------------- quantized copies


def test_published_quantized_checkpoints_are_found(hub, client):
    tag = "base_model:quantized:org/llama"
    hub.add_model("RedHatAI/llama-quantized.w4a16", config=LLAMA, tags=[tag], downloads=50)
    hub.add_model("RedHatAI/llama-FP8-dynamic", config=LLAMA, downloads=900)
    hub.add_model("someone/llama-nvfp4", config=LLAMA, tags=[tag], downloads=70)
    hub.add_model("someone/other-awq", config=LLAMA, downloads=7000)
    found = client.find_quantized("org/llama")
    assert [(copy.id, copy.label, copy.declared) for copy in found] == [
        ("someone/llama-nvfp4", "nvfp4", True),
        ("RedHatAI/llama-quantized.w4a16", "int4", True),
        ("RedHatAI/llama-FP8-dynamic", "fp8", False),
    ]


def test_a_failing_search_is_a_refusal(hub, client):
    hub.fail("/api/models", status=503)
    with pytest.raises(HubRefusal):
        client.find_quantized("org/llama")
    hub.faults.clear()
    hub.fail("/api/models", status=200, body=json.dumps([{"id": 3}, {"id": "../x"}, {"id": "a/b"}]).encode())
    assert [copy.id for copy in client.find_quantized("org/llama")] == ["a/b"]


def test_the_heads_that_draft_for_a_model_are_found_beside_its_copies(hub, client):
    made_of = "base_model:org/llama"
    hub.add_model("RedHatAI/llama-speculator.eagle3", config=LLAMA, tags=[made_of], downloads=40)
    hub.add_model("someone/EAGLE3-llama", config=LLAMA, tags=[made_of], downloads=90)
    hub.add_model("someone/eagle-of-another", config=LLAMA, downloads=7000)
    hub.add_model("RedHatAI/llama-FP8", config=LLAMA, tags=[made_of, "base_model:quantized:org/llama"], downloads=5)
    found = client.find_made_of("org/llama")
    assert found.heads == ("someone/EAGLE3-llama", "RedHatAI/llama-speculator.eagle3")
    assert [copy.id for copy in found.quantized] == ["RedHatAI/llama-FP8"]


def test_a_listing_may_hold_anything(hub, client):
    odd = [{"id": 3}, {"id": "<b>/x"}, {"id": "a/eagle", "tags": ["base_model:org/llama"], "downloads": "many"}]
    hub.fail("/api/models", status=200, body=json.dumps(odd).encode())
    assert client.find_made_of("org/llama").heads == ("a/eagle",)
