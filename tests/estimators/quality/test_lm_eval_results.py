"""Results files of the LM Evaluation Harness: a real one, both shapes of model_args, and hostile ones."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimators.provenance import Refusal
from estimators.quality.lm_eval_results import MAX_BYTES, parse_results, scores_of
from estimators.quality.schemes import Scheme
from estimators.quality.tasks import Task
from estimators.quality.verdict import Meets, compare_quality, meets_bar
from tests.conftest import REFERENCE

REAL = (REFERENCE / "lm_eval_0.4.13_results.json").read_text()


def results(**changes):
    """A small file with one IFEval result."""
    data = {
        "results": {"ifeval": {"alias": "ifeval", "prompt_level_strict_acc,none": 0.8}},
        "versions": {"ifeval": 4.0},
        "n-shot": {"ifeval": 0},
        "config": {"model_args": {"pretrained": "me/model-8b"}, "limit": None},
        "lm_eval_version": "0.4.13",
    }
    return json.dumps({**data, **changes})


def test_a_real_file():
    run = parse_results(REAL)
    assert (run.model, run.version, run.limit, run.partial) == ("models/tiny", "0.4.13", 16.0, True)
    found = {(row.task, row.metric, row.filter): row for row in run.rows}
    assert set(found) == {
        ("toy_mc", "acc", "none"),
        ("toy_mc", "acc_norm", "none"),
        ("toy_gen", "exact_match", "strict-match"),
        ("toy_gen", "exact_match", "flexible-extract"),
        ("toy_group", "acc", "none"),
    }
    row = found["toy_mc", "acc_norm", "none"]
    assert (row.value, row.shots, row.version, row.questions, row.of) == (0.5, 2, "1.0", 16, 24)
    assert row.standard_error == pytest.approx(0.129099, abs=1e-6)
    assert found["toy_group", "acc", "none"].shots is None


@pytest.mark.parametrize(
    "arguments",
    [
        {"pretrained": "me/model-8b", "dtype": "auto", "api_key": "sk-secret"},
        "pretrained=me/model-8b,dtype=auto,api_key=sk-secret",
    ],
)
def test_model_args_come_in_two_shapes_and_secrets_are_dropped(arguments):
    run = parse_results(results(config={"model_args": arguments}))
    assert run.model == "me/model-8b"
    assert dict(run.arguments) == {"pretrained": "me/model-8b", "dtype": "auto"}


@pytest.mark.parametrize("path", ["/home/someone/models/tuned", "C:\\models\\tuned", "../runs/tuned", "~/x/tuned"])
def test_of_a_local_path_only_the_last_part_is_kept(path):
    run = parse_results(results(config={"model_args": {"pretrained": path}}))
    assert run.model == "tuned"
    assert "someone" not in repr(run)


def test_the_metric_is_split_at_the_last_comma():
    run = parse_results(results(results={"humaneval": {"pass@1,k=1,create_test": 0.5}}))
    (row,) = run.rows
    assert (row.metric, row.filter) == ("pass@1,k=1", "create_test")


def test_not_available_is_no_standard_error():
    cells = {"prompt_level_strict_acc,none": 0.8, "prompt_level_strict_acc_stderr,none": "N/A"}
    (row,) = parse_results(results(results={"ifeval": cells})).rows
    assert row.standard_error is None


def test_a_share_becomes_a_score_in_percent():
    run = parse_results(results())
    (score,) = scores_of(run, "me/model-8b", Scheme.INT8, source="results.json", as_of="2026-11-21")
    assert (score.benchmark, score.score, score.scheme) == ("ifeval", 80.0, Scheme.INT8)
    assert score.suite == "your LM Evaluation Harness runs, ifeval version 4.0"
    assert score.setting == "0-shot, prompt_level_strict_acc, filter none, no chat template"


@pytest.mark.parametrize(
    "change",
    [
        {"versions": {"ifeval": 3.0}},
        {"n-shot": {"ifeval": 5}},
        {"chat_template": "{{ messages }}"},
        {"config": {"limit": 100.0}},
        {"results": {"ifeval": {"prompt_level_strict_acc,strict": 0.8}}},
    ],
)
def test_unlike_runs_have_unlike_rulers(change):
    (left,) = scores_of(parse_results(results()), "m/x", Scheme.BF16, source="a", as_of="d")
    (right,) = scores_of(parse_results(results(**change)), "m/x", Scheme.BF16, source="a", as_of="d")
    assert left.key != right.key


def test_a_partial_run_says_so():
    samples = {"ifeval": {"original": 541, "effective": 100}}
    run = parse_results(results(config={"limit": 100.0}, **{"n-samples": samples}))
    (score,) = scores_of(run, "m/x", Scheme.BF16, source="a", as_of="d")
    assert run.partial
    assert score.note == "your run; partial run: 100 of 541 questions"


def test_two_uploads_decide_a_bar():
    before = scores_of(parse_results(results()), "me/model-8b", Scheme.BF16, source="before.json", as_of="d")
    low = results(results={"ifeval": {"prompt_level_strict_acc,none": 0.76}})
    after = scores_of(parse_results(low), "me/model-8b", Scheme.INT4, source="after.json", as_of="d")
    verdict = compare_quality(
        "me/model-8b", "int4", "me/model-8b", Task.INSTRUCTION_FOLLOWING, own_scores=before + after
    )
    assert verdict.ratio == pytest.approx(0.95)
    assert meets_bar(verdict, 0.99).meets is Meets.NO


@pytest.mark.parametrize(
    "hostile",
    [
        "",
        "not json",
        "[]",
        "null",
        "{}",
        '{"results": []}',
        '{"results": {}}',
        '{"results": {"t": {"acc,none": NaN}}}',
        '{"results": {"t": {"acc,none": "1"}}}',
        '{"results": {"t": {"acc,none": true}}}',
        '{"results": {"t": 3}}',
        '{"results": {"t": {"acc,none": ' + "9" * 5000 + "}}}",
        '{"results": {"t": {"acc,none": 1e999}}}',
        "[" * 100_000,
        '{"a":' * 50_000,
    ],
)
def test_a_file_with_nothing_to_read_is_refused(hostile):
    with pytest.raises(Refusal) as refusal:
        parse_results(hostile)
    assert refusal.value.field == "results"


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"results": {"ifeval": {"prompt_level_strict_acc,none": 80.0}}}, "none", "is 80, which is no share"),
        ({"results": {"ifeval": {"prompt_level_strict_acc,none": -0.1}}}, "none", "is -0.1, which is no share"),
        ({"versions": {"ifeval": "<b>4</b>"}}, "none", "version of ifeval is '<b>4</b>', which the harness would not"),
        ({"results": {"ifeval": {"prompt_level_strict_acc,[x](//y)": 0.8}}}, "[x](//y)", "The filter of ifeval"),
        (
            {"results": {"ifeval": {"prompt_level_strict_acc,none": 0.8, "prompt_level_strict_acc_stderr,none": 2}}},
            "none",
            "The standard error of prompt_level_strict_acc of ifeval is 2.",
        ),
    ],
)
def test_a_result_that_can_be_none_is_refused_by_its_name(change, field, said):
    with pytest.raises(Refusal) as refusal:
        scores_of(parse_results(results(**change)), "m/x", Scheme.BF16, source="a", as_of="d")
    assert said in refusal.value.message
    assert refusal.value.field == f"results.ifeval.prompt_level_strict_acc,{field}"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_no_number_is_no_result_of_a_task_that_is_known(number):
    with pytest.raises(Refusal, match="is no result") as refusal:
        parse_results('{"results": {"ifeval": {"prompt_level_strict_acc,none": ' + number + "}}}")
    assert refusal.value.field == "results.ifeval.prompt_level_strict_acc"


def test_a_huge_file_is_refused_unread():
    with pytest.raises(Refusal, match="larger than 32 MiB"):
        parse_results(b" " * (MAX_BYTES + 1))


def test_a_flood_of_results_is_refused():
    flood = {"t": {f"m{i},none": 0.5 for i in range(20_001)}}
    with pytest.raises(Refusal, match="more than 20000"):
        parse_results(results(results=flood))


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["results", "config", "versions", "n-shot", "n-samples", "model_name"]), JSON))
def test_any_json_is_read_or_refused(data):
    data.setdefault("results", {"ifeval": {"prompt_level_strict_acc,none": 0.5}})
    try:
        made = scores_of(parse_results(json.dumps(data)), "m/x", Scheme.BF16, source="a", as_of="d")
    except Refusal:
        return
    for score in made:
        assert 0 <= score.score <= 100
