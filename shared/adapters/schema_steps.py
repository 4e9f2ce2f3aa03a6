"""The steps from one version of the tables to the next.

A step only adds what is lacking, under the etag of what it read, and may run any number of times,
beside others and beside the app at work. It yields after each page of work.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence

from shared.adapters.store_connections import TableRules
from shared.adapters.tables import Entity, Storage, Table, Write
from shared.core.model import ConnectionId
from shared.core.rules import version_of
from shared.errors import TryLater

_TRIES = 8
_LEAVERS = "leavers"  # the trouble of too many leavers (R20)

# An entity as it ought to be; None when it is so already.
Completion = Callable[[Entity], Entity | None]


def to_version_2(storage: Storage) -> Iterator[None]:
    """Holds, remembered choices and the version of the live rules (R5, R9, R20)."""
    yield from _conflicts(storage)
    yield from _links(storage)
    yield from _connections(storage)


def _conflicts(storage: Storage) -> Iterator[None]:
    """A conflict has a state and room for a person's choice."""
    lacking = {"state": "open", "chosen": -1, "create": False, "ignore": False}

    def completion(entity: Entity) -> Entity | None:
        return None if lacking.keys() <= entity.keys() else {**lacking, **entity}

    yield from _complete(storage.table("conflicts"), "", completion)


def _links(storage: Storage) -> Iterator[None]:
    """A link says whether a hold or a conflict of its user waits for a person.

    The conflict matters: a full sync looks again at whom the link says it of, record or not.
    """
    waiting = {
        (entity["PartitionKey"], entity["RowKey"])
        for entity in storage.table("conflicts").query("state eq 'open'")
    }
    yield

    def completion(entity: Entity) -> Entity | None:
        lacking = {
            "hold": "",
            "inConflict": (entity["PartitionKey"], entity["RowKey"]) in waiting,
        }
        return None if lacking.keys() <= entity.keys() else {**lacking, **entity}

    yield from _complete(storage.table("links"), "", completion)


def _connections(storage: Storage) -> Iterator[None]:
    """A connection names the version of its live rules, so that they are not read every time.

    Too many leavers used to stop with a trouble that only a full sync could end; now they wait in
    a hold. Where there is none, everybody is compared once more, which makes one or finds that
    the people are back.
    """
    rules = TableRules(storage)
    holds = storage.table("holds")

    def completion(entity: Entity) -> Entity | None:
        if {"liveRules", "comparedEdit", "resumedAt"} <= entity.keys():
            return None
        connection_id = ConnectionId(entity["RowKey"])
        live = rules.live(connection_id)
        after = {"comparedEdit": "", "resumedAt": "", **entity}
        after["liveRules"] = version_of(live) if live else ""
        troubles = json.loads(entity["troubles"])
        others = [trouble for trouble in troubles if trouble["code"] != _LEAVERS]
        open_holds = holds.query(
            "PartitionKey eq @p and state eq 'open'", parameters={"p": connection_id}
        )
        if len(others) < len(troubles) and next(open_holds, None) is None:
            after["troubles"] = json.dumps(others)
            # An edit of the rules that nobody was compared by yet: the timer orders it (R5).
            after["comparedEdit"] = ""
            after["rulesEditedAt"] = entity["rulesEditedAt"] or entity["createdAt"]
        return after

    yield from _complete(storage.table("connections"), "", completion)


def _complete(table: Table, query: str, completion: Completion) -> Iterator[None]:
    """Write what is lacking, page by page; what lost its race is read and looked at again."""
    for entities, _ in table.pages(query):
        by_partition: dict[str, list[Entity]] = {}
        for entity in entities:
            by_partition.setdefault(entity["PartitionKey"], []).append(entity)
        for some in by_partition.values():
            left: Sequence[Entity] = some
            for _ in range(_TRIES):
                left = _write(table, left, completion)
                if not left:
                    break
            else:
                raise TryLater("The tables are being changed by many at the same time.")
        yield


def _write(table: Table, entities: Sequence[Entity], completion: Completion) -> list[Entity]:
    """Complete these of one partition; answers, read again, those that others wrote meanwhile."""
    writes: list[Write] = []
    for entity in entities:
        after = completion(entity)
        if after is not None:
            etag = str(after.pop("etag"))
            writes.append(Write(after, etag=etag))
    done = table.write_all(writes) if writes else {}
    lost = [write.entity for index, write in enumerate(writes) if index not in done]
    again = [table.get(entity["PartitionKey"], entity["RowKey"]) for entity in lost]
    return [entity for entity in again if entity is not None]
