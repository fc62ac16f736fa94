"""The bill in depth: hours that follow the load, tokens at your utilisation, and hardware of one's own."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import urlencode

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.exploring.token_cost import bill_of, prices_of_tokens
from app.format import significant, usd
from app.planning.plan import Plan
from app.planning.sentences import load_phrase, verdict
from app.text import in_markdown
from app.views import current, inputs
from app.views.parts import how, old_price
from pricing.bill import Extras
from pricing.cost import monthly_cost
from pricing.hours import DAYS, WeekProfile, always, business_hours
from pricing.offers import PurchaseOption
from pricing.owned import OwnedMachine, owned_offer, owned_terms, typical_power_kw

ALWAYS, OFFICE, WEEK = "every hour", "business hours", "hour by weekday"


def _profile() -> WeekProfile:
    kind = st.segmented_control("Load", [ALWAYS, OFFICE, WEEK], default=ALWAYS, key="profile", required=True)
    if kind == WEEK:
        return _own_week()
    if kind != OFFICE:
        return always()
    first, second, third, fourth = st.columns(4)
    start = first.number_input("From, o'clock", 0, 23, 8, key="profile_from")
    end = second.number_input("To, o'clock", 1, 24, 18, key="profile_to")
    days = third.number_input("Days a week", 1, 7, 5, key="profile_days")
    rest = fourth.number_input("Load otherwise, % of peak", 0, 100, 0, key="profile_rest")
    return business_hours(min(start, end - 1), end, days, rest / 100)


def _own_week() -> WeekProfile:
    """A grid of 7 days by 24 hours, in percent of the peak, that starts from business hours."""
    start = business_hours().shares
    hours = [f"{hour}" for hour in range(24)]
    grid = pd.DataFrame(
        [[round(share * 100) for share in start[24 * day : 24 * day + 24]] for day in range(7)],
        index=list(DAYS),
        columns=hours,
    )
    limits = {hour: st.column_config.NumberColumn(min_value=0, max_value=100, step=5, width=42) for hour in hours}
    edited = st.data_editor(grid, key="week", column_config=limits)
    shares = edited.fillna(0).clip(0, 100).to_numpy().flatten() / 100
    return WeekProfile(shares=tuple(float(share) for share in shares))


def _extras() -> Extras:
    """Storage and transfer as entered. Their rates depend on region and class, so no rate is filled in beforehand."""
    columns = st.columns(4)
    storage = columns[0].number_input("Storage, GB per machine", 0, 100_000, 0, key="storage_gb")
    storage_rate = _rate(columns[1], "USD per GB-month of storage", key="storage_rate")
    egress = columns[2].number_input("Transfer out, GB a month", 0, 10_000_000, 0, key="egress_gb")
    egress_rate = _rate(columns[3], "USD per GB of transfer", key="egress_rate")
    for what, amount, rate in (("storage", storage, storage_rate), ("transfer", egress, egress_rate)):
        if amount and not rate:
            st.info(f"Give the rate of {what} to see it in the bill.")
    return Extras(
        storage_gb=Decimal(storage if storage_rate else 0),
        storage_usd_per_gb_month=storage_rate,
        egress_gb_per_month=Decimal(egress if egress_rate else 0),
        egress_usd_per_gb=egress_rate,
    )


def _rate(column: DeltaGenerator, label: str, *, key: str) -> Decimal:
    """A rate as typed; 0 while the box is empty."""
    typed = column.number_input(label, 0.0, 10.0, None, format="%.4f", key=key, placeholder="yours")
    return Decimal(repr(typed or 0.0))


def draw_bill(plan: Plan) -> None:
    st.markdown("### The month's bill")
    profile = _profile()
    first, second = st.columns(2)
    spare = first.number_input("Spare machines (N+1)", 0, 10, 0, key="spare")
    start = second.number_input(
        "Minutes to start a machine", 0, 60, 10, key="start_minutes", help="Boot, image and weights."
    )
    extras = _extras()
    bill = bill_of(plan, profile, extras, spare=spare, start_hours=start / 60)
    if bill is None:
        st.info("There is no price for this machine here, so there is no bill.")
        return
    columns = st.columns(4)
    columns[0].metric("As billed", usd(bill.usd_per_month), border=True)
    columns[1].metric("If left on all month", usd(bill.always_on_usd_per_month), border=True)
    columns[2].metric("Machines, mean", significant(bill.mean_instances, 3), border=True)
    columns[3].metric("Instance hours", f"{bill.instance_hours:,.0f}", border=True)
    st.caption(
        in_markdown(f"Not included: {bill.not_included}. Load averages {profile.mean:.0%} of its peak over the week.")
    )
    how(bill.terms, key="why_bill", label="Formula and source of every line")


def draw_tokens(plan: Plan) -> None:
    st.markdown("### What a million tokens cost")
    share = st.slider(
        "Utilisation: share of the hours the machines work at this load, %", 1, 100, 100, key="utilisation"
    )
    prices, full = prices_of_tokens(plan, share / 100), prices_of_tokens(plan, 1.0)
    if prices is None or full is None:
        st.info("There is no speed estimate or price for this plan, so tokens cannot be priced.")
        return
    columns = st.columns(3)
    for column, name, here, busy in (
        (columns[0], "input", prices.usd_per_million_input, full.usd_per_million_input),
        (columns[1], "output", prices.usd_per_million_output, full.usd_per_million_output),
        (columns[2], "blended", prices.usd_per_million_blended, full.usd_per_million_blended),
    ):
        column.metric(
            f"Per million {name} tokens, as billed",
            usd(here),
            border=True,
            delta=f"{usd(busy)} if always busy",
            delta_color="off",
            delta_arrow="off",
        )
    cost = plan.chosen.cost if plan.chosen else None
    whole = cost.usd_per_million_output_tokens if cost else None
    alone = f"; with nothing charged for input it is {usd(whole)}, the figure of the first screen" if whole else ""
    st.caption(
        in_markdown(
            f"At this load ({load_phrase(plan.asked)}). As billed spreads the bill over the tokens served; if busy is "
            "the same machines without an idle second. Input and output are split by the machine time each takes: a "
            f"million output tokens, always busy, cost {usd(full.usd_per_million_output)}{alone}. More requests at a "
            "time make every token cheaper."
        )
    )


def draw_owned(plan: Plan) -> None:
    st.markdown("### Hardware you own, as an offer beside the others")
    chosen = plan.chosen
    if chosen is None or chosen.placement is None:
        return
    first, second, third, fourth = st.columns(4)
    name = chosen.machine.accelerator.name
    purchase = first.number_input(
        f"Price of a machine with {chosen.placement.gpus} x {name}, USD",
        min_value=0,
        max_value=10_000_000,
        value=None,
        step=1_000,
        key="own_purchase",
        placeholder="what you paid",
        help="The whole machine: accelerators, host and network.",
    )
    years = second.number_input("Years in use", 0.5, 15.0, 4.0, step=0.5, key="own_years")
    default_kw = typical_power_kw(chosen.machine.accelerator.tdp_watts, chosen.placement.gpus)
    power = third.number_input(
        "Power when busy, kW",
        0.0,
        200.0,
        default_kw,
        key="own_kw",
        help="Starts from the data sheet, and half a kilowatt for the host.",
    )
    busy = fourth.number_input("Busy, % of hours", 0, 100, 30, key="own_busy")
    first, second, third, fourth = st.columns(4)
    tariff = first.number_input("USD per kWh", 0.0, 2.0, 0.12, format="%.3f", key="own_tariff")
    pue = second.number_input(
        "PUE", 1.0, 3.0, 1.4, key="own_pue", help="Power of the building for each watt of the rack."
    )
    upkeep = third.number_input(
        "Upkeep, USD a year", 0, 1_000_000, 0, key="own_upkeep", help="Colocation, support, spares."
    )
    if purchase is None:
        st.info(f"Give the price of the machine, with its {chosen.placement.gpus} x {name}, to see what an hour costs.")
        return
    machine = OwnedMachine(
        name=name,
        purchase_usd=Decimal(purchase),
        years=Decimal(repr(years)),
        power_kw=Decimal(repr(power)),
        usd_per_kwh=Decimal(repr(tariff)),
        pue=Decimal(repr(pue)),
        utilisation=Decimal(busy) / 100,
        upkeep_usd_per_year=Decimal(upkeep),
    )
    offer = owned_offer(machine, region=plan.asked.region, today=datetime.now(UTC).date())
    month = monthly_cost(offer=offer, instances=max(1, chosen.replicas), hours=plan.asked.hours).usd_per_month
    rented = chosen.cost.usd_per_month if chosen.cost else None
    beside = f", beside {usd(rented)} rented" if rented is not None else ""
    fourth.metric("Owned, a month", usd(month))
    said = f"{usd(offer.usd_per_hour, cents=True)} an hour, {usd(month)} a month{beside}."
    st.markdown(f"**{in_markdown(said)}**")
    how(owned_terms(machine), key="why_owned", label="Formula of every part")
    scenario = replace(
        plan.resolved,
        instance=None,
        gpu=name,
        buy=PurchaseOption.OWNED,
        price=offer.usd_per_hour,
        price_as_of=offer.as_of,
    )
    st.link_button("Open the plan on this machine", f"./?{urlencode(inputs.link_of(scenario))}")


result = current.plan()
st.markdown(f"## {in_markdown(verdict(result))}")
if warning := old_price(result):
    st.warning(in_markdown(warning), icon=":material/history:")
draw_bill(result)
draw_tokens(result)
st.page_link("views/apis.py", label="Rent tokens instead? API or machines")
draw_owned(result)
