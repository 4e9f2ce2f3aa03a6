"""/api/settings/bms and /api/bms/…."""

from __future__ import annotations

from typing import Any

import pytest

from shared.core.model import AccountId, ConnectionId, Link, LinkState, RecordId, UserId
from shared.errors import PersonMustAct, TryLater
from shared.ports import BMS_PASSWORD
from shared.sync import bms_settings
from tests.fakes_bms import an_account
from tests.web.world import INES, World, a_connection, a_ready_world, a_trouble

PATH = "/api/settings/bms"


def a_body(**members: Any) -> dict[str, Any]:
    return {"tenant": "My MSP", "userName": "sync", "password": "pa55", **members}


def test_settings_are_saved_after_a_sign_in_and_the_password_goes_to_the_vault_only() -> None:
    world = World()

    answer = world.call("PUT", PATH, a_body(apiUrl="https://api.bmsemea.kaseya.com/"))

    assert answer.status == 200
    assert answer.body == {
        "apiUrl": "https://api.bmsemea.kaseya.com",
        "gatewayUrl": "https://bms.kaseya.com",
        "tenant": "My MSP",
        "userName": "sync",
        "hasPassword": True,
        "hourlyLimit": 1500,
        "hourlyLimitV1": 500,
        "limitWindowSeconds": 3600,
        "freshShare": 0.2,
        "emailTypeId": None,
        "workPhoneTypeId": None,
        "mobilePhoneTypeId": None,
    }
    assert [password for _, password in world.bms.signed_in] == ["pa55"]
    assert world.vault.held == {BMS_PASSWORD: "pa55"}
    assert "pa55" not in repr(world.bms_settings.held)


def test_every_save_has_a_version_of_its_own() -> None:
    world = World()
    versions = set()
    for _ in range(2):
        world.call("PUT", PATH, a_body())
        assert world.bms_settings.held
        versions.add(world.bms_settings.held.version)

    assert len(versions) == 2


