"""The form of one mapping rule. What it gives goes into the draft, and nowhere else.

The group comes from a search in Entra, the account and its location from BMS; the draft of the
whole set waits in a hidden input meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from shared.errors import BadInput
from shared.web.api.connections import ConnectionShown
from shared.web.api.employees import DefaultsShown
from shared.web.api.mapping_rules import RuleBody
from shared.web.api.users import GroupList, GroupShown
from shared.web.bodies import read_body
from shared.web.console import lookups, rule_draft
from shared.web.console.forms import NOTHING_WRONG, Form, Wrong, number
from shared.web.console.inside import Inside, Refused, at
from shared.web.console.pages.rule_words import KINDS, OVERRIDES, overridden
from shared.web.console.rule_draft import Draft, DraftRule
from shared.web.console.visits import Page, View, Visit

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_GROUPS = 12  # hits of a search at once
_CHOOSE_GROUP = "Choose the group whose members this rule takes."
_CHOOSE_ACCOUNT = "Choose the BMS account whose contacts these people become."
_NO_LONGER_SO = "This location is none of the chosen account's: choose one of these, or none."


def pages() -> list[Page]:
    """The rows of the console's table."""
    return [
        Page("GET", "/console/connections/{connectionId}/groups/part", groups_part),
        Page("GET", "/console/bms/locations/choice/part", locations_part),
    ]


@dataclass(frozen=True, slots=True)
class Groups:
    """What a search in Entra found. `trouble`: why nothing could be searched."""

    items: tuple[GroupShown, ...] = ()
    more: bool = False
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Typed:
    """The form's inputs by their names, as they are typed."""

    values: Mapping[str, Any]
    group_q: str = ""
    account_q: str = ""
    searches: Mapping[str, str] | None = None

    def id(self, name: str) -> int | None:
        """A chosen entry of a look-up."""
        value = self.values.get(name)
        return value if isinstance(value, int) else None


def step(
    visit: Visit, connection: ConnectionShown, draft: Draft, do: str, index: int | None
) -> View | Draft:
    """The form after one of its buttons; the draft again when the rule is taken into it."""
    if do == "add":
        new = {
            "recordType": "contact",
            "order": rule_draft.next_order(draft),
            "includeNested": True,
            "enabled": True,
        }
        return _page(visit, connection, draft, Typed(new), None, NOTHING_WRONG)
    if do == "edit":
        before = _rule(draft, index)
        if before is None:
            raise BadInput(404, "This rule is not in the draft any more: open the page again.")
        wrong = Wrong(next(iter(before.faults.values()), ""), "", before.faults)
        return _page(visit, connection, draft, _from_rule(before), index, wrong)
    place = number(visit.form.text("at"))
    index = place if isinstance(place, int) else None
    typed = _from_form(visit.form)
    if do == "search":
        return _page(visit, connection, draft, typed, index, NOTHING_WRONG)
    made = _made(visit.api, connection, typed, _rule(draft, index))
    if isinstance(made, Wrong):
        return _page(visit, connection, draft, typed, index, made, status=422)
    return rule_draft.placed(draft, index, made)


def groups_part(visit: Visit) -> View:
    """GET …/groups/part: what was found while typing."""
    groups = _groups(visit.api, visit.path["connectionId"], visit.asked("groupId_q"))
    return View("rule_groups.html", {"groups": groups, "chosen": ""})


def locations_part(visit: Visit) -> View:
    """GET …/locations/choice/part: the locations of the account that was just chosen."""
    account, location = number(visit.asked("accountId")), number(visit.asked("locationId"))
    values = _locations(
        visit.api,
        account if isinstance(account, int) else None,
        location if isinstance(location, int) else None,
    )
    return View("rule_locations.html", {**values, "wrong": NOTHING_WRONG})


# --- what is typed --------------------------------------------------------------------------------


def _rule(draft: Draft, index: int | None) -> DraftRule | None:
    if index is None or not 0 <= index < len(draft.items):
        return None
    return draft.items[index]


def _from_rule(rule: DraftRule) -> Typed:
    values: dict[str, Any] = {
        "groupId": rule.group_id,
        "groupName": rule.group_name or "",
        "order": rule.order,
        "recordType": rule.record_type,
        "accountId": rule.account_id,
        "locationId": rule.location_id,
        "includeNested": rule.include_nested,
        "includeGuests": rule.include_guests,
        "blockedUsers": rule.blocked_users == "sync",
        "enabled": rule.enabled,
    }
    values |= {f"employee.{name}": value for name, value in overridden(rule).items()}
    return Typed(values)


def _from_form(form: Form) -> Typed:
    group_q = form.text("groupId_q")
    pasted = group_q if _GUID.fullmatch(group_q) and not form.text("groupId") else ""
    values: dict[str, Any] = {
        "groupId": form.text("groupId") or pasted.lower(),
        "groupName": form.text("groupName") if form.text("groupId") else "",
        "order": form.number("order"),
        "recordType": form.text("recordType") or "contact",
        "accountId": form.number("accountId"),
        "locationId": form.number("locationId"),
        "includeNested": form.ticked("includeNested"),
        "includeGuests": form.ticked("includeGuests"),
        "blockedUsers": form.ticked("blockedUsers"),
        "enabled": form.ticked("enabled"),
    }
    searches = {}
    for name in OVERRIDES:
        values[f"employee.{name}"] = form.number(f"employee.{name}")
        searches[name] = form.text(f"employee.{name}_q")
    return Typed(values, group_q, form.text("accountId_q"), searches)


