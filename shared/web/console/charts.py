"""Small charts as numbers: where each bar of an SVG stands. The templates draw them.

A chart never tells anything alone: the same figures stand beside it as a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

WIDTH, HEIGHT, FOOT = 720, 160, 20
_SHOWN = 24  # hours
_STEPS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400)  # seconds


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, in the SVG's units."""

    x: float
    y: float
    width: float
    height: float
    second: bool
    title: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A line of the grid, or an hour below it, with its words."""

    at: float
    words: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything to draw."""

    bars: tuple[Bar, ...]
    lines: tuple[Mark, ...]
    hours: tuple[Mark, ...]
    width: int = WIDTH
    height: int = HEIGHT + FOOT


@dataclass(frozen=True, slots=True)
class Hour:
    """Seconds in one hour: usually (p50) and nearly always (p95)."""

    starts_at: datetime
    counted: int
    p50: float
    p95: float


def freshness_chart(hours: Sequence[Hour], now: datetime) -> Chart:
    """Two bars for each of the last 24 hours that had changes; the scale ends above the highest."""
    first = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=_SHOWN - 1)
    shown = [each for each in hours if each.starts_at >= first]
    highest = max((each.p95 for each in shown), default=1.0)
    top = next((step for step in _STEPS if step >= highest), highest)
    slot = WIDTH / _SHOWN
    bars = []
    for each in shown:
        left = (each.starts_at - first) / timedelta(hours=1) * slot
        for second, value, word in ((False, each.p50, "p50"), (True, each.p95, "p95")):
            height = max(2.0, min(1.0, value / top) * (HEIGHT - 16))
            x = left + slot * (0.5 if second else 0.15)
            title = f"{each.starts_at:%H:%M} UTC, {word} {value:.1f} s, {each.counted} changes"
            bars.append(
                Bar(round(x, 1), round(HEIGHT - height, 1), slot * 0.33, height, second, title)
            )
    marks = [
        Mark(round(hour * slot, 1), f"{(first + timedelta(hours=hour)):%H:%M}")
        for hour in range(0, _SHOWN, 6)
    ]
    lines = (Mark(16.0, f"{top:g} s"), Mark(round(HEIGHT / 2 + 8, 1), f"{top / 2:g} s"))
    return Chart(tuple(bars), lines, tuple(marks))
