"""The pages as Streamlit has them."""

from __future__ import annotations

from copy import copy
from functools import lru_cache

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from app.pages import PAGES


def navigation() -> StreamlitPage:
    """Draw the navigation; returns the page that was asked for."""
    # A run marks the page that it may run, so has its own; copied, as making one looks for its script on the disk.
    own = {title: [copy(page) for page in pages] for title, pages in _made().items()}
    return st.navigation(own, position="top")


@lru_cache(maxsize=1)
def _made() -> dict[str, list[StreamlitPage]]:
    return {
        title: [
            st.Page(
                f"views/{page.script}",
                title=page.title,
                url_path=page.path or None,
                default=not page.path,
                visibility="hidden" if page.hidden else "visible",
            )
            for page in pages
        ]
        for title, pages in PAGES.items()
    }
