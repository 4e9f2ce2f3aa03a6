"""Contacts, accounts and look-ups of BMS v2 (bms-api.md sections 4 to 6).

Contacts are written by four calls: POST for a new one, PATCH for fields, and a PATCH each for
e-mails and phones. PUT is never used, since what it leaves out becomes false; DELETE cannot be
sent.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from shared.adapters.bms_employees import read_employees
from shared.adapters.bms_entries import EMAILS, PHONES, EntryChanges, EntryProof
from shared.adapters.bms_session import BmsSession, Reply
from shared.core.budget import Lane
from shared.core.matching import key
from shared.core.model import (
    Account,
    AccountId,
    BmsSettings,
    Contact,
    ContactEmail,
    ContactPhone,
    ContactTypes,
    Employee,
    Location,
    LocationId,
    RecordId,
)
from shared.errors import (
    BadInput,
    DecideAgain,
    Rejected,
    SyncError,
    TryLater,
    Uncertain,
)
from shared.ports import EntryChange, NewContact, Now

_PAGE = 100  # clients use 100 without trouble; the largest size is not published
_PASSES = 6
_SEARCH_PAGES = 2
_CACHED = timedelta(minutes=2)
_JUST_READ = timedelta(seconds=3)
_LIST = "/v2/crm/contacts/summary"
_LOOKUPS = {
    "departments": "/v2/admin/hr/departments/lookup",
    "jobtitles": "/v2/admin/hr/jobtitles/lookup",
    "securityroles": "/v2/admin/security/roles/lookup",
    "employeeroles": "/v2/system/roles/lookup",
    "employees": "/v2/hr/employees/lookup",
    "employmenttypes": "/v2/system/lookup/EmploymentType",
    "employmenttypes of the tenant": "/v2/system/tenantlookup/EmploymentType",
    "emailtypes": "/v2/system/lookup/EmailType",
    "phonetypes": "/v2/system/lookup/PhoneType",
}
_PAGED_LOOKUPS = {"securityroles", "employees"}


@dataclass(slots=True)
class _Memory:
    """What both lanes of a process remember of BMS."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    cache: dict[str, tuple[datetime, Any]] = field(default_factory=dict)
    reading: dict[str, threading.Lock] = field(default_factory=dict)
    # Type ids and names met on contacts: the surest source of them (bms-api.md 6).
    emails: Counter[tuple[int, str]] = field(default_factory=Counter)
    phones: Counter[tuple[int, str]] = field(default_factory=Counter)
    version: str = ""
    proof: EntryProof = field(default_factory=EntryProof)

    def belong_to(self, version: str) -> None:
        """What was learnt belongs to the settings that were saved then, on every instance."""
        with self.lock:
            if version != self.version:
                self.version = version
                self.cache.clear()
                self.emails.clear()
                self.phones.clear()
                self.proof = EntryProof()


