"""Which groups hold a user, and how they are nested: for explaining, never for deciding (R1).

Graph names all groups that hold a user, and the groups that hold a group directly, but no path. So
the parents of the groups that hold him are asked for, twenty in a batch, and only of those.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from shared.adapters.graph_batch import PER_BATCH, Outcome, Part, run
from shared.adapters.graph_calls import GraphCalls
from shared.adapters.graph_look import answered, body_of, group_rows
from shared.adapters.graph_shapes import is_id, text_of
from shared.core.model import GroupId, UserId
from shared.ports import Nesting

_MOST_ASKED: Final = 2 * PER_BATCH


def nesting(calls: GraphCalls, user: UserId, tops: Collection[GroupId]) -> Nesting:
    """See ports.Directory.nesting."""
    if not is_id(user):
        return Nesting()
    query = "?$select=id,displayName&$top=999"
    near, far = run(
        calls,
        [
            Part("GET", f"/users/{user}/memberOf{query}"),
            Part("GET", f"/users/{user}/transitiveMemberOf{query}"),
        ],
    )
    direct = _groups(calls, near)
    names = {**_groups(calls, far), **direct}
    sought = (set(tops) & names.keys()) - direct.keys()
    parents: dict[GroupId, frozenset[GroupId]] = {}
    # With few groups one batch tells all; with many, those nearest to the user go first.
    layer = list(names) if len(names) <= PER_BATCH else list(direct)
    while layer and sought and len(parents) < _MOST_ASKED:
        asked = layer[:PER_BATCH]
        parents |= _parents(calls, asked)
        reached = {above for group in asked for above in parents[group]} & names.keys()
        sought -= reached
        rest = [group for group in reached if group not in parents]
        layer = [*layer[PER_BATCH:], *(group for group in rest if group not in layer)]
    return Nesting(frozenset(direct), names, parents, complete=not sought)


def _parents(calls: GraphCalls, groups: Iterable[GroupId]) -> dict[GroupId, frozenset[GroupId]]:
    wanted = list(groups)
    parts = [Part("GET", f"/groups/{group}/memberOf?$select=id&$top=999") for group in wanted]
    return {
        group: frozenset(_groups(calls, outcome))
        for group, outcome in zip(wanted, run(calls, parts), strict=True)
    }


def _groups(calls: GraphCalls, outcome: Outcome) -> dict[GroupId, str]:
    """The groups of a list, with their names; none where the list is of something gone."""
    answer = answered(outcome)
    if answer.status == 404:
        return {}
    return {
        GroupId(text_of(row.get("id")).lower()): text_of(row.get("displayName"))
        for row in group_rows(calls, body_of(answer))
    }
