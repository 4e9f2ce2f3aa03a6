"""The settings resources that stand in a backup: one function each, listed in all_routes.py."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.core.itglue import ItGlueSettings
from shared.core.model import BmsSettings, EmployeeDefaults, RecordId
from shared.ports import BMS_PASSWORD, ITGLUE_KEY
from shared.sync.bms_settings import ManageBms
from shared.sync.configuration import Secret, Section
from shared.sync.employee_defaults import NAMES, ManageEmployeeDefaults
from shared.sync.itglue_settings import ManageItGlue
from shared.web.api.bms import BmsBody
from shared.web.api.employees import DefaultsBody
from shared.web.api.itglue import ItGlueBody
from shared.web.bodies import read_body


def bms_section(manage: ManageBms) -> Section[Any]:
    """The BMS settings in the file."""
    fields = [
        field
        for field in msgspec.structs.fields(BmsBody)
        if field.name in BmsSettings.__dataclass_fields__
    ]

    def read(content: bytes, place: str) -> BmsSettings:
        body = read_body(content, BmsBody, at=f"{place}.")
        return BmsSettings(**{field.name: getattr(body, field.name) for field in fields})

    return Section(
        name="bms",
        held=manage.get,
        members=lambda settings: {
            field.encode_name: getattr(settings, field.name) for field in fields
        },
        read=read,
        checked=manage.checked,
        restore=manage.restore,
        secrets=(
            Secret(
                BMS_PASSWORD,
                "password",
                "Enter the password of the BMS API user: PUT /api/settings/bms with password.",
                "The vault still holds a password for BMS: it goes to the address of these "
                "settings from now on.",
            ),
        ),
    )


def itglue_section(manage: ManageItGlue) -> Section[Any]:
    """The IT Glue settings in the file; they come back switched off."""

    def read(content: bytes, place: str) -> ItGlueSettings:
        return read_body(content, ItGlueBody, at=f"{place}.").settings()

    return Section(
        name="itglue",
        held=manage.store.get,
        members=lambda settings: {
            "enabled": settings.enabled,
            "apiUrl": settings.api_url,
            "inactiveContactTypeId": settings.inactive_contact_type_id,
            "organizations": [
                {"accountId": account, "organizationId": organization}
                for account, organization in settings.organizations
            ],
        },
        read=read,
        checked=manage.checked,
        restore=manage.restore,
        secrets=(
            Secret(
                ITGLUE_KEY,
                "apiKey",
                "Enter a key of IT Glue's API and switch it on: PUT /api/settings/itglue.",
                "The vault still holds a key of IT Glue: it goes to the address of these settings "
                "once IT Glue is switched on.",
            ),
        ),
    )


def employee_defaults_section(manage: ManageEmployeeDefaults) -> Section[Any]:
    """The Employee Defaults in the file; they come back with the worklist."""

    def read(content: bytes, place: str) -> EmployeeDefaults:
        body = read_body(content, DefaultsBody, at=f"{place}.")
        return EmployeeDefaults(
            values=body.values(),
            protected=frozenset(map(RecordId, body.protected_employee_ids)),
            mode=body.mode,
        )

    return Section(
        name="employeeDefaults",
        held=manage.stored,
        members=lambda defaults: {
            **{member: defaults.values.get(name) for name, member in NAMES.items()},
            "protectedEmployeeIds": sorted(defaults.protected),
            "mode": defaults.mode,
        },
        read=read,
        checked=manage.checked,
        restore=manage.restore,
    )
