"""Questions as JSON and YAML: what is read, and what is refused without costing anything."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.documents import DEEPEST, MOST_JSON_BYTES, MOST_YAML_BYTES, flat_of, read_json, read_yaml
from app.vocabulary import RECOMMEND_KEYS
from estimators.provenance import Refusal

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b]\n"


def test_yaml_keeps_the_text_that_stands_there() -> None:
    found = read_yaml(b"model: 8B\nversion: 0.10\neager: true\nprice_as_of: 2026-11-21\nmodels: [8B, 1.5T]\nrate:\n")
    assert found == {
        "model": "8B",
        "version": "0.10",
        "eager": "true",
        "price_as_of": "2026-11-21",
        "models": ["8B", "1.5T"],
        "rate": "",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "aliases"),
        ("a: !!python/object/apply:os.system [id]", "tags"),
        ("a: !own x", "tags"),
        ("a: 1\na: 2", "stated twice"),
        ("a: 1\n---\nb: 2", "more than one document"),
        ("a: [1", "not YAML at line"),
        ("[" * 9 + "]" * 9, "nests deeper"),
        ("[" * 900, "nests deeper"),
        ("[" * 20_000, "nests deeper|not YAML at line 1"),  # newer parsers count by themselves
        ("? [a]\n: b", "a list or a mapping"),
        ("a: \x00", "not YAML"),
        ("x" * (MOST_YAML_BYTES + 1), "larger than 64 KiB"),
    ],
)
def test_yaml_that_could_cost_or_act_is_refused(text: str, said: str) -> None:
    with pytest.raises(Refusal, match=said):
        read_yaml(text.encode())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'{"a": 1', "not JSON at line 1"),
        (b"\xff\xfe\xfa", "not JSON"),
        (b'{"a": NaN}', "NaN is no number"),
        (b'{"a": 1, "a": 2}', "a is stated twice"),
        (b"[" * 100_000, "not JSON"),
        (b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1), "nests deeper"),
        (b"1" * 10_000, "not JSON"),
        (b'"' + b"x" * MOST_JSON_BYTES + b'"', "larger than 2 MiB"),
    ],
)
def test_json_that_is_none_or_too_much_is_refused(text: bytes, said: str) -> None:
    with pytest.raises(Refusal, match=said):
        read_json(text)


@given(st.binary(max_size=400) | st.text(alphabet="{}[]:,-&*!|>'\"#%@ \n\tab1?", max_size=60).map(str.encode))
def test_whatever_comes_in_is_read_or_refused(text: bytes) -> None:
    for read in (read_json, read_yaml):
        with contextlib.suppress(Refusal):
            found = read(text)
            if isinstance(found, dict):
                flat_of(found, RECOMMEND_KEYS, texts=read is read_yaml)


def test_typed_values_become_the_text_a_link_has() -> None:
    document = json.loads(
        '{"model": "8B", "concurrency": 40, "rate": 0.000001, "ttft": 1, "eager": true, "gpu": null, "gpus": 2.0,'
        ' "models": ["8B", "a/b"], "owned": ["8 x L40S @ 0.5", "4 x H100"], "v": 1}'
    )
    flat, problems = flat_of(document, RECOMMEND_KEYS, texts=False)
    assert problems == []
    assert flat == {
        "model": "8B", "concurrency": "40", "rate": "0.000001", "ttft": "1", "eager": "true", "gpus": "2",
        "models": "8B,a/b", "owned": "8 x L40S @ 0.5;4 x H100", "v": "1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"concurrency": "40"}, "concurrency=40 needs a whole number from 1 to 1,000,000"),
        ({"concurrency": True}, "concurrency=True needs a whole number from 1 to 1,000,000"),
        ({"concurrency": 1.5}, "concurrency=1.5 needs a whole number from 1 to 1,000,000"),
        ({"eager": 1}, "eager=1 needs true or false"),
        ({"gpu": ["L4"]}, "gpu=['L4'] needs the name of an accelerator such as A10G or H100"),
        ({"regions": ["us-east-1,eu-west-1"]}, "regions=['us-east-1,eu-west-1'] needs up to 40 with , between"),
        ({"model": {"id": "8B"}}, "model={'id': '8B'} needs a Hub id"),
        ({"max_length": 3}, "max_length is not a key here. Did you mean max_len?"),
        ({"x" * 900: 3}, "x" * 57 + "... is not a key here."),
    ],
)
def test_a_value_of_another_type_and_an_unknown_key_are_named(document: dict[str, object], message: str) -> None:
    flat, problems = flat_of(document, RECOMMEND_KEYS, texts=False)  # type: ignore[arg-type]
    assert flat == {}
    (problem,) = problems
    assert problem.message.startswith(message)
