"""People of a preview, decided in batches by the sync's own functions, with nothing written.

What one person of the preview is about to make, take or leave is kept at hand for the next ones,
since in the tables it never shows. Who would leave or move is looked at directly first (R22).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from shared.core.decision import Seek, TakeOut
from shared.core.employee_decision import (
    AnyStep,
    EmployeeStep,
    SeekEmployee,
    TakeOutEmployee,
    next_step,
    takes_out,
)
from shared.core.fields import WantedContact, wanted_contact
from shared.core.matching import Ambiguous, Found, addresses, key, primary_address
from shared.core.messages import UserDelta
from shared.core.model import (
    Connection,
    ContactTypes,
    EntraUser,
    HoldMark,
    Link,
    LinkState,
    MappingRule,
    Origin,
    RecordId,
    RecordType,
    UserId,
)
from shared.core.preview import (
    Outcome,
    PreviewedPerson,
    Tally,
    conflict,
    left_out,
    outcome_of,
    outcome_of_match,
)
from shared.core.rules import Membership, Placement, place
from shared.core.worklist import done_kind, field_changes
from shared.errors import SyncError, TryLater
from shared.ports import (
    BULK,
    Bms,
    BmsSettingsStore,
    Conflicts,
    Directory,
    EmployeeDefaultsStore,
    Links,
    Look,
    Now,
    Owners,
)
from shared.sync.employee_gathering import GatherEmployees
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
from shared.sync.finding import FindRecords, Matching, Meanwhile, Sought
from shared.sync.next_steps import (
    doubtful_groups,
    next_steps,
    placed,
    still_theirs,
    unreadable_groups,
)
from shared.sync.standing_choice import LEFT_OUT, chosen_match, standing_choice
from shared.sync.work import Work

KEPT = "a person refused to deactivate this record, so it is kept"
_TAKEN = "the employee belongs to another user"


@dataclass(frozen=True, slots=True)
class Noted:
    """One person to be decided. `user` and `rule`: as a group's list shows him; else he is looked
    at directly."""

    user_id: UserId
    has_link: bool
    user: EntraUser | None = None
    rule: MappingRule | None = None


@dataclass(frozen=True, slots=True)
class _Seeker:
    """Somebody who is matched, with all that is needed for it and no more: many may wait."""

    sought: Sought
    link: Link | None
    wanted: WantedContact
    display_name: str
    address: str

    @property
    def user_id(self) -> UserId:
        return self.sought.user_id


@dataclass(slots=True)
class Undecided:
    """What is known of a preview's people so far."""

    connection: Connection
    rules: list[MappingRule]
    directory: Directory
    patient: bool = True  # whose look fails for now is waited for; else he is only counted
    tally: Tally = field(default_factory=Tally)
    meanwhile: Meanwhile = field(default_factory=Meanwhile)
    employees_taken: set[RecordId] = field(default_factory=set)
    postponed: list[_Seeker] = field(default_factory=list)
    counted: list[UserId] = field(default_factory=list)  # against the limit (R20)
    must_wait: int = 0  # for a person, whatever the limit says
    by_worklist: int = 0
    troubles: Counter[str] = field(default_factory=Counter)
    staff: Staff | None = None
    types: ContactTypes | None = None


