"""`python -m app prices`: look at the book, refresh it from AWS, see what changed, rebuild the bundled table."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from estimators.provenance import Refusal

if TYPE_CHECKING:
    from pricing.explorer import PriceChange
    from pricing.offers import Offer, PriceBook
    from pricing.reading import PriceReader, Progress


def add_prices_command(commands: Any) -> None:
    """Register `prices` and its actions; each sets `run` to what carries it out."""
    prices = commands.add_parser("prices", help="show, refresh or compare prices")
    actions = prices.add_subparsers(dest="action", required=True)

    show = actions.add_parser("show", help="offers of one instance type, cheapest first")
    show.add_argument("instance")
    show.add_argument("--region")
    show.add_argument("--json", action="store_true", help="a list of offers")
    show.set_defaults(run=_guarded(_show))

    refresh = actions.add_parser("refresh", help="read live prices into the store")
    refresh.add_argument("--region", action="append", help="may be repeated; default: every region of the book")
    refresh.add_argument(
        "--anonymous", action="store_true", help="stream AWS's public offers files: no keys, 300 MB a region"
    )
    refresh.set_defaults(run=_guarded(_refresh))

    diff = actions.add_parser("diff", help="what changed since the bundled snapshot, or since a day")
    diff.add_argument("--since", type=date.fromisoformat, metavar="YYYY-MM-DD")
    diff.add_argument("--region")
    diff.add_argument("--json", action="store_true", help="a list of differences")
    diff.set_defaults(run=_guarded(_diff))

    rebuild = actions.add_parser("rebuild", help="rebuild the bundled table from live readings (maintainers)")
    rebuild.add_argument("--region", action="append", help="may be repeated; default: every region of the book")
    rebuild.add_argument("--anonymous", action="store_true", help="stream AWS's public offers files: no keys")
    rebuild.add_argument("--instances", action="store_true", help="the table of instance types instead, from EC2")
    rebuild.set_defaults(run=_guarded(_rebuild))


def _guarded(run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Turns a refusal into its sentence and exit status 2."""

    def guarded(asked: argparse.Namespace) -> int:
        try:
            return run(asked)
        except Refusal as refusal:
            print(f"error: {refusal}", file=sys.stderr)
            return 2

    return guarded


@contextmanager
def _progress_bar() -> Iterator[Progress]:
    from tqdm import tqdm

    with tqdm(file=sys.stderr, unit="", dynamic_ncols=True, leave=False) as bar:

        def progress(what: str, done: int, total: int) -> None:
            bar.set_description(what, refresh=False)
            bar.total, bar.n = total or None, done
            bar.refresh()

        yield progress


def _reader(anonymous: bool) -> PriceReader:
    if anonymous:
        from pricing.aws.offers_files import BASE_URL, OffersFileReader

        return OffersFileReader(base_url=os.environ.get("RIGHTSIZE_OFFERS_URL") or BASE_URL)
    from pricing.aws.source import aws_reader

    return aws_reader()


def _regions(asked: argparse.Namespace) -> tuple[str, ...]:
    from pricing.regions import regions

    return tuple(asked.region) if asked.region else tuple(region.region for region in regions())


def _show(asked: argparse.Namespace) -> int:
    from app.planning.sentences import option_name, source_phrase
    from app.sources import shared_sources
    from pricing.instances import find_instance
    from pricing.offers import PriceQuery

    instance = find_instance(asked.instance)
    query = PriceQuery(region=asked.region, instance_types=frozenset({instance.instance_type}))
    offers = shared_sources().book.find(query)
    if asked.json:
        print(json.dumps([_offer(offer) for offer in offers], indent=2))
        return 0 if offers else 1
    if not offers:
        print(f"{instance.instance_type} is not offered {'in ' + asked.region if asked.region else 'anywhere known'}.")
        return 1
    for offer in offers:
        print(f"${offer.usd_per_hour:>12}  {offer.region:<16} {option_name(offer.option):<42} {source_phrase(offer)}")
    return 0


def _refresh(asked: argparse.Namespace) -> int:
    from app.sources import open_store
    from pricing.refresh import refresh_regions

    store = open_store(create=True)
    if store is None:
        raise Refusal("The price store cannot be opened.", field="DATABASE_URL", remedy="Check DATABASE_URL.")
    store.create()  # before anything is read that could not be kept
    with _progress_bar() as progress:
        reports = refresh_regions(_reader(asked.anonymous), store, _regions(asked), progress)
    for report in reports:
        print(f"{report.region}: {report.offers} offers read" + "".join(f"; {error}" for error in report.errors))
    return 0 if any(report.offers for report in reports) else 1


def _diff(asked: argparse.Namespace) -> int:
    from app.sources import shared_sources
    from pricing.explorer import diff
    from pricing.offers import PriceQuery
    from pricing.snapshot import load_snapshot

    book = shared_sources().book
    before: PriceBook = load_snapshot() if asked.since is None else book.on(asked.since)
    changes = diff(before, book, PriceQuery(region=asked.region))
    if asked.json:
        sides = [{"before": change.before, "after": change.after} for change in changes]
        print(json.dumps([{name: side and _offer(side) for name, side in both.items()} for both in sides], indent=2))
        return 0
    for change in changes:
        print(_change_line(change))
    print(f"{len(changes)} differences", file=sys.stderr)
    return 0


def _offer(offer: Offer) -> dict[str, object]:
    return {
        "instance": offer.instance_type,
        "region": offer.region,
        "buy": offer.option.value,
        "usd_per_hour": float(offer.usd_per_hour),
        "upfront_usd": float(offer.upfront_usd),
        "price_source": offer.source.value,
        "price_as_of": None if offer.as_of == date.min else offer.as_of.isoformat(),
    }


def _change_line(change: PriceChange) -> str:
    offer = change.after or change.before
    assert offer is not None  # noqa: S101 - a change has at least one side
    old = f"${change.before.usd_per_hour}" if change.before else "not listed"
    new = f"${change.after.usd_per_hour}" if change.after else "not listed"
    share = f" ({change.share:+.1%})" if change.share is not None else ""
    return f"{offer.instance_type:<20} {offer.region:<16} {offer.option.value:<40} {old} -> {new}{share}"


def _rebuild(asked: argparse.Namespace) -> int:
    if asked.instances:
        return _rebuild_instances(asked)
    from pricing.rebuild import rebuild_snapshot

    with _progress_bar() as progress:
        rebuilt = rebuild_snapshot(_reader(asked.anonymous), _regions(asked), progress=progress)
    for error in rebuilt.errors:
        print(f"error: {error}", file=sys.stderr)
    print(f"{rebuilt.rows_before} rows before, {rebuilt.rows_after} after")
    return 1 if rebuilt.errors else 0


def _rebuild_instances(asked: argparse.Namespace) -> int:
    from pricing.aws.clients import AwsClients
    from pricing.rebuild import rebuild_instances

    today = datetime.now(UTC).date()
    with _progress_bar() as progress:
        remarks = rebuild_instances(AwsClients(), _regions(asked), today=today, progress=progress)
    for remark in remarks:
        print(f"error: {remark}", file=sys.stderr)
    return 1 if remarks else 0
