"""Evidence on quality is asked for by the names of the public vocabulary."""

from __future__ import annotations

import pytest

from estimators.precision import Weights
from estimators.quality.schemes import scheme_of


@pytest.mark.parametrize("weights", Weights)
def test_every_format_of_the_vocabulary_is_a_scheme(weights: Weights) -> None:
    assert scheme_of(weights.value) == weights.value
