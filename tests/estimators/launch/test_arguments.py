"""What releases of vLLM take, from the table, and how the table is read out of a wheel."""

import ast
import re
from pathlib import Path
from zipfile import ZipFile

import pytest

from estimators.engines.versions import Version
from estimators.launch.arguments import Listed, arguments_of, last_with, releases
from tests.conftest import ROOT
from tools.vllm_arguments import names_in, rows

WHEEL = {
    "vllm/engine/arg_utils.py": """
class EngineArgs:
    dtype: str = "auto"
    enforce_eager: bool = False
    def add_cli_args(parser):
        parser.add_argument("--dtype", "-d")
        parser.add_argument("--enforce-eager")
""",
    "vllm/config/model.py": 'ModelDType = Literal["auto", "half"]',
    "vllm/config/parallel.py": 'DistributedExecutorBackend = Literal["ray"]',
    "vllm/config/cache.py": 'CacheDType = Literal["fp8"]',
    "vllm/config/speculative.py": """
MTPModelTypes = Literal["mtp"]
EagleModelTypes = Literal["eagle3", MTPModelTypes]
SpeculativeMethod = Literal["ngram", EagleModelTypes]
class SpeculativeConfig:
    model: str | None = None
""",
    "vllm/model_executor/layers/quantization/__init__.py": 'QuantizationMethods = Literal["fp8"]',
    "vllm/model_executor/models/registry.py": '_TEXT_GENERATION_MODELS = {"GPT2LMHeadModel": ("gpt2", "GPT2")}',
}


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "vllm-9.1.0-cp38-abi3-linux.whl"
    with ZipFile(path, "w") as archive:
        for name, text in WHEEL.items():
            archive.writestr(name, text)
    return path


def test_a_wheel_is_read_without_running_it(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        found = {(kind, name) for kind, name, _ in names_in(archive)}
    assert found == {
        (Listed.FLAG, "--dtype"),
        (Listed.FLAG, "--enforce-eager"),
        (Listed.FLAG, "--no-enforce-eager"),  # a switch can be told both ways
        (Listed.DTYPE, "auto"),
        (Listed.DTYPE, "half"),
        (Listed.CACHE_DTYPE, "fp8"),
        (Listed.EXECUTOR, "ray"),
        (Listed.DRAFTING, "ngram"),
        (Listed.DRAFTING, "eagle3"),
        (Listed.DRAFTING, "mtp"),  # literals made of literals
        (Listed.DRAFTING_KEY, "model"),
        (Listed.QUANTIZATION, "fp8"),
        (Listed.ARCHITECTURE, "GPT2LMHeadModel"),
    }


def test_a_row_names_the_releases_that_have_it(wheel: Path) -> None:
    newer = wheel.with_name("vllm-9.10.0-cp38-abi3-linux.whl")
    newer.write_bytes(wheel.read_bytes())
    made = {row["name"]: row for row in rows([newer, wheel], "2026-11-28")}
    assert made["--dtype"] == {
        "kind": "flag",
        "name": "--dtype",
        "versions": "9.1.0 9.10.0",
        "source": "vLLM wheels: vllm/engine/arg_utils.py",
        "as_of": "2026-11-28",
    }


def test_what_each_release_takes() -> None:
    assert [str(release) for release in releases()] == ["0.11.0", "0.21.0", "0.33.0"]
    newest, old = arguments_of(None), arguments_of("0.11.0")
    assert newest is not None
    assert old is not None
    assert newest.version == Version(0, 33)
    flags = sum(not name.startswith("--no-") for name in newest.names[Listed.FLAG])
    assert flags == 255  # as an earlier, separate reading of its arg_utils.py counted
    assert newest.has(Listed.DRAFTING, "dspark")
    assert not old.has(Listed.DRAFTING, "dspark")
    assert old.has(Listed.QUANTIZATION, "bitsandbytes")
    assert not newest.has(Listed.QUANTIZATION, "bitsandbytes")
    assert last_with(Listed.QUANTIZATION, "bitsandbytes") == Version(0, 21)


def test_a_release_between_two_has_what_both_have() -> None:
    between = arguments_of("0.16.0")
    assert between is not None
    assert between.read == (Version(0, 11), Version(0, 21))
    assert between.has(Listed.DRAFTING, "eagle3")
    assert not between.has(Listed.DRAFTING, "suffix")  # of 0.21.0, not of 0.11.0


def test_of_an_older_release_nothing_is_known_and_a_newer_one_has_what_the_newest_has() -> None:
    assert arguments_of("0.10.2") is None
    newer, newest = arguments_of("0.40.0"), arguments_of("0.33.0")
    assert newer is not None
    assert newest is not None
    assert (newer.version, newer.names) == (newest.version, newest.names)


TEXTS = (
    *(ROOT / "estimators" / "launch").glob("*.py"),
    *(ROOT / "estimators" / "memory").glob("*.py"),
    ROOT / "estimators" / "measuring" / "comparison.py",
    ROOT / "app" / "exploring" / "levers.py",
)


@pytest.mark.parametrize("version", ["0.11.0", "0.21.0", "0.33.0"])
def test_every_argument_that_is_written_or_advised_is_one(version: str) -> None:
    """Whatever looks like an argument in a string of the rooms that speak of vLLM."""
    known = arguments_of(version)
    assert known is not None
    strings = (
        node.value
        for path in TEXTS
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    named = {flag for text in strings for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)}
    assert {"--max-model-len", "--speculative-config", "--num-gpu-blocks-override", "--load-format"} <= named
    assert {flag for flag in named if not known.has(Listed.FLAG, flag)} == set()
