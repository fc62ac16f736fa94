"""Builds the wheel and the source archive: a PEP 517 backend that needs nothing installed.

In the wheel the folders `app`, `estimators` and `pricing` lie inside of the package `rightsize`, and what they import
of each other is renamed to that: nobody's environment gets a module called `app`.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = "rightsize"
INSIDE = ("app", "estimators", "pricing")
LEFT_OUT = ("__pycache__",)
MOMENT = (2020, 1, 1, 0, 0, 0)  # of every file, so that one tree makes one wheel
_IMPORT = re.compile(r"^(\s*(?:from|import) )(app|estimators|pricing)\b", re.M)
_MODULE = re.compile(r"([\"'])((?:app|estimators|pricing)(?:\.\w+)+)\1")  # as in [sys.executable, "-m", "app.x"]


def build_wheel(wheel_directory: str, config_settings: object = None, metadata_directory: str | None = None) -> str:
    """Writes the wheel; its name."""
    project = _project()
    name = f"{_normal(project['name'])}-{project['version']}"
    files = dict(contents())
    information = f"{name}.dist-info"
    files |= {
        f"{information}/METADATA": metadata().encode(),
        f"{information}/WHEEL": b"Wheel-Version: 1.0\nGenerator: rightsize\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{information}/entry_points.txt": _entry_points(project).encode(),
        f"{information}/licenses/LICENSE": (ROOT / "LICENSE").read_bytes(),
    }
    record = f"{information}/RECORD"
    lines = [f"{path},sha256={_digest(data)},{len(data)}" for path, data in files.items()]
    files[record] = "\n".join([*lines, f"{record},,", ""]).encode()
    wheel = f"{name}-py3-none-any.whl"
    with zipfile.ZipFile(Path(wheel_directory) / wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in files.items():
            entry = zipfile.ZipInfo(path, MOMENT)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, data)
    return wheel


def build_sdist(sdist_directory: str, config_settings: object = None) -> str:
    """Writes the archive that the wheel can be built from again; its name."""
    project = _project()
    name = f"{_normal(project['name'])}-{project['version']}"
    with tarfile.open(Path(sdist_directory) / f"{name}.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as archive:
        data = metadata().encode()
        entry = tarfile.TarInfo(f"{name}/PKG-INFO")
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
        files = [path for folder in (PACKAGE, *INSIDE, ".streamlit") for path in _files(ROOT / folder)]
        files += [ROOT / file for file in ("pyproject.toml", "README.md", "LICENSE", "requirements.in")]
        for path in (*files, Path(__file__)):
            archive.add(path, f"{name}/{path.relative_to(ROOT).as_posix()}")
    return f"{name}.tar.gz"


def contents() -> Iterator[tuple[str, bytes]]:
    """(path in the wheel, bytes) of every file of the package."""
    for path in _files(ROOT / PACKAGE):
        yield path.relative_to(ROOT).as_posix(), _renamed(path)
    for folder in (*INSIDE, ".streamlit"):
        for path in _files(ROOT / folder):
            yield f"{PACKAGE}/{path.relative_to(ROOT).as_posix()}", _renamed(path)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not set(path.parts) & set(LEFT_OUT))


def _renamed(path: Path) -> bytes:
    """The file, its imports of the folders inside renamed; a text that names one of their modules too."""
    if path.suffix != ".py":
        return path.read_bytes()
    text = _IMPORT.sub(rf"\1{PACKAGE}.\2", path.read_text(encoding="utf-8"))
    return _MODULE.sub(lambda found: _module(found[1], found[2]), text).encode()


def _module(quote: str, name: str) -> str:
    file = ROOT / Path(*name.split("."))
    there = file.with_suffix(".py").is_file() or file.is_dir()
    return f"{quote}{PACKAGE}.{name}{quote}" if there else f"{quote}{name}{quote}"


def metadata() -> str:
    """The core metadata: what `pyproject.toml` and `requirements.in` say, then the README."""
    project = _project()
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {project['name']}",
        f"Version: {project['version']}",
        f"Summary: {project['description']}",
        f"License-Expression: {project['license']}",
        "License-File: LICENSE",
        f"Requires-Python: {project['requires-python']}",
        *(f"Requires-Dist: {line}" for line in requirements()),
        "Description-Content-Type: text/markdown",
        "",
        (ROOT / "README.md").read_text(encoding="utf-8"),
    ]
    return "\n".join(lines)


def requirements() -> list[str]:
    lines = (line.split("#")[0].strip() for line in (ROOT / "requirements.in").read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def _entry_points(project: dict[str, object]) -> str:
    scripts = project["scripts"]
    assert isinstance(scripts, dict)
    return "[console_scripts]\n" + "".join(f"{name} = {target}\n" for name, target in scripts.items())


def _project() -> dict[str, object]:
    project: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project


def _normal(name: object) -> str:
    return re.sub(r"[-_.]+", "_", str(name)).lower()


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
