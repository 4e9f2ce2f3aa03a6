"""Work a preview out: the comparison of a full sync with a set of rules that is not saved (R5).

Everything is decided by the sync's own functions; only nothing follows from it. Besides the preview
itself the address index is written, which is read anew where it is not recent. The order may come
twice and its worker may die: each attempt keeps its people apart, and a worker who finds that
another one has taken the preview up lets go of it.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.core.matching import primary_address
from shared.core.messages import SweepOrder, encode_sweep_order
from shared.core.model import (
    Connection,
    EntraUser,
    GroupState,
    Link,
    MappingRule,
    UserId,
)
from shared.core.preview import (
    PreviewedPerson,
    Tally,
    in_a_sentence,
    left_out,
)
from shared.core.standing import standing
from shared.errors import Limited, PersonMustAct, SyncError, TryLater
from shared.ports import (
    SWEEPS,
    Bms,
    Connections,
    Directories,
    Links,
    Now,
    Preview,
    Previews,
    Queues,
)
from shared.sync.address_reading import ReadAddresses
from shared.sync.comparing import compare_with
from shared.sync.group_check import PATIENCE, with_groups_now
from shared.sync.leavers import CountLeavers
from shared.sync.preview_deciding import DecidePreview, Noted, Undecided

log = logging.getLogger(__name__)

_BATCH = 100
_BUSY = timedelta(minutes=2)
_INDEX_AGE = timedelta(minutes=15)  # BMS's lists cost a call per hundred records
_TELL = timedelta(seconds=3)  # how often the progress is told
_LIFE = timedelta(hours=2)  # after which nobody waits for the numbers any more
_WAITS = (2, 5, 15, 30, 60)
_MOST_TRIES = 12


class _TakenUp(Exception):
    """Another worker is at this preview now, or it is gone."""


@dataclass(frozen=True, slots=True)
class RunPreview:
    """The use case behind "preview" orders."""

    connections: Connections
    previews: Previews
    links: Links
    directories: Directories
    reading: ReadAddresses
    deciding: DecidePreview
    leavers: CountLeavers
    bms: Bms
    queues: Queues
    now: Now

    def handle(self, order: SweepOrder) -> None:
        """Work it out; what fails for now comes back with a delay."""
        preview = self.previews.get(order.preview)
        if preview is None or preview.state != "running":
            return  # done already: the order came twice
        now = self.now()
        if preview.busy_until is not None and preview.busy_until > now:
            # Its worker may have died: whoever comes when it has said nothing more takes it up.
            self._again(order, preview.busy_until - now)
            return
        attempt = uuid.uuid4().hex[:8]
        mine = self.previews.save(
            replace(preview, attempt=attempt, busy_until=now + _BUSY, seen=0, notes=())
        )
        if mine is None:
            self._again(order, _BUSY)
            return
        one = _Attempt(self, mine, now)
        try:
            one.work_out(patient=order.tries < PATIENCE)
        except _TakenUp:
            log.info("preview taken up by another worker preview=%s", preview.id)
        except SyncError as error:
            self._later(order, one.preview, error)

    def _later(self, order: SweepOrder, preview: Preview, error: SyncError) -> None:
        limited = isinstance(error, TryLater) and not error.counts
        tries = order.tries + int(not limited)
        if isinstance(error, PersonMustAct):
            self._failed(preview, f"{error.sentence} {error.next_step}".strip())
        elif tries > _MOST_TRIES or self.now() - preview.created_at > _LIFE:
            self._failed(preview, f"It was tried for too long. The last time: {error.sentence}")
        else:
            waits = (f"It waits: {error.sentence}",) if isinstance(error, Limited) else ()
            self.previews.save(replace(preview, busy_until=None, notes=waits))
            asked = error.after if isinstance(error, TryLater) else None
            wait = asked or timedelta(seconds=_WAITS[min(tries, len(_WAITS) - 1)])
            self._again(replace(order, tries=tries), wait)

    def _failed(self, preview: Preview, reason: str) -> None:
        self.previews.save(replace(preview, state="failed", reason=reason, busy_until=None))

    def _again(self, order: SweepOrder, wait: timedelta) -> None:
        self.queues.send(SWEEPS, encode_sweep_order(order), wait)


@dataclass(slots=True)
class _Attempt:
    """One attempt at one preview; it takes the findings of its comparison."""

    use: RunPreview
    preview: Preview
    began: datetime
    told_at: datetime | None = None
    so_far: Undecided | None = None
    batch: list[Noted] = field(default_factory=list)
    leavers: list[UserId] = field(default_factory=list)
    refusals: list[UserId] = field(default_factory=list)
    without_rule: dict[UserId, tuple[str, str, str]] = field(default_factory=dict)
    people: list[PreviewedPerson] = field(default_factory=list)
    left_as_they_are: int = 0
    index_read: bool = False
    index_of: datetime | None = None  # when it was read, where that was before this attempt
    limited: bool = False  # BMS's hourly limit is used up

    def work_out(self, *, patient: bool) -> None:
        """Compare, decide, and put the numbers on record."""
        use = self.use
        connection = use.connections.get(self.preview.connection_id)
        if connection is None:
            raise _TakenUp
        if not connection.may_read:
            now = standing(connection)
            raise PersonMustAct(now.reason, now.next_step, code="not-readable")
        directory = use.directories.open(connection)
        saved = [one.rule for one in use.previews.rules(self.preview.id)]
        rules = with_groups_now(saved, directory, self.began, patient=patient)
        so_far = Undecided(
            connection, [rule for rule in rules if rule.enabled], directory, patient=patient
        )
        self.so_far = so_far
        comparison = compare_with(connection, rules, use.links, self.began, self)
        for rule in comparison.groups():
            comparison.read(rule, directory)
        comparison.finish()
        self._decide()
        self._verify_leavers()
        self._keep(use.deciding.postponed(so_far))
        for start in range(0, len(self.refusals), _BATCH):
            self._keep(use.deciding.kept(so_far, self.refusals[start : start + _BATCH]))
        self._write()
        so_far.tally.counts["unchanged"] += comparison.unchanged + self.left_as_they_are
        self._finish(connection, rules, so_far)

    def _verify_leavers(self) -> None:
        """Nobody leaves on the word of a list alone (R22)."""
        for start in range(0, len(self.leavers), _BATCH):
            chunk = self.leavers[start : start + _BATCH]
            self.batch = [Noted(user, has_link=True) for user in chunk]
            self._decide()

    # --- findings ------------------------------------------------------------------------------

    def needs_index(self, since: datetime) -> None:
        """Read BMS's lists unless that was done a little while ago, for a preview may be asked for
        often; while BMS's hourly limit is used up, older ones do."""
        if self.index_read:
            return
        reading = self.use.reading
        try:
            reading.since(min(since, self.began - _INDEX_AGE))
        except Limited:
            if reading.index.read_at() is None:
                raise
            self.limited = True
        read_at = reading.index.read_at()
        self.index_of = read_at if read_at is not None and read_at < self.began else None
        self.index_read = True

    def differs(
        self, user_id: UserId, link: Link | None, user: EntraUser | None, rule: MappingRule | None
    ) -> None:
        """Decided with the next batch; who has no record and no rule needs no look."""
        if user is None and link is None and user_id in self.without_rule:
            name, address, reason = self.without_rule.pop(user_id)
            outcome = left_out(None, reason)
            self._tally.add(outcome)
            self._keep([PreviewedPerson(user_id, outcome, name, address)])
            return
        self.batch.append(Noted(user_id, link is not None, user, rule))
        if len(self.batch) >= _BATCH:
            self._decide()

    def leaves(self, link: Link, *, counts: bool, kind: str = "deactivate") -> None:
        """Looked at directly once every group was read."""
        self.leavers.append(link.user_id)

    def kept(self, link: Link) -> None:
        """Told with the others at the end."""
        self.refusals.append(link.user_id)

    def waits(self, link: Link) -> None:
        """Left as he is."""
        self.left_as_they_are += 1

    def refused(self, user: EntraUser, reason: str) -> None:
        """His name, should no other rule take him."""
        assert self.so_far is not None, "set before the comparison began"
        address = primary_address(user, self.so_far.connection.email_source)
        self.without_rule[user.id] = (user.display_name, address, reason)

    def page_read(self, seen: int) -> None:
        """Progress, now and then; whoever has taken this preview up meanwhile goes on alone."""
        now = self.use.now()
        if self.told_at is not None and now - self.told_at < _TELL:
            return
        self.told_at = now
        self._save(replace(self.preview, seen=max(seen, self.preview.seen), busy_until=now + _BUSY))

    # --- people --------------------------------------------------------------------------------

    @property
    def _tally(self) -> Tally:
        assert self.so_far is not None, "set before the comparison began"
        return self.so_far.tally

    def _decide(self) -> None:
        batch, self.batch = self.batch, []
        if batch and self.so_far is not None:
            self._keep(self.use.deciding.decide(self.so_far, batch))
            self.page_read(self.preview.seen)

    def _keep(self, people: Sequence[PreviewedPerson]) -> None:
        self.people += people
        if len(self.people) >= _BATCH:
            self._write()

    def _write(self) -> None:
        self.use.previews.put_people(self.preview, self.people)
        self.people.clear()

    def _save(self, preview: Preview) -> None:
        saved = self.use.previews.save(preview)
        if saved is None:
            raise _TakenUp
        self.preview = saved

    # --- numbers -------------------------------------------------------------------------------

    def _finish(self, connection: Connection, rules: list[MappingRule], so_far: Undecided) -> None:
        use = self.use
        counts = so_far.tally.counted()
        names = {account.id: account.name for account in use.bms.accounts()}
        moves = so_far.tally.moved(names)
        too_many = use.leavers.would_pass(connection, so_far.counted)
        would_hold = bool(so_far.must_wait) or too_many
        self._save(
            replace(
                self.preview,
                state="ready",
                seen=sum(counts.values()),
                counts=counts,
                moves=moves,
                sentence=in_a_sentence(counts, moves),
                would_hold=would_hold,
                notes=tuple(self._notes(connection, rules, so_far, would_hold)),
                busy_until=None,
            )
        )
        log.info(
            "preview ready connection=%s preview=%s seen=%d",
            connection.id,
            self.preview.id,
            self.preview.seen,
        )

    def _notes(
        self,
        connection: Connection,
        rules: list[MappingRule],
        so_far: Undecided,
        would_hold: bool,
    ) -> list[str]:
        notes: list[str] = []
        if connection.first_sync_at is None:
            notes.append("Nothing was synced yet: this is what the first sync would do.")
        for rule in rules:
            if not rule.enabled or rule.group_state is GroupState.OK:
                continue
            state = _STATES.get(rule.group_state, "cannot be read at present")
            group = rule.group_name or rule.group_id
            notes.append(f"The group {group} {state}: its people are left as they are.")
        if self.index_of is not None:
            because = "BMS's hourly limit is used up, so people" if self.limited else "People"
            notes.append(
                f"{because} were matched with BMS's contacts as they were read at "
                f"{self.index_of:%Y-%m-%d %H:%M} UTC."
            )
        if would_hold:
            leaving = len(so_far.counted) + so_far.must_wait
            notes.append(
                f"{leaving:,} {'record' if leaving == 1 else 'records'} would become inactive: "
                "more than is done without asking. Saved without this preview's numbers "
                "confirmed, they wait in a hold."
            )
        if so_far.by_worklist:
            notes.append(
                f"{so_far.by_worklist:,} of these changes concern employees: they go on the "
                "worklist, for a person to type into BMS."
            )
        if any(so_far.tally.counts[kind] for kind in ("update", "merge", "reactivate")):
            notes.append(
                "Fields are compared with what was written last, since no record is read for a "
                "preview: an edit by hand in BMS shows only when the record is written."
            )
        for sentence, count in so_far.troubles.items():
            people = "person" if count == 1 else "people"
            notes.append(f"{count:,} {people} could not be decided: {sentence}")
        return notes


_STATES = {
    GroupState.GONE: "is gone in Entra",
    GroupState.HIDDEN: "hides its members, so it reads as empty",
}
