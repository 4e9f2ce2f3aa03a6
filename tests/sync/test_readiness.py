"""Triggers that come before the tables are of this app's version."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from shared.errors import Misconfigured, SyncError, TryLater
from shared.ports import FRESH
from shared.sync.readiness import Readiness
from tests.fakes import FakeQueues


@dataclass
class Tables:
    wrong: SyncError | None = None

    def bring_up(self) -> None:
        if self.wrong:
            raise self.wrong


def test_work_begins_on_tables_of_the_right_version() -> None:
    queues = FakeQueues()

    assert Readiness(Tables(), queues).may_begin(FRESH, "a message")
    assert not queues.sent


def test_during_an_upgrade_a_message_goes_back_into_its_queue_so_no_change_is_lost() -> None:
    queues = FakeQueues()
    busy = TryLater("The tables are being brought up.", timedelta(seconds=10), counts=False)

    assert not Readiness(Tables(busy), queues).may_begin(FRESH, "a message")
    assert queues.sent == [(FRESH, "a message", timedelta(seconds=10))]


def test_on_tables_of_a_newer_app_messages_wait_for_it_and_never_become_poison() -> None:
    queues = FakeQueues()
    newer = Misconfigured("The tables are of version 7.")

    assert not Readiness(Tables(newer), queues).may_begin(FRESH, "a message")
    [(queue, text, delay)] = queues.sent
    assert (queue, text) == (FRESH, "a message")
    assert delay is not None
    assert delay >= timedelta(minutes=1)


def test_a_timer_that_is_too_early_lets_its_turn_pass() -> None:
    queues = FakeQueues()

    assert not Readiness(Tables(TryLater("Busy.")), queues).may_begin()
    assert not queues.sent
