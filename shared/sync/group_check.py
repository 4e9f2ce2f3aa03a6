"""Whether a group of Entra can stand in a mapping rule (R1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from shared.core.model import EntraGroup, GroupState, MappingRule
from shared.errors import BadInput, SyncError, TryLater
from shared.ports import Directory

PATIENCE = 3  # tries before a missing group is believed
_GROUP_WAIT = timedelta(seconds=3)
SECOND_LOOK = timedelta(hours=1)  # after which a group that is still gone is believed to be


def group_refusal(group_id: str, group: EntraGroup | None) -> BadInput | None:
    """Why people of this group cannot be synced; None when they can."""
    if group is None:
        return BadInput(
            422,
            f"There is no group with the id {group_id} in this tenant: copy the Object ID from "
            "the group's page in the Entra admin center.",
            field="groupId",
        )
    if group.hidden:
        return BadInput(
            422,
            f"The members of the group {group.name} are hidden, so it reads as empty: choose "
            "another group, or change its membership visibility.",
            field="groupId",
        )
    if group.kind == "distribution":
        return BadInput(
            422,
            f"{group.name} is a distribution list: choose a security group or a Microsoft 365 "
            "group.",
            field="groupId",
        )
    return None


def with_group(rule: MappingRule, group: EntraGroup) -> MappingRule:
    """The rule with what Entra says of its group."""
    return replace(
        rule,
        group_name=group.name,
        group_created_at=group.created_at,
        group_state=GroupState.HIDDEN if group.hidden else GroupState.OK,
        group_gone_since=None,
        group_gone_twice=False,
    )


def with_groups_now(
    rules: Sequence[MappingRule], directory: Directory, now: datetime, *, patient: bool
) -> list[MappingRule]:
    """The rules with what Entra says of their groups now.

    TryLater where that cannot be told at present; `patient`: nor while a group is missing for the
    first time, since replicas lag (graph.md 3.7) and it may have been made a moment ago.
    """
    found = directory.groups(sorted({rule.group_id for rule in rules})) if rules else {}
    checked: list[MappingRule] = []
    for rule in rules:
        group = found.get(rule.group_id)
        if isinstance(group, TryLater):
            raise group
        if isinstance(group, SyncError):
            after = replace(
                rule,
                group_state=GroupState.UNREADABLE,
                group_gone_since=None,
                group_gone_twice=False,
            )
        elif group is None and patient and rule.group_state is not GroupState.GONE:
            raise TryLater(f"Entra does not show the group {rule.group_id}.", _GROUP_WAIT)
        elif group is None:
            after = without_group(rule, now)
        else:
            after = with_group(rule, group)
        checked.append(after)
    return checked


def without_group(rule: MappingRule, now: datetime) -> MappingRule:
    """The rule whose group Entra does not know, for the first time or again an hour later (R20)."""
    since = rule.group_gone_since or now
    return replace(
        rule,
        group_state=GroupState.GONE,
        group_gone_since=since,
        group_gone_twice=rule.group_gone_twice or now - since >= SECOND_LOOK,
    )
