"""The settings resources that stand in a backup: one function each, listed in all_routes.py."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.core.model import BmsSettings
from shared.ports import BMS_PASSWORD
from shared.sync.bms_settings import ManageBms
from shared.sync.configuration import Secret, Section
from shared.web.api.bms import BmsBody
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
