"""The console's Activity page, and undo."""

from __future__ import annotations

import html
from datetime import timedelta

import pytest

from shared.core.model import ConnectionId, FieldChange, Link, LinkState, Trace, UserId
from shared.web.api.activity import FieldChangeShown
from shared.web.api.shapes import Paged
from shared.web.api.undo import NotUndoneShown, UndoneShown, UndoReply
from shared.web.http import Reply, json_reply
from shared.web.router import Call, Route
from tests.fakes import START
from tests.web.console.visitor import Seen, Visitor, a_visitor
from tests.web.test_lists_api import a_link, an_activity
from tests.web.world import INES, World, a_connection

ACTIVITY = "/console/activity"


def a_world(*lines: object) -> World:
    world = World()
    world.add(a_connection())
    world.activity.add(list(lines))  # type: ignore[arg-type]
    return world


def test_a_line_tells_who_what_why_from_where_and_how_long_it_took() -> None:
    line = an_activity(
        1,
        display_name="Ines Okafor",
        changes=(
            FieldChange("last name", "Okafor", "Ødegård"),
            FieldChange("job title", "", "CFO"),
        ),
        notes=("Cut to 100 characters.",),
        signal_at=START + timedelta(seconds=18),
    )

    seen = a_visitor(a_world(line)).get(ACTIVITY)

    assert "Ines Okafor Updated The name changed." in seen.text
    assert "last name Okafor → becomes Ødegård" in seen.text
    assert "job title (empty) → becomes CFO" in seen.text
    assert "Cut to 100 characters. a notification of Entra 42 s" in seen.text
    assert f'href="/console/people/contoso/{INES}"' in seen.source


def test_a_time_that_is_known_as_a_bound_only_is_marked_at_most() -> None:
    line = an_activity(1, signal_at=START, signal_is_upper_bound=True, origin="sweep")

    assert "a sweep at most 60 s" in a_visitor(a_world(line)).get(ACTIVITY).text


def test_many_fields_are_folded() -> None:
    changes = tuple(FieldChange(f"field {n}", "a", "b") for n in range(5))

    seen = a_visitor(a_world(an_activity(1, changes=changes))).get(ACTIVITY)

    assert "<summary>5 fields</summary>" in seen.source


def test_lines_are_filtered_by_kind_connection_day_and_person() -> None:
    world = a_world(an_activity(1), an_activity(2, kind="create", reason="Joined."))
    world.activity.add([an_activity(3, user_id="u1", reason="Another person.")])
    world.links.save([a_link("contoso", 1)])
    visitor = a_visitor(world)

    def reasons(query: str) -> list[str]:
        text = visitor.get(f"{ACTIVITY}?{query}").text
        return [r for r in ("The name changed.", "Joined.", "Another person.") if r in text]

    assert reasons("kind=create") == ["Joined."]
    assert reasons("person=person+1") == ["Another person."]
    assert reasons("person=p1@contoso.example&connectionId=contoso") == ["Another person."]
    assert reasons(f"userId={INES}") == ["The name changed.", "Joined."]
    assert reasons("day=2026-03-03") == []
    assert len(reasons("day=2026-03-02")) == 3
    # The day of a reader fifteen hours west of UTC begins after these lines.
    assert reasons("day=2026-03-02&zone=-900") == []


def test_a_day_that_is_none_is_marked_at_its_input() -> None:
    seen = a_visitor(a_world(an_activity(1))).get(f"{ACTIVITY}?day=yesterday")

    assert seen.status == 200
    assert 'aria-invalid="true" aria-describedby="day-fault"' in seen.source
    assert 'value="yesterday"' in seen.source


def test_of_several_people_who_fit_the_reader_chooses_one() -> None:
    world = a_world(an_activity(1))
    world.links.save([a_link("contoso", 1), a_link("contoso", 2)])

    seen = a_visitor(world).get(f"{ACTIVITY}?person=person")

    assert "Several people fit “person”." in seen.text
    assert "userId=u2" in seen.source
    assert "The name changed." not in seen.text


def test_somebody_unknown_is_looked_for_in_entra() -> None:
    seen = a_visitor(a_world(an_activity(1))).get(f"{ACTIVITY}?person=nobody")

    assert "No record fits “nobody”" in seen.text
    assert "/console/records?q=nobody" in seen.source


def _watched(seen: Seen) -> str:
    return html.unescape(seen.source.split('class="watch" role="status" hx-get="')[1].split('"')[0])


def test_new_lines_are_offered_and_not_pushed_in() -> None:
    world = a_world(an_activity(1), an_activity(2))
    visitor = a_visitor(world)
    address = _watched(visitor.get(f"{ACTIVITY}?kind=update"))

    before = visitor.part(address)
    world.activity.add([an_activity(5), an_activity(6), an_activity(7, kind="create")])
    after = visitor.part(address)

    assert "New lines are offered here" in before.text
    assert after.text == "Show 2 new lines"
    assert 'href="/console/activity?kind=update"' in after.source


def test_the_first_line_of_an_empty_list_is_offered_too() -> None:
    world = a_world()
    visitor = a_visitor(world)
    address = _watched(visitor.get(ACTIVITY))
    world.activity.add([an_activity(60 * 24 * 365 * 50)])

    assert visitor.part(address).text == "Show 1 new line"


