"""Scaling laws against their own published checks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimators.provenance import Refusal
from estimators.quality.scaling_laws import (
    CHINCHILLA,
    CHINCHILLA_TOLERANCE,
    compute_optimal,
    default_law,
    iso_loss,
    laws,
    lifetime_optimal,
    trained_models,
)

CHINCHILLA_FLOPS = 5.76e23  # Hoffmann et al. 2022; the real one is 70e9 parameters on 1.4e12 tokens


@pytest.mark.parametrize(
    ("law", "params", "tokens", "ratio"),
    [
        ("epoch", 7.24e10, 1.33e12, 18.3),
        ("hoffmann-printed", 3.22e10, 2.98e12, 92.6),
        ("hoffmann-unrounded", 4.04e10, 2.38e12, 58.9),
    ],
)
def test_the_optimum_of_each_set_of_constants_at_the_chinchilla_budget(law, params, tokens, ratio):
    found = compute_optimal(CHINCHILLA_FLOPS, laws()[law])
    assert found.params == pytest.approx(params, rel=0.002)
    assert found.tokens == pytest.approx(tokens, rel=0.004)
    assert found.tokens_per_parameter == pytest.approx(ratio, abs=0.05)


def test_the_default_is_the_one_that_agrees_with_twenty_to_one():
    assert default_law().name == "epoch"
    assert compute_optimal(CHINCHILLA_FLOPS).law.name == "epoch"
    assert "contradicts" in laws()["hoffmann-printed"].note


def test_loss_of_chinchilla_worked_by_hand():
    # 482.0 / 70e9^0.34781 = 0.0815; 2085.4 / 1.4e12^0.36585 = 0.0751
    assert default_law().loss(70e9, 1.4e12) == pytest.approx(1.81686 + 0.0815 + 0.0751, abs=1e-4)


@given(st.floats(1e18, 1e27))
def test_the_optimum_spends_the_budget_and_no_neighbour_beats_it(flops):
    found = compute_optimal(flops)
    assert found.training_flops == pytest.approx(flops)
    for factor in (0.9, 1.1):
        assert default_law().loss(found.params * factor, found.tokens / factor) >= found.loss


def test_a_model_that_serves_nothing_is_compute_optimal():
    found = compute_optimal(CHINCHILLA_FLOPS)
    same = lifetime_optimal(found.loss, 0)
    assert same.params == pytest.approx(found.params, rel=1e-3)
    assert same.training_flops == pytest.approx(CHINCHILLA_FLOPS, rel=1e-5)


@given(st.floats(1e10, 1e14), st.floats(1.5, 100))
def test_the_more_it_serves_the_smaller_and_longer_trained(served, more):
    loss = compute_optimal(CHINCHILLA_FLOPS).loss
    some, many = lifetime_optimal(loss, served), lifetime_optimal(loss, served * more)
    assert many.params < some.params
    assert many.tokens_per_parameter > some.tokens_per_parameter
    assert many.loss == pytest.approx(loss)


def test_a_lifetime_of_2e12_tokens_saves_6_percent():
    # 50e9 parameters on 2.03e12 tokens instead of 72e9 on 1.33e12
    plain = compute_optimal(CHINCHILLA_FLOPS)
    found = lifetime_optimal(plain.loss, 2e12)
    assert found.params == pytest.approx(5.00e10, rel=0.002)
    lifetime = 6 * plain.params * plain.tokens + 2 * plain.params * 2e12
    assert found.lifetime_flops / lifetime == pytest.approx(0.935, abs=0.001)


def test_beyond_ten_thousand_tokens_a_parameter_nobody_looked():
    loss = compute_optimal(CHINCHILLA_FLOPS).loss
    assert not lifetime_optimal(loss, 1e13).extrapolated
    assert lifetime_optimal(loss, 1e19).extrapolated


def test_a_loss_below_the_floor_is_refused():
    with pytest.raises(Refusal) as refusal:
        lifetime_optimal(1.8, 1e12)
    assert refusal.value.field == "loss"


def test_no_data_brings_a_small_model_to_a_low_loss():
    assert default_law().tokens_for(1.9, 1e8) is None


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_nonsense_is_refused(bad):
    with pytest.raises(Refusal):
        compute_optimal(bad)


def test_chinchilla_itself_comes_out_within_the_stated_tolerance():
    found = compute_optimal(6 * CHINCHILLA[0] * CHINCHILLA[1])  # 5.88e23
    assert found.params == pytest.approx(70e9, rel=CHINCHILLA_TOLERANCE)
    assert found.tokens == pytest.approx(1.4e12, rel=CHINCHILLA_TOLERANCE)


@pytest.mark.parametrize("flops", [1e16, 1e29])
def test_a_budget_nobody_trains_with_is_refused_with_the_range(flops):
    with pytest.raises(Refusal, match=r"Give 1e\+17 to 1e\+28 FLOP") as refusal:
        compute_optimal(flops)
    assert refusal.value.field == "law_budget"


def test_one_loss_smaller_and_longer():
    loss = default_law().loss(70e9, 1.4e12)
    curve = iso_loss(loss, default_law(), (1e8, 40e9, 70e9, 200e9))
    assert [params for params, _ in curve] == [40e9, 70e9, 200e9]  # 100 million never reach it
    assert curve[1][1] == pytest.approx(1.4e12)
    assert curve[0][1] > curve[1][1] > curve[2][1]


def test_what_the_constants_were_fitted_on():
    assert not compute_optimal(1e20).beyond_the_fit
    assert compute_optimal(CHINCHILLA_FLOPS).beyond_the_fit


def test_known_models_are_dense_and_say_where_from():
    known = {model.label: model for model in trained_models()}
    assert known["Chinchilla 70B"].tokens_per_parameter == pytest.approx(20)
    assert known["Llama 3.1 8B"].tokens_per_parameter == pytest.approx(1868, rel=1e-3)  # 15e12 / 8.03e9
    assert all(model.source for model in known.values())
