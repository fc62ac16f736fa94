"""What a link says of itself before the dashboard runs: `<title>` and `og:` tags with the question and its verdict,
for where it is pasted, and the verdict in the page, for who opens it: a browser takes a second until it draws its own.

Streamlit serves one page for every link, titled after itself. Text only and escaped; no more is worked out for it than
the page will ask for a moment later, and remembered for it.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl

import anyio
from anyio import to_thread
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.exploring.asking import read_question
from app.exploring.opened import open_link, refused, shown, unknown_model
from app.headers import own_script
from app.pages import FIRST
from app.planning.budget import leave, watch
from app.planning.planner import CHEAPEST, NEAR
from app.planning.sentences import conditions, load_phrase, model_name, verdict
from app.scenario import KEYS, QUESTION_KEYS, with_page_defaults
from app.sources import LocalSources, dashboard_sources
from app.text import in_html
from estimators.architecture import catalogue
from estimators.provenance import Refusal

log = logging.getLogger("rightsize")

MARK = b"<title>Streamlit</title>"
BODY = re.compile(rb"<body[^>]*>")
NAME = "Rightsize"
SAID = "Which language model, at which precision, on which machines, meets your bar, and what it costs a month."
NO_PAGE = "There is no such page here."
LONGEST_QUERY = 8_000
MOST_PARAMETERS = 200
MOST_SECONDS = 0.7
MOST_AT_ONCE = 2
_UNCONDITIONAL = (b"if-none-match", b"if-modified-since", b"range", b"accept-encoding")
LOADING = "The dashboard is loading, with how this was worked out."
UNREACHED = "If it never comes, reload; a proxy between may not let its connection (a WebSocket) through."
_busy = threading.BoundedSemaphore(MOST_AT_ONCE)
_threads = anyio.CapacityLimiter(MOST_AT_ONCE)  # of their own: one that had to wait might never give its place back


class Told(NamedTuple):
    """`verdict` is the heading of the first screen of this link; blank where that has to be looked up first."""

    title: str = NAME
    description: str = SAID
    verdict: str = ""


def told(query: str, sources: LocalSources, *, first: bool = True) -> Told:
    """What is said of a link's question, to the first screen or another page; the project's own where it cannot be
    read."""
    try:
        return _told(_values(query), sources, first=first)
    except (ValueError, Refusal):
        return Told()


def is_question(query: str) -> bool:
    """Whether a link asks something, or opens a page as it is."""
    try:
        return not {*KEYS, *QUESTION_KEYS}.isdisjoint(_values(query))
    except ValueError:
        return False


def _values(query: str) -> dict[str, list[str]]:
    """As Streamlit reads them. Raises ValueError where there are too many."""
    if len(query) > LONGEST_QUERY:
        raise ValueError
    values: dict[str, list[str]] = {}
    for key, text in parse_qsl(query, keep_blank_values=True, max_num_fields=MOST_PARAMETERS):
        values.setdefault(key, []).append(text)
    return values


def _told(values: Mapping[str, Sequence[str]], sources: LocalSources, *, first: bool) -> Told:
    """By the way of the page itself: the same readers, the same choice among plans, the same memory."""
    link = open_link({key: texts[-1] for key, texts in values.items()})
    scenario = with_page_defaults(link.decoded.scenario)
    if (unknown := unknown_model(link.raw.get("model", ""))) is not None:
        said = verdict(refused(scenario, unknown).plan)
        return Told(said, SAID, said)
    asked = read_question({key: ",".join(values[key]) for key in QUESTION_KEYS if key in values}, sources)[0]
    if any(name and "/" in name and catalogue.find(name) is None for name in (scenario.model, *asked.models)):
        return Told(f"{model_name(scenario)}: {load_phrase(scenario)}")  # the page asks the Hub, a title does not
    within = NEAR if first and values.get("embed", [""])[-1].lower() != "true" else CHEAPEST
    plan = shown(scenario, asked, link.raw.get("choice"), sources, within=within).plan
    said = verdict(plan)
    return Told(said, f"{load_phrase(plan.asked)}; {conditions(plan)}." if plan.spec is not None else SAID, said)


def tags(title: str = NAME, description: str = SAID) -> bytes:
    """The head's elements in place of Streamlit's title."""
    named = title if title == NAME else f"{title.rstrip('.')} - {NAME}"
    said = {"og:type": "website", "og:site_name": NAME, "og:title": title, "og:description": description}
    lines = [
        f"<title>{in_html(named)}</title>",
        f'<meta name="description" content="{in_html(description)}" />',
        *(f'<meta property="{name}" content="{in_html(text)}" />' for name, text in said.items()),
    ]
    return "\n    ".join(lines).encode()


def first_answer(found: Told, colours: str) -> bytes:
    """The verdict for as long as the dashboard has not drawn its own; app/static/page.js takes it away then."""
    if not found.verdict:
        return b""
    style = f"<style>{colours}{_sheet()}</style>"
    said = f"<b>{NAME}</b><h1>{in_html(found.verdict)}</h1><p>{in_html(found.description)}</p>"
    said += f"<p><small>{LOADING}</small> <small>{UNREACHED}</small></p>"
    return f'<div id="first-answer">{style}{said}</div>'.encode()


@lru_cache(maxsize=1)
def _sheet() -> str:
    return (Path(__file__).parent / "static" / "first-answer.css").read_text(encoding="utf-8")


def no_page(home: str) -> bytes:
    """What a wrong path shows. Streamlit's own page would look for its server under that path, and stay blank."""
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8" />\n    {tags(NAME, SAID).decode()}\n'
        '<meta name="viewport" content="width=device-width" /><meta name="color-scheme" content="light dark" />'
        f'</head><body style="font-family: sans-serif; margin: 15vh 10vw"><h1>{NAME}</h1><p>{NO_PAGE}</p>'
        f'<p><a href="{in_html(home)}">{SAID}</a></p></body></html>\n'
    ).encode()


