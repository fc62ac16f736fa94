"""`check` from the command line, and the GitHub Action that runs it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from app.__main__ import main
from tests.conftest import ROOT

ACTION = ROOT / ".github" / "actions" / "check-plan" / "action.yml"


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(list(words))
    found = capsys.readouterr()
    return code, found.out, found.err


def test_what_was_kept_stands_and_a_file_of_another_hand_does_not(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "plan.yaml"
    assert run(capsys, "estimate", "--model", "8B", "--concurrency", "40", "--keep", str(file))[0] == 0
    code, out, _ = run(capsys, "check", str(file))
    assert code == 0
    assert out.splitlines()[-1].startswith("The decision stands; it is of ")
    body = json.loads(run(capsys, "check", str(file), "--json")[1])
    assert body["stands"] is True
    assert {"about", "stands", "said"} == set(body["findings"][0])
    file.write_text(file.read_text("utf-8").replace('output: "128"', 'output: "64"'), "utf-8")
    code, _, err = run(capsys, "check", str(file))
    assert code == 2
    assert err.startswith("error: The decided figures were frozen for other inputs")


@pytest.mark.parametrize(
    "words", [["check", "missing.yaml"], ["check", "missing.yaml", "--tolerance", "5"]], ids=["file", "tolerance"]
)
def test_what_cannot_be_read_ends_with_two(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    code, _, err = run(capsys, *words)
    assert code == 2
    assert err.startswith("error: ")


def test_no_plan_is_not_kept(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    assert run(capsys, "recommend", "--model", "8B", "--budget", "1", "--keep", str(file))[0] == 1
    assert not file.exists()


def test_the_action_installs_this_project_and_runs_a_command_that_exists(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    action = yaml.safe_load(ACTION.read_text("utf-8"))
    assert action["runs"]["using"] == "composite"
    assert all("uses" in step or ("run" in step and step["shell"] == "bash") for step in action["runs"]["steps"])
    assert (ACTION.parent / re.search(r"github.action_path \}\}/(\S+?)\"", str(action))[1]).resolve() == ROOT  # type: ignore[index]
    (command,) = [step["run"] for step in action["runs"]["steps"] if "rightsize check" in step.get("run", "")]
    words = command.split("rightsize check ")[1].split()
    file = tmp_path / "plan.yaml"
    run(capsys, "estimate", "--model", "8B", "--keep", str(file))
    given = {'"$PLAN"': [str(file)], "$TOLERANCE": ["--tolerance", "price=3", "--tolerance", "ranking=10"]}
    assert main(["check", *(word for text in words for word in given[text])]) == 0
