"""What a pasted link says of itself: the question and the verdict, as text."""

from __future__ import annotations

import re
import threading
from base64 import b64encode
from contextvars import copy_context
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient
from streamlit import file_util

from app import unfurl
from app.headers import content_security_policy, inline_script_hashes, own_script
from app.pages import paths
from app.planning import budget
from app.planning.remembered import forget, remembered_plan
from app.scenario import decode, with_page_defaults
from app.sources import shared_sources
from app.text import in_markdown
from app.unfurl import NAME, NO_PAGE, SAID, Told, Unfurl, told
from app.views.decision import query_of
from app.views.theme import colours
from tests.app.views.pages import opened

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
    return TestClient(Unfurl(Starlette(routes=[*routes, Route("/{rest:path}", page)]), pages=paths(), colours=colours))


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
    title, said, _ = told("models=8B,14B&rate=5&ttft=1&precisions=bf16", shared_sources())
    assert title.startswith("A typical 8B model in BF16")
    assert title.endswith("a month.")
    assert said.startswith("5 requests a second, 1,024 tokens in and 128 out; us-east-1, on demand")


def test_no_hub_is_asked_for_a_title() -> None:
    said = "new-model-7B: 1 request at a time, 1,024 tokens in and 128 out"
    assert told("model=some-one/new-model-7B", shared_sources()) == Told(said, SAID, "")


@pytest.mark.parametrize(
    "query",
    ["model=%3Cscript%3Ealert(1)%3C/script%3E", "model=8B&gpu=%22%3E%3Cscript%3E", "models=%3Cb%3E&quality=99"],
)
def test_what_a_link_holds_stays_text(client: TestClient, query: str) -> None:
    text = client.get(f"/?{query}").text
    assert text.replace(OURS, "").count("<script") == 1
    assert text.count("<title>") == 1
    hostile = Told("title", "<b>", '"><script>')
    assert unfurl.tags('"><script>', "<b>").count(b"<script") == 0
    assert unfurl.first_answer(hostile, "").count(b"<script") == 0
    assert b"<h1>&quot;&gt;&lt;script&gt;</h1><p>&lt;b&gt;</p>" in unfurl.first_answer(hostile, "")


def test_the_first_screen_comes_with_its_verdict_and_other_pages_with_none(client: TestClient) -> None:
    said = "fits one L4 in each of 2 replicas (2 x g6.xlarge): $1,175 a month.</h1>"
    assert said in client.get(LINK).text
    assert said not in client.get(f"/memory{LINK[1:]}").text
    assert "<h1>Llama 3.1 8B in BF16 fits one L4 (g6.xlarge)" in client.get("/").text  # a page of its own question
    for path in ("/?model=some-one/new-model-7B", "/?" + "x" * 9000, "/?" + "&a=1" * 300):
        assert 'id="first-answer"' not in client.get(path).text


def test_streamlits_page_has_the_places_where_it_goes() -> None:
    index = (Path(file_util.get_static_dir()) / "index.html").read_bytes()
    assert index.count(unfurl.MARK) == 1
    assert len(unfurl.BODY.findall(index)) == 1


LLAMA = "model=meta-llama/Llama-3.1-8B-Instruct"
LINKS = (
    "",
    f"{LLAMA}&concurrency=40",
    f"{LLAMA}&concurrency=40&choice=cheapest",
    f"{LLAMA}&concurrency=40&choice=safe&ttft=1",
    f"{LLAMA}&rate=3&budget=2000",
    f"{LLAMA}&concurrency=8&owned=4+x+H100",
    f"{LLAMA}&regions=us-east-1,eu-west-1",
    f"{LLAMA}&instance=g5.xlarge&price=9.99&price_as_of=2026-07-01",
    f"{LLAMA}&load=max",
    f"{LLAMA}&buy=spot&region=eu-west-1",
    f"{LLAMA}&use=RAG",
    f"{LLAMA}&model=8B",
    f"{LLAMA}&ttft=0.0001",
    "model=Llama-3.1-8B-Instruct",
    "model=llama+3.3+70b&concurrency=4",
    "model=zzz",
    "model=405B&instance=g6.xlarge",
    "model=&concurrency=3",
    "params=8e9",
    "models=8B,14B&rate=5&ttft=1&choice=nonsense",
    "quality=95&reference=meta-llama/Llama-3.3-70B-Instruct&choice=as+asked",
    "prompt=9999999999&gpu=%3Cb%3E&weird=x",
    f"{LLAMA}&buy=owned&price=2&gpu=A100-80GB&concurrency=8",
)


@pytest.mark.parametrize("link", LINKS)
def test_what_stands_in_the_page_first_is_what_the_dashboard_says_then(link: str) -> None:
    page = opened(**dict(parse_qsl(link, keep_blank_values=True)))
    (heading,) = [mark.value.partition("\n")[0] for mark in page.markdown if mark.value.startswith("## ")]
    forget()
    assert in_markdown(told(link, shared_sources()).verdict) == heading.removeprefix("## ")


def test_a_decision_is_said_at_its_price_and_not_at_one_that_was_written_into_it() -> None:
    plan = remembered_plan(with_page_defaults(decode({"model": "8B", "concurrency": "40"}).scenario), shared_sources())
    link = query_of(plan, {})
    price = re.search(r"price=([\d.]+)", link)
    assert price is not None
    frozen, forged = told(link, shared_sources()), told(link.replace(price[0], "price=90.81"), shared_sources())
    for said, query in ((frozen, link), (forged, link.replace(price[0], "price=90.81"))):
        page = opened(**dict(parse_qsl(query)))
        (heading,) = [mark.value.partition("\n")[0] for mark in page.markdown if mark.value.startswith("## ")]
        assert in_markdown(said.verdict) == heading.removeprefix("## ")
    assert frozen.verdict == forged.verdict


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


def test_a_title_that_nobody_waits_for_any_more_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfurl, "MOST_SECONDS", 0.0)
    monkeypatch.setattr(budget, "LOOK_S", 0.0)
    assert unfurl._busy.acquire(blocking=False)
    query = "quality=61&rate=1.37"
    assert copy_context().run(unfurl._released, query, first=True) == Told()
    assert told(query, shared_sources()).verdict  # nothing half done is kept


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
    found = TestClient(
        Unfurl(Starlette(routes=[Route("/{rest:path}", page)]), pages=paths("tools/sizes"), colours=colours)
    )
    reply = found.get("/tools/sizes/memroy")
    assert reply.status_code == 404
    assert '<a href="/tools/sizes">' in reply.text


def test_pages_lie_under_the_path_the_server_is_told() -> None:
    found = paths("tools/rightsize/")
    assert {"/tools/rightsize", "/tools/rightsize/", "/tools/rightsize/memory"} <= found
    assert all(path.startswith("/tools/rightsize") for path in found)
