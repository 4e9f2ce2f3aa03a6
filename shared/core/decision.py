"""The one thing to do for a user: from what is wanted, what is remembered and what BMS may hold.

A decision is made in two steps, since asking BMS costs (R25). `first_step` needs only Entra and
the link; for nearly everybody it ends there. Only who is new, changed or leaving goes on: `Seek` to
find a record, `Compare` to read one, `TakeOut` to deactivate one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from shared.core.fields import INACTIVE, WantedContact
from shared.core.model import AccountId, Link, LinkState, LocationId, MappingRule, RecordId
from shared.core.rules import Placement


@dataclass(frozen=True, slots=True)
class Nothing:
    """All is as it should be; nothing is written anywhere."""

    reason: str


@dataclass(frozen=True, slots=True)
class Remember:
    """Nothing for BMS, but this is to be remembered and, when it is new, told once."""

    state: LinkState
    kind: str  # of the activity
    reason: str
    keep_fingerprint: bool = False


@dataclass(frozen=True, slots=True)
class Relabel:
    """Another rule wins now, with the same result in BMS."""

    rule: MappingRule


@dataclass(frozen=True, slots=True)
class Forget:
    """Never had a record and no longer concerns us."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Not to be decided now: what it rests on cannot be read (R20)."""

    reason: str


@dataclass(frozen=True, slots=True)
class Hold:
    """Would leave, but too many do at once: a person decides (R20)."""

    reason: str


@dataclass(frozen=True, slots=True)
class Seek:
    """Look for a record by address, else create one.

    `own_account_only`: a move stays within the new account (R17). `leaving`: the record of the old
    account, to be deactivated once the new one exists. `gone`: our record vanished from BMS (R8).
    """

    rule: MappingRule
    account_id: AccountId
    own_account_only: bool
    leaving: RecordId | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Compare:
    """Read the linked record and bring it to what is wanted.

    `set_location` is set only where the rule's location changed; `location_only` writes nothing
    else (R12).
    """

    rule: MappingRule
    record_id: RecordId
    reason: str
    set_location: LocationId | None = None
    location_only: bool = False
    returning: bool = False


@dataclass(frozen=True, slots=True)
class TakeOut:
    """Deactivate the linked record (R16, R17); counted against the limit (R20)."""

    record_id: RecordId
    reason: str
    must_wait: bool = False  # for a person, however few they are


@dataclass(frozen=True, slots=True)
class FinishMove:
    """Deactivate the contact that a move has left behind; then decide again (R17)."""

    reason: str


Step = FinishMove | Nothing | Remember | Relabel | Forget | Wait | Hold | Seek | Compare | TakeOut

NO_ADDRESS = "has no usable e-mail address in Entra"
NO_NAME = "has neither a given name nor a surname nor a display name in Entra"
DELETED = "was deleted in Entra"
GROUP_GONE = "the group of his mapping rule is gone in Entra"


def first_step(
    placement: Placement | None,
    wanted: WantedContact | None,
    link: Link | None,
    *,
    on_leave: str,
    match_scope: str,
) -> Step:
    """Choose what to do for one user. `placement` None: Entra has no such user any more."""
    has_record = link is not None and link.record_id is not None

    if (waiting := waits(placement, link)) is not None:
        return waiting

    if placement is None or placement.rule is None or wanted is None:
        reason = DELETED if placement is None else placement.reason
        if link is None or not has_record:
            return never_ours(placement, link, reason)
        if placement is not None and link.rule_id in placement.gone:
            step = _leaving(link, GROUP_GONE, on_leave)
            return replace(step, must_wait=True) if isinstance(step, TakeOut) else step
        return _leaving(link, reason, on_leave)

    rule = placement.rule
    if (unusable := without_name_or_address(wanted, link)) is not None:
        return unusable

    account_id = rule.account_id
    assert account_id is not None, "a contact rule names an account (checked when it is saved)"
    if link is None or link.record_id is None:
        return Seek(
            rule, account_id, own_account_only=match_scope == "account", reason=placement.reason
        )
    return _linked(rule, account_id, wanted, link, placement.reason)


