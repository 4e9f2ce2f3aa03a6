"""Queue messages name users and nothing more (R22)."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.messages import (
    MOST_USERS,
    SweepOrder,
    UnreadableMessage,
    UserDelta,
    decode_sweep_order,
    decode_user_delta,
    encode_sweep_order,
    encode_user_delta,
    pack,
)
from shared.core.model import ConnectionId, GroupId, Origin, SyncId, UserId
from tests.builders import CONNECTION, LONG_AGO, a_user_id

_TEXTS = st.text(min_size=1, max_size=12)
_TIMES = st.none() | st.datetimes(timezones=st.just(UTC))
_COUNTS = st.integers(0, 10_000)
_USERS = st.uuids().map(str) | st.from_regex(r"x[a-z0-9 \"=é]{0,9}", fullmatch=True)

_DELTAS = st.builds(
    UserDelta,
    connection_id=_TEXTS.map(ConnectionId),
    users=st.lists(_USERS.map(UserId), max_size=5).map(tuple),
    origin=st.sampled_from(Origin),
    signal_at=_TIMES,
    upper_bound=st.booleans(),
    sync=st.none() | _TEXTS.map(SyncId),
    part=st.just("") | _TEXTS,
    done=_COUNTS,
    failed=_COUNTS,
    tries=_COUNTS,
    looks=_COUNTS,
    membership=st.booleans(),
    together=_COUNTS,
    revived=_COUNTS,
    lines=st.lists(_TEXTS, max_size=3).map(tuple),
    index_since=_TIMES,
    doubted=st.booleans(),
    unlinked=st.booleans(),
)
_ORDERS = st.builds(
    SweepOrder,
    connection_id=_TEXTS.map(ConnectionId),
    kind=st.sampled_from(["sweep", "full", "rules", "subscriptions"]),
    sync=st.none() | _TEXTS.map(SyncId),
    stamp=_TIMES,
    signal_at=_TIMES,
    groups=st.lists(_TEXTS.map(GroupId), max_size=3).map(tuple),
    looks=_COUNTS,
    tries=_COUNTS,
)


@given(_DELTAS)
def test_a_user_delta_comes_out_as_it_went_in_r22(delta: UserDelta) -> None:
    assert decode_user_delta(encode_user_delta(delta)) == delta


@given(_ORDERS)
def test_a_sweep_order_comes_out_as_it_went_in_r22(order: SweepOrder) -> None:
    assert decode_sweep_order(encode_sweep_order(order)) == order


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "null",
        "[]",
        "5",
        "{}",
        '{"c":"a"}',
        '{"c":"a","u":null,"o":"sweep","k":null,"at":5}',
        '{"c":"a","u":[5],"o":"sweep","k":"full","g":5}',
        '{"c":"a","u":["!"],"o":"sweep","k":"full","st":"yesterday"}',
        '{"c":"a","u":[],"o":"gossip","k":"full","t":"many"}',
    ],
    ids=[
        "empty",
        "no JSON",
        "null",
        "a list",
        "a number",
        "no members",
        "members missing",
        "nulls",
        "wrong types",
        "no GUID",
        "unknown values",
    ],
)
def test_what_is_not_one_of_our_messages_is_called_so(text: str) -> None:
    with pytest.raises(UnreadableMessage):
        decode_user_delta(text)
    with pytest.raises(UnreadableMessage):
        decode_sweep_order(text)


_ANY = UserDelta(CONNECTION, (), Origin.SWEEP, signal_at=LONG_AGO, membership=True)


def test_a_full_message_fits_into_a_storage_queue() -> None:
    users = tuple(a_user_id(str(number)) for number in range(MOST_USERS))

    text = encode_user_delta(replace(_ANY, users=users))

    assert len(base64.b64encode(text.encode())) <= 48 * 1024


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(0, []), (1, [1]), (4, [4]), (5, [4, 1]), (8, [4, 4])],
    ids=["nobody", "one", "just full", "one over", "two full"],
)
def test_packing_makes_as_few_messages_as_the_size_allows(count: int, sizes: list[int]) -> None:
    users = [a_user_id(str(number)) for number in range(count)]

    packed = list(pack(_ANY, users, size=4))

    assert [len(delta.users) for delta in packed] == sizes
    assert [user for delta in packed for user in delta.users] == users
    assert all(replace(delta, users=()) == _ANY for delta in packed)
