"""/api/mapping-rules/preview and /api/previews: the JSON that the pages rest on (R5)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from shared.core.model import AccountId, FieldChange, RecordId
from shared.core.preview import KINDS, Move, Outcome, PreviewedPerson
from tests.builders import a_user_id
from tests.fakes import START
from tests.web.world import NOWHERE, SUPPORT, World, a_connection, a_ready_world, a_rule

ASK = "/api/mapping-rules/preview"


def the_set(*items: object) -> dict[str, object]:
    return {"connectionId": "contoso", "items": list(items)}


def asked(world: World, *items: object) -> str:
    """The id of a preview that still runs."""
    answer = world.call("POST", ASK, the_set(*(items or (a_rule(),))))
    assert answer.status == 202
    return str(answer.body["previewId"])


def made_ready(world: World, preview_id: str) -> None:
    running = world.previews.held[preview_id]
    move = Move(AccountId(7), AccountId(8), 1, "Contoso", "Fabrikam")
    counts = {"create": 1, "move": 1}
    ready = replace(running, state="ready", counts=counts, moves=(move,), sentence="1 created")
    world.previews.held[preview_id] = ready
    [one] = world.previews.sets[preview_id]
    changes = (FieldChange("first name", "", "Ada"),)
    created = Outcome("create", "member of Staff", account_id=AccountId(7), rule_id=one.rule.id)
    moved = Outcome(
        "move", "moved", from_account_id=AccountId(7), account_id=AccountId(8), leaving=RecordId(5)
    )
    people = [
        PreviewedPerson(a_user_id("ada"), replace(created, changes=changes), "Ada Lind", "ada@x.y"),
        PreviewedPerson(a_user_id("ben"), moved, "Ben Lind", "ben@x.y"),
    ]
    world.previews.put[f"{preview_id}."] = people


def test_202_with_its_address_when_it_takes_longer_than_20_seconds() -> None:
    world = a_ready_world()
    began = world.clock()

    answer = world.call("POST", ASK, the_set(a_rule()))

    assert answer.status == 202
    assert answer.headers["Location"] == f"/api/previews/{answer.body['previewId']}"
    assert answer.body["state"] == "running"
    assert answer.body["counts"] == dict.fromkeys(KINDS, 0)
    assert timedelta(seconds=20) <= world.clock() - began < timedelta(seconds=22)
    [(order, _)] = world.queues.sweep_orders
    assert (order.kind, order.preview) == ("preview", answer.body["previewId"])
    assert world.rules.held == {}, "nothing is saved"


def test_the_numbers_and_the_people_behind_them() -> None:
    world = a_ready_world()
    preview_id = asked(world)
    made_ready(world, preview_id)

    shown = world.call("GET", f"/api/previews/{preview_id}").body
    page = world.call("GET", f"/api/previews/{preview_id}/people?kind=create").body

    assert shown == {
        "previewId": preview_id,
        "connectionId": "contoso",
        "state": "ready",
        "reason": None,
        "createdAt": "2026-03-02T09:00:00Z",
        "expiresAt": "2026-03-03T09:00:00Z",
        "seen": 0,
        "counts": dict.fromkeys(KINDS, 0) | {"create": 1, "move": 1},
        "sentence": "1 created",
        "moves": [
            {
                "fromAccountId": 7,
                "fromAccountName": "Contoso",
                "toAccountId": 8,
                "toAccountName": "Fabrikam",
                "count": 1,
            }
        ],
        "wouldHold": False,
        "notes": [],
        "stale": False,
    }
    [one] = page["items"]
    assert page["nextCursor"] is None
    assert (one["kind"], one["ruleId"], one["itemIndex"]) == ("create", None, 0)
    assert (one["displayName"], one["address"]) == ("Ada Lind", "ada@x.y")
    assert one["changes"] == [{"field": "first name", "old": "", "new": "Ada"}]
    assert one["accountName"] == "Contoso"


def test_people_are_paged_and_searched() -> None:
    world = a_ready_world()
    preview_id = asked(world)
    made_ready(world, preview_id)
    path = f"/api/previews/{preview_id}/people"

    first = world.call("GET", f"{path}?limit=1").body
    second = world.call("GET", f"{path}?limit=1&cursor={first['nextCursor']}").body
    found = world.call("GET", f"{path}?q=Ben").body

    assert [one["displayName"] for one in (*first["items"], *second["items"])] == [
        "Ada Lind",
        "Ben Lind",
    ]
    assert second["nextCursor"] is None
    assert [one["leavingRecordId"] for one in found["items"]] == [5]
    assert world.call("GET", f"{path}?kind=nonsense").status == 400


def test_a_set_that_could_not_be_saved_is_refused_with_every_fault_in_its_place() -> None:
    world = a_ready_world()
    items = [a_rule(groupId=SUPPORT, accountId=None), a_rule(groupId=NOWHERE, accountId=99)]

    answer = world.call("POST", ASK, the_set(a_rule(), *items))
    saved = world.call(
        "PUT", "/api/connections/contoso/mapping-rules", {"items": [a_rule(), *items]}
    )

    assert answer.status == 422
    assert [each["field"] for each in answer.body["errors"]] == [
        "items[1].accountId",
        "items[2].groupId",
        "items[2].accountId",
    ]
    assert answer.body == saved.body, "in the words of saving it"
    assert world.previews.held == {}


def test_a_draft_connection_is_refused_with_what_to_do() -> None:
    world = a_ready_world()
    world.add(a_connection(connected_at=None))

    answer = world.call("POST", ASK, the_set(a_rule()))

    assert answer.status == 409
    assert "Connect it" in answer.body["detail"]


def test_an_unknown_or_outlived_preview_is_not_found() -> None:
    world = a_ready_world()
    preview_id = asked(world)
    world.clock.pass_(timedelta(days=1))

    assert world.call("GET", f"/api/previews/{preview_id}").status == 404
    assert world.call("GET", f"/api/previews/{preview_id}/people").status == 404
    assert world.call("GET", "/api/previews/none").status == 404


def test_confirming_saves_the_rules_with_the_ids_of_the_preview_and_approves_it_r20() -> None:
    world = a_ready_world()
    world.add(a_connection(first_sync_at=START))
    preview_id = asked(world)
    body = {"items": [a_rule()], "confirm": {"previewId": preview_id}}
    whole = "/api/connections/contoso/mapping-rules"

    assert world.call("PUT", whole, body).body["field"] == "confirm.previewId", "not ready yet"
    made_ready(world, preview_id)
    answer = world.call("PUT", whole, body)

    assert answer.status == 200
    [one] = world.previews.sets[preview_id]
    assert [each["id"] for each in answer.body["items"]] == [one.rule.id]
    [connection] = world.connections.list()
    assert connection.approval is not None
    assert connection.approval.preview_id == preview_id
    assert world.call("PUT", whole, body).status == 409, "it is stale now"
