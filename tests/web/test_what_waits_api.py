"""GET /api/waiting: how much waits for a person, and how little is read to tell (R9, R20)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from shared.core.model import ConnectionId, RecordId, UserId
from shared.ports import Conflict, HeldUser, Hold
from tests.fakes import START
from tests.web.console.visitor import a_visitor
from tests.web.world import World, a_connection

MANY = 300


def counting(store: object, asked: Counter[str]) -> None:
    """Every question to this store is counted from now on."""

    def counted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            asked[f"{type(store).__name__}.{name}"] += 1
            return real(*given, **named)

        return call

    for name in dir(store):
        real = getattr(store, name)
        if callable(real) and not name.startswith("_"):
            setattr(store, name, counted(name, real))


def a_busy_world() -> World:
    """300 connections, each with an open conflict, a resolved one and two people in a hold."""
    world = World()
    for number in range(MANY):
        of = ConnectionId(f"c{number}")
        world.add(a_connection(of))
        for user, state in (("u1", "open"), ("u2", "resolved")):
            records = (RecordId(1), RecordId(2))
            world.conflicts.put(Conflict(of, UserId(user), records, "two match", START, state))
        hold = Hold(f"{of}-1", of, START, START + timedelta(days=7))
        world.holds.add(hold)
        world.holds.put_people(
            hold,
            [
                HeldUser(UserId("u1"), RecordId(1), "left"),
                HeldUser(UserId("u2"), RecordId(2), "left"),
                HeldUser(UserId("u3"), RecordId(3), "left", state="refused"),
            ],
        )
    return world


@pytest.fixture
def world() -> World:
    return a_busy_world()


def test_what_waits_over_300_connections_is_counted_without_asking_for_each_r9_r20(
    world: World,
) -> None:
    asked: Counter[str] = Counter()
    counting(world.conflicts, asked)
    counting(world.holds, asked)

    body = world.call("GET", "/api/waiting").body

    assert (body["conflicts"], body["holds"], body["heldPeople"]) == (MANY, MANY, 2 * MANY)
    assert asked["FakeConflicts.count_open"] == 1
    assert asked["FakeConflicts.list"] == 0
    assert asked["FakeHolds.count_waiting"] == 1


def test_the_conflicts_of_300_connections_are_one_question_to_the_store_r9(world: World) -> None:
    asked: Counter[str] = Counter()
    counting(world.conflicts, asked)

    body = world.call("GET", "/api/conflicts?state=open&limit=1000").body

    assert len(body["items"]) == MANY
    assert asked == {"FakeConflicts.list": 1}


def test_figures_may_be_so_old_as_whoever_asks_allows(world: World) -> None:
    asked: Counter[str] = Counter()
    counting(world.conflicts, asked)
    recent = "/api/waiting?maxAgeSeconds=20"

    for _ in range(3):
        world.call("GET", recent)
    world.clock.pass_(timedelta(seconds=19))
    world.call("GET", recent)
    assert asked["FakeConflicts.count_open"] == 1

    world.call("GET", "/api/waiting")
    assert asked["FakeConflicts.count_open"] == 2
    world.clock.pass_(timedelta(seconds=20))
    world.call("GET", recent)
    assert asked["FakeConflicts.count_open"] == 3


@pytest.mark.parametrize("age", ["-1", "61", "soon"])
def test_an_age_that_cannot_be_meant_is_refused(age: str) -> None:
    answer = World().call("GET", f"/api/waiting?maxAgeSeconds={age}")

    assert answer.status == 400
    assert "maxAgeSeconds" in answer.detail


def test_a_decision_shows_at_once_however_old_the_figures_may_be_r9(world: World) -> None:
    recent = "/api/waiting?maxAgeSeconds=60"
    before = world.call("GET", recent).body["conflicts"]

    choice = {"ignore": True}
    assert world.call("POST", "/api/conflicts/c1.u1/resolve", choice).status == 200

    assert world.call("GET", recent).body["conflicts"] == before - 1


def test_the_number_in_the_navigation_is_not_counted_for_every_page(world: World) -> None:
    visitor = a_visitor(world)
    asked: Counter[str] = Counter()
    counting(world.conflicts, asked)

    seen = {visitor.part("/console/waiting/count").text for _ in range(5)}

    assert len(seen) == 1
    assert asked["FakeConflicts.count_open"] <= 1
