"""Timer triggers of the local function host."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.data.tables import TableClient

from infra.local.host.ncrontab import parse_schedule
from infra.local.network.azurite import Azurite
from tests.local.host_app import RunningHost, wait_for, write_app

_APP = """
import asyncio, json

@app.timer_trigger(schedule="%EVERY%", arg_name="timer", use_monitor=False)
def ticking(timer: func.TimerRequest) -> None:
    note(f"tick {timer.past_due} {timer.schedule_status}")

@app.timer_trigger(schedule="* * * * * *", arg_name="timer")
def raising(timer: func.TimerRequest) -> None:
    note("raise")
    raise ValueError("as always")

@app.timer_trigger(schedule="* * * * * *", arg_name="timer")
async def slow(timer: func.TimerRequest) -> None:
    note("slow begins")
    await asyncio.sleep(1.5)
    note("slow ends")

@app.timer_trigger(schedule="0 0 0 1 1 *", arg_name="timer", run_on_startup=True)
def at_start(timer: func.TimerRequest) -> None:
    note(f"start {timer.past_due}")

@app.timer_trigger(schedule="0 0 0 1 1 *", arg_name="timer")
@app.retry(strategy="fixed_delay", max_retry_count="2", delay_interval="00:00:00")
def retried(timer: func.TimerRequest, context: func.Context) -> None:
    note(f"try {context.retry_context.retry_count} of {context.retry_context.max_retry_count}")
    raise ValueError("again")
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    app = write_app(tmp_path_factory.mktemp("timers") / "app", _APP)
    with RunningHost(app, EVERY="*/1 * * * * *") as running:
        yield running


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 */5 * * * *", "2026-01-01T00:05:00"),
        ("30 2/20 * * * *", "2026-01-01T00:02:30"),
        ("0 0 9 * * Mon-Fri", "2026-01-01T09:00:00"),
        # The day of the month AND the day of the week must match: Friday the 13th.
        ("0 0 0 13 * 5", "2026-02-13T00:00:00"),
        ("0 0 0 1 JANUARY *", "2027-01-01T00:00:00"),
    ],
)
def test_the_next_occurrence_is_ncrontabs(text: str, expected: str) -> None:
    schedule = parse_schedule(text, "f")
    assert schedule.next_after(datetime(2026, 1, 1, tzinfo=UTC)) == datetime.fromisoformat(
        expected
    ).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "faster"), [("* * * * * *", True), ("0,30 * * * * *", True), ("0 * * * * *", False)]
)
def test_only_schedules_faster_than_a_minute_are_not_monitored(text: str, faster: bool) -> None:
    assert parse_schedule(text, "f").faster_than_a_minute is faster


def test_a_timer_runs_by_the_schedule_in_its_setting(host: RunningHost) -> None:
    ticks = wait_for(lambda: [*host.notes("tick")][1:])
    assert set(ticks) == {"tick False {}"}


def test_an_exception_does_not_stop_a_timer(host: RunningHost) -> None:
    wait_for(lambda: len(host.notes("raise")) >= 2)


def test_a_timer_never_overlaps_itself(host: RunningHost) -> None:
    wait_for(lambda: len(host.notes("slow ends")) >= 2)
    begins_and_ends = [line.split()[1] for line in host.notes("slow")]
    assert begins_and_ends == ["begins", "ends"] * (len(begins_and_ends) // 2) + ["begins"] * (
        len(begins_and_ends) % 2
    )


def test_run_on_startup_runs_at_start(host: RunningHost) -> None:
    assert wait_for(lambda: host.notes("start")) == ["start False"]


def test_a_timer_can_be_started_by_hand_and_obeys_its_retry_policy(host: RunningHost) -> None:
    assert host.call("POST", "/admin/functions/retried", json={}).status_code == 202
    wait_for(lambda: len(host.notes("try")) >= 3)
    assert host.notes("try") == ["try 0 of 2", "try 1 of 2", "try 2 of 2"]
    assert host.call("POST", "/admin/functions/nobody", json={}).status_code == 404


@pytest.mark.world
def test_a_monitored_timer_that_was_missed_runs_once_as_past_due(tmp_path: Path) -> None:
    app = write_app(
        tmp_path / "app",
        """
        @app.timer_trigger(schedule="0 0 0 1 1 *", arg_name="timer")
        def yearly(timer: func.TimerRequest) -> None:
            note(f"past due: {timer.past_due}, last {timer.schedule_status['Last'][:4]}")
        """,
    )
    azurite = Azurite(tmp_path / "azurite.log")
    azurite.start()
    azurite.wait_ready()
    try:
        storage = azurite.connection_string
        table = TableClient.from_connection_string(storage, "LocalHostTimers")
        with RunningHost(app, AzureWebJobsStorage=storage) as host:
            (row,) = wait_for(lambda: _rows(table))
            assert host.notes() == []
        row["due"] = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
        table.upsert_entity(row)
        with RunningHost(app, AzureWebJobsStorage=storage) as host:
            assert wait_for(host.notes) == ["past due: True, last 0001"]
            wait_for(lambda: _rows(table)[0]["last"])
        with RunningHost(app, AzureWebJobsStorage=storage) as host:
            assert len(host.notes()) == 1
    finally:
        azurite.stop()


def _rows(table: TableClient) -> list[dict[str, str]]:
    try:
        return [dict(row) for row in table.list_entities()]
    except Exception:
        return []
