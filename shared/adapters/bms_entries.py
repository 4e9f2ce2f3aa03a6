"""E-mails and phones of a contact: changed one operation a call, each reply checked.

What the numbers of the operations mean is assumed (bms-api.md 5.6). So the first operation of each
meaning goes alone, and as soon as a reply shows something else than was meant, all changes of
entries stop until a person has looked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from shared.adapters.bms_session import Reply
from shared.core.matching import key
from shared.core.model import RecordId
from shared.errors import DecideAgain, PersonMustAct
from shared.ports import EntryChange

# Assumed from the order of the counters in the reply (bms-api.md 5.6).
_OPERATIONS: Final = {"add": 0, "update": 1, "remove": 2}
_COUNTERS: Final = {"add": "added", "update": "updated", "remove": "deleted"}


@dataclass(frozen=True, slots=True)
class Kind:
    """One list of a contact, with the names of its members."""

    name: str
    value: str
    type_id: str


EMAILS: Final = Kind("emails", "EmailAddress", "emailTypeId")
PHONES: Final = Kind("phones", "PhoneNumber", "phoneTypeId")


@dataclass(slots=True)
class EntryProof:
    """What the replies of one BMS have shown so far."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    proven: set[tuple[str, str]] = field(default_factory=set)
    refused: str = ""


@dataclass(frozen=True, slots=True)
class EntryChanges:
    """Sends them. `proof` answers that of the BMS which the settings name now."""

    call: Callable[..., Reply | None]
    proof: Callable[[], EntryProof]

    def change(self, record_id: RecordId, kind: Kind, changes: Sequence[EntryChange]) -> None:
        """Make these changes, one after the other."""
        for change in changes:
            shown = self._make(record_id, kind, change)
            if change.is_default:
                self._leave_one_default(record_id, kind, change, shown)

    def _leave_one_default(
        self, record_id: RecordId, kind: Kind, change: EntryChange, shown: Reply
    ) -> None:
        """Whether BMS takes the mark from the former default by itself is not published."""
        new = key(change.new_value or change.value)
        for entry in shown.items_of(kind.name):
            value = entry.text(kind.value) or entry.text("phone")
            if entry.value("isDefault") and key(value) != new:
                type_id = entry.number(kind.type_id)
                former = EntryChange("update", value, value, type_id, is_default=False)
                self._make(record_id, kind, former)

    def _make(self, record_id: RecordId, kind: Kind, change: EntryChange) -> Reply:
        proof = self.proof()
        if (kind.name, change.operation) in proof.proven:
            return self._send(record_id, kind, change, proof)
        with proof.lock:
            result = self._send(record_id, kind, change, proof)
            proof.proven.add((kind.name, change.operation))
            return result

    def _send(
        self, record_id: RecordId, kind: Kind, change: EntryChange, proof: EntryProof
    ) -> Reply:
        if proof.refused:
            raise _stopped(proof)
        operation: dict[str, object] = {
            "Operation": _OPERATIONS[change.operation],
            kind.value: change.value,
        }
        if change.new_value:
            operation[f"New{kind.value}"] = change.new_value
        if change.type_id:
            operation["TypeId"] = change.type_id
        if change.is_default is not None:
            operation["IsDefault"] = change.is_default
        reply = self.call(
            "PATCH",
            f"/v2/crm/contacts/{{id}}/{kind.name}",
            f"/v2/crm/contacts/{record_id}/{kind.name}",
            body=[operation],
            repeatable=False,  # sent twice, an addition doubles and the others fail
            missing_is_none=True,
        )
        if reply is None:
            raise DecideAgain("The record is gone in BMS.")
        result = Reply(reply.value("result") or {})
        _check_counters(change, result, proof)
        return result


def _check_counters(change: EntryChange, result: Reply, proof: EntryProof) -> None:
    expected = _COUNTERS[change.operation]
    counted = {name: result.number(name) for name in _COUNTERS.values()}
    if all(count is None for count in counted.values()):
        return
    if all((count or 0) == (1 if name == expected else 0) for name, count in counted.items()):
        return
    if not any(counted.values()):
        # Nothing was changed: the entry is not as it was when we read it.
        raise DecideAgain("The contact's entries were changed in BMS meanwhile.")
    proof.refused = (
        f"BMS answered {', '.join(f'{name} {count}' for name, count in counted.items())} to "
        f"an operation meant as {change.operation}"
    )
    raise _stopped(proof)


def _stopped(proof: EntryProof) -> PersonMustAct:
    return PersonMustAct(
        f"{proof.refused}: all changes of e-mails and phones are stopped.",
        "Report this: the meaning of the operation numbers must be verified on this tenant.",
        code="bms-entry-operations",
    )
