"""Compare everybody in scope with what is remembered, and queue who differs.

The comparison itself (comparing.py) streams. Who is as remembered costs nothing more; everybody
else is queued by name and decided again from a direct look (R20, R23).
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.core import trouble_texts
from shared.core.messages import SweepOrder, UserDelta, encode_user_delta, pack
from shared.core.model import (
    Connection,
    Cursors,
    EntraUser,
    GroupId,
    HoldMark,
    Link,
    MappingRule,
    Origin,
    RecordType,
    SyncId,
    UserId,
)
from shared.core.rules import version_of
from shared.core.signin_trouble import SIGN_IN_CODES
from shared.errors import TryLater
from shared.ports import (
    BULK,
    LEAVERS,
    Connections,
    Directories,
    Directory,
    Leaving,
    Links,
    Now,
    Queues,
    Rules,
    Runs,
    SweepState,
)
from shared.sync import troubles
from shared.sync.address_reading import ReadAddresses
from shared.sync.approvals import Approvals, is_approved
from shared.sync.comparing import compare_with, unreadable_in
from shared.sync.group_check import PATIENCE, with_groups_now

log = logging.getLogger(__name__)

_PART = 100


@dataclass(slots=True)
class _Queueing:
    """The findings of one run, on their way into the queues."""

    connection: Connection
    sync_id: SyncId
    origin: Origin
    attempt: str
    began: datetime
    queues: Queues
    reading: ReadAddresses
    approved: Mapping[UserId, Leaving]
    parts: int = 0
    waiting: list[UserId] = field(default_factory=list)
    new: list[UserId] = field(default_factory=list)  # without a link, to become contacts
    leaving: list[UserId] = field(default_factory=list)
    together: int = 0  # of the leaving, those who count against the limit (R20)
    index_since: datetime | None = None

    def needs_index(self, since: datetime) -> None:
        """Read BMS's lists, unless this run has done so."""
        if self.index_since is None or self.index_since < since:
            self.reading.since(since)
            self.index_since = since

    def differs(
        self, user_id: UserId, link: Link | None, user: EntraUser | None, rule: MappingRule | None
    ) -> None:
        """Decided from a direct look, with other bulk work."""
        new = link is None and rule is not None and rule.record_type is RecordType.CONTACT
        alike = self.new if new else self.waiting
        alike.append(user_id)
        if len(alike) == _PART:
            self._flush(alike)

    def leaves(self, link: Link, *, counts: bool, kind: str = "deactivate") -> None:
        """Decided from a direct look, all of them together at the end."""
        self.leaving.append(link.user_id)
        approved = is_approved(self.approved, link, kind)
        self.together += int(counts and link.hold is HoldMark.NONE and not approved)

    def kept(self, link: Link) -> None:
        """Nothing to do."""

    def waits(self, link: Link) -> None:
        """Nothing to do."""

    def refused(self, user: EntraUser, reason: str) -> None:
        """Nothing to do yet."""

    def page_read(self, seen: int) -> None:
        """Told per group."""

    def flush(self) -> None:
        """Queue those who wait for it."""
        for alike in (self.waiting, self.new):
            self._flush(alike)

    def _flush(self, alike: list[UserId]) -> None:
        delta = replace(self._delta, unlinked=alike is self.new)
        for one in pack(delta, alike, _PART):
            self._send(BULK, one)
        alike.clear()

    def send_leavers(self) -> None:
        """Together, so that they are counted together before the first is written (R20)."""
        for delta in pack(replace(self._delta, together=self.together), self.leaving):
            self._send(LEAVERS, delta)

    @property
    def _delta(self) -> UserDelta:
        began = self.began
        return UserDelta(self.connection.id, (), self.origin, sync=self.sync_id, index_since=began)

    def _send(self, queue: str, delta: UserDelta) -> None:
        self.parts += 1
        part = f"{self.attempt}-{self.parts:05d}"
        self.queues.send(queue, encode_user_delta(replace(delta, part=part)))


