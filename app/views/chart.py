"""A plotly figure on the page, its words in the colour of the page's text."""

from __future__ import annotations

import streamlit as st

from app.figures.base import Figure, worded

TEXT = {"light": "#3A4550", "dark": "#C3CDD6"}  # at least 4.5 to 1 on the page's background, and on its bands


def chart(figure: Figure, *, key: str, alt: str) -> None:
    """Draw `figure`; Streamlit's own greys are too faint for the small words of an axis."""
    worded(figure, TEXT["dark" if st.context.theme.type == "dark" else "light"])
    st.plotly_chart(figure, key=key, config={"displayModeBar": False}, alt=alt)