class BmsApi:
    """ports.Bms."""

    def __init__(
        self,
        session: BmsSession,
        now: Now,
        *,
        lane: Lane = Lane.FRESH,
        memory: _Memory | None = None,
    ) -> None:
        self._session = session
        self._now = now
        self._lane = lane
        self._memory = memory or _Memory()
        self._entries = EntryChanges(self._call, self._proof)

    def bulk(self) -> BmsApi:
        """The same, paid for from the bulk share of the hourly limit (R25)."""
        return BmsApi(self._session, self._now, lane=Lane.BULK, memory=self._memory)

    def check_sign_in(self, settings: BmsSettings, password: str) -> None:
        self._session.check(settings, password)

    def _forget_another_bms(self) -> None:
        self._memory.belong_to(self._session.settings().version)

    def _proof(self) -> EntryProof:
        self._forget_another_bms()
        return self._memory.proof

    def _call(
        self,
        method: str,
        route: str,
        path: str,
        *,
        params: list[tuple[str, str]] | None = None,
        body: object = None,
        repeatable: bool | None = None,
        missing_is_none: bool = False,
    ) -> Reply | None:
        return self._session.call(
            method,
            route,
            path,
            params=params,
            body=body,
            repeatable=repeatable,
            missing_is_none=missing_is_none,
            lane=self._lane,
        )

    # --- accounts and look-ups -----------------------------------------------------------------

    def accounts(self) -> list[Account]:
        found: list[Account] = self._cached("accounts", self._read_accounts)
        return found

    def account(self, account_id: AccountId, *, fresh: bool = False) -> Account | None:
        if fresh:
            known = self._memory.cache.get("accounts")
            if known is not None and self._now() - known[0] > _JUST_READ:
                self._memory.cache.pop("accounts", None)
        return next((one for one in self.accounts() if one.id == account_id), None)

    def _read_accounts(self) -> list[Account]:
        route = "/v2/crm/accounts/summary"
        return [_account(row) for page in self._pages(route, []) for row in page]

    def lookup(self, kind: str, *, account_id: AccountId | None = None) -> list[tuple[int, str]]:
        if kind == "accounts":
            return [(int(one.id), one.name) for one in self.accounts() if one.is_active]
        if kind == "locations" and account_id is not None:
            account = self.account(account_id)
            if account is None:
                raise BadInput(404, f"BMS has no account {account_id}.", field="accountId")
            return [(int(one.id), one.name) for one in account.locations if one.is_active]
        route = "/v2/system/locations/lookup" if kind == "locations" else _LOOKUPS.get(kind)
        if route is None:
            named = [name for name in _LOOKUPS if " " not in name]
            known = ", ".join(sorted(["accounts", "locations", *named]))
            raise BadInput(404, f"There is no look-up {kind!r}; there are {known}.", field="kind")
        found: list[tuple[int, str]] = self._cached(
            kind,
            lambda: (
                [_pair(row) for page in self._pages(route, []) for row in page]
                if kind in _PAGED_LOOKUPS
                else self._either(route, _LOOKUPS.get(f"{kind} of the tenant"))
            ),
        )
        return found

    def _either(self, route: str, other: str | None) -> list[tuple[int, str]]:
        """The rows of a table whose name is a guess, as is whose table it is (bms-api.md 6)."""
        try:
            return self._rows(route)
        except Rejected:
            if other is None:
                raise
            return self._rows(other)

    def employees(self, *, newer_than: datetime | None = None) -> list[Employee]:
        found: list[Employee] = self._cached(
            "searchselect", lambda: read_employees(self._pages), newer_than
        )
        return found

    def _rows(self, route: str) -> list[tuple[int, str]]:
        reply = self._call("GET", route, route)
        rows = (reply or Reply({})).items_of("result")
        return [_pair(row) for row in rows if row.value("isActive", True)]

    def _cached(
        self, name: str, read: Callable[[], Any], newer_than: datetime | None = None
    ) -> Any:
        self._forget_another_bms()
        with self._memory.lock:
            reading = self._memory.reading.setdefault(name, threading.Lock())
        with reading:  # whoever needs the same at the same time waits for the one who reads
            known = self._memory.cache.get(name)
            # Asked under the lock: whoever has waited may be given what was read before he asked.
            old = known is not None and newer_than is not None and known[0] <= newer_than
            if known is None or old or self._now() - known[0] >= _CACHED:
                known = (self._now(), read())
                self._memory.cache[name] = known
            return known[1]

    def contact_types(self) -> ContactTypes:
        self._forget_another_bms()
        settings = self._session.settings()
        types = ContactTypes(
            email=settings.email_type_id or _most_used(self._memory.emails, _is_work),
            work_phone=settings.work_phone_type_id or _best(self._memory.phones, _is_work),
            mobile_phone=settings.mobile_phone_type_id or _best(self._memory.phones, _is_mobile),
        )
        if None not in (types.email, types.work_phone, types.mobile_phone):
            return types
        emails, phones = self._type_tables()
        return ContactTypes(
            email=types.email or _most_used(emails, _is_work),
            work_phone=types.work_phone or _best(phones, _is_work),
            mobile_phone=types.mobile_phone or _best(phones, _is_mobile),
        )

    def _type_tables(self) -> tuple[Counter[tuple[int, str]], Counter[tuple[int, str]]]:
        """From the look-up tables, whose names are assumed; else from a page of contacts."""

        def read() -> tuple[Counter[tuple[int, str]], Counter[tuple[int, str]]]:
            tables: list[Counter[tuple[int, str]]] = []
            for kind in ("emailtypes", "phonetypes"):
                try:
                    tables.append(Counter(self._rows(_LOOKUPS[kind])))
                except SyncError:
                    # The tables' names are a guess, and who knows how BMS answers a wrong one.
                    tables.append(Counter())
            if not all(tables):
                next(self.contacts(active=True), None)
                tables = [tables[0] or self._memory.emails, tables[1] or self._memory.phones]
            return tables[0], tables[1]

        found: tuple[Counter[tuple[int, str]], Counter[tuple[int, str]]] = self._cached(
            "types", read
        )
        return found

    # --- contacts: read ------------------------------------------------------------------------

    def contacts(
        self, *, active: bool, account_id: AccountId | None = None
    ) -> Iterator[list[Contact]]:
        self._forget_another_bms()
        filters = [("Filter.IsActive", "true" if active else "false")]
        if account_id is not None:
            filters.append(("Filter.AccountId", str(account_id)))
        for rows in self._pages(_LIST, filters):
            yield [self._contact(row) for row in rows]

    def contact(self, record_id: RecordId) -> Contact | None:
        reply = self._call("GET", f"{_LIST}/{{id}}", f"{_LIST}/{record_id}", missing_is_none=True)
        if reply is None:
            return None
        # Declared without an envelope, seen with one: both are taken (bms-api.md 3.1).
        row = reply.value("result") if "result" in reply or "success" in reply else reply
        if not isinstance(row, Mapping):
            return None
        contact = self._contact(Reply(row))
        return contact if contact.id == record_id else None

    def find_contacts(self, address: str) -> list[Contact]:
        found: dict[RecordId, Contact] = {}
        for active in ("true", "false"):
            filters = [("Filter.Email", address), ("Filter.IsActive", active)]
            # How the filter compares is not published. Should BMS not filter at all, a few pages
            # are enough: this only ever adds to what the full lists have shown (R6).
            for rows in islice(self._pages(_LIST, filters), _SEARCH_PAGES):
                for row in rows:
                    contact = self._contact(row)
                    if any(key(entry.address) == key(address) for entry in contact.emails):
                        found[contact.id] = contact
        return list(found.values())

    def _pages(self, route: str, filters: Sequence[tuple[str, str]]) -> Iterator[list[Reply]]:
        """Every row of a list; pages begin at 1 and end at a short one (bms-api.md 3.4).

        The order between pages is not promised: a row may come twice, another not at all. Where
        the total is told, the list is read again until every row was seen.
        """
        seen: set[int] = set()
        for attempt in range(_PASSES):
            # The first page is 1, or perhaps 0: asked for where rows stayed missing.
            number, read, total, largest = int(attempt == 0), 0, None, 0
            while True:
                params = [*filters, ("PageSize", str(_PAGE)), ("PageNumber", str(number))]
                reply = self._call("GET", route, route, params=params) or Reply({})
                rows = reply.items_of("result")
                total = reply.number("totalRecords")
                fresh = [row for row in rows if row.number("id") not in seen]
                seen.update(row.number("id") or 0 for row in fresh)
                if fresh:
                    yield fresh
                read += len(rows)
                largest = max(largest, len(rows))
                # Where no total is told, BMS may also give fewer rows a page than we ask for.
                last = len(rows) < largest or not fresh
                if not rows or (read >= total if total is not None else last):
                    break
                number += 1
            if total is None or len(seen) >= total:
                return
        raise TryLater("BMS's list kept changing while it was read.")

    def _contact(self, row: Reply) -> Contact:
        emails = []
        last = (row.text("modifiedOn"), row.number("modifiedBy"))
        for entry in row.items_of("emails"):
            last = max(last, (entry.text("modifiedOn"), entry.number("modifiedBy")), key=_moment)
            type_id = entry.number("emailTypeId") or 0
            emails.append(
                ContactEmail(entry.text("emailAddress"), type_id, bool(entry.value("isDefault")))
            )
            self._memory.emails[(type_id, entry.text("emailType"))] += 1
        phones = []
        for entry in row.items_of("phones"):
            last = max(last, (entry.text("modifiedOn"), entry.number("modifiedBy")), key=_moment)
            type_id = entry.number("phoneTypeId") or 0
            number = entry.text("phone") or entry.text("phoneNumber")
            phones.append(ContactPhone(number, type_id, bool(entry.value("isDefault"))))
            self._memory.phones[(type_id, entry.text("phoneType"))] += 1
        location = row.number("locationId")
        return Contact(
            id=RecordId(row.number("id") or 0),
            account_id=AccountId(row.number("accountId") or 0),
            location_id=LocationId(location) if location else None,
            first_name=row.text("firstName"),
            last_name=row.text("lastName"),
            job_title=row.text("jobTitle"),
            is_active=bool(row.value("isActive", False)),
            emails=tuple(emails),
            phones=tuple(phones),
            modified_on=last[0],
            modified_by=last[1],
        )

    # --- contacts: write -----------------------------------------------------------------------

    def create_contact(self, contact: NewContact) -> RecordId:
        phones: list[dict[str, object]] = []
        for number, type_id in (
            (contact.work_phone, contact.work_phone_type_id),
            (contact.mobile_phone, contact.mobile_phone_type_id),
        ):
            if number and type_id is not None:
                phones.append(
                    {"PhoneNumber": number, "PhoneTypeId": type_id, "IsDefault": not phones}
                )
        body = {
            "FirstName": contact.first_name,
            "LastName": contact.last_name,
            "AccountId": int(contact.account_id),
            "LocationId": int(contact.location_id),
            "Emails": [
                {
                    "EmailAddress": contact.email,
                    "EmailTypeId": contact.email_type_id,
                    "IsDefault": True,
                }
            ],
            "Phones": phones,
            "CustomFieldsData": [],
        }
        reply = self._call("POST", _LIST, _LIST, body=body, repeatable=False) or Reply({})
        result = reply.value("result")
        record_id = Reply(result).number("id") if isinstance(result, Mapping) else None
        if not record_id:
            raise Uncertain("BMS's answer to a new contact names no id.")
        return RecordId(record_id)

    def patch_contact(self, record_id: RecordId, fields: Mapping[str, object]) -> None:
        body = [
            {"op": "replace", "path": f"/{name}", "value": value} for name, value in fields.items()
        ]
        reply = self._call(
            "PATCH",
            "/v2/crm/contacts/{id}",
            f"/v2/crm/contacts/{record_id}",
            body=body,
            missing_is_none=True,
        )
        if reply is None:
            raise DecideAgain("The record is gone in BMS.")
        result = reply.value("result")
        shown = Reply(result) if isinstance(result, Mapping) else Reply({})
        for name, value in fields.items():
            if name.lower() in shown and not _same(shown.get(name.lower()), value):
                raise Rejected(
                    f"BMS took a change of {name} without an error, but did not make it.",
                    "Check in BMS whether a rule or a required field prevents the change.",
                )

    def change_emails(self, record_id: RecordId, changes: Sequence[EntryChange]) -> None:
        self._entries.change(record_id, EMAILS, changes)

    def change_phones(self, record_id: RecordId, changes: Sequence[EntryChange]) -> None:
        self._entries.change(record_id, PHONES, changes)


