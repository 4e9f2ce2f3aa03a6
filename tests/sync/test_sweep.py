"""Delta queries name users, and the cursor is saved last (R21, R23)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import cast

import pytest

from shared.core.messages import SweepOrder
from shared.core.model import ConnectionId, Cursors, GroupId, SyncId, SyncRun
from shared.errors import SyncError, TryLater
from shared.ports import FRESH, CursorDead, DeltaItem, DeltaPage, MemberChange
from shared.sync.full_sync import FullSync
from shared.sync.subscriptions import KeepSubscriptions
from shared.sync.sweep import Sweep
from tests.builders import CONNECTION, a_connection, a_group, a_group_id, a_user, a_user_id
from tests.fakes import (
    Clock,
    FakeConnections,
    FakeDirectories,
    FakeDirectory,
    FakeQueues,
    FakeRules,
    FakeRuns,
    FakeSweepState,
    counted,
)

STAFF, INNER = a_group_id("staff"), a_group_id("inner")
ADA, BEN = a_user_id("ada"), a_user_id("ben")


@dataclass
class Entra(FakeDirectory):
    """Delta rounds by link; an error ends the round half way."""

    rounds: dict[str, list[DeltaPage | SyncError]] = field(default_factory=dict)

    def delta(self, link: str) -> Iterator[DeltaPage]:
        for page in self.rounds.get(link, [DeltaPage((), cursor=f"{link}+")]):
            if isinstance(page, SyncError):
                raise page
            yield page


@dataclass
class FullSyncs:
    """Notes the full syncs that were run."""

    ran: list[str] = field(default_factory=list)

    def run(self, order: SweepOrder, sync_id: str, origin: object) -> None:
        self.ran.append(order.kind)


class Room:
    """A connection whose cursors are begun, with one mapped group."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.entra, self.queues = Entra(), FakeQueues()
        self.connections = FakeConnections({CONNECTION: a_connection()})
        self.state, self.runs, self.full = FakeSweepState(), FakeRuns(), FullSyncs()
        self.state.save_cursors(
            Cursors(CONNECTION, "u", "g", frozenset({STAFF}), swept_at=self.clock())
        )
        self.sweep = Sweep(
            connections=self.connections,
            rules=FakeRules(),
            runs=self.runs,
            state=self.state,
            directories=FakeDirectories(self.entra),
            queues=self.queues,
            full_sync=cast(FullSync, self.full),
            subscriptions=cast(KeepSubscriptions, None),
            orders={},
            new_id=counted("run"),
            now=self.clock,
        )

    def run(self, **order: object) -> None:
        self.sweep.handle(SweepOrder(CONNECTION, **{"kind": "sweep", **order}))  # type: ignore[arg-type]

    @property
    def cursors(self) -> Cursors:
        return self.state.kept[CONNECTION]

    def named(self) -> list[str]:
        return [user for delta in self.queues.fresh for user in delta.users]


@pytest.fixture
def room() -> Room:
    return Room()


def member(user: str, *, removed: bool = False, group: bool | None = False) -> MemberChange:
    return MemberChange(user, group, removed)


def test_whom_a_round_names_is_queued_as_fresh_and_the_cursor_moves_on_r21(room: Room) -> None:
    room.entra.rounds["u"] = [
        DeltaPage((DeltaItem(ADA),)),
        DeltaPage((DeltaItem(BEN, removed=True), DeltaItem(ADA)), cursor="u2"),
    ]
    before = room.clock()
    room.clock.pass_(timedelta(minutes=1))

    room.run()

    (delta,) = room.queues.fresh
    assert delta.users == (ADA, BEN)
    assert (delta.signal_at, delta.upper_bound) == (before, True)
    assert (room.cursors.users_link, room.cursors.groups_link) == ("u2", "g+")
    assert room.cursors.swept_at == room.clock()


def test_members_of_a_mapped_group_are_named_coming_or_going_r21(room: Room) -> None:
    change = DeltaItem(STAFF, members=(member(ADA), member(BEN, removed=True)))
    other = DeltaItem(a_group_id("other"), members=(member(a_user_id("stranger")),))
    room.entra.rounds["g"] = [DeltaPage((change, other), cursor="g2")]

    room.run()

    assert room.named() == [ADA, BEN]
    assert room.queues.fresh[0].membership


