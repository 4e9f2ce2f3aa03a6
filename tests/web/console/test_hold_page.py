"""The console's page of one hold, with as many people as there may be (R20)."""

from __future__ import annotations

from tests.web.console.visitor import a_visitor
from tests.web.test_waiting_api import a_world_with_a_hold, marks

HOLDS = "/console/waiting/holds"


def test_the_list_shows_50_people_of_a_hold_and_the_way_to_the_others_r20() -> None:
    seen = a_visitor(a_world_with_a_hold(1200)).get(HOLDS)

    assert "contoso.example: 1 200 people" in seen.text
    assert "Deactivate all 1 200" in seen.text
    assert seen.source.count("<tr>") == 51
    assert f'href="{HOLDS}/contoso-1"' in seen.source
    assert "See everybody in this hold : 1 150 more." in seen.text


def test_a_small_hold_stands_in_the_list_as_a_whole_r20() -> None:
    seen = a_visitor(a_world_with_a_hold(50)).get(HOLDS)

    assert seen.source.count("<tr>") == 51
    assert "See everybody" not in seen.text
    assert "on this page" not in seen.text


def test_everybody_of_a_hold_is_found_200_on_a_page_r20() -> None:
    visitor = a_visitor(a_world_with_a_hold(450))
    seen, path = [], f"{HOLDS}/contoso-1"
    for _ in range(4):
        page = visitor.get(path)
        assert page.status == 200
        seen.append(page.source.count(' name="user" '))
        _, next_page, rest = page.source.partition('rel="next" href="')
        if not next_page:
            break
        path = rest.split('"')[0].replace("&amp;", "&")

    assert seen == [200, 200, 50]


def test_who_is_ticked_on_a_page_is_decided_alone_r20() -> None:
    world = a_world_with_a_hold(250)
    visitor = a_visitor(world)
    page = visitor.get(f"{HOLDS}/contoso-1")
    assert "Keep those ticked on this page" in page.text

    seen = visitor.send(f"{HOLDS}/contoso-1", {"word": "refuse-some", "user": ["u1", "u2"]})

    assert "2 people stay as they are." in seen.text
    assert sorted(user for user, mark in marks(world).items() if mark == "refused") == ["u1", "u2"]


def test_a_hold_that_is_not_there_is_said_r20() -> None:
    seen = a_visitor(a_world_with_a_hold()).get(f"{HOLDS}/contoso-9")

    assert seen.status == 404
    assert "no hold with this id" in seen.text
