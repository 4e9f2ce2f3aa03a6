"""GET routes of contacts."""

from __future__ import annotations

from collections.abc import Callable

from infra.local.bms.calls import Call
from infra.local.bms.contact_rows import (
    full_name,
    info_row,
    list_row,
    list_row_bytes,
    lookup_row,
    search_row,
)
from infra.local.bms.paging import active_filter, page_of, text_test
from infra.local.bms.records import Contact
from infra.local.bms.refusals import NotThere
from infra.local.bms.replies import Reply, as_wire, enveloped, enveloped_rows

Test = Callable[[Contact], bool]


def contact_of(call: Call, contact_id: int) -> Contact:
    """Return a contact, or refuse."""
    contact = call.world.contacts.get(contact_id)
    if contact is None:
        raise NotThere(f"There is no contact {contact_id}.")
    return contact


def summary_list(call: Call) -> Reply:
    """GET /v2/crm/contacts/summary."""
    world = call.world
    query = call.query
    tests = _name_tests(call)
    email = text_test(call, "Filter.Email")
    if email is not None:
        tests.append(_email_test(email, call.switches.summary_email_filter == "all"))
    phone = text_test(call, "Filter.Phone")
    if phone is not None:
        tests.append(lambda contact: any(phone(each.value) for each in contact.phones))
    for name, member, sign in (
        ("Filter.CreatedOnFrom", "created_on", 1),
        ("Filter.CreatedOnTo", "created_on", -1),
        ("Filter.ModifiedOnFrom", "modified_on", 1),
        ("Filter.ModifiedOnTo", "modified_on", -1),
    ):
        edge = query.moment(name)
        if edge is not None:
            tests.append(_moment_test(member, sign, edge))
    ids = world.index.ids(query.integer("Filter.AccountId"), active_filter(call))
    ids = _narrowed(call, ids, tests)
    rows = [list_row_bytes(world, world.contacts[each]) for each in page_of(call, ids)]
    return enveloped_rows(rows, call.switches, len(ids))


def summary_one(call: Call) -> Reply:
    """GET /v2/crm/contacts/summary/{id}: enveloped, or the bare object that the file declares."""
    row = list_row(call.world, contact_of(call, call.ids[0]))
    if call.switches.single_summary == "bare":
        return Reply(body=as_wire(row, call.switches))
    return enveloped(row, call.switches)


def search(call: Call) -> Reply:
    """GET /v2/crm/contacts/search."""
    world = call.world
    query = call.query
    tests = _name_tests(call)
    location = text_test(call, "Filter.LocationName")
    if location is not None:
        tests.append(lambda contact: location(_location_name(call, contact)))
    job_title = text_test(call, "Filter.JobTitle")
    if job_title is not None:
        tests.append(lambda contact: job_title(contact.job_title))
    email = text_test(call, "Filter.EmailAddress")
    if email is not None:
        tests.append(_email_test(email, call.switches.search_email_filter == "all"))
    location_id = query.integer("Filter.LocationId")
    if location_id is not None:
        tests.append(lambda contact: contact.location_id == location_id)
    is_poc = query.boolean("Filter.IsPoc")
    if is_poc is not None:
        tests.append(lambda contact: contact.poc == is_poc)
    has_access = query.boolean("Filter.HasClientPortalAccess")
    if has_access is not None:
        tests.append(lambda contact: contact.has_portal_access == has_access)
    wanted_ids = set(query.integers("Filter.Ids"))
    if wanted_ids:
        tests.append(lambda contact: contact.id in wanted_ids)
    active = active_filter(call)
    account_ids = query.integers("Filter.AccountIds")
    ids = (
        [each for account in account_ids for each in world.index.ids(account, active)]
        if account_ids
        else world.index.ids(None, active)
    )
    page = page_of(call, _narrowed(call, ids, tests))
    return enveloped([search_row(world, world.contacts[each]) for each in page], call.switches)


def account_lookup(call: Call) -> Reply:
    """GET /v2/crm/accounts/{accountId}/contacts/lookup."""
    world = call.world
    account_id = call.ids[0]
    if account_id not in world.accounts:
        raise NotThere(f"There is no account {account_id}.")
    tests: list[Test] = []
    name = text_test(call, "Filter.Name")
    if name is not None:
        tests.append(lambda contact: name(full_name(contact)))
    location_id = call.query.integer("Filter.LocationId")
    if location_id is not None:
        tests.append(lambda contact: contact.location_id == location_id)
    ids = _narrowed(call, world.index.ids(account_id, active_filter(call)), tests)
    rows = [lookup_row(world, world.contacts[each]) for each in page_of(call, ids)]
    return enveloped(rows, call.switches)


def summary_info(call: Call) -> Reply:
    """GET /v2/crm/accounts/{accountId}/contacts/{contactId}/summaryinfo."""
    account_id, contact_id = call.ids
    contact = contact_of(call, contact_id)
    if contact.account_id != account_id:
        raise NotThere(f"Account {account_id} has no contact {contact_id}.")
    return enveloped(info_row(call.world, contact), call.switches)


def _name_tests(call: Call) -> list[Test]:
    tests: list[Test] = []
    first = text_test(call, "Filter.FirstName")
    if first is not None:
        tests.append(lambda contact: first(contact.first_name))
    last = text_test(call, "Filter.LastName")
    if last is not None:
        tests.append(lambda contact: last(contact.last_name))
    account = text_test(call, "Filter.AccountName")
    if account is not None:
        tests.append(lambda contact: account(call.world.accounts[contact.account_id].name))
    return tests


def _email_test(fits: Callable[[str | None], bool], every_address: bool) -> Test:
    if every_address:
        return lambda contact: any(fits(each.value) for each in contact.emails)
    return lambda contact: fits(contact.default_email())


def _moment_test(member: str, sign: int, edge: float) -> Test:
    # Times on the wire have milliseconds, so what is compared has them too.
    return lambda contact: sign * (int(getattr(contact, member) * 1000) - int(edge * 1000)) >= 0


def _narrowed(call: Call, ids: list[int], tests: list[Test]) -> list[int]:
    contacts = call.world.contacts
    for test in tests:
        ids = [each for each in ids if test(contacts[each])]
    return ids


def _location_name(call: Call, contact: Contact) -> str | None:
    location = call.world.locations.get(contact.location_id or 0)
    return location.name if location else None
