"""Whether a group of Entra can stand in a mapping rule (R1)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from shared.core.model import EntraGroup, GroupState, MappingRule
from shared.errors import BadInput

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


def without_group(rule: MappingRule, now: datetime) -> MappingRule:
    """The rule whose group Entra does not know, for the first time or again an hour later (R20)."""
    since = rule.group_gone_since or now
    return replace(
        rule,
        group_state=GroupState.GONE,
        group_gone_since=since,
        group_gone_twice=rule.group_gone_twice or now - since >= SECOND_LOOK,
    )
