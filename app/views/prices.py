"""Offers of every machine: explore, rank regions, see the history, take away as CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial

import pandas as pd
import streamlit as st

from app.figures.prices import price_history, region_ranking
from app.format import plural
from app.planning.plan import Plan
from app.planning.sentences import option_name, source_phrase
from app.sources import LocalSources, dashboard_sources
from app.text import in_markdown, in_spreadsheet
from app.views import current
from app.views.parts import chart
from estimators.hardware.catalogue import accelerators
from pricing.explorer import ExplorerRow, Filter, RankBy, cheapest_regions, explore
from pricing.instances import instances
from pricing.offers import Listing, PurchaseOption
from pricing.regions import regions as all_regions
from pricing.regions import regions_within

MOST_ROWS = 500
RANKS = {
    "an hour": RankBy.HOUR,
    "an accelerator-hour": RankBy.ACCELERATOR_HOUR,
    "a GiB-hour": RankBy.GIB_HOUR,
    "a TFLOP-hour": RankBy.TFLOP_HOUR,
}


@lru_cache(maxsize=1)
def _peaks() -> Mapping[str, float]:
    """Dense 16-bit TFLOP/s of each accelerator, where the data sheet says."""
    return {name: chip.flops_16bit / 1e12 for name, chip in accelerators().items() if chip.flops_16bit}


@lru_cache(maxsize=1)
def _areas() -> list[str]:
    return sorted({region.area for region in all_regions()})


def draw_status(sources: LocalSources, region: str) -> None:
    status = sources.book.status(region, Listing.PRICE_LIST)
    st.markdown(f"**{in_markdown(region)}**: {in_markdown(status.sentence)}")
    for remark in status.remarks:
        st.caption(in_markdown(remark))
    if sources.book.unreadable:
        rows = plural(sources.book.unreadable, "kept price")
        st.caption(f"{rows} cannot be read, being damaged or of another version of this tool, and left out.")


def draw_explorer(sources: LocalSources, plan: Plan) -> None:
    st.markdown("### Every offer")
    if plan.asked.discount or plan.asked.negotiated:
        st.caption("List prices: what you negotiated is taken off in plans and not here.")
    first, second, third, fourth = st.columns([1, 1, 1.3, 1])
    names = sorted({instance.accelerator for instance in instances()})
    chips = first.multiselect("Accelerators", names, key="price_chips", placeholder="any")
    areas = second.multiselect(
        "Allowed areas", _areas(), key="price_areas", placeholder="any", help="For data residency."
    )
    options = third.multiselect(
        "Payment",
        [option.value for option in PurchaseOption],
        default=[plan.asked.buy.value],
        format_func=lambda option: option_name(PurchaseOption(option)),
        key="price_options",
        placeholder="any",
    )
    rank = fourth.selectbox("Cheapest by", list(RANKS), key="price_rank")
    least = st.slider("Accelerator memory of the machine, GiB at least", 0, 1200, 0, step=8, key="price_memory")
    wanted = Filter(
        accelerators=frozenset(chips) or None,
        least_memory_gib=float(least),
        regions=regions_within(frozenset(areas)) if areas else None,
        options=frozenset(PurchaseOption(option) for option in options) or None,
    )
    rows = explore(sources.book, wanted, rank_by=RANKS[rank], peak_tflops=_peaks())
    st.caption(
        f"{len(rows):,} offers"
        + (f"; the first {MOST_ROWS} are shown, the CSV has all." if len(rows) > MOST_ROWS else ".")
    )
    if not rows:
        st.info("Not offered: no known price passes these filters.")
        return
    st.dataframe(
        pd.DataFrame([_row(row) for row in rows[:MOST_ROWS]]),
        hide_index=True,
        key="offers",
        height=420,
        column_config={
            name: st.column_config.NumberColumn(format=f"$%.{places}f")
            for name, places in (("$/h", 4), ("$/GPU-h", 4), ("$/GiB-h", 5), ("$/TFLOP-h", 5))
        },
    )
    st.download_button(
        "Download CSV", partial(_csv, rows), "offers.csv", "text/csv", key="offers_csv", on_click="ignore"
    )


def _csv(rows: Sequence[ExplorerRow]) -> str:
    return pd.DataFrame([_row(row) for row in rows]).to_csv(index=False)


def _row(row: ExplorerRow) -> dict[str, object]:
    offer, instance = row.offer, row.instance
    return {
        "Machine": offer.instance_type,
        "Accelerators": f"{instance.accelerator_count * instance.partition:g} x {instance.accelerator}",
        "Region": offer.region,
        "Payment": option_name(offer.option),
        "$/h": float(offer.usd_per_hour),
        "$/GPU-h": float(row.usd_per_accelerator_hour),
        "$/GiB-h": float(row.usd_per_gib_hour),
        "$/TFLOP-h": float(row.usd_per_tflop_hour) if row.usd_per_tflop_hour is not None else None,
        "Price": source_phrase(offer),
        "From": in_spreadsheet(offer.origin),  # tables have a button that makes a CSV of them
    }


def draw_machine(sources: LocalSources, plan: Plan) -> None:
    chosen = plan.chosen
    if chosen is None or chosen.machine.instance is None:
        return
    name, option = chosen.machine.instance.instance_type, plan.asked.buy
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(f"### Cheapest regions for {in_markdown(name)}")
        ranked = cheapest_regions(sources.book, name, option)
        if ranked:
            figure = region_ranking(ranked[:12], plan.asked.region)
            chart(figure, key="region_prices", alt=f"Hourly price of {name} by region.")
            faint = " Faint bars, behind the others, are old prices." if any(offer.stale for offer in ranked) else ""
            st.caption(f"{option_name(option)}; {plural(len(ranked), 'region')} known to offer it.{faint}")
        else:
            st.info(in_markdown(f"{name} is not offered as {option_name(option)} in any known region."))
    with right:
        st.markdown(f"### Price of {in_markdown(name)} in {in_markdown(plan.asked.region)}")
        points = sources.book.history(name, plan.asked.region, option)
        if points:
            chart(price_history(points), key="history", alt=f"Dated prices of {name}.")
            st.caption(
                "Each mark is a dated row or a live reading; a change is a new row and old ones are kept. "
                "The plan takes the newest price; where an older row of the same price names a source that can be "
                "looked up and the newest does not, it is that row and its date that are shown."
            )
        else:
            st.info("No dated price is known here.")


result, book_sources = current.plan(), dashboard_sources()
st.markdown("## What machines cost")
draw_status(book_sources, result.asked.region)
draw_machine(book_sources, result)
draw_explorer(book_sources, result)
