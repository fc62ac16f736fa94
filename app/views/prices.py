"""Offers of every machine: explore, compare regions, take away as CSV."""

from __future__ import annotations

import streamlit as st

st.markdown("### Prices")
