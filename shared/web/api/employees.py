"""/api/employee-defaults and /api/worklist: who works here, and what is to be typed into BMS."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from shared.core.employee_fields import LABELS
from shared.core.worklist import Item, ItemKind, is_shown
from shared.sync.employee_defaults import NAMES, ManageEmployeeDefaults
from shared.sync.employee_defaults import Shown as Defaults
from shared.sync.worklist import WorkOff
from shared.web.api.shapes import BmsId, Paged, Shown, Strict, Text, one_of, utc
from shared.web.cursor import page_of
from shared.web.http import Reply, json_reply
from shared.web.router import Call, NoBody, Route
from shared.web.worklist_csv import CSV, as_csv

Kind = Literal["create", "change", "deactivate"]
WriteMode = Literal["worklist", "api"]


class DefaultsBody(Strict):
    """PUT /api/employee-defaults. What else a GET shows may come along, and says nothing here."""

    department_id: BmsId | None = None
    location_id: BmsId | None = None
    manager_id: BmsId | None = None
    job_title_id: BmsId | None = None
    employment_type_id: BmsId | None = None
    security_role_id: BmsId | None = None
    employee_role_id: BmsId | None = None
    protected_employee_ids: list[BmsId] = []
    mode: WriteMode = "worklist"
    fell_back: Text | None = None
    fell_back_at: datetime | None = None
    paid_licences: dict[str, int] | None = None
    notes: list[Text] = []

    def values(self) -> dict[str, int]:
        """The ids that are given, keyed as in the core."""
        given = {name: getattr(self, name) for name in NAMES}
        return {name: value for name, value in given.items() if value is not None}


class LicencesShown(Shown):
    """Paid licences that the open items come to, counted before anybody is created."""

    needed: int
    freed: int


class DefaultsShown(Shown):
    """The defaults. `fellBack`: why the API mode ended by itself."""

    department_id: int | None
    location_id: int | None
    manager_id: int | None
    job_title_id: int | None
    employment_type_id: int | None
    security_role_id: int | None
    employee_role_id: int | None
    protected_employee_ids: list[int]
    mode: Annotated[str, one_of(WriteMode)]
    fell_back: str | None
    fell_back_at: datetime | None
    paid_licences: LicencesShown
    notes: list[str]


class WorklistQuery(Paged):
    """GET /api/worklist."""

    connection_id: Text | None = None
    kind: Kind | None = None


class CsvQuery(Strict):
    """GET /api/worklist.csv."""

    connection_id: Text | None = None
    kind: Kind | None = None


class FieldShown(Shown):
    """One field to type. `shownByBms`: the app sees it done by itself; others are ticked off."""

    field: str
    label: str
    value: str
    id: int | None
    source: str
    before: str | None
    shown_by_bms: bool


class ItemShown(Shown):
    """One person's open work."""

    id: str
    connection_id: str
    user_id: str
    display_name: str
    user_principal_name: str
    kind: ItemKind
    record_id: int | None
    rule_id: str | None
    reason: str
    since: datetime | None
    fields: list[FieldShown]
    needs_licence: bool
    notes: list[str]
    refused: str | None


class WorklistShown(Shown):
    """A page of the worklist; licences are counted over all of it."""

    items: list[ItemShown]
    next_cursor: str | None
    mode: Annotated[str, one_of(WriteMode)]
    fell_back: str | None
    paid_licences: LicencesShown


class DoneBody(Strict):
    """Which employee a new one has become, where BMS shows more than one or none."""

    record_id: BmsId | None = None


class Looked(Shown):
    """How many items were closed."""

    closed: int