@dataclass(frozen=True)
class FullSync:
    """The use case behind "full" and "rules" orders."""

    connections: Connections
    rules: Rules
    links: Links
    runs: Runs
    state: SweepState
    directories: Directories
    queues: Queues
    reading: ReadAddresses
    approvals: Approvals
    now: Now

    def run(self, order: SweepOrder, sync_id: SyncId, origin: Origin) -> None:
        """Read, compare, queue. Raises SyncError when the reading has to be repeated."""
        connection = self.connections.get(order.connection_id)
        if connection is None or not connection.may_write:
            self.runs.failed(sync_id, self.now(), "The connection is not connected, or is paused.")
            return
        known = self.runs.get(sync_id)
        if known is not None and not known.wants_reading:
            return  # the order came twice, or was queued although its sender heard otherwise
        attempt = uuid.uuid4().hex[:8]
        began = self.now()
        self.runs.started(sync_id, began, attempt)
        directory = self.directories.open(connection)
        self._begin_cursors(connection, directory)
        patient = order.tries < PATIENCE
        rules = self._activate(connection, directory, patient=patient)
        self._track(connection, directory, rules, unreadable_in(rules))
        queueing = _Queueing(
            connection=connection,
            sync_id=sync_id,
            origin=origin,
            attempt=attempt,
            began=began,
            queues=self.queues,
            reading=self.reading,
            approved=self.approvals.of(self._begin_approval(connection, sync_id, origin)),
        )
        comparison = compare_with(connection, rules, self.links, began, queueing)
        for rule in comparison.groups():
            comparison.read(rule, directory)
            self.runs.seen(sync_id, comparison.seen)
        comparison.finish()
        queueing.flush()
        queueing.send_leavers()
        self._note_edit(connection)
        self.runs.all_read(
            sync_id,
            seen=comparison.seen,
            unchanged=comparison.unchanged + comparison.kept,
            parts=queueing.parts,
        )
        troubles.clear_seen(self.connections, connection, SIGN_IN_CODES)
        log.info(
            "full sync read connection=%s seen=%d unchanged=%d parts=%d",
            connection.id,
            comparison.seen,
            comparison.unchanged,
            queueing.parts,
        )

    def _note_edit(self, connection: Connection) -> None:
        """Everybody was compared by the rules as they were edited when this run began (R5)."""
        edited = connection.rules_edited_at
        if edited is None or edited == connection.compared_edit:
            return
        self.connections.update(
            connection.id,
            lambda now: (
                now
                if now.compared_edit is not None and now.compared_edit > edited
                else replace(now, compared_edit=edited)
            ),
        )

    # --- before the reading --------------------------------------------------------------------

    def _begin_cursors(self, connection: Connection, directory: Directory) -> None:
        """Delta links from now on, before the members are read: changes meanwhile are not lost."""
        for _ in range(3):
            cursors = self.state.cursors(connection.id) or Cursors(connection.id)
            if cursors.users_link and cursors.groups_link:
                return
            begun = replace(
                cursors,
                users_link=cursors.users_link or directory.start_cursor("users"),
                groups_link=cursors.groups_link or directory.start_cursor("groups"),
                swept_at=cursors.swept_at or self.now(),
            )
            if self.state.save_cursors(begun):
                return

    def _activate(
        self, connection: Connection, directory: Directory, *, patient: bool
    ) -> list[MappingRule]:
        """Make the edited rules the live ones, with what Entra says of their groups now (R5)."""
        rules = self.rules.edited(connection.id)
        checked = with_groups_now(rules, directory, self.now(), patient=patient)
        for rule, after in zip(rules, checked, strict=True):
            if after != rule and self.rules.get(rule.id) == rule:
                self.rules.put(after)  # unless a person edits it at this moment
        self._refuse_older(connection)
        self.rules.make_live(connection.id, checked)
        self._refuse_older(connection)
        if (version := version_of(checked)) != connection.live_rules:
            self.connections.update(connection.id, lambda now: replace(now, live_rules=version))
        unreadable = unreadable_in(checked)
        if unreadable:
            trouble = trouble_texts.unreadable_groups(sorted(unreadable), self.now())
            troubles.record(self.connections, connection.id, trouble, seen=connection)
        else:
            troubles.clear_seen(self.connections, connection, {trouble_texts.GROUPS})
        return checked

    def _begin_approval(
        self, connection: Connection, sync_id: SyncId, origin: Origin
    ) -> Connection:
        """From now on the approved set is live: what was approved with it counts in this run (R20).

        The run that the edit ordered takes it over from a full sync that came before.
        """

        def begun(now: Connection) -> Connection:
            approval = now.approval
            if approval is None or now.rules_edited_at != connection.rules_edited_at:
                return now
            if approval.sync is not None and origin is not Origin.RULES:
                return now
            return replace(now, approval=replace(approval, sync=sync_id))

        if connection.approval is None:
            return connection
        return self.connections.update(connection.id, begun) or connection

    def _refuse_older(self, connection: Connection) -> None:
        """An older set of rules never replaces a newer one for good.

        Groups may have been slow to read. Whoever wrote last repeats with the newest set, so this
        is asked before and after.
        """
        now = self.connections.get(connection.id)
        if now is None or now.rules_edited_at != connection.rules_edited_at:
            raise TryLater("The rules were edited meanwhile.", counts=False)

    def _track(
        self,
        connection: Connection,
        directory: Directory,
        rules: list[MappingRule],
        unreadable: frozenset[GroupId],
    ) -> None:
        """Which groups' changes concern us: the mapped ones and all that is nested in them."""
        tracked: set[GroupId] = {rule.group_id for rule in rules if rule.enabled}
        for rule in rules:
            if rule.enabled and rule.include_nested and rule.group_id not in unreadable:
                tracked |= directory.nested_groups(rule.group_id)
        for _ in range(5):
            cursors = self.state.cursors(connection.id)
            if cursors is None:
                return
            # A group that was nested once may be restored: it stays in view.
            every = frozenset(tracked | cursors.tracked_groups)
            if every == cursors.tracked_groups:
                return
            if self.state.save_cursors(replace(cursors, tracked_groups=every)):
                return