@pytest.mark.parametrize(
    ("members", "field", "words"),
    [
        ({"tenant": " "}, "tenant", "My Settings"),
        ({"userName": ""}, "userName", "API user"),
        ({"password": None}, "password", "cannot be removed"),
        ({"password": ""}, "password", "cannot be removed"),
        ({"apiUrl": "http://api.bms.kaseya.com"}, "apiUrl", "only https"),
        ({"apiUrl": "api.bms.kaseya.com"}, "apiUrl", "must begin with https"),
        ({"gatewayUrl": "https://u:p@bms.kaseya.com"}, "gatewayUrl", "plain address"),
        ({"hourlyLimit": 0}, "hourlyLimit", "from 1"),
        ({"hourlyLimitV1": 0}, "hourlyLimitV1", "from 1"),
        ({"limitWindowSeconds": 86401}, "limitWindowSeconds", "to 86,400"),
        ({"freshShare": 1}, "freshShare", "from 0 below 1"),
        ({"freshShare": 20}, "freshShare", "from 0 below 1"),
        ({"emailTypeId": "1"}, "emailTypeId", "a whole number"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_member_is_422_before_bms_is_asked(
    members: dict[str, Any], field: str, words: str
) -> None:
    world = World()

    answer = world.call("PUT", PATH, a_body(**members))

    assert (answer.status, answer.body["field"]) == (422, field)
    assert words in answer.detail
    assert not world.bms.signed_in
    assert not world.vault.held


@pytest.mark.parametrize("name", ["tenant", "userName", "password"])
def test_a_missing_member_is_422(name: str) -> None:
    body = a_body()
    del body[name]

    answer = World().call("PUT", PATH, body)

    assert (answer.status, answer.body["field"]) == (422, name)


def test_a_password_left_out_is_the_stored_one() -> None:
    world = a_ready_world()
    body = a_body(tenant="MSP", userName="api")
    del body["password"]

    assert world.call("PUT", PATH, body).status == 200
    assert [password for _, password in world.bms.signed_in] == ["old-password"]


@pytest.mark.parametrize(
    "another",
    [{"apiUrl": "https://attacker.example"}, {"tenant": "Another MSP"}, {"userName": "other"}],
    ids=["address", "tenant", "user"],
)
def test_r29_the_stored_password_goes_to_no_other_address_tenant_or_user(
    another: dict[str, str],
) -> None:
    world = a_ready_world()
    body = a_body(tenant="MSP", userName="api") | another
    del body["password"]

    answer = world.call("PUT", PATH, body)

    assert (answer.status, answer.body["field"]) == (422, "password")
    assert world.bms.signed_in == []


def test_r10_another_bms_is_refused_while_people_are_linked_to_this_one() -> None:
    world = a_ready_world()
    link = Link(ConnectionId("contoso"), UserId(INES), LinkState.ACTIVE, record_id=RecordId(5))
    world.links.save([link])

    answer = world.call("PUT", PATH, a_body(tenant="Another MSP", userName="api"))

    assert (answer.status, answer.body["field"]) == (409, "tenant")
    assert world.bms.signed_in == []


def test_what_get_answers_can_be_put_back() -> None:
    world = a_ready_world()
    before = world.call("GET", PATH).body

    assert world.call("PUT", PATH, before).body == before


def test_r25_v1_routes_have_a_limit_of_their_own() -> None:
    world = World()

    answer = world.call("PUT", PATH, a_body(hourlyLimit=900, hourlyLimitV1=300))

    assert (answer.body["hourlyLimit"], answer.body["hourlyLimitV1"]) == (900, 300)
    assert world.call("GET", PATH).body["hourlyLimitV1"] == 300


def test_put_unsets_what_it_leaves_out() -> None:
    world = World()
    world.call("PUT", PATH, a_body(hourlyLimit=500, emailTypeId=4))

    answer = world.call("PUT", PATH, a_body())

    assert (answer.body["hourlyLimit"], answer.body["emailTypeId"]) == (1500, None)


def test_a_refused_sign_in_is_422_with_bmss_words_and_changes_nothing() -> None:
    world = a_ready_world()
    before = world.bms_settings.held
    world.bms.refusal = PersonMustAct("Security Error.", "Enter the right one.", code="bms")

    answer = world.call("PUT", PATH, a_body())

    assert (answer.status, answer.body["field"]) == (422, "password")
    assert "Security Error." in answer.detail
    assert world.bms_settings.held == before
    assert world.vault.held[BMS_PASSWORD] == "old-password"


def test_an_unreachable_bms_is_503_and_changes_nothing() -> None:
    world = a_ready_world()
    world.bms.refusal = TryLater("BMS does not answer.")

    assert world.call("PUT", PATH, a_body()).status == 503
    assert world.vault.held[BMS_PASSWORD] == "old-password"


def test_the_old_password_stays_with_the_old_settings_when_saving_fails() -> None:
    world = a_ready_world()
    world.bms_settings.down = TryLater("The tables do not answer.")

    assert world.call("PUT", PATH, a_body()).status == 503
    assert world.vault.held[BMS_PASSWORD] == "old-password"


def test_good_settings_end_the_troubles_that_were_about_bms() -> None:
    world = a_ready_world()
    secret = a_trouble()
    connection = world.add(a_connection(troubles=(a_trouble("bms-sign-in"), secret)))

    world.call("PUT", PATH, a_body())

    assert world.now(connection).troubles == (secret,)


def test_before_the_first_save_the_defaults_are_shown() -> None:
    body = World().call("GET", PATH).body

    assert (body["tenant"], body["hasPassword"], body["hourlyLimit"]) == ("", False, 1500)


# --- Look-ups --------------------------------------------------------------------------------


def test_accounts_are_searched_and_paged() -> None:
    world = a_ready_world()

    first = world.call("GET", "/api/bms/accounts?limit=1").body
    second = world.call("GET", f"/api/bms/accounts?limit=1&cursor={first['nextCursor']}").body
    none = world.call("GET", "/api/bms/accounts?q=fabrikam").body
    by_id = world.call("GET", "/api/bms/accounts?q=8").body

    assert [each["id"] for each in first["items"] + second["items"]] == [7, 8]
    assert second["nextCursor"] is None
    assert none == {"items": [], "nextCursor": None}
    assert by_id["items"] == [{"id": 8, "name": "Contoso", "isActive": True, "isMain": None}]


def test_locations_are_those_of_the_account() -> None:
    items = a_ready_world().call("GET", "/api/bms/locations?accountId=7").body["items"]

    assert [(each["id"], each["isMain"]) for each in items] == [(70, True), (71, False)]


def test_locations_without_an_account_are_the_msps_own() -> None:
    world = a_ready_world()
    world.bms.lookups["locations"] = [(1, "Our office")]

    items = world.call("GET", "/api/bms/locations").body["items"]

    assert [each["name"] for each in items] == ["Our office"]


def test_every_other_look_up_is_passed_through() -> None:
    world = a_ready_world()
    world.bms.lookups["departments"] = [(3, "Service desk")]

    items = world.call("GET", "/api/bms/departments").body["items"]

    assert [(each["id"], each["name"]) for each in items] == [(3, "Service desk")]


def test_an_unknown_look_up_is_404_and_names_the_known_ones() -> None:
    answer = a_ready_world().call("GET", "/api/bms/cars")

    assert answer.status == 404
    assert "jobtitles" in answer.detail


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/bms/locations?accountId=99", 422),
        ("/api/bms/locations?accountId=x", 400),
        ("/api/bms/accounts?accountId=7", 400),
    ],
)
def test_a_wrong_account_is_told(path: str, status: int) -> None:
    answer = a_ready_world().call("GET", path)

    assert (answer.status, answer.body["field"]) == (status, "accountId")


def test_look_ups_before_bms_is_set_up_are_409() -> None:
    assert World().call("GET", "/api/bms/accounts").status == 409


def test_several_ids_are_named_in_one_call() -> None:
    world = a_ready_world()

    named = world.call("GET", "/api/bms/accounts?ids=8,7,99").body["items"]
    refused = world.call("GET", "/api/bms/accounts?ids=7;8")

    assert [each["id"] for each in named] == [7, 8]
    assert (refused.status, refused.body["field"]) == (400, "ids")


def test_a_look_up_by_ids_makes_no_other_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    world = a_ready_world()
    world.bms.held = {AccountId(one): an_account(one) for one in range(1, 301)}
    made: list[object] = []

    def choice(*members: Any) -> bms_settings.Choice:
        made.append(members)
        return _choice(*members)

    _choice = bms_settings.Choice
    monkeypatch.setattr(bms_settings, "Choice", choice)
    answer = world.call("GET", "/api/bms/accounts?ids=8,7,999")

    assert [each["id"] for each in answer.body["items"]] == [7, 8]
    assert len(made) == 2
