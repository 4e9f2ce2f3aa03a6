"""A person takes back one decision, or all that a sync wrote; and reads what became of it.

A single decision is undone while the person waits; where something passing is in the way, it goes
to the queue. A whole sync is gathered from the activity first and then worked off in parts, in the
bulk lane, by a run of its own.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.core.messages import SweepOrder, UserDelta, encode_sweep_order, encode_user_delta
from shared.core.model import (
    Connection,
    Origin,
    SyncId,
    SyncRun,
    UserId,
    goes_on,
)
from shared.core.standing import standing
from shared.core.undo import undo_step
from shared.errors import BadInput, SyncError
from shared.ports import (
    BULK,
    FRESH,
    SWEEPS,
    ActivityLog,
    Connections,
    Links,
    NewId,
    Now,
    Queues,
    Runs,
    UndoOutcome,
    UndoOutcomes,
)
from shared.sync.connections import existing
from shared.sync.undo_one import not_undone

_LOOK_BACK = 50  # runs of the connection; an undo that still goes on is among the newest
_USERS, _LINES = 100, 500  # of one message

# Works off one message now, as the queue would; what cannot be done yet goes to that queue.
HandleNow = Callable[[UserDelta, str], None]


@dataclass(frozen=True, slots=True)
class UndoReport:
    """How far an undo is, and a page of what became of it. No run: there was nothing to do."""

    state: str  # "running" | "done" | "failed"
    run: SyncRun | None
    outcomes: Sequence[UndoOutcome] = ()
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class OrderUndo:
    """The use cases behind the undo buttons."""

    connections: Connections
    links: Links
    runs: Runs
    log: ActivityLog
    outcomes: UndoOutcomes
    queues: Queues
    handle_now: HandleNow
    now: Now
    new_id: NewId  # of runs: their ids sort newest first

    def activity(self, activity_id: str) -> UndoReport:
        """Undo this line now. BadInput 404 when there is none, 409 when nothing may be written."""
        lines = self.log.get_many([activity_id])
        if not lines:
            raise BadInput(404, "There is no line of the activity with this id: see the activity.")
        line = lines[0]
        user = line.user_id or UserId("")
        link = self.links.get(line.connection_id, user) if user else None
        refusal = undo_step(line, link)
        if isinstance(refusal, str):
            return UndoReport("done", None, [not_undone(line, refusal)])
        connection = self._writable(line.connection_id)
        run = self._add(connection, line.id)
        attempt = uuid.uuid4().hex[:8]
        self.runs.started(run.id, self.now(), attempt)
        self.runs.all_read(run.id, seen=1, unchanged=0, parts=1)
        delta = UserDelta(
            connection.id,
            (user,),
            Origin.PERSON,
            signal_at=self.now(),
            sync=run.id,
            part=f"{attempt}-00001",
            lines=(line.id,),
        )
        self.handle_now(delta, FRESH)
        return self.report(run.id, limit=100, cursor=None)

    def sync(self, sync_id: str) -> UndoReport:
        """Order the undo of all that this sync wrote; one that goes on already is answered."""
        target = self.runs.get(SyncId(sync_id))
        if target is None:
            raise BadInput(404, "There is no sync with this id: see the list of syncs.")
        if target.kind == "sweep":
            raise BadInput(
                409,
                "A sweep only reads; what followed from it is decided person by person: undo the "
                "lines of the activity one by one.",
            )
        if goes_on(target, self.now()):
            raise BadInput(409, "This sync is still running: undo it when it is done.")
        connection = self._writable(target.connection_id)
        known, _ = self.runs.list(connection_id=connection.id, limit=_LOOK_BACK)
        for run in known:
            if run.undoes == target.id and goes_on(run, self.now()):
                return UndoReport("running", run)
        run = self._add(connection, target.id)
        try:
            order = SweepOrder(connection.id, "undo", sync=run.id, undoes=target.id)
            self.queues.send(SWEEPS, encode_sweep_order(order))
        except SyncError as error:
            self.runs.failed(run.id, self.now(), f"It could not be queued: {error.sentence}")
            raise
        return UndoReport("running", run)

    def report(self, sync_id: str, *, limit: int, cursor: str | None) -> UndoReport:
        """What became of an undo so far, newest line first."""
        run = self.runs.get(SyncId(sync_id))
        if run is None or run.kind != "undo":
            raise BadInput(404, "There is no undo with this id: see the list of syncs.")
        found, after = self.outcomes.list(run.id, limit=limit, cursor=cursor)
        state = run.state if run.state in ("done", "failed") else "running"
        return UndoReport(state, run, found, after)

    def _writable(self, connection_id: str) -> Connection:
        connection = existing(self.connections, connection_id)
        if not connection.may_write:
            why = standing(connection)
            raise BadInput(
                409,
                f"Nothing is written to BMS for this connection now, so nothing can be undone: "
                f"{why.reason} {why.next_step}",
            )
        return connection

    def _add(self, connection: Connection, undoes: str) -> SyncRun:
        run = SyncRun(
            id=SyncId(self.new_id()),
            connection_id=connection.id,
            kind="undo",
            state="queued",
            requested_at=self.now(),
            undoes=undoes,
        )
        self.runs.add(run)
        return run


@dataclass(frozen=True, slots=True)
class GatherUndo:
    """From the order to undo a sync to messages that name its lines."""

    runs: Runs
    log: ActivityLog
    queues: Queues
    now: Now

    def run(self, order: SweepOrder) -> None:
        """Queue every line of the sync; a user's lines stay together."""
        if order.sync is None or order.undoes is None:
            return
        run, target = self.runs.get(order.sync), self.runs.get(order.undoes)
        if run is None or not run.wants_reading:
            return  # the order came twice
        if target is None:
            self.runs.failed(run.id, self.now(), "The sync to be undone is no longer known.")
            return
        attempt = uuid.uuid4().hex[:8]
        self.runs.started(run.id, self.now(), attempt)
        lines: dict[UserId, list[str]] = {}
        for page in self.log.users_of(target.id, target.requested_at):
            for user, line in page:
                lines.setdefault(user, []).append(line)
        delta = UserDelta(
            order.connection_id, (), Origin.PERSON, signal_at=run.requested_at, sync=run.id
        )
        parts = 0
        for some in _parts(lines):
            parts += 1
            message = UserDelta(
                delta.connection_id,
                tuple(some),
                delta.origin,
                signal_at=delta.signal_at,
                sync=delta.sync,
                part=f"{attempt}-{parts:05d}",
                lines=tuple(line for user in some for line in lines[user]),
            )
            self.queues.send(BULK, encode_user_delta(message))
        self.runs.all_read(run.id, seen=len(lines), unchanged=0, parts=parts)


def _parts(lines: dict[UserId, list[str]]) -> Sequence[Sequence[UserId]]:
    parts: list[list[UserId]] = [[]]
    count = 0
    for user, of_user in lines.items():
        if parts[-1] and (len(parts[-1]) == _USERS or count + len(of_user) > _LINES):
            parts.append([])
            count = 0
        parts[-1].append(user)
        count += len(of_user)
    return [part for part in parts if part]
