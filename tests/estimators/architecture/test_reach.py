"""How far the reader gets over the model types that vLLM 0.33 serves, at the default configurations of their classes.

Other sizes are in data/class_checks.csv, which `python -m tools.layouts` writes from classes built on the meta device.
"""

from __future__ import annotations

import json

from app.describe_command import cache_elements
from app.measuring.accuracy import class_checks, class_summary
from estimators.architecture.parse import parse_config
from estimators.architecture.spec import AttentionKind, ModelSpec, SpecSource
from tests.conftest import REFERENCE

ROWS = [json.loads(line) for line in (REFERENCE / "class_counts.jsonl").read_text(encoding="utf-8").splitlines()]
SERVED = [row for row in ROWS if row["vllm"]]


def read(row: dict[str, object]) -> ModelSpec:
    config: dict[str, object] = row["config"]  # type: ignore[assignment]
    return parse_config(config, model_id="o/m", source=SpecSource.FILE, source_note="a class's default")


def kept(spec: ModelSpec) -> int:
    """As transformers keeps it: a latent as one, an indexer's keys apart, one vector for key and value as two."""
    total = cache_elements(spec)
    for group in spec.groups:
        attention = group.attention
        if attention is not None and group.stack == "decoder":
            total -= group.count * attention.indexer_dim
            if attention.keys_are_values and attention.kind is not AttentionKind.MLA:
                total += group.count * attention.cached_elements_per_token
    return total


def test_every_served_type_is_read_and_nine_in_ten_exactly() -> None:
    misses = {row["model_type"]: abs(read(row).resident_params / row["params"] - 1) for row in SERVED}
    assert len(misses) == 113
    assert sum(miss == 0 for miss in misses.values()) >= 0.9 * len(misses)
    assert sum(miss <= 0.01 for miss in misses.values()) >= 0.98 * len(misses)


def test_the_cache_of_a_token_is_right_wherever_transformers_tells_it() -> None:
    told = [row for row in SERVED if row["kv_elements_per_token"]]
    wrong = [row["model_type"] for row in told if kept(read(row)) != row["kv_elements_per_token"]]
    assert len(wrong) <= 0.03 * len(told), wrong


def test_a_wrong_count_is_never_given_as_exact() -> None:
    for row in ROWS:
        try:
            spec = read(row)
        except ValueError:
            continue
        if not spec.relative_range and row["model_type"] not in TEXT_ONLY:
            assert spec.resident_params == row["params"], row["model_type"]


# The class counted is the decoder alone; the config describes the whole model.
TEXT_ONLY = {"mllama"}


def test_the_checks_of_built_classes_are_kept_with_their_source() -> None:
    checks = class_checks()
    exact, sizes = sum(check.exact for check in checks), sum(check.sizes for check in checks)
    assert exact >= 0.9 * sizes
    assert {check.model_type for check in checks} >= {row["model_type"] for row in SERVED}
    assert f"{exact} of {sizes} others" in class_summary()
