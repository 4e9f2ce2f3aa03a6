"""From the group of a rule down to the group that a user is a direct member of."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping

from shared.core.model import GroupId


def shortest_path(
    top: GroupId,
    direct: Collection[GroupId],
    parents: Mapping[GroupId, Collection[GroupId]],
) -> tuple[GroupId, ...] | None:
    """The fewest groups between `top` and the user, both ends included; None when none is known.

    `direct` hold the user, `parents` hold a group. Of equally short paths the one whose ids come
    first is taken, so that the same question has the same answer.
    """
    below: dict[GroupId, GroupId | None] = dict.fromkeys(sorted(direct))
    waiting = deque(below)
    while waiting:
        group = waiting.popleft()
        if group == top:
            path: list[GroupId] = []
            step: GroupId | None = group
            while step is not None:
                path.append(step)
                step = below[step]
            return tuple(path)
        for above in sorted(parents.get(group, ())):
            if above not in below:
                below[above] = group
                waiting.append(above)
    return None
