"""What a page of Streamlit costs by itself: as many boxes and texts as the first screen, and nothing worked out."""

from __future__ import annotations

import os

import streamlit as st

boxes, texts = (int(os.environ[name]) for name in ("BARE_BOXES", "BARE_TEXTS"))
people = st.number_input("People at once", min_value=1, value=None, step=1, key="people", bind="query-params")
for number in range(1, boxes):
    st.text_input(f"Box {number}", key=f"box_{number}", bind="query-params")
for number in range(texts):
    st.markdown(f"Text {number} for {people}")
