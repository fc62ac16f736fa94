"""Counts made by other people's code, where that code is at hand."""

from __future__ import annotations

import subprocess

import pytest

from estimators.measuring.jobs.environment import ROOT, is_set_up, profiling_python, worker_environment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not is_set_up(), reason="no .venv-profile: run make profile-setup"),
]


def test_the_reference_table_is_what_the_libraries_build() -> None:
    command = [str(profiling_python()), "-m", "tools.count_params", "--reference"]
    ran = subprocess.run(command, cwd=ROOT, env=worker_environment(), capture_output=True, text=True, check=False)
    assert ran.stdout.splitlines()[-1:] == ["138 equal, 0 different"], ran.stdout + ran.stderr
