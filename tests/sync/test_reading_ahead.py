"""Pages are read one ahead, in order, and a failure comes in its place."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from shared.errors import TryLater
from shared.sync.reading_ahead import one_ahead


def test_the_next_page_is_read_while_this_one_is_worked_on() -> None:
    second = threading.Event()

    def pages() -> Iterator[int]:
        yield 1
        second.set()
        yield 2

    reading = one_ahead(pages())

    assert next(reading) == 1
    assert second.wait(10), "the second page was not read meanwhile"
    assert list(reading) == [2]


def test_a_page_that_cannot_be_read_fails_after_those_before_it() -> None:
    def pages() -> Iterator[int]:
        yield 1
        raise TryLater("gone")

    reading = one_ahead(pages())

    assert next(reading) == 1
    with pytest.raises(TryLater):
        next(reading)


def test_no_more_than_one_page_is_read_ahead() -> None:
    read: list[int] = []

    def pages() -> Iterator[int]:
        for number in range(10):
            read.append(number)
            yield number

    reading = one_ahead(pages())
    next(reading)
    next(reading)
    reading.close()  # type: ignore[attr-defined]

    assert len(read) <= 3
