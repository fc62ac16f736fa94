"""What would change a decision, in words: the three nearest, what is said where nothing flips, and the rows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.exploring.finding import as_lines
from app.exploring.flip_words import (
    finding_of,
    flips_as_json,
    likely_sentence,
    name_text,
    turning_sentence,
    value_text,
)
from app.exploring.flips import Decided, Outlook, decide
from app.exploring.likelihood import Likelihood
from app.exploring.outward import Flip
from app.exploring.standing import stand
from app.planning.contenders import PlanKey
from estimators.latency.intervals import Spread
from estimators.precision import Weights
from pricing.offers import PurchaseOption
from tests.app.exploring.test_flips import ONE, SERVED, decided, sources
from tests.app.planning.test_recommend import SMALL

FOUND = decide(stand(ONE, sources(**{"g6.xlarge": "0.80", "g6e.xlarge": "1.861"})))
OTHER = FOUND.rival
RATE = Outlook(key="rate", name="Requests a second", now=2.0, low=0.5, high=8.0)
KEY = PlanKey(SMALL, Weights.FP8, "g6e.xlarge", "us-east-1", PurchaseOption.ON_DEMAND)
LIKELY = Likelihood(
    apart=0.663, together=0.739, beaten_by=((KEY, 0.2),), none=0.02, metric="ttft",
    spread=Spread(low=-0.6314, high=0.8673, rows=2103, cell=""), traffic_percent=0.0, plans=7,
)  # fmt: skip


def with_outlooks(*outlooks: Outlook) -> Decided:
    return replace(FOUND, outlooks=outlooks)


def test_the_three_nearest_are_said_with_what_comes_then() -> None:
    speed = Outlook(key="speed", name="L4", now=1, low=1, high=4, up=Flip(value=1.5, before=1.49, to=None))
    prompt = Outlook(key="prompt", name="Tokens in", now=1024, low=256, high=4096,
                     up=Flip(value=2048, before=2047, to=OTHER))  # fmt: skip
    rate = replace(RATE, down=Flip(value=1.5, before=1.51, to=OTHER), up=Flip(value=7.9, before=7.89, to=OTHER))
    far = Outlook(key="ttft", name="", now=1.0, low=0.25, high=4, up=Flip(value=3.9, before=3.89, to=OTHER))
    assert turning_sentence(with_outlooks(speed, far, prompt, rate)) == (
        "Llama 3.1 8B in BF16 on g6.xlarge stays first until traffic falls to 1.5 requests a second "
        "(-25 %; then g6e.xlarge), every L4 takes 1.5 times as long as estimated (then no plan meets every limit) or "
        "prompts grow to 2,048 tokens (+100 %; then g6e.xlarge)."
    )


def test_the_runner_ups_price_is_the_same_ratio_and_not_said_twice() -> None:
    said = turning_sentence(FOUND)
    assert "g6.xlarge costs $1.861 an hour (+133 %; then g6e.xlarge)" in said
    assert "$0.8" not in said


def test_where_nothing_flips_the_range_is_said() -> None:
    assert turning_sentence(with_outlooks(RATE)) == (
        "Llama 3.1 8B in BF16 on g6.xlarge stays first whatever is moved, as far as was looked: "
        "a quarter to 4 times each value, a quality bar by 5 points."
    )
    (row,) = finding_of(with_outlooks(RATE), None).rows
    assert row == ("Requests a second", "2 requests a second", "no flip", "", "no flip", "", "0.5 to 8")


@pytest.mark.parametrize(
    ("likely", "said"),
    [
        (
            LIKELY,
            "Given the ranges of all speeds it is the cheapest in 66 to 74 % of cases; "
            "else it is most often g6e.xlarge.",
        ),
        (
            replace(LIKELY, together=0.663, beaten_by=()),
            "Given the ranges of all speeds it is the cheapest in 66 % of cases.",
        ),
        (
            replace(LIKELY, metric="", spread=None, traffic_percent=50.0, beaten_by=()),
            "Given the speeds as estimated and traffic within 50 % of what is asked "
            "it is the cheapest in 66 to 74 % of cases.",
        ),
        (
            replace(LIKELY, metric="", spread=None),
            "No speed enters into it: memory alone decides how many machines each plan takes.",
        ),
        (replace(LIKELY, plans=1), "No other plan meets every limit, whatever the speeds turn out to be."),
        (None, ""),
    ],
)  # fmt: skip
def test_how_likely_it_is_the_cheapest(likely: Likelihood | None, said: str) -> None:
    assert likely_sentence(FOUND, likely) == said


@pytest.mark.parametrize(
    ("key", "value", "said", "bare"),
    [
        ("price", 0.9777, "$0.9777 an hour", "$0.9777"),
        ("speed", 2.2, "2.2 times", "2.2"),
        ("quality", 0.985, "98.5 %", "98.5 %"),
        ("ttft", 0.445, "445 ms", "445 ms"),
        ("prompt", 2940.0, "2,940 tokens", "2,940"),
        ("rate", 16.6, "16.6 requests a second", "16.6"),
        ("rate", 20000.0, "20,000 requests a second", "20,000"),
        ("hours", 438.0, "438 hours a month", "438"),
    ],
)
def test_a_value_has_its_unit(key: str, value: float, said: str, bare: str) -> None:
    outlook = Outlook(key=key, name="", now=value, low=value, high=value)
    assert value_text(outlook, value) == said
    assert value_text(outlook, value, unit=False) == bare


def test_the_range_of_the_plans_own_speed_stands_beside_its_flip() -> None:
    speed = Outlook(key="speed", name="L4", now=1, low=1, high=4, up=Flip(value=1.5, before=1.49, to=OTHER))
    (row,) = finding_of(with_outlooks(speed), LIKELY).rows
    assert row[:2] == ("Times on L4, over the estimate", "1 times (80 % range 0.53 to 2.38)")
    assert row[4:6] == ("1.5 (+50 %)", "g6e.xlarge")


def test_what_was_not_looked_at_is_said() -> None:
    notes = finding_of(
        replace(FOUND, outlooks=(), stopped="This question was stopped after 6 s of work."), LIKELY
    ).notes
    assert notes[0] == "Not everything was looked at: This question was stopped after 6 s of work."
    assert "In 2 % of the cases no plan meets every limit." in notes
    assert any("66 % of the cases if accelerators err independently, in 74 % if all err alike" in n for n in notes)
    assert any("hours flip" in note or "they flip nothing" in note for note in finding_of(FOUND, None).notes)


def test_the_same_for_a_terminal_and_a_program() -> None:
    found = decided(SERVED)
    lines = list(as_lines(finding_of(found, None)))
    assert lines[0] == turning_sentence(found)
    assert any(line.startswith("  Requests a second") for line in lines)
    body = flips_as_json(found, LIKELY)
    assert body["cheapest_in"] == {"apart": 0.663, "together": 0.739}
    flips = {flip["key"]: flip for flip in body["flips"]}  # type: ignore[attr-defined]
    assert flips["rate"]["now"] == 6.0
    assert flips["price"]["up"]["before"] < flips["price"]["up"]["value"]
    assert body["plan"]["machine"] == found.chosen.label  # type: ignore[index]


def test_names_say_what_is_moved() -> None:
    names = [name_text(FOUND, outlook) for outlook in FOUND.outlooks]
    assert names == [
        "Price of g6.xlarge",
        "Price of g6e.xlarge, the runner-up",
        "Requests at a time",
        "Tokens in",
        "Tokens out",
    ]
