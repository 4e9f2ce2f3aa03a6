"""Employees by values: what they should be, which one it is, what to do (R2, R3, R11-R20, R26)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.core.decision import FinishMove, Nothing, Remember, Seek, TakeOut, Wait
from shared.core.employee_decision import (
    DISMISSED,
    ON_WORKLIST,
    AnyStep,
    CompareEmployee,
    EndEmployeeMove,
    SeekEmployee,
    TakeOutEmployee,
    makes_item_void,
    next_step,
    takes_out,
)
from shared.core.employee_fields import (
    Source,
    WantedEmployee,
    after_change,
    all_to_write,
    entra_part,
    to_change,
    wanted_employee,
    written_by,
)
from shared.core.employee_matching import match_employee
from shared.core.fields import wanted_contact
from shared.core.matching import Ambiguous, Found, NotFound
from shared.core.model import (
    Employee,
    EntraUser,
    Link,
    LinkState,
    MappingRule,
    RecordId,
    RecordType,
    UserId,
)
from shared.core.rules import Placement
from shared.core.worklist import Item, ItemKind, closed, licences, still_to_do, switch_off
from tests.builders import CONNECTION, LONG_AGO, a_link, a_rule, a_user, a_user_id

LISTS = {
    "jobtitles": {201: "Technician", 202: "Senior Technician", 9: "technician "},
    "departments": {101: "Service Desk", 102: "Projects"},
    "locations": {501: "Head Office"},
    "employees": {902: "Olga Marin", 903: "Tomas Reyes"},
    "employmenttypes": {31: "Full Time"},
    "securityroles": {301: "Administrator", 302: "Technician"},
    "employeeroles": {401: "Engineer"},
}
DEFAULTS = {
    "department_id": 101,
    "location_id": 501,
    "manager_id": 902,
    "job_title_id": 201,
    "employment_type_id": 31,
    "security_role_id": 302,
    "employee_role_id": 401,
}
RULE = a_rule("desk", record_type=RecordType.EMPLOYEE, account_id=None)


def wanted(
    user: EntraUser | None = None,
    rule: MappingRule = RULE,
    manager: int | None = None,
    **defaults: int,
) -> WantedEmployee:
    return wanted_employee(
        user or a_user(),
        "mail",
        rule,
        {**DEFAULTS, **defaults},
        LISTS,
        None if manager is None else RecordId(manager),
    )


def an_employee(**fields: Any) -> Employee:
    given: dict[str, Any] = {
        "id": RecordId(950),
        "first_name": "Ada",
        "last_name": "Lind",
        "email": "ada@contoso.example",
        "user_name": "ada@contoso.example",
        "job_title": "Technician",
        "is_active": True,
    }
    return Employee(**{**given, **fields})


# --- values ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "overrides", "value", "source"),
    [
        (a_user(department=" projects"), {"department_id": 101}, "102", Source.ENTRA),
        (a_user(department="Unheard of"), {"department_id": 102}, "102", Source.RULE),
        (a_user(), {}, "101", Source.DEFAULT),
    ],
)
def test_entra_goes_before_the_rule_and_the_rule_before_the_default_r3(
    user: EntraUser, overrides: dict[str, int], value: str, source: Source
) -> None:
    found = wanted(user, replace(RULE, employee=overrides)).get("DepartmentId")

    assert (found.value, found.source) == (value, source)


def test_of_two_entries_of_one_name_the_oldest_is_taken_r11() -> None:
    assert wanted(a_user(job_title="TECHNICIAN")).get("JobTitleId").value == "9"


def test_a_title_that_bms_does_not_have_is_told_r11() -> None:
    found = wanted(a_user(job_title="Wizard"))

    assert found.get("JobTitleId").source is Source.DEFAULT
    assert "BMS has no job title named Wizard" in found.notes


def test_the_linked_manager_goes_before_the_default_r11() -> None:
    assert wanted(manager=903).get("ManagerId").name == "Tomas Reyes"
    assert wanted().get("ManagerId").name == "Olga Marin"


def test_a_guests_sign_in_name_is_his_address_r7() -> None:
    guest = a_user(upn="ada_x#EXT#@contoso.example", guest=True)

    assert wanted(guest).get("UserName").value == "ada@contoso.example"


def test_what_nobody_provides_is_missing_r26() -> None:
    found = wanted_employee(a_user(), "mail", RULE, {}, LISTS, None)

    assert found.missing == (
        "Job title", "Department", "Location", "Manager", "Employment type", "Employee role",
        "Security role",
    )  # fmt: skip


def test_only_entra_changes_the_first_half_of_the_fingerprint_r12() -> None:
    before = wanted()
    other_default = wanted(department_id=102)
    renamed = wanted(a_user(surname="Berg"))
    managed = wanted(a_user(manager=a_user_id("boss")))

    assert entra_part(before.fingerprint) == entra_part(other_default.fingerprint)
    assert before.fingerprint != other_default.fingerprint
    assert entra_part(renamed.fingerprint) != entra_part(before.fingerprint)
    assert entra_part(managed.fingerprint) != entra_part(before.fingerprint)


# --- differences -----------------------------------------------------------------------------


def changed(
    employee: Employee, want: WantedEmployee, written: dict[str, str], **how: bool
) -> dict[str, str]:
    given = {"settings_only": False, "activate": True, **how}
    return {one.field: one.value for one in to_change(employee, want, written, **given)}


def test_who_is_as_written_has_nothing_to_change_r14() -> None:
    want = wanted(a_user(department="Projects", mobile_phone="17"))

    assert changed(an_employee(), want, written_by(want)) == {}


def test_a_default_never_replaces_what_somebody_typed_in_bms_r15() -> None:
    merged = after_change({}, wanted())

    assert changed(an_employee(job_title="Anything"), wanted(), {}) == {}
    assert "LocationId" not in merged


def test_a_new_default_reaches_whoever_had_the_old_one_r5() -> None:
    written = written_by(wanted())

    found = changed(an_employee(), wanted(location_id=502), written, settings_only=True)

    assert found == {"LocationId": "502"}


def test_a_new_default_leaves_local_edits_alone_r12() -> None:
    edited = an_employee(last_name="By-Hand", job_title="Senior Technician")
    want = wanted(a_user(job_title="Technician"), location_id=502)

    found = changed(edited, want, written_by(want) | {"LocationId": "501"}, settings_only=True)

    assert found == {"LocationId": "502"}


def test_a_security_role_is_never_changed_r15() -> None:
    written = written_by(wanted())

    assert changed(an_employee(), wanted(security_role_id=301), written) == {}
    assert "SecurityRoleId" in {one.field for one in all_to_write(wanted())}


def test_an_empty_value_takes_back_only_what_is_ours_r13() -> None:
    assert changed(an_employee(), wanted(), {"MobilePhone": "17"}) == {"MobilePhone": ""}
    assert changed(an_employee(), wanted(), {}) == {}


def test_an_inactive_employee_becomes_active_with_a_change_in_entra_r12() -> None:
    off = an_employee(is_active=False)

    assert changed(off, wanted(), written_by(wanted())) == {"IsActive": "yes"}
    assert changed(off, wanted(), written_by(wanted()), activate=False) == {}


# --- matching --------------------------------------------------------------------------------


def matched(*employees: Employee, taken: tuple[int, ...] = ()) -> object:
    held = frozenset(RecordId(one) for one in taken)
    return match_employee(["a@x", "b@x"], "name@x", employees, held)


def test_an_e_mail_goes_before_a_user_name_r6() -> None:
    by_name = an_employee(id=RecordId(1), email="", user_name="Name@X")
    by_mail = an_employee(id=RecordId(2), email=" B@x", user_name="other")

    found = matched(by_name, by_mail)

    assert isinstance(found, Found)
    assert found.candidate.record_id == 2
    alone = matched(by_name)
    assert isinstance(alone, Found)
    assert alone.candidate.record_id == 1


def test_several_or_somebody_elses_wait_for_a_person_r9() -> None:
    one, two = an_employee(id=RecordId(1), email="a@x"), an_employee(id=RecordId(2), email="a@x")

    assert isinstance(matched(one, two), Ambiguous)
    assert isinstance(matched(one, taken=(1,)), Ambiguous)
    assert isinstance(matched(an_employee(email="c@x")), NotFound)


# --- what to do ------------------------------------------------------------------------------


def decided(
    link: Link | None,
    rule: MappingRule | None = RULE,
    want: WantedEmployee | None = None,
    user: EntraUser | None = None,
    **how: Any,
) -> AnyStep:
    person = user or a_user()
    placement = Placement(rule, "because", rule is not None, frozenset(), ())
    placement = replace(placement, **how.pop("placement", {}))
    given = {"on_leave": "deactivate", "match_scope": "all", "by_api": False, **how}
    employee = want or wanted(person)
    is_employee = rule is not None and rule.record_type is RecordType.EMPLOYEE
    return next_step(
        placement, wanted_contact(person, "mail"), employee if is_employee else None, link, **given
    )


def an_employee_link(**fields: Any) -> Link:
    given: dict[str, Any] = {
        "record_type": RecordType.EMPLOYEE,
        "record_id": RecordId(950),
        "account_id": None,
        "rule_account_id": None,
        "rule_id": RULE.id,
        "fingerprint": wanted().fingerprint,
        "written": written_by(wanted()),
    }
    return a_link(**{**given, **fields})


def test_who_is_new_is_sought_as_an_employee_r2() -> None:
    assert isinstance(decided(None), SeekEmployee)


def test_who_is_as_remembered_needs_nothing_r14() -> None:
    assert decided(an_employee_link()) == Nothing("is up to date")


def test_a_change_in_entra_is_told_apart_from_one_of_the_settings_r12() -> None:
    by_entra = decided(an_employee_link(), want=wanted(a_user(surname="Berg")))
    by_settings = decided(an_employee_link(), want=wanted(location_id=502))

    assert isinstance(by_entra, CompareEmployee)
    assert isinstance(by_settings, CompareEmployee)
    assert (by_entra.settings_only, by_settings.settings_only) == (False, True)


@pytest.mark.parametrize("state", [LinkState.ACTIVE, LinkState.KEPT])
def test_an_active_contact_who_becomes_an_employee_is_left_behind_r18(state: LinkState) -> None:
    step = decided(a_link(state=state))

    assert isinstance(step, SeekEmployee)
    assert (step.leaving, takes_out(step)) == (RecordId(500), step.reason)


def test_an_employee_who_becomes_a_contact_is_left_behind_r18() -> None:
    step = decided(an_employee_link(), rule=a_rule())

    assert isinstance(step, Seek)
    assert (step.leaving, step.own_account_only) == (RecordId(950), False)
    assert takes_out(step) is not None


def test_the_replaced_employee_is_deactivated_before_anything_else_r18() -> None:
    moved = a_link(old_record_id=RecordId(950), old_record_type=RecordType.EMPLOYEE)

    assert isinstance(decided(moved, rule=a_rule()), EndEmployeeMove)
    assert isinstance(decided(moved, rule=None), EndEmployeeMove)


def test_the_replaced_contact_is_deactivated_next_r18() -> None:
    moved = an_employee_link(old_record_id=RecordId(500))

    assert isinstance(decided(moved), FinishMove)
    assert isinstance(decided(moved, rule=None), FinishMove)


def test_who_leaves_is_taken_out_or_kept_r17() -> None:
    assert isinstance(decided(an_employee_link(), rule=None), TakeOutEmployee)
    kept = decided(an_employee_link(), rule=None, on_leave="keep")
    assert isinstance(kept, Remember)
    assert kept.state is LinkState.KEPT


def test_a_group_that_cannot_be_read_moves_nobody_r20() -> None:
    unreadable = {"unreadable": frozenset({RULE.id})}

    assert isinstance(decided(an_employee_link(), rule=None, placement=unreadable), Wait)
    assert isinstance(decided(an_employee_link(), rule=a_rule(), placement=unreadable), Wait)


def test_who_waits_on_the_worklist_is_decided_once_and_by_the_api_again_r26() -> None:
    waiting = an_employee_link(
        record_id=None, state=LinkState.WORKLIST, task=f"create:{wanted().fingerprint}"
    )

    assert decided(waiting) == Nothing(ON_WORKLIST)
    assert isinstance(decided(waiting, by_api=True), SeekEmployee)
    assert isinstance(decided(waiting, want=wanted(a_user(surname="Berg"))), SeekEmployee)


def test_who_was_dismissed_stays_so_until_he_changes_r26() -> None:
    dismissed = an_employee_link(record_id=None, state=LinkState.SKIPPED, reason=DISMISSED)

    assert decided(dismissed) == Nothing(DISMISSED)
    assert isinstance(decided(dismissed, want=wanted(a_user(surname="Berg"))), SeekEmployee)


@pytest.mark.parametrize(
    ("task", "link", "step", "void"),
    [
        ("create:x", a_link(), Nothing("is up to date"), True),
        ("create:x", a_link(), Nothing(ON_WORKLIST), False),
        ("create:x", a_link(), TakeOut(RecordId(500), ""), True),
        ("change:x", an_employee_link(), Nothing("is up to date"), False),
        ("change:x", an_employee_link(), Remember(LinkState.KEPT, "keep", ""), True),
        ("change:x", an_employee_link(), CompareEmployee(RULE, RecordId(950), ""), False),
        ("change:x", an_employee_link(), Wait(""), False),
        ("deactivate:950", an_employee_link(), Remember(LinkState.KEPT, "keep", ""), True),
        ("deactivate:950", a_link(), Nothing("is up to date"), False),
        ("", an_employee_link(), Nothing("is up to date"), False),
    ],
)
def test_an_item_is_void_when_its_decision_no_longer_holds_r26(
    task: str, link: Link, step: AnyStep, void: bool
) -> None:
    assert makes_item_void(step, replace(link, task=task)) is void


# --- items -----------------------------------------------------------------------------------


def an_item(kind: ItemKind = ItemKind.CREATE, **fields: Any) -> Item:
    want = wanted(a_user(department="Projects"))
    given: dict[str, Any] = {
        "connection_id": CONNECTION,
        "user_id": a_user_id("ada"),
        "kind": kind,
        "basis": want.fingerprint,
        "at": LONG_AGO,
        "reason": "because",
        "fields": all_to_write(want),
        "after": written_by(want),
        "rule_id": RULE.id,
    }
    return Item(**{**given, **fields})


def test_a_new_employee_is_done_when_bms_shows_what_it_can_show_r26() -> None:
    assert still_to_do(an_item(), an_employee()) is None
    left = still_to_do(an_item(), an_employee(last_name="Lint"))
    assert left is not None
    assert [one.field for one in left.fields] == ["LastName"]


def test_of_a_change_what_bms_never_shows_is_left_r26() -> None:
    fields = tuple(
        one for one in an_item().fields if one.field in ("LastName", "DepartmentId", "JobTitleId")
    )
    left = still_to_do(an_item(ItemKind.CHANGE, fields=fields), an_employee())

    assert left is not None
    assert [one.field for one in left.fields] == ["DepartmentId"]


def test_an_item_with_other_values_has_another_id_r26() -> None:
    one = an_item()

    assert one.id != replace(one, fields=one.fields[1:]).id
    assert one.id == replace(one, at=one.at.replace(year=2026), notes=("x",)).id


def test_a_closed_item_makes_the_contact_an_old_record_r18() -> None:
    link = closed(a_link(), an_item(), RecordId(950))

    assert (link.record_type, link.record_id, link.state) == (
        RecordType.EMPLOYEE,
        RecordId(950),
        LinkState.ACTIVE,
    )
    assert (link.old_record_id, link.old_record_type) == (RecordId(500), RecordType.CONTACT)


def test_a_closed_deactivation_leaves_a_contact_as_he_is_r18() -> None:
    off = an_item(ItemKind.DEACTIVATE, record_id=RecordId(950), fields=switch_off())

    assert closed(an_employee_link(task=off.task), off, None).state is LinkState.INACTIVE
    contact = a_link(task=off.task)
    assert closed(contact, off, None) == replace(contact, task="")


def test_licences_count_who_becomes_active_r26() -> None:
    off = an_item(ItemKind.DEACTIVATE, fields=switch_off())
    title = an_item(ItemKind.CHANGE, fields=an_item().fields[:1])
    back = an_item(ItemKind.CHANGE, fields=(replace(switch_off()[0], value="yes"),))

    counted = licences([an_item(), off, title, back])

    assert (counted.needed, counted.freed) == (2, 1)


def test_a_manager_in_entra_is_remembered_for_his_sake_r11() -> None:
    boss = UserId("boss")

    assert written_by(wanted(a_user(manager=boss)))["ManagerUser"] == "boss"
    assert "ManagerUser" not in after_change({"ManagerUser": "boss"}, wanted())
