"""The command line's questions: flags, files and links in; text, JSON and CSV out; exit codes that mean something."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from app.__main__ import main
from app.measuring.jobs import measurement_store
from app.vocabulary import RECOMMEND_KEYS, VOCABULARY
from tests.app.planning.test_logged import logged
from tests.estimators.quality.test_kept_scores import LLAMA, results


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(list(words))
    found = capsys.readouterr()
    return code, found.out, found.err


def test_help_explains_every_flag_under_its_heading(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["recommend", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0
    for name in RECOMMEND_KEYS:
        assert f"{VOCABULARY[name].flags[0]}" in text
        assert VOCABULARY[name].says.split(";")[0].replace("-", "") in text.replace("-", "")
    for said in ("the load:", "quality and budget:", "examples:", "exit codes:", "1 no plan does what was asked"):
        assert said in text


def test_the_same_question_in_flags_a_file_and_a_link(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    as_yaml, as_json = tmp_path / "question.yaml", tmp_path / "question.json"
    as_yaml.write_text("model: 8B\nrate: 5\nttft: 1\nprecisions: [bf16, fp8]\nplans: 2\n", encoding="utf-8")
    as_json.write_text('{"model": "8B", "rate": 5, "ttft": 1, "precisions": ["bf16", "fp8"], "plans": 2}', "utf-8")
    flags = ["--model", "8B", "--rate", "5", "--ttft", "1", "--precisions", "bf16,fp8", "--plans", "2"]
    link = "https://example.com/?model=8B&rate=5&ttft=1&precisions=bf16%2Cfp8&plans=2&embed=true"
    answers = [run(capsys, "recommend", *words, "--json") for words in (flags, [str(as_yaml)], [str(as_json)], [link])]
    assert [code for code, _, _ in answers] == [0, 0, 0, 0]
    assert len({out for _, out, _ in answers}) == 1
    assert len(json.loads(answers[0][1])["plans"]) == 2


def test_a_flag_overrules_the_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "question.yaml"
    file.write_text("model: 8B\ngpu: L4\n", encoding="utf-8")
    code, out, _ = run(capsys, "estimate", str(file), "--gpu", "A10G", "--json")
    assert code == 0
    assert json.loads(out)["accelerator"] == "A10G"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["estimate", "--model", "8B", "--instance", "zz9.xlarge"], 1, ""),
        (["recommend", "--model", "8B", "--budget", "1"], 1, ""),
        (["recommend", "--model", "8B", "--prompt", "inf"], 2, "error: prompt=inf needs a whole number"),
        (["recommend"], 2, "error: No model is named."),
        (["recommend", "--model", "8B", "--plans", "99"], 2, "error: plans=99 needs a whole number from 1 to 10"),
        (["levers", "--model", "8B", "--apply", "magic"], 2, "error: apply=magic is no lever"),
        (["estimate", "nothing"], 2, "error: nothing is neither a link nor a file of keys."),
        (["estimate", "missing.yaml"], 2, "error: missing.yaml cannot be read"),
        (["compare", *(["model=8B"] * 7)], 2, "error: 7 scenarios are too many."),
    ],
)
def test_the_exit_code_says_what_happened(
    capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    found, _, err = run(capsys, *words)
    assert found == code
    assert err.startswith(said)


def test_refusals_are_json_where_json_was_asked_for(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "question.yaml"
    file.write_text("model: 8B\nconcurency: 4\n", encoding="utf-8")
    code, out, _ = run(capsys, "recommend", str(file), "--json")
    assert code == 2
    assert json.loads(out) == {
        "error": "concurency is not a key here. Did you mean concurrency?",
        "field": "concurency",
        "problems": ["concurency is not a key here. Did you mean concurrency?"],
    }


def test_comparison_and_levers_as_csv(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "compare", "model=8B&gpu=L4", "model=8B&gpu=A10G&weights=int4", "--csv")
    assert code == 0
    assert [row["accelerator"] for row in csv.DictReader(io.StringIO(out))] == ["L4", "A10G"]
    code, out, _ = run(capsys, "levers", "--model", "8B", "--csv")
    assert code == 0
    assert "kv-fp8" in [row["key"] for row in csv.DictReader(io.StringIO(out))]


def test_a_plan_is_written_as_a_file_or_refused(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "deploy", "--model", "meta-llama/Llama-3.1-8B-Instruct", "--to", "terraform")
    assert code == 0
    assert 'instance_type          = "g6.xlarge"' in out
    assert run(capsys, "deploy", "--model", "8B")[:2] == (
        1,
        "A size names no checkpoint to serve. Name a model of the Hub.\n",
    )


def test_is_it_validated(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ("validated", "--model", LLAMA, "--weights", "mxfp4")
    status, body, _ = run(capsys, *words, "--json")
    found = json.loads(body)
    assert status == 0
    assert found["findings"][0]["answer"].startswith("Nobody is known to have published Llama 3.1 8B in MXFP4")
    assert found["findings"][1]["notes"][0].startswith("Run this plan as it would be served: lm_eval --model vllm")
    assert found["notes"][0].startswith("The Hub was not asked: HF_HUB_OFFLINE is set, so checkpoints cannot be")
    kept = tmp_path / "results.json"
    kept.write_text(results(0.741), encoding="utf-8")
    _, said, _ = run(capsys, *words, "--results", str(kept))
    assert f"  {LLAMA}  mxfp4         IFEval     74.1 " in said
    assert "Run this plan" not in said
    bar = ("recommend", "--models", LLAMA, "--precisions", "mxfp4", "--quality", "94", "--quality-of", LLAMA)
    assert run(capsys, *bar)[0] == 1
    assert run(capsys, *words, "--results", str(kept), "--keep-scores")[0] == 0
    kept.write_text(results(0.779), encoding="utf-8")
    assert run(capsys, "validated", "--model", LLAMA, "--results", str(kept), "--keep-scores")[0] == 0
    assert run(capsys, *bar)[0] == 1  # nobody has said that they count
    status, said, _ = run(capsys, *bar, "--kept-scores")
    assert (status, "Llama 3.1 8B in MXFP4" in said) == (0, True)
    kept.write_text(results(7.41), encoding="utf-8")
    status, _, problem = run(capsys, *words, "--results", str(kept))
    assert (status, "is 7.41, which is no share from 0 to 1" in problem) == (2, True)
    status, _, problem = run(capsys, *words, "--results", str(tmp_path / "none"))
    assert (status, "none cannot be read" in problem) == (2, True)
    assert run(capsys, "validated", "--model", "8B")[0] == 2


def test_kept_start_up_logs_narrow_memory_where_they_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """An L4 that logged 2.00 GiB for the cache holds no request of 20,128 tokens, of 2.46 GiB."""
    words = ["estimate", "--model", "meta-llama/Llama-3.1-8B-Instruct", "--prompt", "20000", "--util", "0.95"]
    measurement_store().add([logged("2.00")])
    plain, kept = (json.loads(run(capsys, *words, "--json", *more)[1]) for more in ([], ["--kept-logs"]))
    assert plain["accelerator"] == "L4"
    assert (kept["accelerator"], kept["gpus"]) != ("L4", 1)
    _, named, _ = run(capsys, *words, "--gpu", "L4", "--gpus", "1", "--kept-logs")
    assert (
        "Memory measured here: narrowed by 1 start-up log of this server, vllm on L4. By that it does not fit." in named
    )