def _moment(change: tuple[str, int | None]) -> str:
    return change[0]


def _same(shown: object, sent: object) -> bool:
    if sent is None or sent == "":
        return shown in (None, "")
    if isinstance(sent, bool):
        return bool(shown) == sent
    return str(shown) == str(sent)


def _account(row: Reply) -> Account:
    return Account(
        id=AccountId(row.number("id") or 0),
        name=row.text("accountName"),
        is_active=bool(row.value("isActive", True)),
        locations=tuple(
            Location(
                id=LocationId(place.number("id") or 0),
                name=place.text("locationName"),
                is_main=bool(place.value("isMain")),
                is_active=bool(place.value("isActive", True)),
            )
            for place in row.items_of("locations")
        ),
    )


def _pair(row: Reply) -> tuple[int, str]:
    return row.number("id") or 0, row.text("name")


def _is_work(name: str) -> bool:
    words = name.lower()
    fitting = any(word in words for word in ("work", "office", "business", "direct"))
    return fitting and "fax" not in words


def _is_mobile(name: str) -> bool:
    return any(word in name.lower() for word in ("mobile", "cell"))


def _best(types: Counter[tuple[int, str]], fits: Callable[[str], bool]) -> int | None:
    """The lowest id of a fitting name: the same on every instance, however much each has seen."""
    return min((type_id for type_id, name in list(types) if type_id and fits(name)), default=None)


def _most_used(types: Counter[tuple[int, str]], prefers: Callable[[str], bool]) -> int | None:
    preferred = _best(types, prefers)
    if preferred is not None:
        return preferred
    known = [(count, -type_id) for (type_id, _), count in list(types.items()) if type_id]
    return -max(known)[1] if known else None
