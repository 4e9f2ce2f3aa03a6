"""What BMS must hold, and every way in which it does not.

A `Card` is a contact as a technician sees it. The expected cards are written down by the story
alone and share nothing with the app; a contact keeps its id from its first appearance to the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from infra.local.bms.control_values import AccountState, ContactState, WriteSeen

_PHONE_TYPES = {21: "work", 22: "mobile"}


@dataclass(frozen=True, slots=True)
class Card:
    """A contact as a technician sees it; the first e-mail is the default one."""

    account: str
    first_name: str
    last_name: str
    emails: tuple[str, ...]
    job_title: str = ""
    work_phone: str = ""
    mobile_phone: str = ""
    location: str = "Main"
    active: bool = True

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.first_name} {self.last_name}"


@dataclass(frozen=True, slots=True)
class Flags:
    """What this app has no business with: it must stay as it was."""

    middle_name: str | None
    poc: bool
    receive_invoices: bool
    bill_by_contact: bool
    effective_date: str | None
    has_portal_access: bool


def flags_of(contact: ContactState) -> Flags:
    """The members that nobody maps."""
    return Flags(
        contact.middle_name,
        contact.poc,
        contact.receive_invoices,
        contact.bill_by_contact,
        contact.effective_date,
        contact.has_portal_access,
    )


class Names:
    """Account and location names by id."""

    def __init__(self, accounts: Iterable[AccountState]) -> None:
        known = list(accounts)
        self.accounts = {one.id: one.name for one in known}
        self.locations = {place.id: place.name for one in known for place in one.locations}

    def card(self, contact: ContactState) -> Card:
        """The contact as a card."""
        phones = {
            name: ", ".join(each.value for each in contact.phones if each.type_id == type_id)
            for type_id, name in _PHONE_TYPES.items()
        }
        default = contact.default_email or ""
        others = sorted(each.value for each in contact.emails if not each.is_default)
        return Card(
            account=self.accounts[contact.account_id],
            first_name=contact.first_name or "",
            last_name=contact.last_name or "",
            emails=(default, *others),
            job_title=contact.job_title or "",
            work_phone=phones["work"],
            mobile_phone=phones["mobile"],
            location=self.locations.get(contact.location_id or 0, ""),
            active=contact.is_active,
        )


class Expected:
    """Every contact that BMS must hold, by a name that the story gives it."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.cards: dict[str, Card] = {}
        self.ids: dict[str, int] = {}
        self._as_typed: dict[int, ContactState] = {}

    def typed_in(self, key: str, contact: ContactState) -> None:
        """A contact that people typed in before the app came."""
        self.cards[key] = self.names.card(contact)
        self.ids[key] = contact.id
        self._as_typed[contact.id] = contact

    def problems(self, contacts: Sequence[ContactState]) -> list[str]:
        """Everything that is not as it must be, a sentence each; learns the ids of new ones."""
        by_id = {contact.id: contact for contact in contacts}
        found: list[str] = []
        for key, record_id in self.ids.items():
            contact = by_id.pop(record_id, None)
            if contact is None:
                found.append(f"contact {record_id} ({self.cards[key].name}) is gone")
                continue
            found += self._differences(record_id, self.cards[key], self.names.card(contact))
            before = self._as_typed.get(record_id)
            if before is not None and flags_of(before) != flags_of(contact):
                found.append(f"contact {record_id}: a member that nobody maps was changed")
        rest = {record_id: self.names.card(contact) for record_id, contact in by_id.items()}
        for key, card in self.cards.items():
            if key in self.ids:
                continue
            record_id = next((one for one, other in rest.items() if other == card), 0)
            if record_id:
                self.ids[key] = record_id
                del rest[record_id]
            else:
                found.append(f"there is no contact {card.name} in {card.account} as it must be")
        found += [
            f"contact {record_id} ({card.name} in {card.account}) has no business here"
            for record_id, card in rest.items()
        ]
        return found

    def untouched(self, keys: Iterable[str], contacts: Sequence[ContactState]) -> list[str]:
        """R10: these must be as they were typed in, down to who changed them last."""
        by_id = {contact.id: contact for contact in contacts}
        return [
            f"contact {self.ids[key]} ({self.cards[key].name}) was touched although nobody maps it"
            for key in keys
            if by_id.get(self.ids[key]) != self._as_typed[self.ids[key]]
        ]

    @staticmethod
    def _differences(record_id: int, wanted: Card, there: Card) -> list[str]:
        return [
            f"contact {record_id} ({wanted.name}): {change}" for change in changes(wanted, there)
        ]


_SHOWN = {
    "account": "account",
    "location": "location",
    "first_name": "first name",
    "last_name": "last name",
    "job_title": "job title",
    "work_phone": "work phone",
    "mobile_phone": "mobile",
    "active": "active",
}


def changes(old: Card, new: Card) -> list[str]:
    """What differs between two cards, as "job title Clerk → Buyer"."""
    told = []
    for name, word in _SHOWN.items():
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            told.append(f"{word} {_text(before)} → {_text(after)}")
    if old.emails[0] != new.emails[0]:
        told.append(f"e-mail {_text(old.emails[0])} → {_text(new.emails[0])}")
    elif set(old.emails) != set(new.emails):
        told.append(f"e-mails {', '.join(old.emails)} → {', '.join(new.emails)}")
    return told


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) or "(empty)"


def forbidden_calls(calls: Mapping[str, int], writes: Sequence[WriteSeen]) -> list[str]:
    """R16 and R14: no DELETE, no PUT, and no write that changed nothing."""
    found = [
        f"BMS was sent {count} × {route}"
        for route, count in calls.items()
        if route.startswith(("DELETE ", "PUT "))
    ]
    found += [
        f"BMS was sent a write that changed nothing: {one.method} {one.endpoint} of {one.target}"
        for one in writes
        if 200 <= one.status < 300 and not one.changed
    ]
    found += [
        f"BMS refused {one.method} {one.endpoint} with {one.status}"
        for one in writes
        if one.status >= 400
    ]
    return found
