"""The answer as up to three cards, and which of them every page speaks of."""

from __future__ import annotations

import streamlit as st

from app.format import seconds, usd
from app.planning.answer import Answer, Card, Kind
from app.planning.plan import OBJECTIVES
from app.planning.sentences import model_name
from app.planning.words import LIMITS, drafting_of, headline, machine_of, precision_of, purchase_of, ways_out
from app.scenario import Scenario
from app.text import in_markdown
from app.views import current
from estimators.latency.estimate import SHORT_TIMES

NAMES = {Kind.AS_ASKED: "As asked", Kind.CHEAPEST: "Cheapest", Kind.SAFE: "Safe"}
TOLD = {
    Kind.AS_ASKED: "The model as published, on the cheapest machines that do.",
    Kind.CHEAPEST: "The least a month that meets every limit, whatever the precision and the machines.",
    Kind.SAFE: "Every limit is met by the whole 80 % interval, on evidence of this chip and this model.",
}


def draw_choice() -> None:
    """Which plan is shown, on every page: the parameter `choice` keeps it."""
    with st.container(key="choosing"):
        st.pills(
            "Plan shown",
            list(Kind),
            key="choice",
            bind="query-params",
            label_visibility="collapsed",
            disabled=current.card() is None,
        )


def draw(found: Answer) -> None:
    """The cards side by side; under each other on a phone."""
    shown = current.card()
    if found.refusal is not None:
        st.error(in_markdown(str(found.refusal)), icon=":material/error:")
    if found.found is not None and not found.found.plans:
        lines = [f"- {in_markdown(line)}" for line in ways_out(found.found.loosenings)]
        st.warning("\n".join([in_markdown(headline(found.found)), *lines]), icon=":material/info:")
    if not found.cards:
        return
    columns = st.columns(max(2, len(found.cards)))
    for column, card in zip(columns, found.cards, strict=False):
        with column, st.container(border=True, key=f"card_{card.kinds[0].value.replace(' ', '_')}"):
            _draw_card(card, chosen=card is shown)
    if found.stopped is not None and found.refusal is None:
        st.caption(in_markdown(f"A safe plan was not looked for to the end. {found.stopped}"))
    elif found.card(Kind.SAFE) is None and found.found is not None and found.found.plans:
        st.caption("No safe plan: on the evidence there is, no interval clears every limit. Measure before promising.")


def _draw_card(card: Card, *, chosen: bool) -> None:
    name = " = ".join(NAMES[kind] for kind in card.kinds)
    usd_month = card.candidate.usd_per_month
    price = "not priced" if usd_month is None else f"{usd(usd_month)} a month"
    st.markdown(f"**{name}**{' (shown below)' if chosen else ''}", help=" ".join(TOLD[kind] for kind in card.kinds))
    st.markdown(f"### {in_markdown(price)}")
    lines = [_saving(card), _what(card), _where(card), *_times(card), _quality(card), _misses(card)]
    st.markdown("\n".join(f"- {in_markdown(line)}" for line in lines if line))


def _saving(card: Card) -> str:
    if card.saving_usd is None:
        return ""
    if card.saving_usd == 0:
        return "costs the same as asked"
    amount = f"{usd(abs(card.saving_usd))} a month"
    return f"saves {amount} against as asked" if card.saving_usd > 0 else f"costs {amount} more than as asked"


def _what(card: Card) -> str:
    drafting = f", with {drafting_of(card.candidate)}" if card.candidate.drafting else ""
    return f"{model_name(card.candidate.scenario)} in {precision_of(card.candidate)}{drafting}"


def _where(card: Card) -> str:
    return f"{machine_of(card.candidate)}, {purchase_of(card.candidate)}"


def _times(card: Card) -> list[str]:
    """The times that were limited; the whole request where none was."""
    asked = [key for key in OBJECTIVES if getattr(card.candidate.scenario, key) is not None] or ["e2e"]
    grade = f"; {card.speed.value}" if card.speed else ""
    said = [
        f"{SHORT_TIMES[key].lower()} {seconds(time.value)} ({seconds(time.low)} to {seconds(time.high)})"
        for key in asked
        if (time := card.times.get(key)) is not None
    ]
    return [f"95 of 100 within: {', '.join(said)}{grade}"] if said else []


def _quality(card: Card) -> str:
    known = card.quality
    if known.ratio is None:
        return "quality: nobody has published it for this precision and cache"
    verdict = card.candidate.quality.verdict
    against = "as published" if verdict is None else f"on {verdict.task.value.replace('-', ' ')}"
    if known.ratio == 1 and verdict is None:
        return "quality: as published, nothing given up"
    grade = f"; {known.grade.value}" if known.grade else ""
    if verdict is None:
        return f"quality: {100 * known.ratio:.1f} % of its suite averages {against}{grade}"
    return f"quality: {100 * known.ratio:.1f} % of {model_name(Scenario(model=verdict.reference))} {against}{grade}"


def _misses(card: Card) -> str:
    missed = [LIMITS[limit.key] for limit in card.candidate.limits if limit.met is False]
    if missed:
        return f"misses {', '.join(missed)}"
    if card.may_miss:
        return f"may miss {', '.join(LIMITS[key] for key in card.may_miss)}: measure before promising it"
    return ""
