"""What the link remembers after an undo, and who is kept as if refused (R12, R13, R20)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.core.model import AccountId, EntraUser, HoldMark, LinkState, RecordType, SyncRun
from shared.errors import Rejected
from tests.builders import CONNECTION
from tests.sync.test_drift import found
from tests.sync.test_undo import reasons, settled, undo, undo_sync
from tests.sync.world import Died, World

pytestmark = pytest.mark.world


def test_after_an_undone_merge_an_empty_field_clears_nothing_that_was_typed_r13(
    world: World,
) -> None:
    world.bms.add_contact(
        world.contoso.id, "Ada", "Lind", ["ada@contoso.example"], job_title="Typed by hand"
    )
    ada = world.hire("ada", job_title="From Entra")
    world.sync(ada)
    undo(world, ada, "merge")
    assert found(world) == {}

    world.sync(world.change(ada, job_title=""))

    assert world.record(ada).job_title == "Typed by hand"


def test_after_an_undone_update_an_empty_field_clears_nothing_that_was_typed_r13(
    world: World,
) -> None:
    ada = world.hire("ada", job_title="A")
    world.sync(ada)
    world.bms.edit_contact(world.record(ada).id, job_title="By hand")
    ada = world.change(ada, job_title="B")
    world.sync(ada)
    undo(world, ada, "update")
    assert world.record(ada).job_title == "By hand"

    world.sync(world.change(ada, job_title=""))

    assert world.record(ada).job_title == "By hand"


def test_after_an_undone_update_an_empty_field_clears_what_the_app_wrote_r13(
    world: World,
) -> None:
    ada = world.hire("ada", job_title="A")
    world.sync(ada)
    ada = world.change(ada, job_title="B")
    world.sync(ada)
    undo(world, ada, "update")

    world.sync(world.change(ada, job_title=""))

    assert not world.record(ada).job_title


def undo_by_one_who_dies(world: World, run: SyncRun, call: str, moment: str) -> SyncRun:
    """Order the undo of a sync; the first worker dies there, and another takes over."""
    ordered = world.worker.undo.sync(run.id)
    (message,) = world.inbox.waiting
    world.inbox.waiting.remove(message)
    world.worker.handle(message.queue, message.text)
    (part,) = world.inbox.waiting
    dying = world.a_worker()
    claims = iter([True])  # the first save is the claim

    def die(done: str, at: str) -> None:
        if done == "links.save" == call and next(claims, False):
            return
        if (done, at) == (call, moment):
            raise Died

    dying.tap = die
    with pytest.raises(Died):
        dying.handle(part.queue, part.text)
    world.deliver()
    assert ordered.run is not None
    return ordered.run


def listed_as_kept(world: World, user: EntraUser) -> int:
    """How many lists show this person as kept."""
    holds = world.worker.holds.list(connection_id=CONNECTION)
    rows = [one for hold in holds for one in world.worker.holds.people(hold, [user.id])]
    return len([one for one in rows if one.state == "refused"])


DEATHS = [
    ("bms.patch_contact", "after"),
    ("outcomes.put", "after"),
    ("links.save", "before"),
    ("links.save", "after"),
    ("log.mark_undone", "before"),
    ("log.mark_undone", "after"),
]


@pytest.mark.parametrize(("call", "moment"), DEATHS)
def test_a_worker_that_dies_leaves_nobody_kept_without_a_list_r20_r22(
    world: World, call: str, moment: str
) -> None:
    ada = world.hire("ada")
    world.full_sync()
    world.leave(ada)
    run = world.full_sync()

    undone = undo_by_one_who_dies(world, run, call, moment)

    report = world.worker.undo.report(undone.id, limit=10, cursor=None)
    link = world.link(ada)
    assert link is not None
    assert [one.undone for one in report.outcomes] == [True]
    assert (world.record(ada).is_active, link.hold) == (True, HoldMark.REFUSED)
    assert listed_as_kept(world, ada) == 1
    (line,) = [one for one in world.activity(ada) if one.kind == "deactivate"]
    assert line.undone_by == undone.id
    assert settled(world) == 0


@pytest.mark.parametrize(("call", "moment"), DEATHS)
def test_a_worker_that_dies_while_a_move_goes_back_is_followed_by_one_that_ends_it_r17_r22(
    world: World, call: str, moment: str
) -> None:
    sales = world.a_rule("sales", order=0, account_id=AccountId(world.fabrikam.id))
    world.set_rules(world.rule, sales)
    ada = world.hire("ada")
    world.full_sync()
    old = world.record(ada).id
    world.join(ada, "sales")
    run = world.full_sync()
    new = world.record(ada).id

    undone = undo_by_one_who_dies(world, run, call, moment)

    report = world.worker.undo.report(undone.id, limit=10, cursor=None)
    owners = world.worker.owners.get_many(RecordType.CONTACT, [old, new])  # type: ignore[list-item]
    link = world.link(ada)
    assert link is not None
    assert [one.undone for one in report.outcomes] == [True]
    assert (world.record(ada).id, link.hold, set(owners)) == (old, HoldMark.REFUSED, {old})
    assert listed_as_kept(world, ada) == 1
    (line,) = [one for one in world.activity(ada) if one.kind == "move"]
    assert line.undone_by == undone.id
    assert settled(world) == 0


def test_single_undos_of_a_day_are_listed_together_r20(world: World) -> None:
    people = [world.hire(f"u{number}") for number in range(3)]
    world.sync(*people)
    for user in people:
        world.leave(user)
    world.sync(*people)

    for user in people:
        undo(world, user, "deactivate")

    (hold,) = world.worker.holds.list(connection_id=CONNECTION)
    assert {one.user_id for one in world.worker.holds.people(hold)} == {one.id for one in people}


def test_a_value_that_was_decided_again_since_stays_even_if_it_is_the_same(world: World) -> None:
    ada = world.hire("ada", job_title="X")
    world.sync(ada)
    for title in ("Y", "X", "Y"):
        world.clock.pass_(timedelta(seconds=2))
        ada = world.change(ada, job_title=title)
        world.sync(ada)
    world.clock.pass_(timedelta(seconds=2))
    first, second, third = [one for one in world.activity(ada) if one.kind == "update"]

    report = world.worker.undo.activity(first.id)

    assert world.record(ada).job_title == "Y"
    assert reasons(report) == ["job title: decided again since"]

    for line in (third, second, first):
        report = world.worker.undo.activity(line.id)
        assert reasons(report) == []
    assert world.record(ada).job_title == "X", "the later ones were taken back before"


def test_a_move_that_was_decided_again_since_stays_even_if_it_is_the_same_r17(
    world: World,
) -> None:
    sales = world.a_rule("sales", order=0, account_id=AccountId(world.fabrikam.id))
    world.set_rules(world.rule, sales)
    ada = world.hire("ada")
    world.sync(ada)
    for move in (world.join, world.leave, world.join):
        world.clock.pass_(timedelta(seconds=2))
        move(ada, "sales")
        world.sync(ada)
    world.clock.pass_(timedelta(seconds=2))
    first = next(one for one in world.activity(ada) if one.kind == "move")
    writes = world.bms_writes()

    report = world.worker.undo.activity(first.id)

    assert reasons(report) == ["decided again since"]
    assert world.bms_writes() == writes


def test_who_is_inactive_by_an_undo_is_no_leaver_and_not_in_the_limits_base_r20(
    world: World,
) -> None:
    people = [world.hire(f"u{number}") for number in range(12)]
    run = world.full_sync()
    undo_sync(world, run.id)
    assert world.worker.links.count_active(CONNECTION) == 0
    for user in people[:8]:
        world.leave(user)
    writes = world.bms_writes()

    world.full_sync()

    assert world.worker.holds.list() == []
    assert world.bms_writes() == writes
    link = world.link(people[0])
    assert link is not None
    assert link.state is LinkState.INACTIVE

    world.join(people[0])
    world.full_sync()

    assert world.record(people[0]).is_active, "back in scope (R19)"


def test_an_address_that_bms_does_not_let_go_is_not_told_as_removed(world: World) -> None:
    world.bms.add_contact(
        world.contoso.id, "Ada", "Lind", ["old@contoso.example", "alias@contoso.example"]
    )
    ada = world.hire("ada", proxy_addresses=("smtp:alias@contoso.example",))
    world.sync(ada)
    calls: list[str] = []

    def refuse(call: str, at: str) -> None:
        if (call, at) == ("bms.change_emails", "before"):
            calls.append(call)
            if len(calls) == 2:  # the first makes the old one the default
                raise Rejected("BMS refused it.", "")

    world.worker.tap = refuse

    undo(world, ada, "merge")

    line = world.activity(ada)[-1]
    assert line.trace is not None
    assert line.trace.removed == ()
    assert any("it stays" in note for note in line.notes)
    entries = world.worker.index.get_many(["ada@contoso.example"])
    known = [one.record_id for entry in entries.values() for one in entry.known]
    assert known == [world.record(ada).id]
