"""Who may start or keep a measurement here, asked of the person before the page offers it."""

from __future__ import annotations

import streamlit as st

from app.text import in_markdown
from estimators.measuring.jobs.authority import TICKET, NotAuthorised, authorise, profiling_enabled, ticket_matches


def signed_in() -> dict[str, object] | None:
    """Claims of the person signed in by OIDC; None when nobody is, or sign-in is not set up."""
    return dict(st.user) if _oidc() and st.user.is_logged_in else None


def _oidc() -> bool:
    try:
        return "auth" in st.secrets
    except (FileNotFoundError, OSError):
        return False


def may_measure() -> bool:
    """Whether this person may start work here; asks for what is missing. The page reads no token from its address."""
    if _oidc() and not st.user.is_logged_in and profiling_enabled():
        st.button("Sign in", on_click=st.login)
        return False
    token, ticket = "", str(st.context.cookies.get(TICKET, ""))
    if profiling_enabled() and not _oidc() and not ticket_matches(ticket):
        token = st.text_input("Profiling token", type="password", key="profiling_token", max_chars=200)
        if not token:
            st.caption("It is in the line that `make run` printed; elsewhere the operator has it.")
            return False
    try:
        authorise(token=token, ticket=ticket, claims=signed_in(), oidc=_oidc())
    except NotAuthorised as refusal:
        st.info(in_markdown(str(refusal)))
        return False
    return True
