"""/api/settings/itglue and /api/itglue/… (R27)."""

from __future__ import annotations

from typing import Any

import pytest

from shared.core.itglue import ItGlueSettings, OrganizationId, PassedOn, PassState
from shared.core.itglue_messages import decode_pass_on
from shared.core.model import AccountId, ConnectionId, RecordId, Trouble, UserId
from shared.errors import PersonMustAct, TryLater
from shared.ports import ITGLUE, ITGLUE_KEY, GlueAccount
from tests.fakes import START
from tests.fakes_bms import an_account
from tests.web.world import INES, World, a_connection, a_ready_world, a_rule

PATH = "/api/settings/itglue"
EVERYBODY = "/api/itglue/pass-on-everybody"
KEY = "ITG.a-key"


def a_world() -> World:
    world = a_ready_world()
    world.glue.organizations = {OrganizationId(3001): "Contoso", OrganizationId(3002): "Other"}
    world.glue.types = {57: "No Longer Employed", 41: "End User"}
    return world


def a_body(**members: Any) -> dict[str, Any]:
    return {"enabled": True, "apiKey": KEY, "inactiveContactTypeId": 57, **members}


def switched_on(world: World, **members: Any) -> World:
    assert world.call("PUT", PATH, a_body(**members)).status == 200
    return world


def test_r27_it_is_off_before_anybody_has_set_it_up() -> None:
    assert World().call("GET", PATH).body == {
        "enabled": False,
        "apiUrl": "https://api.itglue.com",
        "hasApiKey": False,
        "inactiveContactTypeId": None,
        "organizations": [],
    }


def test_r27_r29_settings_are_saved_after_a_read_and_the_key_goes_to_the_vault_only() -> None:
    world = a_world()

    answer = world.call(
        "PUT",
        PATH,
        a_body(
            apiUrl="https://api.eu.itglue.com/",
            organizations=[{"accountId": 7, "organizationId": 3001}],
        ),
    )

    assert answer.status == 200
    assert answer.body == {
        "enabled": True,
        "apiUrl": "https://api.eu.itglue.com",
        "hasApiKey": True,
        "inactiveContactTypeId": 57,
        "organizations": [{"accountId": 7, "organizationId": 3001}],
    }
    assert [key for _, key in world.glue.checked] == [KEY]
    assert world.vault.held[ITGLUE_KEY] == KEY
    assert KEY not in repr(world.glue_settings.held)
    assert world.call("PUT", PATH, {**answer.body}).status == 200, "what GET shows can be put back"


def test_every_save_has_a_version_of_its_own() -> None:
    world = switched_on(a_world())
    first = world.glue_settings.held
    switched_on(world)

    assert first
    assert world.glue_settings.held
    assert first.version != world.glue_settings.held.version


