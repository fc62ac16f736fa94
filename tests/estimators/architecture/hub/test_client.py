"""The Hub client against a real server on loopback: what it asks for, of whom, and with which token."""

from __future__ import annotations

import subprocess
import sys

import pytest

from estimators.architecture.hub.bounds import may_lead_to
from estimators.architecture.hub.client import HubClient, HubOffline, HubUnavailable
from estimators.architecture.spec import SpecSource
from tests.estimators.architecture.hub.small_llama import LLAMA, LLAMA_PARAMS, TOKEN, refusal
from tests.servers.hub import HubServer, SparseFile, commit_of

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
