"""The popover behind a number: formula, inputs and source of each of its terms."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.format import gib, seconds, significant, usd
from app.text import in_markdown
from estimators.provenance import Term


def value_text(term: Term) -> str:
    if term.unit == "byte":
        return f"{gib(term.value)} ({term.value:,.0f} B)"
    if term.unit == "second":
        return seconds(term.value)
    if term.unit == "USD":
        return usd(term.value, cents=True)
    return f"{significant(term.value)} {term.unit}"


def how(terms: Sequence[Term], *, key: str, label: str = "How") -> None:
    """A popover listing `terms`; nothing when there are none."""
    if not terms:
        return
    with st.popover(label, key=key, width="stretch"):
        for term in terms:
            st.markdown(f"**{in_markdown(term.label)}**: {in_markdown(value_text(term))}")
            st.code(term.formula, language=None, wrap_lines=True)
            st.caption(f"Source: {in_markdown(term.source)}")
