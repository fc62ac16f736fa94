"""A button that copies the decision link: this page's address with every field written out; or its card, as HTML.

The script is the page's own (app/static/page.js): a component of Streamlit's is one more program to load.
"""

from __future__ import annotations

import streamlit as st

from app.text import in_html
from app.views.parts import Html


def copy_link(query: str, *, label: str = "Copy link", card: bool = False) -> None:
    """Draw the button. `query` is the encoded query string, without the question mark; `card` copies a frame of it."""
    st.html(Html(button_html(query, label, card=card)))


def button_html(query: str, label: str, *, card: bool) -> str:
    return (
        f'<div class="copy-link"><button type="button" data-query="{in_html(query)}"{" data-card" if card else ""}>'
        f'{in_html(label)}</button><span role="status" aria-live="polite"></span>'
        '<input readonly hidden aria-label="Link to copy" /></div>'
    )
