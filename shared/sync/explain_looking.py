"""What Entra, BMS and our own memory show of one person now, each as far as it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.core.explanation import Standing
from shared.core.matching import addresses, key
from shared.core.model import (
    Account,
    AccountId,
    Connection,
    Contact,
    ContactTypes,
    Employee,
    EntraUser,
    Link,
    MappingRule,
    RecordId,
    RecordType,
    UserId,
)
from shared.core.rules import Placement, in_order
from shared.core.standing import standing
from shared.errors import SyncError
from shared.ports import Nesting
from shared.sync.rehearsing import Rehearsal, Rehearsing


@dataclass(frozen=True)
class Seen:
    """All that is known. `unknown`: why Entra was not asked, or did not answer."""

    connection: Connection
    user_id: UserId
    link: Link | None
    rules: tuple[MappingRule, ...]
    rehearsal: Rehearsal
    record: Contact | Employee | None = None
    record_unknown: str | None = None
    unknown: str | None = None
    accounts: Mapping[AccountId, Account] = field(default_factory=dict)
    nesting: Nesting | None = None

    @property
    def user(self) -> EntraUser | None:
        """The user as Entra shows him."""
        work = self.rehearsal.work
        return work.users.get(self.user_id) if work else None

    @property
    def placement(self) -> Placement | None:
        """What the rules say of him."""
        work = self.rehearsal.work
        return work.placements.get(self.user_id) if work else None

    @property
    def winner(self) -> MappingRule | None:
        """The rule that takes him."""
        return self.placement.rule if self.placement else None

    @property
    def in_entra(self) -> Standing:
        """Whether Entra has him."""
        if self.user is not None:
            return "present"
        work = self.rehearsal.work
        return "deleted" if work is not None and self.user_id in work.steps else "unknown"

    @property
    def name(self) -> str:
        """How a person calls him."""
        if self.user is not None:
            return self.user.display_name or self.user.upn or self.user_id
        link = self.link
        return (link.display_name or link.upn if link else "") or self.user_id

    @property
    def addresses(self) -> tuple[str, ...]:
        """Every address that he is matched by, in order (R6)."""
        if self.user is not None:
            return tuple(addresses(self.user, self.connection.email_source))
        return (key(self.link.address),) if self.link and self.link.address else ()

    @property
    def record_type(self) -> RecordType:
        """What he is, or would become."""
        if self.link is not None and self.link.record_id is not None:
            return self.link.record_type
        if self.winner is not None:
            return self.winner.record_type
        return self.link.record_type if self.link is not None else RecordType.CONTACT

    @property
    def types(self) -> ContactTypes:
        """Which phone is which, as far as BMS tells."""
        try:
            return self.rehearsal.bms.contact_types()
        except SyncError:
            return ContactTypes()

    def account_name(self, account_id: AccountId | None) -> str | None:
        """As BMS calls it; None when it was not asked, or has none."""
        account = self.accounts.get(account_id) if account_id is not None else None
        return account.name if account else None

    @property
    def locations(self) -> dict[int, str]:
        """The names of all locations."""
        return {
            int(place.id): place.name
            for account in self.accounts.values()
            for place in account.locations
        }


def look(
    rehearsing: Rehearsing, connection: Connection, user_id: UserId, link: Link | None
) -> Seen:
    """Look everywhere, and rehearse what the sync would do; writes nothing."""
    stores = rehearsing.stores
    live = connection.first_sync_at is not None  # before it, the rules as edited will count (R5)
    rules = (
        stores.rules.live(connection.id, connection.live_rules)
        if live
        else stores.rules.edited(connection.id)
    )
    rehearsal = rehearsing.begin(connection, user_id, link)
    # Before the rehearsal, which leaves the record as the sync would.
    record, record_unknown = _record(rehearsal, link)
    unknown: str | None = None
    if connection.may_read:
        rehearsal.run(list(rules))
        work = rehearsal.work
        if work is None or not (user_id in work.steps or user_id in work.users):
            unknown = rehearsal.error.sentence if rehearsal.error else "Entra did not answer."
    else:
        now = standing(connection)
        unknown = f"The connection is in state {connection.state}. {now.reason} {now.next_step}"
    in_directory = rehearsal.work is not None and user_id in rehearsal.work.users
    return Seen(
        connection=connection,
        user_id=user_id,
        link=link,
        rules=tuple(in_order(rules)),
        rehearsal=rehearsal,
        record=record,
        record_unknown=record_unknown,
        unknown=unknown,
        accounts=_accounts(rehearsal),
        nesting=_nesting(rehearsing, connection, user_id, rules) if in_directory else None,
    )


def _record(
    rehearsal: Rehearsal, link: Link | None
) -> tuple[Contact | Employee | None, str | None]:
    if link is None or link.record_id is None:
        return None, None
    try:
        if link.record_type is RecordType.CONTACT:
            record: Contact | Employee | None = rehearsal.bms.contact(link.record_id)
        else:
            staff = rehearsal.bms.employees()
            record = next((one for one in staff if one.id == link.record_id), None)
    except SyncError as error:
        return None, error.sentence
    if record is None:
        return None, f"BMS no longer has {link.record_type.value} {link.record_id}."
    return record, None


def _accounts(rehearsal: Rehearsal) -> dict[AccountId, Account]:
    try:
        return {one.id: one for one in rehearsal.bms.accounts()}
    except SyncError:
        return {}


def _nesting(
    rehearsing: Rehearsing, connection: Connection, user_id: UserId, rules: list[MappingRule]
) -> Nesting | None:
    tops = {rule.group_id for rule in rules}
    if not tops:
        return None
    try:
        return rehearsing.stores.directories.open(connection).nesting(user_id, tops)
    except SyncError:
        return None  # told with the groups: the verdicts rest on the look, not on this


def candidates(seen: Seen) -> list[tuple[RecordId, AccountId | None, bool, str]]:
    """The records that carry one of his addresses, in the order of the addresses (R6)."""
    if seen.record_type is RecordType.EMPLOYEE:
        return _staff(seen)
    entries = seen.rehearsal.index.get_many(seen.addresses) if seen.addresses else {}
    found: dict[RecordId, tuple[RecordId, AccountId | None, bool, str]] = {}
    for address in seen.addresses:
        for known in entries[address].known if address in entries else ():
            row = (known.record_id, known.account_id, known.is_active, address)
            found.setdefault(known.record_id, row)
    return list(found.values())


def _staff(seen: Seen) -> list[tuple[RecordId, AccountId | None, bool, str]]:
    try:
        staff = seen.rehearsal.bms.employees()
    except SyncError:
        return []
    work = seen.rehearsal.work
    wanted = work.employees.get(seen.user_id) if work else None
    names = [*seen.addresses, *([key(wanted.user_name)] if wanted else [])]
    return [
        (one.id, None, one.is_active, fits)
        for one in staff
        if (fits := next((k for k in names if k in (key(one.email), key(one.user_name))), ""))
    ]
