"""The HTTP interface, through its real routes."""

from __future__ import annotations

import csv
import io
import json

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app import api
from app.api import routes
from app.batch import MOST_ROWS, MOST_UNLISTED_MODELS
from app.columns import COLUMNS
from app.documents import MOST_JSON_BYTES

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(Starlette(routes=routes()))


def test_a_link_answers_as_json(client: TestClient) -> None:
    reply = client.get("/api/v1/estimate", params={"model": LLAMA, "instance": "g5.xlarge"})
    assert reply.status_code == 200
    body = reply.json()
    assert body["usd_per_month"] == pytest.approx(734.38)
    assert body["weights_bytes"] == 16_060_522_496
    assert set(COLUMNS) <= set(body)
    assert body["verdict"] == "Llama 3.1 8B in BF16 fits one A10G (g5.xlarge): $734 a month."


def test_a_document_is_answered_as_the_link_is(client: TestClient) -> None:
    link = client.get("/api/v1/estimate", params={"model": "8B", "rate": "0.5", "eager": "true"}).json()
    assert client.post("/api/v1/estimate", json={"model": "8B", "rate": 0.5, "eager": True, "gpu": None}).json() == link


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "model"),
        ("model=nobody/nothing", "model"),
        ("model=8B&instance=zz9.xlarge", "instance"),
        ("model=8B&prompt=inf", "prompt"),
        ("model=8B&model=7B", "model"),
    ],
)
def test_what_cannot_be_answered_is_422_with_a_sentence_and_its_field(
    client: TestClient, query: str, field: str
) -> None:
    reply = client.get(f"/api/v1/estimate?{query}")
    assert reply.status_code == 422
    assert reply.json()["error"]
    assert reply.json()["field"] == field
    assert reply.headers["cache-control"] == "no-store"


def test_ignored_parameters_are_named(client: TestClient) -> None:
    reply = client.get("/api/v1/estimate?model=8B&utm=1&concurrency=2&rate=3&budget=nonsense")
    assert reply.status_code == 200
    assert len(reply.json()["problems"]) == 2


def test_a_thousand_parameters_are_refused(client: TestClient) -> None:
    query = "&".join(f"k{number}=1" for number in range(1000))
    assert client.get(f"/api/v1/estimate?{query}").status_code == 400


def test_a_recommendation_by_link_and_by_document_is_one(client: TestClient) -> None:
    link = client.get("/api/v1/recommend?model=8B&rate=5&ttft=1&precisions=bf16,fp8&plans=2")
    assert link.status_code == 200
    body = link.json()
    assert [plan["usd_per_month"] for plan in body["plans"]] == sorted(plan["usd_per_month"] for plan in body["plans"])
    assert len(body["plans"]) == len(body["limits"]) == 2
    asked = {"model": "8B", "rate": 5, "ttft": 1, "precisions": ["bf16", "fp8"], "plans": 2}
    assert client.post("/api/v1/recommend", json=asked).json() == body


def test_what_was_negotiated_counts_by_link_document_recommendation_and_table(client: TestClient) -> None:
    """$0.8048 less 20 % is $0.64384; agreed at $0.50 an L40S serves what takes two L4, and comes first."""
    link = client.get("/api/v1/estimate", params={"model": LLAMA, "instance": "g6.xlarge", "discount": "20"}).json()
    document = {"model": LLAMA, "instance": "g6.xlarge", "discount": 20}
    assert client.post("/api/v1/estimate", json=document).json() == link
    assert (link["usd_per_hour"], link["list_usd_per_hour"]) == (0.64384, 0.8048)
    agreed = {"model": LLAMA, "concurrency": 40, "discount": 20, "negotiated": "g6e.xlarge:0.5"}
    first = client.post("/api/v1/recommend", json={**agreed, "precisions": ["bf16"]}).json()["plans"][0]
    assert (first["instance"], first["usd_per_month"], first["price_source"]) == ("g6e.xlarge", 365.0, "entered")
    table = f'model,instance,discount,negotiated\n{LLAMA},g6.xlarge,20,\n{LLAMA},g6.xlarge,20,"g6.xlarge:0.5"\n'
    reply = client.post("/api/v1/batch", content=table, headers={"content-type": "text/csv"})
    assert [row["usd_per_month"] for row in csv.DictReader(io.StringIO(reply.text))] == ["470.00320", "365.0"]
    unknown = client.get("/api/v1/recommend?model=8B&negotiated=zz9.xlarge:1")
    assert (unknown.status_code, unknown.json()["field"]) == (422, "negotiated")


def test_a_mistyped_key_of_a_recommendation_is_refused(client: TestClient) -> None:
    for reply in (
        client.get("/api/v1/recommend?model=8B&concurency=4"),
        client.post("/api/v1/recommend", json={"model": "8B", "concurency": 4}),
    ):
        assert reply.status_code == 422
        assert reply.json()["field"] == "concurency"


