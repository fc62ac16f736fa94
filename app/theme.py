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


@lru_cache(maxsize=1)
def colours() -> str:
    """Declarations such as `--primary: light-dark(#005F99, #56B4E9);`, by the scheme of the element they stand at."""
    both = {
        name: [config.get_option(f"theme.{kind}.{key}") for kind in ("light", "dark")] for name, key in _NAMED.items()
    }
    return " ".join(f"--{name}: light-dark({', '.join(pair)});" for name, pair in both.items() if all(pair))
