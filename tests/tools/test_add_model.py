"""Embedding a model: nothing is written that was not parsed, counted and sourced."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from estimators.architecture import catalogue
from estimators.provenance import read_table
from tests.servers.hub import HubServer
from tools.add_model import main

# 2 x 16 x 8 of embeddings and head, 8 of the last norm, and two layers of q, o 8 x 8, k, v 4 x 8, three matrices 12 x 8
# and two norms of 8: 256 + 8 + 2 x (128 + 64 + 288 + 16).
PARAMS = 1256
CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 8,
    "intermediate_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": 16,
    "max_position_embeddings": 64,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}
WHERE = ("--source", "github:org/repo:config.json@1234567", "--fidelity", "bundled-copy")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "tables"
    shutil.copytree(catalogue.DATA, folder)
    return folder


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIG), encoding="utf-8")
    return str(path)


def texts(data: Path) -> list[str]:
    return [path.read_text(encoding="utf-8") for path in sorted(data.iterdir())]


def test_a_config_from_a_file_is_embedded_with_its_source(data: Path, config: str) -> None:
    assert main(["org/tiny", "--config", config, "--params", str(PARAMS), *WHERE], data) == 0
    rows = {row["id"]: row for row in read_table(data / "catalogue.csv", key=("id",))}
    row = rows["org/tiny"]
    assert (row["params"], row["active_params"], row["dtype"]) == (str(PARAMS), "", "bfloat16")
    assert (row["fidelity"], row["source"]) == ("bundled-copy", "github:org/repo:config.json@1234567")
    assert list(rows) == sorted(rows, key=str.lower)
    lines = (data / "configs.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["id"] for line in lines] == list(rows)
    assert json.loads(lines[list(rows).index("org/tiny")])["config"] == CONFIG
    assert len(lines) == len(catalogue.entries()) + 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--params", str(PARAMS + 1), *WHERE], "comes to 1,256 parameters, not 1,257"),
        ([*WHERE], "nothing says that this is right"),
        (["--params", str(PARAMS)], "needs its source"),
    ],
)
def test_what_is_not_counted_elsewhere_or_has_no_source_is_not_written(
    data: Path, config: str, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = texts(data)
    assert main(["org/tiny", "--config", config, *words], data) == 2
    assert said in capsys.readouterr().err
    assert texts(data) == before


def test_a_model_that_is_there_is_corrected_only_when_asked_to(data: Path, config: str) -> None:
    words = ["Qwen/Qwen3-8B", "--config", config, "--params", str(PARAMS), *WHERE]
    assert main(words, data) == 2
    assert main([*words, "--replace"], data) == 0
    rows = [row for row in read_table(data / "catalogue.csv") if row["id"] == "Qwen/Qwen3-8B"]
    assert [row["params"] for row in rows] == ["8190735360", str(PARAMS)]
    text = (data / "configs.jsonl").read_text(encoding="utf-8")
    assert text.count('{"id":"Qwen/Qwen3-8B",') == 1


def test_an_alias_says_whose_config_serves_and_what_differs(data: Path) -> None:
    words = ["org/other", "--alias-of", "Qwen/Qwen3-8B", "--source", "same architecture"]
    assert main([*words, "--overrides", '{"vocab_size": 151937}', "--params", "8190743552"], data) == 0  # 2 D more
    rows = {row["alias"]: row for row in read_table(data / "aliases.csv", key=("alias",))}
    assert (rows["org/other"]["id"], rows["org/other"]["overrides"]) == ("Qwen/Qwen3-8B", '{"vocab_size":151937}')


def test_an_alias_of_an_alias_names_what_it_stands_for(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["org/other", "--alias-of", "meta-llama/Meta-Llama-3.1-8B", "--source", "same"], data) == 2
    assert "Name meta-llama/Llama-3.1-8B itself" in capsys.readouterr().err


def test_a_config_of_the_hub_is_embedded_at_its_commit(
    data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with HubServer() as hub:
        hub.add_model("org/tiny", config=CONFIG)
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.delenv("HF_HUB_OFFLINE")
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
        assert main(["org/tiny", "--params", str(PARAMS)], data) == 0
    row = next(row for row in read_table(data / "catalogue.csv") if row["id"] == "org/tiny")
    assert row["fidelity"] == "hub-sha256"
    assert row["source"].startswith("config.json of org/tiny at ")