def test_no_plan_within_the_limits_is_422_with_the_ways_out(client: TestClient) -> None:
    reply = client.get("/api/v1/recommend", params={"model": "meta-llama/Llama-3.3-70B-Instruct", "budget": "100"})
    assert reply.status_code == 422
    assert reply.json()["field"] == "budget"
    assert reply.json()["ways_out"]


def test_scenarios_and_links_side_by_side(client: TestClient) -> None:
    reply = client.get("/api/v1/compare", params={"link": ["model=8B&gpu=L4", "https://x.example/?model=8B&gpu=A10G"]})
    assert reply.status_code == 200
    assert reply.json()["verdict"].startswith("Number 1 is the cheapest: $588 a month")
    mixed = {"links": ["model=8B&gpu=L4"], "scenarios": [{"model": "8B", "gpu": "A10G"}]}
    assert client.post("/api/v1/compare", json=mixed).json() == reply.json()


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, "scenarios"),
        ([], "body"),
        ({"scenarios": {}}, "scenarios"),
        ({"scenarios": [1]}, "scenarios"),
        ({"scenarios": [{}]}, "model"),
        ({"scenarios": [{"model": "8B", "prompt": "1"}]}, "prompt"),
        ({"links": [7]}, "links"),
        ({"links": ["nothing"]}, "link"),
        ({"links": ["model=8B"] * 7}, "scenarios"),
        ({"scenario": []}, "body"),
    ],
)
def test_a_comparison_of_something_else_is_refused(client: TestClient, document: object, field: str) -> None:
    reply = client.post("/api/v1/compare", json=document)
    assert reply.status_code == 422
    assert reply.json()["field"] == field


def test_levers_of_a_plan(client: TestClient) -> None:
    body = client.get("/api/v1/levers", params={"model": LLAMA, "concurrency": 40, "apply": "int4,kv-fp8"}).json()
    assert body["together"]["usd_per_month"] == pytest.approx(587.5, abs=0.1)
    assert {"int8", "kv-fp8", "eagle", "prefix"} <= {lever["key"] for lever in body["levers"]}


def test_what_would_change_a_decision(client: TestClient) -> None:
    asked = {"model": "8B", "rate": 6, "ttft": 1, "precisions": ["bf16", "fp8"]}
    body = client.post("/api/v1/change", json=asked).json()
    assert {"price", "rate", "prompt", "output", "ttft"} <= {flip["key"] for flip in body["flips"]}
    price = next(flip["up"] for flip in body["flips"] if flip["key"] == "price")
    assert price["before"] < price["value"]
    assert price["to"]["machine"] != body["plan"]["machine"]
    assert 0 <= body["cheapest_in"]["apart"] <= 1
    doubtful = client.post("/api/v1/change", json={**asked, "change_traffic": 100}).json()
    assert doubtful["cheapest_in"] != body["cheapest_in"]
    assert client.get("/api/v1/change?model=8B&change_traffic=301").json()["field"] == "change_traffic"
    reply = client.post("/api/v1/change", json={**asked, "budget": 1})
    assert reply.status_code == 422
    assert "no decision to change" in reply.json()["error"]


def test_a_plan_as_a_file_that_starts_it(client: TestClient) -> None:
    body = client.get("/api/v1/deploy", params={"model": LLAMA, "to": "kubernetes"}).json()
    assert body["file"] == "kubernetes.yaml"
    assert "kind: Deployment" in body["text"]
    for query, field in (("model=8B", "model"), (f"model={LLAMA}&to=heroku", "to")):
        reply = client.get(f"/api/v1/deploy?{query}")
        assert (reply.status_code, reply.json()["field"]) == (422, field)


def test_a_batch_as_json_keeps_what_is_not_ours_and_spoils_no_other_row(client: TestClient) -> None:
    rows = [
        {"id": 1, "model": "8B", "gpu": "L4"},
        {"id": 2, "model": "8B", "prompt": "many"},
        {"id": 3, "model": "8B", "gpu": "A10G", "prompt": 2048},
    ]
    reply = client.post("/api/v1/batch", json={"rows": rows})
    assert reply.status_code == 200
    first, second, third = reply.json()["rows"]
    assert (first["id"], first["instance"], first["error"]) == (1, "g6.xlarge", None)
    assert (second["id"], second["usd_per_month"]) == (2, None)
    assert second["error"].startswith("prompt=many needs a whole number")
    assert second["resident_params"] == first["resident_params"]
    assert (third["instance"], third["fits"]) == ("g5.xlarge", True)


