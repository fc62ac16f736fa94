"""/api/v1: what the command line answers, over HTTP. The parameters of a link, or a JSON document, in; JSON out.

GET for what fits a link, POST for documents and for batches. 404, 405, 413, 415, 422 and 503 are JSON with a sentence,
and with the field at fault where one is. A call costs what one link may cost: one scenario, one question, six scenarios
side by side, or a bounded batch; and few run at once.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import anyio
from anyio import to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from app import answers, batch
from app.answers import BadInput
from app.documents import MOST_JSON_BYTES, Parsed, flat_of, read_json, shown
from app.exploring.asking import NO_MODEL, read_asking
from app.exploring.compare import MOST_SCENARIOS, Compared, compared_of, opened
from app.metrics import TALLY
from app.openapi import JSON_TYPE, OPERATIONS, Operation, as_document
from app.scenario import KEYS, Problem
from app.sources import WHILE_WAITING, LocalSources, dashboard_sources
from app.vocabulary import VOCABULARY
from estimators.provenance import Refusal

log = logging.getLogger("rightsize")

CORS_ORIGINS = "RIGHTSIZE_CORS_ORIGINS"  # space-separated origins whose pages may read the interface, default none
MOST_PARAMETERS = 4 * len(KEYS)
MOST_WAITING = 32  # calls that run or wait; the next is told to come again
BODY_SECONDS = 20.0  # for a body to arrive
_running = threading.Semaphore(max(2, os.cpu_count() or 2))
_inside = threading.BoundedSemaphore(MOST_WAITING)
_threads = anyio.CapacityLimiter(MOST_WAITING)  # of its own: what waits here takes none that serves the page's files


class Fault(Exception):
    """A call that HTTP itself refuses."""

    def __init__(self, status: int, error: str, *, headers: Mapping[str, str] | None = None, field: str = "") -> None:
        super().__init__(error)
        self.status, self.error, self.field, self.headers = status, error, field, dict(headers or {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """What came in: parameters in their order, or a document, or a CSV."""

    pairs: Sequence[tuple[str, str]] = ()
    document: Parsed = None
    table: str | None = None


Answering = Callable[[Incoming, LocalSources], Response]


class ApiPath:
    """One path: reads what is asked, answers it in a thread, and turns every fault into JSON."""

    def __init__(self, operation: Operation, answering: Answering) -> None:
        self.operation, self._answering = operation, answering

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request, began = Request(scope, receive), time.perf_counter()
        response = await self._respond(request)
        TALLY.add(self.operation.path, response.status_code, time.perf_counter() - began)
        response.headers.update(cors_headers(request.headers.get("origin")))
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        try:
            allowed = {*self.operation.methods, *(("HEAD",) if "GET" in self.operation.methods else ()), "OPTIONS"}
            if request.method == "OPTIONS":
                return Response(status_code=204, headers={"Allow": ", ".join(sorted(allowed))})
            if request.method not in allowed:
                said = f"{self.operation.path} answers {' and '.join(self.operation.methods)}."
                raise Fault(405, said, headers={"Allow": ", ".join(sorted(allowed))})
            asked = await _read(request, self.operation)
            return _tagged(request, await _bounded(self._answering, asked))
        except Fault as fault:
            body: dict[str, object] = {"error": fault.error}
            if fault.field:
                body["field"] = fault.field
            return as_response(body, fault.status, fault.headers)
        except Refusal as refusal:
            TALLY.refuse(refusal.field)
            return as_response(answers.refused(refusal), 422)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as defect:
            log.exception("%s failed: %s", self.operation.path, type(defect).__name__)
            return as_response({"error": "Something went wrong on our side."}, 500)


async def _bounded(answering: Answering, asked: Incoming) -> Response:
    """Runs in a thread, as many at once as there are cores; a call that finds too many before it is sent away."""
    if not _inside.acquire(blocking=False):
        raise Fault(503, "Too many questions at once; ask again in a second.", headers={"Retry-After": "1"})
    try:
        return await to_thread.run_sync(_in_turn, answering, asked, limiter=_threads)
    finally:
        _inside.release()


def _in_turn(answering: Answering, asked: Incoming) -> Response:
    with _running:
        token = WHILE_WAITING.set(_turn_given_back)
        try:
            return answering(asked, dashboard_sources())
        finally:
            WHILE_WAITING.reset(token)


@contextmanager
def _turn_given_back() -> Iterator[None]:
    """A slow Hub takes no core from those who do not wait for it."""
    _running.release()
    try:
        yield
    finally:
        _running.acquire()


async def _read(request: Request, operation: Operation) -> Incoming:
    if request.method in ("GET", "HEAD"):
        pairs = request.query_params.multi_items()
        if len(pairs) > MOST_PARAMETERS:
            raise Fault(400, "Too many parameters.")
        return Incoming(pairs=pairs)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in operation.takes:
        raise Fault(415, f"{operation.path} takes {' or '.join(operation.takes)}.", field="content-type")
    body = await _body(request)
    if kind != JSON_TYPE:
        try:
            return Incoming(table=body.decode("utf-8-sig"))
        except UnicodeDecodeError:
            raise Refusal("The table is not UTF-8.", field="body") from None
    return Incoming(document=read_json(body))


async def _body(request: Request) -> bytes:
    """The body, read no further than its limit."""
    too_large = Fault(413, f"A body has at most {MOST_JSON_BYTES >> 20} MiB.", field="body")
    stated = request.headers.get("content-length", "0")
    if stated.isdecimal() and int(stated[:12]) > MOST_JSON_BYTES:
        raise too_large
    parts: list[bytes] = []
    size = 0
    try:
        with anyio.fail_after(BODY_SECONDS):
            async for part in request.stream():
                size += len(part)
                if size > MOST_JSON_BYTES:
                    raise too_large
                parts.append(part)
    except TimeoutError:
        raise Fault(408, "The body did not arrive in time.", field="body") from None
    return b"".join(parts)


def as_response(body: Mapping[str, object], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    text = json.dumps(body, allow_nan=False, separators=(",", ":"))
    kept = {"Cache-Control": "no-store"} if status != 200 else {"Cache-Control": "no-cache"}
    return Response(text, status_code=status, media_type=JSON_TYPE, headers={**kept, **(headers or {})})


def _tagged(request: Request, response: Response) -> Response:
    """The answer with its tag, or 304 where the asker has it. It is the body's own: prices and models move it."""
    if request.method not in ("GET", "HEAD") or response.status_code != 200:
        return response
    tag = f'"{hashlib.sha256(response.body).hexdigest()[:32]}"'
    known = [text.strip().removeprefix("W/") for text in request.headers.get("if-none-match", "").split(",")]
    if tag in known or "*" in known:
        return Response(status_code=304, headers={"ETag": tag, "Cache-Control": "no-cache"})
    response.headers["ETag"] = tag
    return response


