"""The console's page of one person: why he is here, or why not."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from shared.core.model import Activity, ConnectionId, FieldChange, UserId
from shared.errors import PersonMustAct, TryLater
from shared.sync.work import Told
from shared.web.http import Reply
from shared.web.router import Call
from tests.fakes import START
from tests.web.console.explanations import (
    IN_A_HOLD,
    WOULD_CHANGE,
    a_field,
    a_rule,
    an_explanation,
    explains,
    refuses,
)
from tests.web.console.visitor import Visitor, a_visitor
from tests.web.test_lists_api import an_activity
from tests.web.world import INES, World, a_connection, a_draft, a_ready_world, a_user

PERSON = f"/console/people/contoso/{INES}"


def a_synced_world() -> World:
    world = a_ready_world()
    world.add(a_connection(first_sync_at=START))
    return world


def a_reader(**members: object) -> Visitor:
    return a_visitor(a_synced_world(), [explains(an_explanation(**members))])


def test_the_answer_stands_first_with_what_comes_next() -> None:
    text = a_reader(next=WOULD_CHANGE).get(PERSON).text

    answer = text.index("Ines Okafor is contact 300001 at Acme, since she is a member of Optics")
    following = text.index("Next: The next sync brings the job title to Entra's value.")
    assert answer < following < text.index("From Entra to BMS")
    assert "job title Chief Optician → becomes CFO" in text


def test_the_way_leads_from_entra_through_the_groups_and_the_rule_to_the_record() -> None:
    way = a_reader().get(PERSON).section("From Entra to BMS", "Mapping rules, in the order")

    assert way.strip() == (
        "In Entra Ines Okafor Member of the group Front desk ‹ in Optics staff (nested) "
        "Mapping rule, order 2 Optics staff becomes a contact at Acme "
        "Contact in BMS Ines Okafor Acme, Head Office 300001 active"
    )


def test_every_rule_says_why_it_won_or_lost() -> None:
    rules = a_reader().get(PERSON).section("in which they are tried", "How the record was found")

    assert "1 Workshop crew Contact at Acme does not match is not a member of the group" in rules
    assert "2 Optics staff Contact at Acme won the first rule in order that matches" in rules
    assert "3 Everybody disabled Contact at Acme lost Optics staff has the lower order" in rules


def test_records_that_carry_an_address_say_whose_they_are() -> None:
    match = a_reader().get(PERSON).section("How the record was found", "Fields")

    assert "Contact at Acme 300001 active ines@contoso.example this person's" in match
    assert "Contact at Beta 300009 deactivated ines@contoso.example nobody's" in match


def test_a_field_that_was_edited_in_bms_is_marked_and_no_other() -> None:
    seen = a_reader().get(PERSON)

    fields = seen.section("In BMS now Note", "What was done")
    assert fields.count("edited in BMS") == 1
    assert "Chief Optician edited in BMS stays until she changes in Entra" in fields


def test_an_address_that_differs_in_case_alone_is_no_edit() -> None:
    same = a_field("e-mail", written="Ines@contoso.example", in_bms="ines@contoso.example")

    assert "edited in BMS" not in a_reader(fields=[same]).get(PERSON).text


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"unknown_because": "Graph is down.", "in_entra": "unknown"}, "Graph is down."),
        ({"record": None, "record_unknown_because": "BMS is down."}, "BMS is down."),
        ({"in_entra": "deleted"}, "deleted in Entra"),
    ],
)
def test_what_could_not_be_read_is_said(members: dict[str, object], sentence: str) -> None:
    seen = a_reader(**members).get(PERSON)

    assert seen.status == 200
    assert sentence in seen.text


def test_who_is_in_no_group_is_told_so() -> None:
    rules = [a_rule(1, "Workshop crew", "no-match", "is not a member of the group")]
    seen = a_reader(record=None, groups=[], rules=rules, fields=[]).get(PERSON)

    assert "In no group of a mapping rule" in seen.text
    assert "No rule takes this person" in seen.text
    assert "In BMS No record" in seen.text


def test_what_waits_for_a_person_leads_to_its_page() -> None:
    seen = a_reader(waiting=[IN_A_HOLD]).get(PERSON)

    assert "Her deactivation waits, since 12 people leave at once. Decide the hold" in seen.text
    assert 'href="/console/waiting/holds"' in seen.source


def test_what_was_done_comes_as_a_part_with_its_undo_or_as_a_page() -> None:
    world = a_synced_world()
    world.activity.add([an_activity(1, changes=(FieldChange("job title", "", "CFO"),))])
    visitor = a_visitor(world, [explains(an_explanation())])

    page = visitor.get(PERSON)
    part = visitor.part(f"{PERSON}/activity")
    alone = visitor.get(f"{PERSON}/activity")

    assert f'hx-get="{PERSON}/activity"' in page.source
    assert "<html" not in part.source
    assert "Updated The name changed. job title (empty) → becomes CFO" in part.text
    assert "<h1>What was done for one person</h1>" in alone.source


@pytest.mark.parametrize(
    ("decides", "said"),
    [
        (Told("nothing", "is up to date"), "Synced, and nothing was to be done: it is up to date."),
        (
            Told(
                "create",
                "member of Sales",
                Activity(
                    START, ConnectionId("contoso"), "create", "member", "person", UserId(INES)
                ),
            ),
            "Synced. Created: member of Sales.",
        ),
        (TryLater("BMS does not answer."), "BMS does not answer. It is tried again."),
    ],
)
def test_a_sync_by_hand_says_what_was_decided(decides: Told | Exception, said: str) -> None:
    world = a_synced_world()
    world.sync_one.decides = decides

    seen = a_visitor(world, [explains(an_explanation())]).send(f"{PERSON}/sync")

    assert said in seen.text
    assert world.sync_one.asked == [INES]


def test_a_sync_that_a_person_must_make_possible_says_how_on_the_same_page() -> None:
    world = a_synced_world()
    world.sync_one.decides = PersonMustAct("BMS refuses.", "Enter the password.", code="bms")

    seen = a_visitor(world, [explains(an_explanation())]).post(f"{PERSON}/sync")

    assert seen.status == 409
    assert "Not synced. BMS refuses. What to do: Enter the password." in seen.text
    assert "From Entra to BMS" in seen.text


def test_a_foreign_form_syncs_nobody() -> None:
    world = a_synced_world()

    assert a_visitor(world).post(f"{PERSON}/sync", token="other").status == 403
    assert not world.sync_one.asked


def test_somebody_unknown_is_met_with_those_who_may_be_meant() -> None:
    visitor = a_visitor(a_synced_world(), [refuses(404, "There is no such user.")])

    seen = visitor.get("/console/people/contoso/ines")

    assert seen.status == 404
    assert "There is no “ines” here" in seen.text
    assert "Do you mean one of these? Person UPN Synced Ines Okafor" in seen.text
    assert f'href="{PERSON}"' in seen.source


def test_of_several_people_of_one_name_the_reader_chooses() -> None:
    world = a_synced_world()
    other = "33333333-0000-4000-8000-000000000002"
    world.directories.directory.users[UserId(other)] = a_user(other)
    visitor = a_visitor(world, [refuses(409, "Two users are called Ines Okafor.")])

    seen = visitor.get("/console/people/contoso/Ines%20Okafor")

    assert seen.status == 409
    assert "Whom do you mean?" in seen.text
    assert f'href="{PERSON}"' in seen.source
    assert f'href="/console/people/contoso/{other}"' in seen.source


def test_a_connection_that_is_not_connected_says_so_and_shows_the_way() -> None:
    world = a_ready_world()
    world.add(a_draft())

    seen = a_visitor(world, [refuses(409, "This connection is not connected.")]).get(PERSON)

    assert seen.status == 409
    assert "The reasons cannot be shown now" in seen.text
    assert 'href="/console/connections"' in seen.source


def test_a_guests_upn_with_its_hash_keeps_its_address() -> None:
    asked: list[str] = []
    route = explains(an_explanation())

    def explain(call: Call) -> Reply:
        asked.append(call.path["user"])
        return route.handler(call)

    visitor = a_visitor(a_synced_world(), [replace(route, handler=explain)])
    visitor.get("/console/people/contoso/ines_x.test%23EXT%23@contoso.example")

    assert asked == ["ines_x.test#EXT#@contoso.example"]


def test_names_from_entra_and_bms_are_shown_as_text() -> None:
    evil = "<img src=x onerror=alert(1)>"
    standard = an_explanation()
    assert standard.user
    seen = a_reader(
        summary=evil,
        user=msgspec.structs.replace(standard.user, display_name=evil),
        rules=[a_rule(1, evil, "won", evil)],
        fields=[a_field(evil, in_bms=evil)],
    ).get(PERSON)

    assert "<img src=x" not in seen.source
    assert seen.text.count(evil) >= 5
