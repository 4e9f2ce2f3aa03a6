"""/api/status and /health."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from shared import VERSION
from shared.core.model import Activity, ConnectionId, Cursors, HoldLimit, Subscription
from shared.core.signin_trouble import SIGN_IN_CODES
from shared.core.trouble_texts import mass_failure, too_many_leavers
from shared.errors import TryLater
from shared.ports import EndpointBudget
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


def test_r25_status_shows_the_budget_of_each_endpoint() -> None:
    world = a_ready_world()
    world.budget.endpoints = [
        EndpointBudget(
            endpoint="PATCH /v2/crm/contacts/{id}",
            limit=1500,
            window=timedelta(hours=1),
            used_fresh=20,
            used_bulk=1200,
            free_fresh=265,
            free_bulk=0,
            bulk_share=1200,
            bulk_free_in=timedelta(minutes=40),
            paused_until=START + timedelta(seconds=60),
        )
    ]

    [shown] = world.call("GET", "/api/status").body["budget"]

    assert shown == {
        "endpoint": "PATCH /v2/crm/contacts/{id}",
        "limit": 1500,
        "windowSeconds": 3600,
        "usedFresh": 20,
        "usedBulk": 1200,
        "freeFresh": 265,
        "freeBulk": 0,
        "bulkShare": 1200,
        "bulkFreeInSeconds": 2400,
        "pausedUntil": "2026-03-02T09:01:00Z",
    }


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


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("sign-in-secret-expired", "secret"),
        ("sign-in-secret-wrong", "secret"),
        ("sign-in-consent", "consent"),
        ("sign-in-scopes-missing", "consent"),
        ("permissions", "consent"),
        ("sign-in-policy", "sign-in"),
        ("sign-in-revoked", "sign-in"),
        ("bms-signin", "bms"),
        ("bms-rights", "bms"),
    ],
)
def test_r30_what_is_refused_already_stands_first_in_the_calendar(code: str, kind: str) -> None:
    today = date(2026, 3, 2)
    soon = a_connection("fabrikam", secret_expires_on="2026-03-03")
    refused = a_connection(troubles=(a_trouble(code),))

    first, second = credential_calendar([soon, refused], today)

    assert (first.kind, first.notice, first.words) == (kind, 0, "The secret is wrong.")
    assert first.connection == (None if kind == "bms" else refused)
    assert (second.connection, second.notice) == (soon, 3)


def test_r30_the_codes_of_consent_are_codes_that_a_sign_in_can_end_with() -> None:
    codes = ("sign-in-consent", "sign-in-scopes-missing", "sign-in-admin-needed", "permissions")

    assert SIGN_IN_CODES.issuperset({*codes, "sign-in-declined", "sign-in-secret-expired"})


@pytest.mark.parametrize(("days", "notice"), [(27, None), (4, None), (3, 3), (0, 3), (-1, 0)])
def test_r30_a_subscription_that_nobody_extends_is_noticed(days: int, notice: int | None) -> None:
    today = START.date()
    connection = a_connection()
    ends = START + timedelta(days=days)
    held = [
        Subscription(connection.id, resource, "id", ends, START) for resource in ("users", "groups")
    ]

    entries = credential_calendar([connection], today, {connection.id: held})

    assert [(each.kind, each.notice) for each in entries] == [("subscription", notice)] * 2


@pytest.mark.parametrize(
    ("members", "missing"),
    [
        ({}, 1),
        ({"paused": True}, 0),
        ({"first_sync_at": None}, 0),
        ({"connected_at": START}, 0),
        ({"resumed_at": START}, 0),
    ],
)
def test_r30_a_subscription_that_is_lost_is_noticed(
    members: dict[str, object], missing: int
) -> None:
    long_ago = START - timedelta(days=9)
    standard = {"connected_at": long_ago, "first_sync_at": long_ago}
    connection = a_connection("contoso", **{**standard, **members})
    held = [Subscription(connection.id, "users", "id", START + timedelta(days=20), START)]

    entries = credential_calendar([connection], START.date(), {connection.id: held})

    lost = [each for each in entries if each.notice == 0]
    assert len(lost) == missing
    assert all("groups" in each.words for each in lost)


def test_r20_r30_waiting_leavers_and_a_stopped_connection_stand_in_the_status() -> None:
    world = a_ready_world()
    leavers = too_many_leavers(400, HoldLimit(), START)
    stopped = mass_failure(21, 50, "BMS refuses the name.", START)
    world.add(a_connection("fabrikam", troubles=(leavers,)))
    world.add(a_connection("tailspin", troubles=(leavers, stopped)))

    _, fabrikam, tailspin = world.call("GET", "/api/status").body["connections"]

    assert fabrikam["state"] == tailspin["state"] == "attention"
    assert fabrikam["reason"].startswith("400 people wait to be deactivated")
    assert "hold" in fabrikam["nextStep"]
    assert tailspin["reason"].startswith("21 of the last 50"), "what stops everything comes first"
    assert "resume" in tailspin["nextStep"]


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
