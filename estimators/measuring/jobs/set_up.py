"""Makes an environment of its own and fills it from a list of pinned requirements, saying how far it is.

`python -m estimators.measuring.jobs.set_up .venv-profile requirements-profile.txt`, by any Python from 3.11 with the
standard library alone: `make` and the page's button both come here. uv installs where it is at hand or can be had,
which takes a fifth of pip's time; what it cannot do, pip does.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

STAMP = "setup.stamp"  # in the environment once it is whole
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
LAST_WORDS = 3  # lines of a failed program that are shown
# pip's own settings that name where packages come from, and what uv calls them: a mirror stays the only source.
SETTINGS = {"index-url": "UV_DEFAULT_INDEX", "find-links": "UV_FIND_LINKS", "cert": "SSL_CERT_FILE"}

PATIENCE = {"UV_HTTP_TIMEOUT": "20", "UV_HTTP_RETRIES": "1"}  # pip is asked after it

Told = Callable[[float, str], None]


class Failed(Exception):
    """A program that was needed ended badly; its last words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installer:
    """How packages get into an environment: by uv where there is one, else by the environment's own pip."""

    python: Path  # of the environment
    uv: tuple[str, ...]  # empty without
    settings: Mapping[str, str]  # for uv, from pip's

    def install(self, packages: Sequence[str], said: Callable[[str], None]) -> None:
        """Raises `Failed` when neither can."""
        if self.uv:
            with contextlib.suppress(Failed):
                run([*self.uv, "pip", "install", "--python", str(self.python), *packages], said, self.settings)
                return
        quiet = ["--disable-pip-version-check", "--no-compile", "--retries", "2", "--progress-bar", "off"]
        run([str(self.python), "-m", "pip", "install", *quiet, *packages], said)


def run(command: Sequence[str], said: Callable[[str], None], settings: Mapping[str, str] | None = None) -> None:
    """Runs a program to its end, each line of it told as it comes. Raises `Failed` with its last words."""
    environment = {**(settings or {}), **os.environ}
    words: list[str] = []
    try:
        program = subprocess.Popen(
            list(command), env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace",
        )  # fmt: skip
    except OSError as problem:
        raise Failed(f"{command[0]}: {problem.strerror}") from None
    with program:
        for line in program.stdout or ():
            if line.strip():
                words = [*words, line.strip()][-LAST_WORDS:]
                if not line.startswith(" "):  # uv lists there what came
                    said(line.strip()[:120])
    if program.returncode:
        raise Failed(" ".join(words) or f"{Path(command[0]).name} ended with {program.returncode}")


def set_up(folder: Path, requirements: Path, told: Told) -> None:
    """The environment at `folder`, with what `requirements` lists. Raises `Failed`; begun anew, it goes on."""
    stamp = folder / STAMP
    if stamp.exists() and stamp.stat().st_mtime >= requirements.stat().st_mtime:
        told(1.0, "it is there already")
        return
    stamp.unlink(missing_ok=True)
    python = folder / "bin" / "python"
    told(0.01, "making the environment")
    uv = _uv()
    if not python.exists():
        maker = [*uv, "venv", "--quiet", "--seed", "--python", sys.executable] if uv else [sys.executable, "-m", "venv"]
        run([*maker, str(folder)], lambda line: told(0.01, line))
    if not uv:
        with contextlib.suppress(Failed):  # pip does it all, then
            run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "uv"], lambda _: None)
            uv = (str(python), "-m", "uv")
    installer = Installer(python=python, uv=uv, settings=PATIENCE | uv_settings(_pip_settings(python)))
    torch = pinned(requirements, "torch")
    if torch and not shutil.which("nvidia-smi"):
        told(0.05, "no NVIDIA driver: the CPU build of torch")
        with contextlib.suppress(Failed):  # the usual build runs on the CPU too, and is larger
            index = os.environ.get("TORCH_CPU_INDEX", TORCH_CPU_INDEX)
            installer.install(["--no-deps", "--index-url", index, torch], lambda line: told(0.1, f"torch: {line}"))
    told(0.6 if torch else 0.1, "installing the libraries")
    installer.install(["-r", str(requirements)], lambda line: told(0.7, line))
    stamp.touch()
    told(1.0, "done")


def _uv() -> tuple[str, ...]:
    if importlib.util.find_spec("uv") is not None:
        return (sys.executable, "-m", "uv")
    found = shutil.which("uv")
    return (found,) if found else ()


def pinned(requirements: Path, name: str) -> str:
    """The line of a package in a list of requirements, "torch==2.13.0"; empty without one."""
    found = re.search(rf"^{name}==\S+", requirements.read_text(encoding="utf-8"), re.MULTILINE)
    return found[0] if found else ""


def _pip_settings(python: Path) -> str:
    asked = [str(python), "-m", "pip", "config", "list"]
    return subprocess.run(asked, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL).stdout


def uv_settings(listed: str) -> dict[str, str]:
    """What `pip config list` prints, as variables of uv: "global.index-url='https://mirror'" is UV_DEFAULT_INDEX."""
    found = re.findall(r"^[^\s=]*\.([a-z-]+)='([^'\n]*)'$", listed, re.MULTILINE)
    return {SETTINGS[key]: value for key, value in found if key in SETTINGS and value}


def tell(event: str, **values: object) -> None:
    print(json.dumps({"event": event, **values}), flush=True)


def main(arguments: Sequence[str]) -> int:
    """With `--events` it is the worker of a job, ends with its parent, and speaks lines of JSON; else to a person."""
    folder, requirements = map(Path, arguments[:2])
    worker = arguments[2:] == ["--events"]
    if worker:
        from estimators.measuring.jobs.process import end_with_parent

        sys.stdin.readline()
        end_with_parent()

    def told(share: float, message: str) -> None:
        if worker:
            tell("progress", share=share, message=message)
        else:
            print(f"{share:4.0%} {message}", flush=True)

    try:
        set_up(folder, requirements, told)
    except Failed as problem:
        if not worker:
            print(f"Setting up failed: {problem}", file=sys.stderr)
            return 1
        tell("failed", message=f"Setting up failed: {problem}"[:500])
    else:
        if worker:
            tell("done", message="Set up.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
