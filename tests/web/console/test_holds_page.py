"""A person's word on a hold is carried out as it was said, about whom it was said (R20)."""

from __future__ import annotations

import pytest

from shared.core.model import HoldMark, RecordId, UserId
from shared.errors import TryLater
from shared.ports import HeldUser
from tests.web.console.reader import Reader
from tests.web.test_waiting_api import a_link, a_world_with_a_hold, marks
from tests.web.world import World

HOLDS = "/console/waiting/holds"
HOLD = f"{HOLDS}/contoso-1"


def one_more_waits(world: World) -> None:
    hold = world.holds.get("contoso-1")
    assert hold is not None
    world.links.save([a_link(4)])
    world.holds.put_people(hold, [HeldUser(UserId("u4"), RecordId(4), "left", "Person 4")])


@pytest.mark.parametrize("word", ["", "approves", "approve-", "refuse-all", "APPROVE"])
def test_r20_a_form_without_one_of_the_four_words_decides_nothing(word: str) -> None:
    world = a_world_with_a_hold(3)

    page = Reader(world).post(HOLD, {"word": word, "waiting": "3", "user": ["u1"]})

    assert page.status == 422
    assert "Nothing was decided" in page.text
    assert "Person 2" in page.text
    assert set(marks(world).values()) == {HoldMark.WAITING}


@pytest.mark.parametrize(
    ("word", "mark"), [("approve", HoldMark.APPROVED), ("refuse", HoldMark.REFUSED)]
)
def test_r20_a_word_about_all_is_about_those_whom_the_page_has_shown(
    word: str, mark: HoldMark
) -> None:
    world = a_world_with_a_hold(3)
    reader = Reader(world)
    shown = reader.get(HOLDS).value("waiting")
    one_more_waits(world)

    page = reader.post(HOLD, {"word": word, "waiting": shown})

    assert page.status == 409
    assert "about 4 people by now, not 3" in page.text
    assert set(marks(world).values()) == {HoldMark.WAITING}
    assert page.value("waiting") == "4"
    assert reader.post(HOLD, {"word": word, "waiting": "4"}).status == 303
    assert set(marks(world).values()) == {mark}


@pytest.mark.parametrize("waiting", ["", "many", "3.0"])
def test_r20_a_word_about_all_needs_the_number_that_was_seen(waiting: str) -> None:
    world = a_world_with_a_hold(3)

    assert Reader(world).post(HOLD, {"word": "approve", "waiting": waiting}).status == 422

    assert set(marks(world).values()) == {HoldMark.WAITING}


def test_r20_a_word_about_those_ticked_is_about_them_alone() -> None:
    world = a_world_with_a_hold(3)
    reader = Reader(world)
    nobody = reader.post(HOLD, {"word": "approve-some"})

    after = reader.follow(reader.post(HOLD, {"word": "approve-some", "user": ["u1", "u3"]}))

    assert (nobody.status, "Nobody is ticked" in nobody.text) == (422, True)
    assert "2 people will be deactivated now." in after.text
    assert marks(world)["u2"] is HoldMark.WAITING


def test_r20_a_word_that_cannot_be_taken_now_is_said_above_the_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = a_world_with_a_hold(3)

    def busy(*_: object) -> None:
        raise TryLater("The table does not answer.")

    monkeypatch.setattr(world.links, "save", busy)
    page = Reader(world).post(HOLD, {"word": "refuse", "waiting": "3"})

    assert page.status == 503
    assert "The table does not answer." in page.text
    assert "Person 1" in page.text


def test_r20_the_admin_api_takes_the_number_that_was_seen() -> None:
    world = a_world_with_a_hold(2)

    refused = world.call("POST", "/api/holds/contoso-1/approve", {"expected": 3})
    done = world.call("POST", "/api/holds/contoso-1/approve", {"expected": 2})

    assert (refused.status, refused.body["field"]) == (409, "expected")
    assert done.status == 200
