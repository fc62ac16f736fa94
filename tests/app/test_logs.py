"""Log lines as JSON."""

from __future__ import annotations

import io
import json
import logging

import pytest
import streamlit as st
from streamlit.errors import StreamlitAPIException
from streamlit.testing.v1 import AppTest

from app.logs import set_up_logs, value_unread


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
    logger.warning("as it was: %d, %.1f %s", 5, 0.25, None)
    logger.warning("%(name)s twice", {"name": "said"})
    assert written.getvalue() == "as it was: 5, 0.2 None\nsaid twice\n"


def test_what_was_sent_begins_no_line_and_moves_no_cursor(logger: logging.Logger, written: io.StringIO) -> None:
    set_up_logs(None)
    forged = "a\r\n2026-11-28 INFO all is well\x1b[2J\x9b1m\u202e\ud800"
    logger.warning("refused %s", forged)
    logger.warning(forged)
    try:
        raise RuntimeError(forged)
    except RuntimeError as error:
        logger.exception("failed: %s", error)
    lines = written.getvalue().split("\n")
    assert [line.startswith("2026") for line in lines[:3]] == [False] * 3
    assert all(c.isprintable() or c == "\n" for c in written.getvalue())
    assert lines[2].startswith("failed: a  2026-11-28 INFO all is well [2J")


def test_a_page_that_fails_by_itself_is_logged_once_and_whole(
    logger: logging.Logger, written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    streamlits = logging.getLogger("streamlit.error_util")
    monkeypatch.setattr(streamlits, "handlers", [logging.StreamHandler(written)])
    monkeypatch.setattr(streamlits, "filters", [])
    set_up_logs(None)
    own_mistakes = (lambda: 1 / 0, lambda: st.slider("x", min_value="one"), lambda: st.session_state["never_set"])
    for act in own_mistakes:
        with pytest.raises((ArithmeticError, StreamlitAPIException, KeyError)) as failed:
            act()
        assert value_unread(failed.value) == ""
        streamlits.error("Uncaught app execution", exc_info=failed.value)
    assert written.getvalue() == ""
    streamlits.error("on_script_error handler raised an exception")
    assert written.getvalue() == "on_script_error handler raised an exception\n"


def test_a_page_that_sets_what_is_drawn_made_a_mistake_of_its_own() -> None:
    def page() -> None:
        import streamlit as st
        from streamlit.errors import StreamlitWidgetAlreadyInstantiatedError

        from app.logs import value_unread

        st.text_input("Name", key="name")
        try:
            st.session_state["name"] = "too late"
        except StreamlitWidgetAlreadyInstantiatedError as error:
            st.text(repr(value_unread(error)))

    assert [text.value for text in AppTest.from_function(page).run(timeout=30).text] == ["''"]
