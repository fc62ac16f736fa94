"""The OpenAPI 3.1 document of the HTTP interface, made from the vocabulary and the columns. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from app.batch import CALL_SECONDS, MOST_ROWS, MOST_UNLISTED_MODELS
from app.columns import COLUMNS
from app.exploring.compare import LONGEST_LINK, MOST_SCENARIOS
from app.scenario import KEYS, VERSION
from app.vocabulary import CHANGE_KEYS, DEPLOY_KEYS, LEVERS_KEYS, RECOMMEND_KEYS, VOCABULARY, Key

Json: TypeAlias = dict[str, Any]

JSON_TYPE, CSV_TYPE = "application/json", "text/csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One path: `keys` are what a GET's parameters and a POST's document are made of."""

    name: str
    path: str
    methods: tuple[str, ...]
    says: str
    keys: tuple[str, ...] = ()
    takes: tuple[str, ...] = (JSON_TYPE,)


OPERATIONS: dict[str, Operation] = {
    operation.name: operation
    for operation in (
        Operation(
            name="estimate", path="/api/v1/estimate", methods=("GET", "POST"), keys=KEYS,
            says="One plan: memory, speed and cost of a model on a machine, or on the cheapest that does.",
        ),
        Operation(
            name="recommend", path="/api/v1/recommend", methods=("GET", "POST"), keys=RECOMMEND_KEYS,
            says="The plans that meet every limit, the cheapest first, with why nothing cheaper does.",
        ),
        Operation(
            name="compare", path="/api/v1/compare", methods=("GET", "POST"),
            says=f"Up to {MOST_SCENARIOS} scenarios side by side.",
        ),
        Operation(
            name="levers", path="/api/v1/levers", methods=("GET", "POST"), keys=LEVERS_KEYS,
            says="What would make a plan cheaper or faster, each lever alone and those of `apply` together.",
        ),
        Operation(
            name="deploy", path="/api/v1/deploy", methods=("GET", "POST"), keys=DEPLOY_KEYS,
            says="A plan as a file that starts it: Docker compose, Kubernetes or Terraform.",
        ),
        Operation(
            name="change", path="/api/v1/change", methods=("GET", "POST"), keys=CHANGE_KEYS,
            says="What would change a decision: the value of each assumption at which another plan comes first, and in "
            "what share of the ranges of speed the plan is the cheapest.",
        ),
        Operation(
            name="batch", path="/api/v1/batch", methods=("POST",), takes=(JSON_TYPE, CSV_TYPE),
            says=f"Up to {MOST_ROWS:,} scenarios, a row each; one bad row spoils no other. At most "
            f"{MOST_UNLISTED_MODELS} models outside of the catalogue; rows left after {CALL_SECONDS:g} seconds say so.",
        ),
        Operation(name="openapi", path="/openapi.json", methods=("GET",), says="This document."),
    )
}  # fmt: skip

_TEXT_COLUMNS = (
    "accelerator",
    "instance",
    "price_source",
    "price_as_of",
    "engine_starts_reason",
    "model_reading",
    "error",
)
_TRUTH_COLUMNS = ("fits", "engine_starts")
_TEXTS: Json = {"type": "array", "items": {"type": "string"}}
_CHECKPOINT: Json = {
    **{name: {"type": ["string", "null"]} for name in ("checkpoint", "publisher", "validated")},
    "drafting_heads": _TEXTS,
    "said": {"type": "string"},
}
_REFUSED = "#/components/schemas/Refused"
_FAULTS = {
    "400": "Too many parameters.",
    "405": "Another method is needed.",
    "413": "The body is too large.",
    "415": "The body is of another type.",
    "422": "The question cannot be asked or answered as it stands; `field` is the key at fault.",
    "503": "Too many questions at once.",
}


