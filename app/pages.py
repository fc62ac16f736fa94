"""The pages of the dashboard, in the order of its navigation. No Streamlit."""

from __future__ import annotations

from typing import NamedTuple


class PageNamed(NamedTuple):
    script: str  # in views/
    title: str
    path: str  # of its address
    hidden: bool = False


FIRST = ("", "recommend")  # the first screen; Recommend was a page of its own, and links to it open here
PAGES = {
    "": (PageNamed("estimate.py", "Plan", ""), PageNamed("estimate.py", "Recommend", "recommend", hidden=True)),
    "In detail": (
        PageNamed("memory.py", "Memory", "memory"),
        PageNamed("speed.py", "Speed", "speed"),
        PageNamed("cost.py", "Cost", "cost"),
        PageNamed("levers.py", "Levers", "levers"),
    ),
    "Decide": (
        PageNamed("load.py", "Load", "load"),
        PageNamed("apis.py", "API or machines", "apis"),
        PageNamed("commit.py", "Commit", "commit"),
        PageNamed("change.py", "What would change it", "change"),
        PageNamed("pipelines.py", "Pipelines", "pipelines"),
        PageNamed("scaling.py", "Scaling laws", "scaling"),
    ),
    "Compare and check": (
        PageNamed("compare.py", "Compare", "compare"),
        PageNamed("prices.py", "Prices", "prices"),
        PageNamed("profile.py", "Measure", "measure"),
        PageNamed("accuracy.py", "Accuracy", "accuracy"),
    ),
}


def paths(base: str = "") -> frozenset[str]:
    """What their addresses begin with, under the path that the dashboard is served under: "/", "/memory" ..."""
    prefix = f"/{base.strip('/')}" if base.strip("/") else ""
    return frozenset({f"{prefix}/{page.path}" for pages in PAGES.values() for page in pages} | {prefix or "/"})
