"""Compare everybody in scope with what is remembered, while the group members stream by.

Groups are read in the order of their rules, so the first rule that takes a user is the one that
wins. Who is as remembered costs nothing more; everybody else is queued by name and decided again
from a direct look. Who is remembered but was not seen is a leaver only once every group was read to
its end (R20, R23): a page that is missing stops the run before anybody is missed.
"""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.core import trouble_texts
from shared.core.decision import NO_ADDRESS, NO_NAME, Nothing, Seek, first_step
from shared.core.digest import LinkDigests, id_bytes
from shared.core.fields import wanted_contact
from shared.core.messages import SweepOrder, UserDelta, encode_user_delta, pack
from shared.core.model import (
    Connection,
    Cursors,
    EntraUser,
    GroupId,
    GroupState,
    HoldMark,
    Link,
    LinkState,
    MappingRule,
    Origin,
    RecordType,
    RuleId,
    SyncId,
    UserId,
)
from shared.core.rules import Placement, in_order, refusal, version_of
from shared.core.signin_trouble import SIGN_IN_CODES
from shared.core.worklist import ItemKind, kind_of
from shared.errors import SyncError, TryLater
from shared.ports import (
    BULK,
    LEAVERS,
    Connections,
    Directories,
    Directory,
    Links,
    Now,
    Queues,
    Rules,
    Runs,
    SweepState,
)
from shared.sync import troubles
from shared.sync.address_reading import ReadAddresses
from shared.sync.group_check import with_group, without_group

log = logging.getLogger(__name__)

_PART = 100
_GROUP_WAIT = timedelta(seconds=3)
_PATIENCE = 3  # tries before a missing group is believed
# A person's unsettled conflict is looked at again with an index of at most this age.
_CONFLICT_AGE = timedelta(minutes=10)


