"""R31: the webhook, from request to queue message."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.core.messages import decode_sweep_order, decode_user_delta
from shared.core.model import Connection, ConnectionId, Mode, Origin, Subscription, Trouble
from shared.errors import TryLater
from shared.ports import FRESH, SWEEPS, client_state
from shared.web.http import Reply, Request
from shared.web.webhook import Webhook
from tests.fakes import START, FakeConnections, FakeQueues, FakeSweepState, FakeVault

TENANT = "0a1b2c3d-0000-4000-8000-0000000000ff"
CONNECTION = ConnectionId("c1")
IDS = {
    "users": "d3a1d3a1-0000-4000-8000-000000000001",
    "groups": "d3a1d3a1-0000-4000-8000-000000000002",
}
ADA = "0a1b2c3d-0000-4000-8000-00000000000a"
BOB = "0a1b2c3d-0000-4000-8000-00000000000b"
GROUP = "77777777-0000-4000-8000-00000000000a"
SECRET = "our-secret"


class Counting(FakeConnections):
    """Counts how often the table is asked."""

    reads = 0

    def get(self, connection_id: ConnectionId) -> Connection | None:
        self.reads += 1
        return super().get(connection_id)


@dataclass
class SlowQueues(FakeQueues):
    """Takes as long as a storage queue does, and knows when a sweep was queued and may begin."""

    seconds: float = 0.0
    sweeps: list[tuple[float, float]] = field(default_factory=list)

    def send(self, queue: str, text: str, delay: timedelta | None = None) -> None:
        time.sleep(self.seconds)
        super().send(queue, text, delay)
        now = time.monotonic()
        if queue == SWEEPS and not decode_sweep_order(text).groups:
            self.sweeps.append((now, now + (delay or timedelta()).total_seconds()))


@dataclass
class World:
    connections: Counting = field(default_factory=Counting)
    state: FakeSweepState = field(default_factory=FakeSweepState)
    vault: FakeVault = field(default_factory=FakeVault)
    queues: SlowQueues = field(default_factory=SlowQueues)

    def __post_init__(self) -> None:
        self.connections.add(
            Connection(
                id=CONNECTION,
                tenant_domain="contoso.test",
                application_id="app",
                mode=Mode.APPLICATION,
                created_at=START,
                tenant_id=TENANT,
                connected_at=START,
                first_sync_at=START,
            )
        )
        for resource in IDS:
            self.subscribe(resource)
        self.vault.put(client_state(CONNECTION), SECRET)
        self.webhook = Webhook(
            self.connections, self.state, self.vault, self.queues, lambda: datetime.now(UTC)
        )

    def subscribe(self, resource: str) -> None:
        self.state.save_subscription(
            Subscription(CONNECTION, resource, IDS[resource], START + timedelta(days=27), START)
        )

    def change(self, **more: Any) -> None:
        self.connections.update(CONNECTION, lambda now: replace(now, **more))

    async def post(self, *items: Any, to: str = CONNECTION, **query: str) -> Reply:
        body = json.dumps({"value": items}).encode()
        return await self.webhook.answer(to, a_request(body, **query))

    @property
    def deltas(self) -> list[Any]:
        return [decode_user_delta(text) for queue, text, _ in self.queues.sent if queue == FRESH]

    @property
    def orders(self) -> list[Any]:
        return [decode_sweep_order(text) for queue, text, _ in self.queues.sent if queue == SWEEPS]


def a_request(body: bytes, **query: str) -> Request:
    return Request("POST", "/webhooks/graph/c1", query, {"content-type": "application/json"}, body)


def an_item(resource: str = f"Users/{ADA}", **more: Any) -> dict[str, Any]:
    kind = resource.partition("/")[0].lower()
    return {
        "changeType": "updated",
        "clientState": SECRET,
        "resource": resource,
        "resourceData": more.pop("data", {}),
        "subscriptionId": IDS[kind],
        "tenantId": TENANT,
        **more,
    }


def play(scene: Callable[[World], Awaitable[None]], world: World | None = None) -> World:
    made = world or World()

    async def run() -> None:
        await scene(made)

    asyncio.run(run())
    return made


def statuses(world: World, *posts: tuple[Any, ...]) -> list[int]:
    found: list[int] = []

    async def scene(world: World) -> None:
        found.extend([(await world.post(*items)).status for items in posts])

    play(scene, world)
    return found


def test_a_change_becomes_a_fresh_user_delta() -> None:
    event = datetime.now(UTC) - timedelta(seconds=2)
    world = World()

    assert statuses(world, (an_item(data={"eventTime": event.isoformat()}),)) == [202]
    [delta] = world.deltas
    assert delta.users == (ADA,)
    assert delta.origin is Origin.NOTIFICATION
    assert delta.signal_at == event
    assert not delta.membership


def test_a_change_of_membership_becomes_a_delta_and_a_sweep_of_that_group() -> None:
    world = World()
    data = {"members@delta": [{"id": ADA}, {"id": BOB, "@removed": "deleted"}]}

    statuses(world, (an_item(f"Groups/{GROUP}", data=data), an_item(f"Users/{ADA}")))

    [delta] = world.deltas
    [order] = world.orders
    assert delta.users == (ADA, BOB)
    assert delta.membership
    assert (order.kind, order.groups) == ("sweep", (GROUP,))


@pytest.mark.parametrize("event", ["reauthorizationRequired", "subscriptionRemoved", "missed"])
def test_a_lifecycle_event_orders_care_for_the_subscriptions_and_a_sweep(event: str) -> None:
    world = World()

    assert statuses(world, (an_item(resource=f"Users/{ADA}", lifecycleEvent=event),)) == [202]
    assert [order.kind for order in world.orders] == ["subscriptions", "sweep"]
    assert world.orders[0].signal_at is not None
    assert world.deltas == []


def test_the_handshake_is_answered_with_the_token_as_plain_text() -> None:
    world = World()
    replies: list[Reply] = []

    async def scene(world: World) -> None:
        for name in ("validationToken", "validationtoken"):
            request = a_request(b"not json", **{name: "Validation: Testing é 1"})
            replies.append(await world.webhook.answer("not-made-yet-1", request))

    play(scene, world)

    for reply in replies:
        assert reply.status == 200
        assert reply.body.decode() == "Validation: Testing é 1"
        assert reply.content_type.startswith("text/plain")
        assert ("X-Content-Type-Options", "nosniff") in reply.headers
    assert world.connections.reads == 0


@pytest.mark.parametrize(
    ("connection", "body", "query", "status"),
    [
        ("c1", b"", {"validationToken": "<script>alert(1)</script>"}, 400),
        ("c1", b"", {"validationToken": "x" * 10_000}, 400),
        ("c1", b"", {}, 400),
        ("c1", b"{", {}, 400),
        ("c1", b"[]", {}, 400),
        ("c1", b'{"value": 1}', {}, 400),
        ("c1", b" " * (8 * 1024 * 1024 + 1), {}, 413),
        ("../c1", b'{"value": []}', {}, 404),
        ("x" * 100, b"", {"validationToken": "a"}, 404),
        ("stranger", b'{"value": [{}]}', {}, 202),
    ],
)
def test_bad_input_gets_its_status_and_queues_nothing(
    connection: str, body: bytes, query: dict[str, str], status: int
) -> None:
    found: list[Reply] = []

    async def scene(world: World) -> None:
        found.append(await world.webhook.answer(connection, a_request(body, **query)))

    world = play(scene)

    assert found[0].status == status
    assert b"<script" not in found[0].body
    assert world.queues.sent == []


def test_items_that_prove_nothing_are_discarded_and_counted_with_ids_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    wrong = [an_item(f"Users/{BOB}", clientState="guess"), an_item(f"Users/{BOB}", tenantId=ADA)]

    assert statuses(world, (*wrong, an_item())) == [202]
    assert [delta.users for delta in world.deltas] == [(ADA,)]
    assert "connection=c1 count=2" in caplog.text
    assert "guess" not in caplog.text


@pytest.mark.parametrize(
    "change",
    [
        {"paused": True},
        {"connected_at": None},
        {"first_sync_at": None},
        {"troubles": (Trouble("x", "r", "n", START, blocks=True),)},
    ],
    ids=["paused", "draft", "first sync not asked for", "blocked"],
)
def test_r5_what_may_not_be_written_is_accepted_and_not_queued(change: dict[str, Any]) -> None:
    world = World()
    world.change(**change)

    assert statuses(world, (an_item(),)) == [202]
    assert world.queues.sent == []


def test_a_connection_before_its_first_sync_still_keeps_its_subscriptions() -> None:
    world = World()
    world.change(first_sync_at=None)

    statuses(world, (an_item(lifecycleEvent="reauthorizationRequired"),))

    assert "subscriptions" in [order.kind for order in world.orders]


def test_a_subscription_made_a_moment_ago_is_believed() -> None:
    world = World()
    world.state.remove_subscription(CONNECTION, "users")

    async def scene(world: World) -> None:
        await world.post(an_item(f"Groups/{GROUP}"))
        world.subscribe("users")
        await asyncio.sleep(1.05)  # looked up again at most once a second
        await world.post(an_item())

    play(scene, world)

    assert [delta.users for delta in world.deltas] == [(ADA,)]


def test_what_could_not_be_queued_is_to_be_sent_again() -> None:
    world = World()
    world.queues.down = TryLater("The queue is down.")

    assert statuses(world, (an_item(),)) == [503]
    world.queues.down = None
    assert statuses(world, (an_item(),)) == [202]


def test_what_cannot_be_checked_is_to_be_sent_again() -> None:
    world = World()
    world.vault.down = TryLater("The vault is down.")

    assert statuses(world, (an_item(),)) == [503]


def test_a_vault_that_fails_later_on_does_not_stop_notifications() -> None:
    world = World()

    async def scene(world: World) -> None:
        await world.post(an_item())
        world.vault.down = TryLater("The vault is down.")
        assert (await world.post(an_item(f"Users/{BOB}"))).status == 202

    play(scene, world)

    assert len(world.deltas) == 2


def test_an_answer_is_given_within_a_second_even_when_the_queue_hangs() -> None:
    world = World()
    world.queues.seconds = 1.5
    took: list[float] = []

    async def scene(world: World) -> None:
        began = time.monotonic()
        assert (await world.post(an_item())).status == 503
        took.append(time.monotonic() - began)

    play(scene, world)

    assert took[0] < 1


def test_the_tables_are_not_asked_for_every_request() -> None:
    async def scene(world: World) -> None:
        for number in range(20):
            await world.post(an_item(f"Users/{uuid.UUID(int=number)}"))
            await world.post(an_item(), to="stranger")

    world = play(scene)

    assert world.connections.reads == 2


def test_strangers_with_ever_new_ids_cannot_make_it_ask_the_tables_without_end() -> None:
    found: list[int] = []

    async def scene(world: World) -> None:
        for number in range(200):
            found.append((await world.post(an_item(), to=f"stranger-{number}")).status)

    world = play(scene)

    assert world.connections.reads <= 40
    assert set(found) == {202, 429}


def test_users_are_spread_over_messages_of_two_hundred() -> None:
    world = World()
    items = [an_item(f"Users/{uuid.UUID(int=number)}") for number in range(450)]

    statuses(world, (*items, *items))

    assert [len(delta.users) for delta in world.deltas] == [200, 200, 50]


def test_r21_a_hundred_changes_at_once_are_all_named() -> None:
    world = World()

    async def scene(world: World) -> None:
        items = [an_item(f"Users/{uuid.UUID(int=number)}") for number in range(100)]
        await asyncio.gather(*(world.post(item) for item in items))

    play(scene, world)

    assert sum(len(delta.users) for delta in world.deltas) == 100
    assert world.orders == []


def test_a_body_of_ten_thousand_becomes_one_sweep() -> None:
    world = World()
    items = [an_item(f"Users/{uuid.UUID(int=number)}") for number in range(10_000)]

    assert statuses(world, tuple(items)) == [202]
    assert [(order.kind, order.groups) for order in world.orders] == [("sweep", ())]
    assert world.deltas == []


@pytest.mark.parametrize("kind", ["Users", "Groups"])
def test_r31_a_burst_of_ten_thousand_requests_becomes_few_messages_and_none_waits_a_second(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    world = World()
    world.queues.seconds = 0.01
    slowest: list[float] = []
    bodies = [an_item(f"{kind}/{uuid.UUID(int=number)}") for number in range(10_000)]
    accepted: dict[str, float] = {}

    async def scene(world: World) -> None:
        waiting = iter(bodies)

        async def sender() -> None:
            for item in waiting:
                began = time.monotonic()
                assert (await world.post(item)).status == 202
                accepted[item["resource"].partition("/")[2]] = time.monotonic()
                slowest.append(time.monotonic() - began)

        await asyncio.gather(*(sender() for _ in range(300)))

    began = time.monotonic()
    play(scene, world)

    assert time.monotonic() - began < 10
    assert max(slowest) < 1
    assert len(world.queues.sent) <= 200
    named = {user for delta in world.deltas for user in delta.users}
    assert len(named) < 1_000
    assert all(
        one in named or any(queued <= at < begins for queued, begins in world.queues.sweeps)
        for one, at in accepted.items()
    )
