"""How far the estimates were from published measurements."""

from __future__ import annotations

import streamlit as st

st.markdown("### How accurate are these estimates?")
