"""Explaining and checking in the world of the sync's tests, and what they must leave alone."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from shared.sync.approvals import Approvals
from shared.sync.explain import Explain
from shared.sync.rehearsing import Rehearsing, Stores
from shared.sync.waits_for_person import WaitsForPerson
from shared.sync.who_is_meant import WhoIsMeant
from shared.web.api.explain import shown
from tests.builders import CONNECTION
from tests.sync.world import WRITES, World


def explain_of(world: World) -> Explain:
    """The use case over the worker's stores."""
    worker = world.worker
    stores = Stores(
        connections=worker.connections,
        rules=worker.rules,
        links=worker.links,
        owners=worker.owners,
        conflicts=worker.conflicts,
        holds=worker.holds,
        windows=worker.windows,
        index=worker.index,
        defaults=worker.defaults,
        worklist=worker.worklist,
        bms_settings=world.bms_settings,
        directories=world.directories,
        approvals=Approvals(worker.previews, worker.runs, world.clock),
        bms=worker.bms,
    )
    return Explain(
        Rehearsing(stores, world.clock),
        WhoIsMeant(world.directories, worker.links),
        WaitsForPerson(worker.holds, worker.conflicts, worker.failures, worker.worklist),
        worker.log,
    )


def explained(world: World, text: str) -> dict[str, Any]:
    """The reply of the API; fails when anything was written on the way."""
    wrote: list[str] = []

    def told(call: str, when: str) -> None:
        if call in WRITES or call.endswith((".put", ".update", ".save", ".add", ".make_live")):
            wrote.append(call)

    before, sent = world.worker.tap, len(world.inbox.waiting)
    world.worker.tap = told
    try:
        said = explain_of(world).explain(CONNECTION, text)
    finally:
        world.worker.tap = before
    assert not wrote, f"an explanation writes nothing, but: {wrote}"
    assert len(world.inbox.waiting) == sent
    return cast(dict[str, Any], msgspec.to_builtins(shown(said)))


def fields(said: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The fields by name."""
    return {one["field"]: one for one in said["fields"]}
