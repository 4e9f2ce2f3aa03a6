"""Explain one person: every kind of person, from the real stores and the real BMS stand-in."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.core.model import AccountId, HoldMark, LocationId
from shared.errors import BadInput, PersonMustAct, TryLater
from tests.builders import CONNECTION, a_group, a_group_id, a_user_id
from tests.sync.explaining import explain_of, explained, fields
from tests.sync.leaving import gone, staff
from tests.sync.world import World

pytestmark = pytest.mark.world


def nest(world: World, outer: str, inner: str) -> None:
    """`inner` becomes a member of `outer`."""
    world.directory.held_groups.setdefault(a_group_id(inner), a_group(inner))
    world.directory.inside.setdefault(a_group_id(inner), set())
    world.directory.inside.setdefault(a_group_id(outer), set()).add(a_group_id(inner))


def test_somebody_who_is_up_to_date_is_explained_with_record_rule_and_fields(world: World) -> None:
    ada = world.hire("ada", job_title="Clerk")
    world.sync(ada)

    said = explained(world, ada.id)

    assert said["inEntra"] == "present"
    assert said["summary"].startswith("Ada Lind is contact ")
    assert "Contoso" in said["summary"]
    assert said["record"]["accountName"] == "Contoso"
    assert [(one["verdict"], one["reason"]) for one in said["rules"]] == [
        ("won", "member of staff")
    ]
    assert said["match"]["how"] == "created"
    assert (said["next"]["kind"], said["next"]["changes"]) == ("nothing", [])
    assert said["last"]["kind"] == "create"
    title = fields(said)["JobTitle"]
    assert (title["entra"], title["target"], title["source"], title["inBms"]) == (
        "Clerk",
        "Clerk",
        "entra",
        "Clerk",
    )
    assert said["waiting"] == []


def test_r1_the_nesting_path_leads_from_the_rules_group_to_his_own(world: World) -> None:
    nest(world, "staff", "desk")
    nest(world, "desk", "front")
    world.directory.inside[a_group_id("front")] = set()
    ada = world.hire("ada", "front")

    [group] = explained(world, ada.id)["groups"]

    assert group["path"] == ["staff", "desk", "front"]
    assert group["nested"] is True


def test_r2_each_rule_that_lost_says_why(world: World) -> None:
    first = world.a_rule("staff", order=1)
    later = world.a_rule("sales", order=2)
    flat = world.a_rule("flat", order=3, include_nested=False)
    off = world.a_rule("off", order=0, enabled=False)
    world.set_rules(first, later, flat, off)
    nest(world, "flat", "staff")
    ada = world.hire("ada", "staff", "sales")

    said = explained(world, ada.id)

    assert [(one["groupName"], one["verdict"]) for one in said["rules"]] == [
        ("off", "no-match"),
        ("staff", "won"),
        ("sales", "lost"),
        ("flat", "no-match"),
    ]
    reasons = {one["groupName"]: one["reason"] for one in said["rules"]}
    assert "Order 1 comes first" in reasons["sales"]
    assert "nested group only" in reasons["flat"]
    assert "switched off" in reasons["off"]


def test_a_person_in_no_mapped_group_hears_which_groups_are_mapped(world: World) -> None:
    world.directory.held_groups[a_group_id("golf")] = a_group("golf")
    world.directory.inside[a_group_id("golf")] = set()
    bob = world.hire("bob", "golf")

    said = explained(world, bob.id)

    assert "none of the mapped groups (staff)" in said["summary"]
    assert said["next"]["kind"] == "nothing"
    assert said["link"] is None
    assert said["match"]["how"] == "none"


def test_r4_a_guest_and_a_blocked_user_say_why_no_rule_takes_them(world: World) -> None:
    guest = world.hire("gus", guest=True)
    blocked = world.hire("bea", enabled=False)
    world.sync(guest, blocked)

    assert "is a guest" in explained(world, guest.id)["summary"]
    said = explained(world, blocked.id)
    assert "sign-in is blocked" in said["summary"]
    assert said["link"]["state"] == "skipped"


def test_r6_somebody_new_shows_the_record_that_would_be_taken_over(world: World) -> None:
    record = world.bms.add_contact(world.contoso.id, "Ada", "Lind", ["ada@contoso.example"])
    ada = world.hire("ada")

    said = explained(world, ada.id)

    assert said["match"]["how"] == "candidate"
    assert [one["recordId"] for one in said["match"]["candidates"]] == [record.id]
    assert said["next"]["kind"] == "merge"


def test_r9_a_conflict_lists_the_records_and_where_to_choose(world: World) -> None:
    two = [
        world.bms.add_contact(world.contoso.id, "Ada", "Lind", ["ada@contoso.example"])
        for _ in range(2)
    ]
    ada = world.hire("ada")
    before = explained(world, ada.id)
    world.sync(ada)
    after = explained(world, ada.id)

    for said in (before, after):
        assert said["match"]["how"] == "conflict"
        assert {one["recordId"] for one in said["match"]["candidates"]} == {one.id for one in two}
        assert said["next"]["kind"] == "conflict"
    assert before["waiting"] == []
    assert [one["kind"] for one in after["waiting"]] == ["conflict"]
    assert after["waiting"][0]["id"] == f"{CONNECTION}.{ada.id}"


def test_r12_a_local_edit_is_named_and_the_next_change_shows_what_it_will_overwrite(
    world: World,
) -> None:
    ada = world.hire("ada", job_title="Clerk")
    world.sync(ada)
    world.bms.edit_contact(world.record(ada).id, job_title="Queen")

    title = fields(explained(world, ada.id))["JobTitle"]
    assert (title["target"], title["inBms"]) == ("Clerk", "Queen")
    assert "was edited in BMS" in title["note"]

    world.change(ada, mobile_phone="+46 70 1")
    said = explained(world, ada.id)
    assert said["next"]["kind"] == "update"
    assert {(one["field"], one["new"]) for one in said["next"]["changes"]} == {
        ("job title", "Clerk"),
        ("mobile phone", "+46 70 1"),
    }
    assert world.record(ada).job_title == "Queen"


def test_r16_somebody_deleted_in_entra_is_explained_by_his_link(world: World) -> None:
    ada = world.hire("ada")
    world.sync(ada)
    del world.directory.users[ada.id]

    said = explained(world, ada.upn)

    assert (said["inEntra"], said["user"]) == ("deleted", None)
    assert said["next"]["kind"] == "deactivate"
    assert "no such user any more" in said["summary"]
    assert said["next"]["changes"] == [{"field": "active", "old": "yes", "new": "no"}]


def test_r17_a_move_to_another_account_is_told_with_all_it_does(world: World) -> None:
    other = world.a_rule("fabrikam", order=0, account_id=AccountId(world.fabrikam.id))
    world.set_rules(world.rule, other)
    ada = world.hire("ada")
    world.sync(ada)
    world.join(ada, "fabrikam")

    said = explained(world, ada.id)

    assert said["next"]["kind"] == "move"
    assert world.record(ada).is_active


def test_r20_who_waits_in_a_hold_says_so_and_asking_counts_nobody(world: World) -> None:
    people = staff(world, 8)
    gone(world, people)
    assert explained(world, people[0].id)["next"]["kind"] == "deactivate"
    world.sync(*people)

    said = explained(world, people[0].id)

    assert said["next"]["kind"] == "nothing"
    assert [one["kind"] for one in said["waiting"]] == ["hold"]
    assert said["waiting"][0]["id"] == f"{CONNECTION}-1"
    link = world.link(people[0])
    assert link is not None
    assert link.hold is HoldMark.WAITING


def test_while_the_connection_is_paused_the_memory_is_told_and_why(world: World) -> None:
    ada = world.hire("ada")
    world.sync(ada)
    world.worker.connections.update(CONNECTION, lambda now: replace(now, paused=True))

    said = explained(world, ada.id)

    assert said["inEntra"] == "unknown"
    assert "paused" in said["unknownBecause"]
    assert said["record"]["displayName"] == "Ada Lind"
    assert said["next"]["kind"] == "wait"
    assert said["rules"][0]["verdict"] == "won"
    assert fields(said)["FirstName"]["inBms"] == "Ada"


def test_r5_before_the_first_sync_the_edited_rules_count_and_next_says_so(world: World) -> None:
    world.worker.connections.update(CONNECTION, lambda now: replace(now, first_sync_at=None))
    world.worker.rules.make_live(CONNECTION, [])
    ada = world.hire("ada")

    said = explained(world, ada.id)

    assert said["next"]["kind"] == "create"
    assert said["next"]["sentence"].startswith("Once the first sync is asked for:")


def test_when_entra_cannot_be_read_the_memory_is_told_and_why(world: World) -> None:
    ada = world.hire("ada")
    world.sync(ada)
    world.directory.down = TryLater("Microsoft Graph answered with HTTP 503.")

    said = explained(world, ada.upn)

    assert said["inEntra"] == "unknown"
    assert "503" in said["unknownBecause"]
    assert said["link"]["recordId"] == said["record"]["recordId"]


def test_when_bms_cannot_be_reached_the_record_is_not_known_and_it_says_why(
    world: World,
) -> None:
    ada = world.hire("ada")
    world.sync(ada)
    world.change(ada, surname="Berg")
    sentence = "BMS refuses the sign-in."

    def down(call: str, when: str) -> None:
        if call in ("bms.contact", "bms.accounts") and when == "before":
            raise PersonMustAct(sentence, "Enter the password.", code="bms-signin")

    world.worker.tap = down
    explain = explain_of(world)
    said = explain.explain(CONNECTION, ada.id)
    world.worker.tap = None

    assert said.record is None
    assert said.record_unknown_because == sentence
    assert said.next.kind == "wait"
    assert "changed in Entra" in said.next.sentence
    assert sentence in said.next.sentence
    assert world.troubles() == []


@pytest.mark.parametrize("text", ["ada@contoso.example", "ADA.ALIAS@contoso.example", "Ada Lind"])
def test_a_person_is_found_by_upn_any_address_and_his_whole_name(world: World, text: str) -> None:
    ada = world.hire("ada", proxy_addresses=("smtp:ada.alias@contoso.example",))

    assert explained(world, text)["userId"] == ada.id


def test_a_name_that_several_have_is_refused_with_their_number(world: World) -> None:
    world.hire("ada", display_name="Kim Lee")
    world.hire("bob", display_name="Kim Lee")

    with pytest.raises(BadInput) as refusal:
        explain_of(world).explain(CONNECTION, "kim lee")

    assert refusal.value.status == 409
    assert "2 people" in str(refusal.value)


@pytest.mark.parametrize("text", ["nobody", str(a_user_id("nobody")), "nobody@contoso.example"])
def test_nobody_is_a_404_with_a_sentence(world: World, text: str) -> None:
    with pytest.raises(BadInput) as refusal:
        explain_of(world).explain(CONNECTION, text)

    assert refusal.value.status == 404


def test_r22_who_is_being_written_just_now_is_explained_all_the_same(world: World) -> None:
    ada = world.hire("ada")
    said: list[str] = []

    def while_writing(call: str, when: str) -> None:
        if call == "bms.create_contact" and when == "before":
            world.worker.tap = None
            said.append(explained(world, ada.id)["next"]["kind"])

    world.worker.tap = while_writing
    world.sync(ada)

    assert said == ["create"]
    assert len(world.contacts(ada.mail)) == 1


def test_a_rules_location_is_a_field_of_its_own_with_its_name(world: World) -> None:
    place = world.bms.add_location(world.contoso.id, "Warehouse")
    world.set_rules(world.a_rule("staff", location_id=LocationId(place)))
    ada = world.hire("ada")
    world.sync(ada)

    location = fields(explained(world, ada.id))["LocationId"]

    assert (location["target"], location["source"], location["inBms"]) == (
        "Warehouse",
        "rule",
        "Warehouse",
    )


def test_the_cost_of_a_linked_person_in_bms_is_his_record_and_the_accounts(world: World) -> None:
    ada = world.hire("ada", job_title="Clerk", business_phone="+46 8 1", mobile_phone="+46 70 1")
    world.sync(ada)
    explained(world, ada.id)
    world.clock.pass_(timedelta(minutes=5))  # what the process keeps has run out
    world.bms.clear_counters()

    explained(world, ada.id)

    assert world.bms.counters().total <= 2
