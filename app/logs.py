"""Log lines as JSON, one object each, where `RIGHTSIZE_LOGS` is json; else as the libraries write them, without what
acts on a terminal or begins a line of its own."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Mapping
from copy import copy
from datetime import UTC, datetime
from pathlib import Path

from app.terminal import visible
from app.text import plain

LOGS = "RIGHTSIZE_LOGS"
_APP = Path(__file__).parent
_STATE = ("runtime", "state")  # Streamlit's folder of what boxes hold
# Streamlit's own record of a page's error; `report` in app/server.py is told of each as well.
_TWICE = ("streamlit.error_util", "Uncaught app execution")


class JsonLines(logging.Formatter):
    """Time, level, logger and message; of an error also its kind and where it was raised. Never a line break inside."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line |= {"error": record.exc_info[0].__name__, "trace": self.formatException(record.exc_info)}
        return json.dumps(line)


class VisibleLines(logging.Formatter):
    """As another formatter writes it: a message stays one line, and nothing in it is more than text."""

    def __init__(self, form: logging.Formatter | None) -> None:
        super().__init__()
        self._form = form or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        said = copy(record)
        said.msg = plain(str(record.msg))
        if isinstance(record.args, Mapping):
            said.args = {name: _plain(value) for name, value in record.args.items()}
        elif record.args:  # one by one: uvicorn's formatter counts them
            said.args = tuple(map(_plain, record.args))
        if record.exc_info and record.exc_info[0] is not None:
            said.exc_text = visible(self.formatException(record.exc_info))
        return self._form.format(said)


def _is_said_once(record: logging.LogRecord) -> bool:
    return record.msg != _TWICE[1]


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, (int, float)) else plain(str(value))


def value_unread(error: BaseException) -> str:
    """Where a page failed of what a box holds, of the browser's own: " of a box of app/views/inputs.py:266, in
    session_state.py:312". Nothing where it failed of anything else.

    Streamlit makes values of what was sent in its session_state.py, before a page's script and in the midst of it; what
    a page asks of `st.session_state` itself passes through session_state_proxy.py, and is the page's own mistake.
    """
    frames = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    ours = max((i for i, (file, _) in enumerate(frames) if file.is_relative_to(_APP)), default=-1)
    state = {file.name for file, _ in frames[ours + 1 :] if file.parts[-3:-1] == _STATE}
    if "session_state.py" not in state or "session_state_proxy.py" in state:
        return ""
    (file, line), (deepest, at) = frames[ours], frames[-1]
    box = f" of {file.relative_to(_APP.parent).as_posix()}:{line}" if ours >= 0 else ""
    return f" of a box{box}, in {deepest.name}:{at}"


def set_up_logs(form: str | None) -> None:
    """Gives every handler that writes now the form that was asked for, and the root one if it has none."""
    logging.getLogger(_TWICE[0]).addFilter(_is_said_once)
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.StreamHandler())
    loggers = [
        root,
        *(found for found in logging.root.manager.loggerDict.values() if isinstance(found, logging.Logger)),
    ]
    for handler in {handler for logger in loggers for handler in logger.handlers}:
        handler.setFormatter(JsonLines() if form == "json" else VisibleLines(handler.formatter))
