"""What a technician does in the console, page by page, each test with its own people."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from infra.local.admin import wait_for
from tests.browser.console import Console
from tests.browser.customer import DOMAIN, Customer

pytestmark = pytest.mark.world

NIGHT = "Night shift"


@pytest.fixture(scope="module")
def night_shift(customer: Customer) -> str:
    """A group of two people whom no rule takes yet."""
    customer.groups["night"] = customer.entra.add_group(customer.tenant, NIGHT)
    customer.hire("night-1", "night", surname="Owl", givenName="Nora")
    customer.hire("night-2", "night", surname="Owl", givenName="Nils")
    return customer.groups["night"]


@pytest.fixture
def rules(console: Console, customer: Customer) -> str:
    """The address of the customer's rules."""
    return f"/console/connections/{customer.connection}/rules"


# --- mapping rules -------------------------------------------------------------------------------


def test_a_rule_is_added_ordered_previewed_and_saved(
    console: Console, rules: str, night_shift: str
) -> None:
    page = console.page
    console.open(rules)

    console.press("Add a rule")
    page.get_by_label("Search groups by name or id").press_sequentially("Night")
    page.get_by_role("radio", name=re.compile(NIGHT)).check()
    page.get_by_label("BMS account").select_option(label="Contoso Optics")
    expect(page.locator("#location")).to_contain_text("main location (")
    console.press("Add to the draft")
    console.reads("1 change not saved.")
    console.press(f"Move {NIGHT} up")
    console.press("Disable the rule of Technicians")
    console.press("Enable the rule of Technicians")
    console.press("Preview")
    console.reads("people looked at", seconds=30)
    assert re.search(r"\d created", page.locator(".sentence").inner_text())
    page.get_by_role("button", name=re.compile("created")).click()
    console.reads("Nora Owl")
    console.reads("Nils Owl")
    page.get_by_label("Search these people").press_sequentially("nils")
    expect(page.locator("#people")).not_to_contain_text("Nora Owl")
    # With leavers in a hold the button says that they stay there.
    page.get_by_role("button", name=re.compile("^Save(; who leaves waits in a hold)?$")).click()

    console.reads("The rules are saved (1 new")
    console.reads("Looking at everybody again starts within")
    order = page.locator("table.rules tbody th").all_inner_texts()
    assert [each.split("\n")[0].strip() for each in order].index(NIGHT) < len(order) - 1


def test_a_rule_without_its_choices_is_marked_and_keeps_what_was_typed(
    console: Console, rules: str
) -> None:
    page = console.page
    console.open(rules)

    console.press("Add a rule")
    page.get_by_label("Order").fill("77")
    page.get_by_label("Guests too").check()
    console.press("Add to the draft")

    alert = page.get_by_role("alert")
    expect(alert).to_be_focused()
    console.reads("Choose the group whose members this rule takes.")
    assert page.get_by_label("Order").input_value() == "77"
    assert page.get_by_label("Guests too").is_checked()


# --- a person, and what was done for him ---------------------------------------------------------


def test_a_person_is_found_while_typing_explained_and_synced(
    console: Console, customer: Customer
) -> None:
    console.open("/console/records")

    console.page.get_by_label("Person").press_sequentially("Dora")
    expect(console.page.locator("#found tbody tr")).to_have_count(1)
    console.press("Dora Desk")
    for words in ("Front desk", "Optics staff", "(nested)", "becomes a contact at Contoso Optics"):
        console.reads(words)
    rules = console.page.get_by_role("region", name="Mapping rules, in the order")
    expect(rules).to_contain_text("won")
    expect(rules).to_contain_text("does not match")
    console.reads("What was done")
    console.press("Sync this person now")

    expect(console.page.get_by_role("status").first).to_contain_text("Synced")


