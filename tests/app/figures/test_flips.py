"""How far each assumption is from changing the decision, drawn."""

from __future__ import annotations

from app.figures.flips import Reach, reaches_to_flips


def test_bars_reach_to_the_flips_and_are_pale_where_nothing_flips() -> None:
    """Prompts flip half way up and not below; a price is looked at above only."""
    figure = reaches_to_flips(
        [
            Reach(name="Tokens in", down=None, up=0.5, up_said="2,048 tokens"),
            Reach(name="Price of <b>", down=0.0, up=0.25, up_said="$1 an hour"),
        ]
    )
    below, above, none_below, none_above = figure.data
    assert below.x == (0.0, 0.0)
    assert above.x == (0.5, 0.25)
    assert above.text == ("2,048 tokens", "$1 an hour")
    assert none_below.x == (-1, 0.0)
    assert none_above.x == (0.0, 0.0)
    assert "<b>" not in above.y[1]
    assert [note.text for note in figure.layout.annotations] == list(above.y)
    assert list(figure.layout.xaxis.ticktext) == ["¼", "½", "now", "2", "4"]
