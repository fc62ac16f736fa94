"""Ids by the library's own rule: what passes here passes `huggingface_hub`, and the other way round."""

from __future__ import annotations

from random import Random

import pytest
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from app.scenario import decode
from estimators.architecture.hub.client import HubClient
from estimators.architecture.hub.errors import BadModelId
from estimators.architecture.model_id import MODEL_ID
from estimators.provenance import Refusal

ODD = (
    "1.",
    "3-",
    "org/name-",
    "org/name.",
    "org-/name",
    "org./name",
    "a--b",
    "a..b",
    "a/b.git",
    "-a",
    ".a",
    "a/",
    "/a",
)
LONGEST = ("a" * 96, "a" * 97, f"{'o' * 96}/{'n' * 96}", f"{'o' * 97}/n", "a/b/c", "é", "a b", "a\n", "")


def library_takes(text: str) -> bool:
    try:
        validate_repo_id(text)
    except HFValidationError:
        return False
    return True


def strings(count: int) -> list[str]:
    draw = Random(5)
    return [
        "".join(draw.choices("aZ1.-_/", k=draw.randint(1, 9))) + draw.choice(("", "", ".git")) for _ in range(count)
    ]


def test_the_rule_is_the_library_s() -> None:
    tried = (*strings(20_000), *ODD, *LONGEST)
    assert [text for text in tried if bool(MODEL_ID.fullmatch(text)) != library_takes(text)] == []
    assert sum(map(library_takes, tried)) > 1000


@pytest.mark.parametrize("text", ODD)
def test_what_the_library_does_not_take_is_refused_by_link_and_hub(text: str) -> None:
    decoded = decode({"model": text, "spec": text})
    assert (decoded.scenario.model, decoded.scenario.spec) == (None, None)
    assert [problem.key for problem in decoded.problems] == ["model", "spec"]
    with pytest.raises(BadModelId):
        HubClient(offline=True).fetch(text)


def test_whatever_passes_the_link_is_answered_or_refused_by_the_client_never_more() -> None:
    client = HubClient(offline=True)
    for text in strings(400):
        for revision in (None, "main", "x/y", "a.lock", "refs/pr/1", "0" * 40, ".", "..", "/", "a//b", "-"):
            with pytest.raises(Refusal):
                client.fetch(text, revision)
