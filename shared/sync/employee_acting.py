"""Put decisions about employees on record, and carry them out where the app may (R22, R26).

Every decision that needs something of BMS becomes an item on the worklist first, all of a message
together, so that the paid licences are counted before anybody is created. In API mode the app then
does the items itself; whatever it cannot do stays there for a person. Claims, owners and links are
written in the same order as for contacts: a worker that dies leaves enough to find its record.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.core import trouble_texts
from shared.core.employee_decision import EmployeeStep, SeekEmployee
from shared.core.model import (
    HoldMark,
    Link,
    LinkState,
    RecordId,
    RecordType,
    Trace,
    UserId,
)
from shared.core.worklist import ItemKind, closed, done_kind, field_changes, told_sources
from shared.errors import (
    DecideAgain,
    Limited,
    Rejected,
    SyncError,
    TryLater,
    Uncertain,
)
from shared.ports import (
    ActivityLog,
    BmsSettingsStore,
    Connections,
    EmployeeDefaultsStore,
    Links,
    Now,
    Owner,
    Owners,
    RouteMissing,
    Worklist,
)
from shared.sync import troubles
from shared.sync.claims import give_back, guard, take_claims
from shared.sync.employee_by_api import EmployeesByApi
from shared.sync.employee_choices import EmployeeChoices
from shared.sync.employee_planning import (
    Choose,
    Gone,
    LeaveBe,
    Lost,
    Plan,
    PlanEmployees,
    Staff,
    staff_of,
)
from shared.sync.holding import Holding
from shared.sync.reports import Reports
from shared.sync.seeking import IN_FLIGHT
from shared.sync.work import PARKED, Told, Work

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Done:
    """What became of one plan."""

    plan: Plan
    link: Link
    kind: str
    reason: str
    notes: tuple[str, ...]
    finished: bool  # no item is left


@dataclass(frozen=True)
class EmployeeActing:
    """Does the employee steps of one message."""

    connections: Connections
    links: Links
    owners: Owners
    log: ActivityLog
    worklist: Worklist
    defaults: EmployeeDefaultsStore
    bms_settings: BmsSettingsStore
    planning: PlanEmployees
    choices: EmployeeChoices
    fresh: EmployeesByApi
    bulk: EmployeesByApi  # paid for from the bulk share of BMS's limit (R25)
    reports: Reports
    holding: Holding
    now: Now

    def act(self, work: Work, steps: Mapping[UserId, EmployeeStep]) -> None:
        """Plan, put on the worklist, and carry out what the app may do itself."""
        if not steps:
            return
        try:
            # Read now: an older list would lack whom the app itself has just written.
            staff = self.staff(work, self.now())
            plans = self._plans(work, steps, staff)
        except SyncError as error:
            later = self._whole_bms(work, error)
            work.later |= {user: later for user in steps if user not in work.told}
            return
        taken_at = self.now()
        wanted = [(one.link, _creates(one)) for one in plans]
        claimed = take_claims(self.links, work, wanted, taken_at)
        going = [
            replace(one, link=link, now=_under(one.now, link))
            for one in plans
            if (link := claimed.get(one.user_id)) is not None
        ]
        going = [one for one in going if self._owns(work, one)]
        self.worklist.put([one.item for one in going if one.item is not None])
        by_api = staff.defaults.by_api
        done: list[_Done] = []
        for one in going:
            stop = _whole_trouble(work)
            if stop is not None and by_api and one.item is not None:
                # The next would meet the same, and each try is a call, or a refused sign-in.
                self._interrupted(work, one, stop)
                continue
            outcome = self._carry_out(work, one, taken_at, by_api=by_api)
            if outcome is not None:
                done.append(outcome)
            if by_api and (outcome is None or not outcome.finished):
                by_api = self.defaults.get().by_api  # it may have ended with this one
        self._finish(work, done)

    def _hands(self, work: Work) -> EmployeesByApi:
        return self.fresh if work.fresh else self.bulk

    def staff(self, work: Work, newer_than: datetime) -> Staff:
        """Everybody in BMS, read since then."""
        bms = self._hands(work).bms
        return staff_of(bms, self.defaults, self.bms_settings, newer_than)

    # --- plan ----------------------------------------------------------------------------------

    def _plans(self, work: Work, steps: Mapping[UserId, EmployeeStep], staff: Staff) -> list[Plan]:
        plans: list[Plan] = []
        for user, step in steps.items():
            if isinstance(step, SeekEmployee) and self._may_be_in_flight(work, user):
                continue
            match planned := self.planning.plan(work, user, step, staff):
                case Plan():
                    plans.append(planned)
                case LeaveBe():
                    self._leave_be(work, planned)
                case Gone() | Lost():
                    self._without_record(work, user, planned)
                case Choose() if isinstance(step, SeekEmployee):
                    plan = self.choices.of(work, user, step, planned.found, staff)
                    plans += [] if plan is None else [plan]
                case Choose():
                    raise AssertionError("only who has no employee is matched")
        return plans

    def _may_be_in_flight(self, work: Work, user: UserId) -> bool:
        """After a claim that ran out over a creation: it may still take effect (R22)."""
        claim = work.link_of(user).claim
        if claim is None or not claim.creating:
            return False
        age = self.now() - claim.taken_at
        if age >= IN_FLIGHT:
            return False
        wait = min(IN_FLIGHT - age, timedelta(seconds=15))
        sentence = "BMS may still be creating the employee."
        work.later[user] = TryLater(sentence, wait, counts=False)
        return True

    def _leave_be(self, work: Work, one: LeaveBe) -> None:
        """Told once; a contact that he was stays as it is (R15)."""
        before = work.link_of(one.link.user_id)
        user = one.link.user_id
        state = LinkState.SKIPPED if one.link.record_id is None else one.link.state
        if before.reason == one.reason and before.state is state:
            work.told[user] = Told("skip", one.reason)
            if before.fingerprint == one.link.fingerprint and not before.refused:
                return
        else:
            work.tell(user, "skip", one.reason, before)
        after = replace(
            one.link,
            state=state,
            reason=one.reason,
            task="",
            refused=False,
            claim=None,
            updated_at=self.now(),
        )
        if user not in self.links.save([work.named(after)]):
            work.decide_again(user)
        elif before.task:
            self.worklist.remove(work.connection.id, user)

    def _without_record(self, work: Work, user: UserId, lost: Gone | Lost) -> None:
        """R8, R19: the link without its employee; decided again, and told."""
        link = work.link_of(user)
        me = Owner(work.connection.id, user)
        what = "is gone in BMS" if isinstance(lost, Gone) else "belongs to another user now"
        reason = f"employee {lost.record_id} {what}"
        self.owners.release(RecordType.EMPLOYEE, lost.record_id, me)
        in_scope = user in work.employees
        after = replace(
            link,
            state=LinkState.PENDING if in_scope else LinkState.INACTIVE,
            record_id=None if in_scope else link.record_id,
            fingerprint="",
            written={},
            task="",
            reason=reason,
            claim=None,
        )
        if user in self.links.save([work.named(after)]):
            if link.task:
                self.worklist.remove(work.connection.id, user)
            work.tell(user, "note", reason + (": matched again" if in_scope else ""), link)
        if in_scope:
            work.decide_again(user)

    # --- carry out -----------------------------------------------------------------------------

    def _owns(self, work: Work, plan: Plan) -> bool:
        """Own the employee before anything says that he is this user's (R9)."""
        if plan.take is None:
            return True
        me = Owner(work.connection.id, plan.user_id)
        if self.owners.take(RecordType.EMPLOYEE, plan.take, me, over=plan.over):
            if plan.over is not None and plan.over != me:
                self._free(plan.over, plan.take)
            return True
        give_back(self.links, [plan.link])
        work.decide_again(plan.user_id)
        return False

    def _free(self, former: Owner, record_id: RecordId) -> None:
        """What a gone user still had on the worklist about this employee is void."""
        link = self.links.get(former.connection_id, former.user_id)
        if link is None or not link.task:
            return
        item = self.worklist.get(former.connection_id, former.user_id)
        if item is None or item.record_id != record_id:
            return
        mine = link.record_type is RecordType.EMPLOYEE and link.record_id == record_id
        state = LinkState.INACTIVE if mine else link.state
        reason = "the employee has passed to another user"
        if self.links.save([replace(link, task="", state=state, reason=reason)]):
            self.worklist.remove(former.connection_id, former.user_id)

    def _carry_out(
        self, work: Work, plan: Plan, taken_at: datetime, *, by_api: bool
    ) -> _Done | None:
        if plan.item is None:
            return _Done(plan, plan.now, plan.kind, plan.reason, plan.notes, finished=True)
        waits = _Done(plan, plan.now, plan.kind, plan.reason, plan.notes, finished=False)
        if not by_api:
            return waits
        before_write = guard(self.now, taken_at)
        try:
            before_write()
            record_id, notes = self._hands(work).do(plan.item, before_write)
            work.wrote = True
        except RouteMissing as error:
            self._fall_back(work, error)
            return replace(waits, notes=(*waits.notes, error.sentence))
        except Rejected as error:
            return self._refused(work, plan, error)
        except SyncError as error:
            self._interrupted(work, plan, error)
            return None
        link = closed(plan.now, plan.item, record_id)
        if plan.item.kind is ItemKind.CREATE:
            owner = Owner(work.connection.id, plan.user_id)
            self.owners.take_new(RecordType.EMPLOYEE, [(record_id, owner)])
        kind = done_kind(plan.item, plan.link)
        notes = (*plan.notes, *notes)
        return _Done(plan, link, kind, plan.item.reason, notes, finished=True)

    def _fall_back(self, work: Work, error: RouteMissing) -> None:
        """R26: BMS offers no way; from here on a person types, and is told so."""
        at = self.now()
        self.defaults.update(
            lambda now: (
                replace(now, mode="worklist", fell_back=error.sentence, fell_back_at=at)
                if now.by_api
                else now
            )
        )
        trouble = trouble_texts.employees_by_hand(error.sentence, at)
        troubles.record(self.connections, work.connection.id, trouble, seen=work.connection)
        log.warning("employees fall back to the worklist: %s", error.sentence)

    def _refused(self, work: Work, plan: Plan, error: Rejected) -> _Done | None:
        """The item stays for a person, with BMS's words; the app tries again at a change."""
        assert plan.item is not None
        user, reason = plan.user_id, f"{error.sentence} {error.next_step}"
        self.worklist.put([replace(plan.item, refused=error.sentence)])
        work.failed[user] = error
        work.told[user] = Told("failure", reason)
        if plan.link.reason != reason:
            work.tell(user, "failure", reason, plan.link)
        after = replace(plan.now, reason=reason, refused=True, claim=None, updated_at=self.now())
        self.links.save([work.named(after)])
        return None

    def _interrupted(self, work: Work, plan: Plan, error: SyncError) -> None:
        user = plan.user_id
        if isinstance(error, Uncertain) and plan.link.claim is not None and _creates(plan):
            # The claim stays, as run out: the next look reads BMS's list first (R22).
            claim = replace(plan.link.claim, until=self.now())
            self.links.save([replace(plan.link, claim=claim)])
            work.later[user] = TryLater(error.sentence, timedelta(seconds=5))
        elif isinstance(error, DecideAgain):
            self.links.save([work.named(replace(plan.now, claim=None))])
            work.decide_again(user)
        else:
            self.links.save([work.named(replace(plan.now, claim=None))])
            work.later[user] = self._whole_bms(work, error)

    def _whole_bms(self, work: Work, error: SyncError) -> SyncError:
        return troubles.as_later(self.connections, work.connection, error, self.now(), PARKED)

    # --- what was done -------------------------------------------------------------------------

    def _finish(self, work: Work, done: Sequence[_Done]) -> None:
        if not done:
            return
        at = self.now()
        links: list[Link] = []
        for one in done:
            after = replace(
                one.link,
                claim=None,
                in_conflict=False,
                refused=False,
                hold=one.link.hold if one.plan.ends_move else HoldMark.NONE,
                updated_at=at,
            )
            links.append(work.named(after))
            self._tell(work, one)
        if work.activities:
            self.log.add(work.activities)
            work.activities.clear()
        saved = self.links.save(links)
        settled = [one.plan for one in done if not (_leaves(one.plan) or one.plan.ends_move)]
        back = [plan.user_id for plan in settled if plan.link.hold]
        back = [user for user in back if user in saved]
        if back:
            self.holding.back(work.connection.id, back)
        for one in done:
            user = one.plan.user_id
            if user not in saved:
                work.decide_again(user)
                continue
            self._settle(work, one)
        linked = [one.plan.user_id for one in done if _newly_linked(one)]
        self.reports.look_again(work.connection.id, linked)

    def _tell(self, work: Work, one: _Done) -> None:
        if one.kind == "unchanged":
            work.told[one.plan.user_id] = Told("nothing", "is up to date")
            return
        item = one.plan.item
        changes = field_changes(item) if item is not None else ()
        notes = (*one.notes, *(told_sources(item) if item is not None else ()))
        wrote = one.finished and item is not None
        before = replace(one.plan.link, claim=None)
        created = item is not None and item.kind is ItemKind.CREATE
        trace = Trace(before, RecordType.EMPLOYEE, created) if wrote else None
        work.tell(one.plan.user_id, one.kind, one.reason, one.link, changes, notes, trace)

    def _settle(self, work: Work, one: _Done) -> None:
        before, after, user = one.plan.link, one.link, one.plan.user_id
        if one.finished:  # a worker that died may have left an item that no link names
            self.worklist.remove(work.connection.id, user)
        if before.in_conflict:
            self.choices.conflicts.settle(work.connection.id, user)
        moved = before.record_type is RecordType.CONTACT and after.record_type is not (
            before.record_type
        )
        if moved and before.record_id is not None:
            owner = Owner(work.connection.id, user)
            self.owners.release(RecordType.CONTACT, before.record_id, owner)
        if after.old_record_id is not None:
            work.later[user] = TryLater("a move is still to be finished", timedelta(0))


def _under(now: Link, claimed: Link) -> Link:
    """The link to be written, under the claim that was taken."""
    return replace(
        now,
        claim=claimed.claim,
        etag=claimed.etag,
        display_name=claimed.display_name,
        upn=claimed.upn,
        address=claimed.address,
    )


def _creates(plan: Plan) -> bool:
    return plan.item is not None and plan.item.kind is ItemKind.CREATE


def _leaves(plan: Plan) -> bool:
    is_item = plan.item is not None and plan.item.kind is ItemKind.DEACTIVATE
    return is_item or plan.kind == "deactivate"


def _newly_linked(one: _Done) -> bool:
    def employee_of(link: Link) -> RecordId | None:
        is_active = link.record_type is RecordType.EMPLOYEE and link.state is LinkState.ACTIVE
        return link.record_id if is_active else None

    now = employee_of(one.link)
    return now is not None and now != employee_of(one.plan.link)


def _whole_trouble(work: Work) -> SyncError | None:
    """What keeps this message from BMS altogether: its limit, or trouble that a person mends."""
    for error in work.later.values():
        if isinstance(error, Limited) or (isinstance(error, TryLater) and error.after == PARKED):
            return error
    return None
