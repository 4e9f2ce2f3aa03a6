"""An export imported into an empty installation is exported the same again."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.itglue import ItGlueSettings, OrganizationId
from shared.core.model import (
    AccountId,
    BmsSettings,
    Connection,
    ConnectionId,
    ConnectionState,
    EmployeeDefaults,
    GroupId,
    GroupState,
    HoldLimit,
    LocationId,
    MappingRule,
    Mode,
    RecordId,
    RecordType,
    RuleId,
)
from tests.fakes import START
from tests.web.backups import (
    a_file,
    a_model_rule,
    export,
    take_in,
)
from tests.web.world import (
    World,
    a_ready_world,
)

TEXT = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=30)
MOMENTS = st.datetimes(
    min_value=START.replace(tzinfo=None), max_value=START.replace(year=2031, tzinfo=None)
).map(lambda at: at.replace(tzinfo=START.tzinfo))
IDS = st.from_regex(r"[a-z2-7]{10}", fullmatch=True)
GUIDS = st.uuids(version=4).map(str)
BMS_IDS = st.integers(1, 2_147_483_647)


@st.composite
def installations(draw: st.DrawFn) -> tuple[list[Connection], list[MappingRule], BmsSettings]:
    connections = [
        Connection(
            id=ConnectionId(connection_id),
            tenant_domain=f"{connection_id}.example",
            application_id=draw(GUIDS),
            mode=draw(st.sampled_from(Mode)),
            created_at=draw(MOMENTS),
            email_source=draw(st.sampled_from(["mail", "upn"])),
            match_scope=draw(st.sampled_from(["all", "account"])),
            on_leave=draw(st.sampled_from(["deactivate", "keep"])),
            hold_limit=HoldLimit(
                draw(st.integers(0, 1000)), draw(st.floats(0, 100)), draw(st.integers(0, 1000))
            ),
            secret_expires_on=draw(st.none() | st.dates().map(str)),
            connected_at=draw(st.none() | MOMENTS),
            first_sync_at=draw(st.none() | MOMENTS),
            paused=draw(st.booleans()),
        )
        for connection_id in draw(st.lists(IDS, max_size=4, unique=True))
    ]
    rules = []
    for rule_id in draw(st.lists(IDS, max_size=6, unique=True)) if connections else []:
        rules.append(
            MappingRule(
                id=RuleId(rule_id),
                connection_id=draw(st.sampled_from(connections)).id,
                group_id=GroupId(draw(GUIDS)),
                order=draw(st.integers(0, 1_000_000)),
                record_type=RecordType.CONTACT,
                created_at=draw(MOMENTS),
                account_id=AccountId(draw(BMS_IDS)),
                location_id=draw(st.none() | BMS_IDS.map(LocationId)),
                include_nested=draw(st.booleans()),
                include_guests=draw(st.booleans()),
                blocked_users=draw(st.sampled_from(["leave", "sync"])),
                enabled=draw(st.booleans()),
                group_name=draw(st.just("") | TEXT),
                group_created_at=draw(st.none() | MOMENTS),
                group_state=draw(st.sampled_from(GroupState)),
            )
        )
    bms = BmsSettings(
        tenant=f"M{draw(TEXT)}P",
        user_name=f"u{draw(TEXT)}r",
        hourly_limit=draw(st.integers(1, 1_000_000)),
        fresh_share=draw(st.floats(0, 0.99)),
        email_type_id=draw(st.none() | BMS_IDS),
        version="v0",
    )
    return connections, rules, bms


@settings(max_examples=60)
@given(installations())
def test_import_of_an_export_into_an_empty_installation_exports_the_same_again(
    installation: tuple[list[Connection], list[MappingRule], BmsSettings],
) -> None:
    connections, rules, bms = installation
    old, new = World(), World()
    for connection in connections:
        old.connections.add(connection)
    for rule in rules:
        old.rules.put(rule)
    old.bms_settings.held = bms
    file = export(old)

    answer = take_in(new, file)

    assert answer.status == 200, answer.body
    assert export(new) == file
    assert all(each.state is ConnectionState.DRAFT for each in new.connections.list())
    assert not new.queues.sent
    again = take_in(new, file).body
    assert (again["created"], again["changed"]) == ([], [])


def test_it_glue_and_the_employee_defaults_come_back_switched_off() -> None:
    old = a_ready_world()
    old.glue_settings.held = ItGlueSettings(
        True, organizations=((AccountId(5), OrganizationId(7)),)
    )
    old.employee_defaults.held = EmployeeDefaults(
        {"department_id": 101}, frozenset({RecordId(902)}), "api"
    )
    new = a_ready_world()

    answer = take_in(new, export(old))

    assert answer.status == 200
    settings = new.glue_settings.held
    assert settings is not None
    assert (settings.enabled, settings.organizations) == (
        False,
        old.glue_settings.held.organizations,
    )
    kept = new.employee_defaults.held
    assert (dict(kept.values), sorted(kept.protected)) == ({"department_id": 101}, [902])
    assert kept.mode == "worklist"
    assert {one["member"] for one in answer.body["secrets"]} >= {"apiKey"}


def test_a_key_of_it_glue_in_the_file_is_refused() -> None:
    file = a_file(settings={"itglue": {"enabled": False, "apiKey": "ITG.secret"}})

    answer = take_in(a_ready_world(), file)

    assert answer.status == 422
    assert "ITG.secret" not in str(answer.body)


def test_an_employee_rule_comes_back_with_its_values_r3() -> None:
    old, new = a_ready_world(), World()
    rule = replace(
        a_model_rule("r-desk", "contoso"),
        record_type=RecordType.EMPLOYEE,
        account_id=None,
        employee={"department_id": 101},
    )
    old.rules.put(rule)

    assert take_in(new, export(old)).status == 200
    assert new.rules.held[rule.id] == replace(rule, group_state=GroupState.UNVERIFIED)
