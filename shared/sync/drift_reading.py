"""Compare a connection's links with what BMS holds now, and keep what differs.

Contacts are read by the lists of the accounts that the links are in, a hundred a call and from the
bulk share of BMS's limit (R25); only records that no such list shows are asked for one by one.
Where that limit is used up the comparison ends: what was read counts, the next one begins behind
it. The links are kept packed meanwhile, so that a hundred thousand fit into memory.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from shared.core.drift import DriftField, contact_drift, employee_drift, is_compared
from shared.core.matching import key
from shared.core.messages import SweepOrder
from shared.core.model import (
    Account,
    AccountId,
    ConnectionId,
    Contact,
    ContactTypes,
    Employee,
    Link,
    LinkState,
    LocationId,
    RecordId,
    RecordType,
    UserId,
)
from shared.errors import Limited
from shared.ports import (
    Bms,
    BmsSettingsStore,
    DriftItem,
    DriftReading,
    DriftStore,
    Links,
    Now,
)

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=15)
_PAGE = 1000
_TELL_EVERY = 1000
_FEW = 2  # so many records of an account are read one by one: cheaper than its two lists
_MOST_MISSING = 100
_SAME_MOMENT = timedelta(minutes=1)  # clocks differ; what is no older than our write is not an edit

WHO = (
    "BMS tells who changed a record last and when, not who changed which field; where this app "
    "itself changed it last, the editor is not known."
)
EMPLOYEES = (
    "Of employees BMS shows name, e-mail, user name, job title and whether they are active; other "
    "fields cannot be compared."
)


class _Deleted(Exception):
    """The connection is no more."""


@dataclass(slots=True)
class _Run:
    """One connection while it is compared."""

    connection_id: ConnectionId
    began: datetime
    accounts: Mapping[AccountId, Account] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    types: ContactTypes = field(default_factory=ContactTypes)
    staff: Mapping[RecordId, Employee] = field(default_factory=dict)
    contacts: dict[AccountId, dict[RecordId, bytes]] = field(default_factory=dict)
    employees: list[Link] = field(default_factory=list)
    links: int = 0
    compared: int = 0
    go_on_after: AccountId | None = None
    limit: Limited | None = None
    items: list[DriftItem] = field(default_factory=list)
    notes: list[str] = field(default_factory=lambda: [WHO])


@dataclass(frozen=True, slots=True)
class ReadDrift:
    """The comparison of one connection."""

    links: Links
    store: DriftStore
    bms: Bms
    bms_settings: BmsSettingsStore
    now: Now

    def carry_out(self, order: SweepOrder) -> None:
        """From the queue; somebody else's comparison that is going on will do."""
        try:
            self.read(order.connection_id, most=None)
        except Limited as error:
            # Nothing was read. Tried again when somebody looks, not for ever by itself.
            log.info("drift not read connection=%s: %s", order.connection_id, error.sentence)

    def read(
        self, connection_id: ConnectionId, *, most: int | None, calls: int | None = None
    ) -> bool:
        """Compare now. False when another does, or it takes more than `most` links or `calls`.

        Raises Limited when BMS's limit left room for nothing at all.
        """
        began = self.now()
        run = _Run(connection_id, began)
        if not self._gather(run, most):
            return False
        if calls is not None and _fewest_calls(run) > calls:
            return False
        if not self.store.begin(connection_id, began, LEASE):
            return False
        before = self.store.reading(connection_id)
        run.go_on_after = before.go_on_after
        try:
            self._compare(run)
        except Limited as error:
            if run.compared == 0:
                self.store.progress(replace(before, reading_until=None))
                raise
            run.limit = error
        except _Deleted:
            return True
        except BaseException:
            self.store.progress(replace(before, reading_until=None))
            raise
        left = _users_left(run) if run.limit is not None else frozenset()
        if left:
            run.notes.append(
                f"BMS's hourly limit left no room for {len(left)} records, or they are in the same "
                "account as those: they show the comparison before. Compare again later; it goes "
                "on with them."
            )
        self.store.replace_all(connection_id, run.items, left)
        after = DriftReading(
            connection_id,
            began,
            None,
            run.links,
            run.compared,
            tuple(run.notes),
            run.go_on_after if left else None,
        )
        if not self.store.progress(after):
            self.store.remove(connection_id)  # the connection was deleted meanwhile
        log.info(
            "drift read connection=%s links=%d edited=%d",
            connection_id,
            run.links,
            len(run.items),
        )
        return True

    def _gather(self, run: _Run, most: int | None) -> bool:
        cursor: str | None = None
        while True:
            links, cursor = self.links.page(
                run.connection_id, state=None, text=None, limit=_PAGE, cursor=cursor
            )
            for link in links:
                if is_compared(link) and link.record_id is not None:
                    self._add(run, link, link.record_id)
            if most is not None and run.links > most:
                return False
            if cursor is None:
                return True

    def _add(self, run: _Run, link: Link, record_id: RecordId) -> None:
        run.links += 1
        if link.record_type is RecordType.EMPLOYEE:
            run.employees.append(link)
        else:
            of_account = run.contacts.setdefault(link.account_id or AccountId(0), {})
            of_account[record_id] = _packed(link)

    # --- the comparison ------------------------------------------------------------------------

    def _compare(self, run: _Run) -> None:
        if run.links == 0:
            return
        settings = self.bms_settings.get()
        # Read for the names as well: BMS's lists name who edited a record by id alone.
        newer_than = run.began if run.employees else None
        run.staff = {one.id: one for one in self.bms.employees(newer_than=newer_than)}
        ours = {
            one.id
            for one in run.staff.values()
            if settings is not None and key(one.user_name) == key(settings.user_name)
        }
        self._compare_employees(run)
        if not run.contacts:
            return
        accounts = self.bms.accounts()
        run.accounts = {account.id: account for account in accounts}
        run.names = {int(account.id): account.name for account in accounts}
        for account in accounts:
            run.names |= {int(place.id): place.name for place in account.locations}
        run.types = self.bms.contact_types()
        singles = _MOST_MISSING
        untold = 0
        for account_id in _in_turn(run):
            left = run.contacts[account_id]
            if len(left) > _FEW and account_id:
                if self._by_list(run, account_id, left, ours):
                    missing = list(left)
                    some, rest = missing[: max(0, singles)], missing[max(0, singles) :]
                    singles -= len(some)
                else:
                    some, rest = list(left), []
            else:
                some, rest = list(left), []
            # What no list has shown is in another account, or gone.
            for record_id in some:
                contact = self.bms.contact(record_id)
                self._look_at(run, left.pop(record_id), contact, ours)
            untold += len(rest)
            left.clear()
            run.go_on_after = account_id
        if untold:
            run.notes.append(
                f"{untold} more records are not in BMS's list of their account; they were not "
                "looked at one by one."
            )

    def _by_list(
        self,
        run: _Run,
        account_id: AccountId,
        left: dict[RecordId, bytes],
        ours: set[RecordId],
    ) -> bool:
        """Read the account's lists, as long as that is cheaper than reading what is left of it.

        False when it was not: what is left was not missing from the lists.
        """
        pages, most = 0, len(left)
        for active in (True, False):
            for page in self.bms.contacts(active=active, account_id=account_id):
                pages += 1
                for contact in page:
                    packed = left.pop(contact.id, None)
                    if packed is not None:
                        self._look_at(run, packed, contact, ours)
                if not left:
                    return True
                if pages >= most:
                    return False
        return True

    def _compare_employees(self, run: _Run) -> None:
        if not run.employees:
            return
        run.notes.append(EMPLOYEES)
        titles = dict(self.bms.lookup("jobtitles"))
        for link in run.employees:
            employee = None if link.record_id is None else run.staff.get(link.record_id)
            fields = employee_drift(link, employee, titles)
            is_active = employee is not None and employee.is_active
            self._note(run, link, fields, None, is_active, None, None)

    def _look_at(
        self, run: _Run, packed: bytes, contact: Contact | None, ours: set[RecordId]
    ) -> None:
        link, updated_at = _unpacked(packed, run.connection_id)
        fields = contact_drift(link, contact, run.types, run.names)
        by: str | None = None
        at: datetime | None = None
        if contact is not None and fields and contact.modified_by not in ours:
            at = _moment(contact.modified_on)
            if at is not None and updated_at is not None and at < updated_at - _SAME_MOMENT:
                at = None  # nothing was changed since our write, as far as BMS tells
            elif at is not None and contact.modified_by is not None:
                editor = run.staff.get(RecordId(contact.modified_by))
                by = editor.name if editor else f"BMS user {contact.modified_by}"
        account = contact.account_id if contact is not None else link.account_id
        is_active = contact is not None and contact.is_active
        self._note(run, link, fields, account, is_active, by, at)

    def _note(
        self,
        run: _Run,
        link: Link,
        fields: tuple[DriftField, ...],
        account: AccountId | None,
        is_active: bool,
        by: str | None,
        at: datetime | None,
    ) -> None:
        run.compared += 1
        if run.compared % _TELL_EVERY == 0:
            until = self.now() + LEASE
            before = self.store.reading(run.connection_id)
            now = replace(before, reading_until=until, links=run.links, compared=run.compared)
            if before.reading_until is None or not self.store.progress(now):
                raise _Deleted
        if not fields or link.record_id is None:
            return
        known = run.accounts.get(account) if account is not None else None
        run.items.append(
            DriftItem(
                connection_id=run.connection_id,
                user_id=link.user_id,
                display_name=link.display_name,
                record_type=link.record_type,
                record_id=link.record_id,
                account_id=account,
                account_name=known.name if known is not None else "",
                is_active=is_active,
                fields=fields,
                read_at=run.began,
                edited_by=by,
                edited_at=at,
            )
        )


