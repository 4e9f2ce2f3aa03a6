"""What an employee's fields should be, and how they differ from what BMS shows (R11-R15).

Each value knows where it comes from: Entra, the rule, or the Employee Defaults. BMS shows only some
fields of an employee (`searchselect`, bms-api.md 7.1), so the others are compared with what was
written last time. A default is for a field that has nothing: it never replaces what somebody typed
in BMS, only what was itself written as a default before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from shared.core.fields import wanted_contact
from shared.core.matching import addresses, key, usable
from shared.core.model import Employee, EntraUser, MappingRule, RecordId, UserId

ACTIVE = "IsActive"
YES, NO = "yes", "no"
MANAGER_USER = "ManagerUser"  # in a link's `written`: who manages him in Entra


class Source(StrEnum):
    """Where a value comes from (R3)."""

    ENTRA = "entra"
    RULE = "rule"
    DEFAULT = "default"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its name in BMS, how a person calls it, whether `searchselect` shows it."""

    name: str
    label: str
    shown: bool = False
    setting: str = ""  # the member of rule overrides and defaults; mandatory in BMS
    list: str = ""  # BMS's look-up of its values


FIELDS = (
    Field("FirstName", "First name", shown=True),
    Field("LastName", "Last name", shown=True),
    Field("EmailAddress", "E-mail", shown=True),
    Field("UserName", "User name", shown=True),
    Field("EmployeeId", "Employee ID"),
    Field("JobTitleId", "Job title", shown=True, setting="job_title_id", list="jobtitles"),
    Field("DepartmentId", "Department", setting="department_id", list="departments"),
    Field("LocationId", "Location", setting="location_id", list="locations"),
    Field("ManagerId", "Manager", setting="manager_id", list="employees"),
    Field(
        "EmploymentTypeId", "Employment type", setting="employment_type_id", list="employmenttypes"
    ),
    Field("EmployeeRoleId", "Employee role", setting="employee_role_id", list="employeeroles"),
    Field("SecurityRoleId", "Security role", setting="security_role_id", list="securityroles"),
    Field("WorkPhone", "Work phone"),
    Field("MobilePhone", "Mobile phone"),
)
LABELS = {**{one.name: one.label for one in FIELDS}, ACTIVE: "Active"}
LISTS = {one.setting: one.list for one in FIELDS if one.setting}
_SETTINGS = {one.name: one.setting for one in FIELDS if one.setting}
# Given once, when the employee is made: BMS's roles have no order by which to see a raise (R15).
_ONLY_NEW = frozenset({"SecurityRoleId", "EmployeeId"})
Lists = Mapping[str, Mapping[int, str]]  # look-up → id → name


@dataclass(frozen=True, slots=True)
class Value:
    """What one field should hold: for a list its id, with the name that a person sees."""

    field: str
    value: str
    name: str
    source: Source


@dataclass(frozen=True, slots=True)
class ToWrite:
    """One field to be typed, or sent. `old` is what BMS holds, where that is known."""

    field: str
    value: str
    name: str
    source: str
    old: str = ""


@dataclass(frozen=True, slots=True)
class WantedEmployee:
    """Everything that an employee should be."""

    values: tuple[Value, ...]
    keys: tuple[str, ...]  # the addresses to match by, in order
    user_name: str
    from_entra: str  # changes when anything computed from Entra does (R12)
    manager: UserId | None = None
    notes: tuple[str, ...] = ()
    _by_name: Mapping[str, Value] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {one.field: one for one in self.values})

    def get(self, name: str) -> Value:
        """One of the values."""
        return self._by_name[name]

    @property
    def email(self) -> str:
        """The primary address; "" for none."""
        return self._by_name["EmailAddress"].value

    @property
    def missing(self) -> tuple[str, ...]:
        """Labels of what BMS demands and nobody provides."""
        return tuple(LABELS[one.field] for one in self.values if one.source is Source.MISSING)

    @property
    def fingerprint(self) -> str:
        """Both halves: what Entra says, and what rule, defaults and BMS's lists make of it."""
        settled = [(one.field, one.value, one.source.value) for one in self.values]
        return f"{self.from_entra}.{_digest(settled)}"


def entra_part(fingerprint: str) -> str:
    """The half of a fingerprint that only Entra changes."""
    return fingerprint.partition(".")[0]


def wanted_employee(
    user: EntraUser,
    email_source: str,
    rule: MappingRule,
    defaults: Mapping[str, int],
    lists: Lists,
    manager: RecordId | None,
) -> WantedEmployee:
    """R3, R11: Entra first, then the rule, then the Employee Defaults.

    `manager` is the employee that Entra's manager is linked to, if he is.
    """
    base = wanted_contact(user, email_source)
    # A guest's #EXT# UPN is no name that anybody signs in with (R7).
    user_name = user.upn.strip() if usable(user.upn) else base.email
    texts = {
        "FirstName": base.first_name,
        "LastName": base.last_name,
        "EmailAddress": base.email,
        "UserName": user_name,
        "EmployeeId": user_name,
        "WorkPhone": base.work_phone,
        "MobilePhone": base.mobile_phone,
    }
    from_entra: dict[str, int | None] = {
        "JobTitleId": _entry(lists.get("jobtitles", {}), user.job_title),
        "DepartmentId": _entry(lists.get("departments", {}), user.department),
        "ManagerId": None if manager is None else int(manager),
    }
    values: list[Value] = []
    notes = list(base.notes)
    for one in FIELDS:
        if not one.setting:
            text = texts[one.name]
            values.append(Value(one.name, text, text, Source.ENTRA))
            continue
        value, source = _choice(one.setting, from_entra.get(one.name), rule, defaults)
        name = "" if value is None else lists.get(one.list, {}).get(value, "")
        values.append(Value(one.name, "" if value is None else str(value), name, source))
    for text, label, name in (
        (user.job_title, "job title", "JobTitleId"),
        (user.department, "department", "DepartmentId"),
    ):
        if text.strip() and from_entra[name] is None:
            notes.append(f"BMS has no {label} named {text.strip()}")
    raw = [*texts.values(), user.job_title.strip(), user.department.strip(), user.manager or ""]
    return WantedEmployee(
        tuple(values),
        tuple(addresses(user, email_source)),
        user_name,
        _digest(raw),
        user.manager,
        tuple(notes),
    )


