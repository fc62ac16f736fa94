"""The table that help, the interface's description and the documents read."""

from __future__ import annotations

import pytest

from app.scenario import FROZEN, KEYS, PAGE_KEYS, PARSERS, QUESTION_KEYS
from app.vocabulary import ANSWER, QUESTION, VOCABULARY, Key, as_markdown, nearest
from tests.conftest import ROOT


def test_every_key_is_explained_once() -> None:
    assert set(VOCABULARY) == {*KEYS, *QUESTION_KEYS, *ANSWER, *PAGE_KEYS, *FROZEN} - {"choice"}
    assert set(QUESTION_KEYS) - set(QUESTION) == {"choice"}  # which card is shown: of the page alone


@pytest.mark.parametrize("key", VOCABULARY.values(), ids=lambda key: key.name)
def test_a_keys_example_and_default_are_values_of_it(key: Key) -> None:
    assert key.kind(key.example) is not None
    if key.default:
        assert key.kind(key.default) is not None
    assert key.says.endswith(".")
    assert "type" in key.kind.schema


def test_a_key_says_what_its_parser_takes() -> None:
    assert VOCABULARY["util"].explained == (
        "Share of the accelerator's memory the engine may take; blank: its own default. Takes a number from 0.05 to 1."
    )
    assert VOCABULARY["prompt"].kind is PARSERS["prompt"]
    assert VOCABULARY["pp"].explained == "Pipeline stages of a replica. Takes a whole number from 1 to 256. Default 1."
    assert VOCABULARY["max_len"].flags == ("--max-len", "--max_len")


def test_the_document_of_keys_is_this_table() -> None:
    text = (ROOT / "docs" / "KEYS.md").read_text(encoding="utf-8")
    assert text == "\n".join(as_markdown()) + "\n", "run `python -m app keys > docs/KEYS.md`"


def test_a_key_that_was_mistyped_is_suggested() -> None:
    assert nearest("max-length", KEYS) == " Did you mean max_len?"
    assert nearest("xyzzy", KEYS) == ""
