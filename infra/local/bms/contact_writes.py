"""Create, PATCH, PUT and DELETE of contacts."""

from __future__ import annotations

from typing import Any

from infra.local.bms.calls import Call
from infra.local.bms.contact_reads import contact_of
from infra.local.bms.contact_rows import create_row, write_row
from infra.local.bms.contact_rules import (
    ATTRIBUTES,
    apply_members,
    check_account,
    check_entries,
    check_location,
    check_name,
    fit_length,
)
from infra.local.bms.openapi import bind, bind_list, bind_member, members
from infra.local.bms.records import Contact, CustomValue
from infra.local.bms.refusals import Rejected
from infra.local.bms.replies import Reply, enveloped
from infra.local.bms.world import NewEntry, World

PUT_SCHEMA = "ContactPutInputDto"


def create(call: Call) -> Reply:
    """POST /v2/crm/contacts/summary: active, without a job title, and no guard against twins."""
    world = call.world
    body = bind("ContactInputDto", call.json(), call.switches)
    reasons: list[str] = []
    first = fit_length(world, "FirstName", body.get("FirstName"), reasons)
    last = fit_length(world, "LastName", body.get("LastName"), reasons)
    reasons += check_name("FirstName", first) + check_name("LastName", last)
    account_id = body.get("AccountId", 0)
    location_id = body.get("LocationId", 0)
    reasons += check_account(world, account_id) or check_location(world, account_id, location_id)
    emails = _entries(world, body.get("Emails"), "Email", "EmailAddress", reasons)
    phones = _entries(world, body.get("Phones"), "Phone", "PhoneNumber", reasons)
    if not emails:
        reasons.append("An e-mail address is required.")
    if not phones and world.switches.phone_required:
        reasons.append("A phone number is required.")
    reasons += check_entries(world, "email_types", emails)
    reasons += check_entries(world, "phone_types", phones)
    custom = body.get("CustomFieldsData") or []
    reasons += _check_custom(world, custom)
    if reasons:
        raise Rejected(*reasons)
    contact = world.add_contact(account_id, location_id, first, last, emails, phones, call.user_id)
    _keep_custom(world, contact, custom, call.user_id)
    return enveloped(create_row(world, contact), call.switches)


def patch(call: Call) -> Reply:
    """PATCH /v2/crm/contacts/{id}: a JSON Patch over the members that PUT takes."""
    operations = bind_list("Operation", call.json(), call.switches)
    contact = contact_of(call, call.ids[0])
    changed: dict[str, Any] = {}
    for each in operations:
        _apply_operation(call, contact, each, changed)
    apply_members(call.world, contact, changed, call.user_id)
    return enveloped(write_row(call.world, contact), call.switches)


def put(call: Call) -> Reply:
    """PUT /v2/crm/contacts/{id}: what is left out becomes false, 0 or null, as in .NET."""
    body = bind(PUT_SCHEMA, call.json(), call.switches)
    contact = contact_of(call, call.ids[0])
    whole = {name: body.get(name, _left_out(name)) for name in ATTRIBUTES}
    apply_members(call.world, contact, whole, call.user_id)
    return enveloped(write_row(call.world, contact), call.switches)


def delete(call: Call) -> Reply:
    """DELETE /v2/crm/contacts/{Id}: it works, so that a test can see that nobody calls it."""
    call.world.remove_contact(contact_of(call, call.ids[0]))
    return Reply()


def _apply_operation(
    call: Call, contact: Contact, operation: dict[str, Any], changed: dict[str, Any]
) -> None:
    path = str(operation.get("path") or "")
    # The slash may be missing and the casing is free: both styles are in use.
    name = members(PUT_SCHEMA).get(path.removeprefix("/").lower())
    if name is None:
        raise Rejected(f"The target location specified by path segment '{path}' was not found.")
    kind = str(operation.get("op") or "").lower()
    if kind in ("add", "replace"):
        changed[name] = bind_member(PUT_SCHEMA, name, operation.get("value"), call.switches)
    elif kind == "remove":
        changed[name] = _left_out(name)
    elif kind == "test":
        held = changed.get(name, getattr(contact, ATTRIBUTES[name]))
        if held != operation.get("value"):
            raise Rejected(f"The current value at path '{path}' is not equal to the test value.")
    else:
        raise Rejected(f"Invalid JsonPatch operation '{operation.get('op')}'.")


def _left_out(name: str) -> Any:
    if name in ("AccountId", "LocationId"):
        return 0
    return False if name in ("Poc", "IsActive", "ReceiveInvoices", "BillByContact") else None


def _entries(
    world: World, given: list[Any] | None, kind: str, member: str, reasons: list[str]
) -> list[NewEntry]:
    return [
        NewEntry(
            value=fit_length(world, member, each.get(member) or "", reasons),
            type_id=each.get(f"{kind}TypeId", 0),
            is_default=each.get("IsDefault", False),
        )
        for each in given or []
        if each is not None
    ]


def _check_custom(world: World, given: list[dict[str, Any]]) -> list[str]:
    module = world.switches.contact_module_id
    fields = {each.id: each for each in world.custom_fields.values() if each.module_id == module}
    values = {each.get("CustomFieldId", 0): each.get("Data") for each in given}
    reasons = [f"Custom field {each} does not exist." for each in values if each not in fields]
    reasons += [
        f"Custom field '{each.name}' is required."
        for each in fields.values()
        if each.is_required and not values.get(each.id)
    ]
    return reasons


def _keep_custom(world: World, contact: Contact, given: list[dict[str, Any]], by: int) -> None:
    if not given:
        return
    held = world.custom_values.setdefault((world.switches.contact_module_id, contact.id), {})
    for each in given:
        held[each["CustomFieldId"]] = CustomValue(
            id=world.next_custom_id(),
            field_id=each["CustomFieldId"],
            data=each.get("Data"),
            settings_id=each.get("SettingsId") or 0,
            by=by,
            on=world.clock.now(),
        )
