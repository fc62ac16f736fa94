"""Configs that lie, break off or attack: the parser answers with a spec or with a refusal that names a field."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from estimators.architecture import layouts
from estimators.architecture.catalogue import entries, load_config
from estimators.architecture.families import FAMILIES
from estimators.architecture.parse import ConfigError, parse_config, parse_config_text
from estimators.architecture.spec import ModelSpec, SpecSource
from estimators.precision import Weights, resolve_precision
from estimators.provenance import Refusal
from tests.conftest import REFERENCE

# One config of each model type, and every quantized one.
SEEDS = sorted({e.model_type: e.id for e in entries()}.values()) + [e.id for e in entries() if e.quant_method]

DEEP: Any = []
for _ in range(2000):
    DEEP = [DEEP]
ABSURD = [0, -1, 1, 2, 3, 1 << 70, -(1 << 70), 1.5, float("nan"), float("inf"), -float("inf"), True, False, None]
ABSURD += [
    "",
    "0",
    "4096",
    "x" * 10_000,
    "\ud800",
    "٤",
    [],
    {},
    [None],
    ["full_attention"],
    [0] * 10_000,
    {"a": {}},
    DEEP,
]
ABSURD += ["re:(((", "re:.*\\.(a|a)*b$", {"quant_method": "nonsense"}, "torch.bfloat16", "bfloat16"]
absurd = st.sampled_from(ABSURD) | st.integers() | st.integers(0, 200) | st.floats() | st.text(max_size=20)


def places(config: object, depth: int = 0) -> list[tuple[Any, Any]]:
    """Every (container, key) of a config, to the depth where its meaning ends."""
    if depth > 5:
        return []
    keys = (
        list(config)
        if isinstance(config, dict)
        else list(range(min(len(config), 8)))
        if isinstance(config, list)
        else []
    )
    found = [(config, key) for key in keys]
    for key in keys:
        found += places(config[key], depth + 1)  # type: ignore[index]
    return found


def parsed(config: dict[str, object]) -> ModelSpec:
    return parse_config(config, model_id="fuzz/model", source=SpecSource.HUB, source_note="a fuzz test")


def answers(config: dict[str, object]) -> None:
    """A refusal with a field and a sentence, or a spec whose numbers can be computed."""
    try:
        spec = parsed(config)
        assert spec.resident_params >= spec.active_params > 0
        assert resolve_precision(spec).weights_bytes > 0
        assert resolve_precision(spec, Weights.INT4).weights_bytes > 0
    except Refusal as refusal:
        said(refusal)


def said(refusal: Refusal) -> None:
    assert refusal.field
    assert 10 < len(str(refusal)) < 600


@settings(max_examples=400)
@given(seed=st.sampled_from(SEEDS), picks=st.lists(st.tuples(st.integers(0, 10_000), absurd), min_size=1, max_size=4))
def test_a_config_with_absurd_values_is_parsed_or_refused(seed: str, picks: list[tuple[int, object]]) -> None:
    config = copy.deepcopy(load_config(seed))
    for index, value in picks:
        spots = places(config)
        if spots:
            container, key = spots[index % len(spots)]
            container[key] = value
    answers(config)


@settings(max_examples=150)
@given(seed=st.sampled_from(SEEDS), drops=st.lists(st.integers(0, 10_000), min_size=1, max_size=6))
def test_a_config_with_missing_fields_is_parsed_or_refused(seed: str, drops: list[int]) -> None:
    config = copy.deepcopy(load_config(seed))
    for index in drops:
        spots = [(container, key) for container, key in places(config) if isinstance(container, dict)]
        if spots:
            container, key = spots[index % len(spots)]
            del container[key]
    answers(config)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=100)
@given(config=st.dictionaries(st.text(max_size=12), json_values, max_size=6), seed=st.sampled_from(SEEDS))
def test_any_json_object_under_a_known_model_type_is_refused_or_parsed(config: dict[str, Any], seed: str) -> None:
    answers({**config, "model_type": load_config(seed)["model_type"]})


# ---------------------------------------------------------------- types that only convention reads

LEARNED = {
    row["model_type"]: row["config"]
    for row in map(json.loads, (REFERENCE / "class_counts.jsonl").read_text(encoding="utf-8").splitlines())
    if row["model_type"] in layouts.lines() and row["model_type"] not in FAMILIES
}
UNHEARD = "never_heard_of_it"


@settings(max_examples=300, derandomize=True)
@given(
    seed=st.sampled_from(sorted(LEARNED)),
    picks=st.lists(st.tuples(st.integers(0, 10_000), absurd), min_size=1, max_size=4),
    unheard=st.booleans(),
)
def test_a_type_read_by_convention_is_answered_or_refused(
    seed: str, picks: list[tuple[int, object]], unheard: bool
) -> None:
    config = copy.deepcopy(LEARNED[seed])
    for index, value in picks:
        spots = places(config)
        container, key = spots[index % len(spots)]
        container[key] = value
    answers(config | {"model_type": UNHEARD} if unheard else config)


@settings(max_examples=150, derandomize=True)
@given(seed=st.sampled_from(sorted(LEARNED)), drops=st.lists(st.integers(0, 10_000), min_size=1, max_size=6))
def test_a_type_read_by_convention_may_lack_fields_and_sections(seed: str, drops: list[int]) -> None:
    config = copy.deepcopy(LEARNED[seed])
    for index in drops:
        spots = [(container, key) for container, key in places(config) if isinstance(container, dict)]
        if spots:
            container, key = spots[index % len(spots)]
            del container[key]
    answers(config)


def test_sections_that_hold_themselves_end() -> None:
    config: dict[str, Any] = {"model_type": UNHEARD, "hidden_size": 64}
    config["text_config"] = config
    answers(config)


def test_an_unheard_type_is_never_exact() -> None:
    for config in LEARNED.values():
        try:
            spec = parsed(config | {"model_type": UNHEARD})
        except Refusal as refusal:
            said(refusal)
            continue
        assert spec.relative_range >= 0.02
        assert any("off by" in note for note in spec.notes)


def text(raw: str | bytes) -> ModelSpec:
    return parse_config_text(raw, model_id="fuzz/model", source=SpecSource.HUB, source_note="a fuzz test")


@settings(max_examples=100)
@given(raw=st.binary(max_size=200) | st.text(max_size=200))
@example("[" * 100_000)
@example('{"a":' * 100_000)
@example(b"\xff\xfe{}")
@example("null")
@example("NaN")
@example('{"model_type": ' + "9" * 5000 + "}")
def test_text_that_is_no_config_is_refused(raw: str | bytes) -> None:
    with pytest.raises(Refusal) as refused:
        text(raw)
    assert refused.value.field


def test_ten_megabytes_of_json_are_refused_unread() -> None:
    raw = json.dumps({**load_config("Qwen/Qwen3-8B"), "padding": "x" * 10_000_000})
    with pytest.raises(ConfigError, match="larger than"):
        text(raw)


def test_a_thousand_layers_cost_what_ten_do() -> None:
    """Layers alike are described once, however many."""
    config = {**load_config("meta-llama/Llama-3.1-8B"), "num_hidden_layers": 4096}
    spec = parsed(config)
    assert len(spec.groups) == 1
    assert spec.layer_count == 4096
