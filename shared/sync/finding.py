"""Find the record of a user whom no link names yet (R6, R9).

The index answers for everybody; only for a few fresh users BMS is asked as well, by address, since
somebody may have typed the contact in a minute ago. Whose record it is, the owners tell; a record
whose user has left is free again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from shared.core.decision import Seek
from shared.core.matching import Ambiguous, Candidate, Found, NotFound, match
from shared.core.model import (
    AccountId,
    ConnectionId,
    Contact,
    LinkState,
    RecordId,
    RecordType,
    UserId,
)
from shared.errors import TryLater
from shared.ports import AddressEntry, AddressIndex, Bms, Links, Owner, Owners
from shared.sync.address_reading import known_addresses, known_of

_MOST_SEARCHES = 6
_TRIES = 6


@dataclass(frozen=True, slots=True)
class Sought:
    """One user for whom a record is sought, and his addresses in order."""

    user_id: UserId
    keys: tuple[str, ...]
    step: Seek


@dataclass(frozen=True, slots=True)
class Answer:
    """The match, and what the index held for the user's addresses."""

    match: Found | NotFound | Ambiguous
    entries: dict[str, AddressEntry]
    former_owner: Owner | None = None  # of the record found, when it has to be taken over


@dataclass(slots=True)
class Meanwhile:
    """What others are about to make, take and leave, where nothing is written (previews)."""

    made: dict[str, tuple[Candidate, ...]] = field(default_factory=dict)
    taken: set[RecordId] = field(default_factory=set)
    left: set[RecordId] = field(default_factory=set)

    def makes(self, address: str, account_id: AccountId) -> None:
        """A record with this address is about to be made: others find the address taken (R9)."""
        number = RecordId(-1 - len(self.taken))  # one that BMS never gives
        made = Candidate(number, account_id, True)
        self.made[address] = (*self.made.get(address, ()), made)
        self.taken.add(number)


@dataclass(frozen=True, slots=True)
class Matching:
    """The index's entries for some users, and whose the records in them are."""

    connection_id: ConnectionId
    entries: dict[str, AddressEntry]
    owned: Mapping[RecordId, Owner]
    held: Set[RecordId]  # by users who are still in scope

    def answer(self, one: Sought, meanwhile: Meanwhile | None = None) -> Answer:
        """The match for one of them."""
        shown = self._shown(one)
        others = {each for each in shown & self.held if not self._is_mine(each, one)}
        made = None
        if meanwhile is not None:
            made = {key: meanwhile.made[key] for key in one.keys if key in meanwhile.made}
            shown |= {each.record_id for several in made.values() for each in several}
            others = (others - meanwhile.left) | (shown & meanwhile.taken)
        answer = _answer(one, self.entries, frozenset(others), made)
        if isinstance(answer.match, Found):
            record = answer.match.candidate.record_id
            former = self.owned.get(record)
            if former is not None and not self._is_mine(record, one):
                return replace(answer, former_owner=former)
        return answer

    def _shown(self, one: Sought) -> set[RecordId]:
        """The records that the index has for his addresses: a few, of the many that are held."""
        found = (self.entries[key] for key in one.keys if key in self.entries)
        return {known.record_id for entry in found for known in entry.known}

    def _is_mine(self, record: RecordId, one: Sought) -> bool:
        owner = self.owned[record]
        return (owner.connection_id, owner.user_id) == (self.connection_id, one.user_id)


