"""GET /api/users/{connectionId}/{user}/explain: the members that the console builds on."""

from __future__ import annotations

from shared.core.model import AccountId, ConnectionId, GroupId, MappingRule, RecordType, RuleId
from tests.fakes import START
from tests.web.world import INES, SALES, World, a_connection, a_draft, a_ready_world

EXPLAIN = f"/api/users/contoso/{INES}/explain"
MEMBERS = {
    "connectionId",
    "tenantDomain",
    "userId",
    "user",
    "inEntra",
    "unknownBecause",
    "summary",
    "link",
    "record",
    "recordUnknownBecause",
    "groups",
    "rules",
    "match",
    "fields",
    "next",
    "last",
    "waiting",
}


def a_mapped_world() -> World:
    world = a_ready_world()
    world.add(a_connection(first_sync_at=START))
    world.rules.make_live(
        ConnectionId("contoso"),
        [
            MappingRule(
                RuleId("r1"),
                ConnectionId("contoso"),
                GroupId(SALES),
                10,
                RecordType.CONTACT,
                START,
                AccountId(7),
                group_name="Sales",
            )
        ],
    )
    world.directories.directory.inside[GroupId(SALES)] = {INES}
    return world


def test_an_explanation_has_every_member_and_says_what_comes_next() -> None:
    answer = a_mapped_world().call("GET", EXPLAIN)

    assert answer.status == 200
    assert set(answer.body) == MEMBERS
    assert answer.body["groups"] == [
        {
            "ruleId": "r1",
            "groupId": SALES,
            "groupName": "Sales",
            "path": ["Sales"],
            "nested": False,
            "note": None,
        }
    ]
    assert answer.body["next"]["kind"] == "create"
    assert set(answer.body["fields"][0]) == {
        "field",
        "label",
        "entra",
        "target",
        "source",
        "sourceDetail",
        "written",
        "inBms",
        "note",
    }


def test_an_explanation_leaves_links_log_and_queues_as_they_were() -> None:
    world = a_mapped_world()

    world.call("GET", EXPLAIN)

    assert not world.links.held
    assert not world.activity.held
    assert not world.queues.sent
    assert not world.bms.records
    assert not world.index.held


def test_a_display_name_is_taken_from_the_address_of_the_call() -> None:
    answer = a_mapped_world().call("GET", "/api/users/contoso/Ines%20Okafor/explain")

    assert (answer.status, answer.body["userId"]) == (200, INES)


def test_nobody_and_a_draft_that_remembers_nobody_are_404_with_a_sentence() -> None:
    world = a_mapped_world()
    nobody = world.call("GET", "/api/users/contoso/nobody@contoso.example/explain")
    world.add(a_draft())
    draft = world.call("GET", EXPLAIN)

    assert (nobody.status, draft.status) == (404, 404)
    assert "check the id" in nobody.detail
    assert "not connected" in draft.detail
