"""Which of several models is the cheapest, and why the others are not."""

from __future__ import annotations

from functools import partial

from app.exploring.named_models import MOST, named_models, usd_of
from app.format import usd
from app.planning.question import Question
from app.planning.recommend import recommend
from app.scenario import Scenario
from tests.app.planning.test_recommend import LARGE, SMALL, SOURCES

RECOMMENDED = partial(recommend, sources=SOURCES)


def test_each_named_model_has_its_cheapest_plan_and_what_it_costs_more():
    question = Question(scenario=Scenario(), models=(LARGE, SMALL))
    large, small = named_models(question, RECOMMENDED)
    assert small.why_not == ""
    assert large.why_not == f"{usd(usd_of(large.candidate) - usd_of(small.candidate))} a month more"
    assert (
        usd_of(large.candidate)
        == recommend(Question(scenario=Scenario(), models=(LARGE,)), SOURCES).plans[0].candidate.usd_per_month
    )


def test_a_model_without_a_plan_says_which_limit_it_fails():
    question = Question(scenario=Scenario(tpot=0.004), models=(LARGE, SMALL))
    large, _ = named_models(question, RECOMMENDED)
    assert large.candidate is None
    assert large.why_not.startswith("No plan meets every limit. The last one standing, Llama 3.1 70B in ")


def test_a_model_that_is_not_known_is_named():
    unknown, small = named_models(Question(scenario=Scenario(), models=("no/such-model", SMALL)), RECOMMENDED)
    assert unknown.candidate is None
    assert unknown.why_not
    assert small.candidate is not None


def test_the_table_is_bounded():
    question = Question(scenario=Scenario(), models=tuple(f"{size}B" for size in range(1, MOST + 4)))
    assert len(named_models(question, RECOMMENDED)) == MOST
