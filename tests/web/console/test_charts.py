"""A chart's bars stand where their hours and seconds are."""

from __future__ import annotations

from datetime import timedelta

from shared.web.console.charts import HEIGHT, WIDTH, Hour, freshness_chart
from tests.fakes import START

HOUR = START.replace(minute=0, second=0, microsecond=0)


def test_each_hour_has_two_bars_as_high_as_its_seconds() -> None:
    chart = freshness_chart([Hour(HOUR, 3, 1.0, 4.0)], START)

    usual, most = chart.bars
    assert most.height == usual.height * 4
    assert usual.y + usual.height == HEIGHT
    assert usual.title == f"{HOUR:%H:%M} UTC, p50 1.0 s, 3 changes"


def test_the_present_hour_is_the_last_and_what_is_older_than_a_day_is_left_out() -> None:
    old = Hour(HOUR - timedelta(hours=24), 1, 1.0, 1.0)

    chart = freshness_chart([old, Hour(HOUR, 1, 1.0, 1.0)], START)

    assert len(chart.bars) == 2
    assert all(WIDTH * 23 / 24 < bar.x < WIDTH for bar in chart.bars)


def test_a_very_slow_hour_still_fits_into_the_chart() -> None:
    chart = freshness_chart([Hour(HOUR, 1, 3.0, 200_000.0)], START)

    assert all(0 <= bar.y <= HEIGHT and bar.height > 0 for bar in chart.bars)


def test_a_day_without_changes_has_an_empty_chart() -> None:
    chart = freshness_chart([], START)

    assert chart.bars == ()
    assert len(chart.hours) == 4
