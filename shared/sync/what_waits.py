"""What waits for a person, at a glance, and what he needs to see to choose (R9, R20, R24, R26)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock

from shared.core.model import AccountId, ConnectionId, Link, RecordId, RecordType, UserId
from shared.errors import BadInput
from shared.ports import Bms, Conflict, HeldUser, Hold, Links, Now
from shared.sync.choosing import Choosing
from shared.sync.holding import Holding
from shared.sync.records import Records
from shared.sync.worklist import WorkOff

_MOST_HELD = 500  # people shown with their hold; a hold may have 20,000
_MOST_SHOWN = 20  # records of one conflict, since each of them is a call to BMS


@dataclass(frozen=True, slots=True)
class Waiting:
    """How much of each waits. `held`: the people in the open holds."""

    holds: int
    held: int
    conflicts: int
    failures: int
    worklist: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """One record that a person may choose. `gone`: BMS does not have it any more."""

    record_id: RecordId
    record_type: RecordType
    name: str = ""
    job_title: str = ""
    account_id: AccountId | None = None
    account_name: str = ""
    addresses: tuple[str, ...] = ()
    is_active: bool = False
    gone: bool = False


@dataclass(frozen=True, slots=True)
class HoldSeen:
    """A hold with its first people. `more`: so many others are in it."""

    hold: Hold
    people: tuple[HeldUser, ...]
    waiting: int
    more: int


@dataclass(slots=True)
class _Counted:
    """What was counted last in this process, and when."""

    lock: Lock = field(default_factory=Lock)
    at: datetime | None = None
    waiting: Waiting | None = None


@dataclass(frozen=True, slots=True)
class WhatWaits:
    """The use case."""

    holding: Holding
    records: Records
    choosing: Choosing
    worklist: WorkOff
    links: Links
    bms: Bms
    now: Now
    _counted: _Counted = field(default_factory=_Counted)

    def counts(self, max_age: timedelta = timedelta(0)) -> Waiting:
        """How much waits, over all connections; counted at most `max_age` ago."""
        known = self._counted
        with known.lock:  # every open page asks for the same: one counts, the others wait for it
            now = self.now()
            if known.waiting is None or known.at is None or now - known.at >= max_age:
                known.waiting, known.at = self._count(), now
            return known.waiting

    def forget_counts(self) -> None:
        """Something was decided here: the next one who asks counts anew."""
        with self._counted.lock:
            self._counted.waiting = None

    def _count(self) -> Waiting:
        holds = self.holding.listed(None, "open")
        return Waiting(
            holds=len(holds),
            held=self.holding.holds.count_waiting(holds),
            conflicts=self.records.conflicts.count_open(),
            failures=self.records.failures.count(),
            worklist=len(self.worklist.open_items().items),
        )

    def seen(self, hold: Hold) -> HoldSeen:
        """The hold with at most 500 of its people, and how many there are."""
        people, after = self.holding.holds.people_page(hold, limit=_MOST_HELD, after=None)
        tally = (
            Counter(one.state for one in people)
            if after is None
            else self.holding.holds.tally(hold)
        )
        more = max(0, sum(tally.values()) - len(people))
        return HoldSeen(hold, tuple(people), tally.get("waiting", 0), more)

    def hold(self, hold_id: str) -> Hold:
        """BadInput 404 when there is none."""
        found = self.holding.holds.get(hold_id)
        if found is None:
            raise BadInput(
                404, "There is no hold with this id: see the list of holds.", field="holdId"
            )
        return found

    def people(
        self, hold_id: str, *, limit: int, after: UserId | None
    ) -> tuple[Sequence[HeldUser], UserId | None]:
        """People of a hold, and after whom the next page begins; None at the end."""
        return self.holding.holds.people_page(self.hold(hold_id), limit=limit, after=after)

    def links_of(
        self, people: Iterable[tuple[ConnectionId, UserId | None]]
    ) -> dict[tuple[ConnectionId, UserId], Link]:
        """What is remembered of these users, for their names."""
        users: dict[ConnectionId, set[UserId]] = {}
        for connection_id, user_id in people:
            if user_id is not None:
                users.setdefault(connection_id, set()).add(user_id)
        return {
            (connection_id, user_id): link
            for connection_id, wanted in users.items()
            for user_id, link in self.links.get_many(connection_id, sorted(wanted)).items()
        }

    def conflict(self, conflict_id: str) -> tuple[Conflict, Link | None, tuple[Candidate, ...]]:
        """A conflict with its user and the records as BMS shows them now.

        One call to BMS for each contact, at most 20; employees come from one list.
        """
        conflict = self.choosing.get(conflict_id)
        link = self.links.get(conflict.connection_id, conflict.user_id)
        wanted = conflict.record_ids[:_MOST_SHOWN]
        if conflict.record_type is RecordType.EMPLOYEE:
            return conflict, link, self._employees(wanted)
        names = {account.id: account.name for account in self.bms.accounts()}
        return conflict, link, tuple(self._contact(one, names) for one in wanted)

    def _contact(self, record_id: RecordId, names: dict[AccountId, str]) -> Candidate:
        found = self.bms.contact(record_id)
        if found is None:
            return Candidate(record_id, RecordType.CONTACT, gone=True)
        return Candidate(
            record_id,
            RecordType.CONTACT,
            name=f"{found.first_name} {found.last_name}".strip(),
            job_title=found.job_title,
            account_id=found.account_id,
            account_name=names.get(found.account_id, ""),
            addresses=tuple(each.address for each in found.emails),
            is_active=found.is_active,
        )

    def _employees(self, wanted: Iterable[RecordId]) -> tuple[Candidate, ...]:
        known = {each.id: each for each in self.bms.employees()}
        shown = []
        for record_id in wanted:
            found = known.get(record_id)
            if found is None:
                shown.append(Candidate(record_id, RecordType.EMPLOYEE, gone=True))
                continue
            shown.append(
                Candidate(
                    record_id,
                    RecordType.EMPLOYEE,
                    name=found.name,
                    job_title=found.job_title,
                    addresses=(found.email,) if found.email else (),
                    is_active=found.is_active,
                )
            )
        return tuple(shown)
