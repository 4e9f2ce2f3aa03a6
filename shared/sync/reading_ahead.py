"""Read the next page while this one is worked on.

One page ahead and no more: what waits in memory is one page, and who stops early has read little
in vain.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

_T = TypeVar("_T")


def one_ahead(pages: Iterable[_T]) -> Iterator[_T]:
    """The same pages in the same order; what their reading raises is raised in its place."""
    source = iter(pages)
    end = object()

    def following() -> _T | object:
        return next(source, end)

    pool = ThreadPoolExecutor(1, thread_name_prefix="reading")
    try:
        reading = pool.submit(copy_context().run, following)
        while (page := reading.result()) is not end:
            reading = pool.submit(copy_context().run, following)
            yield page  # type: ignore[misc]  # it is not `end`
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
