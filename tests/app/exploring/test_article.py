"""The article's example of quantization, published beside estimated."""

from __future__ import annotations

import pytest

from app.exploring.article import article_rows
from app.sources import shared_sources


def test_the_articles_row_stands_beside_our_estimate() -> None:
    """Published: 3.4 s and 1.5 s for 1,024 in and 128 out on one RTX A6000; 70.3 and 69.8 on OpenLLM v1, 99.3 %."""
    wide, packed = article_rows(shared_sources())
    assert (wide.e2e_published_s, packed.e2e_published_s) == (3.4, 1.5)
    assert (wide.score, packed.score) == (70.3, 69.8)
    assert packed.recovery == pytest.approx(0.993, abs=5e-4)
    assert wide.weights_bytes == pytest.approx(16.34e9, rel=0.01)
    assert packed.weights_bytes is not None
    assert packed.weights_bytes < 0.33 * (wide.weights_bytes or 0)
    for row in (wide, packed):
        assert row.e2e_estimated_s == pytest.approx(row.e2e_published_s, rel=0.25)
        assert row.sources
