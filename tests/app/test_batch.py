"""The CSV contract: names, units, empties, and rows that fail alone."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from app.__main__ import main
from app.batch import LATE, in_time, run_batch
from app.columns import COLUMNS
from app.sources import shared_sources
from estimators.provenance import Refusal
from tests.conftest import ROOT

CASES = """model,weights,instance,note,prompt,gpus
meta-llama/Llama-3.1-8B-Instruct,bf16,g5.xlarge,first,,
meta-llama/Llama-3.1-8B-Instruct,int5,g5.xlarge,bad precision,,
Qwen/Qwen2.5-7B-Instruct,,g6.xlarge,"unit, test",2048,
"""


def answers(text: str) -> list[dict[str, str]]:
    out = io.StringIO()
    for _ in run_batch(io.StringIO(text), out, shared_sources()):
        pass
    return list(csv.DictReader(io.StringIO(out.getvalue())))


def test_three_rows_one_bad() -> None:
    first, bad, third = answers(CASES)
    assert list(first)[:6] == ["model", "weights", "instance", "note", "prompt", "gpus"]
    assert set(COLUMNS) <= set(first)
    assert (first["resident_params"], first["weights_bytes"]) == ("8030261248", "16060522496")
    assert (first["kv_bytes_per_token"], first["fits"], first["error"]) == ("131072.0", "true", "")
    assert first["usd_per_month"] == "734.380"
    assert (first["gpus"], first["replicas"], first["instances"]) == ("1", "1", "1")
    assert (first["price_source"], first["note"]) == ("snapshot", "first")
    assert "weights" in bad["error"]
    assert (bad["resident_params"], bad["model_reading"], bad["model_range"]) == ("8030261248", "described", "0.0")
    assert bad["weights_bytes"] == bad["usd_per_month"] == ""
    assert (third["error"], third["note"]) == ("", "unit, test")


def test_every_row_says_how_sure_the_shape_of_its_model_is() -> None:
    counted, unknown = answers("model,params\n,8\nnobody/nothing,\n")
    assert (counted["model_reading"], unknown["model_reading"]) == ("a count alone", "")
    assert float(counted["model_range"]) >= 0


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ("model,params\na/b,8\n", "params"),
        ("model,gpu,instance\nQwen/Qwen2.5-7B-Instruct,L4,g6.xlarge\n", "instance"),
        ("model,concurrency,rate\nQwen/Qwen2.5-7B-Instruct,2,3\n", "rate"),
        ("model,prompt\nQwen/Qwen2.5-7B-Instruct,-4\n", "prompt"),
        ("model\nnobody/nothing\n", "nobody/nothing"),
        ("weights\nbf16\n", "model"),
    ],
)
def test_a_row_that_cannot_be_answered_says_why(row: str, named: str) -> None:
    (answer,) = answers(row)
    assert named in answer["error"]


def test_a_wrong_price_key_leaves_the_sizes() -> None:
    (answer,) = answers("model,instance,hours\nQwen/Qwen2.5-7B-Instruct,g6.xlarge,none\n")
    assert answer["fits"] == "true"
    assert answer["usd_per_month"] == ""
    assert "hours" in answer["error"]


def test_nothing_is_ever_nan() -> None:
    models = ("meta-llama/Llama-3.1-405B", "openai/gpt-oss-20b", "deepseek-ai/DeepSeek-V3", "Qwen/Qwen2.5-7B-Instruct")
    rows = "".join(
        f"{model},{load},{gpu}\n" for model in models for load in ("", "max", "batch") for gpu in ("L4", "H100")
    )
    for answer in answers("model,load,gpu\n" + rows):
        assert not {"nan", "inf", "NaN", "None"} & set(answer.values())


def test_a_file_without_a_header_is_refused() -> None:
    with pytest.raises(Refusal, match="header"):
        list(run_batch(io.StringIO(""), io.StringIO(), shared_sources()))


def test_estimate_prints_one_json_object() -> None:
    """In a process of its own, as the other commands are run from a shell."""
    command = [sys.executable, "-m", "app", "estimate", "--model", "meta-llama/Llama-3.1-8B-Instruct", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["resident_params"] == 8_030_261_248
    assert answer["instance"] == "g6.xlarge"
    assert answer["prompt"] == 1024
    assert answer["error"] is None
    assert set(COLUMNS) <= set(answer)


def test_estimate_says_the_verdict_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", "--model", "8B", "--instance", "g5.xlarge"]) == 0
    said = "A typical 8B model in BF16 fits one A10G (g5.xlarge): $734 a month."
    assert capsys.readouterr().out.startswith(said)


def test_a_bad_flag_value_ends_with_two_and_a_sentence() -> None:
    command = [sys.executable, "-m", "app", "estimate", "--model", "8B", "--prompt", "many"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "prompt" in done.stderr
    assert "Traceback" not in done.stderr


def test_batch_writes_the_file_only_when_it_is_whole(tmp_path: Path) -> None:
    cases, out = tmp_path / "cases.csv", tmp_path / "out.csv"
    cases.write_text(CASES, encoding="utf-8")
    assert main(["batch", str(cases), "-o", str(out)]) == 0
    assert len(out.read_text(encoding="utf-8").splitlines()) == 4
    assert main(["batch", str(tmp_path / "missing.csv"), "-o", str(out)]) == 2
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["cases.csv", "out.csv"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model,note\n8B,fine\n8B," + "x" * 200_000 + "\n", "Line 3 cannot be read"),
        ('model,note\n8B,"' + "x\n" * 80_000, "cannot be read"),
        ("model," + "x" * 200_000 + "\n8B,\n", "The header is no CSV"),
    ],
)
def test_a_cell_without_end_is_a_sentence(text: str, said: str) -> None:
    with pytest.raises(Refusal, match=said):
        answers(text)


def test_rows_that_are_left_when_a_calls_time_is_spent_say_so() -> None:
    """A clock that moves a second at each look: two hundred rows are begun within one and a half, the rest are not."""
    looks = iter(range(100))
    rows = [({"model": "8B", "gpu": "L4"}, ())] * 250
    found = list(in_time(rows, shared_sources(), seconds=2.5, clock=lambda: float(next(looks))))
    assert [row["error"] for row in found[:200]] == [None] * 200
    assert {row["error"] for row in found[200:]} == {LATE}
    assert found[0]["instance"] == "g6.xlarge"
    assert found[200]["instance"] is None


def test_the_same_rows_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases, table, listed = tmp_path / "cases.csv", tmp_path / "out.csv", tmp_path / "out.json"
    cases.write_text("name,model,gpu\nfits,8B,L4\nbad,8B,no such thing\n", encoding="utf-8")
    assert main(["batch", str(cases), "-o", str(table)]) == 0
    assert main(["batch", str(cases), "-o", str(listed), "--json"]) == 0
    fits, bad = json.loads(listed.read_text(encoding="utf-8"))
    with table.open(encoding="utf-8") as file:
        as_text, _ = csv.DictReader(file)
    assert set(fits) == set(as_text)
    assert (fits["name"], fits["fits"], fits["accelerator"]) == ("fits", True, "L4")
    assert fits["usd_per_month"] == float(as_text["usd_per_month"])
    assert "no such thing" in bad["error"]
    cases.write_text("", encoding="utf-8")
    assert main(["batch", str(cases), "-o", str(listed), "--json"]) == 2
    assert "no header row" in capsys.readouterr().err
