"""An edit of the rules becomes live once, whatever it meets, and the newest one stays (R5)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

import pytest

from shared.core.model import MappingRule, SyncId, SyncRun
from shared.errors import SyncError, TryLater
from tests.builders import CONNECTION, a_group, a_rule
from tests.sync.office import MINUTE, OTHER, SOON, Office


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


# --- edits that met an obstacle ----------------------------------------------------------------


def edited(office: Office, *rules: MappingRule) -> None:
    office.rules.replace(CONNECTION, rules)
    office.edits.order(CONNECTION, gather=True)


def live(office: Office) -> list[str]:
    return [rule.id for rule in office.rules.live(CONNECTION)]


def rules_orders(office: Office) -> int:
    office.clock.pass_(MINUTE)
    office.sweep.order_due()
    return sum(1 for order in office.taken() if order.kind == "rules")


def test_an_edit_that_met_a_paused_connection_is_carried_out_after_resume_r5(
    office: Office,
) -> None:
    office.tenant.held_groups[OTHER] = a_group("other")
    office.connections.update(CONNECTION, lambda now: replace(now, paused=True))
    edited(office, a_rule("other"))
    office.work_off()
    office.minutes(10)
    assert live(office) == ["rule-staff"]

    office.connections.update(CONNECTION, lambda now: replace(now, paused=False))
    office.minutes(3)

    assert live(office) == ["rule-other"]
    assert rules_orders(office) == 0, "it is carried out once"


def test_an_edit_whose_order_was_lost_is_carried_out_r5(office: Office) -> None:
    office.queues.down = TryLater("The queues are away.")
    with suppress(SyncError):
        edited(office)
    office.queues.down = None

    office.minutes(5)

    assert live(office) == []


def test_an_edit_is_left_to_its_own_order_until_it_has_settled_r5(office: Office) -> None:
    edited(office)
    office.taken()

    assert rules_orders(office) == 0
    assert rules_orders(office) + rules_orders(office) > 0


@pytest.mark.parametrize("kind", ["rules", "full"])
@pytest.mark.parametrize("state", ["queued", "running", "waiting"])
def test_an_edit_is_not_ordered_again_while_a_run_of_everybody_goes_on_r5(
    office: Office, kind: str, state: str
) -> None:
    edited(office)
    office.taken()
    run = SyncRun(SyncId("now"), CONNECTION, kind, state, office.clock())
    office.runs.add(run)

    assert [rules_orders(office) for _ in range(5)] == [0] * 5

    office.runs.add(replace(run, state="failed"))
    assert rules_orders(office) == 1


def newer_edit(office: Office) -> None:
    """A newer edit, carried out by another instance from beginning to end."""
    office.tenant.after_groups = None
    office.clock.pass_(MINUTE)
    edited(office, a_rule("other"))
    other = office.a_worker(office.a_full_sync())
    for order in office.taken():
        other.handle(order)
    assert live(office) == ["rule-other"]


def test_an_older_edited_set_never_replaces_a_newer_live_one_r5(office: Office) -> None:
    office.tenant.held_groups[OTHER] = a_group("other")
    edited(office, a_rule("staff", order=2))
    office.tenant.after_groups = lambda: newer_edit(office)

    office.work_off()

    assert live(office) == ["rule-other"]
    assert rules_orders(office) + rules_orders(office) + rules_orders(office) == 0


def test_an_older_run_that_ends_late_does_not_call_for_the_newer_edit_again_r5(
    office: Office,
) -> None:
    office.tenant.held_groups[OTHER] = a_group("other")
    edited(office, a_rule("staff", order=2))
    office.rules.after_live = lambda: newer_edit(office)

    office.work_off()

    assert live(office) == ["rule-other"]
    assert rules_orders(office) + rules_orders(office) + rules_orders(office) == 0


def test_whoever_overtakes_whom_the_newest_edit_is_live_in_the_end_r5(
    office: Office, threads: ThreadPoolExecutor
) -> None:
    office.tenant.held_groups[OTHER] = a_group("other")
    edited(office, a_rule("staff", order=2))
    checked, go = threading.Event(), threading.Event()

    def stands_still() -> None:
        checked.set()
        assert go.wait(SOON)

    office.rules.before_live = stands_still
    (order,) = office.taken()
    older = threads.submit(office.sweep.handle, order)
    assert checked.wait(SOON)

    def older_goes_on() -> None:
        go.set()
        older.result(SOON)

    office.rules.after_live = older_goes_on
    office.clock.pass_(MINUTE)
    edited(office, a_rule("other"))
    office.work_off()
    office.minutes(5)

    assert live(office) == ["rule-other"]
