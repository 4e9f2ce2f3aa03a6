"""Bring a contact's work and mobile phone to what is wanted; all other phones stay (R11, R13).

BMS names a phone entry by its number alone (bms-api.md 5.6), while two entries may well have the
same number in different types. Whichever of the two an operation hits, the one that is left is told
its type again afterwards, so that the end is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.core.model import ContactPhone, FieldChange


@dataclass(frozen=True, slots=True)
class EntryStep:
    """One operation on the e-mails or phones: "add", "update" or "remove".

    `must` is False where BMS may refuse and the entry then simply stays (R13).
    """

    operation: str
    value: str
    new_value: str = ""
    type_id: int | None = None
    is_default: bool | None = None
    must: bool = True


@dataclass(slots=True)
class _Entry:
    number: str
    type_id: int
    is_default: bool


class PhoneBook:
    """The phones of one contact while their changes are worked out."""

    def __init__(self, phones: Sequence[ContactPhone]) -> None:
        self._entries = [_Entry(one.number, one.type_id, one.is_default) for one in phones]
        self._add: list[tuple[str, int]] = []
        self._remove: list[_Entry] = []
        self._set: list[tuple[_Entry, str]] = []
        self.shown: list[FieldChange] = []
        self.notes: list[str] = []

    def want(self, field: str, value: str, type_id: int, *, ours: str) -> None:
        """The phone of this type; "" takes back what was `ours`, and nothing else."""
        of_type = [entry for entry in self._entries if entry.type_id == type_id]
        mine = next((entry for entry in of_type if ours and _same(entry.number, ours)), None)
        if not value:
            if mine is not None:
                self.shown.append(FieldChange(field, mine.number, ""))
                self._remove.append(mine)
            return
        if any(_same(entry.number, value) for entry in of_type):
            return
        if not of_type:
            self.shown.append(FieldChange(field, "", value))
            self._add.append((value, type_id))
            return
        old = mine or next((entry for entry in of_type if entry.is_default), of_type[0])
        self.shown.append(FieldChange(field, old.number, value))
        self._set.append((old, value))

    def steps(self) -> tuple[EntryStep, ...]:
        """The operations, in an order that BMS can carry out."""
        steps: list[EntryStep] = []
        self._retype(steps)
        for entry, value in self._set:
            self._update(steps, entry, value, entry.type_id)
        for value, type_id in self._add:
            entry = _Entry(value, type_id, is_default=not self._entries)
            self._entries.append(entry)
            steps.append(EntryStep("add", value, type_id=type_id, is_default=entry.is_default))
        for entry in self._remove:
            self._drop(steps, entry)
        return tuple(steps)

    def _retype(self, steps: list[EntryStep]) -> None:
        """A number that goes from one type to another keeps its entry."""
        for value, type_id in list(self._add):
            entry = next((one for one in self._remove if _same(one.number, value)), None)
            if entry is not None:
                self._remove.remove(entry)
                self._add.remove((value, type_id))
                self._update(steps, entry, entry.number, type_id)

    def _update(self, steps: list[EntryStep], entry: _Entry, value: str, type_id: int) -> None:
        twins = self._twins(entry)
        if len(twins) > 1:
            self.notes.append("a phone was left as it is: BMS has its number more than twice")
            return
        # Of twins, either may be hit, so neither loses the default mark here.
        is_default = None if twins else entry.is_default
        steps.append(EntryStep("update", entry.number, value, type_id, is_default))
        entry.number, entry.type_id = value, type_id
        for twin in twins:
            steps.append(
                EntryStep("update", twin.number, twin.number, twin.type_id, twin.is_default)
            )
        if twins and entry.is_default:
            steps.append(EntryStep("update", value, value, type_id, True))

    def _drop(self, steps: list[EntryStep], entry: _Entry) -> None:
        twins = self._twins(entry)
        if len(twins) > 1:
            self.notes.append("a phone was left as it is: BMS has its number more than twice")
            return
        others = [one for one in self._entries if one is not entry]
        heir = next((one for one in others if one not in twins), None)
        if entry.is_default and heir is not None:
            # BMS is assumed to refuse the removal of the default entry (bms-api.md 5.6).
            steps.append(EntryStep("update", heir.number, heir.number, heir.type_id, True))
            heir.is_default, entry.is_default = True, False
        steps.append(EntryStep("remove", entry.number, type_id=entry.type_id, must=bool(others)))
        self._entries = others
        for twin in twins:
            mark = True if entry.is_default else twin.is_default
            steps.append(EntryStep("update", twin.number, twin.number, twin.type_id, mark))

    def _twins(self, entry: _Entry) -> list[_Entry]:
        return [
            one for one in self._entries if one is not entry and _same(one.number, entry.number)
        ]


def _same(number: str, other: str) -> bool:
    return number.strip() == other.strip()
