"""The routes of contacts (itglue-api.md 3.1)."""

from __future__ import annotations

import copy
from typing import Any

from infra.local.itglue import rendering
from infra.local.itglue.contact_rules import SYNCED, apply
from infra.local.itglue.records import Account, Person
from infra.local.itglue.selecting import contact_tests, ordered, select
from infra.local.itglue.switches import Switches
from infra.local.itglue.wire import (
    Json,
    Query,
    Refusal,
    Reply,
    Request,
    attributes_of,
    document,
    listed,
    reply_of,
)

_SORTS = {"first_name", "last_name", "id", "created_at", "updated_at"}
_LARGEST_BULK = 50


class Contacts:
    """Serves contacts; `organization` is set on nested routes."""

    def __init__(self, account: Account, switches: Switches) -> None:
        self._account = account
        self._switches = switches

    def list(self, query: Query, path: str, organization: int | None) -> Reply:
        """GET. Filters do not work on the nested route."""
        rows = list(self._account.people.values())
        if organization is not None:
            self._existing(organization)
            rows = [one for one in rows if one.organization_id == organization]
        else:
            rows = select(rows, query, contact_tests(self._switches), self._switches)
        shown = [self._shown(one, query) for one in ordered(rows, query, _SORTS)]
        wanted = "adapters_resources" in query.include and self._switches.adapters == "shown"
        included = rendering.adapters(self._account) if wanted else []
        return listed(shown, query, path, self._switches, included)

    def one(self, number: int, query: Query, organization: int | None) -> Reply:
        """GET of one."""
        return reply_of(200, {"data": self._shown(self._person(number, organization), query)})

    def create(self, request: Request, organization: int | None) -> Reply:
        """POST of one, or of an array on the nested route."""
        data = document(request)
        if isinstance(data, list):
            if organization is None:
                raise Refusal(400, "Bulk creation is possible on the nested route only.")
            _few(data)
            made = [self._create(each, organization) for each in data]
            return reply_of(201, {"data": [self._shown(one) for one in made]})
        return reply_of(201, {"data": self._shown(self._create(data, organization))})

    def change(self, number: int, request: Request, organization: int | None) -> Reply:
        """PATCH of one."""
        person = self._person(number, organization)
        self._change(person, attributes_of(document(request), "contacts"))
        return reply_of(200, {"data": self._shown(person)})

    def change_many(self, request: Request, organization: int | None) -> Reply:
        """PATCH of an array with `attributes.id`; not on the nested route."""
        data = document(request)
        if organization is not None or not isinstance(data, list):
            raise Refusal(400, "Bulk changes are an array, and not possible on a nested route.")
        _few(data)
        before = copy.deepcopy(self._account.people)
        changed: list[Person] = []
        for each in data:
            values = attributes_of(each, "contacts")
            try:
                person = self._person(_id(values.pop("id", None)), None)
                self._change(person, values)
                changed.append(person)
            except Refusal:
                if self._switches.bulk_patch == "all_or_nothing":
                    self._account.people = before
                    raise
        return reply_of(200, {"data": [self._shown(one) for one in changed]})

    def delete_many(self, request: Request, organization: int | None) -> Reply:
        """DELETE of an array with `attributes.id`: final."""
        data = document(request)
        found = [
            self._person(_id(attributes_of(each, "contacts").get("id")), organization)
            for each in data
        ]
        for one in found:
            del self._account.people[one.id]
        return reply_of(200, {"data": [self._shown(one) for one in found]})

    def _create(self, resource: Any, organization: int | None) -> Person:
        values = attributes_of(resource, "contacts")
        owner = organization
        if owner is None:
            given = values.get("organization_id")
            owner = int(str(given)) if str(given).isdigit() else 0
        if owner not in self._account.organizations:
            raise Refusal(422, "Valid organization_id is required", "organization_id")
        # A number is given away only once everything was found to be right.
        apply(self._account, Person(0, owner), values, self._switches)
        person = self._account.add_person(owner)
        apply(self._account, person, values, self._switches)
        return person

    def _change(self, person: Person, values: Json) -> None:
        if person.synced and self._switches.synced_patch == "refuse":
            raise Refusal(422, SYNCED)
        apply(self._account, person, values, self._switches)

    def _existing(self, organization: int) -> None:
        if organization not in self._account.organizations:
            raise Refusal(404, "Record not found")

    def _person(self, number: int, organization: int | None) -> Person:
        person = self._account.people.get(number)
        if person is None or organization not in (None, person.organization_id):
            raise Refusal(404, "Record not found")
        return person

    def _shown(self, person: Person, query: Query | None = None) -> Json:
        include = query.include if query else set()
        return rendering.person(person, self._account, self._switches, include)


def _id(value: Any) -> int:
    if not str(value).isdigit():
        raise Refusal(400, "Each resource needs attributes.id.")
    return int(value)


def _few(data: list[Any]) -> None:
    if len(data) > _LARGEST_BULK:
        raise Refusal(400, f"At most {_LARGEST_BULK} resources at once.")
