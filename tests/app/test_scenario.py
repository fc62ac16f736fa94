"""The codec of links, flags, columns and JSON keys."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.scenario import DEFAULTS, KEYS, LoadMode, Scenario, decode, encode, model_text
from estimators.precision import KvPrecision, Method, Weights
from estimators.workload import Engine
from pricing.offers import PurchaseOption


def test_the_vocabulary_and_the_scenario_have_the_same_keys() -> None:
    assert set(KEYS) == set(DEFAULTS)


def test_an_empty_link_is_the_defaults() -> None:
    decoded = decode({})
    assert decoded.scenario == Scenario()
    assert decoded.problems == ()
    assert decoded.version is None


def test_a_link_carries_what_was_asked() -> None:
    decoded = decode({"model": "org/name@abc123", "weights": "int4", "prompt": "2048", "hours": "200.5", "v": "1"})
    assert decoded.problems == ()
    assert decoded.version == 1
    assert decoded.scenario == Scenario(
        model="org/name@abc123", weights=Weights.INT4, prompt=2048, hours=Decimal("200.5")
    )


@pytest.mark.parametrize(
    ("text", "params", "active"),
    [("8B", 8.0, None), ("30B-A3B", 30.0, 3.0), ("0.5b", 0.5, None), ("350M", 0.35, None), ("1.5T", 1500.0, None)],
)
def test_a_count_in_the_model_box_is_a_parameter_count(text: str, params: float, active: float | None) -> None:
    scenario = decode({"model": text}).scenario
    assert (scenario.model, scenario.params, scenario.active) == (None, params, active)


@pytest.mark.parametrize(
    ("key", "text", "reason"),
    [
        ("discount", "95", "needs a number from 0 to 90"),
        ("discount", "-5", "needs a number from 0 to 90"),
        ("negotiated", "p5.48xlarge", "needs machines and dollars an hour such as p5.48xlarge:40,g6.xlarge:0.6"),
        ("negotiated", "g6.xlarge:0", "needs machines and dollars an hour such as p5.48xlarge:40,g6.xlarge:0.6"),
        ("negotiated", "g6.xlarge@spt:0.3", "names no way to pay to AWS: spt"),
        ("negotiated", "g6.xlarge@owned:0.3", "names no way to pay to AWS: owned"),
        ("negotiated", "g6.xlarge:1,G6.xlarge:2", "prices g6.xlarge twice"),
        ("negotiated", ",".join(f"g6.x{n}:1" for n in range(13)), "needs one to 12 machines"),
    ],
)
def test_what_nobody_negotiates_is_not_used(key: str, text: str, reason: str) -> None:
    decoded = decode({key: text})
    assert decoded.scenario == Scenario()
    assert [(problem.key, problem.reason) for problem in decoded.problems] == [(key, reason)]


def test_negotiated_prices_are_written_as_they_are_read() -> None:
    flat = {"discount": "12.5", "negotiated": "p5.48xlarge:55.04,g6.xlarge@spot:0.3"}
    assert encode(decode(flat | {"negotiated": " P5.48xlarge: $55.04 , g6.xlarge@spot:0.3"}).scenario) == flat


@pytest.mark.parametrize("text", ["99999T", "100.1T", "0B", "0.5M", "0.0009B", "8B-A0B", "8B-A999999B"])
def test_a_count_that_no_model_has_is_refused_rather_than_read_as_a_hub_id(text: str) -> None:
    decoded = decode({"model": text})
    assert (decoded.scenario.model, decoded.scenario.params) == (None, None)
    assert decoded.problems[0].message == f"model={text} needs a count from 1M to 100000B"


@pytest.mark.parametrize("text", ["1M", "1.123456M", "100T", "99999.123456B", "8.000000001B", "30B-A0.001B"])
def test_the_model_box_writes_every_count_so_that_it_is_read_alike(text: str) -> None:
    scenario = decode({"model": text}).scenario
    assert scenario.params is not None
    assert decode({"model": model_text(scenario)}).scenario == scenario


def test_the_model_box_shows_a_count_as_it_was_typed() -> None:
    assert model_text(Scenario(params=30.0, active=3.0)) == "30B-A3B"


@pytest.mark.parametrize(
    ("given_keys", "kept", "lost"),
    [
        ({"model": "a/b", "params": "8"}, "model", "params"),
        ({"params": "8", "model": "a/b"}, "model", "params"),
        ({"instance": "g6.xlarge", "gpu": "L4"}, "gpu", "instance"),
        ({"rate": "2", "concurrency": "4"}, "concurrency", "rate"),
        ({"load": "max", "rate": "2"}, "rate", "load"),
        ({"load": "max", "concurrency": "2"}, "concurrency", "load"),
        ({"load": "batch", "rate": "2"}, "load", "rate"),
    ],
)
def test_of_an_exclusive_pair_the_first_listed_wins_and_the_other_is_named(
    given_keys: dict[str, str], kept: str, lost: str
) -> None:
    decoded = decode(given_keys)
    assert getattr(decoded.scenario, kept) is not None
    assert getattr(decoded.scenario, lost) is None
    (problem,) = decoded.problems
    assert problem.key == lost
    assert problem.ignored
    assert kept.split("=")[0] in problem.message


def test_load_batch_with_concurrency_is_a_batch_of_that_size() -> None:
    scenario = decode({"load": "batch", "concurrency": "16"}).scenario
    assert scenario.load is LoadMode.BATCH
    assert scenario.requests_in_flight == 16


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("prompt", "0"),
        ("prompt", "-5"),
        ("prompt", "1e9"),
        ("prompt", "9" * 400),
        ("prompt", "\u0661\u0662"),
        ("prompt", "1_0"),
        ("util", "inf"),
        ("util", "nan"),
        ("util", "-inf"),
        ("rate", "0"),
        ("rate", "1e309"),
        ("prefix", "1"),
        ("accept", "1.01"),
        ("weights", "int5"),
        ("buy", "free"),
        ("region", "../../etc"),
        ("instance", "<script>"),
        ("model", "a/b/c"),
        ("model", "<img src=x onerror=alert(1)>"),
        ("model", "x" * 400),
        ("hours", "745"),
        ("hours", "0"),
        ("price", "-1"),
        ("price_as_of", "2026-13-01"),
        ("price_as_of", "yesterday"),
        ("load", "min"),
        ("gpus", "1.5"),
    ],
)
def test_a_bad_value_is_named_and_the_default_used(key: str, value: str) -> None:
    decoded = decode({key: value})
    assert getattr(decoded.scenario, key) == DEFAULTS[key]
    (problem,) = decoded.problems
    assert problem.key == key
    assert problem.message.startswith(key)
    assert len(problem.message) < 300


def test_unknown_parameters_and_versions_are_named() -> None:
    assert [p.key for p in decode({"utm_source": "mail", "v": "99"}).problems] == ["utm_source", "v"]


def test_auto_and_none_mean_the_default() -> None:
    decoded = decode({"gpu": "auto", "spec": "none", "weights": "auto", "load": "auto", "replicas": ""})
    assert decoded.scenario == Scenario()
    assert decoded.problems == ()


def test_a_copied_link_writes_defaults_too() -> None:
    flat = encode(Scenario(model="a/b"), every_field=True)
    assert flat["prompt"] == "1024"
    assert flat["concurrency"] == "1"
    assert flat["buy"] == "on_demand"
    assert flat["v"] == "1"


_numbers = st.floats(0.001, 1000, allow_nan=False).map(lambda x: round(x, 6)).filter(lambda x: x > 0)
_scenarios = st.builds(
    Scenario,
    model=st.sampled_from(["a/b", "gpt2", "meta-llama/Llama-3.1-8B-Instruct@0123abcd"]),
    weights=st.sampled_from(Weights),
    method=st.sampled_from(Method),
    kv=st.sampled_from(KvPrecision),
    prompt=st.integers(1, 1_000_000),
    output=st.integers(1, 1_000_000),
    rate=st.none() | _numbers,
    ttft=st.none() | _numbers,
    gpus=st.none() | st.integers(1, 64),
    instance=st.none() | st.sampled_from(["g6.xlarge", "p6-b200.48xlarge"]),
    region=st.sampled_from(["us-east-1", "us-gov-west-1", "ap-southeast-3"]),
    buy=st.sampled_from(PurchaseOption),
    hours=st.decimals("0.01", 744, places=2),
    engine=st.sampled_from(Engine),
    prefix=st.floats(0, 0.99).map(lambda x: round(x, 6)),
    price=st.none() | st.decimals("0.0001", 1000, places=4),
)


@given(_scenarios)
def test_every_scenario_survives_its_link(scenario: Scenario) -> None:
    for every_field in (False, True):
        decoded = decode(encode(scenario, every_field=every_field))
        assert decoded.problems == ()
        again = decoded.scenario
        if every_field and scenario.requests_in_flight is not None:
            assert again.concurrency == 1
            again = Scenario(**{key: getattr(again, key) for key in KEYS if key != "concurrency"})
        assert again == scenario


@given(st.dictionaries(st.sampled_from([*KEYS, "v", "x"]) | st.text(max_size=50), st.text(max_size=400), max_size=12))
def test_nothing_in_a_link_can_raise(raw: dict[str, str]) -> None:
    decoded = decode(raw)
    assert decode(encode(decoded.scenario)).scenario == decoded.scenario
    for problem in decoded.problems:
        assert len(problem.message) < 400
