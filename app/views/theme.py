"""The theme's colours for our own sheets of styles, which Streamlit tells its components only."""

from __future__ import annotations

from functools import lru_cache

from streamlit import config

_NAMED = {
    "primary": "primaryColor",
    "page": "backgroundColor",
    "second": "secondaryBackgroundColor",
    "text": "textColor",
    "border": "borderColor",
}


@lru_cache(maxsize=4)
def colours(selector: str) -> str:
    """Rules that give what is selected `--primary`, `--page`, `--second`, `--text` and `--border`, by the scheme it is
    shown in; those of the light one in a browser that cannot tell them apart."""
    both = {name: (_colour("light", key), _colour("dark", key)) for name, key in _NAMED.items()}
    light = " ".join(f"--{name}: {pair[0]};" for name, pair in both.items() if all(pair))
    either = " ".join(f"--{name}: light-dark({', '.join(map(str, pair))});" for name, pair in both.items() if all(pair))
    return f"{selector} {{ {light} }} @supports (color: light-dark(red, red)) {{ {selector} {{ {either} }} }}"


def _colour(kind: str, key: str) -> str | None:
    found: str | None = config.get_option(f"theme.{kind}.{key}") or config.get_option(f"theme.{key}")
    return found
