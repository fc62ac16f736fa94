"""The description of the interface: a valid document, of what the interface does, held against it by a fuzzer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from starlette.applications import Starlette

from app.api import routes
from app.batch import MOST_ROWS
from app.columns import COLUMNS
from app.openapi import OPERATIONS, as_document
from app.scenario import KEYS
from app.vocabulary import CHANGE_KEYS, DEPLOY_KEYS, LEVERS_KEYS, RECOMMEND_KEYS, VOCABULARY

DOCUMENT = json.loads(json.dumps(as_document()))


def test_every_key_is_a_parameter_with_the_vocabularys_bounds() -> None:
    for name, keys in (
        ("estimate", KEYS),
        ("recommend", RECOMMEND_KEYS),
        ("levers", LEVERS_KEYS),
        ("deploy", DEPLOY_KEYS),
        ("change", CHANGE_KEYS),
    ):
        parameters = DOCUMENT["paths"][f"/api/v1/{name}"]["get"]["parameters"]
        said_by_model = ("params", "active")  # generated clients keep what they send under the former's name
        assert [parameter["name"] for parameter in parameters] == [key for key in keys if key not in said_by_model]
        properties = DOCUMENT["paths"][f"/api/v1/{name}"]["post"]["requestBody"]["content"]["application/json"][
            "schema"
        ]
        assert set(properties["properties"]) == {*keys, "v"}
    prompt = next(p for p in DOCUMENT["paths"]["/api/v1/estimate"]["get"]["parameters"] if p["name"] == "prompt")
    assert prompt["description"] == VOCABULARY["prompt"].says
    assert prompt["schema"] == {"type": "integer", "minimum": 1, "maximum": 16_777_216}


def test_the_answer_names_every_column() -> None:
    assert set(COLUMNS) <= set(DOCUMENT["components"]["schemas"]["Plan"]["required"])
    assert (
        DOCUMENT["paths"]["/api/v1/batch"]["post"]["requestBody"]["content"]["application/json"]["schema"][
            "properties"
        ]["rows"]["maxItems"]
        == MOST_ROWS
    )


def test_every_path_is_described_and_served() -> None:
    served = {route.path for route in routes() if "{" not in route.path}  # type: ignore[attr-defined]
    assert served - {"/api"} == set(DOCUMENT["paths"]) == {operation.path for operation in OPERATIONS.values()}


def test_the_document_is_valid() -> None:
    validator = pytest.importorskip("openapi_spec_validator")
    validator.validate(DOCUMENT)


@pytest.mark.slow
def test_no_call_that_a_fuzzer_makes_breaks_the_description() -> None:
    """Generated calls, good and bad: never a 500, never an answer that the document does not have, and what it calls
    wrong is refused. That what it calls right is answered is not asked: a question may have no answer."""
    schemathesis = pytest.importorskip("schemathesis")
    from schemathesis.checks import CHECKS, load_all_checks

    load_all_checks()
    schema = schemathesis.openapi.from_asgi("/openapi.json", Starlette(routes=routes()))
    answerable = CHECKS.get_one("positive_data_acceptance")
    called: set[str] = set()
    limited = settings(max_examples=25, derandomize=True, deadline=None, phases=[Phase.generate])
    for found in schema.get_all_operations():
        operation = found.ok()
        called.add(operation.label)
        for mode in schemathesis.GenerationMode:

            @limited
            @given(case=operation.as_strategy(generation_mode=mode))
            def call(case: Any) -> None:
                case.call_and_validate(excluded_checks=[answerable])

            call()
    described = {f"{method} {found.path}" for found in OPERATIONS.values() for method in found.methods}
    assert called == described - {"GET /openapi.json"}
