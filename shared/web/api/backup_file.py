"""The file of an export: what stands in it, and what is read back out of it.

Connections and rules have the shapes of their own resources, so that what can be saved there can be
imported, and nothing else. No secret is ever written, and none is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from shared import VERSION
from shared.core.model import (
    AccountId,
    Connection,
    ConnectionId,
    GroupId,
    HoldLimit,
    LocationId,
    MappingRule,
    Mode,
    RuleId,
)
from shared.errors import BadInput, BadInputs
from shared.sync.configuration import ROOT
from shared.sync.employee_defaults import NAMES
from shared.web.api.connections import EmailSource, HoldLimitBody, MatchScope, ModeName, OnLeave
from shared.web.api.mapping_rules import RuleBody
from shared.web.api.shapes import Guid, Strict, Text, utc
from shared.web.bodies import read_body

FORMAT = 1
T = TypeVar("T")
# Write-only members of any resource, and what secrets are called elsewhere.
_SECRETS = frozenset(
    {"applicationkey", "password", "apikey", "clientsecret", "secret", "token", "clientstate"}
)


class ConnectionInFile(Strict):
    """A connection with everything that a person has set; no state, no key."""

    id: Text
    tenant_domain: Text
    application_id: Guid
    mode: ModeName = "delegated"
    email_source: EmailSource = "mail"
    match_scope: MatchScope = "all"
    on_leave: OnLeave = "deactivate"
    hold_limit: HoldLimitBody | None = None
    secret_expires_on: date | None = None
    created_at: datetime | None = None


class AppInFile(Strict):
    """The app that wrote the file."""

    version: Text


class ConfigurationBody(Strict):
    """The file. Its items are read one by one, so that each can be told its own faults."""

    format: int
    app: AppInFile | None = None
    exported_at: datetime | None = None
    connections: list[Annotated[msgspec.Raw, Meta(extra={"read_as": ConnectionInFile})]] = []
    mapping_rules: list[Annotated[msgspec.Raw, Meta(extra={"read_as": RuleBody})]] = []
    settings: dict[str, msgspec.Raw] = {}


def configuration_of(content: bytes) -> ConfigurationBody:
    """The file, as far as it can be told without looking into its items."""
    try:
        plain = msgspec.json.decode(content)
        secrets = list(_secrets(plain, ROOT))
    except RecursionError as error:
        raise BadInput(
            422, f"{ROOT} is nested too deeply: this is no file of GET /api/export.", field=ROOT
        ) from error
    if isinstance(plain, dict):
        written = plain.get("format")
        if isinstance(written, int) and written > FORMAT:
            raise BadInput(
                422,
                f"{ROOT}.format is {written}, and this app ({VERSION}) reads format {FORMAT} at "
                "most: import the file with the app that wrote it, or a later one.",
                field=f"{ROOT}.format",
            )
    if secrets:
        raise BadInputs([_no_secret(place) for place in secrets])
    file = read_body(content, ConfigurationBody, at=f"{ROOT}.")
    if file.format != FORMAT:
        raise BadInput(
            422,
            f"{ROOT}.format must be {FORMAT}: this is no file of GET /api/export.",
            field=f"{ROOT}.format",
        )
    return file


def _secrets(value: object, place: str) -> Iterator[str]:
    """The places of members that are secrets by their names."""
    if isinstance(value, dict):
        for name, member in value.items():
            if str(name).casefold() in _SECRETS:
                yield f"{place}.{name}"
            else:
                yield from _secrets(member, f"{place}.{name}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _secrets(item, f"{place}[{index}]")


def _no_secret(place: str) -> BadInput:
    return BadInput(
        422,
        f"{place} is a secret, which no import takes: remove it from the file, and enter it "
        "afterwards where it belongs. A secret that was in a file should be replaced by a new one.",
        field=place,
    )


def items_of(
    items: Sequence[msgspec.Raw], name: str, shape: type[T], refused: list[BadInput]
) -> Iterator[tuple[str, T]]:
    """The items of a list that fit their shape, with their places; the others are refused."""
    for index, item in enumerate(items):
        place = f"{ROOT}.{name}[{index}]"
        try:
            yield place, read_body(bytes(item), shape, at=f"{place}.")
        except BadInput as refusal:
            refused.append(BadInput(refusal.status, refusal.sentence, field=refusal.field or place))


def connection_members(one: Connection) -> dict[str, Any]:
    """A connection as the file shows it; `connection_of` is the way back."""
    limit = one.hold_limit
    return {
        "id": one.id,
        "tenantDomain": one.tenant_domain,
        "applicationId": one.application_id,
        "mode": one.mode.value,
        "emailSource": one.email_source,
        "matchScope": one.match_scope,
        "onLeave": one.on_leave,
        "holdLimit": {"count": limit.count, "percent": limit.percent, "atMost": limit.at_most},
        "secretExpiresOn": one.secret_expires_on,
        "createdAt": utc(one.created_at),
    }


def rule_members(rule: MappingRule) -> dict[str, Any]:
    """A mapping rule as the file shows it; `rule_of` is the way back."""
    return {
        "id": rule.id,
        "connectionId": rule.connection_id,
        "groupId": rule.group_id,
        "groupName": rule.group_name or None,
        "groupCreatedAt": utc(rule.group_created_at),
        "order": rule.order,
        "recordType": rule.record_type.value,
        "accountId": rule.account_id,
        "locationId": rule.location_id,
        "includeNested": rule.include_nested,
        "includeGuests": rule.include_guests,
        "blockedUsers": rule.blocked_users,
        "enabled": rule.enabled,
        "employee": {NAMES[name]: value for name, value in rule.employee.items()} or None,
        "createdAt": utc(rule.created_at),
    }


def connection_of(body: ConnectionInFile, now: datetime) -> Connection:
    """The draft that this comes to."""
    limit = HoldLimit()
    return Connection(
        id=ConnectionId(body.id),
        tenant_domain=body.tenant_domain,
        application_id=body.application_id.strip().lower(),
        mode=Mode(body.mode),
        created_at=utc(body.created_at) or now,
        email_source=body.email_source,
        match_scope=body.match_scope,
        on_leave=body.on_leave,
        hold_limit=body.hold_limit.over(limit) if body.hold_limit else limit,
        secret_expires_on=(body.secret_expires_on.isoformat() if body.secret_expires_on else None),
    )


def rule_of(body: RuleBody, new_id: str, now: datetime) -> MappingRule:
    """The rule that this comes to; Entra has not been asked about its group."""
    if not body.connection_id:
        raise BadInput(
            422,
            "connectionId is missing: it must be the id of a connection.",
            field="connectionId",
        )
    wish = body.wish()
    return MappingRule(
        id=RuleId(new_id if body.id is None else body.id),
        connection_id=ConnectionId(body.connection_id),
        group_id=GroupId(wish.group_id.strip().lower()),
        order=wish.order,
        record_type=wish.record_type,
        created_at=utc(body.created_at) or now,
        account_id=None if wish.account_id is None else AccountId(wish.account_id),
        location_id=None if wish.location_id is None else LocationId(wish.location_id),
        include_nested=wish.include_nested,
        include_guests=wish.include_guests,
        blocked_users=wish.blocked_users,
        enabled=wish.enabled,
        employee=dict(wish.employee),
        group_name=body.group_name or "",
        group_created_at=utc(body.group_created_at),
    )
