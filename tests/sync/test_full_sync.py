"""Everybody is compared, and only who differs costs anything (R5, R14, R20, R23)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.core import trouble_texts
from shared.core.model import AccountId, EntraUser, GroupId, HoldLimit, LinkState
from shared.errors import TryLater
from shared.ports import BULK
from tests.builders import CONNECTION, a_connection, a_group_id
from tests.sync.world import World

pytestmark = pytest.mark.world


def test_the_first_full_sync_makes_everybody_in_scope_r1(world: World) -> None:
    world.set_rules(world.rule, world.a_rule("sales", order=2, include_guests=True))
    people = [world.hire(f"u{number:02d}") for number in range(30)]
    guest = world.hire("guest", "sales", guest=True)
    world.hire("refused", guest=True)
    world.hire("nameless", given_name="", surname="", display_name="")

    run = world.full_sync()

    assert (run.state, run.failed) == ("done", 0)
    assert run.seen == run.done == 33
    assert len(world.bms.contacts()) == 31
    assert world.record(guest).first_name == "Guest"
    assert world.record(people[0]).is_active


def test_a_second_full_sync_sends_nothing_to_bms_r14(world: World) -> None:
    world.hire("refused", guest=True)
    world.hire("nameless", given_name="", surname="", display_name="")
    for number in range(30):
        world.hire(f"u{number:02d}", job_title="Clerk", business_phone=str(number))
    world.full_sync()
    world.bms.clear_counters()
    before = len(world.activity())

    run = world.full_sync()

    assert world.bms.counters().total == 0
    assert (run.state, run.seen, run.done) == ("done", 32, 32)
    assert len(world.activity()) == before


def test_what_changed_unnoticed_is_found_r23(world: World) -> None:
    ada, ben, cleo = (world.hire(name) for name in ("ada", "ben", "cleo"))
    world.full_sync()
    world.change(ada, surname="Berg")
    world.leave(ben)
    dora = world.hire("dora")

    run = world.full_sync()

    assert run.state == "done"
    assert world.record(ada).last_name == "Berg"
    assert not world.record(ben).is_active
    assert world.record(dora).is_active
    assert world.kinds(cleo) == ["create"]


def test_who_was_deleted_in_entra_is_found_by_his_absence_r23(world: World) -> None:
    ada = world.hire("ada")
    world.full_sync()
    world.leave(ada)
    world.directory.users.pop(ada.id)

    world.full_sync()

    assert not world.record(ada).is_active


def test_a_page_that_is_missing_half_way_counts_nobody_as_gone_r20(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [world.hire(f"u{number}") for number in range(4)]
    world.full_sync()
    real = world.directory.members
    failures = [1]

    def half(group: GroupId, *, nested: bool) -> Iterator[list[EntraUser]]:
        for page in real(group, nested=nested):
            if failures:
                failures.pop()
                yield page[:1]
                raise TryLater("Graph broke off.")
            yield page

    monkeypatch.setattr(world.directory, "members", half)

    run = world.full_sync()

    assert run.state == "done", "read again from the beginning"
    assert len(world.bms.contacts(is_active=True)) == len(people)
    assert world.troubles() == []


def test_a_group_that_is_gone_holds_its_people_and_the_rest_goes_on_r20(world: World) -> None:
    world.set_rules(world.rule, world.a_rule("sales", order=2))
    people = [world.hire(f"u{number}") for number in range(8)]
    seller = world.hire("seller", "sales")
    world.full_sync()
    world.directory.held_groups.pop(a_group_id("staff"))
    world.directory.inside.pop(a_group_id("staff"))
    new = world.hire("new", "sales")

    world.full_sync()

    assert world.troubles() == [trouble_texts.GROUPS]
    assert all(world.record(user).is_active for user in (*people, seller, new))
    (rule,) = (rule for rule in world.worker.rules.edited(CONNECTION) if rule.order == 1)
    assert rule.group_state == "gone"


def test_leavers_are_counted_together_before_the_first_is_written_r20(world: World) -> None:
    people = [world.hire(f"u{number}") for number in range(8)]
    world.full_sync()
    for user in people:
        world.leave(user)

    world.full_sync()

    assert len(world.bms.contacts(is_active=True)) == 8
    assert world.troubles() == [trouble_texts.LEAVERS]


def test_movers_of_a_rule_change_are_counted_together_too_r17_r20(world: World) -> None:
    for number in range(110):
        world.hire(f"u{number:03d}")
    world.full_sync()
    world.worker.rules.put(replace(world.rule, account_id=AccountId(world.fabrikam.id)))

    world.full_sync("rules")

    assert {one.account_id for one in world.bms.contacts(is_active=True)} == {world.contoso.id}
    assert world.troubles() == [trouble_texts.LEAVERS]


def test_who_waits_in_a_hold_waits_for_a_person_even_with_a_higher_limit_r20(world: World) -> None:
    people = [world.hire(f"u{number}") for number in range(8)]
    world.full_sync()
    for user in people:
        world.leave(user)
    world.full_sync()
    limit = HoldLimit(count=100, percent=100, at_most=100)
    world.worker.connections.update(CONNECTION, lambda now: replace(now, hold_limit=limit))

    world.full_sync()
    world.full_sync()

    assert len(world.bms.contacts(is_active=True)) == 8
    assert world.troubles() == [trouble_texts.LEAVERS]

    (hold,) = world.worker.holds.list()
    world.worker.holding.approve(hold.id, None)
    world.deliver()

    assert world.bms.contacts(is_active=True) == []
    assert world.troubles() == []


def test_edited_rules_become_live_with_the_sync_r5(world: World) -> None:
    world.a_rule("sales")
    seller = world.hire("seller", "sales")
    world.worker.rules.put(world.a_rule("sales", order=2))
    world.sync(seller)
    assert world.link(seller) is None, "not live yet"

    world.full_sync("rules")

    assert world.record(seller).is_active


def test_a_removed_rule_takes_its_people_out_r5(world: World) -> None:
    sales = world.a_rule("sales", order=2)
    world.set_rules(world.rule, sales)
    ada, seller = world.hire("ada"), world.hire("seller", "sales")
    world.full_sync()
    world.worker.rules.remove(sales)

    world.full_sync("rules")

    assert world.record(ada).is_active
    assert not world.record(seller).is_active


def test_what_happened_between_reading_and_writing_is_decided_from_now_r22(world: World) -> None:
    ada, ben = world.hire("ada"), world.hire("ben")
    world.full_sync()
    world.change(ada, surname="Berg")
    world.leave(ben)
    moved = [0]

    def meanwhile() -> None:
        moved[0] += 1
        world.directory.before_look = None

    world.directory.before_look = meanwhile
    real_send = world.inbox.send

    def queued(queue: str, text: str, delay: timedelta | None = None) -> None:
        if queue != "sweeps":
            world.change(ada, surname="Newer")
            world.join(ben)
        real_send(queue, text, delay)

    world.inbox.send = queued  # type: ignore[method-assign]

    world.full_sync()

    assert world.record(ada).last_name == "Newer"
    assert world.record(ben).is_active, "nobody leaves on the word of a list alone"


def test_a_connection_that_is_paused_fails_its_run_with_a_sentence_r30(world: World) -> None:
    world.hire("ada")
    world.worker.connections.update(CONNECTION, lambda _: a_connection(paused=True))

    run = world.full_sync()

    assert (run.state, run.done) == ("failed", 0)
    assert "paused" in run.reason
    assert world.bms.counters().total == 0


def test_bulk_work_reads_the_lists_once_and_never_searches_one_by_one_r6(world: World) -> None:
    world.bms.generate(250, account_ids=[world.contoso.id], email="u{n}@contoso.example")
    for number in range(1, 60):
        world.hire(f"u{number}")

    world.full_sync()

    counted = world.bms.counters()
    assert counted.calls["GET /v2/crm/contacts/summary"] <= 3 + 1
    assert "POST /v2/crm/contacts/summary" not in counted.calls, "everybody was merged"
    assert {kind.kind for kind in world.activity()} == {"merge"}


def test_a_full_sync_that_arrives_twice_ends_the_same_r22(world: World) -> None:
    ada = world.hire("ada")
    run = world.full_sync()
    world.notice(ada, queue=BULK, sync=run.id, part="former-00001")
    world.deliver()

    again = world.worker.runs.get(run.id)

    assert again == run
    assert world.kinds(ada) == ["create"]
    link = world.link(ada)
    assert link is not None
    assert link.state is LinkState.ACTIVE


def test_people_of_a_group_that_is_still_gone_after_an_hour_wait_for_a_person_r20(
    world: World,
) -> None:
    ada = world.hire("ada")
    world.full_sync()
    group = world.directory.held_groups.pop(a_group_id("staff"))
    world.directory.inside[a_group_id("staff")].clear()

    world.full_sync()
    assert world.worker.holds.list() == [], "the first 404 may be a slip of Entra's replicas"
    world.clock.pass_(timedelta(minutes=61))
    world.full_sync()

    (hold,) = world.worker.holds.list(state="open")
    assert [one.user_id for one in world.worker.holds.people(hold)] == [ada.id]
    assert world.record(ada).is_active

    world.directory.held_groups[a_group_id("staff")] = group
    world.join(ada)
    world.full_sync()

    assert world.worker.holds.list(state="open") == []
    assert world.record(ada).is_active


def test_what_a_person_approves_of_a_group_that_is_gone_is_deactivated_r20(world: World) -> None:
    ada = world.hire("ada")
    world.full_sync()
    world.directory.held_groups.clear()
    world.leave(ada)
    world.full_sync()
    world.clock.pass_(timedelta(minutes=61))
    world.full_sync()
    (hold,) = world.worker.holds.list(state="open")

    world.worker.holding.approve(hold.id, None)
    world.deliver()

    assert not world.record(ada).is_active
