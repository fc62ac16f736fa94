"""Published drafting heads."""

import csv

from estimators.launch.arguments import Listed, arguments_of
from estimators.launch.heads import head_for, heads
from estimators.quality.recipes import check_model_id
from tests.conftest import ROOT


def test_the_head_of_a_model_and_its_method() -> None:
    head = head_for("meta-llama/Llama-3.3-70B-Instruct", "eagle")
    assert head is not None
    assert (head.id, head.method) == ("RedHatAI/Llama-3.3-70B-Instruct-speculator.eagle3", "eagle3")
    renamed = head_for("meta-llama/Meta-Llama-3.1-8B-Instruct", "eagle")
    assert renamed is not None
    assert renamed.id == "yuhuili/EAGLE3-LLaMA3.1-Instruct-8B"


def test_a_quantized_copy_is_drafted_for_by_the_head_of_its_model() -> None:
    head = head_for("RedHatAI/Qwen3-8B-FP8-dynamic", "eagle")
    assert head is not None
    assert head.model == "Qwen/Qwen3-8B"


def test_none_is_made_up() -> None:
    assert head_for("meta-llama/Llama-3.1-70B-Instruct", "eagle") is None
    assert head_for("Qwen/Qwen3-8B", "mtp") is None


def test_every_head_is_an_id_with_a_method_that_every_release_read_knows() -> None:
    for head in heads():
        assert check_model_id(head.id) == head.id
        for version in ("0.11.0", "0.21.0", "0.33.0"):
            known = arguments_of(version)
            assert known is not None
            assert known.has(Listed.DRAFTING, head.method)


def test_a_published_acceptance_is_of_the_head_that_is_written() -> None:
    """Where the acceptance was measured with a named head, the command names that one; where a plan may draft with
    EAGLE at all, there is a head to name."""
    with (ROOT / "estimators/latency/data/drafting.csv").open(encoding="utf-8") as file:
        published = [row for row in csv.DictReader(file) if row["method"] == "eagle"]
    assert len(published) >= 9
    for row in published:
        head = head_for(row["model"], "eagle")
        assert head is not None
        assert row["head"] in ("", head.id)
