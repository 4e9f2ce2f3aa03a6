"""R31: what a burst costs, and that a sweep to come covers everything that was answered.

A loop with a clock of its own: when nothing is left to do it jumps to the next timer.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.core.model import ConnectionId, GroupId, UserId
from shared.core.notifications import Hints
from shared.errors import TryLater
from shared.web.bursts import Bursts, Covering

ONE = ConnectionId("one")
OTHER = ConnectionId("other")
BEGAN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class _Jumping(selectors.DefaultSelector):
    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(0)
        if not found and timeout:
            self.now += timeout
        return found


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.jumping = _Jumping()
        super().__init__(self.jumping)

    def time(self) -> float:
        return self.jumping.now


class _AtOnce(Executor):
    def submit(self, work: Callable[..., Any], /, *words: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(work(*words, **named))
        except Exception as error:  # as a pool does
            future.set_exception(error)
        return future


@dataclass
class World:
    """The orders that were queued, with their time."""

    ordered: list[tuple[float, ConnectionId, Covering]] = field(default_factory=list)
    down: bool = False

    def __post_init__(self) -> None:
        self.bursts = Bursts(self._order, _AtOnce)

    def _order(self, connection_id: ConnectionId, covering: Covering) -> None:
        if self.down:
            raise TryLater("The queue is down.")
        self.ordered.append((asyncio.get_event_loop().time(), connection_id, covering))

    async def notify(self, *groups: str, to: ConnectionId = ONE, users: int = 1) -> bool:
        """One request; whether it was covered."""
        if not self.bursts.takes(to, users):
            return False
        named = tuple(GroupId(group) for group in groups)
        await self.bursts.cover(to, Hints((UserId("u"),), (), named, frozenset(), BEGAN, 1, 0, 0))
        return True

    async def storm(self, seconds: float, each: int = 500) -> list[float]:
        """So many a second; the times at which they were covered."""
        loop = asyncio.get_running_loop()
        covered = []
        for _ in range(int(seconds * each)):
            if await self.notify():
                covered.append(loop.time())
            await asyncio.sleep(1 / each)
        return covered


def play(scene: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=_Loop) as runner:
        runner.run(scene)


def test_r21_fifty_changes_a_second_are_no_burst() -> None:
    world = World()

    async def scene() -> None:
        assert await world.storm(60, each=50) == []

    play(scene())
    assert world.ordered == []


def test_r31_whoever_is_answered_in_a_burst_is_covered_by_a_queued_sweep_that_begins_later() -> (
    None
):
    world = World()
    covered: list[float] = []

    async def scene() -> None:
        covered.extend(await world.storm(20))

    play(scene())
    assert len(covered) > 9_000
    spans = [(at, at + order.delay.total_seconds()) for at, _, order in world.ordered]
    assert all(any(at <= when and when + 2 <= begins for at, begins in spans) for when in covered)


def test_r31_a_burst_of_a_minute_orders_few_sweeps() -> None:
    world = World()

    async def scene() -> None:
        await world.storm(60)

    play(scene())
    assert 20 <= len(world.ordered) <= 32


def test_r21_after_a_burst_one_more_sweep_is_ordered_and_changes_are_named_again() -> None:
    world = World()

    async def scene() -> None:
        await world.storm(3)
        await asyncio.sleep(10)
        before = len(world.ordered)
        assert world.ordered[-1][2].delay.total_seconds() == 15
        assert not await world.notify()
        await asyncio.sleep(10)
        assert len(world.ordered) == before

    play(scene())


def test_groups_of_a_burst_are_looked_for_by_name_once_each_time() -> None:
    world = World()

    async def scene() -> None:
        await world.storm(1)
        await world.notify("staff")
        await world.notify("staff")
        await asyncio.sleep(10)

    play(scene())
    assert [order.groups for _, _, order in world.ordered if order.groups] == [("staff",)]


def test_r24_a_burst_of_one_connection_is_none_of_another() -> None:
    world = World()

    async def scene() -> None:
        await world.storm(2)
        assert not await world.notify(to=OTHER)

    play(scene())
    assert {connection for _, connection, _ in world.ordered} == {ONE}


def test_r31_nobody_is_answered_while_no_order_can_be_queued() -> None:
    world = World(down=True)

    async def scene() -> None:
        assert not await world.notify(users=200)
        for _ in range(3):
            with pytest.raises(TryLater):
                await world.notify()
        world.down = False
        assert await world.notify()

    play(scene())
    assert len(world.ordered) == 1


def test_r31_a_queue_that_goes_down_in_a_burst_ends_the_cover_with_the_order() -> None:
    world = World()

    async def scene() -> None:
        assert await world.notify(users=2_000)
        world.down = True
        await asyncio.sleep(2.9)
        with pytest.raises(TryLater):
            await world.notify(users=2_000)

    play(scene())


def test_one_large_body_is_a_burst_by_itself() -> None:
    world = World()

    async def scene() -> None:
        assert not await world.notify(users=1_000)
        assert await world.notify(users=1_001, to=OTHER)

    play(scene())