def waits(placement: Placement | None, link: Link | None) -> Wait | None:
    """His own rule's group cannot be read: nothing says that he left it, nor that he stayed."""
    if placement is None or link is None or link.rule_id not in placement.unreadable:
        return None
    winner = placement.rule
    if winner is not None and winner.id == link.rule_id:
        return None
    return Wait("the group of his mapping rule cannot be read at present")


def without_name_or_address(wanted: WantedContact, link: Link | None) -> Remember | Nothing | None:
    """What becomes of somebody whom nobody could address (R4); None when all is there."""
    problem = _unusable(wanted)
    if not problem:
        return None
    if link is not None and link.record_id is not None:
        # Taking the address away from a person would break his tickets (R4).
        if link.state is LinkState.ACTIVE and not link.reason.startswith(problem):
            return Remember(LinkState.ACTIVE, "note", f"{problem}; the record stays as it is", True)
        return Nothing(problem)
    if link is not None and link.state is LinkState.SKIPPED and link.reason == problem:
        return Nothing(problem)
    return Remember(LinkState.SKIPPED, "skip", problem)


def _unusable(wanted: WantedContact) -> str | None:
    if not wanted.email:
        return NO_ADDRESS
    if not wanted.first_name:
        return NO_NAME
    return None


def never_ours(placement: Placement | None, link: Link | None, reason: str) -> Step:
    """Out of scope, and without a record."""
    if placement is not None and placement.mapped:
        # In a mapped group, but guest or blocked: worth telling once (R4).
        if link is not None and link.state is LinkState.SKIPPED and link.reason == reason:
            return Nothing(reason)
        return Remember(LinkState.SKIPPED, "skip", reason)
    return Forget() if link is not None else Nothing(reason)


def _leaving(link: Link, reason: str, on_leave: str) -> Step:
    assert link.record_id is not None
    if link.old_record_id is None and link.state in (LinkState.INACTIVE, LinkState.KEPT):
        return Nothing(reason)
    if on_leave == "keep" and link.old_record_id is not None:
        return FinishMove(reason)
    if on_leave == "keep":
        return Remember(LinkState.KEPT, "keep", f"{reason}; the record is kept as the rules say")
    if (is_out := inactive_already(link, reason)) is not None:
        return is_out
    return TakeOut(link.record_id, reason)


def inactive_already(link: Link, reason: str) -> Remember | None:
    """What a leaver comes to whose record a person's undo has made inactive."""
    if link.written.get(INACTIVE) != "no" or link.old_record_id is not None:
        return None
    return Remember(LinkState.INACTIVE, "note", f"{reason}; the record is inactive already")


def _linked(
    rule: MappingRule, account_id: AccountId, wanted: WantedContact, link: Link, reason: str
) -> Step:
    assert link.record_id is not None
    if link.rule_account_id is not None and link.rule_account_id != account_id:
        # BMS contacts do not change account: a new record there, then the old one goes (R17).
        still_active = link.state in (LinkState.ACTIVE, LinkState.KEPT)
        leaving = link.record_id if still_active else None
        return Seek(
            rule, account_id, own_account_only=True, leaving=leaving, reason=f"moved: {reason}"
        )
    location = rule.location_id
    # A record that was matched in another account stays there, so the rule's location is not his.
    moves_in = link.account_id == account_id and location is not None
    set_location = location if moves_in and location != link.location_id else None
    if link.state is not LinkState.ACTIVE:
        return Compare(rule, link.record_id, f"back: {reason}", set_location, returning=True)
    if link.fingerprint != wanted.fingerprint:
        return Compare(rule, link.record_id, "changed in Entra", set_location)
    if set_location is not None:
        return Compare(
            rule, link.record_id, f"the rule names another location: {reason}", set_location, True
        )
    if link.old_record_id is not None:
        return Compare(rule, link.record_id, "a move is still to be finished")
    if link.rule_id != rule.id:
        return Relabel(rule)
    return Nothing("is up to date")
