"""The preview of a draft in the console: numbers first, then the people behind them and buttons."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.errors import BadInput
from shared.web.api.mapping_rules import RuleList, RuleSetBody
from shared.web.api.previews import PeopleQuery, PreviewBody, PreviewShown
from shared.web.http import Reply, json_reply
from shared.web.router import Call, Route
from tests.fakes import START
from tests.web.console.reader import Reader, Shown
from tests.web.world import INES, SUPPORT, World, a_connection, a_ready_world, a_rule

RULES = "/console/connections/contoso/rules"
PART = "/console/connections/contoso/previews/p1/part"
EVIL = "<img src=x onerror=alert(1)>"


class Previewed:
    """An admin API whose previews say what they are told."""

    def __init__(self, **members: Any) -> None:
        self.members = members
        self.asked: list[PreviewBody] = []
        self.saved: list[RuleSetBody] = []
        self.people: list[PeopleQuery] = []
        self.refusal: BadInput | None = None

    def routes(self) -> list[Route]:
        return [
            Route("POST", "/api/mapping-rules/preview", self.ask, "", body=PreviewBody),
            Route("GET", "/api/previews/{previewId}", self.get, ""),
            Route(
                "GET", "/api/previews/{previewId}/people", self.list_people, "", query=PeopleQuery
            ),
            Route(
                "PUT",
                "/api/connections/{connectionId}/mapping-rules",
                self.save,
                "",
                body=RuleSetBody,
            ),
        ]

    def shown(self) -> PreviewShown:
        given: dict[str, Any] = {
            "preview_id": "p1",
            "connection_id": "contoso",
            "state": "ready",
            "reason": None,
            "created_at": START,
            "expires_at": START,
            "seen": 60,
            "counts": {"create": 12, "deactivate": 41, "unchanged": 7},
            "sentence": "12 created, 41 deactivated",
            "moves": [],
            "would_hold": False,
            "notes": [],
            "stale": False,
        }
        return PreviewShown(**{**given, **self.members})

    def ask(self, call: Call) -> Reply:
        if self.refusal:
            raise self.refusal
        self.asked.append(call.body)
        return json_reply(self.shown(), 202 if self.shown().state == "running" else 200)

    def get(self, call: Call) -> Reply:
        return json_reply(self.shown())

    def list_people(self, call: Call) -> Reply:
        self.people.append(call.query)
        person = {
            "userId": INES,
            "displayName": EVIL,
            "address": "ines@contoso.example",
            "kind": "deactivate",
            "recordType": "contact",
            "recordId": 300001,
            "leavingRecordId": None,
            "accountId": 7,
            "accountName": "Acme",
            "fromAccountId": None,
            "fromAccountName": None,
            "ruleId": None,
            "itemIndex": None,
            "reason": "is in no mapped group any more",
            "changes": [{"field": "job title", "old": "Clerk", "new": EVIL}],
        }
        return json_reply({"items": [person], "nextCursor": "more"})

    def save(self, call: Call) -> Reply:
        self.saved.append(call.body)
        return json_reply(RuleList(items=[], next_cursor=None))


def a_world(**members: Any) -> World:
    world = a_ready_world()
    world.call("POST", "/api/mapping-rules", a_rule())
    world.call("POST", "/api/mapping-rules", a_rule(groupId=SUPPORT, order=20, accountId=8))
    world.add(a_connection(first_sync_at=START, **members))
    return world


def previewed(previews: Previewed, *, removed: bool = True) -> tuple[Reader, Shown]:
    """Somebody who removed a rule and asked what that would do."""
    reader = Reader(a_world(), previews.routes())
    page = reader.get(RULES)
    if removed:
        page = reader.post(RULES, {"draft": page.value("draft"), "do": "remove:0"})
    return reader, reader.post(RULES, {"draft": page.value("draft"), "do": "preview"})


def press(reader: Reader, page: Shown, do: str, **inputs: str) -> Shown:
    kept = {name: page.value(name) for name in ("draft", "previewId")}
    return reader.post(RULES, {**kept, "do": do, **inputs})


def buttons(page: Shown) -> list[str]:
    return [one.attributes.get("value", "") for one in page.all("button", name="do")]


def test_the_preview_is_asked_for_with_the_draft_and_nothing_is_saved() -> None:
    previews = Previewed()

    _, page = previewed(previews)

    assert page.status == 200
    assert "12 created, 41 deactivated." in page.text
    [body] = previews.asked
    assert [json.loads(bytes(item))["groupId"] for item in body.items] == [SUPPORT]
    assert previews.saved == []


def test_deactivations_come_first_and_in_the_tone_of_a_warning() -> None:
    previews = Previewed()

    _, page = previewed(previews)

    first = page.all("button", class_="tile")[0]
    assert " ".join(first.text.split()) == "41 deactivated"
    assert "bad" in first.attributes["class"]
    assert first.attributes["aria-pressed"] == "true"
    assert [query.kind for query in previews.people] == ["deactivate"]


def test_a_number_shows_the_people_behind_it_and_keeps_the_draft() -> None:
    previews = Previewed()
    reader, page = previewed(previews)

    after = press(reader, page, "show:create:more", peopleQ="ines")

    query = previews.people[-1]
    assert (query.kind, query.cursor, query.q) == ("create", "more", "ines")
    assert after.value("draft") == page.value("draft")
    assert len(previews.asked) == 1


def test_names_of_people_are_shown_as_text() -> None:
    _, page = previewed(Previewed(sentence=EVIL, notes=[EVIL]))

    assert "<img src=x" not in page.html
    assert EVIL in page.text


def test_while_it_is_made_the_page_asks_again_by_itself() -> None:
    previews = Previewed(state="running", seen=17)
    reader, page = previewed(previews)

    waiting = page.one("div", id="preview")
    assert waiting.attributes["hx-get"].startswith(PART)
    assert "17 people seen so far" in page.text
    assert "save" not in buttons(page)
    previews.members["state"] = "ready"

    ready = reader.get(PART, part=True)

    assert "hx-trigger" not in ready.one("div", id="preview").attributes
    assert "save" in buttons(ready)


def test_a_preview_that_failed_says_why_and_offers_another_try() -> None:
    _, page = previewed(Previewed(state="failed", reason="Entra does not answer."))

    assert "Entra does not answer." in page.text
    assert {"preview", "look"} <= set(buttons(page))
    assert "save" not in buttons(page)


def test_r20_over_the_limit_confirming_the_numbers_is_offered_and_explained() -> None:
    previews = Previewed(would_hold=True)
    reader, page = previewed(previews)
    assert "than the limit of this connection lets through" in page.text
    assert "wait for you in a hold" in page.text

    after = press(reader, page, "confirm")

    assert after.location == RULES
    [body] = previews.saved
    assert body.confirm is not None
    assert body.confirm.preview_id == "p1"


def test_saved_without_confirming_nothing_is_approved() -> None:
    previews = Previewed(would_hold=True)
    reader, page = previewed(previews)

    press(reader, page, "save")

    [body] = previews.saved
    assert body.confirm is None


def test_numbers_that_are_no_longer_current_cannot_be_confirmed() -> None:
    _, page = previewed(Previewed(stale=True, would_hold=True))

    assert "no longer current" in page.text
    assert "disabled" in page.one("button", value="confirm").attributes


def test_back_to_the_draft_loses_nothing_of_it() -> None:
    reader, page = previewed(Previewed())

    back = press(reader, page, "look")

    assert "1 change not saved." in back.text


def test_rules_that_are_saved_are_previewed_without_anything_to_save() -> None:
    _, page = previewed(Previewed(), removed=False)

    assert "save" not in buttons(page)
    assert "as they are saved" in page.text


def test_a_refused_preview_leads_back_to_the_draft_with_the_sentence() -> None:
    previews = Previewed()
    previews.refusal = BadInput(409, "The connection is a draft: connect it first.")

    _, page = previewed(previews)

    assert page.status == 409
    assert "connect it first" in page.text
    assert "1 change not saved." in page.text


@pytest.mark.parametrize("kind", ["", "nonsense", "<script>"])
def test_a_kind_that_is_none_shows_what_matters_most(kind: str) -> None:
    previews = Previewed()
    reader, _ = previewed(previews)

    part = reader.get(f"{PART}?show={kind}", part=True)

    assert part.status == 200
    assert previews.people[-1].kind == "deactivate"


def test_a_preview_of_another_connection_is_not_shown() -> None:
    reader, _ = previewed(Previewed(connection_id="fabrikam"))

    assert reader.get(PART, part=True).status == 404