_OTHERS = frozenset({"api", "_stcore", "media", "component"})  # folders whose answers are never the page


class Unfurl:
    """Puts the tags and our own script into every page of the dashboard, says 404 of a path that is none, and leaves
    the rest as it is.

    Streamlit answers every path with its page and 200; a program could not tell a wrong path from a right one.
    """

    def __init__(self, app: ASGIApp, pages: frozenset[str], colours: Callable[[str], str]) -> None:
        """`colours` gives what a selector selects the theme's, as rules of a sheet of styles."""
        self.app, self.pages, self._home, self._colours = app, pages, min(pages, key=len), colours

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or (folder := self._folder(scope)) in _OTHERS:
            await self.app(scope, receive, send)
            return
        if folder == "static" or "." in scope["path"].rpartition("/")[2]:  # pages have no ending
            await self._file(scope, receive, send)
            return
        asked = {**scope, "headers": [pair for pair in scope["headers"] if pair[0].lower() not in _UNCONDITIONAL]}
        start: Message | None = None
        parts: list[bytes] = []

        async def hold(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            parts.append(message.get("body", b""))
            if message.get("more_body", False) or start is None:
                return
            body = b"".join(parts)
            if MARK in body:
                if scope["path"] in self.pages:
                    said, answer = await self._said(scope)
                    body = body.replace(MARK, said + b"\n    <script>" + own_script() + b"</script>", 1)
                    body = BODY.sub(lambda tag: tag[0] + answer, body, count=1)
                else:
                    start["status"], body = 404, no_page(self._home)
                headers = MutableHeaders(raw=start["headers"])
                headers["content-length"] = str(len(body))
                for name in ("etag", "last-modified", "accept-ranges"):
                    if name in headers:
                        del headers[name]
            await send(start)
            await send({"type": "http.response.body", "body": body})

        await self.app(asked, receive, hold)

    async def _said(self, scope: Scope) -> tuple[bytes, bytes]:
        """For the head, and for the body of the first screen."""
        query = scope["query_string"].decode("latin-1")
        first, asks = self._folder(scope) in FIRST, is_question(query)
        found = await _in_time(query, first=first) if first or asks else Told()
        head = tags(found.title, found.description) if asks else tags()
        return head, first_answer(found, self._colours("#first-answer")) if first else b""

    def _folder(self, scope: Scope) -> str:
        """The first below the path we are served under."""
        return str(scope["path"]).removeprefix(self._home.rstrip("/")).lstrip("/").partition("/")[0]

    async def _file(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A file; where there is none, Streamlit answers with its page, which under that path would stay blank."""
        is_page = False

        async def look(message: Message) -> None:
            nonlocal is_page
            if message["type"] == "http.response.start":
                kind = MutableHeaders(raw=message["headers"]).get("content-type", "")
                is_page = message["status"] in (200, 206) and kind.startswith("text/html")
                if is_page:
                    body = no_page(self._home)
                    await send({"type": "http.response.start", "status": 404, "headers": _html(len(body))})
                    await send({"type": "http.response.body", "body": body})
            if not is_page:
                await send(message)

        await self.app(scope, receive, look)


def _html(length: int) -> list[tuple[bytes, bytes]]:
    return [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", str(length).encode())]


class TooLate(BaseException):
    """Nobody waits for what is said any more."""


async def _in_time(query: str, *, first: bool) -> Told:
    """What is said; the project's own when it takes too long, or many are asked for at once."""
    found = Told()
    if not _busy.acquire(blocking=False):
        return found
    with anyio.move_on_after(MOST_SECONDS):
        try:
            found = await to_thread.run_sync(
                partial(_released, query, first=first), abandon_on_cancel=True, limiter=_threads
            )
        except Exception as defect:
            log.exception("a link's title failed: %s", type(defect).__name__)
    return found


def _released(query: str, *, first: bool) -> Told:
    until = time.monotonic() + MOST_SECONDS

    def look() -> None:
        if time.monotonic() > until:
            raise TooLate

    watch(look)
    try:
        return told(query, dashboard_sources(), first=first)
    except TooLate:  # the page, which may be waiting for it, works it out itself
        return Told()
    finally:
        leave()
        _busy.release()
