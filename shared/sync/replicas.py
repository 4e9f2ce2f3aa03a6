"""What Entra's replicas show late, or take back for a moment (R22, graph.md 3.7).

Two looks at one person within seconds may be answered by two replicas, and the later answer may be
the older state. No answer says how old it is. So what one signal has led to is not undone on the
word of a second look at the same signal: whoever would leave or move by it is looked at again
first, and in any case the looks go on for more than a minute, so that the present state has the
last word. A change that comes with a signal of its own waits for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from shared.core.decision import Nothing, Wait
from shared.core.employee_decision import AnyStep, leaving_kind
from shared.core.model import Link, Origin, UserId
from shared.sync.work import LOOK_AGAIN, Told, Work


def without_doubtful(work: Work, steps: Mapping[UserId, AnyStep]) -> dict[UserId, AnyStep]:
    """The steps to take now; who is to be looked at again, before or afterwards, is in the work."""
    after = dict(steps)
    if work.delta.looks >= len(LOOK_AGAIN):
        return after
    for user, step in steps.items():
        if isinstance(step, Nothing | Wait) or not _written_since(work, work.links.get(user)):
            continue
        if leaving_kind(step) is not None and _can_wait(work):
            del after[user]
            work.told[user] = Told("nothing", "looked at again: it differs from a moment ago")
            work.undecided.add(user)
        work.doubted.append(user)
    return after


def not_seen_yet(work: Work, link: Link | None) -> bool:
    """Whether a change was signalled that no look has shown, so that it is worth another.

    Where two looks have differed it is: this one may be the old state again.

    A group's change is looked for several times, and once more where something was written since,
    which may have been about another change. A user's is looked for once, since many notifications
    are about properties that nobody maps, and the sweep names him again.
    """
    delta = work.delta
    if delta.doubted:
        return delta.looks < len(LOOK_AGAIN)
    if delta.signal_at is None:
        return False
    looks = len(LOOK_AGAIN) if delta.membership else int(delta.origin is Origin.NOTIFICATION)
    if link is not None and link.updated_at is not None and link.updated_at >= delta.signal_at:
        looks = int(delta.membership)
    return delta.looks < looks


def _written_since(work: Work, link: Link | None) -> bool:
    """Whether this link was written after the signal, or moments ago where there was none."""
    if link is None or link.updated_at is None:
        return False
    since = work.delta.signal_at or work.began - timedelta(seconds=sum(LOOK_AGAIN))
    return link.updated_at >= since


def _can_wait(work: Work) -> bool:
    """Only where the moment of the signal is known, and once: then it is believed."""
    delta = work.delta
    return delta.signal_at is not None and not delta.upper_bound and delta.looks == 0
