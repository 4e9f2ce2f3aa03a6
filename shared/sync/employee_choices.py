"""Several employees fit, or one who is another user's: a person chooses, once (R9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from shared.core.employee_decision import SeekEmployee
from shared.core.matching import Ambiguous
from shared.core.model import LinkState, RecordId, RecordType, UserId
from shared.ports import Conflict, Conflicts, Links, Now, Owners, Queues, Worklist
from shared.sync.employee_planning import LeaveBe, Plan, PlanEmployees, Staff
from shared.sync.handing_over import HandingOver
from shared.sync.standing_choice import LEFT_OUT, standing_choice
from shared.sync.work import Told, Work


@dataclass(frozen=True, slots=True)
class EmployeeChoices:
    """Conflicts about employees."""

    links: Links
    owners: Owners
    conflicts: Conflicts
    worklist: Worklist
    planning: PlanEmployees
    queues: Queues
    now: Now

    def of(
        self, work: Work, user: UserId, step: SeekEmployee, found: Ambiguous, staff: Staff
    ) -> Plan | None:
        """The plan that a person has chosen for these very employees; else it is a conflict."""
        known = self.conflicts.get(work.connection.id, user)
        choice = standing_choice(known, found, RecordType.EMPLOYEE)
        if choice is None:
            self._conflict(work, user, found, known)
            return None
        if choice.ignore:
            self._stays(work, user, LEFT_OUT)
            return None
        if choice.create or choice.chosen is None:
            return self.planning.create(work, user, step)
        if choice.chosen not in staff.employees:
            self._conflict(work, user, found, known)
            return None
        if not self._take_from_former(work, user, choice.chosen):
            return None
        planned = self.planning.take_over(work, user, step, staff, choice.chosen)
        if isinstance(planned, LeaveBe):
            self._stays(work, user, planned.reason)
            return None
        return planned if isinstance(planned, Plan) else None

    def _conflict(self, work: Work, user: UserId, found: Ambiguous, known: Conflict | None) -> None:
        link, now = work.link_of(user), self.now()
        asked = (
            known is not None
            and known.state == "open"
            and known.record_type is RecordType.EMPLOYEE
            and set(known.record_ids) == set(found.record_ids)
        )
        if asked and link.reason == found.reason and link.claim is None and link.in_conflict:
            work.told[user] = Told("conflict", found.reason)
            return
        state = link.state if link.record_id is not None else LinkState.CONFLICT
        self.conflicts.put(
            Conflict(
                work.connection.id,
                user,
                found.record_ids,
                found.reason,
                now,
                record_type=RecordType.EMPLOYEE,
            )
        )
        after = replace(
            link,
            state=state,
            reason=found.reason,
            in_conflict=True,
            refused=False,
            task="",
            updated_at=now,
            claim=None,
        )
        if user not in self.links.save([work.named(after)]):
            work.decide_again(user)
            return
        if link.task:
            self.worklist.remove(work.connection.id, user)
        notes = (f"employees: {_names(found.record_ids)}",)
        work.tell(user, "conflict", found.reason, link, notes=notes)

    def _stays(self, work: Work, user: UserId, reason: str) -> None:
        link = work.link_of(user)
        work.told[user] = Told("skip", reason)
        if link.reason == reason and link.claim is None and not link.refused:
            return
        state = LinkState.SKIPPED if link.record_id is None else link.state
        after = replace(link, state=state, reason=reason, refused=False, claim=None)
        after = replace(after, updated_at=self.now())
        if user in self.links.save([work.named(after)]):
            work.tell(user, "skip", reason, link)
        else:
            work.decide_again(user)

    def _take_from_former(self, work: Work, user: UserId, record_id: RecordId) -> bool:
        stores = (self.links, self.owners, self.conflicts, self.queues)
        handing_over = HandingOver(RecordType.EMPLOYEE, *stores, self.now)
        free, former = handing_over.take(work, user, record_id)
        if former is not None:
            self.worklist.remove(former.connection_id, former.user_id)
        return free


def _names(record_ids: Sequence[RecordId]) -> str:
    return ", ".join(str(one) for one in record_ids)
