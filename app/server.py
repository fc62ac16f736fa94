"""The ASGI application: the dashboard with security headers, the JSON interface and start-up work.

`python -m streamlit run app/server.py` or `uvicorn app.server:app`, from the repository's root.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import streamlit as st
from starlette.middleware import Middleware
from streamlit.runtime import get_instance

from app import api, operating
from app.base_path import UnderBasePath
from app.gate import HOSTS, Gate, hosts
from app.headers import FRAME_ANCESTORS, SecurityHeaders, frame_ancestors
from app.logs import LOGS, set_up_logs
from app.memory_kept import give_memory_back
from app.sockets import answer_without_delay
from app.sources import dashboard_sources
from app.start_link import StartLink
from app.unfurl import Unfurl, pages_of
from app.uploads import MessageGate, UploadGate
from estimators.provenance import Refusal

log = logging.getLogger("rightsize")

# Objects made, and younger collections, between two collections. A full one stops everybody for a tenth of a second
# while a large question is worked out, which made one every second; what it would free is freed without it.
COLLECT = (5_000, 20, 100)


def _warm() -> None:
    """Load what the first visitor would otherwise wait for, then keep it out of every later garbage collection."""
    import pandas  # noqa: F401
    import plotly.graph_objects  # noqa: F401

    from app.exploring.question_link import Asked, question_of
    from app.planning.remembered import remembered_answer
    from app.scenario import PAGE_MODEL, Scenario, with_page_defaults

    first = with_page_defaults(Scenario())
    remembered_answer(question_of(Asked(), first, (PAGE_MODEL,), ()), first, dashboard_sources(), whole=True)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT)


def _prepare_hub() -> None:
    """The Hub's libraries take a second to import; do it before somebody types an id, and after start-up."""
    from estimators.architecture.hub import library

    library.preload()
    gc.freeze()


@asynccontextmanager
async def lifespan(_app: st.App) -> AsyncIterator[None]:
    set_up_logs(os.environ.get(LOGS))
    give_memory_back()
    answer_without_delay()
    await anyio.to_thread.run_sync(_warm)
    threading.Thread(target=_prepare_hub, name="hub-preload", daemon=True).start()
    dashboard_sources().start_refreshing()
    operating.READINESS.serving = True
    yield
    operating.READINESS.serving = False
    dashboard_sources().stop_refreshing()


def report(error: Exception) -> bool:
    """Log a page's unexpected error; the visitor sees a sentence, never a traceback."""
    log.error("page failed: %s", type(error).__name__, exc_info=error)
    st.error("Something went wrong on our side. Your inputs are still in the address bar; reload to try again.")
    return True


def _guards() -> list[Middleware]:
    """What stands before every route. A setting that cannot be read ends the start with its sentence."""
    try:
        named, ancestors = hosts(os.environ.get(HOSTS)), frame_ancestors(os.environ.get(FRAME_ANCESTORS))
    except Refusal as refusal:
        sys.exit(f"error: {refusal}")
    return [
        Middleware(SecurityHeaders, ancestors=ancestors),
        Middleware(Gate, hosts=named, address=lambda: st.get_option("server.address")),
        Middleware(StartLink, address=lambda: st.get_option("server.address")),
        Middleware(UnderBasePath, base=lambda: st.get_option("server.baseUrlPath")),
    ]


MAIN = Path(__file__).with_name("main.py")
PAGES = pages_of(MAIN.read_text(encoding="utf-8"), st.get_option("server.baseUrlPath") or "")
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
        Middleware(Unfurl, pages=PAGES),
    ],
    lifespan=lifespan,
    on_script_error=report,
)
