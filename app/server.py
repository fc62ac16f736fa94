"""The ASGI application: the dashboard with security headers, the JSON interface and start-up work.

`python -m streamlit run app/server.py` or `uvicorn app.server:app`, from the repository's root.
"""

from __future__ import annotations

import ast
import gc
import logging
import os
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import anyio
import streamlit as st
from starlette.middleware import Middleware
from streamlit import config, file_util
from streamlit.runtime import get_instance

from app import api, operating, pages
from app.base_path import UnderBasePath
from app.gate import HOSTS, Gate, hosts
from app.headers import FRAME_ANCESTORS, SecurityHeaders, frame_ancestors
from app.kept_files import KeptFiles
from app.logs import LOGS, set_up_logs, value_unread
from app.memory_kept import give_memory_back
from app.sockets import answer_without_delay
from app.sources import dashboard_sources
from app.start_link import StartLink
from app.unfurl import Unfurl
from app.uploads import MessageGate, UploadGate
from app.views.theme import colours
from app.visits import VISITS, VisitGate, most_visits
from estimators.provenance import Refusal

log = logging.getLogger("rightsize")

# Objects made, and younger collections, between two collections. A full one stops everybody for a tenth of a second
# while a large question is worked out, which made one every second; what it would free is freed without it. A run of
# the page makes some 7,500 that last as long as it does: walking them every 5,000 took 7 to 12 % of its time.
COLLECT = (25_000, 10, 40)
FIRST_PAGE_S = 5.0  # from start-up: what works in the background makes way for whoever waits to see the page


def _warm() -> None:
    """Load what the first visitor would otherwise wait for, then keep it out of every later garbage collection."""
    import pandas  # noqa: F401
    import plotly.graph_objects  # noqa: F401

    from app.exploring.question_link import Asked, question_of
    from app.planning.planner import NEAR
    from app.planning.remembered import remembered_answer
    from app.scenario import PAGE_MODEL, Scenario, with_page_defaults

    for script in (MAIN, MAIN.with_name("views") / "estimate.py"):
        _import_as(script)
    first = with_page_defaults(Scenario())
    remembered_answer(question_of(Asked(), first, (PAGE_MODEL,), ()), first, dashboard_sources(), within=NEAR)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT)


def _import_as(script: Path) -> None:
    """Import what a page does, without running it."""
    for part in ast.parse(script.read_text(encoding="utf-8")).body:
        if isinstance(part, ast.ImportFrom) and part.module:
            __import__(part.module, fromlist=[alias.name for alias in part.names])


def read_settings_once() -> None:
    """At each run of a page Streamlit goes six times through all of its settings, to tell the browser of a theme that
    no run changes."""
    setattr(config, "get_options_for_section", cache(config.get_options_for_section))  # noqa: B010


def _prepare_hub() -> None:
    """The Hub's libraries take a second to import; do it before somebody types an id, and after the first page."""
    from estimators.architecture.hub import library

    library.preload()
    gc.collect()
    gc.freeze()


@asynccontextmanager
async def lifespan(_app: st.App) -> AsyncIterator[None]:
    set_up_logs(os.environ.get(LOGS))
    give_memory_back()
    answer_without_delay()
    read_settings_once()
    await anyio.to_thread.run_sync(_warm)
    prepare_hub = threading.Timer(FIRST_PAGE_S, _prepare_hub)
    prepare_hub.daemon = True
    prepare_hub.start()
    dashboard_sources().start_refreshing(after_s=FIRST_PAGE_S)
    operating.READINESS.serving = True
    yield
    operating.READINESS.serving = False
    prepare_hub.cancel()
    dashboard_sources().stop_refreshing()


def report(error: Exception) -> bool:
    """Log a page's unexpected error; the visitor sees a sentence, never a traceback.

    What Streamlit could not make of a box's value is a line: browsers send what boxes hold, and strangers anything.
    """
    of_a_box = value_unread(error)
    log.error("page failed: %s%s", type(error).__name__, of_a_box, exc_info=None if of_a_box else error)
    st.error("Something went wrong on our side. Your inputs are still in the address bar; reload to try again.")
    return True


def _guards() -> list[Middleware]:
    """What stands before every route. A setting that cannot be read ends the start with its sentence."""
    try:
        named, ancestors = hosts(os.environ.get(HOSTS)), frame_ancestors(os.environ.get(FRAME_ANCESTORS))
        most = most_visits(os.environ.get(VISITS))
    except Refusal as refusal:
        sys.exit(f"error: {refusal}")
    return [
        Middleware(SecurityHeaders, ancestors=ancestors),
        Middleware(Gate, hosts=named, address=lambda: st.get_option("server.address")),
        Middleware(StartLink, address=lambda: st.get_option("server.address")),
        Middleware(VisitGate, most=most, pages=PAGES),
        Middleware(UnderBasePath, base=lambda: st.get_option("server.baseUrlPath")),
    ]


MAIN = Path(__file__).with_name("main.py")
BASE = st.get_option("server.baseUrlPath") or ""
PAGES = pages.paths(BASE)
app = st.App(
    MAIN,
    routes=[*api.routes(), *operating.routes()],
    middleware=[
        *_guards(),
        Middleware(
            UploadGate,
            files=lambda: get_instance().uploaded_file_mgr,
            active=lambda session: get_instance().is_active_session(session),
        ),
        Middleware(MessageGate),
        Middleware(KeptFiles, folder=Path(file_util.get_static_dir()) / "static", base=BASE),
        Middleware(Unfurl, pages=PAGES, colours=colours),
    ],
    lifespan=lifespan,
    on_script_error=report,
)
