"""Settings: BMS with its sign-in, IT Glue, backup and its return."""

from __future__ import annotations

import json
import re

import pytest

from shared.core.itglue import OrganizationId
from shared.errors import PersonMustAct
from tests.web.console.visitor import Visitor, a_visitor
from tests.web.world import World, a_ready_world

SETTINGS = "/console/settings"
BMS, ITGLUE = f"{SETTINGS}/bms", f"{SETTINGS}/itglue"
SIGN_IN = {
    "tenant": "Northwind",
    "userName": "sync",
    "password": "the-very-secret",
    "apiUrl": "https://api.bms.kaseya.com",
    "gatewayUrl": "https://bms.kaseya.com",
    "freshShare": "25",
}


def mark(visitor: Visitor, path: str) -> str:
    """What the form was opened with."""
    found = re.search(r'name="mark" value="(\w+)"', visitor.get(path).source)
    assert found
    return found[1]


def test_the_first_bms_settings_are_saved_after_a_sign_in_and_lead_on_to_the_guide() -> None:
    world = World()
    visitor = a_visitor(world)

    answer = visitor.post(BMS, {**SIGN_IN, "mark": mark(visitor, BMS)})

    assert answer.location == "/console/guide"
    assert "Signed in to BMS as sync of Northwind, and saved." in visitor.get(answer.location).text
    held = world.bms_settings.held
    assert held is not None
    assert (held.tenant, held.fresh_share) == ("Northwind", 0.25)
    assert "the-very-secret" not in visitor.get(BMS).source


def test_a_sign_in_that_bms_refuses_saves_nothing_and_keeps_what_was_typed() -> None:
    world = World()
    world.bms.refusal = PersonMustAct("BMS refused it.", "Look.", code="bms-sign-in")
    visitor = a_visitor(world)

    seen = visitor.post(BMS, {**SIGN_IN, "mark": mark(visitor, BMS)})

    assert seen.status == 422
    assert "BMS refused it." in seen.text
    assert 'value="Northwind"' in seen.source
    assert "the-very-secret" not in seen.source
    assert world.bms_settings.held is None


def test_settings_that_somebody_else_saved_meanwhile_are_not_overwritten() -> None:
    world = World()
    first, second = a_visitor(world), a_visitor(world)
    opened = mark(first, BMS)
    second.send(BMS, {**SIGN_IN, "mark": mark(second, BMS)})

    seen = first.post(BMS, {**SIGN_IN, "tenant": "Mine", "mark": opened})

    assert seen.status == 409
    assert "Somebody else has saved these settings" in seen.text
    assert 'value="Mine"' in seen.source
    assert world.bms_settings.held is not None
    assert world.bms_settings.held.tenant == "Northwind"
    # Sent again from this page it is saved: the mark is that of now.
    again = re.search(r'name="mark" value="(\w+)"', seen.source)
    assert again
    assert first.post(BMS, {**SIGN_IN, "mark": again[1]}).status == 303


def test_the_test_of_the_sign_in_says_that_it_works_or_why_not() -> None:
    world = a_ready_world()
    visitor = a_visitor(world)

    assert "The sign-in works" in visitor.send(f"{BMS}/test").text

    world.bms.refusal = PersonMustAct("BMS refused it.", "Look.", code="bms-sign-in")
    seen = visitor.post(f"{BMS}/test")
    assert seen.status == 422
    assert "BMS refused it." in seen.text


def test_the_backup_is_a_file_without_secrets() -> None:
    world = a_ready_world()

    seen = a_visitor(world).get(f"{SETTINGS}/backup")

    assert "attachment; filename=" in dict(seen.headers)["Content-Disposition"]
    assert json.loads(seen.source)["connections"][0]["tenantDomain"] == "contoso.example"
    for secret in world.vault.held.values():
        assert secret not in seen.source


def test_a_backup_comes_back_only_after_it_was_shown_what_it_would_do() -> None:
    file = a_visitor(a_ready_world()).get(f"{SETTINGS}/backup").source
    world = World()
    visitor = a_visitor(world)

    shown = visitor.post(f"{SETTINGS}/restore", {"configuration": file})
    assert "Nothing is changed yet" in shown.text
    assert "contoso.example" in shown.text
    assert not world.connections.list()

    done = visitor.post(f"{SETTINGS}/restore", {"configuration": file, "do": "yes"})
    assert "Taken over" in done.text
    assert [each.tenant_domain for each in world.connections.list()] == ["contoso.example"]


def test_a_file_that_is_none_is_refused_and_kept_in_the_box_as_text() -> None:
    seen = a_visitor(World()).post(
        f"{SETTINGS}/restore", {"configuration": "</textarea><script>alert(1)</script>"}
    )

    assert seen.status == 422
    assert "This is not the JSON of a backup" in seen.text
    assert "<script>alert" not in seen.source


@pytest.mark.parametrize("text", ["[" * 20_000, '{"a":' * 20_000, "nan"])
def test_what_cannot_be_a_backup_is_refused_with_a_sentence(text: str) -> None:
    seen = a_visitor(World()).post(f"{SETTINGS}/restore", {"configuration": text})

    assert seen.status == 422
    assert "This is not the JSON of a backup" in seen.text


def test_it_glue_is_switched_on_with_its_key_and_an_account_gets_its_organization() -> None:
    world = a_ready_world()
    world.glue.organizations = {OrganizationId(3107): "Contoso"}
    visitor = a_visitor(world)
    form = {"enabled": "yes", "apiUrl": "https://api.itglue.com", "apiKey": "glue-secret"}

    seen = visitor.send(ITGLUE, {**form, "mark": mark(visitor, ITGLUE)})

    assert "IT Glue answered, and it is saved." in seen.text
    assert "glue-secret" not in seen.source
    assert world.glue_settings.held is not None
    assert world.glue_settings.held.enabled
    organization = 3107
    choice = f"{ITGLUE}/accounts/7"
    first = {"organizationId": str(organization), "mark": mark(visitor, choice)}
    visitor.send(choice, first)
    assert world.glue_settings.held.organizations == ((7, organization),)
    assert world.glue_settings.held.enabled

    late = visitor.post(choice, first)
    assert (late.status, "Somebody else has chosen" in late.text) == (409, True)
    assert visitor.post(choice, {}).status == 400
    assert world.glue_settings.held.organizations == ((7, organization),)
    visitor.send(choice, {"mark": mark(visitor, choice)})
    assert not world.glue_settings.held.organizations


@pytest.mark.parametrize("account", ["9" * 5000, "x", "-1"])
def test_an_account_that_cannot_be_is_not_found(account: str) -> None:
    world = a_ready_world()
    answer = a_visitor(world).post(f"{ITGLUE}/accounts/{account}", {"organizationId": "1"})

    assert answer.status == 404


def test_the_settings_page_shows_how_long_things_are_kept() -> None:
    assert "90 days: activity, ended syncs, decided holds" in a_visitor(World()).get(SETTINGS).text
