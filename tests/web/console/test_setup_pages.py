"""The guide and the connections: from nothing to a connection that is synced."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.core.model import Connection, SyncId
from shared.errors import PersonMustAct
from shared.ports import SignInStart
from tests.fakes import START
from tests.web.console.visitor import Visitor, a_visitor
from tests.web.world import (
    APP_ID,
    World,
    a_connection,
    a_draft,
    a_ready_world,
    a_rule,
    a_trouble,
)

GUIDE, LIST = "/console/guide", "/console/connections"
CONTOSO = f"{LIST}/contoso"
NEW = {
    "tenantDomain": "fabrikam.example",
    "applicationId": APP_ID,
    "applicationKey": "the-very-secret",
    "mode": "application",
    "secretExpiresOn": "2027-11-01",
}
SCRIPT = "<script>alert(1)</script>"


def next_step(visitor: Visitor, path: str = GUIDE) -> str:
    """The heading of the step that is now."""
    source = visitor.get(path).source
    assert source.count('aria-current="step"') == 1
    return source.partition('aria-current="step"')[2].partition("<h2>")[2].partition("<")[0].strip()


def synced(world: World, state: str = "done") -> SyncId:
    """Contoso with a rule and a first sync in this state; the sync's id."""
    world.call("POST", "/api/mapping-rules", a_rule())
    ordered = world.call("POST", "/api/connections/contoso/sync", {"kind": "full"})
    sync = SyncId(ordered.body["syncId"])
    world.runs.held[sync] = replace(
        world.runs.held[sync], state=state, started_at=START, seen=1200, done=300
    )
    return sync


def test_the_guide_names_the_one_step_that_is_next_all_the_way_to_the_people() -> None:
    world = World()
    visitor = a_visitor(world)
    assert next_step(visitor) == "Tell the app how BMS is reached"

    ready = a_ready_world()
    ready.connections.delete(ready.connections.list()[0].id)
    visitor = a_visitor(ready)
    assert next_step(visitor) == "Add the customer’s tenant"

    ready.add(a_draft())
    assert next_step(visitor) == "Connect"

    ready.connections.update(a_draft().id, lambda now: replace(now, connected_at=START))
    assert next_step(visitor) == "Say who becomes what"

    ready.call("POST", "/api/mapping-rules", a_rule())
    assert next_step(visitor) == "Look before anything is written"

    sync = synced(ready, "running")
    assert next_step(visitor) == "Start the first sync"
    assert 'hx-trigger="every 2s"' in visitor.get(GUIDE).source

    ready.runs.held[sync] = replace(ready.runs.held[sync], state="done")
    seen = visitor.get(GUIDE)
    assert "aria-current" not in seen.section("is in step with BMS", "Times are")
    assert "contoso.example is in step with BMS" in seen.text
    assert "Add the next customer" in seen.text


def test_the_guide_is_about_the_newest_connection_that_is_not_finished() -> None:
    world = a_ready_world()
    synced(world)
    world.add(a_draft("older"))
    world.add(replace(a_draft("newer"), created_at=START.replace(year=START.year + 1)))

    assert "now for newer.example" in a_visitor(world).get(GUIDE).text
    assert "older.example" in a_visitor(world).get(f"{GUIDE}?connection=older").text


def test_adding_shows_the_redirect_uri_and_both_lists_of_permissions_before_the_form() -> None:
    source = a_visitor(World()).get(f"{LIST}/new").source

    before, _, _ = source.partition('name="tenantDomain"')
    assert 'data-copy="https://sync.example/OAuth/IntegrationCallback.aspx"' in before
    for name in ("Directory.Read.All", "Group.Read.All", "User.Read", "User.Read.All"):
        assert f'data-copy="{name}"' in before
    assert before.index("Application permissions") < before.index("or Delegated permissions")


def test_a_connection_that_was_added_leads_to_its_connect_button() -> None:
    world = World()
    visitor = a_visitor(world)

    seen = visitor.send(f"{LIST}/new", NEW)

    [connection] = world.connections.list()
    assert (connection.tenant_domain, connection.mode) == ("fabrikam.example", "application")
    assert f'action="{LIST}/{connection.id}/connect"' in seen.source
    assert "fabrikam.example is added" in seen.text


