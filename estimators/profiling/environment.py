"""Where torch lives: the profiling environment, apart from the dashboard's."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from estimators.provenance import Refusal

ROOT = Path(__file__).parents[2]
OVERRIDE = "RIGHTSIZE_PROFILE_PYTHON"
# All the worker needs of this process's environment: no key, no token, no database address.
PASSED = re.compile(
    r"PATH|HOME|LANG|LC_.*|TMPDIR|TZ|LD_LIBRARY_PATH|CUDA_.*|NVIDIA_.*|HF_HOME|HF_HUB_CACHE|XDG_CACHE_HOME"
)


class NotSetUp(Refusal):
    """The profiling environment is missing."""


def profiling_python(environment: Mapping[str, str] = os.environ) -> Path:
    """The interpreter that has torch: RIGHTSIZE_PROFILE_PYTHON, else .venv-profile of the project."""
    named = environment.get(OVERRIDE)
    found = Path(named) if named else ROOT / ".venv-profile" / "bin" / "python"
    if not os.access(found, os.X_OK):
        raise NotSetUp(
            "The profiling environment is not set up here.", field="device", remedy="Run: make profile-setup"
        )
    return found


def is_set_up(environment: Mapping[str, str] = os.environ) -> bool:
    try:
        profiling_python(environment)
    except NotSetUp:
        return False
    return True


def worker_command(kind: str, environment: Mapping[str, str] = os.environ) -> list[str]:
    """The command of the worker for an attached device, or for an endpoint, which needs no torch."""
    if kind == "endpoint":
        return [sys.executable, "-m", "estimators.profiling.endpoint_worker"]
    return [str(profiling_python(environment)), "-m", "estimators.profiling.worker"]


def worker_environment(environment: Mapping[str, str] = os.environ, threads: int = 1) -> dict[str, str]:
    """Variables of the worker: what it needs to find libraries, and nothing secret. It never asks the Hub."""
    kept = {key: value for key, value in environment.items() if PASSED.fullmatch(key)}
    capped = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    return (
        kept | capped | offline | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "TOKENIZERS_PARALLELISM": "false"}
    )