@dataclass(slots=True)
class _Run:
    """One full sync under way."""

    connection: Connection
    sync_id: SyncId
    origin: Origin
    attempt: str
    began: datetime
    rules: list[MappingRule]
    digests: LinkDigests
    unreadable: frozenset[GroupId] = frozenset()
    unknown: frozenset[RuleId] = frozenset()  # the rules of these groups
    gone: frozenset[RuleId] = frozenset()  # whose groups are gone for good, it seems
    placed: set[bytes] = field(default_factory=set)
    refused: dict[UserId, Placement] = field(default_factory=dict)
    seen: int = 0
    unchanged: int = 0
    parts: int = 0
    waiting: list[UserId] = field(default_factory=list)
    leaving: list[UserId] = field(default_factory=list)
    together: int = 0  # of the leaving, those who count against the limit (R20)
    index_since: datetime | None = None


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
        rules, unreadable = self._activate(connection, directory, patient=order.tries < _PATIENCE)
        self._track(connection, directory, rules, unreadable)
        run = _Run(
            connection=connection,
            sync_id=sync_id,
            origin=origin,
            attempt=attempt,
            began=began,
            rules=[rule for rule in rules if rule.enabled],
            digests=self._remembered(connection),
            unreadable=unreadable,
            unknown=frozenset(
                rule.id
                for rule in rules
                if rule.group_id in unreadable and not rule.group_gone_twice
            ),
            gone=frozenset(rule.id for rule in rules if rule.group_gone_twice),
        )
        self._compare_members(run, directory)
        self._compare_the_rest(run)
        self._flush(run)
        self._note_edit(connection)
        self.runs.all_read(sync_id, seen=run.seen, unchanged=run.unchanged, parts=run.parts)
        troubles.clear_seen(self.connections, connection, SIGN_IN_CODES)
        log.info(
            "full sync read connection=%s seen=%d unchanged=%d parts=%d",
            connection.id,
            run.seen,
            run.unchanged,
            run.parts,
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
    ) -> tuple[list[MappingRule], frozenset[GroupId]]:
        """Make the edited rules the live ones, with what Entra says of their groups now (R5)."""
        rules = self.rules.edited(connection.id)
        found = directory.groups(sorted({rule.group_id for rule in rules})) if rules else {}
        checked: list[MappingRule] = []
        for rule in rules:
            group = found.get(rule.group_id)
            if isinstance(group, TryLater):
                raise group
            if isinstance(group, SyncError):
                after = replace(
                    rule,
                    group_state=GroupState.UNREADABLE,
                    group_gone_since=None,
                    group_gone_twice=False,
                )
            elif group is None and patient and rule.group_state is not GroupState.GONE:
                # A group that was there a moment ago, or has just been made: replicas lag (3.7).
                raise TryLater(f"Entra does not show the group {rule.group_id}.", _GROUP_WAIT)
            elif group is None:
                after = without_group(rule, self.now())
            else:
                after = with_group(rule, group)
            checked.append(after)
            if after != rule and self.rules.get(rule.id) == rule:
                self.rules.put(after)  # unless a person edits it at this moment
        self._refuse_older(connection)
        self.rules.make_live(connection.id, checked)
        self._refuse_older(connection)
        if (version := version_of(checked)) != connection.live_rules:
            self.connections.update(connection.id, lambda now: replace(now, live_rules=version))
        unreadable = {
            rule.group_id
            for rule in checked
            if rule.enabled and rule.group_state is not GroupState.OK
        }
        if unreadable:
            trouble = trouble_texts.unreadable_groups(sorted(unreadable), self.now())
            troubles.record(self.connections, connection.id, trouble, seen=connection)
        else:
            troubles.clear_seen(self.connections, connection, {trouble_texts.GROUPS})
        return checked, frozenset(unreadable)

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

    def _remembered(self, connection: Connection) -> LinkDigests:
        digests = LinkDigests(connection.id)
        for page in self.links.all(connection.id):
            for link in page:
                digests.add(link)
        return digests

    # --- the reading ---------------------------------------------------------------------------

    def _compare_members(self, run: _Run, directory: Directory) -> None:
        for rule in in_order(run.rules):
            if rule.group_id in run.unreadable:
                continue
            for page in directory.members(rule.group_id, nested=rule.include_nested):
                for user in page:
                    self._compare(run, rule, user)
            self.runs.seen(run.sync_id, run.seen)

    def _compare(self, run: _Run, rule: MappingRule, user: EntraUser) -> None:
        mark = id_bytes(user.id)
        if mark in run.placed:
            return
        because = refusal(rule, user)
        if because is not None:
            if user.id not in run.refused:
                reason = because[:1].upper() + because[1:]
                run.refused[user.id] = Placement(None, reason, True, run.unknown, ())
            return
        run.placed.add(mark)
        run.refused.pop(user.id, None)
        run.seen += 1
        wanted = wanted_contact(user, run.connection.email_source)
        link = run.digests.take(
            user.id,
            rules=run.rules,
            fingerprint=wanted.fingerprint,
            reasons=(NO_ADDRESS, NO_NAME, f"{NO_ADDRESS}; the record stays as it is"),
        )
        if rule.record_type is RecordType.EMPLOYEE or (
            link is not None and link.record_type is RecordType.EMPLOYEE
        ):
            self._compare_employee(run, rule, user.id, link)
            return
        step = first_step(
            Placement(rule, "", True, run.unknown, ()),
            wanted,
            link,
            on_leave=run.connection.on_leave,
            match_scope=run.connection.match_scope,
        )
        unsettled = link is not None and (link.hold or link.in_conflict or link.refused)
        if isinstance(step, Nothing) and not unsettled:
            run.unchanged += 1
            return
        if isinstance(step, Seek):
            conflict = link is not None and link.in_conflict
            self._need_index(run, run.began - _CONFLICT_AGE if conflict else run.began)
            if step.leaving is not None and link is not None:
                # His old record goes: counted with the leavers (R17).
                if link.hold is HoldMark.REFUSED:
                    run.unchanged += 1
                else:
                    _leaves(run, link, counts=True)
                return
        self._queue(run, user.id)

    def _compare_employee(
        self, run: _Run, rule: MappingRule, user_id: UserId, link: Link | None
    ) -> None:
        """Employees are few, and what they should be rests on more than a list of members shows."""
        changes_type = link is not None and link.record_type is not rule.record_type
        if changes_type and link is not None and link.record_id is not None:
            if link.hold is HoldMark.REFUSED:
                run.unchanged += 1
                return
            if link.state is LinkState.ACTIVE and not link.task:
                _leaves(run, link, counts=True)  # with the leavers (R18, R20)
                return
        self._queue(run, user_id)

    def _compare_the_rest(self, run: _Run) -> None:
        """Members that no rule takes, and people who are in no mapped group any more."""
        deactivates = run.connection.on_leave != "keep"
        for user_id, placement in run.refused.items():
            run.seen += 1
            link = run.digests.take(
                user_id, rules=run.rules, fingerprint="", reasons=(placement.reason,)
            )
            if link is not None and link.record_id is not None:
                if _stays_to_be_taken_out(link):
                    _leaves(run, link, counts=deactivates)
                elif _is_to_leave_by_worklist(link):
                    self._queue(run, user_id)
                else:
                    run.unchanged += 1
            elif (
                link is not None
                and link.state is LinkState.SKIPPED
                and link.reason == placement.reason
            ):
                run.unchanged += 1
            else:
                self._queue(run, user_id)
        for link in run.digests.left(run.rules):
            if link.record_id is None or _is_to_leave_by_worklist(link):
                self._queue(run, link.user_id)
            elif _stays_to_be_taken_out(link) and link.rule_id not in run.unknown:
                _leaves(run, link, counts=deactivates and link.rule_id not in run.gone)
            else:
                continue  # left long ago, or his group cannot be read
            run.seen += 1
        self._flush(run)
        # Together, so that they are counted together before the first is written (R20).
        together = replace(self._delta(run), together=run.together)
        for delta in pack(together, run.leaving):
            self._send(run, LEAVERS, delta)

    def _need_index(self, run: _Run, since: datetime) -> None:
        if run.index_since is None or run.index_since < since:
            self.reading.since(since)
            run.index_since = since

    # --- the queueing --------------------------------------------------------------------------

    def _queue(self, run: _Run, user_id: UserId) -> None:
        run.waiting.append(user_id)
        if len(run.waiting) == _PART:
            self._flush(run)

    def _flush(self, run: _Run) -> None:
        for delta in pack(self._delta(run), run.waiting, _PART):
            self._send(run, BULK, delta)
        run.waiting.clear()

    def _delta(self, run: _Run) -> UserDelta:
        return UserDelta(run.connection.id, (), run.origin, sync=run.sync_id)

    def _send(self, run: _Run, queue: str, delta: UserDelta) -> None:
        run.parts += 1
        part = f"{run.attempt}-{run.parts:05d}"
        self.queues.send(queue, encode_user_delta(replace(delta, part=part)))


def _stays_to_be_taken_out(link: Link) -> bool:
    """Whether this leaver's record is still to be deactivated, unless a person refused it.

    Who waits in a hold is looked at too, so that nobody waits whom no hold lists (R20).
    """
    active = link.state is LinkState.ACTIVE or link.old_record_id is not None
    return active and not _is_to_leave_by_worklist(link) and link.hold is not HoldMark.REFUSED


def _is_to_leave_by_worklist(link: Link) -> bool:
    """He was counted when he was put there (R20, R26)."""
    is_employee = link.record_type is RecordType.EMPLOYEE
    return is_employee and kind_of(link.task) is ItemKind.DEACTIVATE


def _leaves(run: _Run, link: Link, *, counts: bool) -> None:
    run.leaving.append(link.user_id)
    run.together += int(counts and link.hold is HoldMark.NONE)
