"""A person asks for a sync: what has to be there before, and the run that shows its progress."""

from __future__ import annotations

from dataclasses import dataclass, replace

from shared.core.messages import SweepOrder, encode_sweep_order
from shared.core.model import Connection, SyncId, SyncRun, goes_on
from shared.core.standing import standing
from shared.errors import BadInput, SyncError
from shared.ports import (
    SWEEPS,
    BmsSettingsStore,
    Connections,
    NewId,
    Now,
    Queues,
    Rules,
    Runs,
)
from shared.sync.connections import existing
from shared.sync.pacing import Pacing

_LOOK_BACK = 50  # runs of the connection; one that still goes on is among the newest


def must_be_readable(connection: Connection) -> None:
    """BadInput 409 with the reason when Entra may not be asked for this connection now."""
    if not connection.may_read:
        now = standing(connection)
        raise BadInput(
            409, f"The connection is in state {connection.state}: {now.reason} {now.next_step}"
        )


@dataclass(frozen=True, slots=True)
class OrderSync:
    """Orders full syncs and sweeps, and shows how far they are."""

    connections: Connections
    rules: Rules
    runs: Runs
    bms_settings: BmsSettingsStore
    queues: Queues
    pacing: Pacing
    now: Now
    new_id: NewId  # of runs: their ids sort newest first

    def order(self, connection_id: str, kind: str) -> SyncRun:
        """The run, queued; a full sync that goes on already is answered with that one."""
        connection = existing(self.connections, connection_id)
        must_be_readable(connection)
        if kind == "full":
            self._refuse_unless_prepared(connection)
            going_on = self._going_on(connection)
            if going_on is not None:
                return going_on
            self._allow_writing(connection)
        run = SyncRun(
            id=SyncId(self.new_id()),
            connection_id=connection.id,
            kind=kind,
            state="queued",
            requested_at=self.now(),
        )
        self.runs.add(run)
        try:
            order = SweepOrder(connection.id, kind=kind, sync=run.id)
            self.queues.send(SWEEPS, encode_sweep_order(order))
        except SyncError as error:
            # Otherwise it would seem queued for ever, and stand in the way of the next.
            self.runs.failed(run.id, self.now(), f"It could not be queued: {error.sentence}")
            raise
        return run

    def get(self, sync_id: str) -> SyncRun:
        """BadInput 404 when there is none."""
        run = self.runs.get(SyncId(sync_id))
        if run is None:
            raise BadInput(
                404, "There is no sync with this id: see the list of syncs.", field="syncId"
            )
        return replace(run, expected_finish=self.pacing.expected_finish(run))

    def page(
        self, connection_id: str | None, limit: int, cursor: str | None
    ) -> tuple[list[SyncRun], str | None]:
        """Newest first, of one connection or of all."""
        connection = existing(self.connections, connection_id) if connection_id else None
        return self.runs.list(
            connection_id=connection.id if connection else None, limit=limit, cursor=cursor
        )

    def _refuse_unless_prepared(self, connection: Connection) -> None:
        if self.bms_settings.get() is None:
            raise BadInput(409, "BMS is not set up yet: save the BMS settings first.")
        if not any(rule.enabled for rule in self.rules.edited(connection.id)):
            raise BadInput(
                409,
                "The connection has no enabled mapping rule, so nobody would be in scope: add a "
                "mapping rule first.",
            )

    def _going_on(self, connection: Connection) -> SyncRun | None:
        runs, _ = self.runs.list(connection_id=connection.id, limit=_LOOK_BACK)
        for run in runs:
            if run.kind == "full" and goes_on(run, self.now()):
                return run
        return None

    def _allow_writing(self, connection: Connection) -> None:
        """R5: from now on BMS may be written, because a person has asked for it."""
        if connection.first_sync_at is None:
            at = self.now()
            self.connections.update(
                connection.id,
                lambda now: replace(now, first_sync_at=now.first_sync_at or at),
            )
