"""The README says what is so."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from app.measuring.accuracy import into_readme
from pricing.aws.source import iam_policy
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
SOURCE = "\n".join(
    p.read_text(encoding="utf-8") for d in ("app", "pricing", "estimators") for p in (ROOT / d).rglob("*.py")
)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"make ([a-z-]+)", README)) - {"sure"}))
def test_every_make_target_it_names_exists(target: str) -> None:
    assert re.search(rf"^{target}:", MAKEFILE, re.M), target


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(RIGHTSIZE_[A-Z_]+|DATABASE_URL|HF_ENDPOINT)", README))))
def test_every_variable_it_names_is_read(name: str) -> None:
    assert f'"{name}"' in SOURCE, name


def test_every_variable_that_is_read_is_named() -> None:
    read = set(re.findall(r'"(RIGHTSIZE_[A-Z_]+)"', SOURCE))
    assert read - set(re.findall(r"RIGHTSIZE_[A-Z_]+", README)) == set()


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(((?!http)[^)#]+)\)", README))))
def test_every_file_it_links_to_is_there(link: str) -> None:
    assert (ROOT / link).exists(), link


@pytest.mark.parametrize("command", sorted(set(re.findall(r"python -m app ([a-z]+)", README))))
def test_every_command_it_names_has_help(command: str) -> None:
    done = subprocess.run([sys.executable, "-m", "app", command, "--help"], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0


def test_the_iam_policy_is_what_the_readers_call() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", README, re.S)
    assert json.loads(block) == iam_policy()


def test_the_accuracy_tables_are_those_of_the_committed_data() -> None:
    assert into_readme(README) == README, "run `make accuracy`"


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
