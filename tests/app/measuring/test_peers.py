"""Another estimator stands beside ours on the same rows or not at all."""

from __future__ import annotations

import statistics
from collections import Counter

import pytest

from app.measuring.peers import FIGURES, REFUSED, Beside, answers, beside
from estimators.fitting.held_out import checked
from estimators.fitting.latency_accuracy import targets

SLOW = ("sweep", "hybrid")  # seconds each, so fewer were asked for
BY_WHAT = {target.what: target for target in targets()}


@pytest.fixture(params=beside(), ids=lambda found: found.what)
def found(request: pytest.FixtureRequest) -> Beside:
    line: Beside = request.param
    return line


def test_every_run_that_is_scored_was_asked_for_or_many_of_its_campaign() -> None:
    """Which runs are asked goes by their ids alone: all of a publication and kind, or as many as of any."""
    kinds = {f.id: (f.publication, f.kind) for f in checked()}
    asked = Counter(kinds[name] for name in answers())
    swept = Counter(kinds[name] for name, said in answers().items() if (said["mode"], said["database"]) == SLOW)
    most, most_swept = max(asked.values()), max(swept.values())
    for campaign in {(f.publication, f.kind) for t in targets() for f in t.figures if f.id not in answers()}:
        assert asked[campaign] == most or swept[campaign] == most_swept, campaign


def test_a_run_is_answered_or_refused_with_a_reason() -> None:
    for answer in answers().values():
        given = [answer[column] for column in FIGURES.values() if answer[column]]
        assert bool(given) != bool(answer["refused"]), answer
        assert not answer["refused"] or answer["refused"] in REFUSED
        assert bool(given) == (answer["database"] in {"silicon", "hybrid"})
        assert all(float(value) > 0.0 for value in given)


def test_the_table_is_of_one_version_on_one_day_and_of_rows_that_are_published() -> None:
    assert len({(answer["source"], answer["as_of"]) for answer in answers().values()}) == 1
    assert set(answers()) <= {figure.id for figure in checked()}


def test_both_are_scored_over_the_same_figures(found: Beside) -> None:
    """Counted here by hand: no figure that one of them lacks, none twice, and the medians are of these."""
    both = [f for f in BY_WHAT[found.what].figures if f.id in answers() and answers()[f.id][FIGURES[f.metric]]]
    assert found.ids == {figure.id for figure in both}
    assert found.ours.rows == found.theirs.rows == len(both) == len(found.ids)
    assert found.ours.publications == found.theirs.publications == len({figure.publication for figure in both})
    ours = [abs(figure.without_publication / figure.published - 1.0) for figure in both]
    theirs = [abs(float(answers()[f.id][FIGURES[f.metric]]) / f.published - 1.0) for f in both]
    assert found.ours.of_rows == pytest.approx(statistics.median(ours))
    assert found.theirs.of_rows == pytest.approx(statistics.median(theirs))


def test_what_it_does_not_answer_is_counted_apart(found: Beside) -> None:
    asked = [figure for figure in BY_WHAT[found.what].figures if figure.id in answers()]
    assert found.ours.rows + sum(found.refused.values()) == len(asked)


def test_every_kind_has_rows_of_several_publications(found: Beside) -> None:
    assert found.ours.rows >= 150
    assert found.ours.publications >= 2
