"""Read everybody in the mapped groups and count what the first sync would do with them.

The groups stream by in the order of their rules, as in a full sync; matching is the sync's own,
against this process's copy of the address index. Of each person a few bytes are kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from shared.core.decision import Seek, without_name_or_address
from shared.core.employee_matching import match_employee
from shared.core.fields import wanted_contact
from shared.core.matching import Ambiguous, Found, NotFound, addresses, key
from shared.core.model import (
    Connection,
    Employee,
    EntraUser,
    GroupId,
    MappingRule,
    RecordId,
    RecordType,
    UserId,
)
from shared.core.onboarding import Person, Tally
from shared.core.rules import in_order, refusal
from shared.ports import Directory
from shared.sync.finding import FindRecords, Meanwhile, Sought


@dataclass
class OnboardingReading:
    """One check's reading. `linked` are the users who have a record already."""

    connection: Connection
    rules: Sequence[MappingRule]
    unreadable: Collection[GroupId]
    directory: Directory
    finding: FindRecords | None  # None: BMS cannot be asked, so nobody is matched
    staff: Sequence[Employee]
    staff_owned: Collection[RecordId]  # the employees of users who are linked
    linked: Collection[bytes]
    alive: Callable[[], None]  # called now and then: the check is still being made
    tally: Tally = field(default_factory=Tally)
    empty: list[MappingRule] = field(default_factory=list)
    _seen: set[bytes] = field(default_factory=set)
    _left_out: dict[bytes, tuple[str, Person]] = field(default_factory=dict)
    _meanwhile: Meanwhile = field(default_factory=Meanwhile)
    _holders: dict[bytes, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._staff_taken = set(self.staff_owned)

    def run(self) -> Tally:
        """Read every group to its end. Raises SyncError when one cannot be read."""
        for rule in in_order(self.rules):
            if not rule.enabled or rule.group_id in self.unreadable:
                continue
            anybody = False
            for page in self.directory.members(rule.group_id, nested=rule.include_nested):
                anybody = anybody or bool(page)
                self._page(rule, page)
                self.alive()
            if not anybody:
                self.empty.append(rule)
        for reason, person in self._left_out.values():
            group = self.tally.guests if "guest" in reason else self.tally.blocked
            group.add(person)
        return self.tally

    def _page(self, rule: MappingRule, page: Sequence[EntraUser]) -> None:
        taken: list[EntraUser] = []
        for user in page:
            mark = mark_of(user.id)
            if mark in self._seen:
                continue
            because = refusal(rule, user)
            if because is not None:
                # As in a full sync: a later rule may take him all the same (R4).
                person = Person(user.id, user.display_name, because)
                self._left_out.setdefault(mark, (because, person))
                continue
            self._seen.add(mark)
            self._left_out.pop(mark, None)
            self.tally.in_scope += 1
            if self._is_usable(user):
                taken.append(user)
        if rule.record_type is RecordType.EMPLOYEE:
            self._employees(taken)
        else:
            self._contacts(rule, taken)

    def _is_usable(self, user: EntraUser) -> bool:
        wanted = wanted_contact(user, self.connection.email_source)
        problem = without_name_or_address(wanted, None)
        if problem is not None:
            self.tally.without_address.add(Person(user.id, user.display_name, problem.reason))
            return False
        for address in addresses(user, self.connection.email_source):
            holder = self._holders.setdefault(_short(address), mark_of(user.id))
            if holder != mark_of(user.id):
                detail = f"shares {address} with another person in scope"
                self.tally.doubles.add(Person(user.id, user.display_name, detail))
                break
        return True

    def _contacts(self, rule: MappingRule, users: Sequence[EntraUser]) -> None:
        new = self._new(users)
        if self.finding is None or rule.account_id is None or not new:
            return
        only_there = self.connection.match_scope == "account"
        step = Seek(rule, rule.account_id, only_there)
        source = self.connection.email_source
        sought = [Sought(user.id, tuple(addresses(user, source)), step) for user in new]
        matching = self.finding.bulk(self.connection.id, sought)
        for user, one in zip(new, sought, strict=True):
            match = matching.answer(one, self._meanwhile).match
            if isinstance(match, Found):
                self._meanwhile.taken.add(match.candidate.record_id)
            elif isinstance(match, NotFound):
                email = wanted_contact(user, source).email
                self._meanwhile.makes(key(email), rule.account_id)
            self._count(user, match)

    def _employees(self, users: Sequence[EntraUser]) -> None:
        new = self._new(users)
        self.tally.employees += len(new)
        for user in new:
            keys = addresses(user, self.connection.email_source)
            taken = frozenset(self._staff_taken)
            match = match_employee(keys, user.upn, self.staff, taken)
            if isinstance(match, Found):
                self._staff_taken.add(match.candidate.record_id)
            self._count(user, match)

    def _new(self, users: Sequence[EntraUser]) -> list[EntraUser]:
        new = [user for user in users if mark_of(user.id) not in self.linked]
        self.tally.linked += len(users) - len(new)
        return new

    def _count(self, user: EntraUser, match: object) -> None:
        if isinstance(match, Ambiguous):
            self.tally.conflicts.add(Person(user.id, user.display_name, match.reason))
        elif isinstance(match, Found):
            self.tally.would_match += 1
        else:
            self.tally.would_create += 1
            self.tally.with_title += bool(user.job_title.strip())


def mark_of(user_id: UserId) -> bytes:
    """A user in eight bytes."""
    return _short(user_id)


def _short(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()
