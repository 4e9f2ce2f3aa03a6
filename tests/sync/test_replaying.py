"""Failed work goes back to its queue when a person says so, safely (R24)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.core.messages import (
    SweepOrder,
    UserDelta,
    decode_sweep_order,
    encode_sweep_order,
    encode_user_delta,
)
from shared.core.model import ConnectionId, Origin, SyncId, SyncRun, UserId
from shared.errors import BadInput, TryLater
from shared.ports import FRESH, SWEEPS, Failure
from shared.sync.poison import Poison
from shared.sync.replaying import Replaying
from tests.builders import CONNECTION, a_connection
from tests.sync.interference import on
from tests.sync.world import Died, Worker, World

pytestmark = pytest.mark.world

OTHER = ConnectionId("fabrikam")


def replaying(world: World) -> Replaying:
    return Replaying(world.worker.failures, world.worker.queues)


def poisoned(world: World, text: str, queue: str = FRESH) -> None:
    """What the poison queue makes of a message that came back often enough."""
    worker = world.worker
    Poison(worker.runs, worker.previews, worker.failures, worker.queues, world.clock).handle(
        queue, text
    )


def a_delta(*users: UserId, connection: ConnectionId = CONNECTION, **fields: object) -> str:
    given: dict[str, object] = {"revived": 3, **fields}
    return encode_user_delta(UserDelta(connection, users, Origin.SWEEP, **given))  # type: ignore[arg-type]


def keep(world: World, name: str, cause: str, connection: ConnectionId = CONNECTION) -> None:
    user = world.hire(name)
    message = a_delta(user.id, connection=connection)
    world.worker.failures.add(
        Failure(name, connection, world.clock(), cause, "s", "n", message, FRESH)
    )


def test_a_replayed_message_does_its_work_and_is_gone_from_the_list_r24(world: World) -> None:
    ada = world.hire("ada")
    poisoned(world, a_delta(ada.id))
    (failure,) = world.worker.failures.list()
    assert failure.connection_id == CONNECTION

    assert replaying(world).one(failure.id) == 1
    world.deliver()

    assert world.record(ada).is_active
    assert world.worker.failures.list() == []
    with pytest.raises(BadInput, match="no failure") as told:
        replaying(world).one(failure.id)
    assert told.value.status == 404


def test_a_replayed_message_has_all_its_tries_again_r24(world: World) -> None:
    ada = world.hire("ada")
    poisoned(world, a_delta(ada.id, tries=14))

    replaying(world).all_of(None, None)

    (delta,) = world.inbox.deltas(FRESH)
    assert (delta.tries, delta.revived) == (0, 0)


def test_all_of_a_cause_or_of_a_connection_go_back_and_no_others_r24(world: World) -> None:
    keep(world, "ada", "poison")
    keep(world, "ben", "kept failing")
    keep(world, "cleo", "poison", OTHER)

    assert replaying(world).all_of("poison", CONNECTION) == 1
    assert sorted(one.id for one in world.worker.failures.list()) == ["ben", "cleo"]
    assert replaying(world).all_of("no such cause", None) == 0
    assert replaying(world).all_of(None, OTHER) == 1
    assert replaying(world).all_of(None, None) == 1
    assert world.worker.failures.list() == []
    assert len(world.inbox.waiting) == 3


def test_replayed_twice_it_makes_one_record_r22_r24(world: World) -> None:
    ada = world.hire("ada")
    poisoned(world, a_delta(ada.id))
    (failure,) = world.worker.failures.list()
    desk = Worker(world)

    def die() -> None:
        raise Died

    desk.tap = on("queues.send", "after", die)
    with pytest.raises(Died):
        Replaying(desk.failures, desk.queues).one(failure.id)
    assert len(world.worker.failures.list()) == 1, "it is not lost"

    replaying(world).one(failure.id)
    world.deliver()

    assert len(world.contacts("ada@contoso.example")) == 1
    assert world.worker.failures.list() == []


def test_a_message_larger_than_a_table_property_is_replayed_whole_r24(world: World) -> None:
    users = [UserId(f"{number:08x}-0000-4000-8000-000000000000") for number in range(999)]
    ada = world.hire("ada")
    text = a_delta(*users, ada.id, UserId("not-a-guid-" + "x" * 40_000))
    assert len(text) > 60_000
    poisoned(world, text)

    replaying(world).all_of("poison", None)

    (delta,) = world.inbox.deltas(FRESH)
    assert len(delta.users) == 1001
    assert (delta.users[0], delta.users[999]) == (users[0], ada.id)


def test_a_message_of_a_deleted_connection_ends_in_nothing_r24(world: World) -> None:
    ada = world.hire("ada")
    poisoned(world, a_delta(ada.id))
    kept = world.worker.failures.list()
    world.worker.connections.delete(CONNECTION)
    assert world.worker.failures.list() == [], "its failures go along"
    world.worker.failures.add(kept[0])  # written by a worker at that very moment

    assert replaying(world).one(kept[0].id) == 1
    world.deliver()

    assert world.bms.counters().total == 0
    assert world.inbox.waiting == []


def test_replayed_while_paused_it_waits_until_the_connection_goes_on_r24_r30(
    world: World,
) -> None:
    world.worker.connections.update(CONNECTION, lambda _: a_connection(paused=True))
    ada = world.hire("ada")
    poisoned(world, a_delta(ada.id))

    replaying(world).all_of(None, None)
    world.deliver(within=timedelta(minutes=10))
    assert world.bms.counters().total == 0

    world.worker.connections.update(CONNECTION, lambda _: a_connection())
    world.deliver()
    assert world.record(ada).is_active


def test_a_replayed_full_sync_is_a_run_of_its_own_r24(world: World) -> None:
    run = SyncId("run-7")
    world.worker.runs.add(SyncRun(run, CONNECTION, "full", "running", world.clock()))
    poisoned(world, encode_sweep_order(SweepOrder(CONNECTION, "full", sync=run, revived=3)), SWEEPS)
    found = world.worker.runs.get(run)
    assert found is not None
    assert found.state == "failed"

    replaying(world).all_of("poison", None)
    (message,) = world.inbox.waiting
    # The run that failed has ended; whoever takes this order begins another one.
    assert decode_sweep_order(message.text) == SweepOrder(CONNECTION, "full")


def test_a_message_that_cannot_be_read_goes_back_as_it_is_and_is_not_lost_r24(
    world: World,
) -> None:
    poisoned(world, "of another version")

    replaying(world).all_of(None, None)

    (message,) = world.inbox.waiting
    assert message.text == "of another version"


def test_if_the_queue_is_away_the_failure_stays_r24(world: World) -> None:
    keep(world, "ada", "poison")
    desk = Worker(world)

    def away() -> None:
        raise TryLater("The queue is away.")

    desk.tap = on("queues.send", "before", away)
    with pytest.raises(TryLater):
        Replaying(desk.failures, desk.queues).all_of(None, None)

    assert [one.id for one in world.worker.failures.list()] == ["ada"]


def test_what_keeps_failing_becomes_a_failure_after_half_a_day_and_not_before_r24(
    world: World,
) -> None:
    ada = world.hire("ada")
    world.directory.troubles = {ada.id: TryLater("Graph is busy.")}
    world.notice(ada)

    world.deliver(within=timedelta(hours=11))
    assert world.worker.failures.list() == []

    world.deliver(within=timedelta(hours=4))
    (failure,) = world.worker.failures.list()
    assert (failure.cause, failure.sentence) == ("kept failing", "Graph is busy.")
    assert world.inbox.waiting == []
    assert [one.kind for one in world.activity()] == ["failure"]

    world.directory.troubles.clear()
    replaying(world).one(failure.id)
    world.deliver()
    assert world.record(ada).is_active