def test_somebody_who_is_not_synced_is_found_in_entra_with_the_reason(
    console: Console, customer: Customer
) -> None:
    name = "Luca Lost"
    customer.entra.add_user(customer.tenant, f"luca@{DOMAIN}", displayName=name, mail="")
    console.open("/console/records")

    console.page.get_by_label("Person").press_sequentially("Luca")
    console.press("Why not synced?", exact=False)

    console.reads(name)
    assert "group" in console.page.locator(".answer").inner_text()


def test_a_change_is_undone_in_the_activity_and_told(console: Console, customer: Customer) -> None:
    user = customer.users["staff-5"]
    customer.entra.update_user(customer.tenant, user, jobTitle="Night watch")
    wait_for(lambda: customer.lines("staff-5", "update"), 60, what="the change")

    console.open("/console/activity")
    console.page.get_by_role("searchbox", name="Person").fill(f"staff-5@{DOMAIN}")
    console.press("Filter")
    console.reads("Night watch")
    console.press("Undo: ", exact=False)

    console.reads("Undone.", seconds=30)
    console.reads("Clerk")
    record = customer.record_of("staff-5")
    assert record is not None
    assert customer.bms.get_contact(int(record["recordId"])).job_title == "Clerk"
    console.press("Back")
    console.reads("undone")


# --- waiting for you -----------------------------------------------------------------------------


def test_of_a_hold_some_are_deactivated_and_the_rest_are_kept(
    console: Console, customer: Customer
) -> None:
    console.open("/console/waiting/holds")

    console.press("Deactivate those ticked")
    console.reads("Nobody is ticked: tick the people whom your decision is about.")
    console.open("/console/waiting/holds")
    for number in (10, 11):
        console.page.get_by_label(f"Choose Ines Person {number}", exact=True).check()
    console.press("Deactivate those ticked")
    console.reads("2 people will be deactivated now.")
    console.press("Keep all ", exact=False)
    console.reads("people stay as they are.")

    wait_for(
        lambda: {customer.state_of(key) for key in ("staff-10", "staff-11")} == {"inactive"},
        30,
        what="their deactivation",
    )
    assert customer.state_of("staff-12") == "active"
    console.open("/console/waiting/holds?state=decided")
    console.reads("kept")


def test_a_conflict_is_chosen(console: Console, customer: Customer) -> None:
    console.open("/console/waiting/conflicts")

    console.press("Choose for Dana Double", exact=False)
    console.press("Choose")
    console.reads("Choose one of the possibilities first.")
    console.page.get_by_label("Dana Maria Double", exact=False).check()
    console.press("Choose")

    console.reads("Chosen. It is being carried out now, and remembered.")
    wait_for(lambda: customer.state_of("double") == "active", 30, what="the choice")


def test_a_failure_is_tried_again(console: Console, customer: Customer) -> None:
    console.open("/console/waiting/failures")
    console.reads("Rita Refused")

    customer.bms.clear_faults()
    console.press("Try again")

    console.reads("1 failure goes back to work.")
    wait_for(lambda: customer.state_of("refused") == "active", 30, what="the repetition")


def test_the_worklist_is_a_csv_and_an_item_is_ticked_off(
    console: Console, customer: Customer
) -> None:
    console.open("/console/waiting/worklist")
    console.reads("Create Tom")

    with console.page.expect_download() as download:
        console.page.get_by_role("link", name="Download as CSV").click()
    text = Path(download.value.path()).read_text(encoding="utf-8-sig")
    rows = list(csv.reader(io.StringIO(text)))
    assert len(rows) > 1
    assert {len(row) for row in rows} == {len(rows[0])}
    assert any("Tom" in cell for row in rows for cell in row)
    console.page.get_by_label("Employee’s id in BMS").first.fill("999999")
    console.press("Done, it is typed")
    expect(console.page.get_by_role("alert")).to_contain_text("999999")
    employee = customer.bms.add_employee(
        first_name="Tom", last_name="Technician", email=f"technician@{DOMAIN}"
    )
    console.page.get_by_label("Employee’s id in BMS").first.fill(str(employee))
    console.press("Done, it is typed")

    console.reads("Ticked off: it counts as written.")


