"""What was edited by hand in BMS, and what the next sync will do (R8, R12), in real tables."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.core.messages import SweepOrder
from shared.core.model import AccountId, EntraUser
from shared.errors import Limited
from shared.sync.drift import DriftPage
from tests.builders import CONNECTION
from tests.sync.world import SWEEPS, World

pytestmark = pytest.mark.world


def listed(world: World, *, fresh: bool = True, text: str = "", limit: int = 100) -> DriftPage:
    return world.worker.drift.page(CONNECTION, text=text, limit=limit, start=None, fresh=fresh)


def found(world: World) -> dict[str, dict[str, tuple[str, str]]]:
    """User → field → (written, in BMS)."""
    return {
        item.user_id: {one.field: (one.written, one.in_bms) for one in item.fields}
        for item in listed(world).items
    }


def people(world: World, count: int) -> list[EntraUser]:
    many = [
        world.hire(f"u{number:02d}", job_title="Clerk", business_phone="1", mobile_phone="7")
        for number in range(count)
    ]
    world.sync(*many)
    return many


def test_nothing_is_listed_after_a_sync(world: World) -> None:
    people(world, 5)

    page = listed(world)

    assert (page.items, page.state) == ([], "ready")
    assert page.read_at is not None


def test_every_edited_field_is_listed_phones_and_emails_too(world: World) -> None:
    one, two, three, four, _ = people(world, 5)
    world.bms.edit_contact(world.record(one).id, job_title="Boss", last_name="Wu")
    world.bms.edit_contact(
        world.record(two).id, emails=["other@contoso.example", "u01@contoso.example"]
    )
    world.bms.edit_contact(world.record(three).id, phones=[])
    world.bms.edit_contact(world.record(four).id, is_active=False)

    edited = found(world)

    assert edited == {
        one.id: {"JobTitle": ("Clerk", "Boss"), "LastName": ("Lind", "Wu")},
        two.id: {"Email": ("u01@contoso.example", "other@contoso.example")},
        three.id: {"WorkPhone": ("1", ""), "MobilePhone": ("7", "")},
        four.id: {"IsActive": ("yes", "no")},
    }


def test_the_item_tells_who_edited_and_what_the_next_sync_does_r12(world: World) -> None:
    (ada,) = people(world, 1)
    world.bms.edit_contact(world.record(ada).id, job_title="Boss")

    (item,) = listed(world).items

    assert (item.display_name, item.account_name, item.is_active) == ("U00 Lind", "Contoso", True)
    assert item.edited_by not in (None, "")
    assert item.edited_at is not None
    assert "until the person changes in Entra" in item.fields[0].next

    world.sync(world.change(ada, surname="Wu"))

    assert world.record(ada).job_title == "Clerk", "as the sentence said"
    assert listed(world).items == []


def test_what_the_app_wrote_itself_names_no_editor(world: World) -> None:
    (ada,) = people(world, 1)
    world.bms.edit_contact(world.record(ada).id, job_title="Boss")
    world.worker.bms.patch_contact(world.link(ada).record_id, {"LastName": "Lind"})  # type: ignore[union-attr, arg-type]

    (item,) = listed(world).items

    assert (item.edited_by, item.edited_at) == (None, None)


def test_records_gone_moved_and_reactivated_by_hand_are_listed_r8(world: World) -> None:
    gone, left, *_ = people(world, 4)
    world.bms.remove_contact(world.record(gone).id)
    world.leave(left)
    world.sync(left)
    world.bms.edit_contact(world.record(left).id, is_active=True)

    assert found(world) == {
        gone.id: {"Record": ("there", "gone")},
        left.id: {"IsActive": ("no", "yes")},
    }
    assert {item.is_active for item in listed(world).items} == {True, False}


def test_an_undo_counts_as_written(world: World) -> None:
    (ada,) = people(world, 1)
    world.sync(world.change(ada, job_title="Chief"))
    line = world.activity(ada)[-1]
    world.worker.undo.activity(line.id)
    assert listed(world).items == []

    created = world.activity(ada)[0]
    world.worker.undo.activity(created.id)

    assert not world.record(ada).is_active
    assert listed(world).items == []


def test_it_is_read_from_lists_again_only_after_minutes_or_when_asked(world: World) -> None:
    many = people(world, 30)
    listed(world)
    world.bms.edit_contact(world.record(many[0]).id, job_title="Boss")
    calls = len(world.bms.log())

    assert listed(world, fresh=False).items == []
    assert len(world.bms.log()) == calls
    world.clock.pass_(timedelta(minutes=11))
    page = listed(world, fresh=False)

    assert [item.user_id for item in page.items] == [many[0].id]


def test_thirty_records_cost_no_single_reads_r25(world: World) -> None:
    people(world, 30)
    number = len(world.bms.log())

    listed(world)

    asked = [line["endpoint"] for line in world.bms.log()[number:]]
    assert not [endpoint for endpoint in asked if "/summary/{" in endpoint]
    assert len(asked) <= 10


def test_it_pages_and_searches(world: World) -> None:
    many = people(world, 5)
    for user in many:
        world.bms.edit_contact(world.record(user).id, job_title="Boss")
    first = listed(world, limit=3)
    assert first.connection_id == CONNECTION

    second = world.worker.drift.page(
        CONNECTION, text="", limit=3, start=(first.connection_id, first.cursor), fresh=False
    )

    assert sorted(item.user_id for item in first.items + second.items) == sorted(
        user.id for user in many
    )
    assert second.connection_id == ""
    assert [item.user_id for item in listed(world, fresh=False, text="u03").items] == [many[3].id]


def test_a_large_connection_is_compared_by_the_queue(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.sync.drift._MOST_AT_ONCE", 3)
    many = people(world, 5)
    world.bms.edit_contact(world.record(many[0]).id, job_title="Boss")

    page = listed(world)

    assert (page.state, page.items) == ("reading", [])
    assert any("just now" in note for note in page.notes)
    assert world.inbox.backlog() == {SWEEPS: 1}
    world.deliver()
    page = listed(world, fresh=False)
    assert (page.state, len(page.items)) == ("ready", 1)


def test_what_was_read_before_the_limit_counts_and_the_next_goes_on_behind_it_r25(
    world: World,
) -> None:
    other = world.a_rule("other", account_id=AccountId(world.fabrikam.id))
    world.set_rules(world.rule, other)
    one = people(world, 4)[0]
    far = [world.hire(f"f{number}", "other") for number in range(4)]
    world.sync(*far)
    for user in (one, far[0]):
        world.bms.edit_contact(world.record(user).id, last_name="Wu")
    lists: list[str] = []

    def limited(call: str, at: str) -> None:
        if (call, at) == ("bms.contacts", "before"):
            lists.append(call)
            if len(lists) > 1:
                raise Limited("BMS's hourly limit is spent.", timedelta(minutes=30))

    world.worker.tap = limited
    world.worker.read_drift.carry_out(SweepOrder(CONNECTION, "drift"))

    page = listed(world, fresh=False)
    first = {item.user_id for item in page.items}
    assert len(first) == 1
    assert any("no room for 4 records" in note for note in page.notes)
    assert world.inbox.backlog() == {}, "not tried again by itself"

    lists.clear()
    page = listed(world)

    assert {item.user_id for item in page.items} == {one.id, far[0].id}

    world.worker.tap = lambda call, at: None
    assert not any("no room" in note for note in listed(world).notes)


def test_a_limit_that_leaves_room_for_nothing_is_not_waited_for_for_ever_r25(
    world: World,
) -> None:
    people(world, 4)

    def limited(call: str, at: str) -> None:
        if call.startswith("bms."):
            raise Limited("BMS's hourly limit is spent.", timedelta(minutes=30))

    world.worker.tap = limited

    world.worker.read_drift.carry_out(SweepOrder(CONNECTION, "drift"))

    assert world.inbox.backlog() == {}
    assert world.worker.drift_store.reading(CONNECTION).reading_until is None


def test_an_accounts_list_is_left_when_single_reads_are_cheaper_r25(world: World) -> None:
    for number in range(450):
        world.bms.add_contact(world.contoso.id, "Not", "Ours", [f"x{number}@contoso.example"])
    many = people(world, 3)
    world.bms.edit_contact(world.record(many[2]).id, job_title="Boss")
    number = len(world.bms.log())

    page = listed(world)

    asked = [line["endpoint"] for line in world.bms.log()[number:]]
    assert [item.user_id for item in page.items] == [many[2].id]
    assert len(asked) <= 3 + 3 + 5


def test_a_large_connection_is_compared_again_only_after_hours_or_when_asked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    people(world, 5)
    listed(world)
    monkeypatch.setattr("shared.sync.drift._MOST_AT_ONCE", 3)
    world.clock.pass_(timedelta(hours=1))

    assert listed(world, fresh=False).state == "ready"
    assert world.inbox.backlog() == {}
    world.clock.pass_(timedelta(hours=6))
    assert listed(world, fresh=False).state == "reading"


def test_a_comparison_leaves_nothing_of_a_connection_that_was_deleted_meanwhile(
    world: World,
) -> None:
    many = people(world, 4)
    for user in many:
        world.bms.edit_contact(world.record(user).id, job_title="Boss")

    def delete(call: str, at: str) -> None:
        if (call, at) == ("bms.accounts", "after"):
            world.worker.connections.delete(CONNECTION)

    world.worker.tap = delete
    world.worker.read_drift.carry_out(SweepOrder(CONNECTION, "drift"))

    found, _ = world.worker.drift_store.list(CONNECTION, text="", limit=10, cursor=None)
    assert found == []
    assert world.worker.drift_store.reading(CONNECTION).read_at is None