def _choice(
    setting: str, from_entra: int | None, rule: MappingRule, defaults: Mapping[str, int]
) -> tuple[int | None, Source]:
    if from_entra is not None:
        return from_entra, Source.ENTRA
    if setting in rule.employee:
        return rule.employee[setting], Source.RULE
    if setting in defaults:
        return defaults[setting], Source.DEFAULT
    return None, Source.MISSING


def _entry(entries: Mapping[int, str], name: str) -> int | None:
    """The entry of this name, ignoring case and blanks around it; of twins the oldest."""
    wanted = name.strip().casefold()
    if not wanted:
        return None
    return min(
        (id_ for id_, each in entries.items() if each.strip().casefold() == wanted), default=None
    )


def all_to_write(wanted: WantedEmployee) -> tuple[ToWrite, ...]:
    """Every field of a new employee; an optional one that is empty is left out."""
    return tuple(
        ToWrite(one.field, one.value, one.name, one.source.value)
        for one in wanted.values
        if one.value or one.source is Source.MISSING
    )


def written_by(wanted: WantedEmployee) -> dict[str, str]:
    """What a new employee's link remembers."""
    written = {one.field: one.value for one in wanted.values if one.value}
    return with_manager(written, wanted)


def with_manager(written: Mapping[str, str], wanted: WantedEmployee) -> dict[str, str]:
    """The same, with who manages him in Entra, so that he is found when that person is linked."""
    after = dict(written)
    after.pop(MANAGER_USER, None)
    if wanted.manager:
        after[MANAGER_USER] = wanted.manager
    return after


def to_change(
    employee: Employee,
    wanted: WantedEmployee,
    written: Mapping[str, str],
    *,
    settings_only: bool,
    activate: bool,
    by_api: bool = False,
) -> tuple[ToWrite, ...]:
    """What has to change at an employee who is there (R12-R15).

    `settings_only`: nothing changed in Entra, so only what rule and defaults set is written (R12).
    """
    held = shown_values(employee)
    changes: list[ToWrite] = []
    for one in FIELDS:
        value = wanted.get(one.name)
        if one.name in _ONLY_NEW or value.source is Source.MISSING:
            continue
        before = written.get(one.name)
        from_entra = value.source is Source.ENTRA
        if from_entra and settings_only and (not one.setting or before == value.value):
            continue
        if not value.value:
            # R13: an empty value takes back what is ours, and nothing else.
            if not before or (one.shown and held[one.name] != before):
                continue
        elif not from_entra and (before is None or before == value.value):
            continue
        old = held[one.name] if one.shown else ""
        if one.shown and same(one.name, old, value):
            continue
        # In API mode the writer compares with BMS's own row, so a local edit is overwritten (R12).
        compared_later = by_api and from_entra and bool(one.setting) and not settings_only
        if not one.shown and not compared_later and (before or "") == value.value:
            continue
        changes.append(ToWrite(one.name, value.value, value.name, value.source.value, old))
    if activate and not employee.is_active:
        changes.append(ToWrite(ACTIVE, YES, YES, "entra", NO))
    return tuple(changes)


def after_change(written: Mapping[str, str], wanted: WantedEmployee) -> dict[str, str]:
    """What the link remembers once an employee is as wanted: ours, or equal when compared (R13)."""
    after = dict(written)
    for one in wanted.values:
        if one.field in _ONLY_NEW:
            continue
        if one.source is Source.ENTRA:
            if one.value:
                after[one.field] = one.value
            else:
                after.pop(one.field, None)
        elif one.field in after and one.value:
            after[one.field] = one.value
    return with_manager(after, wanted)


def shown_values(employee: Employee) -> dict[str, str]:
    """What `searchselect` shows of an employee, by field; the job title by its name."""
    return {
        "FirstName": employee.first_name.strip(),
        "LastName": employee.last_name.strip(),
        "EmailAddress": employee.email.strip(),
        "UserName": employee.user_name.strip(),
        "JobTitleId": employee.job_title.strip(),
        ACTIVE: YES if employee.is_active else NO,
    }


def same(name: str, shown: str, value: Value | ToWrite) -> bool:
    """Whether BMS shows this value already."""
    if name in ("EmailAddress", "UserName"):
        return key(shown) == key(value.value)
    if name == "JobTitleId":
        return shown.casefold() == value.name.strip().casefold()
    return shown == value.value


def _digest(values: object) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]
