"""/api/connections/{id}/sync and /api/syncs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.errors import TryLater
from tests.fakes import START
from tests.web.world import (
    World,
    a_connection,
    a_draft,
    a_ready_world,
    a_rule,
    a_trouble,
)


def a_world_with_a_rule() -> World:
    world = a_ready_world()
    assert world.call("POST", "/api/mapping-rules", a_rule()).status == 201
    return world


def test_r5_asking_for_a_full_sync_allows_writing_and_queues_it() -> None:
    world = a_world_with_a_rule()
    connection = world.connections.list()[0]

    answer = world.call("POST", "/api/connections/contoso/sync", {"kind": "full"})

    assert answer.status == 202
    assert answer.headers["Location"] == f"/api/syncs/{answer.body['syncId']}"
    assert world.now(connection).first_sync_at == START
    [(order, wait)] = world.queues.sweep_orders
    assert (order.kind, order.sync, wait) == ("full", answer.body["syncId"], None)
    assert world.call("GET", answer.headers["Location"]).body["state"] == "queued"


@pytest.mark.parametrize("state", ["queued", "running", "waiting"])
def test_a_full_sync_that_goes_on_is_answered_instead_of_a_second(state: str) -> None:
    world = a_world_with_a_rule()
    first = world.call("POST", "/api/connections/contoso/sync", {"kind": "full"}).body["syncId"]
    world.runs.held[first] = replace(world.runs.held[first], state=state)

    second = world.call("POST", "/api/connections/contoso/sync", {"kind": "full"})

    assert (second.status, second.body["syncId"]) == (202, first)
    assert len(world.queues.sweep_orders) == 1


@pytest.mark.parametrize("state", ["done", "failed"])
def test_after_a_full_sync_has_ended_another_can_be_asked_for(state: str) -> None:
    world = a_world_with_a_rule()
    first = world.call("POST", "/api/connections/contoso/sync", {"kind": "full"}).body["syncId"]
    world.runs.held[first] = replace(world.runs.held[first], state=state)

    second = world.call("POST", "/api/connections/contoso/sync", {"kind": "full"})

    assert second.body["syncId"] != first


@pytest.mark.parametrize("kind", ["full", "sweep"])
@pytest.mark.parametrize(
    ("connection", "words"),
    [
        (a_draft(), "not connected"),
        (a_connection(paused=True), "paused"),
        (a_connection(troubles=(a_trouble(),)), "The secret is wrong."),
    ],
    ids=["draft", "paused", "blocked"],
)
def test_a_sync_that_cannot_start_is_409_with_the_reason(
    kind: str, connection: Any, words: str
) -> None:
    world = a_world_with_a_rule()
    world.add(connection)

    answer = world.call("POST", "/api/connections/contoso/sync", {"kind": kind})

    assert answer.status == 409
    assert words in answer.detail
    assert not world.runs.held


def test_a_sweep_goes_on_in_spite_of_a_trouble_that_does_not_block() -> None:
    world = a_ready_world()
    world.add(a_connection(troubles=(a_trouble(blocks=False),)))

    answer = world.call("POST", "/api/connections/contoso/sync", {"kind": "sweep"})

    assert answer.status == 202
    assert world.connections.list()[0].first_sync_at is None


def test_a_full_sync_needs_an_enabled_rule() -> None:
    world = a_ready_world()
    world.call("POST", "/api/mapping-rules", a_rule(enabled=False))

    answer = world.call("POST", "/api/connections/contoso/sync", {"kind": "full"})

    assert answer.status == 409
    assert "mapping rule" in answer.detail
    assert world.connections.list()[0].first_sync_at is None


def test_a_full_sync_needs_bms() -> None:
    world = a_world_with_a_rule()
    world.bms_settings.held = None

    answer = world.call("POST", "/api/connections/contoso/sync", {"kind": "full"})

    assert answer.status == 409
    assert "BMS settings" in answer.detail


def test_a_sync_that_could_not_be_queued_does_not_stand_in_the_way_of_the_next() -> None:
    world = a_world_with_a_rule()
    world.queues.down = TryLater("The queue does not answer.")
    assert world.call("POST", "/api/connections/contoso/sync", {"kind": "full"}).status == 503

    world.queues.down = None
    answer = world.call("POST", "/api/connections/contoso/sync", {"kind": "full"})

    assert answer.status == 202
    assert [run.state for run in world.runs.held.values()] == ["failed", "queued"]


def test_an_unknown_kind_of_sync_is_422() -> None:
    answer = a_ready_world().call("POST", "/api/connections/contoso/sync", {"kind": "half"})

    assert (answer.status, answer.body["field"]) == (422, "kind")


def test_syncs_are_listed_newest_first_and_an_unknown_one_is_404() -> None:
    world = a_ready_world()
    ids = [
        world.call("POST", "/api/connections/contoso/sync", {"kind": "sweep"}).body["syncId"]
        for _ in range(2)
    ]

    listed = world.call("GET", "/api/syncs?connectionId=contoso").body["items"]

    assert [each["id"] for each in listed] == ids[::-1]
    assert set(listed[0]) >= {
        "state",
        "seen",
        "done",
        "waitingForBudget",
        "failed",
        "expectedFinish",
        "startedAt",
        "finishedAt",
    }
    assert world.call("GET", "/api/syncs/nothing").status == 404
    assert world.call("GET", "/api/syncs?connectionId=nobody").status == 404


def test_r25_a_sync_that_waits_for_bmss_limit_says_so_and_when_it_will_be_done() -> None:
    world = a_world_with_a_rule()
    sync = world.call("POST", "/api/connections/contoso/sync", {"kind": "full"}).body["syncId"]
    world.runs.held[sync] = replace(
        world.runs.held[sync],
        state="waiting",
        started_at=START,
        seen=10_000,
        done=1200,
        waiting_for_budget=8800,
    )
    world.budget.finishes = START + timedelta(hours=8)

    body = world.call("GET", f"/api/syncs/{sync}").body

    assert (body["state"], body["waitingForBudget"], body["failed"]) == ("waiting", 8800, 0)
    assert body["expectedFinish"] == "2026-03-02T17:00:00Z"


@pytest.mark.parametrize("state", ["queued", "done", "failed"])
def test_r25_only_a_sync_that_goes_on_has_an_expected_finish(state: str) -> None:
    world = a_world_with_a_rule()
    sync = world.call("POST", "/api/connections/contoso/sync", {"kind": "full"}).body["syncId"]
    world.runs.held[sync] = replace(
        world.runs.held[sync], state=state, started_at=START, seen=10, done=5
    )

    assert world.call("GET", f"/api/syncs/{sync}").body["expectedFinish"] is None
