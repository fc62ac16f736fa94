"""The answer as up to three cards, and which of them every page speaks of."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import streamlit as st

from app.exploring.named_models import MOST, named_models, usd_of
from app.format import gib, plural, seconds, usd
from app.planning.answer import Answer, Card, Grade, Kind, owned_accelerators
from app.planning.plan import OBJECTIVES, p95_of
from app.planning.question import owned_from
from app.planning.remembered import remembered_recommendation
from app.planning.sentences import model_name, precision_name
from app.planning.words import LIMITS, drafting_of, headline, machine_of, precision_of, purchase_of, ways_out
from app.scenario import Scenario, decode
from app.text import in_markdown
from app.views import current
from estimators.hardware.catalogue import find_accelerator
from estimators.latency.estimate import SHORT_TIMES

NAMES = {Kind.AS_ASKED: "As asked", Kind.CHEAPEST: "Cheapest", Kind.SAFE: "Safe"}
TOLD = {
    Kind.AS_ASKED: "The model as published, on the cheapest machines that do.",
    Kind.CHEAPEST: "The least a month that meets every limit, whatever the precision and the machines.",
    Kind.SAFE: "Every limit is met by the whole 80 % interval, on evidence of this chip and this model.",
}


def draw_choice() -> None:
    """Which plan is shown, on every page: the parameter `choice` keeps it. page.css hides it where there is none."""
    found = current.answer()
    nothing_to_choose = found is None or len(found.cards) < 2
    st.pills(
        "Plan shown",
        list(Kind),
        key="choice",
        bind="query-params",
        label_visibility="collapsed",
        disabled=nothing_to_choose,
    )


def draw(found: Answer) -> None:
    """The cards side by side, under each other on a phone; where all are one plan, the verdict says what it is."""
    shown = current.card()
    if found.refusal is not None:
        st.error(in_markdown(str(found.refusal)), icon=":material/error:")
    if found.found is not None and not found.found.plans:
        lines = [f"- {in_markdown(line)}" for line in ways_out(found.found.loosenings)]
        st.warning("\n".join([in_markdown(headline(found.found)), *lines]), icon=":material/info:")
    if not found.cards:
        return
    if len(found.cards) > 1:
        with st.container(key="cards", horizontal=True):
            for card in found.cards:
                with st.container(border=True, key=f"card_{card.kinds[0].value.replace(' ', '_')}"):
                    _draw_card(_measured(card) if card is shown else card, chosen=card is shown)
        if own := _left(shown):
            st.markdown(f"**{in_markdown(own)}**")
        if unsafe := _why_none_is_safe(found):
            st.caption(in_markdown(unsafe))
    _draw_named(found)


def _why_none_is_safe(found: Answer) -> str:
    if found.stopped is not None and found.refusal is None:
        return f"A safe plan was not looked for to the end. {found.stopped}"
    if found.card(Kind.SAFE) is None and found.found is not None and found.found.plans:
        return "No safe plan: on the evidence there is, no interval clears every limit. Measure before promising."
    return ""


def _left(card: Card | None) -> str:
    """ "It keeps 2 of your 16 A100-80GB-SXM4 busy; 14 are left."""
    busy = owned_accelerators(card.candidate) if card is not None else 0
    if card is None or not busy:
        return ""
    name = card.candidate.accelerator
    has = sum(own.count for own in owned_from(current.asked().owned) if find_accelerator(own.gpu).name == name)
    return f"It keeps {busy} of your {has} {name} busy; {has - busy} are left." if has else ""


def _draw_named(found: Answer) -> None:
    """Where several models were named: each one's cheapest plan, or why it has none."""
    if found.found is None or not 1 < len(current.asked().models) <= MOST:
        return
    sources = current.sources()
    rows = [
        {
            "Model": model_name(decode({"model": row.model}).scenario),
            "A month": float(usd_of(row.candidate)) if row.candidate else None,
            "Plan": f"{precision_of(row.candidate)} on {machine_of(row.candidate)}" if row.candidate else "none",
            "Against the cheapest": row.why_not,
        }
        for row in named_models(found.found.question, lambda one: remembered_recommendation(one, sources))
    ]
    st.markdown("**Each model you named**")
    money = st.column_config.NumberColumn(format="dollar")
    st.dataframe(pd.DataFrame(rows), hide_index=True, key="named_models", column_config={"A month": money})


def _measured(card: Card) -> Card:
    """The card that is shown, with the times this person's measurements of its case gave it."""
    after = current.plan()
    latency = after.chosen.latency if after.chosen else None
    if latency is None or not current.timed():
        return card
    return replace(card, times={key: p95_of(latency, key) for key in OBJECTIVES}, speed=Grade.MEASURED)


def said_of_the_only(found: Answer | None) -> tuple[str, str]:
    """(what the one card there is says beyond its verdict, what its name means); nothing where there are more, or where
    it does not fit."""
    if found is None or len(found.cards) != 1 or not found.cards[0].candidate.fits:
        return "", ""
    card, plan = _measured(found.cards[0]), current.plan()
    served = precision_of(card.candidate)
    other = plan.precision is not None and served != precision_name(plan.precision.weights)
    misses = "" if current.timed() else _misses(card)  # the verdict holds what was measured against the limits
    told = [f"served in {served}" if other else "", *_times(card), _memory(card), _quality(card), misses]
    said = f"**{_name(card)}**: {in_markdown('; '.join(line for line in told if line))}."
    rest = _left(card), _why_none_is_safe(found)
    return " ".join((said, *(in_markdown(line) for line in rest if line))), _meaning(card)


def _name(card: Card) -> str:
    return " = ".join(NAMES[kind] for kind in card.kinds)


def _meaning(card: Card) -> str:
    return " ".join(TOLD[kind] for kind in card.kinds)


def _draw_card(card: Card, *, chosen: bool) -> None:
    usd_month = card.candidate.usd_per_month
    price = "not priced" if usd_month is None else f"{usd(usd_month)} a month"
    st.markdown(f"**{_name(card)}**{' (shown below)' if chosen else ''}", help=_meaning(card))
    lines = [_saving(card), _what(card), _where(card), *_times(card), _memory(card), _quality(card), _misses(card)]
    st.markdown("\n".join([f"### {in_markdown(price)}", *(f"- {in_markdown(line)}" for line in lines if line)]))


def _saving(card: Card) -> str:
    if busy := owned_accelerators(card.candidate):
        return f"keeps {plural(busy, 'accelerator')} of yours busy"
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
    grade = f", {card.speed.value}" if card.speed else ""
    said = [
        f"{SHORT_TIMES[key].lower()} {seconds(time.value)} ({seconds(time.low)} to {seconds(time.high)})"
        for key in asked
        if (time := card.times.get(key)) is not None
    ]
    return [f"95 of 100 within: {', '.join(said)}{grade}"] if said else []


def _memory(card: Card) -> str:
    """Where a start-up log that this person kept is of this very server."""
    memory = card.plan.chosen.memory if card.plan.chosen else None
    if memory is None or not memory.measured_here:
        return ""
    low, high = gib(memory.memory_bytes_per_gpu_low), gib(memory.memory_bytes_per_gpu_high)
    return f"memory of a GPU {gib(memory.memory_bytes_per_gpu)} ({low} to {high}); {Grade.MEASURED.value}"


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