def test_an_older_page_of_the_list_does_not_ask_for_new_lines() -> None:
    world = a_world(*[an_activity(n) for n in range(60)])
    visitor = a_visitor(world)
    first = visitor.get(ACTIVITY)
    onward = html.unescape(first.source.split('rel="next" href="')[1].split('"')[0])

    assert 'class="watch"' in first.source
    assert 'class="watch"' not in visitor.get(onward).source


def test_an_empty_log_is_led_to_the_guide() -> None:
    seen = a_visitor(World()).get(ACTIVITY)

    assert "Nothing has been done yet." in seen.text
    assert 'href="/console/guide"' in seen.source


# --- undo ----------------------------------------------------------------------------------------


def _undo_that_answers(reply: UndoReply) -> Route:
    def undo(_: Call) -> Reply:
        return json_reply(reply)

    return Route("POST", "/api/activity/{activityId}/undo", undo, "", reply=UndoReply)


def _outcome_that_answers(reply: UndoReply) -> Route:
    def outcome(_: Call) -> Reply:
        return json_reply(reply)

    return Route("GET", "/api/syncs/{syncId}/outcome", outcome, "", query=Paged, reply=UndoReply)


def a_reply(state: str = "done", **members: object) -> UndoReply:
    standard: dict[str, object] = {
        "sync_id": "s1",
        "undone": [],
        "not_undone": [],
        "next_cursor": None,
    }
    return UndoReply(state=state, **(standard | members))  # type: ignore[arg-type]


def _of(visitor: Visitor) -> Seen:
    return visitor.send(f"{ACTIVITY}/a1/undo", {"connectionId": "contoso", "back": ACTIVITY})


BACK = UndoneShown(
    activity_id="a1",
    user_id=INES,
    display_name="Ines Okafor",
    record_id=7,
    changes=[FieldChangeShown(field="last name", old="Ødegård", new="Okafor")],
)
STAYS = NotUndoneShown(
    activity_id="a1",
    user_id=INES,
    display_name="Ines Okafor",
    reason="the job title stays: edited in BMS since",
)


def test_an_undo_tells_what_was_put_back_and_what_was_not() -> None:
    reply = a_reply(undone=[BACK], not_undone=[STAYS])
    visitor = a_visitor(a_world(), [_undo_that_answers(reply), _outcome_that_answers(reply)])

    seen = _of(visitor)

    assert "Undone in part." in seen.text
    assert "last name Ødegård → becomes Okafor" in seen.text
    assert "edited in BMS since" in seen.text
    assert f'href="/console/people/contoso/{INES}"' in seen.source


def test_an_undo_that_still_runs_is_looked_at_again() -> None:
    reply = a_reply("running")
    visitor = a_visitor(a_world(), [_undo_that_answers(reply), _outcome_that_answers(reply)])

    seen = _of(visitor)

    assert "The undo is running" in seen.text
    assert 'hx-get="/console/undone/s1?' in seen.source
    assert "<html" not in visitor.part("/console/undone/s1").source


def test_what_could_not_be_begun_is_told_at_once() -> None:
    reply = a_reply(sync_id=None, not_undone=[STAYS])

    seen = a_visitor(a_world(), [_undo_that_answers(reply)]).post(f"{ACTIVITY}/a1/undo")

    assert (seen.status, "Nothing was undone." in seen.text) == (200, True)


def test_the_way_back_never_leads_elsewhere() -> None:
    reply = a_reply(sync_id=None, not_undone=[STAYS])
    visitor = a_visitor(a_world(), [_undo_that_answers(reply)])

    for wanted in ("https://evil.example", "//evil.example", "/console/\\evil", "javascript:x"):
        seen = visitor.post(f"{ACTIVITY}/a1/undo", {"back": wanted})
        assert 'class="button" href="/console/activity"' in seen.source
        assert "evil" not in seen.source


def test_a_foreign_form_undoes_nothing() -> None:
    world = a_world(an_activity(1))

    seen = a_visitor(world).post(f"{ACTIVITY}/a1/undo", token="of-another-page")

    assert seen.status == 403
    assert not world.undone_now


def test_a_line_that_is_gone_is_refused_with_a_sentence() -> None:
    seen = a_visitor(a_world()).post(f"{ACTIVITY}/nothing/undo")

    assert seen.status == 404
    assert "There is no line of the activity with this id" in seen.text


def test_the_undo_button_stands_where_something_can_be_undone() -> None:
    trace = Trace(Link(ConnectionId("contoso"), UserId(INES), LinkState.ACTIVE))
    wrote = an_activity(1, trace=trace, display_name="Ines Okafor")
    world = a_world(wrote, an_activity(2), an_activity(3, trace=trace, undone_by="s9"))

    seen = a_visitor(world).get(ACTIVITY)

    assert seen.source.count('<form method="post" action="/console/activity/') == 1
    assert 'action="/console/activity/a1/undo"' in seen.source
    assert 'aria-label="Undo: Updated, Ines Okafor"' in seen.source
    assert seen.source.count('<span class="dim">undone</span>') == 1


@pytest.mark.parametrize(
    "query",
    [
        "?day=0001-01-01&zone=999",
        "?day=9999-12-31&zone=-999",
        "?day=0001-01-01",
        "/newer?after=0001-01-01T00:00:00%2B14:00",
        "/newer?after=9999-12-31T23:59:59-14:00",
    ],
)
def test_a_day_at_the_end_of_time_is_no_fault_of_ours(query: str) -> None:
    assert a_visitor(a_world(an_activity(1))).get(ACTIVITY + query).status < 500
