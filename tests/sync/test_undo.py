"""Undo of one decision and of a whole sync, in real tables and BMS (R8-R20, R22)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.core.model import AccountId, Claim, EntraUser, HoldMark, LinkState, RecordType
from shared.errors import BadInput
from shared.sync.undo_order import UndoReport
from tests.builders import CONNECTION, a_connection
from tests.sync.world import Died, World

pytestmark = pytest.mark.world


def undo(world: World, user: EntraUser, kind: str = "") -> UndoReport:
    """Take back the newest line of this person (of this kind)."""
    world.clock.pass_(timedelta(seconds=1))  # lines of one moment have no order
    lines = [line for line in world.activity(user) if kind in ("", line.kind)]
    return world.worker.undo.activity(lines[-1].id)


def undo_sync(world: World, sync_id: str) -> UndoReport:
    ordered = world.worker.undo.sync(sync_id)
    world.deliver()
    assert ordered.run is not None
    return world.worker.undo.report(ordered.run.id, limit=1000, cursor=None)


def reasons(report: UndoReport) -> list[str]:
    return [one.reason for one in report.outcomes if one.reason]


def settled(world: World) -> int:
    """How many writes a full sync of everybody makes now."""
    before = world.bms_writes()
    world.full_sync()
    return world.bms_writes() - before


def test_an_update_goes_back_and_no_sync_repeats_it_r12(world: World) -> None:
    ada = world.hire("ada", job_title="Controller", business_phone="1", mobile_phone="7")
    world.sync(ada)
    ada = world.change(ada, job_title="Chief", business_phone="2", mobile_phone="", surname="Wu")
    world.sync(ada)

    report = undo(world, ada, "update")

    contact = world.record(ada)
    assert (contact.job_title, contact.last_name) == ("Controller", "Lind")
    assert {(one.value, one.type_id) for one in contact.phones} == {("1", 21), ("7", 22)}
    (outcome,) = report.outcomes
    assert report.state == "done"
    assert outcome.undone
    assert {(one.field, one.old, one.new) for one in outcome.changes} == {
        ("job title", "Chief", "Controller"),
        ("last name", "Wu", "Lind"),
        ("work phone", "2", "1"),
        ("mobile phone", "", "7"),
    }
    line = world.activity(ada)[-1]
    assert (line.kind, line.origin, line.record_id) == ("undo", "person", contact.id)
    assert any(outcome.activity_id in note for note in line.notes)
    assert settled(world) == 0

    world.sync(world.change(ada, job_title="Chair"))

    assert (world.record(ada).job_title, world.record(ada).last_name) == ("Chair", "Wu")


def test_what_was_edited_since_stays_and_is_named(world: World) -> None:
    ada = world.hire("ada", job_title="Controller", mobile_phone="7")
    world.sync(ada)
    world.sync(world.change(ada, job_title="Chief", mobile_phone="8", surname="Wu"))
    world.bms.edit_contact(world.record(ada).id, job_title="Boss")

    report = undo(world, ada, "update")

    contact = world.record(ada)
    assert (contact.job_title, contact.last_name) == ("Boss", "Lind")
    assert [one.value for one in contact.phones] == ["7"]
    assert reasons(report) == ["job title: edited in BMS since"]
    assert report.outcomes[0].undone


def test_a_created_record_becomes_inactive_and_stays_so_until_a_change_in_entra_r12(
    world: World,
) -> None:
    ada = world.hire("ada")
    world.sync(ada)

    report = undo(world, ada, "create")

    assert not world.record(ada).is_active
    assert [(one.field, one.new) for one in report.outcomes[0].changes] == [("active", "no")]
    assert settled(world) == 0
    world.sync(ada)
    assert not world.record(ada).is_active

    world.sync(world.change(ada, job_title="Chief"))

    assert world.record(ada).is_active


def test_a_merged_record_gets_its_old_values_and_only_its_own_addresses(world: World) -> None:
    typed = world.bms.add_contact(
        world.contoso.id,
        "Adah",
        "Lindt",
        ["old@contoso.example", "alias@contoso.example"],
        is_active=False,
    )
    before = world.bms.get_contact(typed.id)
    ada = world.hire("ada", proxy_addresses=("smtp:alias@contoso.example",))
    world.sync(ada)
    assert world.record(ada).id == typed.id
    assert world.record(ada).default_email == "ada@contoso.example"

    report = undo(world, ada, "merge")

    after = world.record(ada)
    assert (after.first_name, after.last_name, after.is_active) == ("Adah", "Lindt", False)
    assert [(one.value, one.is_default) for one in after.emails] == [
        (one.value, one.is_default) for one in before.emails
    ]
    assert reasons(report) == []
    assert settled(world) == 0


def test_an_undo_can_be_undone(world: World) -> None:
    world.bms.add_contact(
        world.contoso.id, "Adah", "L", ["old@contoso.example", "alias@contoso.example"]
    )
    ada = world.hire("ada", proxy_addresses=("smtp:alias@contoso.example",))
    world.sync(ada)
    merged = world.record(ada)
    undo(world, ada, "merge")

    report = undo(world, ada, "undo")

    again = world.record(ada)
    assert reasons(report) == []
    assert (again.first_name, again.default_email) == (merged.first_name, merged.default_email)
    assert {one.value for one in again.emails} == {one.value for one in merged.emails}


def test_a_second_undo_says_that_it_was_undone_already(world: World) -> None:
    ada = world.hire("ada")
    world.sync(ada)
    line = world.activity(ada)[-1]
    world.worker.undo.activity(line.id)
    writes = world.bms_writes()

    report = world.worker.undo.activity(line.id)

    assert (report.state, report.run) == ("done", None)
    assert reasons(report) == ["it was undone already"]
    assert world.bms_writes() == writes


def test_a_leaver_comes_back_and_is_kept_as_if_refused_r20(world: World) -> None:
    ada = world.hire("ada")
    world.sync(ada)
    world.leave(ada)
    world.sync(ada)
    assert not world.record(ada).is_active

    undo(world, ada, "deactivate")

    link = world.link(ada)
    assert link is not None
    assert (world.record(ada).is_active, link.state, link.hold) == (
        True,
        LinkState.ACTIVE,
        HoldMark.REFUSED,
    )
    assert settled(world) == 0
    world.sync(ada)
    assert world.record(ada).is_active

    (hold,) = world.worker.holds.list(connection_id=CONNECTION)
    world.worker.holding.approve(hold.id, [ada.id])
    world.deliver()

    assert not world.record(ada).is_active, "a person decided again"


def test_a_leaver_whose_undo_is_undone_is_inactive_again(world: World) -> None:
    ada = world.hire("ada")
    world.sync(ada)
    world.leave(ada)
    world.sync(ada)
    undo(world, ada, "deactivate")

    undo(world, ada, "undo")

    link = world.link(ada)
    assert link is not None
    assert (world.record(ada).is_active, link.state) == (False, LinkState.INACTIVE)
    world.join(ada)
    world.sync(ada)
    assert world.record(ada).is_active


def test_a_kept_leaver_who_is_back_in_scope_is_synced_as_before(world: World) -> None:
    ada = world.hire("ada")
    world.sync(ada)
    world.leave(ada)
    world.sync(ada)
    undo(world, ada, "deactivate")
    world.join(ada)
    ada = world.change(ada, job_title="Chief")

    world.sync(ada)

    link = world.link(ada)
    assert link is not None
    assert (world.record(ada).job_title, link.hold) == ("Chief", HoldMark.NONE)


def test_who_came_back_is_inactive_again_until_he_changes_r12_r19(world: World) -> None:
    ada = world.hire("ada")
    world.sync(ada)
    world.leave(ada)
    world.sync(ada)
    world.join(ada)
    world.sync(ada)

    undo(world, ada, "reactivate")

    assert not world.record(ada).is_active
    assert settled(world) == 0


def test_a_moved_person_goes_back_and_the_link_follows_r17(world: World) -> None:
    sales = world.a_rule("sales", order=0, account_id=AccountId(world.fabrikam.id))
    world.set_rules(world.rule, sales)
    ada = world.hire("ada")
    world.sync(ada)
    old = world.record(ada).id
    world.join(ada, "sales")
    world.sync(ada)
    new = world.record(ada).id
    assert new != old

    report = undo(world, ada, "move")

    assert reasons(report) == []
    assert world.record(ada).id == old
    assert world.bms.get_contact(old).is_active
    assert not world.bms.get_contact(new).is_active
    owners = world.worker.owners.get_many(RecordType.CONTACT, [world.record(ada).id, new])  # type: ignore[list-item]
    assert set(owners) == {old}
    assert settled(world) == 0
    world.sync(ada)
    assert world.record(ada).id == old

    undo(world, ada, "undo")

    assert world.record(ada).id == new
    assert world.bms.get_contact(new).is_active
    assert not world.bms.get_contact(old).is_active
    assert settled(world) == 0


def test_a_record_that_has_passed_to_another_user_is_not_taken_back_r9(world: World) -> None:
    ada = world.hire("ada")
    world.sync(ada)
    world.leave(ada)
    world.sync(ada)
    rehired = world.hire("ada2", mail="ada@contoso.example", given_name="Ada")
    world.sync(rehired)
    assert world.record(rehired).id == world.record(ada).id
    writes = world.bms_writes()

    report = undo(world, ada, "deactivate")

    assert [one.undone for one in report.outcomes] == [False]
    assert world.bms_writes() == writes


def test_a_record_gone_in_bms_and_a_line_that_wrote_nothing_are_named(world: World) -> None:
    ada, ben = world.hire("ada"), world.hire("ben", mail="", upn="")
    world.sync(ada, ben)
    world.bms.remove_contact(world.record(ada).id)

    assert reasons(undo(world, ada)) == ["the record is gone in BMS"]
    assert reasons(undo(world, ben)) == ["this decision wrote nothing to BMS"]


def test_a_whole_sync_of_200_goes_back_and_the_next_writes_nothing(world: World) -> None:
    people = [world.hire(f"u{number:03d}", job_title="Old") for number in range(200)]
    world.full_sync()
    people = [world.change(user, job_title="New") for user in people]
    newcomers = [world.hire(f"n{number}") for number in range(3)]
    run = world.full_sync()
    edited = people[:4]
    for user in edited:
        world.bms.edit_contact(world.record(user).id, job_title="By hand")
    ordered = world.worker.undo.sync(run.id)
    assert ordered.state == "running"
    world.deliver()
    assert ordered.run is not None

    report = world.worker.undo.report(ordered.run.id, limit=1000, cursor=None)
    finished = world.worker.runs.get(ordered.run.id)

    assert finished is not None
    assert (report.state, finished.kind, finished.seen, finished.done) == ("done", "undo", 203, 203)
    titles = {world.record(user).job_title for user in people[4:]}
    assert titles == {"Old"}
    assert {world.record(user).job_title for user in edited} == {"By hand"}
    assert not any(world.record(user).is_active for user in newcomers)
    assert len([one for one in report.outcomes if one.undone]) == 199
    assert reasons(report) == ["job title: edited in BMS since"] * 4
    page, cursor = world.worker.outcomes.list(ordered.run.id, limit=50)
    assert (len(page), cursor is None) == (50, False)
    assert settled(world) == 0
    assert not any(write.method == "DELETE" for write in world.bms.writes())

    again = undo_sync(world, run.id)

    assert reasons(again).count("it was undone already") == 199
    assert settled(world) == 0


def test_nothing_is_undone_while_the_connection_is_paused(world: World) -> None:
    ada = world.hire("ada")
    world.sync(ada)
    line = world.activity(ada)[-1]
    world.worker.connections.update(CONNECTION, lambda _: replace(a_connection(), paused=True))

    with pytest.raises(BadInput, match="paused"):
        world.worker.undo.activity(line.id)


def test_whoever_is_being_written_comes_back_to_the_queue_r22(world: World) -> None:
    ada = world.hire("ada")
    world.sync(ada)
    line = world.activity(ada)[-1]
    other = world.a_worker()
    link = world.link(ada)
    assert link is not None
    now = world.clock()
    other.links.save([replace(link, claim=Claim("x", now, now + timedelta(seconds=30)))])

    report = world.worker.undo.activity(line.id)

    assert report.state == "running"
    assert world.record(ada).is_active
    world.deliver()
    assert report.run is not None
    assert world.worker.undo.report(report.run.id, limit=10, cursor=None).state == "done"
    assert not world.record(ada).is_active


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(
    "call", ["bms.patch_contact", "log.add", "outcomes.put", "links.save", "log.mark_undone"]
)
def test_a_worker_that_dies_is_followed_by_one_that_ends_the_undo_r22(
    world: World, call: str, moment: str
) -> None:
    ada = world.hire("ada", job_title="Old")
    world.full_sync()
    ada = world.change(ada, job_title="New", surname="Wu")
    run = world.full_sync()
    ordered = world.worker.undo.sync(run.id)
    assert ordered.run is not None
    dying = world.a_worker()
    claims = iter([True])  # the first save is the claim

    def die(done: str, at: str) -> None:
        if done == "links.save" == call and next(claims, False):
            return
        if (done, at) == (call, moment):
            raise Died

    (message,) = world.inbox.waiting
    world.inbox.waiting.remove(message)
    world.worker.handle(message.queue, message.text)
    (part,) = world.inbox.waiting
    dying.tap = die
    with pytest.raises(Died):
        dying.handle(part.queue, part.text)

    world.deliver()

    report = world.worker.undo.report(ordered.run.id, limit=10, cursor=None)
    contact, link = world.record(ada), world.link(ada)
    assert link is not None
    assert report.state == "done"
    assert [one.undone for one in report.outcomes] == [True]
    assert (contact.job_title, contact.last_name) == ("Old", "Lind")
    assert (link.written["JobTitle"], link.claim) == ("Old", None)
    (line,) = [one for one in world.activity(ada) if one.kind == "update"]
    assert line.undone_by == ordered.run.id
    assert settled(world) == 0


def test_a_message_that_comes_twice_changes_nothing_more_r22(world: World) -> None:
    ada = world.hire("ada", job_title="Old")
    world.full_sync()
    world.change(ada, job_title="New")
    run = world.full_sync()
    ordered = world.worker.undo.sync(run.id)
    assert ordered.run is not None
    (message,) = world.inbox.waiting
    world.inbox.waiting.remove(message)
    world.worker.handle(message.queue, message.text)
    (part,) = world.inbox.waiting
    world.deliver()
    writes, lines = world.bms_writes(), len(world.activity(ada))

    world.worker.handle(part.queue, part.text)
    world.worker.handle(message.queue, message.text)
    world.deliver()

    assert (world.bms_writes(), len(world.activity(ada))) == (writes, lines)
    assert len(world.worker.undo.report(ordered.run.id, limit=10, cursor=None).outcomes) == 1
