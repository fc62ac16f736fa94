"""The ASGI application: the dashboard with security headers, the JSON route and start-up work.

`python -m streamlit run app/server.py` or `uvicorn app.server:app`, from the repository's root.
"""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import streamlit as st
from starlette.middleware import Middleware
from starlette.routing import Route
from streamlit.runtime import get_instance

from app.api import estimate
from app.headers import SecurityHeaders
from app.sources import dashboard_sources
from app.uploads import UploadGate

log = logging.getLogger("rightsize")


def _warm() -> None:
    """Load what the first visitor would otherwise wait for, then keep it out of every later garbage collection."""
    import pandas  # noqa: F401
    import plotly.graph_objects  # noqa: F401

    from app.planning.planner import plan
    from app.scenario import Scenario, with_page_defaults

    plan(with_page_defaults(Scenario()), dashboard_sources())
    gc.collect()
    gc.freeze()


def _prepare_hub() -> None:
    """The Hub's libraries take a second to import; do it before somebody types an id, and after start-up."""
    from estimators.architecture.hub import client as hub

    hub.preload()
    gc.freeze()


@asynccontextmanager
async def lifespan(_app: st.App) -> AsyncIterator[None]:
    await anyio.to_thread.run_sync(_warm)
    threading.Thread(target=_prepare_hub, name="hub-preload", daemon=True).start()
    dashboard_sources().start_refreshing()
    yield
    dashboard_sources().stop_refreshing()


def report(error: Exception) -> bool:
    """Log a page's unexpected error; the visitor sees a sentence, never a traceback."""
    log.error("page failed: %s", type(error).__name__, exc_info=error)
    st.error("Something went wrong on our side. Your inputs are still in the address bar; reload to try again.")
    return True


app = st.App(
    Path(__file__).with_name("main.py"),
    routes=[Route("/api/v1/estimate", estimate, methods=["GET"])],
    middleware=[
        Middleware(SecurityHeaders),
        Middleware(
            UploadGate,
            files=lambda: get_instance().uploaded_file_mgr,
            active=lambda session: get_instance().is_active_session(session),
        ),
    ],
    lifespan=lifespan,
    on_script_error=report,
)
