"""What the boxes hold, kept beside them.

Streamlit forgets the boxes of a page that is left before the browser has drawn them, and with them their parameters of
the address. What a person asked must outlive that, so that each run keeps it and the first run of another page puts it
back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping

import streamlit as st
from streamlit.errors import StreamlitAPIException


def keep(page: str, keys: Iterable[str], address: Mapping[str, str], held: Mapping[str, object]) -> None:
    """Remember what is held in the boxes of these keys on this page, and the parameters that say so."""
    state = st.session_state
    state.kept = {key: held[key] for key in keys if key in held}
    state.kept_address, state.kept_on = dict(address), page


def put_back(page: str) -> None:
    """On the first run of another page, before any box: what was kept, into the boxes and the address."""
    state = st.session_state
    if state.get("kept_on", page) == page:
        return
    for key, value in state.kept.items():
        state[key] = value
    for key, text in state.kept_address.items():
        into_address(key, text)


def into_address(key: str, text: str) -> None:
    """A parameter that the address does not have, before its box is drawn: one that is drawn for the first time with a
    value in it writes that only in the run after."""
    if key not in st.query_params:
        with contextlib.suppress(StreamlitAPIException):  # a box still holds it, and writes it when it is drawn
            st.query_params[key] = text