@pytest.mark.parametrize(
    ("members", "field", "words"),
    [
        ({"enabled": "yes"}, "enabled", "true or false"),
        ({"apiUrl": "http://api.itglue.com"}, "apiUrl", "only https"),
        ({"apiUrl": "https://attacker.example"}, "apiUrl", "https://api.eu.itglue.com"),
        ({"apiUrl": "https://api.itglue.com.attacker.example"}, "apiUrl", "must be one of"),
        ({"apiUrl": "https://api.itglue.com/other"}, "apiUrl", "must be one of"),
        ({"inactiveContactTypeId": 99}, "inactiveContactTypeId", "list of contact types"),
        ({"apiKey": None}, "apiKey", "missing"),
        (
            {"organizations": [{"accountId": 7, "organizationId": 9}]},
            "organizations",
            "list of organizations",
        ),
        (
            {
                "organizations": [
                    {"accountId": 7, "organizationId": 3001},
                    {"accountId": 7, "organizationId": 3002},
                ]
            },
            "organizations",
            "twice",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_member_is_422_and_nothing_is_saved(
    members: dict[str, Any], field: str, words: str
) -> None:
    world = a_world()

    answer = world.call("PUT", PATH, a_body(**members))

    assert (answer.status, answer.body["field"]) == (422, field)
    assert words in answer.detail
    assert world.glue_settings.held is None
    assert ITGLUE_KEY not in world.vault.held


def test_a_refused_key_is_422_and_nothing_is_saved() -> None:
    world = a_world()
    world.glue.refusal = PersonMustAct("IT Glue refuses the API key.", "Make a new one.", code="x")

    answer = world.call("PUT", PATH, a_body())

    assert (answer.status, answer.body["field"]) == (422, "apiKey")
    assert answer.detail == "IT Glue refuses the API key. Make a new one."
    assert world.glue_settings.held is None


def test_it_can_be_switched_off_while_it_glue_is_away() -> None:
    world = switched_on(a_world())
    world.glue.refusal = TryLater("IT Glue cannot be reached.")

    assert world.call("PUT", PATH, {"enabled": False}).status == 200
    assert world.call("GET", PATH).body["hasApiKey"] is True, "left out is kept"
    assert world.call("PUT", PATH, {"enabled": False, "apiKey": None}).status == 200
    assert world.call("GET", PATH).body["hasApiKey"] is False


def test_r29_the_stored_key_goes_to_no_other_address() -> None:
    world = switched_on(a_world())
    body = a_body(apiUrl="https://api.au.itglue.com")
    del body["apiKey"]

    answer = world.call("PUT", PATH, body)

    assert (answer.status, answer.body["field"]) == (422, "apiKey")
    assert len(world.glue.checked) == 1


def test_the_lists_for_the_form_come_from_it_glue() -> None:
    world = switched_on(a_world())

    types = world.call("GET", "/api/itglue/contacttypes").body["items"]
    found = world.call("GET", "/api/itglue/organizations?q=conto").body["items"]

    assert types == [{"id": 41, "name": "End User"}, {"id": 57, "name": "No Longer Employed"}]
    assert found == [{"id": 3001, "name": "Contoso"}]
    assert world.call("GET", "/api/itglue/nothing").status == 404


def test_r27_accounts_are_mapped_by_hand_by_bms_id_or_by_exact_name_and_the_rest_is_told() -> None:
    world = a_world()
    for number, name in ((8, "contoso"), (9, "Other")):
        world.bms.held[AccountId(number)] = an_account(number, name=name)
    world.glue.of_bms = {AccountId(7): [OrganizationId(3002)]}
    for account in (7, 8, 9):
        rule = a_rule(accountId=account, order=account)
        assert world.call("POST", "/api/mapping-rules", rule).status == 201
    switched_on(world, organizations=[{"accountId": 10, "organizationId": 3001}])

    items = world.call("GET", "/api/itglue/accounts").body["items"]

    found = {each["accountId"]: (each["organizationId"], each["by"]) for each in items}
    assert found == {
        7: (3002, "bms id"),
        8: (None, None),
        9: (3002, "name"),
        10: (3001, "hand"),
    }
    assert "no organization of the account's name" in items[1]["reason"]
    shown = world.call("GET", "/api/status").body["itGlue"]
    assert (shown["state"], shown["accountsWithoutOrganization"]) == ("attention", 1)


def test_r27_who_waited_for_an_organization_is_queued_when_settings_are_saved() -> None:
    world = a_world()
    row = PassedOn(
        RecordId(5),
        ConnectionId("contoso"),
        UserId(INES),
        account_id=AccountId(7),
        state=PassState.UNMAPPED,
    )
    world.passed_on.save(row)

    switched_on(world)

    [(queue, text, _)] = world.queues.sent
    assert queue == ITGLUE
    assert [item.record_id for item in decode_pass_on(text).items] == [5]


def test_r27_pass_on_everybody_is_one_message_for_each_connection_and_not_begun_twice() -> None:
    world = switched_on(a_world())
    world.add(a_connection("fabrikam"))

    answers = [world.call("POST", EVERYBODY) for _ in range(2)]

    assert [answer.status for answer in answers] == [202, 202]
    assert [each["state"] for each in answers[0].body["items"]] == ["running", "running"]
    messages = [decode_pass_on(text) for queue, text, _ in world.queues.sent if queue == ITGLUE]
    assert [(one.connection_id, one.kind, one.asked) for one in messages] == [
        ("contoso", "everybody", True),
        ("fabrikam", "everybody", True),
    ]
    assert len(world.call("GET", EVERYBODY).body["items"]) == 2


def test_r27_pass_on_everybody_is_refused_while_it_glue_is_off() -> None:
    assert a_world().call("POST", EVERYBODY).status == 409


def test_status_tells_what_it_glue_suffers_from_and_how_much_waits() -> None:
    world = switched_on(a_world())
    assert world.call("GET", "/api/status").body["itGlue"]["state"] == "on"
    world.glue_memory.now = Trouble("itglue-key", "IT Glue refuses.", "A new key.", START)
    world.queues.send(ITGLUE, "{}")

    body = world.call("GET", "/api/status").body

    assert body["itGlue"] == {
        "state": "attention",
        "reason": "IT Glue refuses.",
        "nextStep": "A new key.",
        "since": "2026-03-02T09:00:00Z",
        "waiting": 1,
        "accountsWithoutOrganization": 0,
    }
    assert [(each["kind"], each["notice"]) for each in body["credentials"]] == [("itglue", 0)]
    switched_on(world)
    assert world.call("GET", "/api/status").body["itGlue"]["state"] == "on"


def test_settings_that_were_never_saved_are_off_in_the_status() -> None:
    world = World()
    assert world.call("GET", "/api/status").body["itGlue"]["state"] == "off"
    assert world.itglue.get() == ItGlueSettings()


def test_r27_two_who_save_while_it_glue_answers_do_not_undo_each_others_choice() -> None:
    world = switched_on(a_world())
    check = world.glue.check
    hers = ItGlueSettings(enabled=True, organizations=((AccountId(8), OrganizationId(9)),))

    def meanwhile(settings: ItGlueSettings, key: str) -> GlueAccount:
        world.glue_settings.held = hers
        return check(settings, key)

    world.glue.check = meanwhile  # type: ignore[method-assign]

    answer = world.call("PUT", PATH, a_body())

    assert answer.status == 409
    assert "Please look again" in answer.body["detail"]
    assert world.glue_settings.held == hers