def test_a_batch_as_csv(client: TestClient) -> None:
    table = "id,model,gpu\n1,8B,L4\n2,8B,A10G\n"
    reply = client.post("/api/v1/batch", content=table, headers={"content-type": "text/csv; charset=utf-8"})
    assert reply.headers["content-type"].startswith("text/csv")
    assert [(row["id"], row["instance"]) for row in csv.DictReader(io.StringIO(reply.text))] == [
        ("1", "g6.xlarge"),
        ("2", "g5.xlarge"),
    ]


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, "body"),
        ({"rows": []}, "rows"),
        ({"rows": ["8B"]}, "rows"),
        ({"rows": [{"model": "8B"}] * (MOST_ROWS + 1)}, "rows"),
        ({"rows": [{"model": f"org/m{number}"} for number in range(MOST_UNLISTED_MODELS + 1)]}, "model"),
        ({"rows": [{"model": "8B", "gpu": {"a": {"b": {"c": [[1]]}}}}]}, "body"),
    ],
)
def test_a_batch_of_too_much_or_of_something_else_is_refused(client: TestClient, document: object, field: str) -> None:
    reply = client.post("/api/v1/batch", json=document)
    assert reply.status_code == 422
    assert reply.json()["field"] == field


def test_a_hundred_thousand_rows_are_refused_without_being_answered(client: TestClient) -> None:
    table = "model\n" + "8B\n" * 100_000
    reply = client.post("/api/v1/batch", content=table, headers={"content-type": "text/csv"})
    assert reply.status_code == 422
    assert reply.json()["field"] == "rows"


@pytest.mark.parametrize("table", ["", "model\n", "colour\nred\n", 'model\n"' + "x" * 140_000 + '"\n'])
def test_a_table_that_is_none_is_refused(client: TestClient, table: str) -> None:
    reply = client.post("/api/v1/batch", content=table, headers={"content-type": "text/csv"})
    assert reply.status_code == 422
    assert reply.json()["error"]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff",
        b'"8B"',
        b"[" * 50_000,
        b'{"model": NaN}',
        b'{"model": "8B", "model": "7B"}',
        b'{"model": "\\ud800"}',
    ],
)
def test_a_body_that_is_no_question_is_422(client: TestClient, body: bytes) -> None:
    reply = client.post("/api/v1/estimate", content=body, headers={"content-type": "application/json"})
    assert reply.status_code == 422
    assert reply.json()["field"]


def test_a_large_body_is_413_whether_or_not_its_length_is_stated(client: TestClient) -> None:
    large = b'"' + b"x" * MOST_JSON_BYTES + b'"'
    for content in (large, iter([large])):
        reply = client.post("/api/v1/estimate", content=content, headers={"content-type": "application/json"})
        assert reply.status_code == 413
        assert reply.json()["field"] == "body"


def test_another_type_of_body_is_415(client: TestClient) -> None:
    reply = client.post("/api/v1/estimate", content="model=8B", headers={"content-type": "text/plain"})
    assert reply.status_code == 415
    assert "application/json" in reply.json()["error"]


def test_another_path_is_404_and_another_method_405_in_json(client: TestClient) -> None:
    for path in ("/api", "/api/v1", "/api/v1/estimates", "/api/v2/estimate"):
        reply = client.get(path)
        assert reply.status_code == 404
        assert "/api/v1/estimate" in reply.json()["error"]
    reply = client.delete("/api/v1/estimate")
    assert reply.status_code == 405
    assert reply.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    assert reply.json()["error"]
    assert client.get("/api/v1/batch").status_code == 405


def test_an_answer_that_is_known_is_not_sent_again(client: TestClient) -> None:
    first = client.get("/api/v1/estimate?model=8B&gpu=L4")
    again = client.get("/api/v1/estimate?model=8B&gpu=L4", headers={"if-none-match": f'W/"x", {first.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    other = client.get("/api/v1/estimate?model=8B&gpu=A10G", headers={"if-none-match": first.headers["etag"]})
    assert other.status_code == 200


def test_too_many_calls_at_once_are_told_to_come_again(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = api.threading.BoundedSemaphore(1)
    taken.acquire()
    monkeypatch.setattr(api, "_inside", taken)
    reply = client.get("/api/v1/estimate?model=8B")
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")


def test_a_defect_of_ours_is_500_without_a_traceback(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(api.answers, "estimate", broken)
    reply = client.get("/api/v1/estimate?model=8B")
    assert reply.status_code == 500
    assert "secret" not in reply.text


def test_pages_of_named_origins_may_read_it(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"origin": "https://portal.example.com"}
    assert "access-control-allow-origin" not in client.get("/api/v1/estimate?model=8B", headers=asked).headers
    monkeypatch.setenv(api.CORS_ORIGINS, "https://portal.example.com https://other.example.com")
    assert client.get("/api/v1/estimate?model=8B", headers=asked).headers["access-control-allow-origin"] == (
        "https://portal.example.com"
    )
    assert client.options("/api/v1/recommend", headers=asked).headers["access-control-allow-methods"].startswith("GET")
    stranger = client.get("/api/v1/estimate?model=8B", headers={"origin": "https://evil.example.com"}).headers
    assert "access-control-allow-origin" not in stranger
    assert stranger["vary"] == "Origin"


def test_the_document_is_served(client: TestClient) -> None:
    reply = client.get("/openapi.json")
    assert reply.status_code == 200
    assert set(json.loads(reply.text)["paths"]) > {"/api/v1/estimate", "/api/v1/recommend", "/api/v1/batch"}
