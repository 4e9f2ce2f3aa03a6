"""R31: keeping the change-notification subscriptions of a connection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from shared.config import Settings, StorageSettings
from shared.core.model import Connection, ConnectionId, Mode, Trouble
from shared.errors import PersonMustAct, Rejected, SyncError, TryLater
from shared.ports import Directories, client_state
from shared.sync.subscriptions import LIFE, KeepSubscriptions
from tests.fakes import START, Clock, FakeConnections, FakeQueues, FakeSweepState, FakeVault

ID = ConnectionId("c1")
SETTINGS = Settings(StorageSettings(), "https://v.vault.azure.net", "https://sync.example.test")


@dataclass
class Graph:
    """The subscription service of one tenant, and its `Directories`."""

    now: Clock
    held: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    trouble: dict[str, SyncError] = field(default_factory=dict)
    made: int = 0

    def open(self, connection: Connection) -> Graph:
        return self

    def create_subscription(self, resource: str, **more: Any) -> tuple[str, datetime]:
        self._call("create", resource)
        self.made += 1
        self.held[f"s{self.made}"] = {"resource": resource, **more}
        return f"s{self.made}", more["expires"]

    def extend_subscription(self, subscription_id: str, expires: datetime) -> datetime | None:
        self._call("extend", subscription_id)
        return expires if subscription_id in self.held else None

    def subscription_exists(self, subscription_id: str) -> bool:
        self._call("look", subscription_id)
        return subscription_id in self.held

    def delete_subscription(self, subscription_id: str) -> None:
        self._call("delete", subscription_id)
        self.held.pop(subscription_id, None)

    def _call(self, kind: str, what: str) -> None:
        self.calls.append((kind, what))
        if kind in self.trouble:
            raise self.trouble[kind]


@dataclass
class World:
    mode: Mode = Mode.APPLICATION

    def __post_init__(self) -> None:
        self.clock = Clock()
        self.graph = Graph(self.clock)
        self.connections = FakeConnections()
        self.state, self.vault, self.queues = FakeSweepState(), FakeVault(), FakeQueues()
        self.connections.add(
            Connection(
                id=ID,
                tenant_domain="contoso.test",
                application_id="app",
                mode=self.mode,
                created_at=START,
                tenant_id="t",
                connected_at=START,
                first_sync_at=START,
            )
        )
        self.use = KeepSubscriptions(
            self.connections,
            self.state,
            cast(Directories, self.graph),
            self.vault,
            SETTINGS,
            self.queues,
            self.clock,
        )

    @property
    def connection(self) -> Connection:
        return self.connections.held[ID]

    def change(self, **more: Any) -> None:
        self.connections.update(ID, lambda now: replace(now, **more))

    def pass_(self, **span: float) -> None:
        self.clock.pass_(timedelta(**span))
        self.graph.calls.clear()

    @property
    def ordered(self) -> list[str]:
        return [order.kind for order, _ in self.queues.sweep_orders]


def kept(mode: Mode = Mode.APPLICATION) -> World:
    world = World(mode)
    world.use.keep(ID)
    world.graph.calls.clear()
    return world


def test_users_and_groups_are_subscribed_to_with_a_lifecycle_address_and_our_secret() -> None:
    world = World()

    world.use.keep(ID)

    secret = world.vault.held[client_state(ID)]
    assert [each["resource"] for each in world.graph.held.values()] == ["users", "groups"]
    for each in world.graph.held.values():
        assert each["notify"] == "https://sync.example.test/webhooks/graph/c1"
        assert each["lifecycle"] == "https://sync.example.test/webhooks/graph/c1/lifecycle"
        assert each["client_state"] == secret
        assert each["expires"] == START + LIFE
    assert 40 <= len(secret) <= 128
    assert {each.id for each in world.state.subscriptions(ID)} == {"s1", "s2"}
    assert world.ordered == []


def test_doing_it_twice_changes_nothing() -> None:
    world = kept()

    world.use.keep(ID)

    assert world.graph.calls == []


def test_delegated_is_extended_by_patch_alone_every_half_hour() -> None:
    world = kept(Mode.DELEGATED)

    world.pass_(minutes=20)
    early = world.use.keep_all()
    world.pass_(minutes=10)
    due = world.use.keep_all()
    world.use.keep(ID)

    assert (early, due) == (0, 1)
    assert world.graph.calls == [("extend", "s1"), ("extend", "s2")]
    assert {each.extended_at for each in world.state.subscriptions(ID)} == {world.clock()}


def test_application_is_looked_at_every_hour_and_extended_at_half_its_life() -> None:
    world = kept()

    world.pass_(hours=1)
    world.use.keep(ID)
    looked_at = list(world.graph.calls)
    world.pass_(days=14, hours=1)
    world.use.keep(ID)

    assert looked_at == [("look", "s1"), ("look", "s2")]
    assert world.graph.calls == [("extend", "s1"), ("extend", "s2")]
    assert {each.expires_at for each in world.state.subscriptions(ID)} == {world.clock() + LIFE}


def test_what_graph_itself_asks_for_is_done_at_once() -> None:
    world = kept()

    world.pass_(minutes=10)
    world.use.keep(ID, urged=True)

    assert world.graph.calls == [("extend", "s1"), ("extend", "s2")]


@pytest.mark.parametrize("mode", list(Mode))
def test_a_lost_one_is_made_anew_and_a_sweep_finds_what_went_past(mode: Mode) -> None:
    world = kept(mode)
    del world.graph.held["s1"]

    world.pass_(hours=1)
    world.use.keep(ID)

    assert {each.id for each in world.state.subscriptions(ID)} == {"s3", "s2"}
    assert world.ordered == ["sweep"]


def test_one_of_an_account_that_was_signed_in_before_is_made_anew() -> None:
    world = kept(Mode.DELEGATED)
    world.graph.trouble["extend"] = PersonMustAct("No.", "Do.", code="permissions")

    world.pass_(hours=1)
    world.use.keep(ID)

    assert {each.id for each in world.state.subscriptions(ID)} == {"s3", "s4"}
    assert world.connection.troubles == ()


def test_a_secret_that_is_lost_is_replaced_with_the_subscriptions_that_send_it() -> None:
    world = kept()
    old = world.vault.held.pop(client_state(ID))

    world.use.keep(ID)

    assert world.vault.held[client_state(ID)] != old
    assert set(world.graph.held) == {"s3", "s4"}


def test_r30_a_refused_address_is_told_and_does_not_block() -> None:
    world = World()
    world.graph.trouble["create"] = Rejected(
        "Graph could not reach us.", "Check PUBLIC_URL.", code="subscription"
    )

    world.use.keep(ID)

    [trouble] = world.connection.troubles
    assert trouble.code == "subscription"
    assert "sweeps every minute" in trouble.reason
    assert trouble.next_step == "Check PUBLIC_URL."
    assert not trouble.blocks
    assert world.connection.may_write
    assert world.use.keep_all() == 1


def test_r30_the_trouble_goes_when_it_is_mended() -> None:
    world = World()
    other = Trouble("group", "r", "n", START)
    world.change(troubles=(other,))
    world.graph.trouble["create"] = Rejected("No.", "Do.", code="subscription")
    world.use.keep(ID)
    world.graph.trouble.clear()

    world.use.keep(ID)

    assert world.connection.troubles == (other,)


def test_r30_a_sign_in_that_is_refused_blocks() -> None:
    world = World()
    world.graph.trouble["create"] = PersonMustAct("No.", "Do.", code="sign-in-revoked")

    world.use.keep(ID)

    assert not world.connection.may_read


def test_passing_trouble_is_left_to_the_queue_and_leaves_no_trouble() -> None:
    world = World()
    world.graph.trouble["create"] = TryLater("Later.")

    with pytest.raises(TryLater):
        world.use.keep(ID)

    assert world.connection.troubles == ()


@pytest.mark.parametrize(
    "change",
    [
        lambda world: world.change(paused=True),
        lambda world: world.change(connected_at=None),
        lambda world: world.connections.delete(ID),
    ],
    ids=["paused", "draft", "deleted"],
)
def test_what_may_not_be_read_is_left_alone(change: Callable[[World], None]) -> None:
    world = World()
    change(world)

    world.use.keep(ID)

    assert world.graph.calls == []
    assert world.use.keep_all() == 0


def test_pausing_removes_both() -> None:
    world = kept()

    world.use.remove(world.connection)

    assert world.graph.held == {}
    assert world.state.subscriptions(ID) == []


def test_what_cannot_be_removed_stays_noted_and_is_told() -> None:
    world = kept()
    world.graph.trouble["delete"] = TryLater("Later.")

    with pytest.raises(TryLater):
        world.use.remove(world.connection)

    assert len(world.state.subscriptions(ID)) == 2
