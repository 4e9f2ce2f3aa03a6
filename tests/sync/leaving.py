"""People who leave in numbers, and what the holds show of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from shared.core.model import EntraUser, HoldLimit, HoldMark
from shared.ports import Hold
from tests.builders import CONNECTION
from tests.sync.world import World

DAY = timedelta(days=1)


def staff(world: World, count: int, prefix: str = "u") -> list[EntraUser]:
    """So many linked people."""
    people = [world.hire(f"{prefix}{number:03d}") for number in range(count)]
    world.sync(*people)
    return people


def gone(world: World, people: Sequence[EntraUser]) -> None:
    for user in people:
        world.leave(user)


def held(world: World, count: int = 8) -> tuple[list[EntraUser], Hold]:
    """People who have all left, and the hold that they wait in."""
    people = staff(world, count)
    gone(world, people)
    world.sync(*people)
    return people, the_hold(world)


def the_hold(world: World, state: str = "open") -> Hold:
    (hold,) = world.worker.holds.list(connection_id=CONNECTION, state=state)
    return hold


def listed(world: World, *, state: str = "waiting") -> list[str]:
    """Whom the holds show in this state, over all of them."""
    holds = world.worker.holds.list(connection_id=CONNECTION)
    people = [one for hold in holds for one in world.worker.holds.people(hold)]
    return sorted(one.user_id for one in people if one.state == state)


def ids(people: Sequence[EntraUser]) -> list[str]:
    return sorted(user.id for user in people)


def active(world: World) -> int:
    return len(world.bms.contacts(is_active=True))


def mark(world: World, user: EntraUser) -> HoldMark:
    link = world.link(user)
    assert link is not None
    return link.hold


def limited(world: World, limit: HoldLimit) -> None:
    world.worker.connections.update(CONNECTION, lambda now: replace(now, hold_limit=limit))
