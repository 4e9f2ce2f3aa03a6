"""Direct looks at users and groups by JSON batches (R22): the present state, past every index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from shared.adapters.graph_batch import Outcome, Part, PartAnswer, run
from shared.adapters.graph_calls import GraphCalls, codes_in, error_for, next_link
from shared.adapters.graph_shapes import (
    GROUP_FIELDS,
    USER_FIELDS,
    group_of,
    is_group_row,
    is_id,
    text_of,
    user_of,
)
from shared.core.model import EntraGroup, GroupId, UserId
from shared.errors import PersonMustAct, SyncError, TryLater
from shared.ports import Look

_PER_CHECK: Final = 20  # checkMemberGroups takes no more ids


def look(
    calls: GraphCalls, users: Sequence[UserId], groups: Sequence[GroupId], *, direct: bool
) -> dict[UserId, Look | SyncError]:
    """See ports.Directory.look."""
    found, unknown = _look(calls, users, groups, direct=direct)
    if unknown:
        # The object is there, but its groups could not be checked: either it is too new for the
        # server that was asked, or one of the groups that were asked for is gone.
        there = groups_now(calls, groups)
        left = [group for group in groups if there.get(group) is not None]
        if len(left) < len(set(groups)):
            found |= _look(calls, unknown, left, direct=direct)[0]
    return found


def _look(
    calls: GraphCalls, users: Sequence[UserId], groups: Sequence[GroupId], *, direct: bool
) -> tuple[dict[UserId, Look | SyncError], list[UserId]]:
    users = list(dict.fromkeys(users))
    asked = sorted(set(groups))
    checks = [asked[at : at + _PER_CHECK] for at in range(0, len(asked), _PER_CHECK)]
    known = [user for user in users if is_id(user)]
    parts: list[Part] = []
    for user in known:
        parts.append(Part("GET", f"/users/{user}?$select={USER_FIELDS}"))
        parts.extend(
            Part("POST", f"/users/{user}/checkMemberGroups", {"groupIds": list(ids)})
            for ids in checks
        )
        if direct and asked:
            parts.append(Part("GET", f"/users/{user}/memberOf?$select=id&$top=999"))
    found: dict[UserId, Look | SyncError] = {}
    unknown: list[UserId] = []
    outcomes = run(calls, parts)
    width = 1 + len(checks) + (1 if direct and asked else 0)
    for at, user in enumerate(known):
        try:
            found[user] = _one(calls, outcomes[at * width : (at + 1) * width], asked, len(checks))
        except _NotChecked as error:
            found[user] = error
            unknown.append(user)
        except SyncError as error:
            found[user] = error
    for user in users:
        found.setdefault(user, Look(None))  # what is no id at all cannot be in the directory
    refusals = [each for each in found.values() if isinstance(each, PersonMustAct)]
    if refusals and len(refusals) == len(found):
        raise refusals[0]  # not about these users: a permission is missing
    return found, unknown


class _NotChecked(TryLater):
    """The user is there, his groups could not be checked."""


def _one(
    calls: GraphCalls, outcomes: Sequence[Outcome], asked: Sequence[GroupId], checks: int
) -> Look:
    first = answered(outcomes[0])
    if first.status == 404:
        return Look(None)
    row = body_of(first)
    held: set[str] = set()
    for outcome in outcomes[1 : 1 + checks]:
        answer = answered(outcome)
        if answer.status == 404:
            raise _NotChecked("Microsoft Graph does not know the memberships of this user yet.")
        ids = body_of(answer).get("value")
        if not isinstance(ids, list):
            raise TryLater("Microsoft Graph sent a check without its groups.")
        held.update(text_of(each).lower() for each in ids)
    wanted = frozenset(asked)
    member_of = frozenset(GroupId(each) for each in held) & wanted
    direct: frozenset[GroupId] = frozenset()
    if len(outcomes) > 1 + checks:
        direct = _direct(calls, body_of(answered(outcomes[-1]))) & wanted
    return Look(user_of(row), member_of, direct)


def _direct(calls: GraphCalls, page: dict[str, object]) -> frozenset[GroupId]:
    rows = group_rows(calls, page)
    return frozenset(GroupId(text_of(row.get("id")).lower()) for row in rows)


def group_rows(calls: GraphCalls, page: dict[str, object]) -> list[dict[str, Any]]:
    """The groups of a list that came as a part of a batch, to its end."""
    rows = page.get("value")
    if not isinstance(rows, list):
        raise TryLater("Microsoft Graph sent a page without its rows.")
    every = list(rows)
    link = next_link(page)
    if link:  # a paged part has to be followed outside of the batch
        for more in calls.pages(link):
            every.extend(more)
    return [row for row in every if is_group_row(row)]


def managers(calls: GraphCalls, users: Sequence[UserId]) -> dict[UserId, UserId | SyncError | None]:
    """See ports.Directory.managers."""
    known = [user for user in dict.fromkeys(users) if is_id(user)]
    found: dict[UserId, UserId | SyncError | None] = dict.fromkeys(users)
    parts = [Part("GET", f"/users/{user}/manager?$select=id") for user in known]
    for user, outcome in zip(known, run(calls, parts), strict=True):
        try:
            answer = answered(outcome)
            # 404 for nobody; an orgContact may manage people too, but is never linked.
            id_ = "" if answer.status == 404 else text_of(body_of(answer).get("id")).lower()
            found[user] = UserId(id_) if id_ else None
        except SyncError as error:
            found[user] = error
    return found


def groups_now(
    calls: GraphCalls, ids: Sequence[GroupId]
) -> dict[GroupId, EntraGroup | SyncError | None]:
    """See ports.Directory.groups."""
    wanted = [group for group in dict.fromkeys(ids) if is_id(group)]
    found: dict[GroupId, EntraGroup | SyncError | None] = dict.fromkeys(ids)
    parts = [Part("GET", f"/groups/{group}?$select={GROUP_FIELDS}") for group in wanted]
    for group, outcome in zip(wanted, run(calls, parts), strict=True):
        try:
            answer = answered(outcome)
            found[group] = None if answer.status == 404 else group_of(body_of(answer))
        except SyncError as error:
            found[group] = error
    return found


# What each permission is needed for first. Directory.Read.All alone allows all of it as well.
_READS: Final = {
    "User.Read.All": "/users?$select=id&$top=1",
    "Group.Read.All": "/groups?$select=id&$top=1",
    "Directory.Read.All": "/organization?$select=id",
}


def refused_reads(calls: GraphCalls) -> dict[str, SyncError]:
    """See ports.Directory.refused_reads. A token is opaque (graph.md 1): only asking tells."""
    found: dict[str, SyncError] = {}
    outcomes = run(calls, [Part("GET", url) for url in _READS.values()])
    for permission, outcome in zip(_READS, outcomes, strict=True):
        try:
            body_of(answered(outcome))
        except SyncError as error:
            found[permission] = error
    return found


def rows_of(calls: GraphCalls, urls: Sequence[str]) -> list[dict[str, object]]:
    """The rows of several searches at once; one that Graph refuses is left out if others work."""
    outcomes = run(calls, [Part("GET", url) for url in urls])
    rows: list[dict[str, object]] = []
    errors: list[SyncError] = []
    for outcome in outcomes:
        try:
            value = body_of(answered(outcome)).get("value")
        except SyncError as error:
            errors.append(error)
            continue
        if isinstance(value, list):
            rows.extend(row for row in value if isinstance(row, dict))
    if errors and len(errors) == len(outcomes):
        raise errors[0]
    return rows


def answered(outcome: Outcome) -> PartAnswer:
    if isinstance(outcome, SyncError):
        raise outcome
    return outcome


def body_of(answer: PartAnswer) -> dict[str, object]:
    body = answer.body
    if not 200 <= answer.status < 300:
        error = body.get("error") if isinstance(body, dict) else None
        raise error_for(answer.status, codes_in(error), answer.headers.get("request-id", ""))
    if not isinstance(body, dict):
        raise TryLater("Microsoft Graph sent a part of a batch without its body.")
    return body
