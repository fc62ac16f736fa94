"""The wheel: only `rightsize` is importable from it, its data lies in it, and it answers where nothing else is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from app.exploring.calibration import formula_version, tables
from app.public import DISTRIBUTION, __version__, estimate, recommend
from estimators.database.schema import newest
from estimators.provenance import Refusal
from tests.conftest import ROOT
from tools import wheel_backend

NEEDED = ("numpy", "numpy.libs", "yaml", "sqlalchemy", "regex", "typing_extensions.py")  # to answer; no dashboard
TO_MIGRATE = ("alembic", "mako", "markupsafe")
QUESTION = {"model": "8B", "rate": 5, "ttft": 1, "precisions": ["bf16", "fp8"]}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "-w", str(folder), str(ROOT)]
    subprocess.run(command, check=True, cwd=folder)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def empty(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and the libraries an answer needs, which are linked so that no index is asked."""
    home = tmp_path_factory.mktemp("empty")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    python = home / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, str(wheel)], check=True)
    site = home / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    for name in (*NEEDED, *TO_MIGRATE):
        there = Path(sysconfig.get_paths()["platlib"]) / name
        if there.exists():
            (site / name).symlink_to(there)
    return home


def run(empty: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """With no variable of ours, from a folder that is not the project."""
    there = {"HOME": str(empty), "PATH": "/usr/bin:/bin", "HF_HUB_OFFLINE": "1"}
    return subprocess.run(words, cwd=empty, env=there, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_everything_lies_in_one_package_and_the_data_with_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = Parser().parsestr(archive.read(next(n for n in names if n.endswith("METADATA"))).decode())
        code = "\n".join(archive.read(name).decode() for name in names if name.endswith(".py"))
    assert {name.split("/")[0] for name in names} == {"rightsize", f"rightsize_llm-{__version__}.dist-info"}
    missing = {f"rightsize/{path.relative_to(ROOT).as_posix()}" for path in tables()} - set(names)
    assert missing == set()
    assert not re.search(r"^\s*(?:from|import) (?:app|estimators|pricing)\b", code, re.M)
    assert (metadata["Name"], metadata["Version"]) == (DISTRIBUTION, __version__)
    assert any(re.match(r"streamlit(\[auth\])?==", line) for line in metadata.get_all("Requires-Dist") or ())
    assert wheel.stat().st_size < 5_000_000


@pytest.mark.slow
def test_the_command_answers_in_an_empty_environment(empty: Path) -> None:
    command = str(empty / "bin" / "rightsize")
    assert run(empty, command, "--version").stdout == f"{__version__}\n"
    flags = [word for key, value in QUESTION.items() for word in (f"--{key}", str(value))]
    flags[-1] = "bf16,fp8"
    done = run(empty, command, "recommend", *flags, "--json")
    assert done.stderr == ""
    answer = json.loads(done.stdout)
    assert answer["formula"] == formula_version()
    ours = recommend(**QUESTION)
    assert answer["verdict"] == ours.verdict
    assert [plan["usd_per_month"] for plan in answer["plans"]] == [float(p.usd_per_month or 0) for p in ours.plans]
    kept = empty / "plan.yaml"
    assert run(empty, command, "estimate", "--model", "8B", "--keep", str(kept)).returncode == 0
    assert run(empty, command, "check", str(kept)).returncode == 0
    assert run(empty, command, "migrate").stdout == f"The database is at revision {newest()}, before none.\n"


@pytest.mark.slow
def test_python_imports_rightsize_and_nothing_else_of_it(empty: Path) -> None:
    code = """
import json, time
began = time.perf_counter()
from rightsize import Refusal, estimate
took = time.perf_counter() - began
foreign = []
for name in ("app", "estimators", "pricing"):
    try:
        __import__(name)
        foreign.append(name)
    except ImportError:
        pass
try:
    estimate(model="8B", prompt="inf")
except Refusal as refusal:
    field = refusal.field
print(json.dumps([took, foreign, field, estimate(model="8B", gpu="L4").verdict]))
"""
    done = run(empty, str(empty / "bin" / "python"), "-c", code)
    assert done.stderr == ""
    took, foreign, field, verdict = json.loads(done.stdout)
    assert (foreign, field) == ([], "prompt")
    assert verdict == estimate(model="8B", gpu="L4").verdict
    assert took < 0.3


@pytest.mark.slow
def test_the_source_archive_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    name = wheel_backend.build_sdist(str(tmp_path))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "-w", str(tmp_path)]
    subprocess.run([*command, str(tmp_path / name)], check=True)
    (again,) = tmp_path.glob("*.whl")
    assert again.read_bytes() == wheel.read_bytes()


def test_a_question_that_nothing_answers_has_no_plans_and_the_ways_out() -> None:
    found = recommend(model="meta-llama/Llama-3.3-70B-Instruct", rate=5, budget=100)
    assert found.plans == ()
    assert found.ways_out


@pytest.mark.parametrize(
    ("keys", "field"),
    [({}, "model"), ({"model": "8B", "colour": 1}, "colour"), ({"model": "8B", "gpu": object()}, "gpu")],
)
def test_a_question_that_cannot_be_asked_raises_with_its_field(keys: dict[str, object], field: str) -> None:
    for ask in (estimate, recommend):
        with pytest.raises(Refusal) as refused:
            ask(**keys)
        assert refused.value.field == field
