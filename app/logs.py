"""Log lines as JSON, one object each, where `RIGHTSIZE_LOGS` is json; else as the libraries write them."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

LOGS = "RIGHTSIZE_LOGS"


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


def set_up_logs(form: str | None) -> None:
    """Gives every handler that writes now the form that was asked for, and the root one if it has none."""
    if form != "json":
        return
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.StreamHandler())
    loggers = [
        root,
        *(found for found in logging.root.manager.loggerDict.values() if isinstance(found, logging.Logger)),
    ]
    for handler in {handler for logger in loggers for handler in logger.handlers}:
        handler.setFormatter(JsonLines())
