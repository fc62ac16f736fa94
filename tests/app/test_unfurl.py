"""What a pasted link says of itself: the question and the verdict, as text."""

from __future__ import annotations

import threading
from base64 import b64encode
from hashlib import sha256

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from app import unfurl
from app.headers import content_security_policy, inline_script_hashes, own_script
from app.pages import paths
from app.sources import shared_sources
from app.unfurl import NAME, NO_PAGE, SAID, Told, Unfurl, told

PAGE = "<!DOCTYPE html><html><head><title>Streamlit</title></head><body></body></html>"
OURS = own_script().decode()
LINK = "/?model=meta-llama/Llama-3.1-8B-Instruct&concurrency=40"


async def page(request: Request) -> Response:
    """As Streamlit serves it: with a tag, and packed for who takes that."""
    assert "accept-encoding" not in request.headers
    assert "if-none-match" not in request.headers
    return HTMLResponse(PAGE, headers={"etag": '"1"'})


async def blank(_request: Request) -> Response:
    return HTMLResponse(PAGE)


async def other(_request: Request) -> Response:
    return JSONResponse({"text": "<title>Streamlit</title>"})


@pytest.fixture(scope="module", autouse=True)
def _tables_are_read() -> None:
    """As at the start of the server: a title has 0.7 s."""
    told(LINK.partition("?")[2], shared_sources())


@pytest.fixture
def client() -> TestClient:
    routes = [Route("/", page), Route("/memory", page), Route("/api/v1/x", other), Route("/static/x.js", other)]
    routes += [Route("/static/{rest:path}", blank), Route("/x.txt", blank)]
    return TestClient(Unfurl(Starlette(routes=[*routes, Route("/{rest:path}", page)]), pages=paths()))


def test_a_link_is_titled_with_its_verdict(client: TestClient) -> None:
    reply = client.get(LINK, headers={"if-none-match": '"1"'})
    assert reply.status_code == 200
    assert "etag" not in reply.headers
    assert len(reply.content) == int(reply.headers["content-length"])
    said = "Llama 3.1 8B in BF16 fits one L4 in each of 2 replicas (2 x g6.xlarge): $1,175 a month"
    assert f"<title>{said} - Rightsize</title>" in reply.text
    assert f'<meta property="og:title" content="{said}." />' in reply.text
    assert "40 requests at a time, 1,024 tokens in and 128 out; us-east-1, on demand" in reply.text


@pytest.mark.parametrize("path", ["/", "/memory", "/?utm=1", "/?" + "x" * 9000, "/?" + "&a=1" * 300])
def test_a_page_without_a_question_is_named_after_the_project(client: TestClient, path: str) -> None:
    text = client.get(path).text
    assert f"<title>{NAME}</title>" in text
    assert "Streamlit" not in text


def test_a_question_that_leaves_something_open_is_titled_with_its_answer() -> None:
    title, said, answered = told("models=8B,14B&rate=5&ttft=1&precisions=bf16", shared_sources())
    assert answered
    assert title.startswith("A typical 8B model in BF16")
    assert title.endswith("a month.")
    assert said == "5 requests a second, 1,024 tokens in and 128 out."


def test_no_hub_is_asked_for_a_title() -> None:
    said = "new-model-7B: 1 request at a time, 1,024 tokens in and 128 out"
    assert told("model=some-one/new-model-7B", shared_sources()) == Told(said, SAID, answered=False)


@pytest.mark.parametrize(
    "query",
    ["model=%3Cscript%3Ealert(1)%3C/script%3E", "model=8B&gpu=%22%3E%3Cscript%3E", "models=%3Cb%3E&quality=99"],
)
def test_what_a_link_holds_stays_text(client: TestClient, query: str) -> None:
    text = client.get(f"/?{query}").text
    assert text.replace(OURS, "").count("<script") == 1
    assert text.count("<title>") == 1
    hostile = Told('"><script>', "<b>", answered=True)
    assert unfurl.tags(*hostile[:2]).count(b"<script") == 0
    assert unfurl.first_answer(hostile).count(b"<script") == 0
    assert b"<h1>&quot;&gt;&lt;script&gt;</h1><p>&lt;b&gt;</p>" in unfurl.first_answer(hostile)


def test_the_first_screen_comes_with_its_verdict_and_other_pages_with_none(client: TestClient) -> None:
    said = "fits one L4 in each of 2 replicas (2 x g6.xlarge): $1,175 a month.</h1>"
    assert said in client.get(LINK).text
    assert said not in client.get(f"/memory{LINK[1:]}").text
    assert "<h1>Llama 3.1 8B in BF16 fits one L4 (g6.xlarge)" in client.get("/").text  # a page of its own question
    for path in ("/?model=some-one/new-model-7B", "/?models=%3Cb%3E", "/?" + "x" * 9000):
        assert 'id="first-answer"' not in client.get(path).text


def test_every_page_has_our_script_and_it_may_run(client: TestClient) -> None:
    assert f"<script>{OURS}</script>" in client.get("/memory").text
    digest = b64encode(sha256(OURS.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in inline_script_hashes()
    assert f"'sha256-{digest}'" in content_security_policy("'self'")


def test_what_is_no_page_is_left_as_it_is(client: TestClient) -> None:
    for path in ("/api/v1/x", "/static/x.js"):
        assert client.get(path).json() == {"text": "<title>Streamlit</title>"}


def test_when_many_links_are_opened_at_once_a_page_is_served_all_the_same(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = threading.BoundedSemaphore(1)
    taken.acquire()
    monkeypatch.setattr(unfurl, "_busy", taken)
    text = client.get(LINK).text
    assert f"<title>{NAME}</title>" in text
    assert 'id="first-answer"' not in text


def test_a_path_that_is_no_page_is_404_and_every_page_is_none(client: TestClient) -> None:
    assert {"/", "/memory", "/speed", "/cost", "/levers", "/compare", "/prices", "/recommend"} <= paths()
    assert {client.get(path).status_code for path in paths()} == {200}
    for path in (
        "/nothing",
        "/metric",
        "/memory/deep",
        "/nothing?model=8B",
        "/etc",
        "/a/b/c/d",
        "/static/x.css",
        "/static//etc",
        "/x.txt",
    ):
        reply = client.get(path)
        assert reply.status_code == 404
        assert f"<title>{NAME}</title>" in reply.text
        assert NO_PAGE in reply.text
        assert "<script" not in reply.text
        assert '<a href="/">' in reply.text


def test_a_wrong_path_leads_to_where_the_pages_lie() -> None:
    found = TestClient(Unfurl(Starlette(routes=[Route("/{rest:path}", page)]), pages=paths("tools/sizes")))
    reply = found.get("/tools/sizes/memroy")
    assert reply.status_code == 404
    assert '<a href="/tools/sizes">' in reply.text


def test_pages_lie_under_the_path_the_server_is_told() -> None:
    found = paths("tools/rightsize/")
    assert {"/tools/rightsize", "/tools/rightsize/", "/tools/rightsize/memory"} <= found
    assert all(path.startswith("/tools/rightsize") for path in found)
