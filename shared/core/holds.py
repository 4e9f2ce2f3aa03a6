"""How many people may be deactivated before a person is asked (R20)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from shared.core.model import HoldLimit, UserId

WINDOW = timedelta(hours=24)


def recent(taken: Mapping[UserId, datetime], now: datetime) -> dict[UserId, datetime]:
    """The deactivations that lie within the moving day."""
    return {user: at for user, at in taken.items() if now - at < WINDOW}


def passes_limit(limit: HoldLimit, *, base: int, already: int, more: int) -> bool:
    """Whether `more` deactivations after `already` in this window are too many.

    `base` is the number of active links when the window began.
    """
    total = already + more
    if total > limit.at_most:
        return True
    return total > limit.count and total * 100 > limit.percent * base
