"""The dashboard's entry point: page settings, the question, the plan that is chosen, navigation. No arithmetic."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app.exploring.asking import known_models
from app.exploring.opened import refused, shown
from app.in_turn import LINE
from app.memory_kept import trim
from app.pages import FIRST
from app.planning.budget import leave, make_way, watch
from app.planning.planner import CHEAPEST, NEAR
from app.scenario import with_page_defaults
from app.sources import dashboard_sources
from app.views import card, cards, coming, current, header, inputs, kept, question_inputs
from app.views.navigation import navigation
from app.views.parts import style

PAGE = {
    "page_icon": str(Path(__file__).with_name("static") / "icon.svg"),
    "layout": "wide",
    "initial_sidebar_state": "collapsed",
}

st.html(style())
sources = dashboard_sources()
leave()  # a run that waits its turn is none that larger ones make way for
with LINE.place():
    watch(lambda: st.session_state.get("choice"))  # reading it ends the run of a visit that is over, or has moved on

    if st.context.is_embedded:
        st.set_page_config(page_title="Rightsize", **PAGE)
        inputs.canonicalise()
        card.draw(sources)
    else:
        page = navigation()
        st.set_page_config(page_title=f"{page.title} - Rightsize", **PAGE)
        inputs.canonicalise()  # after the navigation, so that a rerun stays on the page the link named
        kept.put_back(page.url_path)
        top = header.draw_title()
        inputs.draw(known_models(), sources.book.regions)
        question_inputs.draw(known_models(), list(sources.book.regions))
        held = st.session_state.to_dict()  # at once: each look by itself asks for the session again
        decoded, asked = inputs.read(held), question_inputs.asked(held)
        scenario = with_page_defaults(decoded.scenario)
        address = inputs.address(decoded.scenario) | question_inputs.carry(decoded.scenario, asked, held)
        kept.keep(page.url_path, inputs.BOXES + question_inputs.BOXES, address, held)
        sources.watch(scenario.region)
        if scenario.model is not None:
            sources.check_hub(scenario.model)
        own = current.own_measurements()
        run = current.begin(decoded, asked, sources, own)
        if (unknown := inputs.unknown_model()) is not None:
            found = refused(scenario, unknown)
        else:
            within = NEAR if page.url_path in FIRST else CHEAPEST
            choice = st.session_state.get("choice")
            found = shown(scenario, asked, choice, run.sources, current.own_scores(), within=within)
        result = current.settle(run, found, own)
        if make_way():
            trim()
        if unknown is None:
            header.draw_actions(top, result)
        header.draw_notices(result)
        coming.draw(result)
        cards.draw_choice()
        page.run()
