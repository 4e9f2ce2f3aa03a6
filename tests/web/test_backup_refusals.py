"""What an import does not take: each with its place, nothing written."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from shared.core.model import (
    GroupId,
)
from shared.errors import Misconfigured, TryLater
from tests.web.backups import (
    a_connection_of_the_file,
    a_file,
    a_used_world,
    export,
    take_in,
)
from tests.web.world import (
    NOWHERE,
    SALES,
    SUPPORT,
    World,
    a_connection,
    a_ready_world,
    a_rule,
)


@pytest.mark.parametrize(
    ("members", "field", "words"),
    [
        ({"tenantDomain": "contoso"}, "tenantDomain", "must be a domain name"),
        ({"applicationId": "x"}, "applicationId", "must be a GUID"),
        ({"mode": "both"}, "mode", '"delegated"'),
        ({"holdLimit": {"percent": 101}}, "holdLimit.percent", "from 0 to 100"),
        ({"id": "a/b"}, "id", "letters, digits and dashes"),
        ({"id": ""}, "id", "letters, digits and dashes"),
        ({"colour": "red"}, "colour", "not known here"),
        ({"secretExpiresOn": "soon"}, "secretExpiresOn", "a date"),
        ({"tenantDomain": "contoso.example"}, "tenantDomain", "twice"),
        ({"id": "contoso"}, "id", "twice"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_connection_that_cannot_be_taken_is_refused_with_its_place(
    members: dict[str, Any], field: str, words: str
) -> None:
    world = World()
    file = a_file(
        connections=[
            a_connection_of_the_file("contoso"),
            a_connection_of_the_file(connection_id="fabrikam") | members,
        ]
    )

    dry = take_in(world, file, dry_run=True)
    wet = take_in(world, file)

    [refused] = dry.body["refused"]
    assert refused["place"] == f"configuration.connections[1].{field}"
    assert words in refused["detail"]
    assert refused["detail"].startswith(refused["place"])
    assert (wet.status, wet.body["field"]) == (422, refused["place"])
    assert not world.connections.held, "all or nothing"


@pytest.mark.parametrize(
    ("members", "field", "words"),
    [
        ({"accountId": 99}, "accountId", "no account in BMS"),
        ({"accountId": None}, "accountId", "is missing"),
        ({"locationId": 80}, "locationId", "no active location"),
        ({"groupId": NOWHERE}, "groupId", "no group with the id"),
        ({"order": -1}, "order", "from 0"),
        ({"recordType": "person"}, "recordType", '"contact" or "employee"'),
        ({"connectionId": "nobody"}, "connectionId", "names no connection"),
        ({"connectionId": None}, "connectionId", "is missing"),
        ({"id": "a b"}, "id", "letters, digits and dashes"),
        ({"id": "r-one"}, "id", "twice"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_rule_that_could_not_be_saved_is_refused_with_its_place(
    members: dict[str, Any], field: str, words: str
) -> None:
    world = a_ready_world()
    file = a_file(
        mappingRules=[
            a_rule(id="r-one"),
            {**a_rule(id="r-two", groupId=SUPPORT, order=20), **members},
        ]
    )

    dry = take_in(world, file, dry_run=True)

    [refused] = dry.body["refused"]
    assert refused["place"] == f"configuration.mappingRules[1].{field}"
    assert words in refused["detail"]
    assert take_in(world, file).status == 422
    assert not world.rules.held, "all or nothing"


def test_a_rule_that_does_the_same_as_one_that_is_here_is_refused() -> None:
    world = a_used_world()

    answer = take_in(world, a_file(mappingRules=[a_rule(id="r-new", locationId=71, order=3)]))

    assert answer.body["field"] == "configuration.mappingRules[0].groupId"
    assert "does the same" in answer.detail


def test_the_rules_of_a_connection_that_is_refused_are_refused_with_it() -> None:
    file = a_file(
        connections=[a_connection_of_the_file(mode="both", tenantDomain="contoso.example")],
        mappingRules=[a_rule(id="r", connectionId="fabrikam")],
    )

    dry = take_in(World(), file, dry_run=True)

    assert [each["place"] for each in dry.body["refused"]] == [
        "configuration.connections[0].mode",
        "configuration.mappingRules[0].connectionId",
    ]


def test_a_rule_id_of_another_connection_is_refused() -> None:
    world = a_used_world()
    world.add(a_connection("fabrikam"))
    taken = next(iter(world.rules.held))

    answer = take_in(world, a_file(mappingRules=[a_rule(id=taken, connectionId="fabrikam")]))

    assert answer.body["field"] == "configuration.mappingRules[0].id"
    assert "another connection" in answer.detail


def test_a_connection_id_that_is_another_tenant_here_is_refused() -> None:
    world = a_ready_world()
    file = a_file(connections=[a_connection_of_the_file("contoso", tenantDomain="a.example")])

    answer = take_in(world, file)

    assert answer.body["field"] == "configuration.connections[0].tenantDomain"
    assert "contoso.example" in answer.detail


def test_a_rule_that_is_switched_off_comes_back_whatever_became_of_its_account() -> None:
    world = a_ready_world()
    rule = a_rule(id="r-off", accountId=99, enabled=False)

    assert take_in(world, a_file(mappingRules=[rule])).status == 200


def test_a_rule_whose_group_has_gone_since_the_export_comes_back_r20() -> None:
    file, world = export(a_used_world()), a_ready_world()
    del world.directories.directory.held_groups[GroupId(SALES)]

    assert take_in(world, file).status == 200
    assert len(world.rules.held) == 2


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file["connections"][0].update(applicationKey="hunter2"),
        lambda file: file["settings"]["bms"].update(password="hunter2"),
        lambda file: file["settings"].update(itglue={"apiKey": "hunter2"}),
        lambda file: file.update(Token="hunter2"),
    ],
    ids=["application key", "password", "key of a section", "anywhere"],
)
@pytest.mark.parametrize("dry_run", [True, False])
def test_r29_a_secret_in_the_file_is_refused_and_not_repeated(spoil: Any, dry_run: bool) -> None:
    file, world = export(a_used_world()), World()
    spoil(file)

    answer = take_in(world, file, dry_run=dry_run)

    assert answer.status == 422
    assert "is a secret" in answer.detail
    assert answer.body["field"].startswith("configuration.")
    assert "hunter2" not in json.dumps(answer.body)
    assert not world.connections.held
    assert not world.vault.held


@pytest.mark.parametrize("member", ["apiUrl", "tenant", "userName"])
def test_r29_an_import_leads_the_stored_password_nowhere_else(member: str) -> None:
    world = a_used_world()
    file = export(world)
    file["settings"]["bms"][member] = "https://elsewhere.example"

    answer = take_in(world, file)

    assert (answer.status, answer.body["field"]) == (422, f"configuration.settings.bms.{member}")
    assert world.bms_settings.held is not None
    assert world.bms_settings.held.version == "v0"


def test_other_bms_settings_may_change_and_running_workers_notice() -> None:
    world = a_used_world()
    file = export(world)
    file["settings"]["bms"]["hourlyLimit"] = 900

    body = take_in(world, file).body

    assert body["changed"][0]["members"] == ["hourlyLimit"]
    assert world.bms_settings.held is not None
    assert world.bms_settings.held.hourly_limit == 900
    assert world.bms_settings.held.version != "v0"


@pytest.mark.parametrize(
    ("configuration", "field", "words"),
    [
        (a_file() | {"format": 2}, "format", "reads format 1 at most"),
        (a_file() | {"format": 0}, "format", "no file of GET /api/export"),
        ({"connections": []}, "format", "is missing"),
        (a_file(people=[]), "people", "not known here"),
        (a_file(connections={}), "connections", "a list"),
        (a_file(settings={"bms": {"tenant": 5}}), "settings.bms.tenant", "a text"),
        (a_file(settings={"bms": {"tenant": "M", "userName": ""}}), "settings.bms.userName", ""),
        (a_file(settings={"sauna": {}}), "settings.sauna", "known: bms"),
        (a_file(settings={"bms": 5}), "settings.bms", "must be an object"),
        (a_file(connections=["x"]), "connections[0]", "must be an object"),
        ("a text", None, "must be an object"),
    ],
    ids=str,
)
def test_a_file_that_is_none_is_refused_with_the_place(
    configuration: Any, field: str | None, words: str
) -> None:
    answer = take_in(World(), configuration)

    assert answer.status == 422
    assert answer.body.get("field") == (f"configuration.{field}" if field else "configuration")
    assert words in answer.detail


def test_a_file_without_a_bottom_is_refused() -> None:
    deep = b"[" * 50_000 + b"]" * 50_000
    raw = b'{"configuration": {"format": 1, "people": ' + deep + b"}}"

    answer = World().call(
        "POST", "/api/import", raw=raw, headers={"Content-Type": "application/json"}
    )

    assert answer.status in (400, 422)


def test_several_faults_are_told_at_once() -> None:
    file = a_file(
        connections=[a_connection_of_the_file(mode="x")],
        mappingRules=[a_rule(id="r", connectionId="nobody")],
        settings={"bms": {}},
    )

    assert len(take_in(World(), file).body["errors"]) == 3


# --- tables that are not ready -----------------------------------------------------------------


def test_on_tables_of_a_newer_app_the_api_answers_with_that_sentence() -> None:
    world = World()
    world.schema.wrong = Misconfigured("The tables are of version 7.")

    answer = world.call("GET", "/api/connections")

    assert (answer.status, answer.detail) == (500, "The tables are of version 7.")


def test_during_an_upgrade_the_api_asks_to_come_again() -> None:
    world = World()
    world.schema.wrong = TryLater("The tables are being brought up.", timedelta(seconds=10))

    answer = world.call("GET", "/api/connections")

    assert (answer.status, answer.headers["Retry-After"]) == (503, "10")


@pytest.mark.parametrize("path", ["/health", "/OAuth/IntegrationCallback.aspx?state=s"])
def test_a_stranger_is_told_only_that_the_app_is_not_ready(path: str) -> None:
    world = World()
    world.schema.wrong = Misconfigured("The tables are of version 7.")

    answer = world.call("GET", path, token=None)

    assert (answer.status, "version" in str(answer.body)) == (503, False)


def test_export_and_import_are_for_the_admin() -> None:
    assert World().call("GET", "/api/export", token=None).status == 401
    assert World().call("POST", "/api/import", {}, token=None).status == 401
