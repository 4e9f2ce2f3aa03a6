"""Connections, rules, cursors, windows, settings and sign-ins on the real storage emulator."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.adapters.store_connections import TableConnections, TableRules
from shared.adapters.store_decisions import TableConflicts
from shared.adapters.store_people import TableLinks, TableOwners
from shared.adapters.store_sweeps import (
    TableBmsSettings,
    TablePendingSignIns,
    TableSweepState,
    TableWindows,
)
from shared.adapters.tables import Storage
from shared.core.model import (
    AccountId,
    BmsSettings,
    Connection,
    ConnectionId,
    Cursors,
    GroupState,
    HoldLimit,
    LocationId,
    Mode,
    RecordId,
    RecordType,
    RuleId,
    Subscription,
    Trouble,
)
from shared.errors import TryLater
from shared.ports import Conflict, Owner, PendingSignIn, Window
from tests.builders import LONG_AGO, a_connection, a_group_id, a_link, a_rule, a_user_id
from tests.real_storage import RealStorage

pytestmark = pytest.mark.world

ONE, TWO = ConnectionId("one"), ConnectionId("two")
LATER = LONG_AGO + timedelta(days=1, microseconds=1234)
AWKWARD = 'Łukasz O\'Neil "the 3rd" <&> \t\n 日本 🙂 %27 \\'


@pytest.fixture
def storage(real_storage: RealStorage) -> Storage:
    return real_storage.opened()


# --- connections -----------------------------------------------------------------------------


def a_full_connection() -> Connection:
    """No field has its default."""
    return Connection(
        id=ONE,
        tenant_domain="contoso.example",
        application_id="an-application",
        mode=Mode.DELEGATED,
        created_at=LONG_AGO,
        email_source="upn",
        match_scope="account",
        on_leave="keep",
        hold_limit=HoldLimit(7, 2.5, 90),
        secret_expires_on="2026-12-31",
        tenant_id="a-tenant",
        connected_at=LATER,
        first_sync_at=LATER,
        paused=True,
        rules_edited_at=LATER,
        troubles=(
            Trouble("a", AWKWARD, "Do this.", LATER, blocks=True),
            Trouble("b", "why", "Do that.", LONG_AGO),
        ),
    )


def test_a_connection_comes_back_with_every_field(storage: Storage) -> None:
    connections = TableConnections(storage)

    connections.add(a_full_connection())
    connections.add(a_connection(id=TWO, connected_at=None, first_sync_at=None))

    assert connections.get(ONE) == a_full_connection()
    assert connections.get(TWO) == a_connection(id=TWO, connected_at=None, first_sync_at=None)
    assert connections.get(ConnectionId("none")) is None


def test_connections_are_listed_oldest_first(storage: Storage) -> None:
    connections = TableConnections(storage)
    connections.add(a_connection(id=TWO, created_at=LATER))
    connections.add(a_connection(id=ConnectionId("z"), created_at=LONG_AGO))

    assert [each.id for each in connections.list()] == ["z", "two"]


def test_a_connection_is_added_once(storage: Storage) -> None:
    connections = TableConnections(storage)
    connections.add(a_connection(id=ONE))

    with pytest.raises(TryLater):
        connections.add(a_connection(id=ONE, tenant_domain="another.example"))


def test_changes_at_the_same_time_are_all_made_r22(real_storage: RealStorage) -> None:
    TableConnections(real_storage.opened()).add(a_connection(id=ONE))
    stores = [TableConnections(real_storage.opened()) for _ in range(4)]

    def add_trouble(number: int) -> None:
        trouble = Trouble(f"t{number}", "", "", LONG_AGO)
        stores[number % 4].update(ONE, lambda now: replace(now, troubles=(*now.troubles, trouble)))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add_trouble, range(8)))

    held = stores[0].get(ONE)
    assert held is not None
    assert {trouble.code for trouble in held.troubles} == {f"t{number}" for number in range(8)}


def test_a_change_of_a_connection_that_is_gone_is_none(storage: Storage) -> None:
    assert TableConnections(storage).update(ONE, lambda now: replace(now, paused=True)) is None


def test_deleting_a_connection_removes_all_of_it_and_of_it_only(storage: Storage) -> None:
    connections, rules, links = TableConnections(storage), TableRules(storage), TableLinks(storage)
    owners, conflicts = TableOwners(storage), TableConflicts(storage)
    state, windows = TableSweepState(storage), TableWindows(storage)
    signins = TablePendingSignIns(storage)
    ada = a_user_id("ada")
    for number, one in enumerate((ONE, TWO)):
        connections.add(a_connection(id=one))
        rule = a_rule(id=RuleId(f"rule-{one}"), connection_id=one)
        rules.put(rule)
        rules.make_live(one, [rule])
        links.save(
            [a_link(str(n), connection_id=one) for n in range(130)]
            + [a_link("ada", connection_id=one)]
        )
        for record_type in RecordType:
            owners.take(record_type, RecordId(number), Owner(one, ada), over=None)
        conflicts.put(Conflict(one, ada, (RecordId(1),), "two records", LONG_AGO))
        state.save_cursors(Cursors(one, "u", "g"))
        state.save_subscription(Subscription(one, "users", "s", LATER, LONG_AGO))
        windows.save(one, Window({ada: LONG_AGO}, 3))
        signins.add(PendingSignIn(f"state-{one}", "cookie", one, LATER))

    connections.delete(ONE)

    def left(one: ConnectionId) -> dict[str, int]:
        return {
            "connection": int(connections.get(one) is not None),
            "rules": len(rules.edited(one)),
            "live rules": len(rules.live(one)),
            "links": sum(len(page) for page in links.all(one)),
            "owners": sum(
                owner.connection_id == one
                for record_type in RecordType
                for owner in owners.get_many(record_type, [RecordId(0), RecordId(1)]).values()
            ),
            "conflicts": len(conflicts.list(one)),
            "cursors": int(state.cursors(one) is not None),
            "subscriptions": len(state.subscriptions(one)),
            "window": int(windows.get(one) is not None),
            "sign-ins": int(signins.take(f"state-{one}") is not None),
        }

    of_one, of_two = left(ONE), left(TWO)
    assert {name: count for name, count in of_one.items() if count} == {}
    assert of_two == {**dict.fromkeys(of_two, 1), "links": 131, "owners": 2}


# --- rules -----------------------------------------------------------------------------------


def test_a_rule_comes_back_with_every_field(storage: Storage) -> None:
    rules = TableRules(storage)
    plain = a_rule("plain", connection_id=ONE, group_created_at=None, account_id=None)
    full = a_rule(
        "full",
        connection_id=ONE,
        order=3,
        record_type=RecordType.EMPLOYEE,
        created_at=LATER,
        account_id=AccountId(0),
        location_id=LocationId(71),
        include_nested=False,
        include_guests=True,
        blocked_users="sync",
        enabled=False,
        employee={"departmentId": 101},
        group_name=AWKWARD,
        group_created_at=LATER,
        group_state=GroupState.HIDDEN,
    )

    rules.put(plain)
    rules.put(full)
    rules.make_live(ONE, [plain, full])

    assert rules.get(plain.id) == plain
    assert rules.get(full.id) == full
    assert sorted(rules.live(ONE), key=lambda rule: rule.id) == [full, plain]
    assert rules.get(RuleId("none")) is None


def test_the_edited_set_is_replaced_as_a_whole_and_other_connections_keep_theirs_r5(
    storage: Storage,
) -> None:
    rules = TableRules(storage)
    kept, gone, new = (a_rule(name, connection_id=ONE) for name in ("kept", "gone", "new"))
    other = a_rule("other", connection_id=TWO)
    for rule in (kept, gone, other):
        rules.put(rule)

    rules.replace(ONE, [replace(kept, order=9), new])

    assert sorted((rule.group_name, rule.order) for rule in rules.edited(ONE)) == [
        ("kept", 9),
        ("new", 1),
    ]
    assert rules.edited(TWO) == [other]
    assert len(rules.edited()) == 3


def test_edits_are_not_live_before_they_are_made_so_r5(storage: Storage) -> None:
    rules = TableRules(storage)
    before, after = a_rule("a", connection_id=ONE), a_rule("b", connection_id=ONE)
    rules.make_live(ONE, [before])
    rules.put(after)
    assert rules.live(ONE) == [before]

    rules.make_live(ONE, [after])

    assert rules.live(ONE) == [after]


def test_a_removed_rule_is_gone(storage: Storage) -> None:
    rules = TableRules(storage)
    rules.put(a_rule())
    rules.remove(a_rule())
    rules.remove(a_rule())

    assert rules.get(a_rule().id) is None


# --- cursors, subscriptions ------------------------------------------------------------------


def test_cursors_of_any_length_come_back_r23(storage: Storage) -> None:
    state = TableSweepState(storage)
    cursors = Cursors(
        ONE,
        users_link="https://graph.example/users/delta?$deltatoken=" + "u" * 100_000,
        groups_link="g" * 60_000,
        tracked_groups=frozenset(a_group_id(str(n)) for n in range(2000)),
        swept_at=LATER,
    )

    assert state.save_cursors(cursors)
    assert state.cursors(ONE) == cursors

    held = state.cursors(ONE)
    assert held is not None
    short = replace(held, users_link="u", groups_link="", tracked_groups=frozenset(), swept_at=None)
    assert state.save_cursors(short)
    assert state.cursors(ONE) == short, "nothing of the long ones is left over"


def test_of_two_sweeps_only_one_saves_its_cursor_r23(real_storage: RealStorage) -> None:
    one, two = (TableSweepState(real_storage.opened()) for _ in range(2))
    assert one.save_cursors(Cursors(ONE, "u", "g"))
    assert not two.save_cursors(Cursors(ONE, "x", "x")), "there must be none yet"
    mine, theirs = one.cursors(ONE), two.cursors(ONE)
    assert mine is not None
    assert theirs is not None

    assert one.save_cursors(replace(mine, users_link="u1"))
    assert not two.save_cursors(replace(theirs, users_link="u2"))

    assert (found := two.cursors(ONE)) is not None
    assert found.users_link == "u1"


def test_last_sweeps_names_each_connections_r23(storage: Storage) -> None:
    state = TableSweepState(storage)
    state.save_cursors(Cursors(ONE, "u", "g", swept_at=LATER))
    state.save_cursors(Cursors(TWO, "u", "g"))
    state.save_subscription(Subscription(ONE, "users", "s", LATER, LONG_AGO))

    assert state.last_sweeps() == {ONE: LATER}


def test_subscriptions_come_back_one_per_resource_r31(storage: Storage) -> None:
    state = TableSweepState(storage)
    state.save_cursors(Cursors(ONE, "u", "g"))
    users = Subscription(ONE, "users", "sub-1", LATER, LONG_AGO)
    groups = Subscription(ONE, "groups", "sub-2", LATER, LONG_AGO)
    for each in (replace(users, id="former"), users, groups):
        state.save_subscription(each)
    assert sorted(state.subscriptions(ONE), key=lambda each: each.id) == [users, groups]

    state.remove_subscription(ONE, "users")
    state.remove_subscription(ONE, "users")

    assert state.subscriptions(ONE) == [groups]
    assert state.subscriptions(TWO) == []


# --- windows, settings, sign-ins -------------------------------------------------------------


def test_a_window_of_thousands_comes_back_r20(storage: Storage) -> None:
    windows = TableWindows(storage)
    window = Window({a_user_id(str(n)): LONG_AGO for n in range(3000)}, base=12)
    assert windows.get(ONE) is None

    assert windows.save(ONE, window)

    assert windows.get(ONE) == window
    assert not windows.save(ONE, window), "somebody else saved meanwhile"
    held = windows.get(ONE)
    assert held is not None
    assert windows.save(ONE, Window({}, None, held.etag))
    assert windows.get(ONE) == Window()


def test_bms_settings_come_back_with_every_field(storage: Storage) -> None:
    settings = TableBmsSettings(storage)
    full = BmsSettings(
        api_url="https://api.bms.example",
        gateway_url="https://bms.example",
        tenant=AWKWARD,
        user_name="directory.sync",
        hourly_limit=900,
        limit_window_seconds=60,
        fresh_share=0.25,
        email_type_id=11,
        work_phone_type_id=21,
        mobile_phone_type_id=22,
        version="v2",
    )
    assert settings.get() is None

    settings.put(BmsSettings())
    settings.put(full)

    assert settings.get() == full


def test_a_pending_sign_in_works_once_whoever_comes_first_r28(real_storage: RealStorage) -> None:
    pending = PendingSignIn("state", "cookie", ONE, LATER)
    TablePendingSignIns(real_storage.opened()).add(pending)
    stores = [TablePendingSignIns(real_storage.opened()) for _ in range(2)]
    ready = threading.Barrier(2)

    def take(store: TablePendingSignIns) -> PendingSignIn | None:
        ready.wait()
        return store.take("state")

    with ThreadPoolExecutor(2) as pool:
        taken = list(pool.map(take, stores))

    assert sorted(taken, key=lambda one: one is None) == [pending, None]
    assert stores[0].take("state") is None
    assert stores[0].take("unknown") is None
