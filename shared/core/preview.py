"""What a set of rules would do, person by person and in numbers, with nothing written (R5, R20).

The decision is the sync's own; here it is only put into the words of a preview. What BMS holds in a
record's fields is not read: what this app wrote last stands for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from shared.core.decision import (
    Compare,
    FinishMove,
    Forget,
    Hold,
    Nothing,
    Relabel,
    Remember,
    Seek,
    Step,
    TakeOut,
    Wait,
)
from shared.core.fields import (
    WantedContact,
    contact_changes,
    remembered_contact,
    shown_of_new,
)
from shared.core.matching import Ambiguous, Found, NotFound
from shared.core.model import (
    AccountId,
    ContactTypes,
    FieldChange,
    Link,
    RecordId,
    RecordType,
    RuleId,
    UserId,
)

Kind = Literal[
    "create",
    "merge",
    "update",
    "move",
    "deactivate",
    "reactivate",
    "conflict",
    "skip",
    "keep",
    "unchanged",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
_MOST_MOVES = 3  # pairs of accounts that the sentence names


@dataclass(frozen=True, slots=True)
class Outcome:
    """What would become of one user.

    `record_id` and `account_id` are those he has afterwards (None: a new record), or the ones that
    he leaves where he has none afterwards. `leaving` is the record that becomes inactive.
    """

    kind: str
    reason: str
    record_type: RecordType = RecordType.CONTACT
    record_id: RecordId | None = None
    account_id: AccountId | None = None
    from_account_id: AccountId | None = None
    rule_id: RuleId | None = None
    changes: tuple[FieldChange, ...] = ()
    leaving: RecordId | None = None


@dataclass(frozen=True, slots=True)
class PreviewedPerson:
    """One person behind the numbers."""

    user_id: UserId
    outcome: Outcome
    display_name: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Move:
    """So many people from one account to another; None: they are employees there."""

    from_account_id: AccountId | None
    to_account_id: AccountId | None
    count: int
    from_name: str = ""
    to_name: str = ""


def outcome_of(
    step: Step, link: Link | None, wanted: WantedContact | None, types: ContactTypes
) -> Outcome:
    """A decision that needs no matching."""
    match step:
        case Compare():
            assert link is not None, "only a linked record is compared"
            assert wanted is not None, "only who is in scope is compared"
            return _compared(step, link, wanted, types)
        case TakeOut():
            gone = (FieldChange("active", "yes", "no"),)
            return _about(link, "deactivate", step.reason, changes=gone, leaving=step.record_id)
        case FinishMove():
            return _about(link, "update", step.reason)
        case Remember(kind="keep" | "skip"):
            return _about(link, step.kind, step.reason)
        case Relabel():
            reason = "another rule wins; BMS stays the same"
            return _about(link, "unchanged", reason, rule_id=step.rule.id)
        case Nothing() | Wait() | Hold() | Remember():
            return _about(link, "unchanged", step.reason)
        case Forget():
            return _about(link, "unchanged", "is in no mapped group")
        case Seek():
            raise AssertionError("who is sought is matched first")


def _about(
    link: Link | None,
    kind: str,
    reason: str,
    *,
    rule_id: RuleId | None = None,
    changes: tuple[FieldChange, ...] = (),
    leaving: RecordId | None = None,
) -> Outcome:
    return Outcome(
        kind,
        reason,
        record_type=link.record_type if link else RecordType.CONTACT,
        record_id=link.record_id if link else None,
        account_id=link.account_id if link else None,
        rule_id=rule_id or (link.rule_id if link else None),
        changes=changes,
        leaving=leaving,
    )


def _compared(step: Compare, link: Link, wanted: WantedContact, types: ContactTypes) -> Outcome:
    changes = contact_changes(
        remembered_contact(link, types),
        wanted,
        written=link.written,
        types=types,
        activate=not step.location_only,
        set_location=step.set_location,
        location_only=step.location_only,
    )
    if step.returning:
        kind = "reactivate"
    else:
        kind = "update" if changes.shown or link.old_record_id is not None else "unchanged"
    return _about(link, kind, step.reason, rule_id=step.rule.id, changes=changes.shown)


def outcome_of_match(
    step: Seek,
    found: Found | NotFound | Ambiguous,
    link: Link | None,
    wanted: WantedContact,
    types: ContactTypes,
) -> Outcome:
    """What becomes of somebody who was matched by address (R6, R9, R17)."""
    if isinstance(found, Ambiguous):
        return conflict(found, link, step.rule.id)
    was_contact = link is not None and link.record_type is RecordType.CONTACT
    came_from = link.account_id if was_contact and link is not None else None
    if isinstance(found, Found):
        record, account = found.candidate.record_id, found.candidate.account_id
        changes: tuple[FieldChange, ...] = ()
        stays = step.leaving is None or (was_contact and step.leaving == record)
    else:
        record, account = None, step.account_id
        changes = shown_of_new(wanted, types)
        stays = step.leaving is None
    kind = ("merge" if record is not None else "create") if stays else "move"
    return Outcome(
        kind,
        step.reason,
        RecordType.CONTACT,
        record,
        account,
        None if stays else came_from,
        step.rule.id,
        changes,
        None if stays else step.leaving,
    )


def conflict(found: Ambiguous, link: Link | None, rule_id: RuleId | None) -> Outcome:
    """A person must choose first (R9)."""
    return _about(link, "conflict", found.reason, rule_id=rule_id)


def left_out(link: Link | None, reason: str, kind: str = "skip") -> Outcome:
    """Nothing happens to him, and why."""
    return _about(link, kind, reason)


@dataclass(slots=True)
class Tally:
    """The numbers while people come by."""

    counts: Counter[str] = field(default_factory=Counter)
    moves: Counter[tuple[AccountId | None, AccountId | None]] = field(default_factory=Counter)

    def add(self, outcome: Outcome) -> None:
        """One person."""
        self.counts[outcome.kind] += 1
        if outcome.kind == "move":
            self.moves[outcome.from_account_id, outcome.account_id] += 1

    def counted(self) -> dict[str, int]:
        """Every kind with its number."""
        return {kind: self.counts[kind] for kind in KINDS}

    def moved(self, names: Mapping[AccountId, str]) -> tuple[Move, ...]:
        """From where to where, the most first."""

        def name(account: AccountId | None) -> str:
            return "employees" if account is None else names.get(account, f"account {account}")

        return tuple(
            Move(came, goes, count, name(came), name(goes))
            for (came, goes), count in self.moves.most_common()
        )


def in_a_sentence(counts: Mapping[str, int], moves: Sequence[Move]) -> str:
    """ "12 created, 3 move from Acme to Beta, 41 deactivated, 2 conflicts"."""

    def some(kind: str, words: str) -> list[str]:
        return [f"{counts[kind]:,} {words}"] if counts.get(kind) else []

    parts = [*some("create", "created"), *some("merge", "merged"), *some("update", "updated")]
    for move in moves[:_MOST_MOVES]:
        verb = "moves" if move.count == 1 else "move"
        parts.append(f"{move.count:,} {verb} from {move.from_name} to {move.to_name}")
    others = sum(move.count for move in moves[_MOST_MOVES:])
    if others:
        parts.append(f"{others:,} {'moves' if others == 1 else 'move'} between other accounts")
    parts += [
        *some("deactivate", "deactivated"),
        *some("reactivate", "reactivated"),
        *some("keep", "kept as they are"),
        *some("skip", "left out"),
        *some("conflict", "conflict" if counts.get("conflict") == 1 else "conflicts"),
    ]
    return ", ".join(parts) or "Nothing changes"
