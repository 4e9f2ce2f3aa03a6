"""From looks at users to the one step for each: the same for the sync and for a preview.

Nothing is written here, neither to BMS nor to the tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from shared.core.decision import Compare, Seek
from shared.core.employee_decision import AnyStep, next_step
from shared.core.fields import wanted_contact
from shared.core.model import GroupId, LinkState, RecordType, UserId
from shared.core.rules import Membership, Placement, place
from shared.errors import SyncError, TryLater
from shared.ports import Look, Owner, Owners
from shared.sync.work import Work


def doubtful_groups(work: Work, looks: Mapping[UserId, Look]) -> set[GroupId]:
    """Groups whose absence would make somebody leave or move: are they there at all? (R22)"""
    groups = {rule.id: rule.group_id for rule in work.rules if rule.enabled}
    doubtful = set()
    for user, look in looks.items():
        link = work.links.get(user)
        if link is None or link.record_id is None or link.rule_id is None:
            continue
        group = groups.get(link.rule_id)
        if group is not None and look.user is not None and group not in look.member_of:
            doubtful.add(group)
    return doubtful


def unreadable_groups(work: Work, groups: set[GroupId]) -> frozenset[GroupId]:
    """Those of these groups that cannot be read now; TryLater where that may pass."""
    if not groups:
        return frozenset()
    found = work.directory.groups(sorted(groups))
    bad: set[GroupId] = set()
    for group in groups:
        state = found.get(group)
        if isinstance(state, TryLater):
            raise state  # it may well be there
        if isinstance(state, SyncError) or state is None or state.hidden:
            bad.add(group)
    return frozenset(bad)


def placed(
    work: Work, looks: Mapping[UserId, Look], unreadable: frozenset[GroupId]
) -> dict[UserId, Placement]:
    """Which rule wins for each; who and what is wanted goes into the work."""
    placements: dict[UserId, Placement] = {}
    for user, look in looks.items():
        if look.user is not None:
            work.users[user] = look.user
            membership = Membership(look.member_of, look.direct, unreadable)
            placements[user] = place(look.user, membership, work.rules)
            work.wanted[user] = wanted_contact(look.user, work.connection.email_source)
    return placements


def next_steps(
    work: Work,
    users: Iterable[UserId],
    placements: Mapping[UserId, Placement],
    *,
    by_api: bool,
) -> dict[UserId, AnyStep]:
    """What is to be done for each of those who can be decided now."""
    return {
        user: next_step(
            placements.get(user),
            work.wanted.get(user),
            work.employees.get(user),
            work.links.get(user),
            on_leave=work.connection.on_leave,
            match_scope=work.connection.match_scope,
            by_api=by_api,
        )
        for user in users
        if user not in work.later
    }


def still_theirs(
    owners: Owners, work: Work, steps: Mapping[UserId, AnyStep]
) -> dict[UserId, AnyStep]:
    """Who comes back gets his record again, unless it has passed to another user (R19)."""
    after = dict(steps)
    back = {
        user: step for user, step in steps.items() if isinstance(step, Compare) and step.returning
    }
    if not back:
        return after
    known = owners.get_many(RecordType.CONTACT, [step.record_id for step in back.values()])
    for user, step in back.items():
        owner = known.get(step.record_id)
        work.owners[user] = owner
        if owner is None or owner == Owner(work.connection.id, user):
            continue
        account = step.rule.account_id
        if account is not None:
            only_there = work.connection.match_scope == "account"
            work.links[user] = replace(
                work.link_of(user),
                state=LinkState.PENDING,
                record_id=None,
                account_id=None,
                rule_account_id=None,
                written={},
            )
            after[user] = Seek(step.rule, account, only_there, reason=step.reason)
    return after