def test_a_refused_connection_keeps_what_was_typed_but_the_secret_and_marks_the_input() -> None:
    world = World()

    seen = a_visitor(world).post(f"{LIST}/new", {**NEW, "applicationId": "x", "mode": "delegated"})

    assert seen.status == 422
    assert "Application (client) ID must be a GUID" in seen.text
    assert 'value="fabrikam.example"' in seen.source
    assert 'value="delegated" checked' in seen.source
    assert "the-very-secret" not in seen.source
    assert not world.connections.list()


def test_connect_is_a_page_that_leads_on_and_carries_the_flows_cookie() -> None:
    world = a_ready_world()

    seen = a_visitor(world).post(f"{CONTOSO}/connect")

    address = "https://login.example/authorize?state=s1"
    assert seen.status == 200  # form-action of the policy forbids a redirect to another origin
    assert ("Refresh", f"0; url={address}") in seen.headers
    assert f'href="{address}"' in seen.source
    cookies = [value for name, value in seen.headers if name == "Set-Cookie"]
    assert any(each.startswith("connect-") and "SameSite=Lax" in each for each in cookies)


def test_a_connect_that_cannot_begin_says_why_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = a_ready_world()

    def refuse(_: object) -> SignInStart:
        raise PersonMustAct("The tenant is not known.", "Look at its domain.", code="sign-in-x")

    monkeypatch.setattr(world.connect, "begin", refuse)
    seen = a_visitor(world).post(f"{CONTOSO}/connect")

    assert seen.status == 409
    assert "The tenant is not known. What to do: Look at its domain." in seen.text


def test_a_foreign_form_starts_nothing() -> None:
    world = a_ready_world()
    world.call("POST", "/api/mapping-rules", a_rule())

    seen = a_visitor(world).post(f"{CONTOSO}/sync", {"kind": "full"}, token="another")

    assert seen.status == 403
    assert not world.runs.held


@pytest.mark.parametrize(
    ("connection", "button"),
    [
        (a_draft(), "Connect"),
        (a_connection(troubles=(a_trouble(),)), "Connect again"),
        (a_connection(paused=True), "Resume"),
        (a_connection(), "Add mapping rules"),
    ],
    ids=["draft", "attention", "paused", "connected"],
)
def test_r30_a_connections_page_shows_the_one_next_step_of_its_state(
    connection: Connection, button: str
) -> None:
    world = a_ready_world()
    world.add(connection)

    source = a_visitor(world).get(CONTOSO).source

    banner = source.partition('aria-label="What is next"')[2].partition("</section>")[0]
    assert button in banner
    assert banner.count('class="main"') + banner.count("button main") == 1


def test_r25_the_progress_says_that_it_waits_for_bmss_limit_and_when_it_will_be_done() -> None:
    world = a_ready_world()
    sync = synced(world, "waiting")
    world.runs.held[sync] = replace(world.runs.held[sync], waiting_for_budget=900)
    world.budget.finishes = START

    seen = a_visitor(world).part(f"/console/syncs/{sync}")

    assert "BMS allows only so many calls an hour" in seen.text
    assert "expected to be done 2026-03-02 09:00 UTC" in seen.text
    assert "1 200 people seen" in seen.text
    assert 'hx-trigger="every 2s"' in seen.source


@pytest.mark.parametrize("state", ["done", "failed"])
def test_a_sync_that_has_ended_is_asked_for_no_longer_and_can_be_undone(state: str) -> None:
    world = a_ready_world()
    sync = synced(world, state)

    seen = a_visitor(world).part(f"/console/syncs/{sync}")

    assert "hx-trigger" not in seen.source
    assert f'action="/console/syncs/{sync}/undo"' in seen.source
    within = a_visitor(world).part(f"/console/syncs/{sync}?within=page")
    assert ("HX-Refresh", "true") in within.headers


