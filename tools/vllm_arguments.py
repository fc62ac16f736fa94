"""What a release of vLLM can be asked for, read out of its wheels: `python -m tools.vllm_arguments vllm-*.whl`.

Nothing of a wheel is run: `pip download vllm==0.33.0 --no-deps` brings one, and its sources are parsed. The table is
written whole, so give the wheels of every release that should be in it.
"""

from __future__ import annotations

import argparse
import ast
import csv
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from zipfile import ZipFile

from estimators.engines.versions import read_version
from estimators.launch.arguments import TABLE, Listed

_ARGUMENTS = "vllm/engine/arg_utils.py"
_SPECULATIVE = "vllm/config/speculative.py"
_REGISTRY = "vllm/model_executor/models/registry.py"
_REGISTERED = ("_TEXT_GENERATION_MODELS", "_MULTIMODAL_MODELS", "_TRANSFORMERS_SUPPORTED_MODELS")
_LITERALS = (
    (Listed.DTYPE, "vllm/config/model.py", "ModelDType"),
    (Listed.CACHE_DTYPE, "vllm/config/cache.py", "CacheDType"),
    (Listed.EXECUTOR, "vllm/config/parallel.py", "DistributedExecutorBackend"),
    (Listed.QUANTIZATION, "vllm/model_executor/layers/quantization/__init__.py", "QuantizationMethods"),
    (Listed.DRAFTING, _SPECULATIVE, "SpeculativeMethod"),
)


def names_in(wheel: ZipFile) -> Iterator[tuple[Listed, str, str]]:
    """(kind, name, file) of everything a release lists."""
    trees = {file: ast.parse(wheel.read(file)) for file in {_ARGUMENTS, _REGISTRY, *(file for _, file, _ in _LITERALS)}}
    for flag in _flags(trees[_ARGUMENTS]):
        yield Listed.FLAG, flag, _ARGUMENTS
    for kind, file, name in _LITERALS:
        for value in _literal(trees[file], name):
            yield kind, value, file
    for name, _ in _fields(trees[_SPECULATIVE], "SpeculativeConfig"):
        yield Listed.DRAFTING_KEY, name, _SPECULATIVE
    for name in _registered(trees[_REGISTRY]):
        yield Listed.ARCHITECTURE, name, _REGISTRY


def _flags(tree: ast.Module) -> Iterator[str]:
    """Every `add_argument("--x")`; a field that is true or false can be told `--no-x` as well."""
    switches = {name for name, kind in _fields(tree, "EngineArgs") if kind in ("bool", "bool | None", "Optional[bool]")}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add_argument":
            for word in (str(word.value) for word in node.args if isinstance(word, ast.Constant)):
                if word.startswith("--"):
                    yield word
                    if word[2:].replace("-", "_") in switches:
                        yield f"--no-{word[2:]}"


def _fields(tree: ast.Module, of: str) -> Iterator[tuple[str, str]]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == of:
            for line in node.body:
                if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                    yield line.target.id, ast.unparse(line.annotation)


def _literal(tree: ast.Module, name: str) -> Iterator[str]:
    """The strings of `name = Literal[...]`, and of the literals it is made of."""
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and target.id == name and isinstance(value, ast.Subscript):
            parts = value.slice.elts if isinstance(value.slice, ast.Tuple) else [value.slice]
            for part in parts:
                if isinstance(part, ast.Name):
                    yield from _literal(tree, part.id)
                elif isinstance(part, ast.Constant):
                    yield str(part.value)


def _registered(tree: ast.Module) -> Iterator[str]:
    """Classes of models that generate text: the release's own, and those it hands to transformers."""
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and target.id in _REGISTERED and isinstance(value, ast.Dict):
            yield from (str(key.value) for key in value.keys if isinstance(key, ast.Constant))


def rows(wheels: Sequence[Path], today: str) -> Iterator[dict[str, str]]:
    """One row per name, with the releases that have it."""
    found: dict[tuple[Listed, str, str], set[str]] = defaultdict(set)
    for path in wheels:
        with ZipFile(path) as wheel:
            for fact in names_in(wheel):
                found[fact].add(path.name.split("-")[1])
    for kind, name, file in sorted(found):
        releases = " ".join(sorted(found[kind, name, file], key=read_version))
        yield {"kind": kind, "name": name, "versions": releases, "source": f"vLLM wheels: {file}", "as_of": today}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.vllm_arguments", description=__doc__.split("\n")[0])
    parser.add_argument("wheels", nargs="+", type=Path)
    asked = parser.parse_args(arguments)
    made = list(rows(asked.wheels, datetime.now(UTC).date().isoformat()))
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(made[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(made)
    print(f"{len(made)} rows in {TABLE.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
