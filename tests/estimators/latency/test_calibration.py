"""What the fitted effects of a case depend on."""

from dataclasses import replace

import pytest

from estimators.hardware.catalogue import find_accelerator
from estimators.latency.calibration import case_context
from estimators.latency.operators import Place, find_operator
from estimators.latency.sharding import shard_of
from estimators.provenance import Refusal
from tests.latency_cases import LLAMA, ONE_GPU, precision_of


def test_a_chip_of_a_class_nobody_measured_stands_where_its_memory_does() -> None:
    """A later NVIDIA chip with stacked memory is not taken for one with graphics memory."""
    h100 = find_accelerator("H100")
    shard = shard_of(precision_of(LLAMA), h100, ONE_GPU)
    later = replace(h100, name="R100", compute_capability="11.0", architecture="Rubin")
    context = case_context(later, shard, "vllm", "vllm-0.14", 1, False)
    assert dict(context.labels)["class"] == "sm11.0"
    hbm = Place(chip="", chip_class="", memory_kind="hbm", engine="vllm")
    assert context.standing.fixed["cache_start"] == find_operator("cache", "16bit", hbm).start_s


def test_a_kind_of_memory_nobody_measured_is_refused_with_what_to_add() -> None:
    inferentia = find_accelerator("Inferentia")
    shard = shard_of(precision_of(LLAMA), inferentia, ONE_GPU)
    with pytest.raises(Refusal, match="'ddr' memory") as refusal:
        case_context(inferentia, shard, "neuron", "neuron", 1, False)
    assert refusal.value.field == "gpu"
    assert "measured rows" in refusal.value.remedy
