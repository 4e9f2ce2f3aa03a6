"""A mapping rule in words: where its people go, and whom it takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.core.employee_fields import LISTS
from shared.sync.employee_defaults import NAMES
from shared.web.api.bms import ChoiceList, ChoiceShown
from shared.web.console import lookups
from shared.web.console.inside import Inside, Refused
from shared.web.console.rule_draft import DraftRule

_MOST_ACCOUNTS = 50  # whose locations are named; the others keep their ids
GROUP_STATES = {
    "gone": (
        "bad",
        "gone from Entra",
        "Entra does not know this group any more. Its people wait until somebody decides: choose "
        "another group, or remove the rule.",
    ),
    "hidden": (
        "bad",
        "members hidden",
        "The members of this group are hidden, so they cannot be read. Nobody is deactivated for "
        "it: choose another group, or change its membership visibility in Entra.",
    ),
    "unreadable": (
        "look",
        "cannot be read",
        "The group could not be read the last time. Nobody is deactivated for it, and it is tried "
        "again by itself.",
    ),
    "unverified": (
        "off",
        "not looked at yet",
        "The group is looked at when the connection is connected.",
    ),
}
OVERRIDES = {
    "departmentId": "Department",
    "locationId": "Location",
    "managerId": "Manager",
    "jobTitleId": "Job title",
    "employmentTypeId": "Employment type",
    "securityRoleId": "Security role",
    "employeeRoleId": "Employee role",
}
KINDS = {NAMES[name]: kind for name, kind in LISTS.items()}  # member → look-up


def takes(rule: DraftRule) -> list[str]:
    """Whom of the group the rule takes, in short."""
    return [
        "nested groups too" if rule.include_nested else "direct members only",
        "guests too" if rule.include_guests else "no guests",
        "blocked users too" if rule.blocked_users == "sync" else "no blocked users",
    ]


def named(api: Inside, rules: Sequence[DraftRule]) -> dict[str, Any]:
    """What the ids of these rules are called, and why some names are missing."""
    accounts, trouble = lookups.names(
        api, "accounts", [one.account_id for one in rules if one.account_id]
    )
    places: dict[int, ChoiceShown] = {}
    located = dict.fromkeys(
        one.account_id for one in rules if one.location_id and one.account_id in accounts
    )
    for account_id in list(located)[:_MOST_ACCOUNTS]:
        try:
            found = api.get(ChoiceList, "/api/bms/locations", accountId=account_id, limit=1000)
        except Refused as refused:
            trouble = trouble or refused.sentence
            break
        places |= {each.id: each for each in found.items}
    overrides: dict[str, dict[int, ChoiceShown]] = {}
    for member, kind in KINDS.items():
        ids = [set_ for one in rules if (set_ := overridden(one).get(member))]
        if ids and not trouble:
            entries, why = lookups.names(api, kind, ids)
            overrides[member] = dict(entries)
            trouble = trouble or why
    return {
        "accounts": accounts,
        "places": places,
        "overrides": overrides,
        "override_labels": OVERRIDES,
        "bms_trouble": trouble,
        "group_states": GROUP_STATES,
        "takes": takes,
        "overridden": overridden,
    }


def overridden(rule: DraftRule) -> dict[str, int]:
    """The Employee Defaults that the rule overrides, by the API's names."""
    if rule.employee is None:
        return {}
    given = {NAMES[name]: getattr(rule.employee, name) for name in NAMES}
    return {name: value for name, value in given.items() if value is not None}
