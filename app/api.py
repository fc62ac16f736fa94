"""GET /api/v1/estimate: the parameters of a link, JSON out."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse

from app.columns import as_json
from app.planning.plan import Plan
from app.planning.remembered import remembered_plan
from app.scenario import KEYS, Problem, Scenario, decode
from app.sources import dashboard_sources

MOST_PARAMETERS = 4 * len(KEYS)


HUB_WAIT_S = 10.0
THREADS = anyio.CapacityLimiter(8)  # of this route's own: what it waits for takes none that serves pages


async def planned(scenario: Scenario) -> Plan:
    """The plan, in a thread of this route's own. A model that the Hub is still to be asked for is waited for without
    holding one."""
    sources = dashboard_sources()
    for model in (scenario.model, scenario.spec):
        if model is not None and "/" in model and (coming := sources.coming(model)) is not None:
            await asyncio.wait([asyncio.wrap_future(coming)], timeout=HUB_WAIT_S)
    work = partial(remembered_plan, scenario, sources, whole=True)
    return await anyio.to_thread.run_sync(work, limiter=THREADS)


async def estimate(request: Request) -> JSONResponse:
    """One plan. 200 with the columns, 422 when an `error` column says why something is missing, 400 for nonsense."""
    if len(request.query_params) > MOST_PARAMETERS:
        return JSONResponse({"error": "Too many parameters."}, status_code=400)
    decoded = decode(dict(request.query_params))
    result = await planned(decoded.scenario)
    given = Counter(key for key, _ in request.query_params.multi_items())
    twice = [Problem(key, key[:40], "was given more than once; the last was used.") for key in given if given[key] > 1]
    body = as_json(result, (*decoded.problems, *twice))
    return JSONResponse(body, status_code=422 if body["error"] else 200, headers={"Cache-Control": "no-store"})
