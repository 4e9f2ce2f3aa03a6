"""What BMS refuses: failures with cause and next step, and the stop when nearly all fails (R24)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.core import trouble_texts
from shared.core.messages import UserDelta, encode_user_delta
from shared.core.model import Activity, ConnectionId, EntraUser, Origin
from shared.ports import FRESH, Failure
from shared.sync.replaying import Replaying
from shared.sync.troubles import without
from tests.builders import CONNECTION, a_connection
from tests.sync.world import World

pytestmark = pytest.mark.world

HOPELESS = "x" * 30


@pytest.fixture(autouse=True)
def _short_names(world: World) -> None:
    world.bms.set_switches(max_lengths={"LastName": 20})


def hopeless(world: World, count: int, prefix: str = "h") -> list[EntraUser]:
    """People whom BMS does not take."""
    return [world.hire(f"{prefix}{number:03d}", surname=HOPELESS) for number in range(count)]


def fine(world: World, count: int, prefix: str = "f") -> list[EntraUser]:
    return [world.hire(f"{prefix}{number:03d}") for number in range(count)]


def mended(world: World, people: Sequence[EntraUser]) -> None:
    for user in people:
        world.change(user, surname="Lind")


def resume(world: World) -> None:
    """As POST /resume does."""
    at = world.clock()
    world.worker.connections.update(
        CONNECTION,
        lambda now: replace(without(now, {trouble_texts.MASS_FAILURE}), resumed_at=at),
    )


def failures(world: World) -> dict[str, Failure]:
    return {one.id: one for one in world.worker.failures.list()}


# --- one user --------------------------------------------------------------------------------


def test_what_bms_refuses_is_a_failure_with_cause_and_next_step_r24(world: World) -> None:
    (ada,) = hopeless(world, 1)

    world.sync(ada)
    world.sync(ada)

    (failure,) = failures(world).values()
    assert (failure.connection_id, failure.user_id, failure.queue) == (CONNECTION, ada.id, FRESH)
    assert failure.cause
    assert "LastName" in failure.sentence
    assert failure.next_step


def test_a_failure_goes_when_its_user_succeeds_r24(world: World) -> None:
    (ada,) = hopeless(world, 1)
    world.sync(ada)

    world.sync(world.change(ada, surname="Lind"))

    assert failures(world) == {}
    assert world.record(ada).last_name == "Lind"


@pytest.mark.parametrize("by", ["sweep", "full sync"])
def test_a_failure_goes_when_nothing_is_left_to_do_r24(world: World, by: str) -> None:
    (ada,) = fine(world, 1)
    world.sync(ada)
    world.sync(world.change(ada, surname=HOPELESS))
    assert len(failures(world)) == 1
    world.change(ada, surname=ada.surname)

    if by == "sweep":
        world.sync(ada)
    else:
        world.full_sync()

    assert failures(world) == {}


def test_a_failure_goes_when_its_user_has_left_r24(world: World) -> None:
    (ada,) = hopeless(world, 1)
    world.sync(ada)
    world.leave(ada)

    world.sync(ada)

    assert failures(world) == {}
    assert world.link(ada) is None


def test_a_replayed_failure_is_done_once_its_cause_is_mended_and_back_if_not_r24(
    world: World,
) -> None:
    (ada,) = hopeless(world, 1)
    world.sync(ada)
    (failure,) = failures(world).values()
    replaying = Replaying(world.worker.failures, world.worker.queues)

    assert replaying.one(failure.id) == 1
    world.deliver()
    assert list(failures(world)) == [failure.id]

    world.bms.set_switches(max_lengths={"LastName": 100})
    replaying.all_of(failure.cause, None)
    world.deliver()
    assert failures(world) == {}
    assert len(world.bms.contacts()) == 1


def test_a_failure_stays_while_nothing_can_be_said_about_its_user_r20_r24(world: World) -> None:
    (ada,) = fine(world, 1)
    world.sync(ada)
    world.sync(world.change(ada, surname=HOPELESS))
    world.directory.held_groups.clear()
    world.leave(ada)

    world.sync(ada)

    assert len(failures(world)) == 1


def test_a_failure_goes_when_a_person_is_asked_instead_r9_r24(world: World) -> None:
    (ada,) = hopeless(world, 1)
    world.sync(ada)
    for _ in range(2):
        world.bms.add_contact(world.contoso.id, "A", "L", ["h000@contoso.example"])

    world.sync(ada)
    world.sync(ada)

    assert failures(world) == {}
    assert [one.user_id for one in world.worker.conflicts.list()] == [ada.id]


# --- many ------------------------------------------------------------------------------------


def test_over_40_percent_of_the_last_50_decisions_stop_the_connection_with_the_reason_r24(
    world: World,
) -> None:
    world.sync(*fine(world, 29))
    world.sync(*hopeless(world, 21))

    connection = world.worker.connections.get(CONNECTION)
    assert connection is not None
    (trouble,) = connection.troubles
    assert (trouble.code, trouble.blocks) == (trouble_texts.MASS_FAILURE, True)
    assert "21 of the last 50" in trouble.reason
    assert "LastName" in trouble.reason
    assert trouble.next_step
    assert not connection.may_write


def test_40_percent_of_them_do_not_r24(world: World) -> None:
    world.sync(*fine(world, 30))
    world.sync(*hopeless(world, 20))

    assert world.troubles() == []


def test_few_decisions_say_nothing_yet_r24(world: World) -> None:
    world.sync(*hopeless(world, 49))

    assert world.troubles() == []


def test_only_the_last_50_count_r24(world: World) -> None:
    world.sync(*hopeless(world, 45))
    world.clock.pass_(timedelta(minutes=1))
    world.sync(*fine(world, 60))
    world.clock.pass_(timedelta(minutes=1))

    world.sync(*hopeless(world, 2, "late"))

    assert world.troubles() == []


def test_another_connections_failures_do_not_count_r24(world: World) -> None:
    other = Activity(world.clock(), ConnectionId("fabrikam"), "failure", "no", "sweep")
    world.worker.log.add([other] * 60)

    world.sync(*fine(world, 50))
    world.sync(*hopeless(world, 5))

    assert world.troubles() == []


def stopped(world: World) -> list[EntraUser]:
    people = hopeless(world, 60)
    world.sync(*people)
    assert world.troubles() == [trouble_texts.MASS_FAILURE]
    return people


def test_while_it_is_stopped_bms_hears_nothing_and_what_waits_is_cheap_r24(world: World) -> None:
    stopped(world)
    world.bms.clear_counters()
    ada = world.hire("ada")
    world.notice(ada)
    sent = world.inbox.count

    world.deliver(within=timedelta(hours=1))

    assert world.bms.counters().total == 0
    assert world.inbox.count - sent <= 31, "once in two minutes"
    assert [delta.users for delta in world.inbox.deltas(FRESH)] == [(ada.id,)]


def test_resumed_it_goes_on_with_what_waited_and_old_failures_do_not_stop_it_again_r24(
    world: World,
) -> None:
    stopped(world)
    ada = world.hire("ada")
    world.notice(ada)
    world.deliver(within=timedelta(minutes=5))

    resume(world)
    world.deliver()
    world.sync(*hopeless(world, 5, "late"))

    assert world.record(ada).is_active
    assert world.troubles() == []


def test_resumed_without_mending_anything_it_stops_again_though_nothing_is_told_twice_r24(
    world: World,
) -> None:
    people = stopped(world)
    resume(world)

    world.sync(*people)

    assert world.troubles() == [trouble_texts.MASS_FAILURE]
    assert all(world.kinds(user) == ["failure"] for user in people[:3])


def test_after_mending_and_resuming_a_full_sync_makes_everything_good_r24(world: World) -> None:
    people = stopped(world)
    mended(world, people)
    resume(world)

    world.full_sync()

    assert len(world.bms.contacts()) == 60
    assert failures(world) == {}
    assert world.troubles() == []


def test_one_connections_stop_delays_no_other_r24(world: World) -> None:
    stopped(world)
    fabrikam = ConnectionId("fabrikam")
    world.worker.connections.add(a_connection(id=fabrikam))
    rule = replace(world.rule, connection_id=fabrikam)
    world.worker.rules.make_live(fabrikam, [rule])
    ada = world.hire("ada")
    delta = UserDelta(fabrikam, (ada.id,), Origin.SWEEP, signal_at=world.clock())
    world.inbox.send(FRESH, encode_user_delta(delta))

    world.deliver(within=timedelta(seconds=5))

    assert len(world.contacts("ada@contoso.example")) == 1
