"""The v2 reads of employees. v2 has no write for them."""

from __future__ import annotations

from infra.local.bms.calls import Call
from infra.local.bms.lookups import role_row
from infra.local.bms.paging import active_filter, page_of, text_test
from infra.local.bms.records import Employee
from infra.local.bms.refusals import NotThere
from infra.local.bms.replies import Reply, enveloped


def lookup(call: Call) -> Reply:
    """GET /v2/hr/employees/lookup: active ones, id and name."""
    rows = [each for each in call.world.employees.values() if each.is_active]
    rows = _narrowed(call, rows, "Filter.Ids", "Filter.Name")
    return enveloped(
        [{"Id": each.id, "Name": each.full_name()} for each in page_of(call, rows)], call.switches
    )


def search_select(call: Call) -> Reply:
    """GET /v2/hr/employees/searchselect: the only list with address, title and state."""
    world = call.world
    rows = list(world.employees.values())
    wanted = set(call.query.integers("Filter.Ids"))
    if wanted:
        rows = [each for each in rows if each.id in wanted]
    active = active_filter(call)
    if active is not None:
        rows = [each for each in rows if each.is_active == active]
    text = text_test(call, "Filter.Filter_Text")
    if text is not None:
        rows = [
            each
            for each in rows
            if any(text(held) for held in (each.full_name(), each.email, each.user_name))
        ]
    page = [
        {
            "Id": each.id,
            "FirstName": each.first_name,
            "LastName": each.last_name,
            "EmailAddress": each.email,
            "Username": each.user_name,
            "JobTitle": world.list_name_of("job_titles", each.job_title_id),
            "IsActive": each.is_active,
        }
        for each in page_of(call, rows)
    ]
    return enveloped(page, call.switches, total=len(rows))


def assignees(call: Call) -> Reply:
    """GET /v2/hr/assignees; its filters have no prefix."""
    rows = _narrowed(call, _assignable(call), "Ids", "Name")
    return enveloped(
        [
            {
                "Id": each.id,
                "FirstName": each.first_name,
                "LastName": each.last_name,
                "Name": each.full_name(),
                "EmailAddress": each.email,
                "PictureName": None,
                "PictureUrl": None,
            }
            for each in page_of(call, rows)
        ],
        call.switches,
    )


def assignees_lookup(call: Call) -> Reply:
    """GET /v2/hr/assignees/lookup."""
    rows = _narrowed(call, _assignable(call), "Filter.Ids", "Filter.Name")
    excluded = {
        each.strip() for each in (call.query.text("Filter.ExcludedIds") or "").split(",") if each
    }
    rows = [each for each in rows if str(each.id) not in excluded]
    return enveloped(
        [
            {
                "Id": each.id,
                "Name": each.full_name(),
                "Url": None,
                "EmailAddress": each.email,
                "JobTitle": call.world.list_name_of("job_titles", each.job_title_id),
                "PictureName": None,
                "PictureURL": None,
            }
            for each in page_of(call, rows)
        ],
        call.switches,
    )


def assignees_count(call: Call) -> Reply:
    """GET /v2/hr/assignees/count."""
    return enveloped(len(_assignable(call)), call.switches)


def assignee_roles(call: Call) -> Reply:
    """GET /v2/hr/assignees/{assigneeId}/roles."""
    employee = call.world.employees.get(call.ids[0])
    if employee is None:
        raise NotThere(f"There is no employee {call.ids[0]}.")
    known = call.world.lists["roles"]
    return enveloped([role_row(known[each]) for each in employee.role_ids], call.switches)


def _assignable(call: Call) -> list[Employee]:
    return [
        each
        for each in call.world.employees.values()
        if each.is_active and each.user_type != "API Employee"
    ]


def _narrowed(call: Call, rows: list[Employee], ids: str, name: str) -> list[Employee]:
    wanted = set(call.query.integers(ids))
    if wanted:
        rows = [each for each in rows if each.id in wanted]
    fits = text_test(call, name)
    return rows if fits is None else [each for each in rows if fits(each.full_name())]