def cors_headers(origin: str | None) -> dict[str, str]:
    """For a page of an origin that the operator named; nothing for any other."""
    named = os.environ.get(CORS_ORIGINS, "").split()
    if not named:
        return {}
    if origin is None or (origin not in named and "*" not in named):
        return {"Vary": "Origin"}
    return {
        "Vary": "Origin",
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
        "Access-Control-Allow-Headers": "Content-Type, If-None-Match",
        "Access-Control-Expose-Headers": "ETag, Retry-After",
    }


def _flat(asked: Incoming, operation: Operation) -> dict[str, str]:
    """The keys of the call as text. Raises `Refusal` for what is not a key, is stated twice, or is of another type."""
    if asked.document is None:
        return _from_pairs(asked.pairs)
    if not isinstance(asked.document, dict):
        raise Refusal("The body is no JSON object.", field="body", remedy='Send keys, such as {"model": "8B"}.')
    flat, problems = flat_of(asked.document, operation.keys, texts=False)
    if problems:
        raise BadInput(problems)
    return flat


def _from_pairs(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, text in pairs:
        if name in flat:
            raise BadInput([Problem(shown(name), shown(name), "is given more than once")])
        flat[name] = text
    return flat


def _answered(found: answers.Answered, body: Mapping[str, object] | None = None) -> Response:
    if found.refusal is not None:
        TALLY.refuse(found.refusal.field)
    return as_response(body or found.body, 200 if found.refusal is None else 422)


def _estimate(asked: Incoming, sources: LocalSources) -> Response:
    """A link may carry what others put into it: that is ignored and named, where a document is refused."""
    flat = _flat(asked, OPERATIONS["estimate"])
    foreign = [key for key in flat if key not in VOCABULARY and key not in ("v", "choice")]
    asking = read_asking({key: text for key, text in flat.items() if key not in foreign}, sources, KEYS)
    found = answers.estimate(asking, sources)
    ignored = [f"{shown(key)} is not a key here and was ignored." for key in foreign]
    listed = found.body["problems"]
    body = {**found.body, "problems": [*listed, *ignored] if isinstance(listed, list) else ignored}
    return _answered(found, body)


def _recommend(asked: Incoming, sources: LocalSources) -> Response:
    flat = _flat(asked, OPERATIONS["recommend"])
    asking = read_asking(flat, sources, OPERATIONS["recommend"].keys)
    return _answered(answers.recommend(asking, sources, most=answers.most_plans(flat)))


def _levers(asked: Incoming, sources: LocalSources) -> Response:
    flat = _flat(asked, OPERATIONS["levers"])
    asking = read_asking(flat, sources, OPERATIONS["levers"].keys)
    return _answered(answers.levers(asking, sources, apply=answers.levers_to_apply(flat)))


def _deploy(asked: Incoming, sources: LocalSources) -> Response:
    flat = _flat(asked, OPERATIONS["deploy"])
    asking = read_asking(flat, sources, OPERATIONS["deploy"].keys)
    return _answered(answers.deploy(asking, sources, to=answers.deploy_to(flat)))


def _change(asked: Incoming, sources: LocalSources) -> Response:
    flat = _flat(asked, OPERATIONS["change"])
    return as_response(answers.change(read_asking(flat, sources, OPERATIONS["change"].keys), flat, sources))


def _compare(asked: Incoming, sources: LocalSources) -> Response:
    links = [text for name, text in asked.pairs if name == "link"]
    if others := [name for name, _ in asked.pairs if name != "link"]:
        raise BadInput([Problem(shown(others[0]), shown(others[0]), "is not a key here; give link, up to six times")])
    scenarios: list[Parsed] = []
    if asked.document is not None:
        if not isinstance(asked.document, dict) or set(asked.document) - {"links", "scenarios"}:
            raise Refusal("The body is an object of links, scenarios, or both.", field="body")
        links = [_link(text) for text in _listed(asked.document, "links")]
        scenarios = _listed(asked.document, "scenarios")
    if not 1 <= len(links) + len(scenarios) <= MOST_SCENARIOS:
        field = "scenarios" if asked.document is not None else "link"
        raise Refusal(f"Compare takes one to {MOST_SCENARIOS} scenarios.", field=field)
    found = [opened(link, sources) for link in links]
    found += [_compared(scenario, number, sources) for number, scenario in enumerate(scenarios)]
    return _answered(answers.compare(found))


def _listed(document: Mapping[str, Parsed], name: str) -> list[Parsed]:
    found = document.get(name)
    if found is None:
        return []
    if not isinstance(found, list):
        raise Refusal(f"{name} is no list.", field=name)
    return found


def _link(text: Parsed) -> str:
    if not isinstance(text, str):
        raise Refusal("A link is no text.", field="links")
    return text


def _compared(scenario: Parsed, number: int, sources: LocalSources) -> Compared:
    if not isinstance(scenario, dict):
        raise Refusal(f"Scenario {number + 1} is no object of keys.", field="scenarios")
    flat, problems = flat_of(scenario, KEYS, texts=False)
    asking = read_asking(flat, sources, KEYS)
    if faults := (*problems, *asking.faults):
        raise BadInput(faults)
    if asking.scenario.model is None and asking.scenario.params is None:
        raise NO_MODEL
    return compared_of(flat, sources)


def _batch(asked: Incoming, sources: LocalSources) -> Response:
    if asked.table is not None:
        return Response(batch.table_answers(asked.table, sources), media_type="text/csv")
    if not isinstance(asked.document, dict) or set(asked.document) != {"rows"}:
        raise Refusal("The body is an object of rows.", field="body", remedy='Send {"rows": [{"model": "8B"}]}.')
    rows = _listed(asked.document, "rows")
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise Refusal("rows is a list of objects, one scenario each.", field="rows")
    made = batch.document_answers([row for row in rows if isinstance(row, dict)], sources)
    return as_response({"rows": made})


estimate = ApiPath(OPERATIONS["estimate"], _estimate)
_ENDPOINTS = (
    estimate,
    ApiPath(OPERATIONS["recommend"], _recommend),
    ApiPath(OPERATIONS["compare"], _compare),
    ApiPath(OPERATIONS["levers"], _levers),
    ApiPath(OPERATIONS["deploy"], _deploy),
    ApiPath(OPERATIONS["change"], _change),
    ApiPath(OPERATIONS["batch"], _batch),
    ApiPath(OPERATIONS["openapi"], lambda _asked, _sources: as_response(as_document())),
)


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    paths = ", ".join(endpoint.operation.path for endpoint in _ENDPOINTS)
    await as_response({"error": f"There is nothing here. There are {paths}."}, 404)(scope, receive, send)


class Nothing:
    """What every other path under /api is: not a page of the dashboard."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _nothing(scope, receive, send)


def routes() -> list[BaseRoute]:
    """Every path of the interface, and 404 for the others under /api."""
    found: list[BaseRoute] = [Route(endpoint.operation.path, endpoint) for endpoint in _ENDPOINTS]
    return [*found, Route("/api", Nothing()), Route("/api/{rest:path}", Nothing())]
