"""The trace's context travels inside the queue messages."""

from __future__ import annotations

import json

import pytest

from shared.core.correlation import carried, carry
from shared.core.messages import (
    SweepOrder,
    UserDelta,
    decode_sweep_order,
    decode_user_delta,
    encode_sweep_order,
    encode_user_delta,
)
from shared.core.model import Origin
from tests.builders import CONNECTION, a_user_id

ONE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TWO = "00-ffffffffffffffffffffffffffffffff-b7ad6b7169203331-00"
DELTA = UserDelta(CONNECTION, (a_user_id("ada"),), Origin.NOTIFICATION)
ORDER = SweepOrder(CONNECTION, "sweep")


def test_what_is_carried_comes_out_again_and_the_message_stays_readable() -> None:
    delta, order = carry(encode_user_delta(DELTA), ONE), carry(encode_sweep_order(ORDER), ONE)

    assert (carried(delta), carried(order)) == (ONE, ONE)
    assert decode_user_delta(delta) == DELTA
    assert decode_sweep_order(order) == ORDER
    json.loads(delta)


def test_a_message_that_is_sent_on_carries_the_newer_context_only() -> None:
    text = carry(carry(encode_user_delta(DELTA), ONE), TWO)

    assert carried(text) == TWO
    assert text.count("tp") == 1


@pytest.mark.parametrize("context", ["", "00-0", f"{ONE}x", 'x","u":[]}'])
def test_what_is_no_context_is_not_carried(context: str) -> None:
    text = encode_user_delta(DELTA)

    assert carry(text, context) == text


@pytest.mark.parametrize("text", ["", "{}", "no JSON", "[]", '{"tp":5}'])
def test_a_text_that_is_no_message_of_ours_carries_nothing(text: str) -> None:
    assert carried(text) == ""
    assert carried(carry(text, ONE)) in ("", ONE)
