"""PATCH of the e-mail addresses and phone numbers of a contact.

`Operation` is 0, 1 or 2 in the file, without names. The order add, update, delete is assumed
from the order of the counters in the reply; the switch `operations` holds another one, so that
a client that trusts the assumption is found out.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any

from infra.local.bms.calls import Call
from infra.local.bms.contact_reads import contact_of
from infra.local.bms.contact_rows import email_rows, phone_rows
from infra.local.bms.contact_rules import check_type, fit_length
from infra.local.bms.openapi import bind_list
from infra.local.bms.records import Entry
from infra.local.bms.refusals import Rejected
from infra.local.bms.replies import Reply, enveloped
from infra.local.bms.world import NewEntry


@dataclass(frozen=True, slots=True)
class _Kind:
    schema: str
    member: str
    list_name: str
    what: str
    make: Callable[[NewEntry, int], Entry]


def patch_emails(call: Call) -> Reply:
    """PATCH /v2/crm/contacts/{contactId}/emails."""
    kind = _Kind(
        "ContactEmailPatchOperationDto",
        "EmailAddress",
        "email_types",
        "e-mail address",
        call.world.new_email,
    )
    operations = bind_list(kind.schema, call.json(), call.switches)
    contact = contact_of(call, call.ids[0])
    edit = _Edit(call, kind, contact.emails)
    counts = edit.run(operations)
    call.world.change_contact(contact, {"emails": edit.entries}, call.user_id)
    return enveloped({**counts, "Emails": email_rows(call.world, contact)}, call.switches)


def patch_phones(call: Call) -> Reply:
    """PATCH /v2/crm/contacts/{contactId}/phones."""
    kind = _Kind(
        "ContactPhonePatchOperationDto",
        "PhoneNumber",
        "phone_types",
        "phone number",
        call.world.new_phone,
    )
    operations = bind_list(kind.schema, call.json(), call.switches)
    contact = contact_of(call, call.ids[0])
    edit = _Edit(call, kind, contact.phones)
    counts = edit.run(operations)
    call.world.change_contact(contact, {"phones": edit.entries}, call.user_id)
    return enveloped({**counts, "Phones": phone_rows(call.world, contact)}, call.switches)


class _Edit:
    """All operations of one request, on a copy that replaces the list only when all have passed."""

    def __init__(self, call: Call, kind: _Kind, held: list[Entry]) -> None:
        self._call = call
        self._kind = kind
        self._switches = call.switches
        self._had_default = any(each.is_default for each in held)
        self.entries = [copy(each) for each in held]

    def run(self, operations: list[dict[str, Any]]) -> dict[str, int]:
        done = dict.fromkeys(("add", "update", "delete"), 0)
        steps = {"add": self._add, "update": self._update, "delete": self._delete}
        for each in operations:
            # A left-out Operation is 0 in .NET, whatever 0 means.
            meaning = self._switches.operations[each.get("Operation", 0)]
            steps[meaning](each)
            done[meaning] += 1
        if self._had_default and self.entries and not any(e.is_default for e in self.entries):
            raise Rejected(f"One {self._kind.what} must be the default.")
        return {"Added": done["add"], "Updated": done["update"], "Deleted": done["delete"]}

    def _add(self, operation: dict[str, Any]) -> None:
        value = self._fit(operation.get(self._kind.member) or "")
        self._check(value, operation.get("TypeId"))
        if self._switches.same_entry_twice == "refuse" and self._find(value) is not None:
            raise Rejected(f"The contact has the {self._kind.what} already.")
        # The first entry is the default whether the caller says so or not.
        is_default = bool(operation.get("IsDefault")) or not self.entries
        if is_default:
            self._make_room_for_default(None)
        new = NewEntry(value, operation["TypeId"], is_default)
        self.entries.append(self._kind.make(new, self._call.user_id))

    def _update(self, operation: dict[str, Any]) -> None:
        entry = self._named(operation)
        new_value = operation.get(f"New{self._kind.member}")
        value = entry.value if new_value is None else self._fit(new_value)
        type_id = operation.get("TypeId")
        self._check(value, entry.type_id if type_id is None else type_id)
        is_default = operation.get("IsDefault")
        if is_default and not entry.is_default:
            self._make_room_for_default(entry)
        entry.value = value
        entry.type_id = entry.type_id if type_id is None else type_id
        entry.is_default = entry.is_default if is_default is None else is_default
        entry.modified_by = self._call.user_id
        entry.modified_on = self._call.world.clock.now()

    def _delete(self, operation: dict[str, Any]) -> None:
        entry = self._named(operation)
        switches = self._switches
        is_phone = self._kind.list_name == "phone_types"
        if is_phone and len(self.entries) == 1:
            if switches.only_phone_deletion == "refuse":
                raise Rejected("The only phone number cannot be deleted.")
        elif entry.is_default:
            rule = switches.default_phone_deletion if is_phone else switches.default_email_deletion
            if rule == "refuse":
                raise Rejected(f"The default {self._kind.what} cannot be deleted.")
        self.entries.remove(entry)
        if entry.is_default and self.entries:
            # Somebody has to be the default; assumed: the oldest that is left.
            self.entries[0].is_default = True

    def _make_room_for_default(self, entry: Entry | None) -> None:
        others = [each for each in self.entries if each is not entry and each.is_default]
        if others and self._switches.new_default == "refused":
            raise Rejected(f"The contact has a default {self._kind.what} already.")
        if self._switches.new_default == "unsets_former":
            for each in others:
                each.is_default = False

    def _named(self, operation: dict[str, Any]) -> Entry:
        entry = self._find(operation.get(self._kind.member) or "")
        if entry is None:
            raise Rejected(f"The contact has no such {self._kind.what}.")
        return entry

    def _find(self, value: str) -> Entry | None:
        wanted = value.strip().lower()
        return next((each for each in self.entries if each.value.strip().lower() == wanted), None)

    def _fit(self, value: str) -> str:
        reasons: list[str] = []
        fitted = fit_length(self._call.world, self._kind.member, value, reasons)
        if reasons:
            raise Rejected(*reasons)
        return str(fitted)

    def _check(self, value: str, type_id: int | None) -> None:
        reasons = [] if value.strip() else [f"The {self._kind.what} is empty."]
        reasons += check_type(self._call.world, self._kind.list_name, type_id)
        if reasons:
            raise Rejected(*reasons)
