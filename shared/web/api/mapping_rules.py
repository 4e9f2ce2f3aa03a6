"""/api/mapping-rules, and the whole set of a connection in one step (R5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from shared.core.model import MappingRule, RecordType
from shared.errors import BadInput, BadInputs
from shared.sync.employee_defaults import NAMES
from shared.sync.mapping_rules import MappingRules, RuleWish
from shared.sync.previewing import Previewing
from shared.web.api.shapes import BmsId, Guid, Paged, Shown, Strict, Text, utc
from shared.web.bodies import read_body
from shared.web.cursor import page_of
from shared.web.http import Reply, empty_reply, json_reply
from shared.web.router import Call, Route

Order = Annotated[int, Meta(ge=0, le=1_000_000)]


class EmployeeOverrides(Strict):
    """Employee defaults that a rule overrides (R3)."""

    department_id: BmsId | None = None
    location_id: BmsId | None = None
    manager_id: BmsId | None = None
    job_title_id: BmsId | None = None
    employment_type_id: BmsId | None = None
    security_role_id: BmsId | None = None
    employee_role_id: BmsId | None = None


class RuleBody(Strict):
    """A rule. What Entra tells of the group may come along from a GET, and is read anew."""

    group_id: Guid
    order: Order
    record_type: Literal["contact", "employee"]
    account_id: BmsId | None = None
    location_id: BmsId | None = None
    include_nested: bool = True
    include_guests: bool = False
    blocked_users: Literal["leave", "sync"] = "leave"
    enabled: bool = True
    employee: EmployeeOverrides | None = None
    id: Text | None = None
    connection_id: Text | None = None
    group_name: Text | None = None
    group_created_at: datetime | None = None
    group_state: Text | None = None
    created_at: datetime | None = None
    notes: list[Text] = []

    def wish(self) -> RuleWish:
        """What the caller wants."""
        given = {name: getattr(self.employee, name) for name in NAMES} if self.employee else {}
        return RuleWish(
            group_id=self.group_id,
            order=self.order,
            record_type=RecordType(self.record_type),
            account_id=self.account_id,
            location_id=self.location_id,
            include_nested=self.include_nested,
            include_guests=self.include_guests,
            blocked_users=self.blocked_users,
            enabled=self.enabled,
            employee={name: value for name, value in given.items() if value is not None},
            id=self.id,
            connection_id=self.connection_id,
        )


class Confirm(Strict):
    """Approves the numbers of a preview."""

    preview_id: Text


class RuleSetBody(Strict):
    """PUT of a whole set. Items are read one by one, so that each can be told its own faults."""

    items: list[msgspec.Raw]
    confirm: Confirm | None = None
    next_cursor: Text | None = None


class RulesQuery(Paged):
    """GET /api/mapping-rules."""

    connection_id: Text | None = None


class RuleShown(Shown):
    """A rule, with what Entra tells of its group."""

    id: str
    connection_id: str
    group_id: str
    group_name: str | None
    group_created_at: datetime | None
    group_state: str
    order: int
    record_type: str
    account_id: int | None
    location_id: int | None
    include_nested: bool
    include_guests: bool
    blocked_users: str
    enabled: bool
    employee: dict[str, int] | None
    created_at: datetime | None
    notes: list[str] = []


class RuleList(Shown):
    """A page of rules, in the order in which they are tried."""

    items: list[RuleShown]
    next_cursor: str | None


def shown(rule: MappingRule, notes: tuple[str, ...] = ()) -> RuleShown:
    """The rule as the API shows it."""
    return RuleShown(
        id=rule.id,
        connection_id=rule.connection_id,
        group_id=rule.group_id,
        group_name=rule.group_name or None,
        group_created_at=utc(rule.group_created_at),
        group_state=rule.group_state.value,
        order=rule.order,
        record_type=rule.record_type.value,
        account_id=rule.account_id,
        location_id=rule.location_id,
        include_nested=rule.include_nested,
        include_guests=rule.include_guests,
        blocked_users=rule.blocked_users,
        enabled=rule.enabled,
        employee={NAMES[name]: value for name, value in rule.employee.items()} or None,
        created_at=utc(rule.created_at),
        notes=list(notes),
    )


@dataclass(frozen=True, slots=True)
class MappingRulesApi:
    """The resource."""

    rules: MappingRules
    previews: Previewing

    def routes(self) -> list[Route]:
        """Its rows in the table."""
        one, whole = "/api/mapping-rules/{ruleId}", "/api/connections/{connectionId}/mapping-rules"
        return [
            Route(
                "GET",
                "/api/mapping-rules",
                self.all,
                "Mapping rules",
                query=RulesQuery,
                reply=RuleList,
            ),
            Route(
                "POST",
                "/api/mapping-rules",
                self.add,
                "Add a mapping rule",
                body=RuleBody,
                reply=RuleShown,
                status=201,
            ),
            Route("GET", one, self.get, "One mapping rule", reply=RuleShown),
            Route(
                "PUT", one, self.change, "Replace a mapping rule", body=RuleBody, reply=RuleShown
            ),
            Route("DELETE", one, self.delete, "Remove a mapping rule", status=204),
            Route(
                "GET",
                whole,
                self.of_connection,
                "The rules of a connection",
                query=Paged,
                reply=RuleList,
            ),
            Route(
                "PUT",
                whole,
                self.replace,
                "Replace the whole rule set of a connection at once",
                body=RuleSetBody,
                reply=RuleList,
            ),
        ]

    def all(self, call: Call) -> Reply:
        """GET /api/mapping-rules."""
        query: RulesQuery = call.query
        return _page(self.rules.all(query.connection_id or None), query)

    def of_connection(self, call: Call) -> Reply:
        """GET /api/connections/{id}/mapping-rules."""
        return _page(self.rules.all(call.path["connectionId"]), call.query)

    def add(self, call: Call) -> Reply:
        """POST /api/mapping-rules."""
        body: RuleBody = call.body
        if body.id is not None:
            raise BadInput(422, "id is given to a new rule by this app: leave it out.", field="id")
        saved = self.rules.add(body.wish())
        return json_reply(
            shown(saved.rule, saved.notes),
            201,
            (("Location", f"/api/mapping-rules/{saved.rule.id}"),),
        )

    def get(self, call: Call) -> Reply:
        """GET /api/mapping-rules/{id}."""
        return json_reply(shown(self.rules.get(call.path["ruleId"])))

    def change(self, call: Call) -> Reply:
        """PUT /api/mapping-rules/{id}."""
        body: RuleBody = call.body
        saved = self.rules.change(call.path["ruleId"], body.wish())
        return json_reply(shown(saved.rule, saved.notes))

    def delete(self, call: Call) -> Reply:
        """DELETE /api/mapping-rules/{id}."""
        self.rules.remove(call.path["ruleId"])
        return empty_reply()

    def replace(self, call: Call) -> Reply:
        """PUT /api/connections/{id}/mapping-rules."""
        body: RuleSetBody = call.body
        connection_id = call.path["connectionId"]
        wishes = read_items(body.items, body.next_cursor)
        if body.confirm is None:
            rules = self.rules.replace(connection_id, wishes)
        else:
            rules = self.previews.save(connection_id, wishes, body.confirm.preview_id)
        return json_reply(RuleList(items=[shown(rule) for rule in rules], next_cursor=None))


def read_items(items: Sequence[msgspec.Raw], next_cursor: str | None) -> list[RuleWish]:
    """The wishes of a whole set; BadInputs tells each item's own faults, all at once."""
    if next_cursor is not None:
        raise BadInput(
            422,
            "nextCursor is set, so this is one page of the rules only, and the others would "
            "be removed: send all rules, without nextCursor.",
            field="nextCursor",
        )
    wishes: list[RuleWish] = []
    problems: list[BadInput] = []
    for index, item in enumerate(items):
        try:
            wishes.append(read_body(bytes(item), RuleBody, at=f"items[{index}].").wish())
        except BadInput as refusal:
            problems.append(refusal)
    if problems:
        raise BadInputs(problems)
    return wishes


def _page(rules: list[MappingRule], query: Paged) -> Reply:
    items, cursor = page_of(rules, query.limit, query.cursor)
    return json_reply(RuleList(items=[shown(rule) for rule in items], next_cursor=cursor))
