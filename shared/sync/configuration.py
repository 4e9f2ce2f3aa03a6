"""The whole configuration, out and in again: what a backup holds, and what becomes of it.

Connections, mapping rules and settings are in it; secrets, links and activity are not. An import
merges: what the file names is made or changed, and nothing is ever removed. Everything is checked
before the first thing is written. What it makes writes nothing to BMS: a connection comes back as a
draft that a person connects and syncs (R5).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from shared.core.model import Connection, MappingRule
from shared.errors import BadInput, SyncError, TryLater
from shared.ports import Vault

V = TypeVar("V")
ROOT = "configuration"  # the member that holds the file; every place begins with it
CREATED, CHANGED, UNCHANGED = "created", "changed", "unchanged"


@dataclass(frozen=True, slots=True)
class Incoming(Generic[V]):
    """Something in the file, and where: "configuration.connections[0]"."""

    place: str
    value: V


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of one thing in the file. `members` are those that differ from before."""

    place: str
    id: str
    name: str
    became: str
    members: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MissingSecret:
    """A secret that the vault does not hold, so that a person has to enter it afterwards."""

    place: str
    id: str
    member: str
    next_step: str


@dataclass(slots=True)
class Plan:
    """What an import comes to. `writes` are in their order; nothing has been written yet."""

    outcomes: list[Outcome] = field(default_factory=list)
    refused: list[BadInput] = field(default_factory=list)
    missing: list[MissingSecret] = field(default_factory=list)
    next_steps: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    writes: list[Callable[[], object]] = field(default_factory=list)

    def refuse(self, place: str, refusal: BadInput) -> None:
        """Note why something in the file cannot be taken, with its place there."""
        self.refused.append(placed(place, refusal))


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret of a settings resource: its name in the vault, its member at the resource's PUT."""

    name: str
    member: str
    next_step: str
    kept: str  # what to know when the vault still holds it


@dataclass(frozen=True, slots=True)
class Section(Generic[V]):
    """One settings resource of the file, under `settings`."""

    name: str
    held: Callable[[], V | None]
    members: Callable[[V], Mapping[str, object]]  # as the file shows it, without secrets
    read: Callable[[bytes, str], V]  # from the file, its place; BadInput as at the resource's PUT
    checked: Callable[[V], V]  # as it would be kept; BadInput when it cannot be
    restore: Callable[[V], object]
    secrets: tuple[Secret, ...] = ()

    def plan(self, content: bytes, vault: Vault, plan: Plan) -> None:
        """Add to the plan what becomes of this resource."""
        place = f"{ROOT}.settings.{self.name}"
        before = self.held()
        try:
            value = self.read(content, place)
        except BadInput as refusal:
            field = refusal.field or place
            plan.refused.append(BadInput(refusal.status, refusal.sentence, field=field))
            return
        try:
            after = self.checked(value)
        except BadInput as refusal:
            plan.refuse(place, refusal)
            return
        new = self.members(after)
        old = {} if before is None else self.members(before)
        differ = tuple(name for name in new if before is not None and new[name] != old.get(name))
        became = CREATED if before is None else CHANGED if differ else UNCHANGED
        notes: list[str] = []
        for secret in self.secrets:
            if not vault.get(secret.name):
                missing = MissingSecret(place, self.name, secret.member, secret.next_step)
                plan.missing.append(missing)
            elif became == CREATED:
                notes.append(secret.kept)
        plan.outcomes.append(Outcome(place, self.name, self.name, became, differ, tuple(notes)))
        if became != UNCHANGED:
            plan.writes.append(lambda: self.restore(after))


@dataclass(frozen=True, slots=True)
class Held:
    """The whole configuration as it is now."""

    connections: list[Connection]
    rules: list[MappingRule]
    settings: dict[str, Mapping[str, object]]


def held_settings(sections: Sequence[Section[Any]]) -> dict[str, Mapping[str, object]]:
    """The settings resources that were ever saved, as the file shows them."""
    values = ((section, section.held()) for section in sections)
    return {section.name: section.members(one) for section, one in values if one is not None}


def carry_out(plan: Plan) -> None:
    """Write all of it. When storage fails half-way, sending the file again does the rest."""
    for count, write in enumerate(plan.writes):
        try:
            write()
        except SyncError as error:
            raise TryLater(
                f"{error.sentence} {count} of {len(plan.writes)} things of this file are written; "
                "send it again: those are left as they are, and the rest follows.",
                error.after if isinstance(error, TryLater) else None,
            ) from error


def placed(place: str, refusal: BadInput) -> BadInput:
    """The same refusal with its place before the member that it names."""
    name = f"{place}.{refusal.field}" if refusal.field else place
    sentence = refusal.sentence
    if refusal.field and sentence.startswith(refusal.field):
        sentence = sentence.removeprefix(refusal.field).lstrip(" :")
    return BadInput(422, f"{name}: {sentence}", field=name)
