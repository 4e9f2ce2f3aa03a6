"""What stands in the way of a message: nobody else waits for it (R5, R24, R30)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.core.model import AccountId, LinkState, Origin
from shared.errors import TryLater
from shared.ports import BULK, FRESH
from tests.builders import CONNECTION, a_connection
from tests.sync.world import World

pytestmark = pytest.mark.world

MANY = 120  # more than a bulk message takes in hand at once


def test_nothing_is_written_before_a_person_asked_for_the_first_sync_r5(world: World) -> None:
    world.worker.connections.update(CONNECTION, lambda _: a_connection(first_sync_at=None))
    ada = world.hire("ada")

    world.sync(ada)

    assert world.bms.counters().total == 0
    assert world.link(ada) is None
    assert world.inbox.waiting == []


def test_work_of_a_paused_connection_is_parked_and_done_when_it_goes_on_r30(world: World) -> None:
    world.worker.connections.update(CONNECTION, lambda _: a_connection(paused=True))
    ada = world.hire("ada")
    world.notice(ada)

    world.deliver(within=timedelta(minutes=30))
    assert world.bms.counters().total == 0
    assert [delta.users for delta in world.inbox.deltas(FRESH)] == [(ada.id,)]

    world.worker.connections.update(CONNECTION, lambda _: a_connection())
    world.deliver()
    assert world.record(ada).is_active


def test_a_message_of_a_deleted_connection_ends(world: World) -> None:
    world.notice(world.hire("ada"))
    world.worker.connections.delete(CONNECTION)

    world.deliver()

    assert world.inbox.waiting == []
    assert world.bms.counters().total == 0


def test_graphs_trouble_with_one_user_does_not_stop_the_others_r24(world: World) -> None:
    ada, ben = world.hire("ada"), world.hire("ben")
    world.directory.troubles[ada.id] = TryLater("Graph is busy.", timedelta(seconds=30))
    world.notice(ada, ben)

    world.deliver(within=timedelta(seconds=5))

    assert world.record(ben).is_active
    assert world.link(ada) is None
    (left,) = world.inbox.deltas()
    assert left.users == (ada.id,)
    world.directory.troubles.clear()
    world.deliver()
    assert world.record(ada).is_active


def test_bmss_trouble_with_one_user_does_not_stop_the_others_r24(world: World) -> None:
    people = [world.hire(name) for name in ("ada", "ben", "cleo")]
    endpoint = "POST /v2/crm/contacts/summary"
    world.bms.add_fault("reset", endpoint, contains="ben@contoso.example")
    world.notice(*people)

    world.deliver(within=timedelta(seconds=3))

    assert {contact.first_name for contact in world.bms.contacts()} == {"Ada", "Cleo"}
    world.bms.clear_faults()
    world.deliver()
    assert len(world.contacts("ben@contoso.example")) == 1


def test_what_bms_refuses_is_told_once_in_its_own_words_and_the_rest_goes_on_r24(
    world: World,
) -> None:
    world.bms.set_switches(max_lengths={"LastName": 20})
    ada, ben = world.hire("ada", surname="x" * 21), world.hire("ben")

    world.sync(ada, ben)
    world.sync(ada, ben)

    link = world.link(ada)
    assert link is not None
    assert link.state is LinkState.FAILED
    (told,) = world.activity(ada)
    assert told.kind == "failure"
    assert "LastName" in told.reason
    assert world.record(ben).is_active
    world.sync(world.change(ada, surname="Lind"))
    assert world.record(ada).last_name == "Lind"


def test_an_account_without_a_main_location_is_refused_with_a_sentence_r3(world: World) -> None:
    lost = world.bms.add_account("Lost", locations=[{"name": "A"}, {"name": "B"}])
    world.set_rules(world.a_rule("staff", account_id=AccountId(lost.id)))
    ada = world.hire("ada")

    world.sync(ada)

    (told,) = world.activity(ada)
    assert told.kind == "failure"
    assert "main location" in told.reason
    assert world.bms_writes() == 0


def test_a_refused_sign_in_puts_the_connection_into_attention_and_the_work_waits_r30(
    world: World,
) -> None:
    world.bms.set_credentials(password="another")
    ada = world.hire("ada")
    world.notice(ada)

    world.deliver(within=timedelta(minutes=1))
    assert world.troubles() == ["bms-signin"]
    assert [delta.users for delta in world.inbox.deltas()] == [(ada.id,)]

    world.bms.set_credentials(password="correct horse battery staple")
    world.deliver()
    assert world.record(ada).is_active
    assert world.troubles() == []


def test_the_rest_of_a_bulk_message_is_handed_on_when_its_time_is_over(world: World) -> None:
    people = [world.hire(f"u{number:03d}") for number in range(MANY)]

    def slowly(call: str, when: str) -> None:
        if (call, when) == ("bms.create_contact", "after"):
            world.clock.pass_(timedelta(seconds=1))

    world.worker.tap = slowly
    world.notice(*people, queue=BULK, origin=Origin.FULL, sync="run", part="a-1")

    world.deliver(within=timedelta(0))

    (rest,) = world.inbox.deltas(BULK)
    assert 0 < len(rest.users) < MANY
    assert (rest.sync, rest.part, rest.done) == ("run", "a-1", MANY - len(rest.users))
    world.deliver()
    assert len(world.bms.contacts()) == MANY


def test_a_group_change_that_entra_does_not_show_yet_is_looked_at_again_r21(world: World) -> None:
    ada = world.hire("ada")
    world.leave(ada)
    world.notice(ada, membership=True)
    world.deliver(within=timedelta(seconds=2))
    assert world.link(ada) is None

    world.join(ada)
    world.deliver(within=timedelta(seconds=5))

    assert world.record(ada).is_active
