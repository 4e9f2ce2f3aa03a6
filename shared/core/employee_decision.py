"""The one thing to do for a user who is, was, or becomes an employee (R2, R12, R15-R19, R26).

`next_step` chooses between the two record types: rules of both stand in one order, and the one that
wins decides. What is carried out by a person is remembered on the link as a task, so that the same
decision is not told twice, and a decision that no longer holds takes its item off the worklist.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from shared.core.decision import (
    DELETED,
    GROUP_GONE,
    FinishMove,
    Nothing,
    Relabel,
    Remember,
    Seek,
    Step,
    TakeOut,
    Wait,
    first_step,
    inactive_already,
    never_ours,
    waits,
    without_name_or_address,
)
from shared.core.employee_fields import WantedEmployee, entra_part
from shared.core.fields import WantedContact
from shared.core.model import HoldMark, Link, LinkState, MappingRule, RecordId, RecordType
from shared.core.rules import Placement
from shared.core.worklist import ItemKind, basis_of, kind_of

ON_WORKLIST = "waits on the worklist"
DISMISSED = "a person took it off the worklist"


@dataclass(frozen=True, slots=True)
class SeekEmployee:
    """Look for an employee by e-mail and user name, else make one.

    `leaving`: his contact, deactivated once the employee exists (R18).
    """

    rule: MappingRule
    reason: str
    leaving: RecordId | None = None


@dataclass(frozen=True, slots=True)
class CompareEmployee:
    """Bring the linked employee to what is wanted; `settings_only` as in R12."""

    rule: MappingRule
    record_id: RecordId
    reason: str
    settings_only: bool = False
    returning: bool = False


@dataclass(frozen=True, slots=True)
class TakeOutEmployee:
    """Deactivate the linked employee (R16, R17); counted against the limit (R20)."""

    record_id: RecordId
    reason: str
    must_wait: bool = False  # for a person, however few they are


@dataclass(frozen=True, slots=True)
class EndEmployeeMove:
    """Deactivate the employee whom a contact of the same person has replaced (R18)."""

    record_id: RecordId
    reason: str


EmployeeStep = SeekEmployee | CompareEmployee | TakeOutEmployee | EndEmployeeMove
AnyStep = Step | EmployeeStep


def next_step(
    placement: Placement | None,
    wanted: WantedContact | None,
    employee: WantedEmployee | None,
    link: Link | None,
    *,
    on_leave: str,
    match_scope: str,
    by_api: bool,
) -> AnyStep:
    """Choose what to do for one user. `employee` is there when an employee rule takes him."""
    if (waiting := waits(placement, link)) is not None:
        return waiting
    if (replaced := _replaced_employee(link)) is not None:
        return EndEmployeeMove(replaced, "is a contact now")
    rule = placement.rule if placement is not None else None
    if placement is not None and rule is not None and wanted is not None:
        if rule.record_type is RecordType.EMPLOYEE:
            if (unusable := without_name_or_address(wanted, link)) is not None:
                return unusable
            assert employee is not None, "gathered for everybody whom an employee rule takes"
            return _as_employee(rule, employee, link, placement.reason, by_api)
        if link is not None and _has_employee(link):
            return _becomes_contact(rule, wanted, link, placement.reason, match_scope)
    elif link is not None and link.record_type is RecordType.EMPLOYEE:
        reason = DELETED if placement is None else placement.reason
        if link.record_id is None:
            return never_ours(placement, link, reason)
        if placement is not None and link.rule_id in placement.gone:
            step = _leaves(link, link.record_id, GROUP_GONE, on_leave, by_api)
            return replace(step, must_wait=True) if isinstance(step, TakeOutEmployee) else step
        return _leaves(link, link.record_id, reason, on_leave, by_api)
    return first_step(placement, wanted, link, on_leave=on_leave, match_scope=match_scope)


def _replaced_employee(link: Link | None) -> RecordId | None:
    if link is None or link.old_record_type is not RecordType.EMPLOYEE:
        return None
    return link.old_record_id


def _has_employee(link: Link) -> bool:
    return link.record_type is RecordType.EMPLOYEE and link.record_id is not None


def _as_employee(
    rule: MappingRule, wanted: WantedEmployee, link: Link | None, reason: str, by_api: bool
) -> AnyStep:
    if link is None:
        return SeekEmployee(rule, reason)
    open_kind = kind_of(link.task)
    typed_by_hand = not by_api and open_kind in (ItemKind.CREATE, ItemKind.CHANGE)
    if typed_by_hand and basis_of(link.task) == wanted.fingerprint:
        return Nothing(ON_WORKLIST)
    if link.reason == DISMISSED and link.fingerprint == wanted.fingerprint:
        return Nothing(DISMISSED)
    if link.record_id is None:
        return SeekEmployee(rule, reason)
    if link.record_type is RecordType.CONTACT:
        # A contact who becomes an employee: the contact goes when the employee is there (R18).
        still_active = link.state in (LinkState.ACTIVE, LinkState.KEPT)
        leaving = link.record_id if still_active else None
        return SeekEmployee(rule, f"becomes an employee: {reason}", leaving)
    if link.state is not LinkState.ACTIVE:
        return CompareEmployee(rule, link.record_id, f"back: {reason}", returning=True)
    if link.old_record_id is not None:
        return FinishMove("a move is still to be finished")
    if open_kind is ItemKind.DEACTIVATE:
        return CompareEmployee(rule, link.record_id, f"back: {reason}")
    if entra_part(link.fingerprint) != wanted.from_entra:
        return CompareEmployee(rule, link.record_id, "changed in Entra")
    if link.fingerprint != wanted.fingerprint:
        return CompareEmployee(
            rule, link.record_id, "the rule or the Employee Defaults changed", settings_only=True
        )
    if by_api and link.task:
        return CompareEmployee(rule, link.record_id, "is still to be written")
    if link.rule_id != rule.id:
        return Relabel(rule)
    return Nothing("is up to date")


def _becomes_contact(
    rule: MappingRule, wanted: WantedContact, link: Link, reason: str, match_scope: str
) -> AnyStep:
    """R18: the employee is deactivated, a contact matched or created."""
    if (unusable := without_name_or_address(wanted, link)) is not None:
        return unusable
    assert rule.account_id is not None, "a contact rule names an account (checked when it is saved)"
    still_active = link.state in (LinkState.ACTIVE, LinkState.KEPT)
    return Seek(
        rule,
        rule.account_id,
        own_account_only=match_scope == "account",
        leaving=link.record_id if still_active else None,
        reason=f"becomes a contact: {reason}",
    )


def _leaves(link: Link, record_id: RecordId, reason: str, on_leave: str, by_api: bool) -> AnyStep:
    if link.old_record_id is not None:
        return FinishMove(reason)
    if link.state in (LinkState.INACTIVE, LinkState.KEPT):
        return Nothing(reason)
    if on_leave == "keep":
        return Remember(LinkState.KEPT, "keep", f"{reason}; the record is kept as the rules say")
    if kind_of(link.task) is ItemKind.DEACTIVATE and not by_api:
        return Nothing(ON_WORKLIST)
    if not link.task and (is_out := inactive_already(link, reason)) is not None:
        return is_out
    return TakeOutEmployee(record_id, reason)


def takes_out(step: AnyStep) -> str | None:
    """The reason, when a record becomes inactive by it: counted against the limit (R20)."""
    if isinstance(step, TakeOut | TakeOutEmployee):
        return step.reason
    if isinstance(step, Seek | SeekEmployee) and step.leaving is not None:
        return step.reason
    return None


def leaving_kind(step: AnyStep) -> str | None:
    """How a record becomes inactive by it: "deactivate", or "move" to another one; else None."""
    if takes_out(step) is None:
        return None
    return "deactivate" if isinstance(step, TakeOut | TakeOutEmployee) else "move"


def makes_item_void(step: AnyStep, link: Link) -> bool:
    """Whether the open item of this user no longer says what is to be done.

    A step that decides about an employee replaces or ends the item itself. An employee whom a
    contact has replaced is still to be deactivated, whatever becomes of the contact.
    """
    kind = kind_of(link.task)
    if kind is None or isinstance(step, Wait | EmployeeStep):
        return False
    if link.hold is HoldMark.REFUSED and takes_out(step) is not None:
        return False  # nothing will come of the step
    if isinstance(step, Nothing) and step.reason == ON_WORKLIST:
        return False
    if kind is ItemKind.DEACTIVATE:
        return link.record_type is RecordType.EMPLOYEE
    if isinstance(step, Nothing | Relabel) and link.record_type is RecordType.EMPLOYEE:
        # In scope, with the very values that the item was made for.
        return link.state is not LinkState.ACTIVE
    return True
