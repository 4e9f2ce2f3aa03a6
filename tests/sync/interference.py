"""Interference with a worker: it dies at a chosen call, or another one runs right then."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.core.messages import UserDelta
from shared.core.model import EntraUser, LinkState, Origin, RecordId, RecordType
from shared.ports import FRESH
from tests.builders import CONNECTION
from tests.sync.world import Died, Tap, Worker, World

ADDRESS = "ada@contoso.example"
CREATING = [
    "index.begin_reading",
    "index.finish_reading",
    "links.save",
    "index.change",
    "bms.create_contact",
    "bms.patch_contact",
    "index.put",
    "owners.take_new",
    "log.add",
]


def of(*users: EntraUser, origin: Origin = Origin.SWEEP) -> UserDelta:
    return UserDelta(CONNECTION, tuple(user.id for user in users), origin)


def at_the_same_time(*jobs: Callable[[], None]) -> None:
    ready = threading.Barrier(len(jobs))

    def run(job: Callable[[], None]) -> None:
        ready.wait()
        job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        list(pool.map(run, jobs))


def on(call: str, when: str, then: Callable[[], None], *, nth: int = 1) -> Tap:
    """A tap that does something once, at the n-th such call."""
    left = [nth]

    def tap(seen: str, at: str) -> None:
        if (seen, at) == (call, when):
            left[0] -= 1
            if left[0] == 0:
                then()

    return tap


def calls_of(world: World, name: str) -> list[str]:
    """Every call of this name that the worker makes from now on."""
    calls: list[str] = []

    def tap(call: str, at: str) -> None:
        if (call, at) == (name, "before"):
            calls.append(call)

    world.worker.tap = tap
    return calls


def dies(world: World, delta: UserDelta, call: str, when: str = "after", *, nth: int = 1) -> None:
    """A worker of its own takes this message and dies at the n-th such call."""

    def die() -> None:
        raise Died

    victim = Worker(world)
    victim.tap = on(call, when, die, nth=nth)
    with pytest.raises(Died):
        victim.apply.handle(delta, FRESH)


def settled(world: World, *users: EntraUser) -> None:
    """One contact, linked to one of the users; the others know that a person must choose."""
    (contact,) = world.contacts(ADDRESS)
    links = {user.id: world.link(user) for user in users}
    holders = [link for link in links.values() if link and link.record_id == contact.id]
    assert len(holders) == 1, links
    assert (holders[0].state, holders[0].claim) == (LinkState.ACTIVE, None)
    for link in links.values():
        if link is not holders[0]:
            assert link is not None
            assert (link.state, link.record_id) == (LinkState.CONFLICT, None)
    waiting = {conflict.user_id for conflict in world.worker.conflicts.list(CONNECTION)}
    assert waiting == {user.id for user in users} - {holders[0].user_id}
    owners = world.worker.owners.get_many(RecordType.CONTACT, [RecordId(contact.id)])
    assert owners[RecordId(contact.id)].user_id == holders[0].user_id
    entry = world.worker.index.get_many([ADDRESS])[ADDRESS]
    assert [known.record_id for known in entry.known] == [contact.id]
    holder = next(user for user in users if user.id == holders[0].user_id)
    assert contact.is_active
    assert contact.first_name == holder.given_name
    if holder.job_title:
        assert contact.job_title == holder.job_title