@dataclass(frozen=True, slots=True)
class DecidePreview:
    """Decides batches."""

    links: Links
    owners: Owners
    conflicts: Conflicts
    finding: FindRecords
    employees: GatherEmployees
    defaults: EmployeeDefaultsStore
    bms_settings: BmsSettingsStore
    planning: PlanEmployees
    bms: Bms
    now: Now

    def decide(self, so_far: Undecided, batch: Sequence[Noted]) -> list[PreviewedPerson]:
        """What would become of these; who may still get another's record comes later.

        Raises SyncError where the whole has to be repeated.
        """
        work = self._work(so_far, batch)
        known = [one.user_id for one in batch if one.has_link]
        work.links = self.links.get_many(work.connection.id, known) if known else {}
        looks = self._looks(so_far, work, [one.user_id for one in batch if one.user is None])
        unreadable = unreadable_groups(work, doubtful_groups(work, looks))
        placements = placed(work, looks, unreadable)
        for one in batch:
            if one.user is not None and one.rule is not None:
                work.users[one.user_id] = one.user
                source = work.connection.email_source
                work.wanted[one.user_id] = wanted_contact(one.user, source)
                placements[one.user_id] = _placement(one.user, one.rule, work.rules)
        by_api = self.employees.preview(work, placements)
        going = [one.user_id for one in batch if one.user is not None or one.user_id in looks]
        steps = next_steps(work, going, placements, by_api=by_api)
        steps = still_theirs(self.owners, work, steps)
        for user, error in work.later.items():
            if isinstance(error, TryLater) and (so_far.patient or not error.counts):
                raise error
            so_far.troubles[error.sentence] += 1
            so_far.tally.add(left_out(work.links.get(user), error.sentence, "unchanged"))
        return self._people(so_far, work, steps, placements, by_api)

    def postponed(self, so_far: Undecided) -> list[PreviewedPerson]:
        """Those whose record was somebody else's, now that all leavers are known (R9)."""
        people: list[PreviewedPerson] = []
        waiting, so_far.postponed = so_far.postponed[::-1], []
        while waiting:
            one = waiting.pop()
            matching = self.finding.bulk(so_far.connection.id, [one.sought])
            people += self._matched(so_far, one, matching, last=True)
        return people

    def kept(self, so_far: Undecided, users: Sequence[UserId]) -> list[PreviewedPerson]:
        """Those whom a person refused to deactivate."""
        links = self.links.get_many(so_far.connection.id, users)
        people = []
        for user in users:
            link = links.get(user)
            people.append(self._told(so_far, None, user, link, left_out(link, KEPT, "keep")))
        return people

    # --- gather ----------------------------------------------------------------------------------

    def _work(self, so_far: Undecided, batch: Sequence[Noted]) -> Work:
        users = tuple(one.user_id for one in batch)
        return Work(
            connection=so_far.connection,
            delta=UserDelta(so_far.connection.id, users, Origin.RULES),
            queue=BULK,
            rules=so_far.rules,
            directory=so_far.directory,
            began=self.now(),
            until=self.now(),
            now=self.now,
        )

    def _looks(self, so_far: Undecided, work: Work, users: list[UserId]) -> dict[UserId, Look]:
        if not users:
            return {}
        enabled = [rule for rule in work.rules if rule.enabled]
        groups = sorted({rule.group_id for rule in enabled})
        direct = any(not rule.include_nested for rule in enabled)
        looks: dict[UserId, Look] = {}
        for user, look in work.directory.look(users, groups, direct=direct).items():
            if isinstance(look, SyncError):
                work.later[user] = look
            else:
                looks[user] = look
        return looks

    # --- decide ----------------------------------------------------------------------------------

    def _people(
        self,
        so_far: Undecided,
        work: Work,
        steps: Mapping[UserId, AnyStep],
        placements: Mapping[UserId, Placement],
        by_api: bool,
    ) -> list[PreviewedPerson]:
        people: list[PreviewedPerson] = []
        sought: list[Sought] = []
        for user, step in steps.items():
            link = work.links.get(user)
            if takes_out(step) is not None and link is not None:
                if link.hold is HoldMark.REFUSED:
                    outcome = left_out(link, KEPT, "keep")
                    people.append(self._told(so_far, work, user, link, outcome))
                    continue
                self._note_leaver(so_far, user, step, link)
            if isinstance(step, Seek):
                keys = tuple(addresses(work.users[user], work.connection.email_source))
                sought.append(Sought(user, keys, step))
            elif isinstance(step, EmployeeStep):
                outcome = self._employee(so_far, work, user, step, placements, by_api)
                people.append(self._told(so_far, work, user, link, outcome))
            else:
                outcome = outcome_of(step, link, work.wanted.get(user), self._types(so_far))
                people.append(self._told(so_far, work, user, link, outcome))
        if sought:
            matching = self.finding.bulk(work.connection.id, sought)
            for one in sought:
                seeker = self._seeker(so_far, work, one)
                people += self._matched(so_far, seeker, matching, last=False)
        return people

    @staticmethod
    def _note_leaver(so_far: Undecided, user: UserId, step: AnyStep, link: Link) -> None:
        must_wait = isinstance(step, TakeOut | TakeOutEmployee) and step.must_wait
        if must_wait or link.hold in (HoldMark.WAITING, HoldMark.EXPIRED):
            so_far.must_wait += 1
        elif link.hold is HoldMark.NONE:
            so_far.counted.append(user)

    @staticmethod
    def _seeker(so_far: Undecided, work: Work, one: Sought) -> _Seeker:
        user = work.users[one.user_id]
        address = primary_address(user, so_far.connection.email_source)
        link, wanted = work.links.get(one.user_id), work.wanted[one.user_id]
        return _Seeker(one, link, wanted, user.display_name, address)

    def _matched(
        self, so_far: Undecided, one: _Seeker, matching: Matching, *, last: bool
    ) -> list[PreviewedPerson]:
        answer = matching.answer(one.sought, so_far.meanwhile)
        link, match, wanted = one.link, answer.match, one.wanted
        if isinstance(match, Ambiguous):
            known = self.conflicts.get(so_far.connection.id, one.user_id)
            choice = standing_choice(known, match, RecordType.CONTACT)
            if choice is not None and choice.ignore:
                return [self._seen(so_far, one, left_out(link, LEFT_OUT))]
            chosen = None if choice is None else chosen_match(choice, one.sought, answer)
            if chosen is None and not last:
                so_far.postponed.append(one)
                return []
            match = match if chosen is None else chosen
        step = one.sought.step
        outcome = outcome_of_match(step, match, link, wanted, self._types(so_far))
        if isinstance(match, Found):
            so_far.meanwhile.taken.add(match.candidate.record_id)
        elif outcome.kind in ("create", "move"):
            so_far.meanwhile.makes(key(wanted.email), step.account_id)
        return [self._seen(so_far, one, outcome)]

    def _types(self, so_far: Undecided) -> ContactTypes:
        if so_far.types is None:
            so_far.types = self.bms.contact_types()
        return so_far.types

    # --- employees -------------------------------------------------------------------------------

    def _employee(
        self,
        so_far: Undecided,
        work: Work,
        user: UserId,
        step: EmployeeStep,
        placements: Mapping[UserId, Placement],
        by_api: bool,
    ) -> Outcome:
        if so_far.staff is None:
            so_far.staff = staff_of(self.bms, self.defaults, self.bms_settings)
        link = work.links.get(user)
        planned = self.planning.plan(work, user, step, so_far.staff)
        if isinstance(planned, Gone | Lost):
            if user not in work.employees:
                return left_out(link, "the employee is gone in BMS", "unchanged")
            # Matched anew, as somebody without a record (R8, R19).
            link = replace(
                work.link_of(user), state=LinkState.PENDING, record_id=None, written={}, task=""
            )
            work.links[user] = link
            again = next_step(
                placements.get(user),
                work.wanted.get(user),
                work.employees[user],
                link,
                on_leave=work.connection.on_leave,
                match_scope=work.connection.match_scope,
                by_api=by_api,
            )
            assert isinstance(again, SeekEmployee), "he has no record"
            step = again
            planned = self.planning.plan(work, user, step, so_far.staff)
        if isinstance(planned, Choose) and isinstance(step, SeekEmployee):
            known = self.conflicts.get(work.connection.id, user)
            choice = standing_choice(known, planned.found, RecordType.EMPLOYEE)
            if choice is None:
                return conflict(planned.found, link, step.rule.id)
            if choice.ignore:
                return left_out(link, LEFT_OUT)
            if choice.create or choice.chosen is None:
                planned = self.planning.create(work, user, step)
            elif choice.chosen in so_far.staff.employees:
                planned = self.planning.take_over(work, user, step, so_far.staff, choice.chosen)
            else:
                return conflict(planned.found, link, step.rule.id)
        if isinstance(planned, LeaveBe):
            return left_out(link, planned.reason)
        assert isinstance(planned, Plan), "everything else was dealt with"
        return self._planned(so_far, work, planned, step, by_api)

    @staticmethod
    def _planned(
        so_far: Undecided, work: Work, plan: Plan, step: EmployeeStep, by_api: bool
    ) -> Outcome:
        before, item = plan.link, plan.item
        if plan.take is not None and plan.take in so_far.employees_taken:
            rule_id = plan.now.rule_id
            return conflict(Ambiguous((plan.take,), _TAKEN), work.links.get(plan.user_id), rule_id)
        if plan.take is not None:
            so_far.employees_taken.add(plan.take)
        so_far.by_worklist += int(item is not None and not by_api)
        kind = plan.kind
        if item is not None and kind == "worklist":
            kind = done_kind(item, before)
        was_contact = before.record_type is RecordType.CONTACT and before.record_id is not None
        if kind == "merge" and was_contact and before.state in (LinkState.ACTIVE, LinkState.KEPT):
            kind = "move"  # his contact goes when the employee is his (R18)
        leaves = kind == "deactivate"
        moves = kind == "move"
        in_scope = plan.user_id in work.employees
        record = item.record_id if item is not None else plan.now.record_id
        return Outcome(
            kind,
            plan.reason,
            RecordType.EMPLOYEE,
            record,
            None,
            before.account_id if moves and was_contact else None,
            plan.now.rule_id if in_scope else before.rule_id,
            field_changes(item) if item is not None else (),
            before.record_id if leaves or moves else None,
        )

    # --- told ------------------------------------------------------------------------------------

    def _told(
        self,
        so_far: Undecided,
        work: Work | None,
        user: UserId,
        link: Link | None,
        outcome: Outcome,
    ) -> PreviewedPerson:
        entra = work.users.get(user) if work is not None else None
        if entra is None:
            name, address = (link.display_name, link.address) if link is not None else ("", "")
        else:
            name = entra.display_name
            address = primary_address(entra, so_far.connection.email_source)
        return self._counted(so_far, PreviewedPerson(user, outcome, name, address))

    def _seen(self, so_far: Undecided, one: _Seeker, outcome: Outcome) -> PreviewedPerson:
        person = PreviewedPerson(one.user_id, outcome, one.display_name, one.address)
        return self._counted(so_far, person)

    @staticmethod
    def _counted(so_far: Undecided, person: PreviewedPerson) -> PreviewedPerson:
        outcome = person.outcome
        so_far.tally.add(outcome)
        if outcome.kind == "deactivate" and outcome.leaving is not None:
            so_far.meanwhile.left.add(outcome.leaving)
        return person


def _placement(user: EntraUser, rule: MappingRule, rules: Sequence[MappingRule]) -> Placement:
    """The placement of somebody whom a rule takes as its group's list shows him."""
    group = frozenset({rule.group_id})
    unread = frozenset(
        one.group_id for one in rules if one.enabled and one.group_state.value != "ok"
    )
    direct = frozenset() if rule.include_nested else group
    return place(user, Membership(group, direct, unread), rules)
