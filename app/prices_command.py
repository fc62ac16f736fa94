"""`python -m app prices`: look at the book, refresh it from AWS, and see what changed."""

from __future__ import annotations

import argparse
import sys
from typing import Any


def add_prices_command(commands: Any) -> None:
    """Register `prices` and its actions; each sets `run` to what carries it out."""
    prices = commands.add_parser("prices", help="show, refresh or compare prices")
    actions = prices.add_subparsers(dest="action", required=True)

    show = actions.add_parser("show", help="offers of one instance type, cheapest first")
    show.add_argument("instance")
    show.add_argument("--region")
    show.set_defaults(run=_show)


def _show(asked: argparse.Namespace) -> int:
    from app.narrative import option_name, source_phrase
    from app.sources import shared_sources
    from estimators.provenance import Refusal
    from pricing.instances import find_instance
    from pricing.offers import PriceQuery

    try:
        instance = find_instance(asked.instance)
    except Refusal as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        return 2
    query = PriceQuery(region=asked.region, instance_types=frozenset({instance.instance_type}))
    offers = shared_sources().book.find(query)
    if not offers:
        print(f"{instance.instance_type} is not offered {'in ' + asked.region if asked.region else 'anywhere known'}.")
        return 1
    for offer in offers:
        print(f"${offer.usd_per_hour:>12}  {offer.region:<16} {option_name(offer.option):<42} {source_phrase(offer)}")
    return 0
