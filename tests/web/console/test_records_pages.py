"""The console's Records page: who is which record, and who is in Entra without one."""

from __future__ import annotations

from shared.core.model import AccountId, ConnectionId, Link, LinkState, RecordId, RecordType, UserId
from shared.errors import TryLater
from shared.sync.bms_settings import LookUp
from shared.web.api.bms import ChoiceList, ChoiceShown, LookUpQuery
from shared.web.api.records import RecordList, RecordsQuery
from shared.web.http import Reply, json_reply
from shared.web.router import Call, Route
from tests.fakes import START
from tests.fakes_bms import an_account
from tests.web.console.visitor import a_visitor
from tests.web.test_lists_api import a_link
from tests.web.world import INES, World, a_connection, a_ready_world, a_user

RECORDS = "/console/records"


def a_world(count: int = 3) -> World:
    world = a_ready_world()
    world.links.save([a_link("contoso", number) for number in range(1, count + 1)])
    return world


def test_a_record_is_shown_with_its_person_its_account_by_name_and_its_state() -> None:
    world = a_world(1)
    left = a_link("contoso", 9, state=LinkState.INACTIVE, reason="was deleted in Entra")
    world.links.save([left])

    seen = a_visitor(world).get(RECORDS)

    assert seen.status == 200
    account = world.bms.held[next(iter(world.bms.held))].name
    assert f"Contact at {account}" in seen.text
    assert "Person 1 p1@contoso.example" in seen.text
    assert "deactivated was deleted in Entra" in seen.text
    assert 'href="/console/people/contoso/u1"' in seen.source


def test_of_many_accounts_only_the_names_on_the_page_are_asked_for_at_once() -> None:
    world = a_world(3)
    world.links.save([a_link("contoso", 9, account_id=AccountId(8))])
    world.bms.held = {AccountId(one): an_account(one) for one in range(1, 3001)}
    asked: list[LookUpQuery] = []

    def choices(call: Call) -> Reply:
        asked.append(call.query)
        some = [ChoiceShown(id=one, name=f"Firm {one}", is_active=True) for one in (7, 8)]
        return json_reply(ChoiceList(items=some, next_cursor=None))

    path = {"kind": LookUp}
    route = Route(
        "GET", "/api/bms/{kind}", choices, "", path=path, query=LookUpQuery, reply=ChoiceList
    )
    seen = a_visitor(world, [route]).get(RECORDS)

    assert "Contact at Firm 7" in seen.text
    assert "Contact at Firm 8" in seen.text
    assert [each.ids for each in asked] == ["7,8"]


def test_bms_that_does_not_answer_leaves_numbers_in_the_place_of_names() -> None:
    world = a_world(1)
    world.bms.down = TryLater("BMS does not answer.")

    seen = a_visitor(world).get(RECORDS)

    assert seen.status == 200
    assert "Contact at account 7" in seen.text
    assert "BMS does not answer." in seen.text


def test_fifty_records_are_a_page_and_the_next_one_keeps_the_filter() -> None:
    visitor = a_visitor(a_world(120))

    first = visitor.get(f"{RECORDS}?q=person")
    onward = first.source.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    second = visitor.get(onward)

    assert first.source.count("<tr>") == 51
    assert "q=person" in onward
    assert second.source.count("<tr>") == 51
    assert "From the beginning" in second.text


def test_a_search_shows_those_who_fit_and_leads_on_to_entra() -> None:
    seen = a_visitor(a_world()).get(f"{RECORDS}?q=person+2")

    assert "Person 2" in seen.text
    assert "Person 3" not in seen.text
    assert "/console/records/entra?q=person+2" in seen.source


def test_who_is_in_entra_without_a_record_is_found_with_the_way_to_the_reasons() -> None:
    seen = a_visitor(a_world()).part(f"{RECORDS}/entra?q=ines")

    assert seen.status == 200
    assert "<html" not in seen.source
    assert "Ines Okafor" in seen.text
    assert "Why not synced?" in seen.text
    assert f'href="/console/people/contoso/{INES}"' in seen.source


