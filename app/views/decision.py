"""The decision of a link held against today, and what can be taken away from a recommendation."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial

import pandas as pd
import streamlit as st

from app.exploring.calibration import Standing, recorded
from app.exploring.decision_link import Decision, Review, freeze, review
from app.exploring.question_link import with_question
from app.exploring.report_page import plans_csv, plans_json, report_html
from app.format import MEMORY_PER_GPU, MONTHLY_COST, gib, p95, seconds, usd
from app.planning.plan import Candidate, Plan
from app.planning.recommendation import Recommendation
from app.sources import dashboard_sources
from app.text import in_markdown
from app.views.copy_link import copy_link
from estimators.latency.estimate import TIMES

NAMES = {
    "usd_month": MONTHLY_COST,
    "memory": MEMORY_PER_GPU,
    **{key: p95(name) for key, name in TIMES.items()},
}


def query_of(plan: Plan, question: Mapping[str, str]) -> str:
    """The decision link of a plan, with the question it answers, without the page's address."""
    link = freeze(plan, datetime.now(UTC).date(), dashboard_sources())
    return with_question(link, {key: text for key, text in question.items() if key != "choice"})


def first_page(address: str | None) -> str:
    """The address of the first page, from that of the one that is shown; nothing when the browser does not say."""
    return f"{address.removesuffix('/recommend').rstrip('/')}/" if address and "://" in address else ""


def draw_exports(plan: Plan, chosen: Candidate, answer: Recommendation, question: Mapping[str, str]) -> None:
    """Report of the plan that is shown; all plans as CSV and JSON; the card. Each is made when it is asked for."""
    plans = [ranked.plan for ranked in answer.plans]
    query, today = query_of(plan, question), datetime.now(UTC).date()
    link = f"{first_page(st.context.url)}?{query}"
    report = partial(report_html, plan, link=link, today=today, answer=answer, chosen=chosen)
    first, second, third, fourth = st.columns(4)
    first.download_button("Report, one page", report, "decision.html", "text/html", width="stretch", on_click="ignore")
    second.download_button(
        "Plans as CSV", partial(plans_csv, plans), "plans.csv", "text/csv", width="stretch", on_click="ignore"
    )
    third.download_button(
        "Plans as JSON",
        lambda: json.dumps(plans_json(plans, answer), indent=2, allow_nan=False),
        "plans.json",
        "application/json",
        width="stretch",
        on_click="ignore",
    )
    with fourth:
        copy_link(query, label="Copy card's HTML", card=True)


def draw_decision(decision: Decision, *, use_today: Callable[[], None]) -> None:
    """What the link says was decided, beside ours, and whether it would be decided so today."""
    found = review(decision, dashboard_sources())
    with st.container(border=True, key="decided_box"):
        text, button = st.columns([5, 1], vertical_alignment="center")
        said = " ".join(banner(found))
        text.markdown(f"**Decided on {decision.on.isoformat()}, from the link:** {in_markdown(said)}")
        button.button("Use today's price", on_click=use_today, width="stretch")
        rows = [
            {
                "": NAMES[figure.key],
                "From the link": _text(figure.key, figure.link),
                "Computed now at the link's price": _text(figure.key, figure.ours),
                "At today's price": _text(figure.key, figure.today),
            }
            for figure in found.figures
        ]
        with st.expander("The decided figures beside ours", key="decided"):
            st.dataframe(pd.DataFrame(rows), hide_index=True, key="decided_figures")


def banner(found: Review) -> list[str]:
    """What changed since, one line each."""
    decision = found.decision
    cost = next(figure for figure in found.figures if figure.key == "usd_month")
    said = f"{usd(cost.link)} a month" if cost.link is not None else "no monthly cost"
    lines = [f"{said} on {decision.scenario.instance or decision.scenario.gpu}."]
    if found.machine_gone:
        lines.append("That machine, or its model, is not known here today, so its figures cannot be checked.")
    if found.altered:
        names = ", ".join(NAMES[figure.key].lower() for figure in found.altered)
        made_by = "" if found.calibration is not Standing.UNKNOWN else f", and {_unknown(decision.formula)}"
        lines.append(
            f"Not ours: {names} in the link is not what its inputs come to{made_by}. Trust the figures computed now."
        )
    if found.price_known is False:
        lines.append("The price in the link is in no price list this page knows.")
    if cost.moved is not None and cost.today is not None:
        same = abs(cost.moved) < 0.0005
        change = "the same" if same else f"{usd(cost.today)} a month, {100 * cost.moved:+.1f} %"
        lines.append(f"At today's price: {change}.")
    if found.calibration is Standing.EARLIER:
        of = f"{decision.formula}, of {recorded()[decision.formula].since.isoformat()}"
        names = ", ".join(f"{NAMES[f.key].lower()} {_text(f.key, f.ours)}" for f in found.refitted)
        lines.append(f"Computed with an earlier calibration ({of})" + (f"; now: {names}." if names else "."))
    if found.flips:
        lines.append(
            f"The decision flips: today {found.cheapest_now} is the cheapest machine, then {decision.cheapest}."
        )
    elif found.flips is False:
        lines.append(f"The decision stands: {found.cheapest_now} is still the cheapest machine for this.")
    return lines


def _unknown(formula: str) -> str:
    """Of a version that no record of ours holds. It was read as digits, so it needs no quoting."""
    return f"its calibration, {formula}, is none known here" if formula else "it names no calibration"


def _text(key: str, value: float | None) -> str:
    if value is None:
        return "unknown"
    if key == "usd_month":
        return usd(value)
    return gib(value) if key == "memory" else seconds(value)