@dataclass(frozen=True, slots=True)
class FindRecords:
    """Matches users against the address index."""

    index: AddressIndex
    owners: Owners
    links: Links
    bms: Bms

    def find(
        self, connection_id: ConnectionId, sought: Sequence[Sought], *, cached: bool, search: bool
    ) -> dict[UserId, Answer]:
        """The match for each user, from this process's copy of the index or from the tables.

        `search`: who is not in the index is looked for in BMS, which bulk work must not do (R6).
        """
        every = {key for one in sought for key in one.keys}
        entries = self.index.cached(every) if cached else self.index.get_many(every)
        if search:
            for one in sought:
                answer = _answer(one, entries, frozenset())
                # Behind another user's lock a record is being made: it will be in the index soon.
                locked = any(
                    entry.creating_for not in (None, one.user_id)
                    for entry in answer.entries.values()
                )
                if isinstance(answer.match, NotFound) and not locked:
                    self._search(one.keys, entries)
        matching = self._matching(connection_id, sought, entries)
        return {one.user_id: matching.answer(one) for one in sought}

    def bulk(self, connection_id: ConnectionId, sought: Sequence[Sought]) -> Matching:
        """What matching many users rests on, from this process's copy of the index alone."""
        every = {key for one in sought for key in one.keys}
        return self._matching(connection_id, sought, self.index.cached(every))

    def _matching(
        self,
        connection_id: ConnectionId,
        sought: Sequence[Sought],
        entries: dict[str, AddressEntry],
    ) -> Matching:
        owned = self._owned(sought, entries)
        held = {record for record, owner in owned.items() if self._still_held(record, owner)}
        return Matching(connection_id, entries, owned, held)

    def held(self, record_type: RecordType, records: Collection[RecordId]) -> set[RecordId]:
        """Which of these are records of users who are still in scope."""
        owned = self.owners.get_many(record_type, records)
        return {one for one, owner in owned.items() if self._still_held(one, owner, record_type)}

    def search(self, keys: Sequence[str]) -> bool:
        """Ask BMS for these addresses, add what it shows to the index; whether it shows any."""
        entries = self.index.get_many(keys)
        self._search(keys, entries)
        return any(entry.known for entry in entries.values())

    def _search(self, keys: Sequence[str], entries: dict[str, AddressEntry]) -> None:
        for key in keys[:_MOST_SEARCHES]:
            for contact in self.bms.find_contacts(key):
                entries |= self.learn(contact)

    def learn(self, contact: Contact, *, done_for: UserId | None = None) -> dict[str, AddressEntry]:
        """Add what a contact shows to the index; a filter query may only ever add (R6).

        `done_for`: this user's creation is over, its lock goes. Answers the contact's entries.
        """
        known = known_of(contact)

        def with_it(entry: AddressEntry) -> AddressEntry:
            if entry.creating_for is not None and entry.creating_for == done_for:
                entry = replace(entry, creating_for=None, creating_until=None)
            if known in entry.known:
                return entry
            others = tuple(one for one in entry.known if one.record_id != known.record_id)
            return replace(entry, known=(*others, known))

        return self._rewrite(known_addresses(contact), with_it)

    def unlearn(self, record_id: RecordId, keys: Sequence[str]) -> None:
        """BMS no longer shows this record under these addresses."""

        def without_it(entry: AddressEntry) -> AddressEntry:
            left = tuple(one for one in entry.known if one.record_id != record_id)
            return entry if left == entry.known else replace(entry, known=left)

        self._rewrite(keys, without_it)

    def _rewrite(
        self, keys: Sequence[str], change: Callable[[AddressEntry], AddressEntry]
    ) -> dict[str, AddressEntry]:
        """Change entries without wiping what others write meanwhile, their locks above all."""
        done: dict[str, AddressEntry] = {}
        left = list(dict.fromkeys(keys))
        for _ in range(_TRIES):
            before = self.index.get_many(left) if left else {}
            after = {key: change(before.get(key, AddressEntry(key))) for key in left}
            writes = [
                one for key, one in after.items() if one != before.get(key, AddressEntry(key))
            ]
            written = self.index.change(writes) if writes else {}
            lost = {one.address for one in writes if one.address not in written}
            done |= {key: written.get(key, one) for key, one in after.items() if key not in lost}
            left = sorted(lost)
            if not left:
                return done
        raise TryLater("An address is being changed by others at the same time.", counts=False)

    def _owned(
        self, sought: Sequence[Sought], entries: dict[str, AddressEntry]
    ) -> dict[RecordId, Owner]:
        """Who holds the candidates."""
        candidates = {
            known.record_id
            for one in sought
            for key in one.keys
            if key in entries
            for known in entries[key].known
        }
        if not candidates:
            return {}
        return self.owners.get_many(RecordType.CONTACT, candidates)

    def _still_held(
        self, record: RecordId, owner: Owner, record_type: RecordType = RecordType.CONTACT
    ) -> bool:
        link = self.links.get(owner.connection_id, owner.user_id)
        if link is None:
            return False
        if link.claim is not None:
            return True  # a worker is about to write it, or died over it
        is_his = link.record_type is record_type and link.record_id == record
        return is_his and link.state is LinkState.ACTIVE


def _answer(
    one: Sought,
    entries: Mapping[str, AddressEntry],
    taken: frozenset[RecordId],
    made: Mapping[str, Sequence[Candidate]] | None = None,
) -> Answer:
    mine = {key: entries[key] for key in one.keys if key in entries}
    candidates = {
        key: [
            Candidate(known.record_id, known.account_id, known.is_active) for known in entry.known
        ]
        for key, entry in mine.items()
    }
    for key in one.keys if made else ():
        candidates.setdefault(key, []).extend(made.get(key, ()) if made else ())
    result = match(
        one.keys,
        candidates,
        account_id=one.step.account_id,
        own_account_only=one.step.own_account_only,
        taken=taken,
    )
    return Answer(result, mine)
