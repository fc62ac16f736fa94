"""Where torch lives: the profiling environment, apart from the dashboard's."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from estimators.measuring.jobs.set_up import STAMP
from estimators.provenance import Refusal

ROOT = Path(__file__).parents[3]
OVERRIDE = "RIGHTSIZE_PROFILE_PYTHON"
RAY_OVERRIDE = "RIGHTSIZE_RAY_PYTHON"
# All the worker needs of this process's environment: no key, no token, no database address.
PASSED = re.compile(
    r"PATH|HOME|LANG|LC_.*|TMPDIR|TZ|LD_LIBRARY_PATH|CUDA_.*|NVIDIA_.*|HF_HOME|HF_HUB_CACHE|XDG_CACHE_HOME"
)
INSTALLING = re.compile(r"PIP_.*|UV_.*|TORCH_CPU_INDEX|SSL_CERT_.*|https?_proxy|no_proxy", re.IGNORECASE)


class NotSetUp(Refusal):
    """The profiling environment is missing."""


def profiling_python(environment: Mapping[str, str] = os.environ) -> Path:
    """The interpreter that has torch: RIGHTSIZE_PROFILE_PYTHON, else .venv-profile of the project."""
    named = environment.get(OVERRIDE)
    folder = ROOT / ".venv-profile"
    found = Path(named) if named else folder / "bin" / "python"
    if not os.access(found, os.X_OK) or not (named or (folder / STAMP).exists()):
        raise NotSetUp(
            "The profiling environment is not set up here.", field="device", remedy="Run: make profile-setup"
        )
    return found


def set_up_command(name: str) -> list[str]:
    """The command that makes `.venv-<name>` of the project: "profile" or "serving"."""
    requirements = ROOT / f"requirements-{name}.txt"
    if not requirements.exists():
        raise NotSetUp(
            "This installation carries no list of what to install.",
            field="device",
            remedy=f"Make an environment with torch and transformers, and name its Python by {OVERRIDE}.",
        )
    module = "estimators.measuring.jobs.set_up"
    return [sys.executable, "-m", module, str(ROOT / f".venv-{name}"), str(requirements), "--events"]


def set_up_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Variables of a process that installs: the worker's, and where packages come from."""
    kept = {key: value for key, value in environment.items() if INSTALLING.fullmatch(key)}
    return worker_environment(environment) | kept


def ray_address(environment: Mapping[str, str] = os.environ) -> str:
    """Where the Ray cluster is that measurements and large batches run on; empty for this machine."""
    return environment.get("RAY_ADDRESS", "").strip()


def ray_python(environment: Mapping[str, str] = os.environ) -> Path:
    """The interpreter that has Ray: RIGHTSIZE_RAY_PYTHON, else .venv-ray of the project, else this one."""
    named = environment.get(RAY_OVERRIDE)
    found = Path(named) if named else ROOT / ".venv-ray" / "bin" / "python"
    if os.access(found, os.X_OK):
        return found
    if not named and importlib.util.find_spec("ray") is not None:
        return Path(sys.executable)
    raise NotSetUp(
        "RAY_ADDRESS is set, but Ray is not installed here.",
        field="device",
        remedy="Run: make ray-setup; or unset RAY_ADDRESS to work on this machine.",
    )


def is_set_up(environment: Mapping[str, str] = os.environ) -> bool:
    try:
        profiling_python(environment)
    except NotSetUp:
        return False
    return True


def worker_command(kind: str, environment: Mapping[str, str] = os.environ) -> list[str]:
    """The command of the worker for an attached device, for a cluster's, or for an endpoint, which needs no torch."""
    if kind == "endpoint":
        return [sys.executable, "-m", "estimators.measuring.server.endpoint_worker"]
    if kind == "cluster":
        return [str(ray_python(environment)), "-m", "estimators.measuring.jobs.cluster"]
    return [str(profiling_python(environment)), "-m", "estimators.measuring.device.worker"]


def cluster_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Variables of a process that talks to the Ray cluster: the worker's, and Ray's own."""
    ray = {key: value for key, value in environment.items() if key.startswith("RAY_")}
    return worker_environment(environment) | {"RAY_USAGE_STATS_ENABLED": "0"} | ray


def worker_environment(environment: Mapping[str, str] = os.environ, threads: int = 1) -> dict[str, str]:
    """Variables of the worker: what it needs to find libraries, and nothing secret. It never asks the Hub."""
    kept = {key: value for key, value in environment.items() if PASSED.fullmatch(key)}
    capped = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    return (
        kept | capped | offline | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "TOKENIZERS_PARALLELISM": "false"}
    )
