"""R28 and R30: from the Connect button to the callback."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from shared.core.model import Connection, ConnectionId, Mode, Trouble
from shared.errors import BadInput, PersonMustAct, SyncError, TryLater
from shared.ports import PendingSignIn, SignedIn, SignInStart
from shared.sync.connect import Connect
from tests.fakes import START, Clock, FakeConnections, FakeQueues

ID = ConnectionId("c1")
TENANT = "0a1b2c3d-0000-4000-8000-0000000000ff"
OTHER = "0a1b2c3d-0000-4000-8000-0000000000ee"


@dataclass
class Pending:
    held: dict[str, PendingSignIn] = field(default_factory=dict)

    def add(self, pending: PendingSignIn) -> None:
        self.held[pending.state_hash] = pending

    def take(self, state_hash: str) -> PendingSignIn | None:
        return self.held.pop(state_hash, None)


@dataclass
class Microsoft:
    """Signs everybody in to `tenant`, or fails."""

    tenant: str = TENANT
    down: SyncError | None = None
    begun: int = 0
    meanwhile: Callable[[], object] = lambda: None

    def tenant_id_of(self, domain: str) -> str:
        self._fail()
        return self.tenant

    def begin(self, connection: Connection) -> SignInStart:
        self._fail()
        self.begun += 1
        return SignInStart("https://login", f"state{self.begun}", f"cookie{self.begun}")

    def finish(self, connection: Connection, *, cookie: str, query: Mapping[str, str]) -> SignedIn:
        self._fail()
        self.meanwhile()
        return SignedIn(self.tenant)

    def token(self, connection: Connection, *, fresh: bool = False) -> str:
        return "token"

    def forget(self, connection_id: ConnectionId) -> None:
        """Nothing is held here."""

    def _fail(self) -> None:
        if self.down:
            raise self.down


@dataclass
class Subscriptions:
    kept: list[ConnectionId] = field(default_factory=list)
    down: SyncError | None = None

    def keep(self, connection_id: ConnectionId, *, urged: bool = False) -> None:
        if self.down:
            raise self.down
        self.kept.append(connection_id)


class World:
    def __init__(self, **more: Any) -> None:
        self.clock, self.connections, self.queues = Clock(), FakeConnections(), FakeQueues()
        self.pending, self.microsoft, self.subscriptions = Pending(), Microsoft(), Subscriptions()
        draft = Connection(
            id=ID,
            tenant_domain="contoso.test",
            application_id="app",
            mode=Mode.DELEGATED,
            created_at=START,
        )
        self.connections.add(replace(draft, **more))
        self.use = Connect(
            self.connections,
            self.pending,
            self.microsoft,
            self.subscriptions,
            self.queues,
            self.clock,
        )

    @property
    def connection(self) -> Connection:
        return self.connections.held[ID]

    def begin(self) -> SignInStart:
        return self.use.begin(ID)

    def finish(self, start: SignInStart, **query: str) -> Connection:
        return self.use.finish(cookie=start.cookie, query={"state": start.state, **query})

    @property
    def ordered(self) -> list[str]:
        return [order.kind for order, _ in self.queues.sweep_orders]


REFUSED = PersonMustAct("The consent was declined.", "Press Connect.", code="sign-in-declined")


def test_a_person_connects_a_draft() -> None:
    world = World()

    connected = world.finish(world.begin(), code="x")

    assert connected.connected_at == START
    assert connected.tenant_id == TENANT
    assert world.subscriptions.kept == [ID]
    assert world.ordered == []


def test_connecting_again_takes_the_sign_in_troubles_off_and_leaves_the_others() -> None:
    blocked = Trouble("sign-in-revoked", "r", "n", START, blocks=True)
    other = Trouble("group-gone", "r", "n", START)
    world = World(connected_at=START, first_sync_at=START, troubles=(blocked, other))

    world.finish(world.begin(), code="x")

    assert world.connection.troubles == (other,)
    assert world.ordered == ["sweep"]


def test_of_state_and_cookie_only_hashes_are_kept() -> None:
    world = World()

    start = world.begin()

    [pending] = world.pending.held.values()
    assert pending.state_hash == hashlib.sha256(start.state.encode()).hexdigest()
    assert pending.cookie_hash == hashlib.sha256(start.cookie.encode()).hexdigest()
    assert pending.expires_at == START + timedelta(minutes=10)


@pytest.mark.parametrize(
    ("cookie", "query"),
    [
        ("cookie1", {}),
        ("cookie1", {"state": ""}),
        ("cookie1", {"state": "guessed"}),
        ("cookie2", {"state": "state1"}),
        ("", {"state": "state1"}),
        ("cookie1", {"error": "access_denied"}),
    ],
    ids=["no state", "empty", "unknown", "foreign browser", "no cookie", "error without state"],
)
def test_a_callback_that_is_none_of_ours_changes_nothing(
    cookie: str, query: dict[str, str]
) -> None:
    world = World()
    world.begin()
    before = world.connection

    with pytest.raises(BadInput) as error:
        world.use.finish(cookie=cookie, query=query)

    assert error.value.status == 400
    assert "Connect again" in error.value.sentence
    assert world.connection == before


def test_a_state_works_once() -> None:
    world = World()
    start = world.begin()
    world.finish(start, code="x")

    with pytest.raises(BadInput):
        world.finish(start, code="x")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda world, start: world.use.finish(cookie="other", query={"state": start.state}),
        lambda world, start: world.finish(start, error="access_denied"),
    ],
    ids=["tried from another browser", "declined"],
)
def test_a_state_is_used_up_whatever_comes_of_it(
    spoil: Callable[[World, SignInStart], object],
) -> None:
    world = World()
    start = world.begin()
    world.microsoft.down = REFUSED
    with pytest.raises((BadInput, PersonMustAct)):
        spoil(world, start)
    world.microsoft.down = None

    with pytest.raises(BadInput):
        world.finish(start, code="x")


def test_a_state_lives_for_ten_minutes() -> None:
    world = World()
    start = world.begin()
    world.clock.pass_(timedelta(minutes=10))

    with pytest.raises(BadInput, match="ten minutes"):
        world.finish(start, code="x")


def test_a_refusal_is_the_state_of_a_connection_that_has_nothing_else() -> None:
    world = World()
    start = world.begin()
    world.microsoft.down = REFUSED

    with pytest.raises(PersonMustAct):
        world.finish(start, error="access_denied")

    [trouble] = world.connection.troubles
    assert (trouble.reason, trouble.next_step) == (REFUSED.sentence, REFUSED.next_step)
    assert trouble.blocks
    assert world.connection.state == "attention"


def test_a_failed_attempt_does_not_stop_a_connection_that_works() -> None:
    world = World(connected_at=START, first_sync_at=START, tenant_id=TENANT)
    start = world.begin()
    world.microsoft.down = REFUSED

    with pytest.raises(PersonMustAct):
        world.finish(start, error="access_denied")

    assert world.connection.may_write
    assert REFUSED.sentence in world.connection.troubles[0].reason


def test_the_wrong_tenant_is_refused() -> None:
    world = World()
    start = world.begin()
    world.microsoft.tenant = OTHER

    with pytest.raises(PersonMustAct) as error:
        world.finish(start, code="x")

    assert error.value.code == "sign-in-wrong-tenant"
    assert world.connection.connected_at is None
    assert world.connection.state == "attention"


def test_a_domain_without_a_tenant_is_told_before_the_browser_leaves() -> None:
    world = World()
    world.microsoft.down = PersonMustAct("No tenant.", "Check it.", code="sign-in-tenant-unknown")

    with pytest.raises(PersonMustAct):
        world.begin()

    assert world.connection.troubles[0].reason == "No tenant."


def test_a_tenant_is_connected_once_only() -> None:
    world = World()
    world.connections.add(
        replace(
            world.connection,
            id=ConnectionId("c2"),
            tenant_domain="contoso2.test",
            tenant_id=TENANT,
            connected_at=START,
        )
    )

    with pytest.raises(BadInput, match=r"contoso2\.test"):
        world.begin()


def test_passing_trouble_during_the_callback_leaves_no_trouble() -> None:
    world = World()
    start = world.begin()
    world.microsoft.down = TryLater("Later.")

    with pytest.raises(TryLater):
        world.finish(start, code="x")

    assert world.connection.troubles == ()


def test_subscriptions_that_fail_do_not_undo_the_connect() -> None:
    world = World()
    world.subscriptions.down = TryLater("Later.")

    connected = world.finish(world.begin(), code="x")

    assert connected.connected_at
    assert world.ordered == ["subscriptions"]


def test_a_connection_that_became_another_one_meanwhile_is_not_connected() -> None:
    world = World()
    start = world.begin()
    world.microsoft.meanwhile = lambda: world.connections.update(
        ID, lambda now: replace(now, application_id="another")
    )

    with pytest.raises(BadInput, match="changed during"):
        world.finish(start, code="x")

    assert world.connection.connected_at is None


def test_a_connection_that_is_gone_is_told() -> None:
    world = World()
    start = world.begin()
    world.connections.delete(ID)

    with pytest.raises(BadInput, match="deleted"):
        world.finish(start, code="x")
    with pytest.raises(BadInput) as error:
        world.begin()
    assert error.value.status == 404
