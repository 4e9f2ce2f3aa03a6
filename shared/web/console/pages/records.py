"""Records: who is which record in BMS, and who is in Entra without one.

One box searches both: the links in our own tables at once, and Entra as a part that comes after,
so that a tenant that does not answer never keeps the page waiting.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from shared.web.api.connections import ConnectionShown
from shared.web.api.records import RecordList
from shared.web.api.users import UserList, UserShown
from shared.web.console import lookups
from shared.web.console.inside import Refused, at
from shared.web.console.names import all_connections, connection_options
from shared.web.console.visits import Page, View, Visit

RECORDS = "/console/records"
_A_PAGE = 50
_OF_A_TENANT = 20
_MOST_TENANTS = 5  # asked for one search; with more connections the person chooses one
STATES = (
    ("", "All states"),
    ("active", "active"),
    ("inactive", "deactivated"),
    ("skipped", "left out"),
    ("kept", "left, kept"),
    ("conflict", "conflict"),
    ("failed", "failed"),
    ("worklist", "on the worklist"),
    ("pending", "being written"),
)


@dataclass(frozen=True, slots=True)
class FoundInEntra:
    """What one tenant answered: people, or why it could not be asked."""

    connection: ConnectionShown
    users: tuple[UserShown, ...] = ()
    more: bool = False
    trouble: Refused | None = None


def pages() -> list[Page]:
    """The rows of the console's table."""
    return [
        Page("GET", RECORDS, records),
        Page("GET", f"{RECORDS}/entra", in_entra),
    ]


def records(visit: Visit) -> View:
    """GET /console/records: the whole page, or for its script what was found."""
    connections = all_connections(visit.api)
    sought = visit.asked("q")
    found = visit.api.get(
        RecordList,
        "/api/records",
        q=sought,
        connectionId=visit.asked("connectionId"),
        state=visit.asked("state"),
        limit=_A_PAGE,
        cursor=visit.asked("cursor"),
    )
    on_page = {each.account_id for each in found.items if each.account_id is not None}
    accounts, missing = lookups.names(visit.api, "accounts", on_page)
    # A page reads so many records and connections and then says where to go on.
    limited = found.next_cursor is not None and len(found.items) < _A_PAGE
    values = {
        "sought": sought,
        "connection_id": visit.asked("connectionId"),
        "state": visit.asked("state"),
        "filtered": any(visit.asked(name) for name in ("q", "connectionId", "state")),
        "connections": connections,
        "connection_options": connection_options(connections),
        "tenants": {each.id: each.tenant_domain for each in connections},
        "states": STATES,
        "accounts": accounts,
        "names_missing": missing,
        "found": found,
        "limited": limited,
        "wants_part": visit.wants_part,
        "entra_address": _entra_address(visit, limited),
    }
    return View("records_found.html" if visit.wants_part else "records.html", values)


def in_entra(visit: Visit) -> View:
    """GET /console/records/entra: people of the tenants whom the records do not show."""
    sought, chosen = visit.asked("q"), visit.asked("connectionId")
    connections = all_connections(visit.api)
    connected = [each for each in connections if each.connected_at is not None]
    wanted = [each for each in connections if each.id == chosen] if chosen else connected
    too_many = len(wanted) > _MOST_TENANTS
    everybody = bool(visit.asked("limited"))
    results = []
    if sought and not too_many:
        results = [_found_in(visit, each, sought, everybody=everybody) for each in wanted]
    values = {
        "here": RECORDS,
        "sought": sought,
        "connections": connections,
        "results": results,
        "too_many": too_many,
        "at_most": _OF_A_TENANT,
        "people": sum(len(each.users) for each in results),
    }
    return View("records_entra.html" if visit.wants_part else "records_entra_page.html", values)


def _found_in(
    visit: Visit, connection: ConnectionShown, sought: str, *, everybody: bool
) -> FoundInEntra:
    try:
        found = visit.api.get(
            UserList, at("/api/users/{}", connection.id), q=sought, limit=_OF_A_TENANT
        ).items
    except Refused as refused:
        return FoundInEntra(connection, trouble=refused)
    users = tuple(user for user in found if everybody or user.record is None)
    return FoundInEntra(connection, users, more=len(found) >= _OF_A_TENANT)


def _entra_address(visit: Visit, limited: bool) -> str:
    asked = {name: visit.asked(name) for name in ("q", "connectionId")}
    asked["limited"] = "yes" if limited else ""
    return f"{RECORDS}/entra?" + urlencode({key: value for key, value in asked.items() if value})