def _in_turn(run: _Run) -> list[AccountId]:
    """The accounts, beginning behind the one that the limit ended the last comparison at."""
    every = sorted(run.contacts)
    first = run.go_on_after
    return sorted(every, key=lambda each: (first is not None and each <= first, each))


def _fewest_calls(run: _Run) -> int:
    """What reading them costs at least."""
    return sum(
        len(links) if len(links) <= _FEW else 2 + len(links) // 100
        for links in run.contacts.values()
    )


def _users_left(run: _Run) -> frozenset[UserId]:
    """Whom the limit left no room for."""
    return frozenset(
        _unpacked(packed, run.connection_id)[0].user_id
        for links in run.contacts.values()
        for packed in links.values()
    )


def _packed(link: Link) -> bytes:
    """What the comparison needs of a link, in a few hundred bytes."""
    body = [
        link.user_id,
        link.record_id,
        link.account_id,
        link.location_id,
        link.state.value,
        link.refused,
        dict(link.written),
        link.display_name,
        link.updated_at.timestamp() if link.updated_at else None,
    ]
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _unpacked(packed: bytes, connection_id: ConnectionId) -> tuple[Link, datetime | None]:
    user, record, account, location, state, refused, written, name, at = json.loads(packed)
    updated_at = datetime.fromtimestamp(at, UTC) if at is not None else None
    link = Link(
        connection_id,
        UserId(user),
        LinkState(state),
        record_id=RecordId(record),
        account_id=None if account is None else AccountId(account),
        location_id=None if location is None else LocationId(location),
        refused=refused,
        written=written,
        display_name=name,
        updated_at=updated_at,
    )
    return link, updated_at


def _moment(text: str) -> datetime | None:
    """BMS's time; without a zone it is UTC (bms-api.md 2.3)."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
