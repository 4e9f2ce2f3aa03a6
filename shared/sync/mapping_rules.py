"""Mapping rules as a person edits them (R1-R5).

A rule is taken only when it can work: its group is there and readable, its BMS account is there
and has a location for new contacts. The whole set of a connection can be replaced in one step, all
or nothing, so that nobody passes through a wrong account on the way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from shared.core.model import (
    Account,
    AccountId,
    Approval,
    Connection,
    ConnectionId,
    EntraGroup,
    GroupId,
    LocationId,
    MappingRule,
    RecordType,
    RuleId,
)
from shared.core.rules import in_order
from shared.errors import BadInput, BadInputs, SyncError
from shared.ports import Bms, BmsSettingsStore, Connections, Directories, NewId, Now, Rules
from shared.sync.configuration import placed
from shared.sync.connections import existing
from shared.sync.employee_defaults import CheckEmployeeIds
from shared.sync.group_check import group_refusal, with_group
from shared.sync.new_id import new_id
from shared.sync.re_evaluation import ReEvaluation


@dataclass(frozen=True, slots=True)
class RuleWish:
    """A rule as a person enters it. `id` and `connection_id` may be left out where it is clear."""

    group_id: str
    order: int
    record_type: RecordType
    account_id: int | None = None
    location_id: int | None = None
    include_nested: bool = True
    include_guests: bool = False
    blocked_users: str = "leave"
    enabled: bool = True
    employee: Mapping[str, int] = field(default_factory=dict)
    id: str | None = None
    connection_id: str | None = None


@dataclass(frozen=True, slots=True)
class Saved:
    """The rule as saved, and what the person should know about it."""

    rule: MappingRule
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckedSet:
    """A whole set that can be saved, in the order of the request, and the one before it."""

    rules: list[MappingRule]
    before: Mapping[RuleId, MappingRule]


@dataclass(frozen=True, slots=True)
class MappingRules:
    """The use cases of the rules page."""

    connections: Connections
    rules: Rules
    directories: Directories
    bms: Bms
    bms_settings: BmsSettingsStore
    re_evaluation: ReEvaluation
    now: Now
    new_id: NewId = new_id

    def all(self, connection_id: str | None = None) -> list[MappingRule]:
        """The rules as edited, in the order in which they are tried (R2)."""
        if connection_id is None:
            return sorted(in_order(self.rules.edited()), key=lambda rule: rule.connection_id)
        return in_order(self.rules.edited(existing(self.connections, connection_id).id))

    def get(self, rule_id: str) -> MappingRule:
        """BadInput 404 when there is none."""
        rule = self.rules.get(RuleId(rule_id))
        if rule is None:
            raise BadInput(404, "There is no mapping rule with this id: see the list of rules.")
        return rule

    def add(self, wish: RuleWish) -> Saved:
        """A new rule; BadInput says what is wrong with it."""
        connection = self._connection(wish)
        [rule] = self.checked(connection, [wish], [None])
        others = self.rules.edited(connection.id)
        _refuse_twin(rule, others)
        self.rules.put(rule)
        self.re_evaluation.order(connection.id, gather=True)
        return Saved(rule, (*_left_out(wish), *_shadows(rule, others)))

    def change(self, rule_id: str, wish: RuleWish) -> Saved:
        """The rule replaced by this one; it keeps its id and its age."""
        before = self.get(rule_id)
        if wish.id not in (None, before.id):
            raise BadInput(422, "id is not the id in the address: leave it out.", field="id")
        if wish.connection_id not in (None, before.connection_id):
            raise BadInput(
                422,
                "connectionId cannot be changed: add a rule to the other connection instead.",
                field="connectionId",
            )
        connection = existing(self.connections, before.connection_id)
        [rule] = self.checked(connection, [wish], [before])
        others = [other for other in self.rules.edited(connection.id) if other.id != rule.id]
        _refuse_twin(rule, others)
        if rule != before:
            self.rules.put(rule)
            self.re_evaluation.order(connection.id, gather=True)
        return Saved(rule, (*_left_out(wish), *_shadows(rule, others)))

    def remove(self, rule_id: str) -> None:
        """The rule is gone; everybody it touched is looked at again."""
        rule = self.get(rule_id)
        self.rules.remove(rule)
        self.re_evaluation.order(rule.connection_id, gather=True)

    def replace(self, connection_id: str, wishes: Sequence[RuleWish]) -> list[MappingRule]:
        """The whole set, all or nothing; BadInputs names every problem with its place."""
        connection = existing(self.connections, connection_id)
        checked = self.checked_set(connection, wishes)
        return self.take(connection.id, checked.rules, checked.before, None)

    def take(
        self,
        connection_id: ConnectionId,
        rules: list[MappingRule],
        before: Mapping[RuleId, MappingRule],
        approval: Approval | None,
    ) -> list[MappingRule]:
        """Save a checked set in place of the one before; `approval` is of this change (R20)."""
        changed = {rule.id: rule for rule in rules} != before
        if changed:
            self.rules.replace(connection_id, rules)
        if changed or approval is not None:  # approved is what the same rules still have to do
            self.re_evaluation.order(connection_id, gather=False, approval=approval)
        return in_order(rules)

    def checked_set(self, connection: Connection, wishes: Sequence[RuleWish]) -> CheckedSet:
        """The rules that a whole set comes to, nothing saved; BadInputs names every problem."""
        before = {rule.id: rule for rule in self.rules.edited(connection.id)}
        problems: list[BadInput] = []
        seen: set[str] = set()
        for index, wish in enumerate(wishes):
            if wish.connection_id not in (None, connection.id):
                sentence = "is another connection than the address names: leave it out."
                problems.append(_at(index, BadInput(422, sentence, field="connectionId")))
            if wish.id is not None and (wish.id not in before or wish.id in seen):
                sentence = (
                    "is in the list twice: leave it out in the new one."
                    if wish.id in seen
                    else "is no rule of this connection: leave it out to make a new rule."
                )
                problems.append(_at(index, BadInput(422, sentence, field="id")))
            seen.add(wish.id or "")
        if problems:
            raise BadInputs(problems)
        kept = [before.get(RuleId(wish.id or "")) for wish in wishes]
        rules = self.checked(connection, wishes, kept, in_set=True)
        for index, rule in enumerate(rules):
            try:
                _refuse_twin(rule, rules[:index])
            except BadInput as refusal:
                problems.append(_at(index, refusal))
        if problems:
            raise BadInputs(problems)
        return CheckedSet(rules, before)

    def checked(
        self,
        connection: Connection,
        wishes: Sequence[RuleWish],
        kept: Sequence[MappingRule | None],
        *,
        in_set: bool = False,
    ) -> list[MappingRule]:
        """The rules that these wishes come to, nothing saved; `kept` are those they replace."""
        if self.bms_settings.get() is None:
            raise BadInput(409, "BMS is not set up yet: save the BMS settings first.")
        groups = self._groups(connection, wishes)
        accounts: dict[int, Account | None] = {}
        rules: list[MappingRule] = []
        problems: list[BadInput] = []
        for index, (wish, before) in enumerate(zip(wishes, kept, strict=True)):
            rule = self._rule(connection, wish, before)
            found = self._problems(rule, before, groups, accounts)
            problems += [_at(index, each) for each in found] if in_set else found
            group = groups.get(rule.group_id)
            if isinstance(group, EntraGroup) and not group_refusal(rule.group_id, group):
                rule = with_group(rule, group)
            rules.append(rule)
        if len(problems) == 1 and not in_set:
            raise problems[0]
        if problems:
            raise BadInputs(problems)
        return rules

    def beside(
        self, rules: Sequence[MappingRule], others: Sequence[MappingRule]
    ) -> list[tuple[str, ...]]:
        """What to know of each of these rules beside the others; BadInputs where one is double."""
        problems: list[BadInput] = []
        for index, rule in enumerate(rules):
            try:
                _refuse_twin(rule, [*others, *rules[:index]])
            except BadInput as refusal:
                problems.append(_at(index, refusal))
        if problems:
            raise BadInputs(problems)
        every = [*others, *rules]
        return [_shadows(rule, [one for one in every if one.id != rule.id]) for rule in rules]

    def _rule(
        self, connection: Connection, wish: RuleWish, before: MappingRule | None
    ) -> MappingRule:
        of_contacts = wish.record_type is RecordType.CONTACT  # employees belong to no customer
        rule = MappingRule(
            id=before.id if before else RuleId(self.new_id()),
            connection_id=connection.id,
            group_id=GroupId(wish.group_id.strip().lower()),
            order=wish.order,
            record_type=wish.record_type,
            created_at=before.created_at if before else self.now(),
            account_id=AccountId(wish.account_id) if wish.account_id and of_contacts else None,
            location_id=LocationId(wish.location_id) if wish.location_id and of_contacts else None,
            include_nested=wish.include_nested,
            include_guests=wish.include_guests,
            blocked_users=wish.blocked_users,
            enabled=wish.enabled,
            employee=dict(wish.employee),
        )
        if before is not None and before.group_id == rule.group_id:
            rule = replace(
                rule,
                group_name=before.group_name,
                group_created_at=before.group_created_at,
                group_state=before.group_state,
            )
        return rule

    def _problems(
        self,
        rule: MappingRule,
        before: MappingRule | None,
        groups: Mapping[GroupId, EntraGroup | SyncError | None],
        accounts: dict[int, Account | None],
    ) -> list[BadInput]:
        if before is not None and not rule.enabled:
            return []  # a rule must be possible to switch off, whatever became of its group
        group = self._group_problem(rule, before, groups)
        found = [] if group is None else [group]
        if rule.record_type is RecordType.EMPLOYEE:
            return found + CheckEmployeeIds(self.bms).problems(rule.employee, "employee.")
        if rule.employee:
            sentence = 'employee is for employee rules: leave it out, or choose "employee".'
            found.append(BadInput(422, sentence, field="employee"))
        place = self._account_problem(rule, accounts)
        return found if place is None else [*found, place]

    def _group_problem(
        self,
        rule: MappingRule,
        before: MappingRule | None,
        groups: Mapping[GroupId, EntraGroup | SyncError | None],
    ) -> BadInput | None:
        if rule.group_id not in groups:
            return None  # nobody could be asked; it stays unverified
        group = groups[rule.group_id]
        if isinstance(group, SyncError):
            raise group
        if before is not None and before.group_id == rule.group_id and before.group_name:
            # It was there when the rule was made. What became of it is the sweep's to tell (R20);
            # the rule's other members can be changed all the same.
            return None
        return group_refusal(rule.group_id, group)

    def _account_problem(
        self, rule: MappingRule, accounts: dict[int, Account | None]
    ) -> BadInput | None:
        if rule.account_id is None:
            return BadInput(
                422,
                "accountId is missing: a contact rule names the BMS account of its contacts.",
                field="accountId",
            )
        if rule.account_id not in accounts:
            account = self.bms.account(rule.account_id)
            if _place_problem(rule, account) is not None:
                # It may have been made in BMS just now, after the list was read.
                account = self.bms.account(rule.account_id, fresh=True)
            accounts[rule.account_id] = account
        return _place_problem(rule, accounts[rule.account_id])

    def _groups(
        self, connection: Connection, wishes: Sequence[RuleWish]
    ) -> dict[GroupId, EntraGroup | SyncError | None]:
        """The wished groups as Entra shows them; empty when Entra may not be asked now."""
        wanted = sorted({GroupId(wish.group_id.strip().lower()) for wish in wishes})
        if not wanted or not connection.may_read:
            return {}
        return self.directories.open(connection).groups(wanted)

    def _connection(self, wish: RuleWish) -> Connection:
        if not wish.connection_id:
            raise BadInput(
                422,
                "connectionId is missing: it must be the id of a connection.",
                field="connectionId",
            )
        try:
            return existing(self.connections, wish.connection_id)
        except BadInput as refusal:
            raise BadInput(
                422, f"connectionId: {refusal.sentence}", field="connectionId"
            ) from refusal


def _place_problem(rule: MappingRule, account: Account | None) -> BadInput | None:
    if account is None or not account.is_active:
        fault = "is no account in BMS" if account is None else "is inactive in BMS"
        return BadInput(
            422,
            f"accountId {rule.account_id} {fault}: choose one from the list of accounts.",
            field="accountId",
        )
    active = [location for location in account.locations if location.is_active]
    if rule.location_id is not None:
        if any(location.id == rule.location_id for location in active):
            return None
        return BadInput(
            422,
            f"locationId {rule.location_id} is no active location of the account {account.name}: "
            "choose one from the list of its locations.",
            field="locationId",
        )
    if len(active) == 1 or any(location.is_main for location in active):
        return None
    return BadInput(
        422,
        f"The account {account.name} has no main location for new contacts: choose a location "
        "here, or mark a main location in BMS.",
        field="locationId",
    )


def _takes(rule: MappingRule) -> tuple[bool, bool, bool]:
    return rule.include_nested, rule.include_guests, rule.blocked_users == "sync"


def _left_out(wish: RuleWish) -> tuple[str, ...]:
    """What says nothing in an employee rule."""
    if wish.record_type is RecordType.CONTACT or not (wish.account_id or wish.location_id):
        return ()
    return (
        "An employee belongs to no account: accountId and locationId were left out. His own "
        "location comes from the Employee Defaults or from employee.locationId.",
    )


def says(rule: MappingRule) -> tuple[object, ...]:
    """Everything that a person enters in a rule."""
    return rule.order, rule.blocked_users, rule.enabled, *_does(rule)


def _does(rule: MappingRule) -> tuple[object, ...]:
    place = (rule.account_id, rule.location_id, tuple(sorted(rule.employee.items())))
    return rule.group_id, rule.record_type, place, _takes(rule)


def _refuse_twin(rule: MappingRule, others: Sequence[MappingRule]) -> None:
    """The same people to the same place twice is a slip, never a wish."""
    for other in others:
        if _does(rule) == _does(other):
            raise BadInput(
                409,
                f"There is a rule already that does the same with this group ({other.id}, Order "
                f"{other.order}): change that one.",
                field="groupId",
            )


def _shadows(rule: MappingRule, others: Sequence[MappingRule]) -> tuple[str, ...]:
    """What to tell when two rules on one group leave one of them without anybody."""
    notes = []
    for other in others:
        if other.group_id != rule.group_id or not (other.enabled and rule.enabled):
            continue
        first, second = in_order([rule, other])
        if all(one >= two for one, two in zip(_takes(first), _takes(second), strict=True)):
            notes.append(
                f"Rule {second.id} never matches: rule {first.id} (Order {first.order}) takes the "
                "same people of this group first."
            )
    return tuple(notes)


def _at(index: int, refusal: BadInput) -> BadInput:
    return placed(f"items[{index}]", refusal)