def test_who_has_a_record_is_not_listed_again_under_entra() -> None:
    world = a_world()
    world.links.save([Link(ConnectionId("contoso"), UserId(INES), LinkState.ACTIVE)])
    visitor = a_visitor(world)

    assert "Ines Okafor" not in visitor.part(f"{RECORDS}/entra?q=ines").text
    assert "Ines Okafor" in visitor.part(f"{RECORDS}/entra?q=ines&limited=yes").text


def test_without_script_the_search_in_entra_is_a_page_of_its_own() -> None:
    seen = a_visitor(a_world()).get(f"{RECORDS}/entra?q=ines")

    assert "<h1>In Entra, but without a record</h1>" in seen.source
    assert "Ines Okafor" in seen.text


def test_a_tenant_that_does_not_answer_is_named_and_the_page_stands() -> None:
    world = a_world()
    world.directories.directory.down = TryLater("Microsoft Graph does not answer.")

    seen = a_visitor(world).part(f"{RECORDS}/entra?q=ines")

    assert seen.status == 200
    assert "contoso.example could not be asked. Microsoft Graph does not answer." in seen.text


def test_with_many_connections_the_person_chooses_the_tenant_to_search() -> None:
    world = a_world()
    for number in range(6):
        world.add(a_connection(f"tenant{number}"))
    visitor = a_visitor(world)

    all_of_them = visitor.part(f"{RECORDS}/entra?q=ines")
    one = visitor.part(f"{RECORDS}/entra?q=ines&connectionId=contoso")

    assert "choose the one in which to look" in all_of_them.text
    assert "Ines Okafor" not in all_of_them.text
    assert "Ines Okafor" in one.text


def test_a_search_that_ended_early_says_so_and_goes_on() -> None:
    def early(_: Call) -> Reply:
        return json_reply(RecordList(items=[], next_cursor="further"))

    route = Route("GET", "/api/records", early, "", query=RecordsQuery, reply=RecordList)
    seen = a_visitor(a_world(), [route]).get(f"{RECORDS}?q=mara")

    assert "Only a part of the records has been looked through" in seen.text
    assert 'href="/console/records?q=mara&cursor=further"' in seen.source
    assert "limited=yes" in seen.source


def test_typing_brings_the_found_records_alone() -> None:
    seen = a_visitor(a_world()).part(f"{RECORDS}?q=person")

    assert "<html" not in seen.source
    assert "Person 1" in seen.text
    assert 'id="announce" hx-swap-oob' in seen.source


def test_an_empty_installation_is_led_to_the_guide() -> None:
    seen = a_visitor(World()).get(RECORDS)

    assert "no connection to an Entra tenant has been added" in seen.text
    assert 'class="button main" href="/console/guide"' in seen.source


def test_nobody_found_says_what_was_sought() -> None:
    assert "No record fits “zz”." in a_visitor(a_world()).get(f"{RECORDS}?q=zz").text


def test_names_from_entra_and_the_search_are_shown_as_text() -> None:
    world = a_world(0)
    evil = "<script>alert(1)</script>"
    world.links.save([a_link("contoso", 1, display_name=evil, reason=f"{evil}{{{{7*7}}}}")])
    world.directories.directory.users[UserId(INES)] = a_user(name=f"{evil} x")
    visitor = a_visitor(world)

    for path in (RECORDS, f"{RECORDS}?q=%3Cscript%3Ealert(1)", f"{RECORDS}/entra?q=%3Cscript%3E"):
        source = visitor.get(path).source
        assert "<script>alert" not in source
        assert "{{7*7}}" in source or "&lt;script&gt;" in source


def test_an_employee_without_a_record_is_told_so() -> None:
    world = a_world(0)
    world.links.save(
        [
            Link(
                ConnectionId("contoso"),
                UserId(INES),
                LinkState.WORKLIST,
                RecordType.EMPLOYEE,
                display_name="Ines Okafor",
                updated_at=START,
            ),
            a_link("contoso", 2, record_type=RecordType.EMPLOYEE, record_id=RecordId(12)),
        ]
    )

    text = a_visitor(world).get(RECORDS).text

    assert "no record on the worklist" in text
    assert "Employee at" in text
