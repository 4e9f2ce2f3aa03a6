"""The routes that the stand-in serves: those of the vendor's file, and three of v1."""

from __future__ import annotations

from infra.local.bms import (
    accounts,
    contact_entries,
    contact_reads,
    contact_writes,
    employees,
    itglue_links,
    lookups,
    security,
    tenant_settings,
    v1,
)
from infra.local.bms.openapi import document
from infra.local.bms.routing import Route
from infra.local.bms.switches import Switches

V2_ROUTES = (
    Route("POST", "/v2/security/authenticate", security.authenticate, anonymous=True),
    Route("POST", "/v2/security/refreshtoken", security.refresh_token, anonymous=True),
    Route("GET", "/v2/security/ssostatus", security.sso_status, anonymous=True),
    Route("GET", "/v2/security/userinfo", security.user_info),
    Route("GET", "/v2/crm/accounts/lookup", accounts.lookup),
    Route("GET", "/v2/crm/accounts/summary", accounts.summary_list),
    Route("GET", "/v2/crm/accounts/summary/{id}", accounts.summary_one),
    Route("GET", "/v2/crm/accounts/{accountId}/locations/lookup", accounts.locations_lookup),
    Route("GET", "/v2/crm/accounts/{accountId}/locations/{locationId}", accounts.location_one),
    Route("GET", "/v2/crm/accounts/{accountId}/contacts/lookup", contact_reads.account_lookup),
    Route(
        "GET",
        "/v2/crm/accounts/{accountId}/contacts/{contactId}/summaryinfo",
        contact_reads.summary_info,
    ),
    Route("GET", "/v2/crm/contacts/summary", contact_reads.summary_list),
    Route("GET", "/v2/crm/contacts/summary/{id}", contact_reads.summary_one),
    Route("GET", "/v2/crm/contacts/search", contact_reads.search),
    Route("POST", "/v2/crm/contacts/summary", contact_writes.create),
    Route("PATCH", "/v2/crm/contacts/{id}", contact_writes.patch),
    Route("PUT", "/v2/crm/contacts/{id}", contact_writes.put),
    Route("DELETE", "/v2/crm/contacts/{Id}", contact_writes.delete),
    Route("PATCH", "/v2/crm/contacts/{contactId}/emails", contact_entries.patch_emails),
    Route("PATCH", "/v2/crm/contacts/{contactId}/phones", contact_entries.patch_phones),
    Route("GET", "/v2/hr/employees/lookup", employees.lookup),
    Route("GET", "/v2/hr/employees/searchselect", employees.search_select),
    Route("GET", "/v2/hr/assignees", employees.assignees),
    Route("GET", "/v2/hr/assignees/lookup", employees.assignees_lookup),
    Route("GET", "/v2/hr/assignees/count", employees.assignees_count),
    Route("GET", "/v2/hr/assignees/{assigneeId}/roles", employees.assignee_roles),
    Route("GET", "/v2/admin/hr/departments/lookup", lookups.departments),
    Route("GET", "/v2/admin/hr/jobtitles/lookup", lookups.job_titles),
    Route("GET", "/v2/admin/security/roles/lookup", lookups.security_roles),
    Route("GET", "/v2/system/roles/lookup", lookups.roles),
    Route("GET", "/v2/system/locations/lookup", lookups.own_locations),
    Route("GET", "/v2/system/accounttypes/lookup", lookups.account_types),
    Route("GET", "/v2/system/lookup/{tableName}", lookups.system_table),
    Route("GET", "/v2/system/tenantlookup/{tableName}", lookups.tenant_table),
    Route("GET", "/v2/system/settings", tenant_settings.system_settings),
    Route("GET", "/v2/system/customFields/{moduleId}", tenant_settings.custom_fields),
    Route("GET", "/v2/system/customFields/{moduleId}/{objectId}", tenant_settings.custom_values),
    Route(
        "PUT",
        "/v2/system/customFields/data/{moduleId}/{entityId}/{customFieldId}",
        tenant_settings.put_custom_value,
    ),
    Route("GET", "/v2/admin/k1/accesscontrol/settings", tenant_settings.access_control),
    Route("GET", "/v2/admin/workflows/timezone/{locationId}", tenant_settings.location_time_zone),
    Route("GET", "/v2/integrations/itglue/status", itglue_links.status),
    Route("GET", "/v2/integrations/itglue/accounts/{accountId}/lookup", itglue_links.account),
    Route("GET", "/v2/integrations/itglue/contacts/{contactId}/lookup", itglue_links.contact),
    Route("GET", "/v2/integrations/itglue/locations/{locationId}/lookup", itglue_links.location),
)


def _readable(switches: Switches) -> bool:
    return switches.v1_employees in ("read", "write")


def _writable(switches: Switches) -> bool:
    return switches.v1_employees == "write"


V1_ROUTES = (
    Route("POST", "/api/token", v1.token, anonymous=True, version="v1"),
    Route("GET", "/api/hr/employees", v1.list_employees, version="v1", available=_readable),
    Route("POST", "/api/hr/employees", v1.create_employee, version="v1", available=_writable),
    Route("PUT", "/api/hr/employees/{id}", v1.put_employee, version="v1", available=_writable),
)


def not_served() -> tuple[Route, ...]:
    """Return the vendor's other routes: a call to one is told apart from a wrong address."""
    routes = (each.split(" ", 1) for each in document()["x-other-routes"])
    return tuple(Route(method, template, handler=None) for method, template in routes)