def _made(
    api: Inside, connection: ConnectionShown, typed: Typed, before: DraftRule | None
) -> DraftRule | Wrong:
    """The rule that was typed, or what is wrong with it."""
    values, faults = typed.values, {}
    contact = values["recordType"] == "contact"
    body: dict[str, Any] = {
        name: values[name]
        for name in ("groupId", "order", "recordType", "includeNested", "includeGuests", "enabled")
    }
    body["blockedUsers"] = "sync" if values["blockedUsers"] else "leave"
    if contact:
        body |= {"accountId": values["accountId"], "locationId": values["locationId"]}
        if values["accountId"] is None:
            faults["accountId"] = _CHOOSE_ACCOUNT
        elif values["locationId"] is not None:
            there = _locations(api, typed.id("accountId"), typed.id("locationId"))
            known = [each.id for each in there["locations"].items]
            if known and values["locationId"] not in known:
                faults["locationId"] = _NO_LONGER_SO
    else:
        given = {name: values[f"employee.{name}"] for name in OVERRIDES}
        chosen = {name: value for name, value in given.items() if value is not None}
        body["employee"] = chosen or None
    group = _group(api, connection, values["groupId"], before)
    if isinstance(group, str):
        faults["groupId"] = group
    else:
        body |= group
    if faults.keys().isdisjoint({"groupId"}) or values["groupId"]:
        try:
            read_body(msgspec.json.encode(body), RuleBody)
        except BadInput as refusal:
            faults.setdefault(refusal.field or "", refusal.sentence)
    if faults:
        return Wrong(next(iter(faults.values())), "", faults)
    if before is not None and before.id:
        body |= {"id": before.id}
        if before.created_at is not None:
            body["createdAt"] = before.created_at
    return msgspec.convert(msgspec.to_builtins(body), type=DraftRule)


def _group(
    api: Inside, connection: ConnectionShown, group_id: str, before: DraftRule | None
) -> dict[str, Any] | str:
    """What Entra says of the group, for the list; a sentence where it cannot be taken."""
    if not group_id:
        return _CHOOSE_GROUP
    if before is not None and before.group_id == group_id.lower():
        known = {"groupName": before.group_name, "groupState": before.group_state}
        known["groupCreatedAt"] = before.group_created_at  # type: ignore[assignment]
        return {name: value for name, value in known.items() if value is not None}
    found = _groups(api, connection.id, group_id)
    if found.trouble:
        return {"groupState": "unverified"}  # nobody can tell now; the admin API asks again
    one = next((each for each in found.items if each.id.lower() == group_id.lower()), None)
    if one is None:
        return (
            "There is no group with this id in this tenant: search it by its name, or copy the "
            "Object ID from the group's page in the Entra admin center."
        )
    if not one.usable:
        return one.reason or "This group cannot be used in a rule: choose another one."
    return {"groupName": one.name, "groupState": "ok", "groupCreatedAt": one.created_at}


# --- what is shown --------------------------------------------------------------------------------


def _page(
    visit: Visit,
    connection: ConnectionShown,
    draft: Draft,
    typed: Typed,
    index: int | None,
    wrong: Wrong,
    status: int = 200,
) -> View:
    api, values = visit.api, typed.values
    group_id = values.get("groupId") or ""
    name = values.get("groupName") or ""
    kind = ""
    if group_id:
        found = _groups(api, connection.id, group_id) if _GUID.fullmatch(group_id) else Groups()
        for one in found.items:
            name, kind = one.name, one.kind
    account = typed.id("accountId")
    place = _locations(api, account, typed.id("locationId"))
    return View(
        "rule_form.html",
        {
            "connection": connection,
            "here": "/console/rules",
            "connection_here": at("/console/connections/{}/rules", connection.id),
            "draft": rule_draft.write(draft),
            "at": "" if index is None else index,
            "new": index is None,
            "values": values,
            "wrong": wrong,
            "group": {"id": group_id, "name": name, "kind": kind},
            "group_q": typed.group_q,
            "groups": _groups(api, connection.id, typed.group_q),
            "account": lookups.picker(
                api, "accounts", [account] if account else [], q=typed.account_q
            ),
            **place,
            **_overrides(api, typed),
        },
        status,
    )


def _groups(api: Inside, connection_id: str, q: str) -> Groups:
    try:
        path = at("/api/connections/{}/groups", connection_id)
        found = api.get(GroupList, path, q=q, limit=_GROUPS + 1)
    except Refused as refused:
        return Groups(trouble=refused.sentence)
    return Groups(tuple(found.items[:_GROUPS]), more=len(found.items) > _GROUPS)


def _locations(api: Inside, account_id: int | None, location_id: int | None) -> dict[str, Any]:
    """The choice of a location; without one new contacts get the account's main location."""
    found = lookups.Choices()
    if account_id is not None:
        found = lookups.choices(api, "locations", account_id=account_id, limit=1000)
    only = len(found.items) == 1
    main = next((one.name for one in found.items if one.is_main or only), "")
    return {"locations": found, "location_id": location_id, "main": main, "account_id": account_id}


def _overrides(api: Inside, typed: Typed) -> dict[str, Any]:
    """The inputs that override an Employee Default, and what each default is now."""
    pickers: dict[str, lookups.Picker] = {}
    defaults: dict[str, str] = {}
    try:
        now = msgspec.to_builtins(api.get(DefaultsShown, "/api/employee-defaults"))
    except Refused:
        now = {}
    for name in OVERRIDES:
        chosen = typed.id(f"employee.{name}")
        q = (typed.searches or {}).get(name, "")
        made = lookups.picker(api, KINDS[name], [chosen] if chosen else [], q=q)
        pickers[name] = made
        default = now.get(name)
        named = {one.id: one.name for one in made.choices.items}
        defaults[name] = named.get(default, f"id {default}") if default else "not set"
    return {"pickers": pickers, "override_labels": OVERRIDES, "default_names": defaults}
