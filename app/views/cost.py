"""The whole bill: the machines alone and everything beside them, what tokens cost, and hardware of one's own."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from app.exploring.finding import PageFinding
from app.exploring.own_hardware import (
    BUSY,
    PUE,
    TARIFF,
    YEARS,
    own_hardware,
    owned_finding,
    owned_scenario,
    power_of,
)
from app.exploring.token_cost import tokens_finding
from app.exploring.whole_bill import NONE, WholeBill, bill_asked, bill_finding, edited_week, whole_bill
from app.figures.bills import waterfall
from app.planning.plan import Plan
from app.planning.sentences import verdict
from app.scenario import PAGE_KEYS
from app.text import in_markdown
from app.views import current, inputs
from app.views.asking import amount, choice, draw_ending, draw_table, held, number, text
from app.views.parts import chart, old_price
from estimators.provenance import Refusal
from pricing.bill import CONTROL_PLANES, SUPPORT_PLANS
from pricing.commitments import week_of
from pricing.hours import DAYS

BILL_KEYS = ("week", *(key for key in PAGE_KEYS if key.startswith("bill_")))
OWN_KEYS = tuple(key for key in PAGE_KEYS if key.startswith("own_"))


def draw_boxes() -> None:
    """What may stand beside the machines; every box starts with nothing counted."""
    first = st.columns([1.6, 1, 1, 1, 1.4], vertical_alignment="bottom")
    text(first[0], "Week", "week", "always", "always, or 8-18x5@20: 8 to 18 o'clock on 5 days, 20 % otherwise.")
    number(first[1], "Spare machines", "bill_spare", 0, 100, 0, "N+1: one may fail and the load still fits.")
    number(first[2], "Minutes to start one", "bill_start", 0, 60, 10, "Boot, image and weights.")
    amount(first[3], "An engineer, %", "bill_people", 0, 10_000, 0, "150 is one and a half.")
    amount(first[4], "An engineer, $ a year", "bill_salary", 0, 1e7, None, "Everything included.", shown="yours")
    second = st.columns(5, vertical_alignment="bottom")
    choice(second[0], "Control plane", "bill_control", (NONE, *CONTROL_PLANES), NONE, "ECS itself is free on EC2.")
    number(second[1], "Load balancers", "bill_balancers", 0, 100, 0)
    amount(
        second[2],
        "Capacity units each",
        "bill_lcu",
        0,
        100_000,
        1,
        "One is 1 GB an hour, or 25 new connections a second.",
    )
    amount(second[3], "Logs, GB a month", "bill_logs", 0, 1e7, 0, "Taken in, and kept for a month.")
    amount(second[4], "Storage, GB a machine", "bill_storage", 0, 1e6, 0)
    third = st.columns([1, 1.2, 1.2, 1.6], vertical_alignment="bottom")
    amount(third[0], "Transfer out, GB a month", "bill_transfer", 0, 1e9, 0, "To the internet.")
    choice(third[1], "AWS Support", "bill_support", (NONE, *SUPPORT_PLANS), NONE, "Its share of the account's fee.")
    amount(third[2], "Account's other AWS, $ a month", "bill_other", 0, 1e9, 0, "It sets the band of the fee.")
    tip = "Dollars each, in place of published ones: balancer, lcu, logs, logs-kept, storage, transfer."
    text(third[3], "Your own rates", "bill_rates", "", tip, shown="storage:0.1, transfer:0.12")


def draw_week(week: str) -> None:
    """The week as a grid of days by hours, in percent of the peak; what it says goes into the box above."""
    with st.expander("Hour by weekday", key="week_fold", on_change="rerun") as fold:
        if not fold.open:
            return
        shares = week_of(week).shares
        hours = [f"{hour}" for hour in range(24)]
        rows = [[round(100 * share) for share in shares[24 * day : 24 * day + 24]] for day in range(7)]
        limits = {hour: st.column_config.NumberColumn(min_value=0, max_value=100, step=5, width=42) for hour in hours}
        with st.form("week_form", border=False):
            st.data_editor(pd.DataFrame(rows, index=list(DAYS), columns=hours), key="week_grid", column_config=limits)
            st.form_submit_button("Use these hours", on_click=_take_week, args=(shares,))


def _take_week(shares: tuple[float, ...]) -> None:
    st.session_state.week = edited_week(shares, st.session_state.week_grid["edited_rows"])


def draw_bill(plan: Plan) -> PageFinding | None:
    """The sentence and the picture first, then the boxes, then the numbers."""
    answer = st.container()
    draw_boxes()
    try:
        asked = bill_asked(held(BILL_KEYS))
        draw_week(asked.week)
        found = whole_bill(plan, asked)
    except Refusal as refusal:
        answer.error(in_markdown(str(refusal)), icon=":material/error:")
        return None
    finding = bill_finding(found)
    with answer:
        st.markdown(f"## {in_markdown(finding.sentence)}")
        st.markdown(f"The plan: {in_markdown(verdict(plan))}")
        _draw_picture(found, finding.sentence)
    draw_table(finding, key="bill_table")
    return finding


def _draw_picture(found: WholeBill, said: str) -> None:
    lines = [(line.label, float(line.usd)) for line in found.bill.lines]
    chart(waterfall(float(found.bill.list_usd), lines), key="bill_picture", alt=said)


def draw_tokens(plan: Plan) -> PageFinding | None:
    st.markdown("### What a million tokens cost")
    busy = st.slider(
        "Utilisation: share of the hours the machines work at this load, %",
        1,
        100,
        100,
        key="bill_busy",
        bind="query-params",
        persist_state="session",
    )
    finding = tokens_finding(plan, busy)
    if finding is None:
        st.info("There is no speed estimate or price for this plan, so tokens cannot be priced.")
        return None
    for column, (name, billed, always) in zip(st.columns(3), finding.rows, strict=True):
        column.metric(
            f"Per million {name.lower()} tokens, as billed",
            billed,
            border=True,
            delta=f"{always} if always busy",
            delta_color="off",
            delta_arrow="off",
        )
    for note in finding.notes:
        st.caption(in_markdown(note))
    return finding


def draw_owned(plan: Plan) -> PageFinding | None:
    st.markdown("### Hardware you own, as an offer beside the others")
    chosen = plan.chosen
    if chosen is None or chosen.placement is None:
        return None
    answer = st.container()
    fitted = f"{chosen.placement.gpus} x {chosen.machine.accelerator.name}"
    first = st.columns([1.6, 1, 1, 1.2], vertical_alignment="bottom")
    whole = "The whole machine: accelerators, host and network."
    amount(first[0], f"A machine with {fitted}, $", "own_purchase", 0, 1e8, None, whole, shown="what you paid")
    amount(first[1], "Years in use", "own_years", 0.5, 30, float(YEARS))
    amount(first[2], "Sold for then, $", "own_resale", 0, 1e8, 0, "Residual value at the end of these years.")
    amount(first[3], "Cost of capital, % a year", "own_capital", 0, 50, 0, "What the money earns elsewhere.")
    second = st.columns(4, vertical_alignment="bottom")
    kilowatts = f"{power_of(plan):g}, from the data sheet"
    amount(
        second[0],
        "Kilowatts when busy",
        "own_kw",
        0,
        1_000,
        None,
        "With half a kilowatt for the host.",
        shown=kilowatts,
    )
    number(second[1], "Busy, % of hours", "own_busy", 0, 100, BUSY)
    amount(second[2], "USD per kWh", "own_tariff", 0, 5, float(TARIFF))
    amount(second[3], "PUE", "own_pue", 1, 5, float(PUE), "Power of the building for each watt of the rack.")
    third = st.columns(3, vertical_alignment="bottom")
    amount(third[0], "Space, $ a year", "own_space", 0, 1e7, 0, "Racks, colocation, network.")
    amount(third[1], "Staff, $ a year", "own_staff", 0, 1e7, 0)
    amount(third[2], "Upkeep, $ a year", "own_upkeep", 0, 1e7, 0, "Support contracts, spares.")
    try:
        found = own_hardware(plan, held(OWN_KEYS), datetime.now(UTC).date())
    except Refusal as refusal:
        answer.error(in_markdown(str(refusal)), icon=":material/error:")
        return None
    if found is None:
        answer.info(f"Give the price of the machine, with its {fitted}, to see what an hour costs.")
        return None
    finding = owned_finding(found)
    answer.markdown(f"**{in_markdown(finding.sentence)}**")
    draw_table(finding, key="own_table")
    st.link_button("Open the plan on this machine", f"./?{urlencode(inputs.link_of(owned_scenario(plan, found)))}")
    return finding


result = current.plan()
if warning := old_price(result):
    st.warning(in_markdown(warning), icon=":material/history:")
billed = draw_bill(result)
tokens = draw_tokens(result)
st.page_link("views/apis.py", label="Rent tokens instead? API or machines")
owned = draw_owned(result)
if billed is not None:
    draw_ending(
        billed, (*BILL_KEYS, *OWN_KEYS), key="bill", also=[found for found in (tokens, owned) if found is not None]
    )