@dataclass(frozen=True, slots=True)
class EmployeesApi:
    """The resources."""

    defaults: ManageEmployeeDefaults
    worklist: WorkOff

    def routes(self) -> list[Route]:
        """Their rows in the table."""
        settings, items = "/api/employee-defaults", "/api/worklist"
        return [
            Route(
                "GET",
                settings,
                self.get,
                "Employee Defaults",
                description=(
                    "The values for an employee's mandatory fields where Entra has none, who is "
                    "never touched, and how employees are written."
                ),
                reply=DefaultsShown,
            ),
            Route(
                "PUT",
                settings,
                self.put,
                "Replace the Employee Defaults",
                description=(
                    "Every id is looked up in BMS. Mode `api` needs protected employees, and a "
                    "probe that writes nothing. Everybody whom the change touches is looked at "
                    "again."
                ),
                refusals=(409,),
                body=DefaultsBody,
                reply=DefaultsShown,
            ),
            Route(
                "GET",
                items,
                self.open_items,
                "What is to be typed into BMS",
                description=(
                    "Employees to create, change and deactivate, with every field value ready. "
                    "Items close by themselves when BMS shows the change."
                ),
                refusals=(404,),
                query=WorklistQuery,
                reply=WorklistShown,
            ),
            Route(
                "GET",
                f"{items}.csv",
                self.csv,
                "The same as a table",
                description=(
                    "All open items as CSV for a spreadsheet: one line per person, one column per "
                    "field."
                ),
                refusals=(404,),
                headers={200: {"Content-Disposition": "A name for the file."}},
                media=CSV,
                tag="Worklist",
                query=CsvQuery,
            ),
            Route(
                "POST",
                f"{items}/look",
                self.look,
                "Close what BMS shows to be done",
                description="Looks at BMS now, as it is done every hour.",
                refusals=(409,),
                body=NoBody,
                reply=Looked,
            ),
            Route(
                "POST",
                f"{items}/{{itemId}}/done",
                self.done,
                "Tick an item off: it counts as written",
                description=(
                    "For what BMS does not show. `recordId` names the employee that a new one has "
                    "become."
                ),
                refusals=(409,),
                body=DoneBody,
                reply=ItemShown,
            ),
            Route(
                "POST",
                f"{items}/{{itemId}}/dismiss",
                self.dismiss,
                "Take an item off without doing it",
                description="The item stays away until the person changes in Entra.",
                refusals=(409,),
                body=NoBody,
                reply=ItemShown,
            ),
        ]

    def get(self, _: Call) -> Reply:
        """GET /api/employee-defaults."""
        return _defaults(self.defaults.get())

    def put(self, call: Call) -> Reply:
        """PUT /api/employee-defaults."""
        body: DefaultsBody = call.body
        values = body.values()
        protected = list(dict.fromkeys(body.protected_employee_ids))
        return _defaults(self.defaults.save(values, protected, body.mode))

    def open_items(self, call: Call) -> Reply:
        """GET /api/worklist."""
        query: WorklistQuery = call.query
        page = self.worklist.open_items(query.connection_id or None, query.kind)
        items, cursor = page_of(page.items, query.limit, query.cursor)
        return json_reply(
            WorklistShown(
                items=[item_shown(each) for each in items],
                next_cursor=cursor,
                mode=page.mode,
                fell_back=page.fell_back or None,
                paid_licences=LicencesShown(needed=page.licences.needed, freed=page.licences.freed),
            )
        )

    def csv(self, call: Call) -> Reply:
        """GET /api/worklist.csv."""
        query: CsvQuery = call.query
        page = self.worklist.open_items(query.connection_id or None, query.kind)
        headers = (
            ("Content-Disposition", 'attachment; filename="bms-worklist.csv"'),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        )
        return Reply(200, as_csv(page.items), CSV, headers)

    def look(self, _: Call) -> Reply:
        """POST /api/worklist/look."""
        return json_reply(Looked(closed=self.worklist.look(a_person_waits=True)))

    def done(self, call: Call) -> Reply:
        """POST /api/worklist/{id}/done."""
        body: DoneBody = call.body
        return json_reply(item_shown(self.worklist.done(call.path["itemId"], body.record_id)))

    def dismiss(self, call: Call) -> Reply:
        """POST /api/worklist/{id}/dismiss."""
        return json_reply(item_shown(self.worklist.dismiss(call.path["itemId"])))


def _defaults(now: Defaults) -> Reply:
    values = {name: now.defaults.values.get(name) for name in NAMES}
    return json_reply(
        DefaultsShown(
            **values,
            protected_employee_ids=sorted(now.defaults.protected),
            mode=now.defaults.mode,
            fell_back=now.defaults.fell_back or None,
            fell_back_at=utc(now.defaults.fell_back_at),
            paid_licences=LicencesShown(needed=now.licences.needed, freed=now.licences.freed),
            notes=list(now.notes),
        )
    )


def item_shown(item: Item) -> ItemShown:
    """An item as the API shows it."""
    return ItemShown(
        id=item.id,
        connection_id=item.connection_id,
        user_id=item.user_id,
        display_name=item.display_name,
        user_principal_name=item.upn,
        kind=item.kind,
        record_id=item.record_id,
        rule_id=item.rule_id,
        reason=item.reason,
        since=utc(item.at),
        fields=[
            FieldShown(
                field=each.field,
                label=LABELS[each.field],
                value=each.name or each.value,
                id=int(each.value) if each.field.endswith("Id") and each.value.isdigit() else None,
                source=each.source,
                before=each.old or None,
                shown_by_bms=is_shown(each.field),
            )
            for each in item.fields
        ],
        needs_licence=item.activates,
        notes=list(item.notes),
        refused=item.refused or None,
    )
