"""Pieces that several pages draw: a figure, a table, the popover behind numbers, the warning of an old price."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

from app.figures.base import Figure, worded
from app.format import gib, seconds, significant, usd
from app.planning.plan import Plan
from app.planning.sentences import machine_phrase
from app.text import in_code, in_markdown
from app.uploads import show_uploader
from app.views.theme import colours
from estimators.provenance import Term

MOST_UPLOADED_MB = 5
TEXT = {"light": "#3A4550", "dark": "#C3CDD6"}  # at least 4.5 to 1 on the page's background, and on its bands


class Lines:
    """Paragraphs drawn as one element: each by itself costs as much as all of them."""

    def __init__(self) -> None:
        self._said: list[str] = []

    def say(self, *paragraphs: str) -> None:
        self._said += paragraphs

    def note(self, text: str) -> None:
        self._said.append(f":small[{in_markdown(text)}]")

    def draw(self, *, help: str | None = None) -> None:
        """What was said since the last time."""
        if self._said:
            st.markdown("\n\n".join(self._said), help=help)
            self._said.clear()


class Html(NamedTuple):
    """For `st.html`, which looks on the disk whether a plain text is the name of a file."""

    text: str

    def _repr_html_(self) -> str:
        return self.text


@lru_cache(maxsize=1)
def style() -> Html:
    """What the theme has no setting for; read once."""
    css = (Path(__file__).parents[1] / "static" / "page.css").read_text(encoding="utf-8")
    return Html(f"<style>{colours('.stApp')}\n{css}</style>")


def chart(figure: Figure, *, key: str, alt: str) -> None:
    """Draw `figure`; Streamlit's own greys are too faint for the small words of an axis."""
    drawn = worded(figure, TEXT["dark" if st.context.theme.type == "dark" else "light"])
    st.plotly_chart(drawn, key=key, config={"displayModeBar": False}, alt=alt)


def uploader(label: str, kinds: Sequence[str], *, key: str) -> UploadedFile | None:
    """A box for one file; the gate lets a file through from no visit that was not shown one."""
    if (run := get_script_run_ctx()) is not None:
        show_uploader(run.session_id)
    return st.file_uploader(label, type=list(kinds), key=key, max_upload_size=MOST_UPLOADED_MB)


def table_of(rows: Sequence[Mapping[str, object]]) -> pa.Table:
    """Rows as they are sent; by way of pandas the two small tables of the first screen took a millisecond each."""
    return pa.Table.from_pylist(rows)


def value_text(term: Term) -> str:
    if term.unit == "byte":
        return f"{gib(term.value)} ({term.value:,.0f} B)"
    if term.unit == "second":
        return seconds(term.value)
    if term.unit == "USD":
        return usd(term.value, cents=True)
    return f"{significant(term.value)} {term.unit}"


def how(terms: Mapping[str, Sequence[Term]], *, key: str, label: str) -> None:
    """A popover listing the terms behind each figure that has some, once it is open; nothing when none has."""
    if not any(terms.values()):
        return
    with st.popover(label, key=key, width="stretch", on_change="rerun") as opened:
        if opened.open:
            told = ((f"#### {name}", *map(_told, several)) for name, several in terms.items() if several)
            st.markdown("\n\n".join(line for lines in told for line in lines))  # one element, not three a term


def _told(term: Term) -> str:
    said = f"**{in_markdown(term.label)}**: {in_markdown(value_text(term))}"
    return f"{said}  \n{in_code(term.formula)}  \n:small[Source: {in_markdown(term.source)}]"


def old_price(plan: Plan) -> str:
    """What to know of a stale price, and the cheapest fresh one where there is any; nothing for a fresh price."""
    offer = plan.chosen.offer if plan.chosen else None
    if offer is None or not offer.stale:
        return ""
    said = f"This price is of {offer.as_of.isoformat()}, too old to count on."
    for candidate in plan.candidates:
        if candidate.eligible and candidate.cost and candidate.offer and not candidate.offer.stale:
            month, day = usd(candidate.cost.usd_per_month), candidate.offer.as_of.isoformat()
            return f"{said} The cheapest with a fresh price: {machine_phrase(candidate)}, {month} a month, of {day}."
    return f"{said} No machine near it in price has a fresher one here; set AWS credentials for live prices."
