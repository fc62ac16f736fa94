"""Nothing that is printed acts on a terminal, whoever wrote it."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

import pytest

from app.terminal import only_visible, visible
from tests.conftest import ROOT

ACTS = (
    "\x1b[2J\x1b]0;owned\x07", "\x1b]8;;https://zqx.example\x1b\\zqx", "\x9b31m", "\x90q", "a\rb",
    "\x08\x08", "\x7f", "\x00",
    "\u202egnp.exe", "\u2066x\u2069", "\u200b", "\ufeff", "\u2028", "\x85", "\ud800",
)  # fmt: skip


def acts(text: str) -> str:
    return "".join(c for c in text if not c.isprintable() and c not in "\n\t")


@pytest.mark.parametrize("text", ACTS)
def test_controls_and_marks_become_spaces_and_the_rest_stays(text: str) -> None:
    assert acts(visible(f"one\ttwo\n{text} é \u4e2d")) == ""
    assert visible("one\ttwo\né \u4e2d\n") == "one\ttwo\né \u4e2d\n"


def test_both_streams_and_what_draws_over_its_own_line(capsys: pytest.CaptureFixture[str]) -> None:
    with only_visible():
        print(ACTS)
        print("\r[##  ] half\x1b[1A\rdone", end="", file=sys.stderr, flush=True)
        print("".join(ACTS), file=sys.stderr)
    out, err = capsys.readouterr()
    assert acts(out) == ""
    assert err.startswith("\r[##  ] half [1A done")
    assert acts(err[1:]) == ""


def test_a_model_whose_config_is_hostile_is_described_in_letters(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.__main__ import run

    config = {
        "architectures": ["LlamaForCausalLM\x1b[2J"], "model_type": "llama", "hidden_size": 64,
        "intermediate_size": 160, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "vocab_size": 100,
        "torch_dtype": "bfloat16", "tie_word_embeddings": False,
    }  # fmt: skip
    path = tmp_path / "\x1b]0;owned\x07.json"
    path.write_text(json.dumps(config))
    monkeypatch.chdir(ROOT)
    for command in (["describe", str(path)], ["estimate", "--model", "a\x1b[2J/b\u202e"], ["check", "\x1b[2J.yaml"]):
        monkeypatch.setattr(sys, "argv", ["rightsize", *command])
        with contextlib.suppress(SystemExit):
            run()
        out, err = capsys.readouterr()
        assert out or err
        assert acts(out + err) == "", command
