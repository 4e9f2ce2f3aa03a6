"""/api/status and /health."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from shared import VERSION
from shared.core.model import Activity, ConnectionId, Cursors, Subscription
from shared.errors import TryLater
from shared.sync.status import MOST_ROWS, credential_calendar, freshness
from tests.fakes import START
from tests.web.world import World, a_connection, a_ready_world, a_trouble


def a_change(seconds: float | None, **members: object) -> Activity:
    standard: dict[str, object] = {
        "at": START,
        "connection_id": ConnectionId("contoso"),
        "kind": "update",
        "reason": "",
        "origin": "notification",
        "signal_at": None if seconds is None else START - timedelta(seconds=seconds),
    }
    return Activity(**(standard | members))  # type: ignore[arg-type]


def test_status_shows_everything_at_a_glance() -> None:
    world = a_ready_world()
    world.add(a_connection("fabrikam", troubles=(a_trouble(),)))
    world.sweeps.save_cursors(Cursors(ConnectionId("fabrikam"), swept_at=START))
    ends = START + timedelta(days=2)
    world.sweeps.save_subscription(
        Subscription(ConnectionId("contoso"), "users", "id", ends, START)
    )
    world.queues.send("user-deltas", "{}")
    world.activity.add([a_change(2)])

    body = world.call("GET", "/api/status").body

    assert body["version"] == VERSION
    assert body["bmsIsSet"] is True
    contoso, fabrikam = body["connections"]
    assert contoso["subscriptions"] == [{"resource": "users", "expiresAt": "2026-03-04T09:00:00Z"}]
    assert (fabrikam["state"], fabrikam["reason"]) == ("attention", "The secret is wrong.")
    assert fabrikam["lastSweepAt"] == "2026-03-02T09:00:00Z"
    assert body["backlog"] == {"user-deltas": 1}
    assert body["failures"] == 0
    assert (body["freshness"]["counted"], body["freshness"]["p50"]) == (1, 2.0)


def test_freshness_counts_writes_that_a_signal_led_to() -> None:
    rows = [
        *(a_change(seconds) for seconds in range(1, 101)),
        a_change(500, origin="full"),
        a_change(500, origin="person"),
        a_change(500, kind="skip"),
        a_change(None),
        a_change(200, origin="sweep", signal_is_upper_bound=True),
    ]

    figures = freshness(rows, complete=True)

    assert (figures.counted, figures.read, figures.upper_bounds) == (101, 105, 1)
    assert (figures.p50, figures.p95, figures.most) == (51, 96, 200)


def test_freshness_of_nothing_is_told_as_nothing() -> None:
    figures = freshness([], complete=True)

    assert (figures.counted, figures.p50, figures.p95, figures.most) == (0, None, None, None)


def test_freshness_reads_the_newest_rows_of_a_day_and_says_when_there_were_more() -> None:
    world = World()
    world.activity.add([a_change(1)] * (MOST_ROWS + 1))
    world.activity.add([a_change(9, at=START - timedelta(hours=25))])

    figures = world.call("GET", "/api/status").body["freshness"]

    assert (figures["read"], figures["complete"]) == (MOST_ROWS, False)


@pytest.mark.parametrize(
    ("left", "notice"), [(31, None), (30, 30), (15, 30), (14, 14), (4, 14), (3, 3), (0, 3), (-1, 0)]
)
def test_r30_a_secrets_end_is_noticed_30_14_and_3_days_before(
    left: int, notice: int | None
) -> None:
    today = date(2026, 3, 2)
    ends = (today + timedelta(days=left)).isoformat()

    [entry] = credential_calendar([a_connection(secret_expires_on=ends)], today)

    assert (entry.days_left, entry.notice) == (left, notice)


def test_health_is_anonymous_and_says_nothing_else() -> None:
    answer = World().call("GET", "/health?probe=1", token=None)

    assert (answer.status, answer.body) == (200, "ok")


def test_health_is_503_when_the_tables_do_not_answer_and_asks_them_every_5_seconds() -> None:
    world = World()
    assert world.call("GET", "/health", token=None).status == 200

    world.bms_settings.down = TryLater("The tables do not answer.")
    assert world.call("GET", "/health", token=None).status == 200

    world.clock.pass_(timedelta(seconds=5))
    answer = world.call("GET", "/health", token=None)
    assert (answer.status, answer.body) == (503, "unavailable")
