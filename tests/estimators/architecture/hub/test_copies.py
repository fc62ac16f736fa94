"""The quantized copies of a model and the heads that draft for it, found in the Hub's listings."""

from __future__ import annotations

import json

import pytest

from estimators.architecture.hub.client import HubRefusal
from tests.estimators.architecture.hub.small_llama import LLAMA


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
