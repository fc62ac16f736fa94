"""The README, what stands in docs and the README of each data folder say what is so."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import re
import runpy
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from app.__main__ import main
from app.measuring.accuracy import into_readme
from app.planning.planner import plan
from app.scenario import Scenario
from app.sources import shared_sources
from pricing.aws.source import iam_policy
from tests import bench_people, bench_two_processes
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
DOCUMENTS = [
    path
    for pattern in ("README.md", "docs/*.md", "*/**/data/README.md", "tests/reference/**/*.md")
    for path in sorted(ROOT.glob(pattern))
]
FOLDERS = ("app", "docs", "estimators", "pricing", "tests", "tools")
FILES = {path.name for folder in FOLDERS for path in (ROOT / folder).rglob("*.*")} | {
    path.name for path in ROOT.iterdir()
}
# Files of the reader or of a publisher's repository, in examples.
NOT_OURS = {"answers.csv", "cases.csv", "config.json", "guidellm.json", "rows.csv"}
each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
SOURCE = "\n".join(
    p.read_text(encoding="utf-8") for d in ("app", "pricing", "estimators") for p in (ROOT / d).rglob("*.py")
)


def code(document: Path) -> list[str]:
    """Each span in backticks and each line of a block, a command that goes on in the next line as one."""
    text = document.read_text(encoding="utf-8")
    blocks = [block.replace("\\\n", " ").splitlines() for block in re.findall(r"```[a-z]*\n(.*?)```", text, re.S)]
    spans = re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.S))
    return [" ".join(line.split()) for line in (*itertools.chain(*blocks), *spans)]


def exists(name: str, document: Path) -> bool:
    """A path from the root or beside the document, a pattern of one, or the bare name of some file of ours."""
    return name in FILES or any(next(base.glob(name), None) for base in (ROOT, document.parent))


@each_document
def test_every_path_it_names_is_there(document: Path) -> None:
    words = {word.partition("::")[0].rstrip(".,:;") for line in code(document) for word in line.split()}
    in_a_folder = {word for word in words if word.partition("/")[0] in FOLDERS and "/" in word}
    files = {word for word in words if re.fullmatch(r"[\w.*-]+\.(csv|jsonl|md|py|sh|toml)", word)}
    linked = set(re.findall(r"\]\(((?!http)[^)#]+)\)", document.read_text(encoding="utf-8")))
    assert {name for name in (in_a_folder | files | linked) - NOT_OURS if not exists(name, document)} == set()


@each_document
def test_every_name_in_a_file_is_in_it(document: Path) -> None:
    """Written as "`name` of `path.py`", "`name` in `path.py`" or "`path.py` (`name`, `name`)"."""
    text = " ".join(document.read_text(encoding="utf-8").split())
    named = [(path, name) for name, path in re.findall(r"`(\w+)` (?:of|in) `([\w/.-]+\.\w+)`", text)]
    for path, names in re.findall(r"`([\w/.-]+\.\w+)` \(((?:`\w+`(?:, )?)+)\)", text):
        named += [(path, name) for name in re.findall(r"`(\w+)`", names)]
    missing = [(path, name) for path, name in named if not re.search(rf"\b{name}\b", (ROOT / path).read_text("utf-8"))]
    assert missing == []


@each_document
def test_every_make_target_it_names_exists(document: Path) -> None:
    named = {word for line in code(document) if line.startswith("make ") for word in line.split("#")[0].split()[1:]}
    assert {target for target in named if not re.search(rf"^{target}:", MAKEFILE, re.M)} == set()


@cache
def help_of(module: str, *actions: str) -> str:
    """What `python -m module actions --help` prints, without a process of its own."""
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patched, contextlib.redirect_stdout(said):
        patched.setattr(sys, "argv", [module, *actions, "--help"])
        with pytest.raises(SystemExit) as ended:
            runpy.run_module(module, run_name="__main__")
    assert not ended.value.code, (module, actions)
    assert said.getvalue().startswith("usage:"), f"{module} ran instead of saying how it is run"
    return said.getvalue()


@pytest.mark.filterwarnings("ignore:.* found in sys.modules:RuntimeWarning:runpy")  # what runs is imported already
@each_document
def test_every_command_it_names_has_its_module_its_action_and_its_options(document: Path) -> None:
    for line in code(document):
        for module, rest in re.findall(r"python -m ([\w.]+)([^|;]*)", line):
            assert find_spec(module) is not None, line
            if module == "app" or module.startswith("tools."):
                actions = itertools.takewhile(lambda word: re.fullmatch("[a-z]+", word), rest.split())
                text = help_of(module, *(actions if module == "app" else ()))
                assert [option for option in re.findall(r"--[a-z-]+", rest) if option not in text] == [], line


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(RIGHTSIZE_[A-Z_]+|DATABASE_URL|HF_ENDPOINT)", README))))
def test_every_variable_it_names_is_read(name: str) -> None:
    assert f'"{name}"' in SOURCE, name


def test_every_variable_that_is_read_is_named() -> None:
    read = set(re.findall(r'"(RIGHTSIZE_[A-Z_]+)"', SOURCE))
    assert read - set(re.findall(r"RIGHTSIZE_[A-Z_]+", README)) == set()


def test_the_iam_policy_is_what_the_readers_call() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", README, re.S)
    assert json.loads(block) == iam_policy()


def test_the_accuracy_tables_are_those_of_the_committed_data() -> None:
    assert into_readme(README) == README, "run `make accuracy`"


def test_the_table_of_people_is_that_of_the_committed_data() -> None:
    assert bench_people.into_readme(README) == README, "run `python -m tests.bench_people --keep`"


def test_the_table_of_two_processes_is_that_of_the_committed_data() -> None:
    assert bench_two_processes.into_readme(README) == README, "run `python -m tests.bench_two_processes --keep`"


def test_continuous_integration_runs_the_readmes_test_command() -> None:
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_the_dashboards_requirements_have_no_torch() -> None:
    names = {
        line.split("==")[0].strip().lower()
        for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    }
    assert not names & {"torch", "vllm", "guidellm", "scipy", "ray"}


def test_the_container_starts_what_is_tested_and_not_as_root() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"^USER (?!root)", lines, re.M)
    assert "HEALTHCHECK" in lines
    assert '"app/server.py"' in lines
    for package in ("app", "pricing", "estimators", ".streamlit"):
        assert f"COPY {package} {package}" in lines


def test_the_number_that_is_walked_through_the_rooms_is_what_planning_gives() -> None:
    text = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    found = plan(Scenario(model="meta-llama/Llama-3.1-8B-Instruct", concurrency=40), shared_sources())
    assert found.spec is not None
    assert found.precision is not None
    assert found.chosen is not None
    assert found.chosen.memory is not None
    assert found.chosen.cost is not None
    for said in (
        f"{found.spec.resident_params:,} parameters",
        f"{found.precision.weights_bytes:,} bytes",
        f"holds {found.chosen.memory.max_concurrency} requests",
        f"`{found.chosen.label}`",
        f"${found.chosen.cost.usd_per_month:,.2f}",
    ):
        assert said in text
    assert found.chosen.replicas == 2


TOUR = re.findall(r"^\$ python -m app (.*)\n((?:  .*\n)+)", README, re.MULTILINE)


def test_the_tour_has_the_managers_four_questions() -> None:
    assert [words.split()[0] for words, _ in TOUR] == ["api", "commit", "pipeline", "estimate"]


@pytest.mark.parametrize(("words", "answer"), TOUR)
def test_an_answer_of_the_tour_is_what_its_command_says(
    words: str, answer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words.split()) == 0
    assert capsys.readouterr().out.splitlines()[0] == " ".join(answer.split())


def test_the_example_for_python_runs_and_prints_plans(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "PYTHON.md").read_text(encoding="utf-8"), re.S)
    names: dict[str, object] = {}
    exec(example, names)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Llama 3.1 8B in BF16 fits one L4 in each of 2 replicas (2 x g6.xlarge): $1,175 a month."
    assert lines[1].startswith("2 x g6.xlarge: $1,175 a month, first token 0.")
    assert lines[2].startswith("$")
    assert lines[-1].startswith("prompt prompt=many needs a whole number")
    prices = names["prices"]
    assert isinstance(prices, dict)
    assert prices["eu-west-1"] > prices["us-east-1"]
