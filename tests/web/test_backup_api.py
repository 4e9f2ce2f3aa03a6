"""/api/export and /api/import."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

from shared import VERSION
from shared.core.model import (
    Connection,
    ConnectionId,
    ConnectionState,
    GroupState,
    RuleId,
)
from shared.errors import PersonMustAct, TryLater
from shared.ports import BMS_PASSWORD, application_key
from tests.fakes import START
from tests.web.backups import (
    a_connection_of_the_file,
    a_file,
    a_model_rule,
    a_used_world,
    export,
    take_in,
)
from tests.web.world import (
    SUPPORT,
    World,
    a_ready_world,
    a_rule,
)

OTHER_APP = "11111111-0000-4000-8000-000000000002"


# --- export ------------------------------------------------------------------------------------


def test_an_export_holds_connections_rules_and_settings_and_says_what_wrote_it() -> None:
    world = a_used_world()

    file = export(world)

    assert file["format"] == 1
    assert file["app"] == {"version": VERSION}
    assert file["exportedAt"] == "2026-03-02T09:00:00Z"
    assert [each["id"] for each in file["connections"]] == ["contoso"]
    assert [each["groupName"] for each in file["mappingRules"]] == ["Sales", "Support"]
    assert file["settings"]["bms"]["tenant"] == "MSP"


def test_an_export_is_offered_as_a_file() -> None:
    answer = World().call("GET", "/api/export")

    assert answer.headers["Content-Disposition"] == (
        'attachment; filename="directory-sync-2026-03-02-0900.json"'
    )


def test_of_an_empty_installation_the_export_is_empty() -> None:
    file = export(World())

    assert (file["connections"], file["mappingRules"], file["settings"]) == ([], [], {})


def test_r29_no_secret_stands_in_an_export() -> None:
    world = a_used_world()
    world.vault.held = {name: f"secret-{name}" for name in world.vault.held}

    text = json.dumps(export(world))

    assert "secret-" not in text
    assert "assword" not in text
    assert "applicationKey" not in text


def test_every_member_that_bms_settings_have_is_exported() -> None:
    members = set(export(a_used_world())["settings"]["bms"])

    shown = a_used_world().call("GET", "/api/settings/bms").body
    assert members == set(shown) - {"hasPassword"}


# --- import into an empty installation ---------------------------------------------------------


def test_a_dry_run_which_is_the_default_writes_nothing_and_tells_what_would_be_made() -> None:
    file, world = export(a_used_world()), World()

    answer = world.call("POST", "/api/import", {"configuration": file})

    assert answer.status == 200
    assert answer.body["dryRun"] is True
    assert [each["name"] for each in answer.body["created"]] == [
        "bms",
        "contoso.example",
        "Sales (Order 10)",
        "Support (Order 20)",
    ]
    assert [each["place"] for each in answer.body["created"]] == [
        "configuration.settings.bms",
        "configuration.connections[0]",
        "configuration.mappingRules[0]",
        "configuration.mappingRules[1]",
    ]
    assert answer.body["refused"] == []
    assert not world.connections.held
    assert not world.rules.held
    assert world.bms_settings.held is None


def test_r5_a_connection_comes_back_as_a_draft_under_its_own_id() -> None:
    file, world = export(a_used_world()), World()

    take_in(world, file)

    [connection] = world.connections.list()
    assert (connection.id, connection.state) == ("contoso", ConnectionState.DRAFT)
    assert (connection.first_sync_at, connection.tenant_id) == (None, None)
    assert not connection.may_write
    assert not world.queues.sent, "no work is ordered"


def test_rules_come_back_under_their_ids_with_their_age_and_unverified_groups() -> None:
    old, world = a_used_world(), World()
    world.clock.pass_(timedelta(days=3))

    take_in(world, export(old))

    assert world.rules.held == {
        rule_id: replace(rule, group_state=GroupState.UNVERIFIED)
        for rule_id, rule in old.rules.held.items()
    }


def test_the_reply_names_every_secret_that_must_be_entered_and_the_steps_after_it() -> None:
    file = export(a_used_world())

    body = take_in(World(), file).body

    assert [(each["id"], each["member"]) for each in body["secrets"]] == [
        ("bms", "password"),
        ("contoso", "applicationKey"),
    ]
    assert [step.split(":")[0] for step in body["nextSteps"][:2]] == [
        "Enter the password of the BMS API user",
        "Enter the value of a client secret of the app registration for contoso.example",
    ]
    assert body["nextSteps"][2].startswith("Connect contoso.example (contoso)")


def test_secrets_that_the_vault_still_holds_need_not_be_entered() -> None:
    file, world = export(a_used_world()), World()
    world.vault.held = {BMS_PASSWORD: "p", application_key(ConnectionId("contoso")): "k"}

    body = take_in(world, file).body

    assert body["secrets"] == []
    assert "The vault still holds a password" in body["created"][0]["notes"][0]
    assert world.bms.signed_in == [], "nobody is signed in to by an import"


def test_without_bms_the_rules_are_taken_and_the_reply_says_that_they_were_not_checked() -> None:
    file = export(a_used_world())

    body = take_in(World(), file).body

    assert "could not be checked: BMS is not set up" in body["notes"][0]


def test_after_the_import_the_password_can_be_entered_and_the_rules_are_as_before() -> None:
    old, world = a_used_world(), World()
    file = export(old)
    take_in(world, file)

    answer = world.call(
        "PUT", "/api/settings/bms", {**file["settings"]["bms"], "password": "the-password"}
    )

    assert answer.status == 200
    assert world.bms.signed_in


# --- import into an installation that is in use ------------------------------------------------


def test_the_same_file_twice_changes_nothing_the_second_time() -> None:
    world = a_used_world()
    before = (dict(world.connections.held), dict(world.rules.held), world.bms_settings.held)

    body = take_in(world, export(world)).body

    assert (body["created"], body["changed"], body["refused"]) == ([], [], [])
    assert len(body["unchanged"]) == 4
    assert (world.connections.held, world.rules.held, world.bms_settings.held) == before
    assert not world.queues.sent


def test_what_the_file_does_not_name_is_never_removed() -> None:
    world = a_used_world()
    rules = dict(world.rules.held)

    take_in(world, a_file(connections=[a_connection_of_the_file()]))

    assert set(world.connections.held) == {"contoso", "fabrikam"}
    assert world.rules.held == rules
    assert world.bms_settings.held is not None


def test_a_changed_option_is_taken_over_and_re_evaluates_as_any_edit_r5() -> None:
    world = a_used_world()
    file = export(world)
    file["connections"][0]["onLeave"] = "keep"

    body = take_in(world, file).body

    assert [(one["id"], one["members"]) for one in body["changed"]] == [("contoso", ["onLeave"])]
    [connection] = world.connections.list()
    assert (connection.on_leave, connection.state) == ("keep", ConnectionState.CONNECTED)
    assert connection.first_sync_at == START
    assert [order.kind for order, _ in world.queues.sweep_orders] == ["rules"]


def test_another_application_makes_a_connection_a_draft_again_and_says_so() -> None:
    world = a_used_world()
    file = export(world)
    file["connections"][0]["applicationId"] = OTHER_APP

    body = take_in(world, file).body

    assert body["changed"][0]["members"] == ["applicationId"]
    assert any(step.startswith("Connect contoso.example") for step in body["nextSteps"])
    assert world.connections.list()[0].state is ConnectionState.DRAFT


def test_a_connection_of_the_same_tenant_keeps_the_id_that_it_has_here() -> None:
    world = a_ready_world()
    file = a_file(
        connections=[a_connection_of_the_file("old", tenantDomain="contoso.example")],
        mappingRules=[a_rule(id="r-old", connectionId="old")],
    )

    body = take_in(world, file).body

    assert set(world.connections.held) == {"contoso"}
    assert "with the id contoso" in body["unchanged"][0]["notes"][0]
    assert world.rules.held[RuleId("r-old")].connection_id == "contoso"


def test_a_changed_rule_is_checked_written_and_re_evaluated_at_once() -> None:
    world = a_used_world()
    file = export(world)
    file["mappingRules"][0]["order"] = 15

    body = take_in(world, file).body

    assert [(one["members"], one["name"]) for one in body["changed"]] == [
        (["order"], "Sales (Order 15)")
    ]
    assert sorted(rule.order for rule in world.rules.held.values()) == [15, 20]
    assert [(order.kind, wait) for order, wait in world.queues.sweep_orders] == [("rules", None)]


def test_a_new_rule_goes_into_the_connection_that_is_here() -> None:
    world = a_used_world()
    rule = a_rule(id="r-new", groupId=SUPPORT, order=5, accountId=7)

    assert take_in(world, a_file(mappingRules=[rule])).body["created"][0]["id"] == "r-new"
    assert len(world.rules.held) == 3
    assert world.rules.held[RuleId("r-new")].group_name == "Support"


def test_a_rule_without_an_id_is_a_new_one() -> None:
    world = a_ready_world()

    assert take_in(world, a_file(mappingRules=[a_rule()])).status == 200
    assert len(world.rules.held) == 1


def test_bms_that_cannot_be_asked_stops_no_import() -> None:
    world = a_ready_world()
    world.bms.down = TryLater("BMS does not answer.")

    answer = take_in(world, a_file(mappingRules=[a_rule(id="r-new")]))

    assert answer.status == 200
    assert "BMS does not answer." in answer.body["notes"][0]
    assert RuleId("r-new") in world.rules.held


def test_an_import_does_not_ask_entra_with_a_sign_in_that_it_ends() -> None:
    world = a_used_world()
    file = export(world)
    file["connections"][0]["applicationId"] = OTHER_APP
    file["mappingRules"][0]["order"] = 15
    world.directories.directory.down = PersonMustAct("Refused.", "Connect.", code="x")

    assert take_in(world, file).body["notes"] == []


# --- storage that fails half-way ---------------------------------------------------------------


def test_an_import_cut_short_says_so_and_is_finished_by_sending_it_again() -> None:
    file, world = export(a_used_world()), World()
    real = world.rules.replace

    def broken(*_: Any) -> None:
        raise TryLater("The table storage is busy.")

    world.rules.replace = broken  # type: ignore[method-assign,assignment]
    answer = take_in(world, file)
    world.rules.replace = real  # type: ignore[method-assign]

    assert answer.status == 503
    assert "2 of 3 things of this file are written; send it again" in answer.detail
    assert take_in(world, file).status == 200
    assert len(world.rules.held) == 2


def test_a_rule_that_somebody_adds_during_the_import_stays() -> None:
    file, world = export(a_used_world()), World()
    real = world.connections.add

    def add(connection: Connection) -> None:
        real(connection)
        world.rules.put(a_model_rule("r-meanwhile", connection.id))

    world.connections.add = add  # type: ignore[method-assign]
    take_in(world, file)

    assert RuleId("r-meanwhile") in world.rules.held
    assert len(world.rules.held) == 3
