"""Half-done moves, kept leavers and returners who meet others (R9, R13, R16, R17, R19, R20)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from infra.local.bms.control_values import AccountState
from shared.adapters.bms import BmsApi
from shared.adapters.bms_session import BmsSession, Reply
from shared.core.model import (
    AccountId,
    Connection,
    EntraUser,
    HoldLimit,
    Link,
    LinkState,
    RecordId,
    RecordType,
)
from shared.errors import TryLater
from tests.builders import CONNECTION
from tests.sync.interference import ADDRESS, of, on, settled
from tests.sync.world import FRESH, Worker, World

pytestmark = pytest.mark.world

Refuse = Callable[[int | None], None]


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """BMS takes no change of this contact for the present; None: it takes all again."""
    refused: list[int | None] = [None]
    patch = BmsApi.patch_contact

    def patched(self: BmsApi, record_id: RecordId, fields: Mapping[str, object]) -> None:
        if record_id == refused[0]:
            raise TryLater("BMS is busy with this contact.")
        patch(self, record_id, fields)

    monkeypatch.setattr(BmsApi, "patch_contact", patched)
    return lambda record: refused.__setitem__(0, record)


def the_link(world: World, user: EntraUser) -> Link:
    link = world.link(user)
    assert link is not None
    return link


def active(world: World) -> list[int]:
    return [contact.id for contact in world.bms.contacts(is_active=True)]


def to(world: World, account: AccountState) -> None:
    world.set_rules(replace(world.rule, account_id=AccountId(account.id)))


def options(world: World, change: Callable[[Connection], Connection]) -> None:
    world.worker.connections.update(CONNECTION, change)


def half_moved(world: World, refuse: Refuse) -> tuple[EntraUser, int]:
    """Somebody with a contact in Fabrikam, whose contact in Contoso could not be taken out yet."""
    ada = world.hire("ada")
    world.sync(ada)
    old = world.record(ada).id
    refuse(old)
    to(world, world.fabrikam)
    world.notice(ada)
    world.deliver(within=timedelta(0))
    assert the_link(world, ada).old_record_id == old
    assert len(active(world)) == 2
    return ada, old


# --- a move that is half done ------------------------------------------------------------------


def test_who_leaves_before_his_move_is_finished_has_no_active_contact_r16_r17(
    world: World, refuse: Refuse
) -> None:
    ada, _ = half_moved(world, refuse)
    refuse(None)
    world.leave(ada)

    world.sync(ada)

    assert active(world) == []
    assert (the_link(world, ada).state, the_link(world, ada).old_record_id) == (
        LinkState.INACTIVE,
        None,
    )


def test_and_also_when_the_old_contact_is_refused_once_more_while_he_leaves_r16_r17(
    world: World, refuse: Refuse
) -> None:
    ada, old = half_moved(world, refuse)
    world.leave(ada)
    world.notice(ada)
    world.deliver(within=timedelta(seconds=20))
    assert active(world) == [old]
    refuse(None)

    world.deliver()

    assert active(world) == []
    assert the_link(world, ada).old_record_id is None


def test_a_leavers_old_contact_is_found_by_a_full_sync_should_its_message_be_lost_r17_r23(
    world: World, refuse: Refuse
) -> None:
    ada, old = half_moved(world, refuse)
    world.leave(ada)
    world.notice(ada)
    world.deliver(within=timedelta(seconds=20))
    assert active(world) == [old]
    world.inbox.waiting.clear()
    refuse(None)

    world.full_sync()

    assert active(world) == []


def test_a_kept_leavers_old_contact_is_taken_out_all_the_same_r17(
    world: World, refuse: Refuse
) -> None:
    options(world, lambda now: replace(now, on_leave="keep"))
    ada, old = half_moved(world, refuse)
    refuse(None)
    world.leave(ada)

    world.sync(ada)

    assert not world.bms.get_contact(old).is_active, "only the contact of the new account is his"
    assert world.record(ada).is_active
    assert (the_link(world, ada).state, the_link(world, ada).old_record_id) == (
        LinkState.KEPT,
        None,
    )


@pytest.mark.parametrize("still_refused", [False, True], ids=["taken now", "refused once more"])
def test_a_second_move_before_the_first_is_finished_leaves_one_active_contact_r17(
    world: World, refuse: Refuse, still_refused: bool
) -> None:
    ada, _ = half_moved(world, refuse)
    third = world.bms.add_account("Third")
    to(world, third)
    if still_refused:
        world.notice(ada)
        world.deliver(within=timedelta(seconds=20))
    refuse(None)

    world.sync(ada)

    assert active(world) == [world.record(ada).id]
    assert world.record(ada).account_id == third.id
    assert the_link(world, ada).old_record_id is None


def test_a_move_back_before_the_first_is_finished_leaves_the_first_contact_active_r17(
    world: World, refuse: Refuse
) -> None:
    ada, old = half_moved(world, refuse)
    refuse(None)
    to(world, world.contoso)

    world.sync(ada)

    assert active(world) == [old] == [world.record(ada).id]


# --- kept leavers ------------------------------------------------------------------------------


def kept(world: World) -> EntraUser:
    options(world, lambda now: replace(now, on_leave="keep"))
    ada = world.hire("ada")
    world.sync(ada)
    world.leave(ada)
    world.sync(ada)
    assert the_link(world, ada).state is LinkState.KEPT
    return ada


def test_a_kept_leaver_who_comes_back_in_another_account_has_one_active_contact_r17(
    world: World,
) -> None:
    ada = kept(world)
    old = world.record(ada).id
    to(world, world.fabrikam)
    world.join(ada)

    world.sync(ada)

    assert active(world) == [world.record(ada).id]
    assert world.record(ada).account_id == world.fabrikam.id
    assert not world.bms.get_contact(old).is_active


def test_a_hold_leaves_a_kept_leaver_as_he_was_r20(world: World) -> None:
    ada = kept(world)
    options(world, lambda now: replace(now, hold_limit=HoldLimit(0, 0, 0)))
    to(world, world.fabrikam)
    world.join(ada)

    world.sync(ada)

    assert [contact.account_id for contact in world.bms.contacts()] == [world.contoso.id]
    assert the_link(world, ada).state is LinkState.KEPT


def test_a_hold_leaves_a_leaver_with_a_half_done_move_inactive_r20(
    world: World, refuse: Refuse
) -> None:
    ada, old = half_moved(world, refuse)
    world.leave(ada)
    world.notice(ada)
    world.deliver(within=timedelta(seconds=20))
    assert active(world) == [old]
    world.inbox.waiting.clear()
    refuse(None)
    options(world, lambda now: replace(now, hold_limit=HoldLimit(0, 0, 0)))
    world.clock.pass_(timedelta(hours=25))

    world.sync(ada)

    assert not world.record(ada).is_active
    assert the_link(world, ada).state is LinkState.INACTIVE


# --- returners who meet others -----------------------------------------------------------------

MOMENTS = [
    ("links.save", "after"),
    ("owners.take", "before"),
    ("owners.take", "after"),
    ("bms.patch_contact", "before"),
]


def owner_of(world: World, record: int) -> str | None:
    owner = world.worker.owners.get_many(RecordType.CONTACT, [RecordId(record)])
    found = owner.get(RecordId(record))
    return found.user_id if found else None


def test_a_returner_owns_the_record_that_another_user_had_and_left_r9_r19(world: World) -> None:
    guild = world.a_rule("guild", order=0, account_id=AccountId(world.fabrikam.id))
    world.set_rules(guild, world.rule)
    ada = world.hire("ada")
    world.sync(ada)
    record = world.record(ada).id
    world.leave(ada)
    world.sync(ada)
    other = world.hire("other", mail=ADDRESS)
    world.sync(other)
    assert world.record(other).id == record
    world.join(other, "guild")
    world.sync(other)
    assert owner_of(world, record) is None
    world.join(ada)

    world.sync(ada)
    assert (world.record(ada).id, world.record(ada).is_active) == (record, True)
    assert owner_of(world, record) == ada.id

    ben = world.hire("ben", mail=ADDRESS)
    world.sync(ben)
    assert the_link(world, ben).record_id is None
    assert world.record(ada).first_name == "Ada"


@pytest.mark.parametrize(("call", "when"), MOMENTS)
def test_who_returns_while_another_user_takes_his_record_over_does_not_share_it_r9_r19(
    world: World, call: str, when: str
) -> None:
    ada = world.hire("ada")
    world.sync(ada)
    world.leave(ada)
    world.sync(ada)
    world.join(ada)
    ben = world.hire("ben", mail=ADDRESS)
    other = Worker(world)
    world.worker.tap = on(call, when, lambda: other.apply.handle(of(ada), FRESH))

    world.sync(ben)

    settled(world, ada, ben)


@pytest.mark.parametrize(("call", "when"), MOMENTS)
def test_whose_record_is_taken_over_while_he_returns_does_not_share_it_r9_r19(
    world: World, call: str, when: str
) -> None:
    ada = world.hire("ada")
    world.sync(ada)
    world.leave(ada)
    world.sync(ada)
    world.join(ada)
    ben = world.hire("ben", mail=ADDRESS)
    other = Worker(world)
    world.worker.tap = on(call, when, lambda: other.apply.handle(of(ben), FRESH))

    world.sync(ada)

    settled(world, ada, ben)


# --- entries that were changed by hand meanwhile -----------------------------------------------


def test_entries_that_changed_meanwhile_are_read_again_and_stop_nobody_else_r24(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [world.hire(name, business_phone="1") for name in ("ada", "ben", "cleo")]
    world.sync(*people)
    left = [1]
    call = BmsSession.call

    def changed_nothing_once(
        self: BmsSession, method: str, route: str, *a: str, **o: object
    ) -> object:
        if route.endswith("/phones") and left:
            left.pop()
            return Reply({"Result": {"Added": 0, "Updated": 0, "Deleted": 0}})
        return call(self, method, route, *a, **o)  # type: ignore[arg-type]

    monkeypatch.setattr(BmsSession, "call", changed_nothing_once)

    world.sync(*(world.change(user, business_phone="2") for user in people))

    assert left == []
    assert [[one.value for one in world.record(user).phones] for user in people] == [["2"]] * 3
    assert world.troubles() == []
