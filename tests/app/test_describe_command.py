"""`python -m app describe`: what a model is made of and how sure that is, for a person and for a program."""

from __future__ import annotations

import json

import pytest

from app.__main__ import main
from app.describe_command import spans


def test_a_model_of_the_catalogue_in_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", "meta-llama/Llama-3.1-8B-Instruct"]) == 0
    said = capsys.readouterr().out
    assert "8,030,261,248 resident" in said
    assert f"{32 * 8 * (128 + 128):,} elements per token" in said
    assert "sure      read tensor by tensor" in said
    assert "decoder 0-31: full attention, 32 heads over 8 of 128" in said
    assert "self_attn.k_proj" in said


def test_a_config_on_disk_as_json(tmp_path, capsys) -> None:
    path = tmp_path / "config.json"
    path.write_text(
        json.dumps({
            "model_type": "apertus", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 2, "intermediate_size": 128, "vocab_size": 50,
        })
    )  # fmt: skip
    assert main(["describe", str(path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["reading"], said["relative_range"], said["layers"]) == ("described", 0.0, 2)
    assert said["cache_elements_per_token"] == 2 * 2 * (16 + 16)
    assert said["groups"][0]["attention"]["kv_heads"] == 2
    assert {tensor["role"] for tensor in said["tensors"]} == {"embedding", "lm_head", "norm"}


def test_what_cannot_be_read_is_said_in_a_sentence(tmp_path, capsys) -> None:
    assert main(["describe", str(tmp_path / "missing.json")]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_layer_numbers_are_told_as_ranges() -> None:
    assert spans((0, 1, 2, 5, 7, 8)) == "0-2, 5, 7-8"
