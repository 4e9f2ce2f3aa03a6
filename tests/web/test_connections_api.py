"""/api/connections and /api/syncs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.core.model import Cursors, HoldLimit
from shared.errors import PersonMustAct, TryLater
from shared.ports import application_key, client_state, token_cache
from shared.sync.re_evaluation import GATHER
from tests.fakes import START
from tests.web.world import (
    APP_ID,
    INES,
    World,
    a_connection,
    a_draft,
    a_ready_world,
    a_trouble,
)


def a_body(**members: Any) -> dict[str, Any]:
    return {
        "tenantDomain": "fabrikam.example",
        "applicationId": APP_ID,
        "applicationKey": "abc8Q~value",
        **members,
    }


def test_a_new_connection_is_a_draft_whose_key_is_in_the_vault_only() -> None:
    world = World()

    answer = world.call("POST", "/api/connections", a_body())

    assert answer.status == 201
    assert answer.headers["Location"] == "/api/connections/c1"
    assert answer.body["state"] == "draft"
    assert answer.body["nextStep"].startswith("Connect it")
    assert answer.body["mode"] == "delegated"
    assert answer.body["holdLimit"] == {"count": 5, "percent": 10, "atMost": 50}
    assert answer.body["redirectUri"] == "https://sync.example/OAuth/IntegrationCallback.aspx"
    assert answer.body["hasApplicationKey"] is True
    assert world.vault.held == {application_key(world.connections.list()[0].id): "abc8Q~value"}
    assert "abc8Q" not in str(answer.body)
    assert "abc8Q" not in repr(world.connections.held)


@pytest.mark.parametrize(
    ("members", "field", "words"),
    [
        ({"tenantDomain": "contoso"}, "tenantDomain", "such as contoso.com"),
        ({"tenantDomain": "https://contoso.com"}, "tenantDomain", "such as contoso.com"),
        ({"tenantDomain": "contoso.com/x"}, "tenantDomain", "such as contoso.com"),
        ({"tenantDomain": ""}, "tenantDomain", "such as contoso.com"),
        ({"tenantDomain": "x" * 2000}, "tenantDomain", "at most 1,000 characters"),
        ({"applicationId": "app"}, "applicationId", "must be a GUID"),
        ({"applicationKey": "  "}, "applicationKey", "must not be empty"),
        ({"applicationKey": INES}, "applicationKey", "column Value"),
        ({"applicationKey": None}, "applicationKey", "must be a text"),
        ({"mode": "both"}, "mode", '"application" or "delegated"'),
        ({"emailSource": "sip"}, "emailSource", '"mail" or "upn"'),
        ({"matchScope": 1}, "matchScope", '"account" or "all"'),
        ({"onLeave": "delete"}, "onLeave", '"deactivate" or "keep"'),
        ({"holdLimit": {"count": -1}}, "holdLimit.count", "from 0 to 1,000,000"),
        ({"holdLimit": {"percent": 101}}, "holdLimit.percent", "from 0 to 100"),
        ({"holdLimit": {"most": 5}}, "holdLimit.most", "not known here"),
        ({"secretExpiresOn": "soon"}, "secretExpiresOn", "2027-03-31"),
        ({"secretExpiresOn": "2027-02-30"}, "secretExpiresOn", "2027-03-31"),
        ({"state": "connected"}, "state", "not known here"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_member_is_422_with_its_name_and_what_is_expected(
    members: dict[str, Any], field: str, words: str
) -> None:
    world = World()

    answer = world.call("POST", "/api/connections", a_body(**members))

    assert answer.status == 422
    assert answer.body["field"] == field
    assert words in answer.detail
    assert not world.connections.held
    assert not world.vault.held


@pytest.mark.parametrize("name", ["tenantDomain", "applicationId", "applicationKey"])
def test_a_missing_member_is_422_with_its_name(name: str) -> None:
    body = a_body()
    del body[name]

    answer = World().call("POST", "/api/connections", body)

    assert (answer.status, answer.body["field"]) == (422, name)
    assert answer.detail.startswith(f"{name} is missing")


def test_a_tenant_domain_is_kept_in_lower_case_and_taken_once() -> None:
    world = World()
    first = world.call("POST", "/api/connections", a_body(tenantDomain=" Fabrikam.Example. "))

    second = world.call("POST", "/api/connections", a_body(tenantDomain="FABRIKAM.example"))

    assert first.body["tenantDomain"] == "fabrikam.example"
    assert (second.status, second.body["field"]) == (409, "tenantDomain")
    assert len(world.connections.held) == 1
    assert len(world.vault.held) == 1


def test_nothing_half_made_is_left_when_the_vault_does_not_answer() -> None:
    world = World()
    world.vault.down = TryLater("Key Vault does not answer.")

    assert world.call("POST", "/api/connections", a_body()).status == 503
    assert not world.connections.held


def test_an_unknown_connection_is_404() -> None:
    world = World()

    for method, path in [("GET", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/resume")]:
        assert world.call(method, f"/api/connections/nobody{path}").status == 404
    assert world.call("PATCH", "/api/connections/nobody", {}).status == 404
    assert world.call("POST", "/api/connections/nobody/sync", {"kind": "full"}).status == 404


def test_connections_are_listed_oldest_first_and_page_by_page() -> None:
    world = World()
    for number in range(3):
        world.add(a_connection(f"t{number}", created_at=START - timedelta(days=number)))

    first = world.call("GET", "/api/connections?limit=2").body
    second = world.call("GET", f"/api/connections?limit=2&cursor={first['nextCursor']}").body

    assert [each["id"] for each in first["items"] + second["items"]] == ["t2", "t1", "t0"]
    assert second["nextCursor"] is None


def test_a_blocking_trouble_is_the_reason_that_is_told_first() -> None:
    world = World()
    lost = replace(a_trouble("subscription-lost", blocks=False), reason="A subscription was lost.")
    world.add(a_connection(troubles=(lost, a_trouble())))

    body = world.call("GET", "/api/connections/contoso").body

    assert body["state"] == "attention"
    assert body["reason"] == "The secret is wrong."
    assert body["nextStep"] == "Enter the right one."
    assert [each["code"] for each in body["troubles"]] == [
        "subscription-lost",
        "sign-in-secret-wrong",
    ]


def test_times_are_told_in_utc() -> None:
    world = World()
    world.add(a_connection())

    assert world.call("GET", "/api/connections/contoso").body["connectedAt"].endswith("Z")


# --- Change ----------------------------------------------------------------------------------


def test_a_new_key_clears_sign_in_troubles_forgets_tokens_and_is_tried_at_once() -> None:
    world = World()
    other = a_trouble("bms-down", blocks=False)
    connection = world.add(a_connection(troubles=(a_trouble(), other)))

    answer = world.call("PATCH", "/api/connections/contoso", {"applicationKey": "new8Q~value"})

    assert answer.status == 200
    assert world.vault.held[application_key(connection.id)] == "new8Q~value"
    assert world.now(connection).troubles == (other,)
    assert world.sign_in.forgotten == [connection.id]
    assert [order.kind for order, _ in world.queues.sweep_orders] == ["sweep"]


@pytest.mark.parametrize("key", ["", None, INES])
def test_a_key_can_be_neither_removed_nor_replaced_by_its_id(key: str | None) -> None:
    world = World()
    connection = world.add(a_connection())

    answer = world.call("PATCH", "/api/connections/contoso", {"applicationKey": key})

    assert (answer.status, answer.body["field"]) == (422, "applicationKey")
    assert world.vault.held[application_key(connection.id)] == "the-application-key"


@pytest.mark.parametrize(
    "change", [{"emailSource": "upn"}, {"matchScope": "account"}, {"onLeave": "keep"}], ids=str
)
def test_another_option_re_evaluates_everybody_after_30_seconds(change: dict[str, str]) -> None:
    world = World()
    connection = world.add(a_connection(first_sync_at=START))

    world.call("PATCH", "/api/connections/contoso", change)

    [(order, wait)] = world.queues.sweep_orders
    assert (order.kind, wait, order.sync) == ("rules", GATHER, None)
    assert order.stamp == world.now(connection).rules_edited_at


def test_r5_another_option_re_evaluates_nobody_before_the_first_sync() -> None:
    world = World()
    world.add(a_connection())

    world.call("PATCH", "/api/connections/contoso", {"emailSource": "upn"})

    assert not world.queues.sent


def test_an_option_that_stays_the_same_re_evaluates_nobody() -> None:
    world = World()
    world.add(a_connection(first_sync_at=START))

    world.call("PATCH", "/api/connections/contoso", {"emailSource": "mail"})

    assert not world.queues.sent


@pytest.mark.parametrize(
    "change",
    [{"tenantDomain": "new.example"}, {"applicationId": INES}, {"mode": "application"}],
    ids=str,
)
def test_another_tenant_application_or_mode_needs_connecting_again(change: dict[str, str]) -> None:
    world = World()
    connection = world.add(a_connection(troubles=(a_trouble(),)))
    world.vault.put(token_cache(connection.id), "tokens")

    answer = world.call("PATCH", "/api/connections/contoso", change)

    assert answer.body["state"] == "draft"
    assert "connect it anew" in answer.body["notes"][0]
    assert world.now(connection).tenant_id is None
    assert world.subscriptions.removed == [connection.id]
    assert token_cache(connection.id) not in world.vault.held


def test_another_application_ends_the_sign_in_trouble_of_a_draft() -> None:
    world = World()
    connection = world.add(a_draft(troubles=(a_trouble("sign-in-app-unknown"),)))

    answer = world.call("PATCH", "/api/connections/contoso", {"applicationId": INES})

    assert (answer.body["state"], world.now(connection).troubles) == ("draft", ())


def test_r5_another_tenant_needs_its_first_sync_asked_for_again() -> None:
    world = World()
    connection = world.add(a_connection(first_sync_at=START))

    world.call("PATCH", "/api/connections/contoso", {"tenantDomain": "new.example"})

    assert world.now(connection).first_sync_at is None


def test_a_change_keeps_what_it_leaves_out_and_null_removes_the_secrets_end() -> None:
    world = World()
    connection = world.add(
        a_connection(secret_expires_on="2027-01-31", hold_limit=HoldLimit(1, 2, 3))
    )

    world.call("PATCH", "/api/connections/contoso", {"holdLimit": {"percent": 20}})
    assert world.now(connection).hold_limit == HoldLimit(1, 20, 3)
    assert world.now(connection).secret_expires_on == "2027-01-31"

    world.call("PATCH", "/api/connections/contoso", {"secretExpiresOn": None, "holdLimit": None})
    assert world.now(connection).secret_expires_on is None
    assert world.now(connection).hold_limit == HoldLimit()


def test_the_domain_of_another_connection_cannot_be_taken_over() -> None:
    world = World()
    world.add(a_connection("contoso"))
    world.add(a_connection("fabrikam"))

    answer = world.call("PATCH", "/api/connections/contoso", {"tenantDomain": "fabrikam.example"})

    assert answer.status == 409


# --- Pause, resume, delete -------------------------------------------------------------------


def test_r31_pausing_removes_the_subscriptions() -> None:
    world = World()
    connection = world.add(a_connection())

    answer = world.call("POST", "/api/connections/contoso/pause")

    assert answer.body["state"] == "paused"
    assert answer.body["nextStep"]
    assert world.subscriptions.removed == [connection.id]


@pytest.mark.parametrize(
    "error",
    [TryLater("Graph does not answer."), PersonMustAct("Revoked.", "Connect.", code="x")],
)
def test_pausing_works_though_the_tenant_lets_nobody_in(error: Exception) -> None:
    world = World()
    connection = world.add(a_connection())
    world.subscriptions.down = error  # type: ignore[assignment]

    answer = world.call("POST", "/api/connections/contoso/pause")

    assert answer.body["state"] == "paused"
    assert "end by themselves" in answer.body["notes"][0]
    assert world.now(connection).paused


def test_resuming_makes_subscriptions_anew_and_sweeps() -> None:
    world = World()
    world.add(a_connection(paused=True))

    answer = world.call("POST", "/api/connections/contoso/resume")

    assert answer.body["state"] == "connected"
    assert [order.kind for order, _ in world.queues.sweep_orders] == ["subscriptions", "sweep"]


def test_resuming_what_was_never_connected_orders_nothing() -> None:
    world = World()
    world.add(a_draft(paused=True))

    assert world.call("POST", "/api/connections/contoso/resume").body["state"] == "draft"
    assert not world.queues.sent


def test_pausing_and_resuming_twice_is_the_same_as_once() -> None:
    world = World()
    world.add(a_connection())

    for action, state in [("pause", "paused"), ("resume", "connected")]:
        for _ in range(2):
            answer = world.call("POST", f"/api/connections/contoso/{action}")
            assert (answer.status, answer.body["state"]) == (200, state)

    assert len(world.subscriptions.removed) == 1
    assert len(world.queues.sent) == 2


def test_deleting_removes_subscriptions_secrets_and_tables_but_nothing_in_bms() -> None:
    world = a_ready_world()
    connection = world.connections.list()[0]
    for name in (token_cache, client_state):
        world.vault.put(name(connection.id), "secret")

    answer = world.call("DELETE", "/api/connections/contoso")

    assert (answer.status, answer.body) == (204, "")
    assert world.subscriptions.removed == [connection.id]
    assert world.connections.deleted == [connection.id]
    assert list(world.vault.held) == ["bms-password"]
    assert world.sign_in.forgotten == [connection.id]


def test_deleting_can_be_repeated_after_the_vault_did_not_answer() -> None:
    world = a_ready_world()
    world.vault.down = TryLater("Key Vault does not answer.")

    assert world.call("DELETE", "/api/connections/contoso").status == 503
    assert world.connections.list()[0].paused  # nobody works on it meanwhile

    world.vault.down = None
    assert world.call("DELETE", "/api/connections/contoso").status == 204


def test_connections_are_found_by_domain_state_and_order() -> None:
    world = a_ready_world()
    world.add(replace(a_draft("acme"), created_at=START + timedelta(days=1)))

    def listed(query: str) -> list[str]:
        items = world.call("GET", f"/api/connections?{query}").body["items"]
        return [each["id"] for each in items]

    assert listed("") == ["contoso", "acme"]
    assert listed("order=newest") == listed("order=domain") == ["acme", "contoso"]
    assert listed("q=CONT") == listed("state=connected") == ["contoso"]
    assert listed("q=acme&state=connected") == []
    assert world.call("GET", "/api/connections?state=lost").status in (400, 422)


def test_a_connection_tells_when_changes_were_last_looked_for() -> None:
    world = a_ready_world()
    connection = world.connections.list()[0]
    world.sweeps.save_cursors(Cursors(connection.id, swept_at=START))

    one = world.call("GET", "/api/connections/contoso").body
    [listed] = world.call("GET", "/api/connections").body["items"]

    assert one["lastSweepAt"] == listed["lastSweepAt"] == "2026-03-02T09:00:00Z"


def test_r28_the_deployment_tells_what_an_app_registration_needs() -> None:
    body = World().call("GET", "/api/settings/app").body

    assert body["redirectUri"] == "https://sync.example/OAuth/IntegrationCallback.aspx"
    assert "User.Read" in body["delegatedPermissions"]
    assert body["applicationPermissions"] == [
        "Directory.Read.All",
        "Group.Read.All",
        "User.Read.All",
    ]
    assert body["retentionDays"] == 90


def test_r5_a_connection_tells_whether_its_last_edit_is_compared() -> None:
    world = World()
    world.add(a_connection(rules_edited_at=START, compared_edit=None))

    body = world.call("GET", "/api/connections/contoso").body

    assert (body["rulesEditedAt"], body["rulesComparedAt"]) == ("2026-03-02T09:00:00Z", None)


def test_connections_are_narrowed_to_those_whose_first_sync_was_asked_for() -> None:
    world = World()
    world.add(a_connection("contoso", first_sync_at=START))
    world.add(a_connection("fabrikam"))

    def found(query: str) -> list[str]:
        return [each["id"] for each in world.call("GET", f"/api/connections{query}").body["items"]]

    assert found("?synced=true") == ["contoso"]
    assert found("?synced=false") == ["fabrikam"]
    assert sorted(found("")) == ["contoso", "fabrikam"]
