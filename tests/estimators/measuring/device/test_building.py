"""How models are built, with the real libraries on the CPU. Needs the environment of `make profile-setup`."""

from __future__ import annotations

import json
import subprocess

import pytest

from estimators.measuring.jobs.environment import ROOT, is_set_up, profiling_python, worker_environment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not is_set_up(), reason="no .venv-profile: run make profile-setup"),
]


@pytest.fixture(scope="module")
def found() -> dict[str, list]:
    """What `tests/building_checks.py` found, in one start of torch."""
    # As a module: run as a file, its own folder comes first, and `estimators` would be that of the tests.
    program = [str(profiling_python()), "-m", "tests.building_checks"]
    ran = subprocess.run(program, cwd=ROOT, env=worker_environment(), capture_output=True, check=True)
    made: dict[str, list] = json.loads(ran.stdout)
    return made


@pytest.mark.parametrize(
    ("weights", "kind"),
    [("bf16", "Parameter"), ("int8", "Int8Params"), ("nf4", "Params4bit"), ("int8-weight-only", "Int8Tensor")],
)
def test_random_weights_are_quantized_by_the_libraries_own_loader(
    found: dict[str, list], weights: str, kind: str
) -> None:
    stored_as, tied, runs = found[weights]
    assert stored_as == kind
    assert tied  # the head still is the embedding, so the model takes the memory of one
    assert runs


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("int4", "torchao packs int4 weights for GPUs only"),
        ("experts", "Only 6% of this model's weights become int8"),
        ("narrow", "nf4 does not run on this device"),
    ],
)
def test_what_would_not_be_the_precision_asked_for_is_refused(found: dict[str, list], case: str, said: str) -> None:
    field, sentence = found[case]
    assert field == "weights"
    assert said in sentence


def test_a_model_laid_over_two_places_computes_the_same(found: dict[str, list]) -> None:
    assert found["split"] == [["cpu", "disk"], True]


def test_random_weights_for_a_gpu_take_one_block_of_host_memory(found: dict[str, list]) -> None:
    assert found["shared"] == [True, [32, 64], True, 1.0]
