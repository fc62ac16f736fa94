"""For whoever runs it: `/livez`, `/readyz` and `/metrics`.

Alive is a process that answers at all; ready is one that has warmed up and has prices, until it is told to stop. Live
prices, the Hub and the database are not needed to answer, so their absence is no reason to send nobody here.
"""

from __future__ import annotations

import logging
from collections import Counter
from datetime import UTC, date, datetime

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from app import metrics
from app.sources import LocalSources, dashboard_sources
from pricing.offers import PriceSource

log = logging.getLogger("rightsize")
UNCACHED = {"Cache-Control": "no-store"}


class Readiness:
    """Whether requests should be sent here. Set by the application's start and stop."""

    def __init__(self) -> None:
        self.serving = False

    def reasons(self, sources: LocalSources) -> list[str]:
        """Why not; empty when ready."""
        reasons = [] if self.serving else ["starting or stopping"]
        if len(sources.book) == 0:
            reasons.append("no prices are loaded")
        return reasons


READINESS = Readiness()


async def livez(_request: Request) -> Response:
    return PlainTextResponse("ok", headers=UNCACHED)


async def readyz(_request: Request) -> Response:
    """200 with where prices come from, or 503 with the reasons."""
    sources = dashboard_sources()
    if reasons := READINESS.reasons(sources):
        return JSONResponse({"ready": False, "reasons": reasons}, status_code=503, headers=UNCACHED)
    live = sum(status == PriceSource.LIVE.value for _, status, _ in _prices(sources))
    return JSONResponse({"ready": True, "offers": len(sources.book), "regions_live": live}, headers=UNCACHED)


async def scrape(_request: Request) -> Response:
    return Response(await to_thread.run_sync(_exposition), media_type=metrics.CONTENT_TYPE, headers=UNCACHED)


def _exposition() -> str:
    from app.exploring.calibration import formula_version
    from app.public import __version__

    lines = [
        *metrics.about_lines(__version__, formula_version()),
        *metrics.TALLY.lines(),
        *metrics.price_lines(_prices(dashboard_sources()), datetime.now(UTC)),
        *metrics.job_lines(_jobs()),
    ]
    return "\n".join(lines) + "\n"


def _prices(sources: LocalSources) -> list[tuple[str, str, datetime | date | None]]:
    found = (sources.book.status(region) for region in sources.book.regions)
    return [(status.region, status.source.value, status.as_of) for status in found]


def _jobs() -> Counter[str]:
    """Jobs by status; none where there is no database, or it does not answer."""
    from app.storage import database_exists

    if not database_exists():
        return Counter()
    from app.measuring.jobs import measurement_store
    from estimators.provenance import Refusal

    try:
        return Counter(job.status.value for job in measurement_store().queue())
    except (Refusal, OSError) as fault:
        log.warning("jobs cannot be counted: %s", type(fault).__name__)
        return Counter()


def routes() -> list[BaseRoute]:
    return [
        Route("/livez", livez, methods=["GET"]),
        Route("/readyz", readyz, methods=["GET"]),
        Route("/metrics", scrape, methods=["GET"]),
    ]