# --- settings ------------------------------------------------------------------------------------


def test_a_refused_setting_is_marked_at_its_input_and_then_saved(console: Console) -> None:
    page = console.page
    console.open("/console/settings/bms")

    page.get_by_label("API address").fill("ftp://nowhere")
    console.press("Sign in and save")
    expect(page.get_by_role("alert")).to_be_focused()
    wrong = page.get_by_label("API address")
    assert wrong.get_attribute("aria-invalid") == "true"
    assert wrong.input_value() == "ftp://nowhere"
    expect(page.locator("#apiUrl-fault")).to_be_visible()
    wrong.fill("https://api.bms.kaseya.com")
    console.press("Sign in and save")

    console.reads("saved")


def test_employee_defaults_are_saved(console: Console, customer: Customer) -> None:
    page = console.page
    console.open("/console/employee-defaults")

    titles = page.get_by_label("Job title")
    other = titles.locator("option:not([value='']):not(:checked)").first.get_attribute("value")
    titles.select_option(other)
    console.press("Save")

    console.reads("saved")
    assert str(customer.admin.call("GET", "/api/employee-defaults")["jobTitleId"]) == other


# --- without a mouse, and without scripts --------------------------------------------------------


def test_the_keyboard_alone_signs_in_and_saves_a_form(console: Console, customer: Customer) -> None:
    page = console.page
    console.press_sign_out()

    expect(page.get_by_label("Admin token")).to_be_focused()  # without a click
    page.keyboard.type(console.token)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/console/(guide|connections)"))
    console.settle()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    console.tab_to("Options", start=f"/console/connections/{customer.connection}")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/options$"))
    console.tab_to("More than … people")
    page.keyboard.press("Control+a")
    page.keyboard.type("-4")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_focused()
    console.tab_to("More than … people")
    page.keyboard.press("Control+a")
    page.keyboard.type("6")
    console.tab_to("Save")
    page.keyboard.press("Enter")

    console.reads("saved")
    held = customer.admin.call("GET", f"/api/connections/{customer.connection}")
    assert held["holdLimit"]["count"] == 6


@pytest.mark.parametrize("context", [False], indirect=True, ids=["no script"])
def test_without_a_script_a_rule_is_added_and_previewed(
    console: Console, rules: str, night_shift: str
) -> None:
    page = console.page
    console.open(rules)
    console.press("Add a rule")
    page.get_by_label("Search groups by name or id").fill("Front")
    console.press("Search")
    page.get_by_role("radio", name=re.compile("Front desk")).check()
    page.get_by_label("BMS account").select_option(label="Contoso Optics")
    console.press("Add to the draft")
    console.reads("1 change not saved.")

    console.press("Preview")
    for _ in range(30):
        if "people looked at" in console.content:
            break
        page.wait_for_timeout(500)
        console.press("Show", exact=False)
    console.reads("people looked at")


@pytest.mark.parametrize("context", [False], indirect=True, ids=["no script"])
@pytest.mark.parametrize(
    "place", ["records?q=Dora", "activity", "waiting/holds", "status", "guide", "drift", "api"]
)
def test_without_a_script_a_page_shows_what_it_has(console: Console, place: str) -> None:
    answer = console.open(f"/console/{place}")

    assert answer.status == 200
    assert len(console.content) > 100


def test_what_was_saved_of_the_rules_comes_into_force(
    console: Console, customer: Customer, rules: str, night_shift: str
) -> None:
    # The last of them all, since several edits are carried out half a minute after the last.
    body = {"connectionId": customer.connection, "groupId": night_shift, "order": 25}
    saved = customer.admin.items("/api/mapping-rules", connectionId=customer.connection)
    if night_shift not in {each["groupId"] for each in saved}:
        body |= {"recordType": "contact", "accountId": customer.main}
        customer.admin.call("POST", "/api/mapping-rules", body)

    console.open(rules)

    console.reads("The rules as saved are in force", seconds=60)
    assert customer.state_of("night-1") == "active"
