"""What happened: activity, full-sync runs and failures in the tables.

Row keys count backwards in time, so that a plain query answers newest first.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from shared.adapters.store_connections import stamp, when
from shared.adapters.store_traces import trace_of, trace_text
from shared.adapters.tables import Entity, Storage, Write, joined, pieces
from shared.core.model import (
    Activity,
    ConnectionId,
    FieldChange,
    RecordId,
    RuleId,
    SyncId,
    SyncRun,
    UserId,
)
from shared.errors import BadInput
from shared.ports import Failure, Now, Part

_END = 9_999_999_999_999  # milliseconds; the year 2286
_FAR_DAY = 99_999_999
_FEW_LINES = 12


def backwards(at: datetime) -> str:
    """A key that sorts newest first, unique enough for one moment."""
    return f"{_END - int(at.timestamp() * 1000):013d}-{secrets.token_hex(4)}"


def day_key(at: datetime) -> str:
    """The partition of a day; later days come first."""
    return str(_FAR_DAY - int(at.astimezone(UTC).strftime("%Y%m%d")))


class TableActivityLog:
    """ports.ActivityLog. One partition a day."""

    def __init__(self, storage: Storage) -> None:
        self._table = storage.table("activity")

    def add(self, items: Sequence[Activity]) -> None:
        by_day: dict[str, list[Write]] = {}
        for item in items:
            entity = _activity_entity(item)
            by_day.setdefault(entity["PartitionKey"], []).append(Write(entity))
        for writes in by_day.values():
            self._table.write_all(writes)

    def list(
        self,
        *,
        connection_id: ConnectionId | None = None,
        user_id: UserId | None = None,
        kind: str | None = None,
        since: datetime | None = None,
        sync_id: SyncId | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> tuple[list[Activity], str | None]:
        clauses: list[str] = []
        parameters: dict[str, Any] = {}
        for column, value in (
            ("connectionId", connection_id),
            ("userId", user_id),
            ("kind", kind),
            ("syncId", sync_id),
        ):
            if value:
                clauses.append(f"{column} eq @{column}")
                parameters[column] = value
        if since is not None:
            clauses.append("PartitionKey le @day and RowKey lt @since")
            parameters["day"] = day_key(since)
            parameters["since"] = f"{_END - int(since.timestamp() * 1000):013d}~"
        if cursor is not None:
            day, slash, row = cursor.partition("/")
            if not (slash and day.isdigit() and row):
                raise BadInput(400, "This cursor is not one that a list gave out.", field="cursor")
            clauses.append("PartitionKey ge @fromDay and RowKey gt @fromRow")
            parameters |= {"fromDay": day, "fromRow": row}
        found: list[Activity] = []
        pages = self._table.pages(
            " and ".join(clauses), parameters=parameters, page=min(1000, limit + 1)
        )
        last = ""
        for entities, _ in pages:
            for entity in entities:
                if len(found) == limit:
                    return found, last
                found.append(_activity(entity))
                last = f"{entity['PartitionKey']}/{entity['RowKey']}"
        return found, None

    def users_of(self, sync_id: SyncId, since: datetime) -> Iterator[Sequence[tuple[UserId, str]]]:
        pages = self._table.pages(
            "PartitionKey le @day and syncId eq @sync",
            parameters={"day": day_key(since), "sync": sync_id},
            select=["PartitionKey", "RowKey", "userId"],
        )
        for entities, _ in pages:
            yield [
                (UserId(entity["userId"]), _id(entity)) for entity in entities if entity["userId"]
            ]

    def get_many(self, ids: Sequence[str]) -> Sequence[Activity]:
        return [_activity(entity) for entity in self._entities(ids)]

    def mark_undone(self, ids: Sequence[str], by: SyncId) -> None:
        by_day: dict[str, list[Write]] = {}
        for entity in self._entities(ids):
            if entity.get("undoneBy"):
                continue
            etag = str(entity.pop("etag"))
            marked = Write({**entity, "undoneBy": by}, etag=etag)
            by_day.setdefault(entity["PartitionKey"], []).append(marked)
        for writes in by_day.values():
            self._table.write_all(writes)

    def _entities(self, ids: Sequence[str]) -> Iterator[Entity]:
        by_day: dict[str, set[str]] = {}
        for one in ids:
            day, _, row = one.partition("-")
            by_day.setdefault(day, set()).add(row)
        for day, sought in by_day.items():
            rows = sorted(sought)
            # Neighbours, so that a query reads a small stretch of the day; the service takes at
            # most 15 comparisons in a filter, three of which are the stretch itself.
            for start in range(0, len(rows), _FEW_LINES):
                some = rows[start : start + _FEW_LINES]
                names = {f"r{index}": row for index, row in enumerate(some)}
                either = " or ".join(f"RowKey eq @{name}" for name in names)
                yield from self._table.query(
                    f"PartitionKey eq @d and RowKey ge @lo and RowKey le @hi and ( {either} )",
                    parameters={"d": day, "lo": some[0], "hi": some[-1], **names},
                )


def _id(entity: Entity) -> str:
    return f"{entity['PartitionKey']}-{entity['RowKey']}"


def _activity_entity(item: Activity) -> Entity:
    return {
        "PartitionKey": day_key(item.at),
        "RowKey": backwards(item.at),
        "at": stamp(item.at),
        "connectionId": item.connection_id,
        "kind": item.kind,
        "reason": item.reason,
        "origin": item.origin,
        "userId": item.user_id or "",
        "displayName": item.display_name,
        "recordId": item.record_id if item.record_id is not None else -1,
        "ruleId": item.rule_id or "",
        "changes": json.dumps(
            [[one.field, one.old, one.new] for one in item.changes], ensure_ascii=False
        ),
        "notes": json.dumps(list(item.notes), ensure_ascii=False),
        "signalAt": stamp(item.signal_at),
        "upperBound": item.signal_is_upper_bound,
        "correlationId": item.correlation_id,
        "syncId": item.sync_id or "",
        "trace": trace_text(item.trace),
        "undoneBy": item.undone_by,
    }


def _activity(entity: Entity) -> Activity:
    record = int(entity["recordId"])
    return Activity(
        at=datetime.fromisoformat(entity["at"]),
        connection_id=ConnectionId(entity["connectionId"]),
        kind=entity["kind"],
        reason=entity["reason"],
        origin=entity["origin"],
        user_id=UserId(entity["userId"]) if entity["userId"] else None,
        display_name=entity["displayName"],
        record_id=RecordId(record) if record >= 0 else None,
        rule_id=RuleId(entity["ruleId"]) if entity["ruleId"] else None,
        changes=tuple(FieldChange(*one) for one in json.loads(entity["changes"])),
        notes=tuple(json.loads(entity["notes"])),
        signal_at=when(entity["signalAt"]),
        signal_is_upper_bound=bool(entity["upperBound"]),
        correlation_id=entity.get("correlationId", ""),
        sync_id=SyncId(entity["syncId"]) if entity.get("syncId") else None,
        trace=trace_of(entity.get("trace", "")),
        undone_by=entity.get("undoneBy", ""),
        id=_id(entity),
    )


class TableRuns:
    """ports.Runs. The run is one entity; each of its parts is another, in the run's own partition.

    A part is written once for all by whoever finishes it, so a message that arrives twice does not
    count twice. When every part is finished the sums are kept on the run itself.
    """

    def __init__(self, storage: Storage, now: Now) -> None:
        self._table = storage.table("syncs")
        self._now = now

    def add(self, run: SyncRun) -> None:
        self._table.write(Write(_run_entity(run), etag=""))

    def get(self, sync_id: SyncId) -> SyncRun | None:
        entity = self._table.get("run", sync_id)
        return self._with_parts(entity) if entity else None

    def list(
        self,
        *,
        connection_id: ConnectionId | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> tuple[list[SyncRun], str | None]:
        query = "PartitionKey eq 'run'"
        parameters: dict[str, str] = {}
        if connection_id:
            query += " and connectionId eq @c"
            parameters["c"] = connection_id
        if cursor:
            query += " and RowKey gt @after"
            parameters["after"] = cursor
        found: list[SyncRun] = []
        for entities, _ in self._table.pages(query, parameters=parameters):
            for entity in entities:
                if len(found) == limit:
                    return found, found[-1].id
                found.append(self._with_parts(entity))
        return found, None

    def started(self, sync_id: SyncId, at: datetime, attempt: str) -> None:
        self._change(
            sync_id,
            {
                "state": "running",
                "startedAt": stamp(at),
                "finishedAt": "",
                "attempt": attempt,
                "parts": -1,
                "seen": 0,
            },
        )

    def seen(self, sync_id: SyncId, seen: int) -> None:
        self._change(sync_id, {"seen": seen})

    def all_read(self, sync_id: SyncId, *, seen: int, unchanged: int, parts: int) -> None:
        changes: dict[str, Any] = {"seen": seen, "unchanged": unchanged, "parts": parts}
        if parts == 0:
            changes |= {"state": "done", "finishedAt": stamp(self._now()), "done": unchanged}
        self._change(sync_id, changes)

    def failed(self, sync_id: SyncId, at: datetime, reason: str) -> None:
        self._change(sync_id, {"state": "failed", "finishedAt": stamp(at), "reason": reason})

    def part(self, part: Part) -> None:
        self._table.write(
            Write(
                {
                    "PartitionKey": part.sync_id,
                    "RowKey": part.part,
                    "done": part.done,
                    "failed": part.failed,
                    "waiting": part.waiting_for_budget,
                    "finished": part.finished,
                    "at": stamp(part.finished_at),
                }
            )
        )

    def _change(self, sync_id: SyncId, changes: dict[str, Any]) -> None:
        for _ in range(8):
            entity = self._table.get("run", sync_id)
            if entity is None:
                return
            etag = entity.pop("etag")
            if self._table.write(Write({**entity, **changes}, etag=etag)) is not None:
                return

    def _with_parts(self, entity: Entity) -> SyncRun:
        run = _run(entity)
        if run.state in ("done", "failed", "queued") or entity["parts"] < 0:
            return run
        attempt = entity["attempt"]
        parts = list(
            self._table.query(
                "PartitionKey eq @p and RowKey ge @lo and RowKey lt @hi",
                parameters={"p": run.id, "lo": f"{attempt}-", "hi": f"{attempt}."},
            )
        )
        done = int(entity["unchanged"]) + sum(int(one["done"]) for one in parts)
        failed = sum(int(one["failed"]) for one in parts)
        waiting = sum(int(one["waiting"]) for one in parts if not one["finished"])
        finished = [one for one in parts if one["finished"]]
        run = replace(run, done=done, failed=failed, waiting_for_budget=waiting)
        if len(finished) >= int(entity["parts"]):
            last = max((one["at"] for one in finished), default=stamp(self._now()))
            final = replace(run, state="done", finished_at=when(last), waiting_for_budget=0)
            self._change(
                run.id, {"state": "done", "finishedAt": last, "done": done, "failed": failed}
            )
            return final
        if waiting:
            run = replace(run, state="waiting")
        return run


def _run_entity(run: SyncRun) -> Entity:
    return {
        "PartitionKey": "run",
        "RowKey": run.id,
        "connectionId": run.connection_id,
        "kind": run.kind,
        "state": run.state,
        "requestedAt": stamp(run.requested_at),
        "reason": run.reason,
        "startedAt": stamp(run.started_at),
        "finishedAt": stamp(run.finished_at),
        "seen": run.seen,
        "unchanged": 0,
        "parts": -1,
        "attempt": "",
        "done": run.done,
        "failed": run.failed,
        "undoes": run.undoes,
    }


def _run(entity: Entity) -> SyncRun:
    return SyncRun(
        id=SyncId(entity["RowKey"]),
        connection_id=ConnectionId(entity["connectionId"]),
        kind=entity["kind"],
        state=entity["state"],
        requested_at=datetime.fromisoformat(entity["requestedAt"]),
        reason=entity["reason"],
        started_at=when(entity["startedAt"]),
        finished_at=when(entity["finishedAt"]),
        seen=int(entity["seen"]),
        done=int(entity["done"]),
        failed=int(entity["failed"]),
        all_read=int(entity.get("parts", -1)) >= 0,
        undoes=entity.get("undoes", ""),
    )


class TableFailures:
    """ports.Failures."""

    def __init__(self, storage: Storage) -> None:
        self._table = storage.table("failures")

    def add(self, *failures: Failure) -> None:
        self._table.write_all([Write(_failure_entity(failure)) for failure in failures])

    def get(self, failure_id: str) -> Failure | None:
        entity = self._table.get("failure", failure_id)
        return _failure(entity) if entity else None

    def remove(self, failure_ids: Sequence[str]) -> None:
        self._table.write_all(
            [
                Write({"PartitionKey": "failure", "RowKey": one}, delete=True)
                for one in dict.fromkeys(failure_ids)
            ]
        )

    def count(self) -> int:
        return sum(1 for _ in self._rows(["RowKey"]))

    def list(self) -> list[Failure]:
        found = [_failure(entity) for entity in self._rows(None)]
        return sorted(found, key=lambda one: one.at, reverse=True)

    def _rows(self, select: Sequence[str] | None) -> Any:
        return self._table.query("PartitionKey eq 'failure'", select=select)


def _failure_entity(failure: Failure) -> Entity:
    return {
        "PartitionKey": "failure",
        "RowKey": failure.id,
        "connectionId": failure.connection_id,
        "at": stamp(failure.at),
        "cause": failure.cause,
        "sentence": failure.sentence,
        "nextStep": failure.next_step,
        **pieces("message", failure.message),
        "queue": failure.queue,
        "userId": failure.user_id or "",
    }


def _failure(entity: Entity) -> Failure:
    return Failure(
        id=entity["RowKey"],
        connection_id=ConnectionId(entity["connectionId"]),
        at=datetime.fromisoformat(entity["at"]),
        cause=entity["cause"],
        sentence=entity["sentence"],
        next_step=entity["nextStep"],
        message=joined(entity, "message"),
        queue=entity["queue"],
        user_id=UserId(entity["userId"]) if entity.get("userId") else None,
    )
