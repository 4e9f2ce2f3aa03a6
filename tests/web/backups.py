"""Files of an export, and the worlds that they come from."""

from __future__ import annotations

from typing import Any

from shared.core.model import (
    AccountId,
    ConnectionId,
    GroupId,
    HoldLimit,
    MappingRule,
    RecordType,
    RuleId,
)
from tests.fakes import START
from tests.web.world import (
    APP_ID,
    NOWHERE,
    SUPPORT,
    Answer,
    World,
    a_connection,
    a_ready_world,
    a_rule,
)


def export(world: World) -> Any:
    answer = world.call("GET", "/api/export")
    assert answer.status == 200
    return answer.body


def take_in(world: World, configuration: Any, *, dry_run: bool = False) -> Answer:
    body = {"configuration": configuration, "dryRun": dry_run}
    return world.call("POST", "/api/import", body)


def a_file(**members: Any) -> dict[str, Any]:
    return {"format": 1, **members}


def a_connection_of_the_file(connection_id: str = "fabrikam", **members: Any) -> dict[str, Any]:
    return {
        "id": connection_id,
        "tenantDomain": f"{connection_id}.example",
        "applicationId": APP_ID,
        **members,
    }


def a_used_world() -> World:
    """BMS set up, Contoso connected and synced, with two rules."""
    world = a_ready_world()
    world.add(
        a_connection(
            first_sync_at=START,
            hold_limit=HoldLimit(7, 2.5, 90),
            secret_expires_on="2026-12-31",
            email_source="upn",
        )
    )
    for rule in (a_rule(locationId=71), a_rule(groupId=SUPPORT, order=20, accountId=8)):
        assert world.call("POST", "/api/mapping-rules", rule).status == 201
    world.queues.sent.clear()
    return world


def a_model_rule(rule_id: str, connection_id: str, **members: Any) -> MappingRule:
    return MappingRule(
        id=RuleId(rule_id),
        connection_id=ConnectionId(connection_id),
        group_id=members.pop("group_id", GroupId(NOWHERE)),
        order=members.pop("order", 99),
        record_type=RecordType.CONTACT,
        created_at=START,
        account_id=AccountId(7),
        **members,
    )
