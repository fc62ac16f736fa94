"""`python -m app ask`: the same answers as the pages, for a terminal and for a program."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.__main__ import main
from app.ask_command import PAGES


def test_sign_for_a_year(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "commit", "--instance", "g6.xlarge"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("Sign for 1 year: $382 a month (reserved 1 year, no upfront) against $588 on demand")
    assert any(line.startswith("  on demand") for line in said)


def test_the_same_for_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "commit", "--instance", "g6.xlarge", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found[0]["answer"].startswith("Sign for 1 year")
    assert {row["Way to pay"]: row["A month"] for row in found[0]["rows"]}["on demand"] == "$588"


def test_the_size_to_train(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "scaling", "--law-served", "2e12"]) == 0
    assert "counting 2.00 T tokens served, 50.0 B on 2.03 T reach the same loss with 6.5 %" in capsys.readouterr().out
    assert main(["ask", "scaling", "--law-budget", "$0"]) == 2
    assert "Give 1e+17 to 1e+28 FLOP." in capsys.readouterr().err


def test_a_log_on_disk(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("1000,100\n3000,300\n", encoding="utf-8")
    assert main(["ask", "load", "--log", str(log)]) == 0
    assert "on average 2,000 tokens in and 200 out" in capsys.readouterr().out
    stamped = "\n".join(f"{1_793_577_600 + 2 * number},1000,100" for number in range(601))
    log.write_text(f"ts,in,out\n{stamped}\n", encoding="utf-8")
    assert main(["ask", "load", "--log", str(log)]) == 0
    assert "0.501 requests a second" in capsys.readouterr().out
    assert main(["ask", "load", "--log", str(log), "--load-amount", "500"]) == 0  # a load that is named is meant
    assert "3.33 requests a second" in capsys.readouterr().out
    assert main(["ask", "load", "--log", str(tmp_path / "none")]) == 2
    assert "none cannot be read: No such file or directory." in capsys.readouterr().err


def test_a_pipeline_and_a_router(capsys: pytest.CaptureFixture[str]) -> None:
    steps = "classify, Llama 3.1 8B, 5, 1024, 128; synthesis, Llama 3.1 70B, 1, 4096, 512"
    assert main(["ask", "pipeline", "--pipe-steps", steps]) == 0
    assert "10,000 tasks a day cost" in capsys.readouterr().out
    assert main(["ask", "pipeline", "--pipe-kind", "router", "--pipe-tasks", "500000"]) == 0
    assert "70 % of 500,000 tasks a day to Llama 3.1 8B" in capsys.readouterr().out
    assert main(["ask", "pipeline", "--pipe-steps", "a, 8B, 1, 9, 1, 0, a"]) == 2
    assert "in a circle: a -> a." in capsys.readouterr().err


def test_the_whole_bill(capsys: pytest.CaptureFixture[str]) -> None:
    bill = ["ask", "bill", "--instance", "g6.xlarge", "--discount", "20"]
    assert main([*bill, "--bill-control", "eks", "--own-purchase", "17520", "--own-kw", "0"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("The whole bill is $528 a month: $470 for the machines alone, one L4 (g6.xlarge), and")
    assert "$0.50 an hour, $365 a month, beside $470 rented. Owning pays from 78 % of the month's hours." in said
    assert main([*bill, "--bill-people", "10"]) == 2
    assert "Give what an engineer costs a year" in capsys.readouterr().err
    assert main(["ask", "bill", "--discount", "95"]) == 2
    assert "discount=95 needs a number from 0 to 90" in capsys.readouterr().err


def test_api_or_machines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "api", "--api-tokens", "200"]) == 0
    assert "200 million output tokens a month of Llama 3.1 8B, with 1,600 million in: rent" in capsys.readouterr().out
    assert main(["ask", "api", "--api-own", "mine"]) == 2
    assert "Write name, dollars per million in, out" in capsys.readouterr().err


def test_what_would_change_the_decision(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["ask", "change", "--model", "8B", "--rate", "6", "--ttft", "1", "--precisions", "bf16,fp8"]
    assert main(asked) == 0
    assert capsys.readouterr().out.startswith("A typical 8B model in ")
    assert main([*asked, "--change-traffic", "50", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert "traffic within 50 % of what is asked" in found["answer"]
    assert {row["Assumption"] for row in found["rows"]} >= {"Requests a second", "Tokens in"}
    assert main([*asked, "--budget", "1"]) == 1
    assert "no decision to change" in capsys.readouterr().err
    assert main([*asked, "--quality", "x"]) == 2
    assert "quality=x" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--commit-fall", "101"], "error: commit_fall=101 needs a whole number from 0 to 100\n"),
        (["--week", "1-2"], "error: week=1-2 is not always, or hours, days and the load otherwise such as 8-18x5@20\n"),
        (["--prompt", "x"], "error: prompt=x needs a whole number from 1 to 16,777,216\n"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_range(
    flags: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", "commit", *flags]) == 2
    assert capsys.readouterr().err == said


def test_a_week_that_runs_backwards_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "commit", "--week", "18-8x5"]) == 2
    assert "earlier to a later hour" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(PAGES))
def test_each_is_a_command_of_its_own_that_explains_its_flags(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0
    for key in PAGES[name][1]:
        assert f"--{key.replace('_', '-')}" in text
    for said in ("the load:", "exit codes:", "--json the answer as JSON"):
        assert said in text


def test_it_answers_by_either_name(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["pipeline"], ["ask", "pipeline"]):
        assert main([*words, "--pipe-kind", "router", "--pipe-tasks", "500000", "--json"]) == 0
    first, second = capsys.readouterr().out.split("\n]\n[\n")
    assert json.loads(first + "\n]") == json.loads("[\n" + second)
    assert main(["load", "--load-turns", "0"]) == 2
    assert "load_turns=0 needs a whole number from 1 to 100" in capsys.readouterr().err
