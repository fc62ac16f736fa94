"""When the requests of a log arrived: its busiest minutes and hour, its mean, and its hours as a week. Pure.

Only stamps that say a moment count: seconds since 1970 or finer, or a date with its time. A number such as 27482 may be
seconds, milliseconds or a sequence, and is no time of day.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400
WINDOW = 5  # minutes: "the busiest minutes"
MOST_MINUTES = 200_000  # that a log has requests in: 139 days, each an entry of a table
SHORTEST_S = 600  # a log of less says no rate that a month could be planned on
WEEK_S, LONGEST_S = 7 * DAY_S, 366 * DAY_S  # of a log whose hours are told as a week
# Epochs by their size: seconds, milliseconds, microseconds and nanoseconds of the years 2001 to 2286.
_UNITS = (1.0, 1e3, 1e6, 1e9)
_FIRST, _PAST = 1e9, 1e10
BUSY = 0.5  # of the busiest hour of the day: what of a day counts as full load


def moment_of(value: object) -> float | None:
    """Seconds since 1970 of a stamp, or None for what is no moment.

    1700158546, 1700158546000 and "2023-11-16T18:15:46Z" are one moment. A time without a zone is taken as UTC.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        return _of_text(value)
    if not isinstance(value, int | float):
        return None
    return next((value / unit for unit in _UNITS if _FIRST <= value / unit < _PAST), None)


def _of_text(text: str) -> float | None:
    text = text.strip()
    if len(text) > 40:
        return None
    if text.replace(".", "", 1).isdigit() and text.isascii():
        return moment_of(float(text))
    if ":" not in text:
        return None  # a day alone has no hour
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """Requests that a log gives the moments of. Rates are requests a second."""

    requests: int
    first: float
    last: float
    in_window: int  # requests of the busiest `WINDOW` minutes
    in_hour: int  # of the busiest hour of the clock
    week: str  # as the key `week` writes it; empty where the log is shorter than one

    @property
    def mean_rate(self) -> float:
        """n / (t_last - t_first): 36,000 requests over ten hours are one a second."""
        return self.requests / (self.last - self.first)

    @property
    def hour_rate(self) -> float:
        """Of the busiest hour; of a log within one, its mean."""
        return max(self.in_hour / HOUR_S, self.mean_rate)

    @property
    def peak_rate(self) -> float:
        """Of the busiest minutes, which no hour is busier than."""
        return max(self.in_window / (WINDOW * MINUTE_S), self.hour_rate)

    @property
    def said(self) -> str:
        first, last = (
            datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M") for moment in (self.first, self.last)
        )
        week = f" As a week it is {self.week}, for the box of that name." if self.week else ""
        return (
            f"{self.requests:,} requests from {first} to {last} UTC: {self.in_hour:,} in the busiest hour, "
            f"{self.in_window:,} in the busiest {WINDOW} minutes, "
            f"{self.peak_rate / self.hour_rate:.2g} times as dense.{week}"
        )


class ArrivalCounter:
    """Counts moments by the minute, in whatever order they come."""

    def __init__(self) -> None:
        self._minutes: Counter[int] = Counter()
        self._first, self._last = math.inf, -math.inf

    def add(self, moment: float | None) -> None:
        if moment is None:
            return
        minute = int(moment // MINUTE_S)
        if len(self._minutes) >= MOST_MINUTES and minute not in self._minutes:
            return
        self._minutes[minute] += 1
        self._first, self._last = min(self._first, moment), max(self._last, moment)

    def arrivals(self) -> Arrivals | None:
        """None for a log without moments, or too short to say a rate."""
        if not self._minutes or self._last - self._first < SHORTEST_S:
            return None
        hours: Counter[int] = Counter()
        for minute, count in self._minutes.items():
            hours[minute // 60] += count
        return Arrivals(
            requests=sum(self._minutes.values()),
            first=self._first,
            last=self._last,
            in_window=self._busiest(),
            in_hour=max(hours.values()),
            week=_week(hours) if WEEK_S <= self._last - self._first <= LONGEST_S else "",
        )

    def _busiest(self) -> int:
        """Requests of the busiest `WINDOW` minutes in a row: each window ends in a minute that has some."""
        ends, first, held, most = sorted(self._minutes), 0, 0, 0
        for end in ends:
            held += self._minutes[end]
            while ends[first] <= end - WINDOW:
                held -= self._minutes[ends[first]]
                first += 1
            most = max(most, held)
        return most


def _week(hours: Counter[int]) -> str:
    """The hours of full load, the days that have them, and the share of the rest: "8-18x5@20", "always".

    An hour of the day is one of full load where it has half of the busiest's requests; the weekend is off where neither
    of its days has half of a mean working day's.
    """
    by_hour, by_day = [0.0] * 24, [0.0] * 7
    days = Counter(day % 7 for day in range(min(hours) // 24, max(hours) // 24 + 1))
    for hour, count in hours.items():
        by_hour[hour % 24] += count
        weekday = (hour // 24 + 3) % 7  # 1970 began on a Thursday; Monday is 0
        by_day[weekday] += count / days[hour // 24 % 7]
    busy = [hour for hour in range(24) if by_hour[hour] >= BUSY * max(by_hour)]
    start, end = busy[0], busy[-1] + 1
    working = math.fsum(by_day[:5]) / 5
    worked = 5 if max(by_day[5:]) < BUSY * working else 7
    if (start, end, worked) == (0, 24, 7):
        return "always"
    requests, spans = [0, 0], [0, 0]  # outside and within the hours of full load
    for hour in range(min(hours), max(hours) + 1):
        full = start <= hour % 24 < end and (hour // 24 + 3) % 7 < worked
        requests[full] += hours.get(hour, 0)
        spans[full] += 1
    rest = round(100 * (requests[0] / spans[0]) / (requests[1] / spans[1])) if requests[1] and spans[0] else 0
    return f"{start}-{end}x{worked}@{min(100, rest)}" if rest else f"{start}-{end}x{worked}"