@lru_cache(maxsize=1)
def as_document() -> Json:
    """The whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Rightsize",
            "version": str(VERSION),
            "description": "Which language model, at which precision, on which machines, meets the bar for memory, "
            "latency and quality, and what it costs a month. Keys are those of links, flags and columns. Money is in "
            "US dollars, times in seconds, sizes in bytes.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": {operation.path: _path(operation) for operation in OPERATIONS.values()},
        "components": {"schemas": _schemas()},
    }


def _path(operation: Operation) -> Json:
    made: Json = {}
    for method in operation.methods:
        made[method.lower()] = {
            "operationId": operation.name if method == operation.methods[0] else f"{operation.name}_document",
            "summary": operation.says.split(":")[0].rstrip("."),
            "description": operation.says,
            "responses": _responses(operation, method),
        }
        if method == "GET" and operation.name != "openapi":
            made["get"]["parameters"] = _parameters(operation)
        if method == "POST":
            made["post"]["requestBody"] = {"required": True, "content": _contents(operation)}
    return made


# A size is said by `model` as well, "8B" or "30B-A3B"; and openapi-python-client, for one, keeps what it sends in a
# variable named `params`, which a parameter of that name overwrites.
_NOT_OF_A_LINK = ("params", "active")


def _parameters(operation: Operation) -> list[Json]:
    if operation.name == "compare":
        says = "What Copy link gave you, or its part after the question mark; once for each scenario."
        links = {"type": "array", "items": _link(), "minItems": 1, "maxItems": MOST_SCENARIOS}
        return [{"name": "link", "in": "query", "required": True, "description": says, "schema": links}]
    return [_parameter(VOCABULARY[name]) for name in operation.keys if name not in _NOT_OF_A_LINK]


def _link() -> Json:
    return {"type": "string", "minLength": 3, "maxLength": LONGEST_LINK, "examples": ["model=8B&gpu=L4"]}


def _parameter(key: Key) -> Json:
    made: Json = {"name": key.name, "in": "query", "description": key.says, "schema": dict(key.kind.schema)}
    if key.kind.schema["type"] == "array":
        if key.kind.separator == ",":
            made |= {"style": "form", "explode": False}
        else:
            made |= {"description": f"{key.explained}", "schema": {"type": "string"}}
    return made


def _property(key: Key) -> Json:
    kind = dict(key.kind.schema)
    return {"description": key.says, **kind, "type": [kind["type"], "null"], **_enum_with_null(kind)}


def _enum_with_null(kind: Mapping[str, Any]) -> Json:
    return {"enum": [*kind["enum"], None]} if "enum" in kind else {}


def _keys_object(names: Sequence[str], *, closed: bool = True) -> Json:
    properties = {name: _property(VOCABULARY[name]) for name in names}
    properties["v"] = {"description": "Version of the vocabulary.", "type": "integer", "enum": [VERSION]}
    return {"type": "object", "properties": properties, "additionalProperties": not closed}


def _contents(operation: Operation) -> Json:
    if operation.name == "compare":
        scenarios = {"type": "array", "items": {"$ref": "#/components/schemas/Scenario"}, "maxItems": MOST_SCENARIOS}
        links = {"type": "array", "items": _link(), "maxItems": MOST_SCENARIOS}
        schema: Json = {
            "type": "object",
            "properties": {"links": links, "scenarios": scenarios},
            "additionalProperties": False,
        }
    elif operation.name == "batch":
        rows = {"type": "array", "items": {"type": "object"}, "minItems": 1, "maxItems": MOST_ROWS}
        schema = {"type": "object", "properties": {"rows": rows}, "required": ["rows"], "additionalProperties": False}
    else:
        schema = _keys_object(operation.keys)
    contents: Json = {JSON_TYPE: {"schema": schema}}
    if CSV_TYPE in operation.takes:
        contents[CSV_TYPE] = {"schema": {"type": "string"}, "example": "model,weights\n8B,int4\n"}
    return contents


_ANSWERS = {
    "estimate": "Plan",
    "recommend": "Recommendation",
    "compare": "Comparison",
    "levers": "Levers",
    "deploy": "Deployment",
    "change": "Change",
    "batch": "Batch",
}


def _responses(operation: Operation, method: str) -> Json:
    if operation.name == "openapi":
        return {"200": {"description": "The document.", "content": {JSON_TYPE: {"schema": {"type": "object"}}}}}
    answer: Json = {JSON_TYPE: {"schema": {"$ref": f"#/components/schemas/{_ANSWERS[operation.name]}"}}}
    if CSV_TYPE in operation.takes:
        answer[CSV_TYPE] = {"schema": {"type": "string"}}
    responses: Json = {"200": {"description": "The answer.", "content": answer}}
    if method == "GET":
        tag = {"ETag": {"description": "Of the answer; send it as If-None-Match.", "schema": {"type": "string"}}}
        responses["200"]["headers"] = tag
        responses["304"] = {"description": "The answer is the one you have."}
    for status, says in _FAULTS.items():
        if method == "POST" or status not in ("413", "415"):
            responses[status] = {"description": says, "content": {JSON_TYPE: {"schema": {"$ref": _REFUSED}}}}
    return responses


def _schemas() -> Json:
    refused: Json = {
        "type": "object",
        "required": ["error"],
        "properties": {"error": {"type": "string"}, "field": {"type": "string"}, "problems": _TEXTS},
    }
    plan: Json = {
        "type": "object",
        "description": "The resolved scenario and the columns of a batch; null where unknown.",
        "required": ["model", *COLUMNS, "notes", "problems"],
        "properties": {
            **{name: {"type": ["string", "number", "boolean", "null"]} for name in KEYS},
            "v": {"type": "integer"},
            **{name: {"type": [_column_type(name), "null"]} for name in COLUMNS},
            "notes": _TEXTS,
            "problems": _TEXTS,
            "verdict": {"type": "string"},
            "checkpoint": {"type": ["object", "null"], "properties": _CHECKPOINT},
        },
    }
    plans: Json = {"type": "array", "items": {"$ref": "#/components/schemas/Plan"}}
    objects: Json = {"type": "array", "items": {"type": "object"}}
    sentence: Json = {"type": "string"}
    return {
        "Refused": refused,
        "Scenario": _keys_object(KEYS),
        "Plan": plan,
        "Recommendation": {
            "type": "object",
            "required": ["verdict", "plans", "weighed", "limits"],
            "properties": {"verdict": sentence, "plans": plans, "weighed": {"type": "integer"}, "ways_out": _TEXTS},
        },
        "Comparison": {
            "type": "object",
            "required": ["verdict", "plans", "rows"],
            "properties": {"verdict": sentence, "plans": plans, "rows": objects},
        },
        "Levers": {
            "type": "object",
            "required": ["plan", "levers"],
            "properties": {"plan": {"$ref": "#/components/schemas/Plan"}, "levers": objects},
        },
        "Deployment": {
            "type": "object",
            "required": ["file", "text", "verdict"],
            "properties": {"file": sentence, "text": sentence, "verdict": sentence},
        },
        "Change": {
            "type": "object",
            "required": ["verdict", "plan", "flips", "cheapest_in", "notes"],
            "properties": {
                "verdict": sentence,
                "plan": {"type": "object"},
                "flips": objects,
                "cheapest_in": {"type": ["object", "null"]},
                "notes": _TEXTS,
            },
        },
        "Batch": {"type": "object", "required": ["rows"], "properties": {"rows": objects}},
    }


def _column_type(name: str) -> str:
    return "string" if name in _TEXT_COLUMNS else "boolean" if name in _TRUTH_COLUMNS else "number"
