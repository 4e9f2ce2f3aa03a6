"""The console's page of what was edited by hand in BMS."""

from __future__ import annotations

from typing import Any

from shared.web.api.drift import DriftFieldShown, DriftList, DriftQuery, DriftShown, DriftWish
from shared.web.http import Reply, json_reply
from shared.web.router import Call, Route
from tests.fakes import START
from tests.web.console.visitor import Visitor, a_visitor
from tests.web.world import INES, World, a_connection

DRIFT = "/console/drift"


def an_edited_record(**members: Any) -> DriftShown:
    standard: dict[str, Any] = {
        "connection_id": "contoso",
        "user_id": INES,
        "display_name": "Ines Okafor",
        "record_type": "contact",
        "record_id": 300001,
        "account_id": 7,
        "account_name": "Acme",
        "is_active": True,
        "fields": [
            DriftFieldShown(
                field="JobTitle",
                label="job title",
                written="Optician",
                in_bms="Chief Optician",
                next="stays until she changes in Entra",
            ),
            DriftFieldShown(
                field="mobile", label="mobile phone", written="+49 1", in_bms="", next="stays"
            ),
        ],
        "edited_by": "Sam",
        "edited_at": START,
    }
    return DriftShown(**(standard | members))


class Edited:
    """The route, and what it was asked."""

    def __init__(self, *items: DriftShown, **members: Any) -> None:
        standard: dict[str, Any] = {
            "next_cursor": None,
            "read_at": START,
            "notes": [],
            "state": "ready",
            "links": 23,
            "compared": 23,
        }
        self.reply = DriftList(items=list(items), **(standard | members))
        self.asked: list[DriftQuery] = []
        self.ordered: list[DriftWish] = []

    def visitor(self) -> Visitor:
        world = World()
        world.add(a_connection())
        reading = Route("GET", "/api/drift", self._answer, "", query=DriftQuery, reply=DriftList)
        again = Route("POST", "/api/drift", self._again, "", body=DriftWish, reply=DriftList)
        return a_visitor(world, [reading, again])

    def _again(self, call: Call) -> Reply:
        self.ordered.append(call.body)
        return json_reply(self.reply)

    def _answer(self, call: Call) -> Reply:
        self.asked.append(call.query)
        return json_reply(self.reply)


def test_each_edited_field_shows_old_new_and_what_the_next_sync_does() -> None:
    seen = Edited(an_edited_record()).visitor().get(DRIFT)

    assert "Contact at Acme 300001 job title Optician → was edited to Chief Optician" in seen.text
    assert "stays until she changes in Entra" in seen.text
    assert "mobile phone +49 1 → was edited to (empty) stays" in seen.text
    assert "by Sam" in seen.text
    assert f'href="/console/people/contoso/{INES}"' in seen.source


def test_when_bms_was_read_and_what_it_could_not_tell_is_said() -> None:
    seen = Edited(notes=["BMS does not show an employee's department."]).visitor().get(DRIFT)

    assert "As BMS was on 2026-03-02 09:00 UTC ." in seen.text
    assert "BMS does not show an employee's department." in seen.text
    assert "Nobody was edited by hand" in seen.text


def test_while_bms_is_read_the_page_says_how_far_and_looks_again() -> None:
    edited = Edited(state="reading", links=20000, compared=1500)
    visitor = edited.visitor()

    seen = visitor.get(f"{DRIFT}?connectionId=contoso")

    assert "1 500 of 20 000 records are compared" in seen.text
    assert 'hx-get="/console/drift?connectionId=contoso"' in seen.source
    assert "<html" not in visitor.part(DRIFT).source


def test_bms_is_read_again_by_a_form_alone_and_the_filter_stays() -> None:
    edited = Edited()
    visitor = edited.visitor()

    visitor.get(f"{DRIFT}?q=ines")
    assert not edited.ordered
    answer = visitor.post(f"{DRIFT}/read", {"q": "ines", "connectionId": ""})

    assert len(edited.ordered) == 1
    assert (answer.status, answer.location) == (303, "/console/drift?q=ines")


def test_what_was_typed_into_bms_is_shown_as_text() -> None:
    evil = "<svg onload=alert(1)>"
    record = an_edited_record(display_name=evil, account_name=evil, edited_by=evil)
    record.fields[0].in_bms = evil

    seen = Edited(record, notes=[evil]).visitor().get(DRIFT)

    assert "<svg" not in seen.source.partition("<main")[2]
    assert seen.text.count(evil) >= 5


def test_before_the_first_sync_the_reader_is_led_to_the_guide() -> None:
    seen = Edited(read_at=None, links=0, compared=0).visitor().get(DRIFT)

    assert "Nothing is synced yet" in seen.text
    assert 'href="/console/guide"' in seen.source
