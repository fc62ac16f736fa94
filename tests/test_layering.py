"""The import rules that keep the layers apart, by source and by what really gets loaded."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import ROOT

SOURCES = sorted(path for package in ("app", "pricing", "estimators") for path in (ROOT / package).rglob("*.py"))

# module -> folders or files that may import it
ALLOWED = {
    "streamlit": ("app/main.py", "app/server.py", "app/views/"),
    "plotly": ("app/figures", "app/server.py"),
    "boto3": ("pricing/aws/",),
    "botocore": ("pricing/aws/",),
    "huggingface_hub": ("estimators/architecture/hub", "estimators/measuring/device/worker.py"),
    "transformers": ("estimators/architecture/hub", "estimators/measuring/device/worker.py"),
    "torch": ("estimators/measuring/device/worker.py",),
    "ray": ("estimators/measuring/jobs/cluster.py",),
    "sqlalchemy": (
        "app/storage.py",
        "app/migrate_command.py",
        "pricing/store.py",
        "estimators/measuring/jobs/store.py",
        "estimators/database/",
    ),
    "alembic": ("estimators/database/",),
    "scipy": ("estimators/fitting/",),
}


def imported(path: Path, *, run: bool = False) -> Iterator[str]:
    """Modules a file imports; with `run` only those that are imported when it runs, not for its types."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = list(ast.walk(tree))
    if run:
        guarded = (node for node in nodes if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
        nodes = [node for node in nodes if node not in {inner for block in guarded for inner in ast.walk(block)}]
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_what_its_layer_may(path: Path) -> None:
    here = path.relative_to(ROOT).as_posix()
    for module in imported(path):
        package = module.split(".")[0]
        if here.startswith(("pricing/", "estimators/")):
            assert package != "app", f"{here} imports {module}"
        if here.startswith("estimators/"):
            assert package != "pricing", f"{here} imports {module}"
        if here.startswith("pricing/") and package == "estimators":
            assert module.startswith(("estimators.provenance", "estimators.database")), f"{here} imports {module}"
        assert package != "tools", f"{here} imports {module}"  # maintainers only; the container has none
        if package in ALLOWED:
            assert here.startswith(ALLOWED[package]), f"{here} imports {module}"


@pytest.mark.parametrize("module", ["app.planning.planner", "app.batch", "app.api", "app.sources"])
def test_planning_loads_no_heavy_library(module: str) -> None:
    heavy = "streamlit plotly boto3 huggingface_hub transformers torch scipy pandas"
    code = f"import sys, {module}; print(*[m for m in '{heavy}'.split() if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert loaded.split() == []


def test_the_command_line_opens_no_database_to_read_its_flags() -> None:
    code = "import sys, app.__main__, app.measuring.command, app.measuring.jobs; print('sqlalchemy' in sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "False"


def test_no_room_imports_back() -> None:
    """Rooms are the folders of a package and the modules beside them; what is imported for its types does not count."""
    rooms: dict[str, set[str]] = {}
    for path in SOURCES:
        here = _room(".".join(path.relative_to(ROOT).with_suffix("").parts))
        rooms.setdefault(here, set()).update(_room(module) for module in imported(path, run=True))
    TopologicalSorter({room: found - {room} for room, found in rooms.items()}).prepare()  # refuses a circle


def _room(module: str) -> str:
    return ".".join(module.split(".")[:2])


def test_one_class_name_means_one_thing() -> None:
    homes: dict[str, list[str]] = {}
    for path in SOURCES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                homes.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    assert {name: files for name, files in homes.items() if len(files) > 1} == {}
