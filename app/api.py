"""GET /api/v1/estimate: the parameters of a link, JSON out."""

from __future__ import annotations

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse

from app.columns import as_json
from app.planning.planner import plan
from app.scenario import KEYS, decode
from app.sources import dashboard_sources

MOST_PARAMETERS = 4 * len(KEYS)


async def estimate(request: Request) -> JSONResponse:
    """One plan. 200 with the columns, 422 when an `error` column says why something is missing, 400 for nonsense."""
    if len(request.query_params) > MOST_PARAMETERS:
        return JSONResponse({"error": "Too many parameters."}, status_code=400)
    decoded = decode(dict(request.query_params))
    result = await anyio.to_thread.run_sync(plan, decoded.scenario, dashboard_sources())
    body = as_json(result, decoded.problems)
    return JSONResponse(body, status_code=422 if body["error"] else 200, headers={"Cache-Control": "no-store"})
