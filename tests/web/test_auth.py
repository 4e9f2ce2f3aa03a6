"""Who may call the admin API (design section 9)."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest

from tests.web.world import SETTINGS, TOKEN, World, a_ready_world

PLATFORM = replace(SETTINGS, admin_token="", platform_auth=True)
TENANT = {"typ": "http://schemas.microsoft.com/identity/claims/tenantid", "val": "t"}


def a_principal(*claims: dict[str, str], role_typ: str = "roles") -> dict[str, str]:
    body = {"auth_typ": "aad", "role_typ": role_typ, "claims": list(claims)}
    return {"X-MS-CLIENT-PRINCIPAL": base64.b64encode(json.dumps(body).encode()).decode()}


ADMIN = a_principal(TENANT, {"typ": "roles", "val": "Sync.Admin"})


def test_the_right_token_is_let_in() -> None:
    assert a_ready_world().call("GET", "/api/connections").status == 200


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer tökén", TOKEN],
)
def test_any_other_token_is_401_with_a_challenge(header: str) -> None:
    answer = World().call("GET", "/api/status", token=None, headers={"Authorization": header})

    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert TOKEN not in answer.detail


def test_a_forged_principal_is_401_while_the_platform_says_its_module_is_off() -> None:
    assert World().call("GET", "/api/status", token=None, headers=ADMIN).status == 401


def test_a_forged_principal_is_403_while_no_way_in_is_configured() -> None:
    world = World(settings=replace(SETTINGS, admin_token=""))

    answer = world.call("GET", "/api/status", token="", headers=ADMIN)

    assert answer.status == 403
    assert "ADMIN_TOKEN" in answer.detail
    assert "ADMIN_ROLE" in answer.detail


def test_an_empty_token_lets_nobody_in_while_none_is_configured() -> None:
    world = World(settings=replace(SETTINGS, admin_token=""))

    assert world.call("GET", "/api/status", headers={"Authorization": "Bearer "}).status == 403


def test_the_platform_lets_in_whoever_has_the_app_role() -> None:
    world = World(settings=PLATFORM)

    assert world.call("GET", "/api/status", token=None, headers=ADMIN).status == 200


def test_the_role_is_found_under_the_claim_type_that_the_principal_names() -> None:
    named = a_principal(TENANT, {"typ": "mine", "val": "Sync.Admin"}, role_typ="mine")

    assert World(settings=PLATFORM).call("GET", "/api/status", headers=named).status == 200


def test_the_platform_without_the_app_role_is_403_and_names_the_role() -> None:
    other = a_principal(TENANT, {"typ": "roles", "val": "Reader"})

    answer = World(settings=PLATFORM).call("GET", "/api/status", token=None, headers=other)

    assert answer.status == 403
    assert "Sync.Admin" in answer.detail


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-MS-CLIENT-PRINCIPAL": "not base64!"},
        {"X-MS-CLIENT-PRINCIPAL": base64.b64encode(b"[]").decode()},
        a_principal({"typ": "roles", "val": "Sync.Admin"}),
    ],
    ids=["nobody", "not base64", "no claims", "no tenant"],
)
def test_the_platform_without_a_person_of_a_tenant_is_401(headers: dict[str, str]) -> None:
    world = World(settings=PLATFORM)

    assert world.call("GET", "/api/status", token=None, headers=headers).status == 401


def test_the_admin_token_is_not_looked_at_under_the_platform() -> None:
    world = World(settings=replace(PLATFORM, admin_token=TOKEN))

    assert world.call("GET", "/api/status").status == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Sec-Fetch-Site": "cross-site", "X-Requested-With": "x"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "https://sync.example"}, 200),
        ({"X-Requested-With": "console"}, 200),
        ({"Authorization": "Bearer of-entra"}, 200),
        ({"Content-Type": "application/json"}, 200),
    ],
    ids=lambda value: str(value),
)
def test_a_change_by_the_platforms_cookie_has_to_come_from_our_own_pages(
    headers: dict[str, str], status: int
) -> None:
    world = a_ready_world(settings=PLATFORM)

    answer = world.call(
        "POST", "/api/connections/contoso/pause", token=None, headers=ADMIN | headers
    )

    assert answer.status == status


def test_reading_by_the_platforms_cookie_needs_no_origin() -> None:
    headers = ADMIN | {"Sec-Fetch-Site": "cross-site"}

    assert World(settings=PLATFORM).call("GET", "/api/status", headers=headers).status == 200


def test_an_unknown_address_tells_a_stranger_nothing() -> None:
    assert World().call("GET", "/api/nothing", token=None).status == 401