@pytest.mark.parametrize("removed", [False, True], ids=["comes in", "goes out"])
def test_a_group_inside_a_group_concerns_everybody_below_it_r1(room: Room, removed: bool) -> None:
    user = a_user("ada")
    room.entra.users[user.id] = user
    room.entra.held_groups = {INNER: a_group("inner")}
    room.entra.inside = {INNER: {user.id}}
    change = DeltaItem(STAFF, members=(member(INNER, removed=removed, group=True),))
    room.entra.rounds["g"] = [DeltaPage((change,), cursor="g2")]

    room.run()

    assert room.named() == [ADA]
    assert INNER in room.cursors.tracked_groups


def test_a_deleted_group_is_compared_in_full_r23(room: Room) -> None:
    room.entra.rounds["g"] = [DeltaPage((DeltaItem(STAFF, removed=True),), cursor="g2")]

    room.run()

    assert [order.kind for order, _ in room.queues.sweep_orders] == ["full"]


@pytest.mark.parametrize("link", ["u", "g"])
def test_a_round_that_breaks_off_leaves_the_cursor_where_it_was_r23(room: Room, link: str) -> None:
    room.entra.rounds[link] = [DeltaPage((DeltaItem(ADA),)), TryLater("Graph broke off.")]
    before = room.cursors

    room.run()

    assert room.cursors == before
    assert room.cursors.users_link == "u"


def test_a_round_that_ends_without_a_link_leaves_the_cursor_where_it_was_r23(room: Room) -> None:
    room.entra.rounds["g"] = [DeltaPage((DeltaItem(ADA),))]

    room.run()

    assert room.cursors.users_link == "u"


def test_the_cursor_stays_when_what_was_read_cannot_be_queued_r23(room: Room) -> None:
    room.entra.rounds["u"] = [DeltaPage((DeltaItem(ADA),), cursor="u2")]
    room.queues.down = TryLater("The queues are away.")

    room.run()

    assert room.cursors.users_link == "u"


@pytest.mark.parametrize("link", ["u", "g"])
def test_a_dead_cursor_leads_to_a_full_round_r23(room: Room, link: str) -> None:
    room.entra.rounds[link] = [CursorDead("gone")]

    room.run()

    ((order, _),) = room.queues.sweep_orders
    assert order.kind == "full"
    assert order.sync is not None
    assert room.runs.held[order.sync].state == "queued"
    room.run()
    assert len(room.queues.sweep_orders) == 1, "until it has been read there is nothing to do"


def test_a_group_notice_that_delta_does_not_show_yet_is_looked_at_again_r21(room: Room) -> None:
    room.run(groups=(STAFF,), signal_at=room.clock())

    ((again, delay),) = room.queues.sweep_orders
    assert (again.looks, again.groups) == (1, (STAFF,))
    assert delay == timedelta(seconds=2)
    room.run(groups=(GroupId("unmapped"),))
    assert len(room.queues.sweep_orders) == 1, "a group that no rule has to do with is left"


def test_nothing_is_swept_before_the_first_sync_or_while_paused_r5(room: Room) -> None:
    room.entra.rounds["u"] = [DeltaPage((DeltaItem(ADA),), cursor="u2")]
    for state in (a_connection(first_sync_at=None), a_connection(paused=True)):
        room.connections.held[CONNECTION] = state

        room.run()

    assert room.queues.sent == []
    assert room.cursors.users_link == "u"


def test_only_the_last_of_several_edits_is_carried_out_r5(room: Room) -> None:
    first, last = room.clock(), room.clock() + timedelta(seconds=20)
    room.connections.held[CONNECTION] = a_connection(rules_edited_at=last)

    room.run(kind="rules", stamp=first)
    room.run(kind="rules", stamp=last)

    assert room.full.ran == ["rules"]


def test_the_timer_orders_a_sweep_for_each_connection_that_may_be_read_r24(room: Room) -> None:
    for name, connection in {
        "draft": a_connection(connected_at=None, first_sync_at=None),
        "paused": a_connection(paused=True),
        "unasked": a_connection(first_sync_at=None),
    }.items():
        room.connections.held[ConnectionId(name)] = connection

    assert room.sweep.order_due() == 1

    assert [order.connection_id for order, _ in room.queues.sweep_orders] == [CONNECTION]


def test_a_run_that_a_person_asked_for_ends_r23(room: Room) -> None:
    room.runs.add(SyncRun(SyncId("asked"), CONNECTION, "sweep", "queued", room.clock()))

    room.run(sync=SyncId("asked"))

    assert room.runs.held[SyncId("asked")].state == "done"
    assert [text for queue, text, _ in room.queues.sent if queue == FRESH] == []
