"""Small builders: a test says what matters to it, the rest is sensible."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.core.model import (
    AccountId,
    Connection,
    ConnectionId,
    Contact,
    ContactEmail,
    ContactPhone,
    ContactTypes,
    EntraGroup,
    EntraUser,
    GroupId,
    Link,
    LinkState,
    LocationId,
    MappingRule,
    Mode,
    RecordId,
    RecordType,
    RuleId,
    UserId,
)

CONNECTION = ConnectionId("contoso")
LONG_AGO = datetime(2025, 1, 15, 8, 0, tzinfo=UTC)
WORK_EMAIL, OTHER_EMAIL = 11, 13
WORK, MOBILE, HOME = 21, 22, 23
TYPES = ContactTypes(email=WORK_EMAIL, work_phone=WORK, mobile_phone=MOBILE)


def a_user_id(name: str) -> UserId:
    """The same id for the same name, as Entra writes ids."""
    return UserId(str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.user")))


def a_group_id(name: str) -> GroupId:
    return GroupId(str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.group")))


def a_user(name: str = "ada", **fields: Any) -> EntraUser:
    """A member with a name, an address and a UPN made from `name`."""
    address = f"{name}@contoso.example"
    given: dict[str, Any] = {
        "id": a_user_id(name),
        "upn": address,
        "mail": address,
        "display_name": f"{name.capitalize()} Lind",
        "given_name": name.capitalize(),
        "surname": "Lind",
    }
    return EntraUser(**{**given, **fields})


def a_group(name: str = "staff", **fields: Any) -> EntraGroup:
    given: dict[str, Any] = {"id": a_group_id(name), "name": name, "created_at": LONG_AGO}
    return EntraGroup(**{**given, **fields})


def a_rule(group: str = "staff", **fields: Any) -> MappingRule:
    """A contact rule for the group of this name, into account 7."""
    given: dict[str, Any] = {
        "id": RuleId(f"rule-{group}"),
        "connection_id": CONNECTION,
        "group_id": a_group_id(group),
        "order": 1,
        "record_type": RecordType.CONTACT,
        "created_at": LONG_AGO,
        "account_id": AccountId(7),
        "group_name": group,
        "group_created_at": LONG_AGO,
    }
    return MappingRule(**{**given, **fields})


def a_connection(**fields: Any) -> Connection:
    """A connection whose first sync was asked for."""
    given: dict[str, Any] = {
        "id": CONNECTION,
        "tenant_domain": "contoso.example",
        "application_id": "0b6c2d1e-0000-4000-8000-000000000001",
        "mode": Mode.APPLICATION,
        "created_at": LONG_AGO,
        "connected_at": LONG_AGO + timedelta(minutes=5),
        "first_sync_at": LONG_AGO + timedelta(minutes=10),
    }
    return Connection(**{**given, **fields})


def a_contact(name: str = "ada", **fields: Any) -> Contact:
    """An active contact with one e-mail address, in account 7."""
    given: dict[str, Any] = {
        "id": RecordId(500),
        "account_id": AccountId(7),
        "location_id": LocationId(70),
        "first_name": name.capitalize(),
        "last_name": "Lind",
        "job_title": "",
        "is_active": True,
        "emails": (an_email(f"{name}@contoso.example", default=True),),
    }
    return Contact(**{**given, **fields})


def an_email(address: str, *, default: bool = False, type_id: int = WORK_EMAIL) -> ContactEmail:
    return ContactEmail(address, type_id, default)


def a_phone(number: str, type_id: int = WORK, *, default: bool = False) -> ContactPhone:
    return ContactPhone(number, type_id, default)


def a_link(name: str = "ada", **fields: Any) -> Link:
    """An active link of the user of this name to record 500, made by the rule `staff`."""
    given: dict[str, Any] = {
        "connection_id": CONNECTION,
        "user_id": a_user_id(name),
        "state": LinkState.ACTIVE,
        "record_id": RecordId(500),
        "account_id": AccountId(7),
        "rule_id": RuleId("rule-staff"),
        "rule_account_id": AccountId(7),
        "fingerprint": "as-before",
    }
    return Link(**{**given, **fields})