def test_only_the_options_that_were_changed_are_sent() -> None:
    world = a_ready_world()
    visitor = a_visitor(world)
    shown = visitor.get(f"{CONTOSO}/options").source
    assert 'name="was-onLeave" value="deactivate"' in shown
    # Meanwhile somebody else changes another option.
    world.call("PATCH", "/api/connections/contoso", {"matchScope": "account"})

    visitor.send(
        f"{CONTOSO}/options",
        {
            "was-onLeave": "deactivate",
            "onLeave": "keep",
            "was-matchScope": "all",
            "matchScope": "all",
        },
    )

    now = world.connections.list()[0]
    assert (now.on_leave, now.match_scope) == ("keep", "account")


def test_a_new_secret_is_kept_in_the_vault_and_never_shown() -> None:
    world = a_ready_world()
    visitor = a_visitor(world)

    seen = visitor.send(f"{CONTOSO}/options", {"applicationKey": "brand-new-secret"})

    assert "brand-new-secret" in world.vault.held.values()
    assert "brand-new-secret" not in seen.source
    assert "brand-new-secret" not in visitor.get(f"{CONTOSO}/options").source


def test_refused_options_keep_what_was_typed_and_what_it_was_before() -> None:
    world = a_ready_world()

    seen = a_visitor(world).post(
        f"{CONTOSO}/options",
        {"was-holdLimit.percent": "10", "holdLimit.percent": "many", "onLeave": "keep"},
    )

    assert seen.status == 422
    assert 'value="many"' in seen.source
    assert 'name="was-holdLimit.percent" value="10"' in seen.source
    assert 'id="holdLimit.percent-fault"' in seen.source


def test_deleting_asks_first_and_says_what_stays() -> None:
    world = a_ready_world()
    visitor = a_visitor(world)

    asked = visitor.get(f"{CONTOSO}/delete")
    assert "all contacts and employees in BMS, as they are now" in asked.text
    assert world.connections.list()

    seen = visitor.send(f"{CONTOSO}/delete")
    assert "Its records in BMS stay as they are" in seen.text
    assert not world.connections.list()


def test_pausing_and_resuming_say_what_it_means() -> None:
    world = a_ready_world()
    visitor = a_visitor(world)

    assert "Paused: nothing is read or written" in visitor.send(f"{CONTOSO}/pause").text
    assert world.connections.list()[0].paused
    assert "Resumed" in visitor.send(f"{CONTOSO}/resume").text


def test_connections_are_found_by_word_and_state_and_page() -> None:
    world = a_ready_world()
    for number in range(60):
        world.add(a_draft(f"tenant{number:02}"))
    visitor = a_visitor(world)

    first = visitor.get(LIST)
    assert first.source.count('data-label="Tenant"') == 50
    assert 'rel="next"' in first.source
    found = visitor.part(f"{LIST}?q=tenant1&state=draft")
    assert found.source.count('data-label="Tenant"') == 10
    assert "No connection fits this search" in visitor.get(f"{LIST}?q=nowhere").text


def test_an_empty_installation_leads_to_the_guide() -> None:
    visitor = a_visitor(World())

    assert visitor.get("/console").location == GUIDE
    assert "No customer is connected yet" in visitor.get(LIST).text


def test_what_comes_from_outside_is_shown_as_text() -> None:
    world = a_ready_world()
    trouble = replace(a_trouble(), reason=SCRIPT, next_step=SCRIPT)
    world.add(a_connection(troubles=(trouble,)))
    visitor = a_visitor(world)

    for path in (LIST, CONTOSO, GUIDE, f"{LIST}?q={SCRIPT}"):
        assert SCRIPT not in visitor.get(path).source, path


@pytest.mark.parametrize("path", [f"{LIST}/nobody", f"{LIST}/nobody/options", "/console/syncs/no"])
def test_what_is_not_there_is_404_with_a_sentence(path: str) -> None:
    seen = a_visitor(a_ready_world()).get(path)

    assert seen.status == 404
    assert "There is no" in seen.text


@pytest.mark.parametrize(("synced", "where"), [(True, "connections"), (False, "guide")])
def test_the_start_finds_a_first_sync_among_many_connections(synced: bool, where: str) -> None:
    world = World()
    for number in range(1100):
        world.add(a_connection(f"c{number}"))
    if synced:  # the last of them
        world.add(a_connection("last", first_sync_at=START))

    assert a_visitor(world).get("/console").location == f"/console/{where}"
