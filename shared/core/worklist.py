"""The worklist: what a person types into BMS, since its public API writes no employees (R26).

An item is all that a decision about one employee comes to, with every value ready. The same item is
what the app itself carries out in API mode, so that nothing differs between the two but the hands.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from shared.core.employee_fields import (
    ACTIVE,
    FIELDS,
    LABELS,
    NO,
    YES,
    Source,
    ToWrite,
    same,
    shown_values,
)
from shared.core.model import (
    ConnectionId,
    Employee,
    FieldChange,
    HoldMark,
    Link,
    LinkState,
    RecordId,
    RecordType,
    RuleId,
    UserId,
)

_SHOWN = frozenset({one.name for one in FIELDS if one.shown} | {ACTIVE})


class ItemKind(StrEnum):
    """What is to be done with the employee."""

    CREATE = "create"
    CHANGE = "change"
    DEACTIVATE = "deactivate"


@dataclass(frozen=True, slots=True)
class Item:
    """One user's open work; a newer decision replaces it.

    `after` is what the link remembers as written once it is done; `basis` is what it was decided
    from, so that a repeated decision is recognised.
    """

    connection_id: ConnectionId
    user_id: UserId
    kind: ItemKind
    basis: str
    at: datetime
    reason: str
    fields: tuple[ToWrite, ...]
    display_name: str = ""
    upn: str = ""
    record_id: RecordId | None = None
    rule_id: RuleId | None = None
    keys: tuple[str, ...] = ()  # addresses by which a new employee is recognised
    user_name: str = ""
    after: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    refused: str = ""  # BMS's words, where the app tried to carry it out itself
    etag: str = field(default="", compare=False)

    @property
    def task(self) -> str:
        """What the link keeps of it."""
        return f"{self.kind.value}:{self.basis}"

    @property
    def id(self) -> str:
        """Names the item as it is now: an item that was replaced has another id."""
        said = [
            self.kind.value,
            self.basis,
            self.record_id,
            [(one.field, one.value) for one in self.fields],
        ]
        seal = hashlib.sha256(json.dumps(said).encode()).hexdigest()[:10]
        return f"{self.connection_id}.{self.user_id}.{seal}"

    @property
    def activates(self) -> bool:
        """Whether a paid licence is needed for it."""
        return self.kind is ItemKind.CREATE or any(
            one.field == ACTIVE and one.value == YES for one in self.fields
        )


def kind_of(task: str) -> ItemKind | None:
    """The kind of the item that a link's `task` stands for."""
    kind = task.partition(":")[0]
    return ItemKind(kind) if kind else None


def basis_of(task: str) -> str:
    """What the open item was decided from."""
    return task.partition(":")[2]


def switch_off() -> tuple[ToWrite, ...]:
    """The one field of a deactivation."""
    return (ToWrite(ACTIVE, NO, NO, "entra", YES),)


def is_shown(name: str) -> bool:
    """Whether BMS lets us see this field."""
    return name in _SHOWN


def still_to_do(item: Item, employee: Employee) -> Item | None:
    """The item without what BMS shows to be done; None when nothing is left (R26).

    What BMS never shows stays for a person to tick off, except at a new employee, who could not
    have been saved without it.
    """
    held = shown_values(employee)
    left = tuple(
        one
        for one in item.fields
        if one.field not in _SHOWN or not same(one.field, held[one.field], one)
    )
    if item.kind is ItemKind.CREATE:
        left = tuple(one for one in left if one.field in _SHOWN)
    if not left:
        return None
    return item if left == item.fields else replace(item, fields=left)


def closed(link: Link, item: Item, record_id: RecordId | None) -> Link:
    """The link once the item is done: by BMS's showing it, by a person's word, or by the app.

    A contact who became an employee leaves his contact behind, to be deactivated next (R18).
    """
    # A refusal holds on: what was typed may just be what an undo has put back (R20).
    hold = link.hold if link.hold is HoldMark.REFUSED else HoldMark.NONE
    done = replace(link, task="", reason=item.reason, hold=hold, in_conflict=False, claim=None)
    if item.kind is ItemKind.DEACTIVATE:
        if link.record_type is RecordType.EMPLOYEE and link.record_id == item.record_id:
            return replace(done, state=LinkState.INACTIVE, fingerprint="")
        return replace(link, task="", claim=None)  # a contact has replaced the employee
    return replace(
        done,
        **as_employee(link, record_id),
        state=LinkState.ACTIVE,
        rule_id=item.rule_id,
        fingerprint=item.basis,
        written=item.after,
    )


def as_employee(link: Link, record_id: RecordId | None) -> dict[str, Any]:
    """What makes a link one of this employee, whatever it was before."""
    is_contact = link.record_type is RecordType.CONTACT and link.record_id is not None
    moves = is_contact and link.state in (LinkState.ACTIVE, LinkState.KEPT)
    old = link.record_id if moves else link.old_record_id
    old_type = RecordType.CONTACT if moves else link.old_record_type
    if old == record_id and old_type is RecordType.EMPLOYEE:
        old, old_type = None, RecordType.CONTACT
    return {
        "record_type": RecordType.EMPLOYEE,
        "record_id": record_id,
        "account_id": None,
        "rule_account_id": None,
        "location_id": None,
        "old_record_id": old,
        "old_record_type": old_type,
    }


def done_kind(item: Item, before: Link) -> str:
    """How the activity calls what was done."""
    if item.kind is ItemKind.DEACTIVATE:
        return "deactivate"
    if before.record_type is RecordType.CONTACT and before.record_id is not None:
        return "move"
    if item.kind is ItemKind.CREATE:
        return "create"
    return "reactivate" if item.activates else "update"


def field_changes(item: Item) -> tuple[FieldChange, ...]:
    """The fields as the activity tells them."""
    return tuple(
        FieldChange(LABELS[one.field].lower(), one.old, one.name or one.value)
        for one in item.fields
        if one.value or one.old
    )


def told_sources(item: Item) -> tuple[str, ...]:
    """Where the values came from that Entra did not give (R3)."""
    told: list[str] = []
    for source, words in (
        (Source.RULE.value, "the mapping rule"),
        (Source.DEFAULT.value, "the Employee Defaults"),
    ):
        labels = [LABELS[one.field].lower() for one in item.fields if one.source == source]
        told += [f"from {words}: {', '.join(labels)}"] if labels else []
    return tuple(told)


@dataclass(frozen=True, slots=True)
class Licences:
    """Paid licences that the open items come to, counted before anybody creates anything."""

    needed: int
    freed: int


def licences(items: Iterable[Item]) -> Licences:
    """Count them."""
    needed = freed = 0
    for one in items:
        needed += one.activates
        freed += one.kind is ItemKind.DEACTIVATE
    return Licences(needed, freed)
