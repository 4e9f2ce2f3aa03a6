"""GET /api/connections/{id}/check: what a technician hears before the first write."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from shared.core.model import (
    AccountId,
    ConnectionId,
    Contact,
    ContactEmail,
    Employee,
    EntraUser,
    GroupId,
    Link,
    LinkState,
    MappingRule,
    RecordId,
    RecordType,
    RuleId,
    UserId,
)
from shared.errors import PersonMustAct, TryLater
from tests.fakes import START, FakeDirectory
from tests.fakes_bms import an_account
from tests.web.world import (
    SALES,
    SUPPORT,
    World,
    a_connection,
    a_draft,
    a_group,
    a_ready_world,
)

CHECK = "/api/connections/contoso/check"


def a_rule(group: str = SALES, **members: Any) -> MappingRule:
    rule = MappingRule(
        RuleId(f"r-{group[-4:]}"),
        ConnectionId("contoso"),
        GroupId(group),
        10,
        RecordType.CONTACT,
        START,
        AccountId(7),
        group_name="Sales",
    )
    return replace(rule, **members)


def person(number: int, **members: Any) -> EntraUser:
    user_id = f"33333333-0000-4000-8000-{number:012d}"
    address = f"p{number}@contoso.example"
    given = {"upn": address, "mail": address, "display_name": f"Person {number}", **members}
    return EntraUser(UserId(user_id), **given)


def a_mapped_world(*people: EntraUser, **members: Any) -> World:
    world = a_ready_world(**members)
    world.rules.put(a_rule())
    directory = world.directories.directory
    directory.users = {one.id: one for one in people}
    directory.inside[GroupId(SALES)] = {one.id for one in people}
    return world


def a_contact(number: int, address: str) -> Contact:
    return Contact(
        RecordId(number), AccountId(7), None, "P", "P", "", True, (ContactEmail(address, 1, True),)
    )


def found(body: dict[str, Any], area: str, severity: str) -> list[str]:
    """The sentences of these findings."""
    return [
        one["sentence"]
        for one in body["findings"]
        if (one["area"], one["severity"]) == (area, severity)
    ]


def test_a_tenant_in_order_is_ready_and_counted() -> None:
    world = a_mapped_world(person(1), person(2))
    contact = a_contact(1, "p1@contoso.example")
    world.bms.records = {contact.id: contact}

    answer = world.call("GET", CHECK)

    assert answer.status == 200
    assert (answer.body["state"], answer.body["verdict"]) == ("ready", "ready")
    assert answer.body["counts"] == {
        "inScope": 2,
        "withoutAddress": 0,
        "guestsLeftOut": 0,
        "blockedLeftOut": 0,
        "doubles": 0,
        "wouldMatch": 1,
        "wouldCreate": 1,
        "conflicts": 0,
        "linked": 0,
    }


def test_a_check_writes_neither_links_nor_activity_nor_to_bms() -> None:
    world = a_mapped_world(person(1), person(2))

    world.call("GET", CHECK)

    assert not world.links.held
    assert not world.activity.held
    assert not world.queues.sent
    assert not world.bms.records
    assert world.now(a_connection()).troubles == ()


def test_r4_r9_each_kind_of_doubtful_person_is_counted_and_named() -> None:
    world = a_mapped_world(
        person(1),
        person(2, proxy_addresses=("smtp:p1@contoso.example",)),
        person(3, upn="", mail=""),
        person(4, guest=True),
        person(5, enabled=False),
        person(6),
    )
    twins = [a_contact(number, "p6@contoso.example") for number in (1, 2)]
    world.bms.records = {one.id: one for one in twins}

    body = world.call("GET", CHECK).body

    assert body["verdict"] == "look"
    counts = body["counts"]
    assert (counts["inScope"], counts["withoutAddress"]) == (4, 1)
    assert (counts["guestsLeftOut"], counts["blockedLeftOut"]) == (1, 1)
    assert (counts["doubles"], counts["conflicts"]) == (1, 2), (
        "one for the twins, one for the double"
    )
    named = {
        one["area"]: [each["displayName"] for each in one["people"]]
        for one in body["findings"]
        if one["severity"] == "warning"
    }
    assert named["people"] == ["Person 3"]


def test_at_most_twenty_people_are_named_and_all_are_counted() -> None:
    world = a_mapped_world(*(person(number, upn="", mail="") for number in range(30)))

    [finding] = [
        one for one in world.call("GET", CHECK).body["findings"] if one["severity"] == "warning"
    ]

    assert (finding["count"], len(finding["people"])) == (30, 20)


def test_r4_who_a_later_rule_takes_is_not_left_out() -> None:
    world = a_mapped_world(person(1, guest=True))
    world.rules.put(a_rule(SUPPORT, order=20, include_guests=True))
    world.directories.directory.inside[GroupId(SUPPORT)] = {person(1).id}

    counts = world.call("GET", CHECK).body["counts"]

    assert (counts["inScope"], counts["guestsLeftOut"]) == (1, 0)


@pytest.mark.parametrize(
    ("group", "words"),
    [
        (None, "no group with the id"),
        (a_group(hidden=True), "are hidden"),
        (a_group(kind="distribution"), "distribution list"),
    ],
)
def test_r1_a_group_that_cannot_stand_in_a_rule_blocks(group: Any, words: str) -> None:
    world = a_mapped_world(person(1))
    world.directories.directory.held_groups.pop(GroupId(SALES))
    if group is not None:
        world.directories.directory.held_groups[group.id] = group

    body = world.call("GET", CHECK).body

    assert body["verdict"] == "blocked"
    [sentence] = found(body, "groups", "blocker")
    assert words in sentence


def test_an_empty_group_is_worth_a_look() -> None:
    body = a_mapped_world().call("GET", CHECK).body

    assert body["verdict"] == "look"
    assert any("is empty" in each for each in found(body, "groups", "warning"))


def test_a_missing_permission_is_named() -> None:
    world = a_mapped_world(person(1))
    refused = PersonMustAct("Graph refuses.", "Consent.", code="permissions")
    world.directories.directory.refused = {"Group.Read.All": refused}

    [sentence] = found(world.call("GET", CHECK).body, "permissions", "blocker")

    assert "Group.Read.All" in sentence


@pytest.mark.parametrize(
    ("connection", "words"), [(a_draft(), "not connected"), (a_connection(paused=True), "paused")]
)
def test_a_connection_that_cannot_be_read_is_blocked_and_says_what_to_do(
    connection: Any, words: str
) -> None:
    world = a_mapped_world(person(1))
    world.add(connection)

    body = world.call("GET", CHECK).body

    [sentence] = found(body, "consent", "blocker")
    assert words in sentence
    assert body["verdict"] == "blocked"


def test_a_connection_without_rules_and_bms_not_set_up_are_both_told() -> None:
    world = a_ready_world()
    world.bms_settings.held = None

    body = world.call("GET", CHECK).body

    assert found(body, "groups", "blocker")
    assert found(body, "bms", "blocker") == ["BMS is not set up yet."]


def test_an_inactive_account_of_a_rule_blocks() -> None:
    world = a_mapped_world(person(1))
    world.bms.held[AccountId(7)] = an_account(7, active=False)

    [sentence] = found(world.call("GET", CHECK).body, "bms", "blocker")

    assert "inactive" in sentence


def test_a_recent_result_is_given_again_and_a_new_one_on_demand() -> None:
    world = a_mapped_world(person(1))
    world.call("GET", CHECK)
    other = person(2)
    world.directories.directory.users[other.id] = other
    world.directories.directory.inside[GroupId(SALES)].add(other.id)

    assert world.call("GET", CHECK).body["counts"]["inScope"] == 1
    assert world.call("GET", f"{CHECK}?again=true").status == 400  # no reading starts anything
    started = world.call("POST", CHECK)
    assert started.status in (200, 202)
    world.lane.shutdown(wait=True)
    assert world.call("GET", CHECK).body["counts"]["inScope"] == 2


@dataclass
class Slow(FakeDirectory):
    """Its members come once they are let go."""

    go: threading.Event = field(default_factory=threading.Event)

    def members(self, group: GroupId, *, nested: bool) -> Iterator[list[EntraUser]]:
        self.go.wait(20)
        yield from super().members(group, nested=nested)


def test_what_takes_longer_is_202_with_a_location_that_has_the_result_later() -> None:
    world = a_mapped_world(person(1), patience=0.05)
    quick = world.directories.directory
    slow = Slow(users=quick.users, held_groups=quick.held_groups, inside=quick.inside)
    world.directories.directory = slow

    first = world.call("GET", CHECK)
    second = world.call("GET", CHECK)
    slow.go.set()
    world.lane.shutdown(wait=True)
    last = world.call("GET", first.headers["Location"])

    assert (first.status, first.body["state"]) == (202, "running")
    assert (second.status, second.body["state"]) == (202, "running")
    assert (last.status, last.body["counts"]["inScope"]) == (200, 1)


def test_a_group_that_fails_half_way_is_a_finding_and_no_error() -> None:
    world = a_mapped_world(person(1))
    directory = world.directories.directory

    def members(group: GroupId, *, nested: bool) -> Iterator[Sequence[EntraUser]]:
        raise TryLater("Microsoft Graph answered with HTTP 503.")
        yield []

    directory.members = members  # type: ignore[method-assign,assignment]

    answer = world.call("GET", CHECK)

    assert answer.status == 200
    assert any("503" in each for each in found(answer.body, "groups", "blocker"))


def test_an_unknown_connection_is_404() -> None:
    assert a_ready_world().call("GET", "/api/connections/nobody/check").status == 404


def test_somebody_who_has_his_record_is_linked_and_not_matched_again() -> None:
    world = a_mapped_world(person(1))

    world.links.save(
        [
            Link(
                ConnectionId("contoso"),
                UserId(person(1).id),
                LinkState.ACTIVE,
                record_id=RecordId(5),
            )
        ]
    )

    counts = world.call("GET", CHECK).body["counts"]

    assert (counts["linked"], counts["wouldMatch"], counts["wouldCreate"]) == (1, 0, 0)


def test_r9_of_two_people_with_one_record_one_matches_and_one_is_a_conflict() -> None:
    world = a_mapped_world(person(1), person(2))
    both = ("p1@contoso.example", "p2@contoso.example")
    emails = tuple(ContactEmail(one, 1, number == 0) for number, one in enumerate(both))
    contact = replace(a_contact(1, both[0]), emails=emails)
    world.bms.records = {contact.id: contact}

    counts = world.call("GET", CHECK).body["counts"]

    assert (counts["wouldMatch"], counts["wouldCreate"], counts["conflicts"]) == (1, 0, 1)


def test_while_others_read_bms_lists_the_check_is_still_running_and_begins_anew() -> None:
    world = a_mapped_world(person(1))
    world.index.reading = True

    first = world.call("GET", CHECK)

    assert (first.status, first.body["state"]) == (202, "running")
    world.index.reading = False
    again = world.call("GET", CHECK)
    assert (again.status, again.body["state"]) == (200, "ready")


def test_r9_of_two_people_with_one_employee_one_matches_and_one_is_a_conflict() -> None:
    shared = "desk@contoso.example"
    people = [person(1, proxy_addresses=(f"smtp:{shared}",)), person(2, mail=shared)]
    world = a_mapped_world(*people)
    world.rules.put(a_rule(record_type=RecordType.EMPLOYEE, account_id=None))
    desk = Employee(RecordId(9), "D", "D", shared, "desk", "", True)
    world.bms.staff = {desk.id: desk}

    counts = world.call("GET", CHECK).body["counts"]

    assert (counts["wouldMatch"], counts["conflicts"]) == (1, 1)
