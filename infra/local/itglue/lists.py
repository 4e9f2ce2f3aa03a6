"""The routes of organizations, locations and contact types (itglue-api.md 4 and 5)."""

from __future__ import annotations

from infra.local.itglue import rendering
from infra.local.itglue.contact_rules import SYNCED
from infra.local.itglue.records import Account
from infra.local.itglue.selecting import (
    ordered,
    organization_tests,
    place_tests,
    select,
    text_test,
)
from infra.local.itglue.switches import Switches
from infra.local.itglue.wire import (
    Query,
    Refusal,
    Reply,
    Request,
    attributes_of,
    document,
    listed,
    reply_of,
)


class Lists:
    """Serves everything but contacts."""

    def __init__(self, account: Account, switches: Switches) -> None:
        self._account = account
        self._switches = switches

    def organizations(self, query: Query, path: str) -> Reply:
        """GET /organizations."""
        tests = organization_tests(self._switches)
        rows = select(self._account.organizations.values(), query, tests, self._switches)
        rows = ordered(rows, query, {"name", "id", "updated_at", "created_at"})
        shown = [rendering.organization(one) for one in rows]
        return listed(shown, query, path, self._switches, [])

    def organization(self, number: int) -> Reply:
        """GET /organizations/{id}."""
        one = self._account.organizations.get(number)
        if one is None:
            raise Refusal(404, "Record not found")
        return reply_of(200, {"data": rendering.organization(one)})

    def statuses(self, query: Query, path: str) -> Reply:
        """GET /organization_statuses."""
        row = {"id": "1", "type": "organization-statuses", "attributes": {"name": "Active"}}
        return listed([row], query, path, self._switches, [])

    def places(self, query: Query, path: str, organization: int | None) -> Reply:
        """GET /locations; filters do not work on the nested route."""
        rows = list(self._account.places.values())
        if organization is not None:
            rows = [one for one in rows if one.organization_id == organization]
        else:
            rows = select(rows, query, place_tests(self._switches), self._switches)
        names = {"id", "name", "primary", "created_at", "updated_at"}
        shown = [rendering.place(one, self._account) for one in ordered(rows, query, names)]
        return listed(shown, query, path, self._switches, [])

    def place(self, number: int) -> Reply:
        """GET /locations/{id}."""
        one = self._account.places.get(number)
        if one is None:
            raise Refusal(404, "Record not found")
        return reply_of(200, {"data": rendering.place(one, self._account)})

    def types(self, query: Query, path: str) -> Reply:
        """GET /contact_types; the name's filter is exact."""
        tests = {"name": text_test("name", "exact")}
        rows = select(self._account.types.values(), query, tests, self._switches)
        rows = ordered(rows, query, {"name", "id", "created_at", "updated_at"})
        return listed(
            [rendering.contact_type(one) for one in rows], query, path, self._switches, []
        )

    def type(self, number: int) -> Reply:
        """GET /contact_types/{id}."""
        one = self._account.types.get(number)
        if one is None:
            raise Refusal(404, "Record not found")
        return reply_of(200, {"data": rendering.contact_type(one)})

    def add_type(self, request: Request) -> Reply:
        """POST /contact_types."""
        made = self._account.add_type(_name(request))
        return reply_of(201, {"data": rendering.contact_type(made)})

    def change_type(self, number: int, request: Request) -> Reply:
        """PATCH /contact_types/{id}."""
        one = self._account.types.get(number)
        if one is None:
            raise Refusal(404, "Record not found")
        name = _name(request)
        if one.synced:
            raise Refusal(422, SYNCED)
        one.name = name
        return reply_of(200, {"data": rendering.contact_type(one)})


def _name(request: Request) -> str:
    name = attributes_of(document(request), "contact_types").get("name")
    if not isinstance(name, str) or not name.strip():
        raise Refusal(422, "name is required", "name")
    return name
