"""Settings of the tenant: the employee defaults, UI settings, working hours, custom fields."""

from __future__ import annotations

from typing import Any

from infra.local.bms.calls import Call
from infra.local.bms.first_lists import PERSON_ID
from infra.local.bms.openapi import bind
from infra.local.bms.records import CustomValue
from infra.local.bms.refusals import NotThere
from infra.local.bms.replies import Reply, enveloped


def access_control(call: Call) -> Reply:
    """GET /v2/admin/k1/accesscontrol/settings: the tenant's employee defaults."""
    world = call.world

    def default(list_name: str) -> tuple[int, str]:
        first = next(iter(world.lists[list_name].values()))
        return first.id, first.name

    department, title = default("departments"), default("job_titles")
    location, employment = default("own_locations"), default("employment_types")
    role = default("roles")
    # The least powerful internal role, not the first one, which is the administrator.
    security = world.lists["security_roles"][302]
    return enveloped(
        {
            "Id": 1,
            "CreatedBy": PERSON_ID,
            "CreatedOn": None,
            "ModifiedBy": PERSON_ID,
            "ModifiedOn": None,
            "IsEnabled": False,
            "IsAccessGroupMappingEnabled": False,
            "DepartmentId": department[0],
            "DepartmentName": department[1],
            "LocationId": location[0],
            "LocationName": location[1],
            "ManagerId": PERSON_ID,
            "ManagerName": world.user_name_of(PERSON_ID),
            "JobTitleId": title[0],
            "JobtitleName": title[1],
            "EmploymentTypeId": employment[0],
            "EmploymentTypeName": employment[1],
            "EmployeeRoleId": role[0],
            "EmployeeRoleName": role[1],
            "SecurityRoleId": security.id,
            "SecurityRoleName": security.name,
            "IsDeprovisioningEnabled": False,
            "IsRequireLoginEnabled": False,
            "RequireLoginEnabledBy": None,
            "UserExceptions": [],
            "RoleExceptions": [],
        },
        call.switches,
    )


def system_settings(call: Call) -> Reply:
    """GET /v2/system/settings; DefaultPageSize is about the pages, not about the API."""
    numbers = {
        "DefaultPageSize": 25,
        "WorkforcePlannerDefaultPageSize": 25,
        "DefaultSideBarPageSize": 10,
        "CustomFieldsMaxShownItems": 10,
        "DefaultAttachmentTicketsPageSize": 10,
        "MaximumAttachmentFileSizeinMb": 25,
        "DashboardWidgetTimeout": 30,
        "DashboardWidgetMaxColumns": 4,
        "DashboardWidgetMinColumns": 1,
        "DashboardTicketByIssueTypeWidgetMaxColumns": 4,
        "DashboardWidgetPageSize": 10,
    }
    texts = dict.fromkeys(
        (
            "FullCalendarLicenseKey",
            "AddOpportunityUrl",
            "AddActivityUrl",
            "PendingQuotationsUrl",
            "AmountDueUrl",
            "AmountSentUrl",
        )
    )
    return enveloped(
        {
            **numbers,
            "BrandName": "BMS",
            "ProductName": "BMS",
            **texts,
            "ExternalLinks": {},
            "FeatureFlags": {},
        },
        call.switches,
    )


def location_time_zone(call: Call) -> Reply:
    """GET /v2/admin/workflows/timezone/{locationId}, for the company's own locations."""
    if call.ids[0] not in call.world.lists["own_locations"]:
        raise NotThere(f"There is no location {call.ids[0]}.")
    days = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
    hours = [{"Weekday": day, "StartTime": "08:00", "EndTime": "17:00"} for day in days]
    return enveloped(
        {"TimeZoneName": "W. Europe Standard Time", "WorkingHours": hours}, call.switches
    )


def custom_fields(call: Call) -> Reply:
    """GET /v2/system/customFields/{moduleId}."""
    rows: list[dict[str, Any]] = [
        {
            "Id": each.id,
            "Name": each.name,
            "DataType": each.data_type,
            "IsRequired": each.is_required,
            "ErrorMessage": None,
            "IsActive": True,
            "Settings": [],
        }
        for each in call.world.custom_fields.values()
        if each.module_id == call.ids[0]
    ]
    return enveloped(rows, call.switches)


def custom_values(call: Call) -> Reply:
    """GET /v2/system/customFields/{moduleId}/{objectId}."""
    module_id, record_id = call.ids
    fields = call.world.custom_fields
    rows = [
        {
            "Id": each.id,
            "Name": fields[each.field_id].name,
            "Data": each.data,
            "SettingsId": each.settings_id,
            "CustomFieldType": fields[each.field_id].data_type,
            "CustomFieldId": each.field_id,
        }
        for each in call.world.custom_values.get((module_id, record_id), {}).values()
    ]
    return enveloped(rows, call.switches)


def put_custom_value(call: Call) -> Reply:
    """PUT /v2/system/customFields/data/{moduleId}/{entityId}/{customFieldId}."""
    world = call.world
    module_id, record_id, field_id = call.ids
    field = world.custom_fields.get(field_id)
    if field is None or field.module_id != module_id:
        raise NotThere(f"Module {module_id} has no custom field {field_id}.")
    if module_id == call.switches.contact_module_id and record_id not in world.contacts:
        raise NotThere(f"There is no contact {record_id}.")
    value = bind("CustomFieldDataPutInputDto", call.json(), call.switches).get("Value")
    now = world.clock.now()
    held = world.custom_values.setdefault((module_id, record_id), {})
    kept = held.get(field_id) or CustomValue(
        world.next_custom_id(), field_id, value, 0, call.user_id, now
    )
    kept.data = value
    held[field_id] = kept
    world.version += 1
    return enveloped(
        {
            "Id": kept.id,
            "CreatedBy": kept.by,
            "CreatedOn": world.stamp(kept.on),
            "ModifiedBy": call.user_id,
            "ModifiedOn": world.stamp(now),
            "Value": value,
            "EntityId": record_id,
            "CustomFieldName": field.name,
            "CustomFieldId": field_id,
            "ModuleName": "Contacts" if module_id == call.switches.contact_module_id else None,
            "ModuleId": module_id,
        },
        call.switches,
    )
