"""Log lines as JSON."""

from __future__ import annotations

import io
import json
import logging

import pytest

from app.logs import set_up_logs


@pytest.fixture
def written() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def logger(written: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> logging.Logger:
    own = logging.getLogger("rightsize.test_logs")
    monkeypatch.setattr(own, "handlers", [logging.StreamHandler(written)])
    monkeypatch.setattr(own, "propagate", False)
    for other in logging.getLogger().handlers:
        monkeypatch.setattr(other, "formatter", other.formatter)  # put back after the test
    return own


def test_a_line_is_one_object_whatever_it_says(logger: logging.Logger, written: io.StringIO) -> None:
    set_up_logs("json")
    logger.warning('prices of %s\n"cannot" be read', "us-east-1")
    try:
        raise RuntimeError("broken")
    except RuntimeError:
        logger.exception("a page failed")
    first, second = (json.loads(line) for line in written.getvalue().splitlines())
    assert first["message"] == 'prices of us-east-1\n"cannot" be read'
    assert (first["level"], first["logger"]) == ("warning", "rightsize.test_logs")
    assert first["time"].endswith("+00:00")
    assert second["error"] == "RuntimeError"
    assert "test_logs.py" in second["trace"]


def test_without_the_switch_lines_stay_as_they_are(logger: logging.Logger, written: io.StringIO) -> None:
    set_up_logs(None)
    logger.warning("as it was")
    assert written.getvalue() == "as it was\n"
