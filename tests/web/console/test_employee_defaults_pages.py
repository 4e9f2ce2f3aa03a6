"""Employee Defaults in the console (R3, R15, R26)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.core.model import Employee, RecordId
from shared.errors import TryLater
from shared.ports import RouteMissing
from shared.web.console.pages.rule_words import OVERRIDES
from tests.web.console.reader import Reader
from tests.web.world import World, a_ready_world

PAGE = "/console/employee-defaults"
EVIL = "<script>alert(1)</script>"
KINDS = (
    "departments",
    "locations",
    "employees",
    "jobtitles",
    "employmenttypes",
    "securityroles",
    "employeeroles",
)


def a_world(department: str = "Service desk") -> World:
    world = a_ready_world()
    world.bms.lookups |= {kind: [(1, f"The first of {kind}")] for kind in KINDS}
    world.bms.lookups["departments"] = [(1, department), (2, "Projects")]
    world.bms.lookups["employees"] = [(901, "Olga Marin"), (902, "Tomas Reyes")]
    world.bms.staff = {
        RecordId(id_): Employee(RecordId(id_), first, last, "", "", "", is_active=True)
        for id_, first, last in ((901, "Olga", "Marin"), (902, "Tomas", "Reyes"))
    }
    return world


def a_form(reader: Reader, **members: str | list[str]) -> dict[str, str | list[str]]:
    """As the page sends it that is opened now."""
    form: dict[str, str | list[str]] = {
        **dict.fromkeys(OVERRIDES, ""),
        "mark": reader.get(PAGE).value("mark"),
        "do": "save",
        "departmentId": "2",
        "managerId": "901",
        "mode": "worklist",
    }
    return {**form, **members}


def defaults(world: World) -> dict[str, Any]:
    body: dict[str, Any] = world.call("GET", "/api/employee-defaults").body
    return body


def test_r3_what_is_chosen_is_saved_and_shown_by_its_name() -> None:
    world = a_world()
    reader = Reader(world)

    page = reader.follow(reader.post(PAGE, a_form(reader, protectedEmployeeIds=["901", "902"])))

    assert "Saved." in page.text
    assert defaults(world)["departmentId"] == 2
    assert defaults(world)["protectedEmployeeIds"] == [901, 902]
    chosen = [one for one in page.all("option", value="2") if "selected" in one.attributes]
    assert chosen[0].text == "Projects"
    ticked = [
        one.attributes["value"]
        for one in page.all("input", name="protectedEmployeeIds")
        if "checked" in one.attributes
    ]
    assert ticked == ["901", "902"]


def test_a_value_that_bms_does_not_know_is_refused_at_its_input_and_the_rest_is_kept() -> None:
    world = a_world()

    reader = Reader(world)
    page = reader.post(PAGE, a_form(reader, departmentId="77", protectedEmployeeIds="902"))

    assert page.status == 422
    assert "not known to BMS" in page.one("p", id="departmentId-fault").text
    assert "checked" in page.one("input", name="protectedEmployeeIds", value="902").attributes
    assert defaults(world)["departmentId"] is None


def test_r15_the_api_mode_demands_a_protected_employee() -> None:
    reader = Reader(a_world())
    page = reader.post(PAGE, a_form(reader, mode="api"))

    assert page.status == 422
    assert "must never touch" in page.one("p", id="protectedEmployeeIds-fault").text
    assert "checked" in page.one("input", name="mode", value="api").attributes


def test_r26_where_bms_does_not_offer_the_route_the_page_says_so_and_keeps_saying_it() -> None:
    world = a_world()
    world.writer.refusal = RouteMissing("BMS answers 404 to its HR route.", "", code="no-route")
    reader = Reader(world)

    after = reader.follow(reader.post(PAGE, a_form(reader, mode="api", protectedEmployeeIds="901")))
    again = reader.get(PAGE)

    assert "The mode stays worklist." in after.text
    assert "BMS answers 404 to its HR route." in again.text
    assert "checked" in again.one("input", name="mode", value="worklist").attributes


def test_names_from_bms_are_shown_as_text() -> None:
    page = Reader(a_world(EVIL)).get(PAGE)

    assert EVIL not in page.html
    assert "alert(1)" in page.text


def test_without_bms_the_page_works_and_says_so() -> None:
    world = a_world()
    world.bms.down = TryLater("BMS does not answer.")

    page = Reader(world).get(PAGE)

    assert page.status == 200
    assert "BMS does not answer." in page.text


def test_hundreds_of_employees_are_searched() -> None:
    world = a_world()
    world.bms.lookups["employees"] = [(id_, f"Person {id_}") for id_ in range(1, 700)]
    reader = Reader(world)

    page = reader.get(PAGE)
    part = reader.get(
        "/console/bms/employees/part?name=protectedEmployeeIds&many=yes&"
        "protectedEmployeeIds_q=Person 666".replace(" ", "%20"),
        part=True,
    )
    found = reader.post(PAGE, a_form(reader, do="search", managerId_q="Person 555"))

    assert len(page.all("input", name="managerId")) < 20
    hit = part.one("input", name="protectedEmployeeIds")
    assert (hit.attributes["type"], hit.attributes["value"]) == ("checkbox", "666")
    assert found.one("input", name="managerId", value="555")
    assert defaults(world)["departmentId"] is None


def test_a_search_keeps_what_was_chosen_and_saves_nothing() -> None:
    world = a_world()

    reader = Reader(world)
    page = reader.post(
        PAGE,
        a_form(reader, do="search", protectedEmployeeIds="901", protectedEmployeeIds_q="Tomas"),
    )

    boxes = page.all("input", name="protectedEmployeeIds")
    assert [("checked" in one.attributes, one.attributes["value"]) for one in boxes] == [
        (True, "901"),
        (False, "902"),
    ]
    assert defaults(world)["departmentId"] is None


def test_a_foreign_form_is_refused() -> None:
    world = a_world()

    reader = Reader(world)

    assert reader.post(PAGE, a_form(reader), token="foreign").status == 403
    assert defaults(world)["departmentId"] is None


@pytest.mark.parametrize("name", ["", "a b", "<x>", "x" * 80])
def test_a_search_for_an_input_that_cannot_be_is_refused(name: str) -> None:
    page = Reader(a_world()).get(f"/console/bms/employees/part?name={name}", part=True)

    assert page.status == 400


def test_an_inactive_or_unknown_chosen_value_stays_visible() -> None:
    world = a_world()
    held = world.employee_defaults.get()
    world.employee_defaults.update(
        lambda _: replace(held, values={"department_id": 99}, protected=frozenset({RecordId(5)}))
    )

    page = Reader(world).get(PAGE)

    assert page.one("option", value="99")
    assert page.one("input", name="protectedEmployeeIds", value="5")


def test_r15_two_who_edit_at_once_do_not_undo_each_others_edits() -> None:
    world = a_world()
    mine = Reader(world)
    form = a_form(mine, departmentId="1")
    hers = Reader(world)
    hers.follow(hers.post(PAGE, a_form(hers, departmentId="2", protectedEmployeeIds="902")))

    refused = mine.post(PAGE, form)

    assert refused.status == 409
    assert "Somebody else has saved these settings" in refused.text
    assert "Projects" in refused.one("dl").text
    assert "Tomas Reyes" in refused.one("dl").text
    assert defaults(world)["protectedEmployeeIds"] == [902]
    mine.follow(mine.post(PAGE, {**form, "mark": refused.value("mark")}))
    assert defaults(world)["departmentId"] == 1


def test_r15_a_search_does_not_hide_what_somebody_saved_meanwhile() -> None:
    world = a_world()
    mine = Reader(world)
    form = a_form(mine)
    hers = Reader(world)
    hers.follow(hers.post(PAGE, a_form(hers, protectedEmployeeIds="902")))

    searched = mine.post(PAGE, {**form, "do": "search"})

    assert mine.post(PAGE, {**form, "mark": searched.value("mark")}).status == 409


@pytest.mark.parametrize("missing", ["mark", "mode", "departmentId", "everything"])
def test_r15_a_form_that_is_not_whole_changes_nothing(missing: str) -> None:
    world = a_world()
    reader = Reader(world)
    form = a_form(reader, protectedEmployeeIds="902")
    reader.follow(reader.post(PAGE, form))
    whole = a_form(reader, protectedEmployeeIds="902")
    sent = {} if missing == "everything" else {k: v for k, v in whole.items() if k != missing}

    page = reader.post(PAGE, sent)

    assert page.status == 400
    assert "nothing was saved" in page.text
    assert defaults(world)["protectedEmployeeIds"] == [902]
