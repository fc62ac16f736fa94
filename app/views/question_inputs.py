"""The boxes of a recommendation: load and limits mirrored from the shared inputs, the bar, and what may be chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import streamlit as st

from app.exploring.asking import read_question
from app.exploring.decision_link import mark_of
from app.exploring.question_link import REFERENCE, Asked, encode_question
from app.planning.question import USUAL_WEIGHTS
from app.planning.sentences import option_name, precision_name
from app.scenario import FROZEN, QUESTION_KEYS, Scenario, encode
from app.sources import dashboard_sources
from app.views.kept import into_address
from estimators.hardware.catalogue import accelerators
from estimators.precision import Weights
from estimators.quality.tasks import Task
from pricing.offers import PurchaseOption
from pricing.regions import region_label, regions_within
from pricing.regions import regions as all_regions

PRICE = ("price", "price_as_of")
SHOWN_IN_WORDS = ("region", "buy")
BOXES = (
    "bar_percent", "bar_reference", "bar_task", "bar_reasoning", "bar_budget",
    "q_models", "q_weights", "q_regions", "q_ways", "q_vendors", "q_owned",
)  # fmt: skip


def draw(models: Sequence[str], regions: list[str]) -> None:
    """What may be chosen beyond the model as published, folded; and the parameters that carry it."""
    with st.expander("Any model good enough, budget, own hardware", key="choices", on_change="rerun") as fold:
        if not fold.open:
            return  # the session keeps what the boxes hold, and `carry` the address
        _draw_bar(models)
        _draw_choices(models, regions)


def carry(scenario: Scenario, asked: Asked, held: Mapping[str, object]) -> dict[str, str]:
    """Parameters without a box of their own, in boxes nobody sees: a bound box is what keeps the address bar, on every
    page. They hold the question, and the price and figures of a decision link while these stand; returned as well."""
    flat = encode_question(asked)
    flat |= {key: text for key, text in encode(scenario).items() if key in (*PRICE, *SHOWN_IN_WORDS)}
    if scenario.price is not None and mark_of(scenario) == st.session_state.frozen.get("decision"):
        flat |= st.session_state.frozen
    with st.container(key="carried"):
        for key in (*QUESTION_KEYS, *PRICE, *FROZEN, *SHOWN_IN_WORDS):
            if key != "choice" and (flat.get(key) or held.get(key)):
                st.session_state[key] = flat.get(key, "")
                if flat.get(key):
                    into_address(key, flat[key])
                    st.text_input(key, key=key, bind="query-params", label_visibility="collapsed")
    return flat


def read_link() -> Asked:
    """Once per session, before any box: what the link of the visit asks, put into the boxes."""
    state = st.session_state
    raw = {key: ",".join(st.query_params.get_all(key)) for key in QUESTION_KEYS if key in st.query_params}
    link, state.question_problems = read_question(raw, dashboard_sources())
    state.linked_question = link
    boxes = {
        "task": link.use or None,
        "q_models": list(link.models),
        "q_weights": list(link.weights),
        "q_regions": list(link.regions),
        "q_ways": list(link.options),
        "q_vendors": list(link.vendors),
        "bar_percent": link.percent,
        "bar_reference": link.reference if link.percent is not None else None,
        "bar_task": link.task if link.percent is not None else None,
        "bar_reasoning": link.reasoning,
        "bar_budget": float(link.budget) if link.budget is not None else None,
        "q_owned": link.owned,
    }
    for key, value in boxes.items():
        if value:
            state[key] = value
    return link


def asked(held: Mapping[str, Any]) -> Asked:
    """What the session holds of the question."""
    return Asked(
        use=held.get("task") or "",
        models=tuple(held.get("q_models") or ()),
        weights=tuple(held.get("q_weights") or ()),
        regions=tuple(held.get("q_regions") or ()),
        options=tuple(held.get("q_ways") or ()),
        vendors=tuple(held.get("q_vendors") or ()),
        percent=held.get("bar_percent") or None,
        reference=held.get("bar_reference") or REFERENCE,
        task=Task(held.get("bar_task") or Task.INSTRUCTION_FOLLOWING),
        reasoning=bool(held.get("bar_reasoning")),
        budget=Decimal(str(held["bar_budget"])) if held.get("bar_budget") else None,
        owned=held.get("q_owned") or "",
    )


def _draw_bar(models: Sequence[str]) -> None:
    first, second, third, fourth = st.columns([1, 2.1, 2, 1.2])
    first.number_input(
        "Keep at least, %",
        min_value=1.0,
        max_value=200.0,
        value=None,
        step=1.0,
        format="%g",
        key="bar_percent",
        placeholder="no bar",
        persist_state="session",
        help="Of the reference model's published score. 99 is within 1 %.",
    )
    second.selectbox(
        "of the quality of",
        models,
        index=models.index(st.session_state.get("bar_reference") or REFERENCE),
        key="bar_reference",
        persist_state="session",
    )
    third.selectbox("on", list(Task), key="bar_task", format_func=_task_name, persist_state="session")
    fourth.number_input(
        "Budget, $ a month",
        min_value=1.0,
        max_value=1e9,
        value=None,
        step=100.0,
        format="%g",
        key="bar_budget",
        placeholder="no limit",
        persist_state="session",
    )


def _draw_choices(models: Sequence[str], regions: list[str]) -> None:
    left, right = st.columns(2)
    with left:
        st.multiselect(
            "Models",
            models,
            key="q_models",
            persist_state="session",
            placeholder="all measured beside the reference; without a bar, the model above",
            accept_new_options=True,
            help="Or type any Hub id, or a size such as 8B or 30B-A3B.",
        )
        st.multiselect(
            "Precisions",
            [weights for weights in Weights if weights is not Weights.FP32],
            key="q_weights",
            format_func=precision_name,
            persist_state="session",
            placeholder=", ".join(precision_name(weights) for weights in USUAL_WEIGHTS),
        )
        vendors = sorted({chip.vendor for chip in accelerators().values()})
        st.multiselect(
            "Makers of accelerators", vendors, key="q_vendors", persist_state="session", placeholder="NVIDIA"
        )
        st.toggle(
            "Count scores taken while the model reasons",
            key="bar_reasoning",
            persist_state="session",
            help="Reasoning spends output tokens: raise Tokens out to what it takes.",
        )
    with right:
        st.multiselect(
            "Regions",
            [*_areas(regions), *regions],
            key="q_regions",
            format_func=_region_name,
            filter_mode="contains",
            on_change=_spread_areas,
            persist_state="session",
            placeholder="the region above",
            help="A whole area becomes its regions. London and Zurich are outside the EU.",
        )
        st.multiselect(
            "Ways to pay",
            list(PurchaseOption),
            key="q_ways",
            format_func=option_name,
            persist_state="session",
            placeholder="the payment above",
        )
        st.text_area(
            "Only hardware I have, a line each",
            key="q_owned",
            persist_state="session",
            max_chars=800,
            height=104,
            placeholder="8 x A100-80GB\n4 x L40S @ 0.50",
            help="Count, accelerator, and if it costs you something, dollars per GPU and hour. Blank: rent on AWS.",
        )


def _areas(sold: list[str]) -> list[str]:
    return sorted({region.area for region in all_regions() if region.region in sold})


def _region_name(option: str) -> str:
    within = regions_within(frozenset({option})) & set(dashboard_sources().book.regions)
    return f"all of: {option} ({len(within)})" if within else region_label(option)


def _spread_areas() -> None:
    """An area that was chosen becomes its regions, which is what a question and its link name."""
    chosen: list[str] = st.session_state.q_regions
    sold = dashboard_sources().book.regions
    within = (sorted(regions_within(frozenset({option})) & set(sold)) or [option] for option in chosen)
    st.session_state.q_regions = list(dict.fromkeys(region for group in within for region in group))


def _task_name(task: Task) -> str:
    return task.value.replace("-", " ")
