"""How a replica is cut, and what cannot be."""

import pytest

from estimators.architecture.catalogue import load_spec
from estimators.memory.partition import check, stages
from estimators.provenance import Refusal
from estimators.workload import Placement


@pytest.mark.parametrize(
    ("layers", "pp", "counts"),
    [
        (32, 1, [32]),
        (32, 4, [8, 8, 8, 8]),
        (32, 3, [11, 11, 10]),  # the last stage has the head: what is left over goes before it
        (61, 8, [7, 7, 8, 8, 8, 8, 8, 7]),
        (5, 5, [1, 1, 1, 1, 1]),
    ],
)
def test_stages(layers: int, pp: int, counts: list[int]) -> None:
    cuts = stages(layers, pp)
    assert [end - start for start, end in cuts] == counts
    assert cuts[0][0] == 0
    assert cuts[-1][1] == layers


@pytest.mark.parametrize(
    ("model", "placement", "field", "says"),
    [
        ("Qwen/Qwen3-8B", Placement(tp=7), "gpus", "1, 2, 4, 8, 16, 32"),
        ("Qwen/Qwen2.5-7B-Instruct", Placement(tp=8), "gpus", "28 query heads"),
        ("Qwen/Qwen3-8B", Placement(tp=0), "gpus", "not a number"),
        ("Qwen/Qwen3-8B", Placement(pp=37), "pp", "36 layers"),
        ("Qwen/Qwen3-8B", Placement(tp=2, ep=2), "ep", "no experts"),
        ("Qwen/Qwen3-30B-A3B", Placement(tp=4, ep=3), "ep", "Use 1, 2, 4"),
    ],
)
def test_what_does_not_divide_is_refused_with_what_does(
    model: str, placement: Placement, field: str, says: str
) -> None:
    with pytest.raises(Refusal, match=says) as refusal:
        check(load_spec(model), placement)
    assert refusal.value.field == field


@pytest.mark.parametrize(
    ("model", "placement"),
    [
        ("Qwen/Qwen3-8B", Placement(tp=32)),  # 8 key-value heads copied four times
        ("Qwen/Qwen2.5-7B-Instruct", Placement(tp=4)),
        ("deepseek-ai/DeepSeek-V3", Placement(tp=16)),
        ("Qwen/Qwen3-30B-A3B", Placement(tp=4, ep=2)),
        ("meta-llama/Llama-3.1-8B-Instruct", Placement(tp=2, pp=3)),
    ],
)
def test_what_divides_is_accepted(model: str, placement: Placement) -> None:
    check(load_spec(model), placement)
