"""A sentence for everything that goes wrong between the client and a Hub."""

from __future__ import annotations

import gzip
import logging
import socket

import pytest

from estimators.architecture.hub.client import (
    BadModelId,
    ConfigMissing,
    GatedModel,
    HubClient,
    HubUnavailable,
    HubUnreachable,
    ModelForbidden,
    ModelNotFound,
    RateLimited,
    RepositoryTooLarge,
    RevisionNotFound,
)
from tests.estimators.architecture.hub.small_llama import LLAMA, TOKEN, refusal
from tests.servers.hub import commit_of

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
