"""What a queue gave up on becomes a failure that a person reads (R24)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from shared.core.itglue_messages import PassOn, decode_pass_on, encode_pass_on
from shared.core.messages import (
    SweepOrder,
    UserDelta,
    decode_sweep_order,
    decode_user_delta,
    encode_sweep_order,
    encode_user_delta,
)
from shared.core.model import Origin, SyncId, SyncRun
from shared.errors import SyncError, TryLater
from shared.ports import FRESH, ITGLUE, SWEEPS, Part, Preview
from shared.sync.poison import Poison
from tests.builders import CONNECTION, a_user_id
from tests.fakes import START, Clock, FakeFailures, FakeQueues, FakeRuns
from tests.fakes_previews import FakePreviews

RUN = SyncId("run")
DELTA = UserDelta(
    CONNECTION,
    (a_user_id("ada"), a_user_id("ben")),
    Origin.FULL,
    sync=RUN,
    part="one-00001",
    done=5,
    failed=1,
    revived=3,
)
ORDER = SweepOrder(CONNECTION, "full", sync=RUN, revived=3)


@dataclass
class DownRuns(FakeRuns):
    down: SyncError | None = None

    def part(self, part: Part) -> None:
        if self.down:
            raise self.down
        super().part(part)


@dataclass
class Room:
    runs: DownRuns = field(default_factory=DownRuns)
    failures: FakeFailures = field(default_factory=FakeFailures)
    previews: FakePreviews = field(default_factory=FakePreviews)
    queues: FakeQueues = field(default_factory=FakeQueues)

    def __post_init__(self) -> None:
        self.runs.add(SyncRun(RUN, CONNECTION, "full", "running", START))
        self.poison = Poison(self.runs, self.previews, self.failures, self.queues, Clock())


@pytest.fixture
def room() -> Room:
    return Room()


def test_a_poison_message_is_kept_as_it_was_with_a_next_step(room: Room) -> None:
    text = encode_user_delta(DELTA)

    room.poison.handle(FRESH, text)

    (failure,) = room.failures.held
    assert (failure.connection_id, failure.queue, failure.message) == (CONNECTION, FRESH, text)
    assert FRESH in failure.sentence
    assert failure.next_step


def test_its_part_of_a_sync_ends_with_its_users_failed(room: Room) -> None:
    room.poison.handle(FRESH, encode_user_delta(DELTA))

    part = room.runs.parts[RUN, "one-00001"]
    assert (part.done, part.failed, part.finished) == (5, 3, True)


def test_a_sync_whose_order_is_poison_has_failed(room: Room) -> None:
    room.poison.handle(SWEEPS, encode_sweep_order(ORDER))

    assert room.runs.held[RUN].state == "failed"


def test_a_message_comes_back_by_itself_three_times_later_each_time(room: Room) -> None:
    text = encode_user_delta(replace(DELTA, revived=0))

    for _ in range(3):
        room.poison.handle(FRESH, text)
        queue, text, delay = room.queues.sent[-1]
        assert (queue, delay is not None) == (FRESH, True)

    delays = [delay for _, _, delay in room.queues.sent if delay is not None]
    assert delays == sorted(delays)
    assert len(set(delays)) == 3
    assert room.failures.held == []
    assert decode_user_delta(text) == DELTA


def test_a_sweep_order_comes_back_by_itself_too(room: Room) -> None:
    room.poison.handle(SWEEPS, encode_sweep_order(replace(ORDER, revived=0)))

    [(queue, text, _)] = room.queues.sent
    assert (queue, decode_sweep_order(text)) == (SWEEPS, replace(ORDER, revived=1))
    assert room.runs.held[RUN].state == "running"


def test_r27_a_message_for_it_glue_comes_back_three_times_and_then_waits_for_a_person(
    room: Room,
) -> None:
    text = encode_pass_on(PassOn(CONNECTION))
    for _ in range(3):
        room.poison.handle(ITGLUE, text)
        queue, text, _ = room.queues.sent[-1]
        assert queue == ITGLUE
    assert room.failures.held == []

    room.poison.handle(ITGLUE, text)

    [failure] = room.failures.held
    assert (failure.connection_id, failure.queue) == (CONNECTION, ITGLUE)
    assert decode_pass_on(failure.message).revived == 3


@pytest.mark.parametrize("text", ["", "no JSON", "null", '{"v":9}'])
def test_a_message_that_nobody_can_read_is_kept_too(room: Room, text: str) -> None:
    room.poison.handle(FRESH, text)

    assert [failure.message for failure in room.failures.held] == [text]


def test_trouble_with_the_run_does_not_lose_the_failure(room: Room) -> None:
    room.runs.down = TryLater("The tables are away.")

    room.poison.handle(FRESH, encode_user_delta(DELTA))

    assert len(room.failures.held) == 1


def test_a_preview_whose_order_is_given_up_says_that_it_failed(room: Room) -> None:
    later = START + timedelta(days=1)
    room.previews.add(Preview("p1", CONNECTION, START, later, "basis"), [])
    order = SweepOrder(CONNECTION, "preview", preview="p1", revived=3)

    room.poison.handle(SWEEPS, encode_sweep_order(order))

    preview = room.previews.get("p1")
    assert preview is not None
    assert preview.state == "failed"
    assert "every time" in preview.reason
    assert room.failures.held == [], "a replay could do nothing"
