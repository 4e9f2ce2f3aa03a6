"""GET routes of the look-up lists, of which each shows its own few members."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from infra.local.bms.calls import Call
from infra.local.bms.paging import page_of, text_test
from infra.local.bms.records import ListEntry
from infra.local.bms.refusals import NotThere
from infra.local.bms.replies import Reply, enveloped

Shape = Callable[[ListEntry], dict[str, Any]]


def _id_name(row: ListEntry) -> dict[str, Any]:
    return {"Id": row.id, "Name": row.name}


def _job_title(row: ListEntry) -> dict[str, Any]:
    return {**_id_name(row), "IsActive": row.is_active}


def role_row(row: ListEntry) -> dict[str, Any]:
    """RoleLookupOutputDto."""
    return {**_id_name(row), "IsDefault": row.is_default}


def _own_location(row: ListEntry) -> dict[str, Any]:
    return {**_id_name(row), "IsMain": row.is_main}


def _account_type(row: ListEntry) -> dict[str, Any]:
    return {**_job_title(row), "IsClient": row.is_client, "IsVendor": row.is_vendor}


def _security_role(row: ListEntry) -> dict[str, Any]:
    # Lower case in the file, alone among all members of its kind.
    return {
        **_id_name(row),
        "isActive": row.is_active,
        "isSystem": row.is_system,
        "isExternal": row.is_external,
    }


def _table_row(row: ListEntry) -> dict[str, Any]:
    return {**_job_title(row), "IsDefault": row.is_default}


def _whole(call: Call, list_name: str, shape: Shape) -> Reply:
    return enveloped([shape(row) for row in call.world.lists[list_name].values()], call.switches)


def departments(call: Call) -> Reply:
    """GET /v2/admin/hr/departments/lookup."""
    return _whole(call, "departments", _id_name)


def job_titles(call: Call) -> Reply:
    """GET /v2/admin/hr/jobtitles/lookup."""
    return _whole(call, "job_titles", _job_title)


def roles(call: Call) -> Reply:
    """GET /v2/system/roles/lookup."""
    return _whole(call, "roles", role_row)


def own_locations(call: Call) -> Reply:
    """GET /v2/system/locations/lookup."""
    return _whole(call, "own_locations", _own_location)


def account_types(call: Call) -> Reply:
    """GET /v2/system/accounttypes/lookup."""
    return _whole(call, "account_types", _account_type)


def security_roles(call: Call) -> Reply:
    """GET /v2/admin/security/roles/lookup: the one of these lists that is paged."""
    rows = list(call.world.lists["security_roles"].values())
    name = text_test(call, "Name")
    if name is not None:
        rows = [each for each in rows if name(each.name)]
    return enveloped([_security_role(each) for each in page_of(call, rows)], call.switches)


def system_table(call: Call) -> Reply:
    """GET /v2/system/lookup/{tableName}."""
    return _table(call, "system")


def tenant_table(call: Call) -> Reply:
    """GET /v2/system/tenantlookup/{tableName}."""
    return _table(call, "tenant")


def _table(call: Call, kind: str) -> Reply:
    switches = call.switches
    asked = str(call.args[0])
    names = {
        switches.email_type_table.lower(): "email_types",
        switches.phone_type_table.lower(): "phone_types",
        switches.employment_type_table.lower(): "employment_types",
    }
    list_name = names.get(asked.lower())
    if list_name is None or switches.type_tables_in not in (kind, "both"):
        raise NotThere(f"There is no table {asked!r}.")
    return _whole(call, list_name, _table_row)
