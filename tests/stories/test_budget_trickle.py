"""BMS's calls come free one by one, since the window before was spent evenly (R25).

Bulk work then moves in small steps for a long time, and nobody may wait for it: neither a fresh
change of one of its people, nor leavers of another customer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.data.tables import TableServiceClient, UpdateMode

from infra.local.admin import wait_for
from infra.local.world import World
from shared.core import budget
from shared.core.budget import Limit
from tests.stories.story import BMS_SETTINGS, Story, say
from tests.stories.test_budget_day import CHANGE, CREATE, LIMIT, NEVER, Changes, Customer

READ = "GET /v2/crm/contacts/summary/{id}"
WINDOW, PEOPLE, LEAVERS = 20, 60, 15  # together fewer than the share
ALLOWED = Limit(LIMIT, timedelta(seconds=WINDOW))


@dataclass(frozen=True)
class Seen:
    """What reached BMS."""

    made: Mapping[str, float]  # new title → when it was set in Entra
    writes: list[Any]

    def fresh(self) -> list[float]:
        """Seconds from each change in Entra to BMS."""
        came = {title: one.at for one in self.writes for title in _values(one, "/JobTitle")}
        return [came.get(title, float("inf")) - at for title, at in self.made.items()]

    def moves(self) -> list[float]:
        """When bulk work moved somebody; a fresh change takes the new location along."""
        moves = [one for one in self.writes if _values(one, "/LocationId")]
        return [one.at for one in moves if not _values(one, "/JobTitle")]

    def deactivations(self) -> list[float]:
        return [one.at for one in self.writes if False in _values(one, "/IsActive")]


def _values(write: Any, path: str) -> list[Any]:
    steps = write.body if isinstance(write.body, list) else []
    return [step["value"] for step in steps if step["path"] == path]


def spend_evenly(world: World) -> None:
    """Another instance has used the whole bulk share by now, and in every moment as much."""
    last = budget.slot_of(datetime.now(UTC), ALLOWED)
    slots, spent = [], 0
    for number in range(budget.SLOTS + 1):
        due = ALLOWED.bulk * number // budget.SLOTS
        slots.append(f"{last - budget.SLOTS + number}:0:{due - spent}")
        spent = due
    connection = world.storage_connection_string
    with TableServiceClient.from_connection_string(connection) as service:
        # New people do not matter here, and are not to hold up the others.
        for endpoint, spending in ((READ, slots), (CHANGE, slots), (CREATE, [])):
            entity = {
                "PartitionKey": "bms",
                "RowKey": endpoint.replace("/", "|"),
                "endpoint": endpoint,
                "slotSeconds": ALLOWED.slot.total_seconds(),
                "slots": ";".join(spending),
                "writers": "",
                "pausedUntil": "",
            }
            service.get_table_client("budget").upsert_entity(entity, mode=UpdateMode.REPLACE)


@pytest.fixture(scope="module")
def seen() -> Seen:
    with World() as world:
        host = world.start_host(SWEEP_SCHEDULE=NEVER)
        admin = Story(world, host).admin
        limits = {"hourlyLimit": 20 * LIMIT, "limitWindowSeconds": WINDOW}
        admin.call("PUT", "/api/settings/bms", {**BMS_SETTINGS, **limits})
        first, second = (world.bms.add_account(name).id for name in ("Leaving", "Moving"))
        branch = world.bms.add_location(second, "Branch")
        leaving = Customer(world, host, "leaving.example", LEAVERS, first)
        moving = Customer(world, host, "moving.example", PEOPLE, second)
        for one in (leaving, moving):
            assert admin.finished(one.order(), 60)["failed"] == 0
        tenant = leaving.story.tenant
        for held in world.entra.subscriptions(tenant):
            world.entra.drop_subscription(held["id"])
        world.entra.remove_members(tenant, leaving.group, leaving.people)

        limits["hourlyLimit"] = LIMIT
        admin.call("PUT", "/api/settings/bms", {**BMS_SETTINGS, **limits})
        spend_evenly(world)
        moving.story.change_rule(moving.group, location=branch)
        runs = [moving.order()]
        changes = Changes(moving, 1.3)
        people = [moving.people[number * 7 % PEOPLE] for number in range(PEOPLE)]
        thread = threading.Thread(target=changes.run, args=(people,))
        thread.start()
        try:
            time.sleep(6)
            runs.append(leaving.order())
            for run in runs:
                assert admin.finished(run, 5 * WINDOW)["failed"] == 0
        finally:
            changes.stop.set()
            thread.join()
        last = list(changes.made)[-1]
        wait_for(lambda: last in repr(world.bms.writes()[-50:]), 30, what="the last change")
        return Seen(changes.made, world.bms.writes())


@pytest.mark.world
def test_r25_fresh_changes_do_not_wait_for_bulk_work_that_waits(seen: Seen) -> None:
    say(f"fresh changes took {' '.join(f'{one:.1f}' for one in seen.fresh())} s")
    assert len(seen.made) > 9
    assert max(seen.fresh()) < 5


@pytest.mark.world
def test_r25_calls_that_come_free_one_by_one_are_all_used(seen: Seen) -> None:
    bulk = sorted(seen.moves() + seen.deactivations())
    share = (len(bulk) - 1) / (bulk[-1] - bulk[0]) / (ALLOWED.bulk / WINDOW)

    say(f"{share:.1%} of the bulk share")
    assert PEOPLE - len(seen.made) <= len(seen.moves()) <= PEOPLE
    assert len(seen.deactivations()) == LEAVERS
    assert share >= 0.95 - 2 / WINDOW


@pytest.mark.world
def test_r25_leavers_are_not_kept_waiting_by_people_of_less_haste(seen: Seen) -> None:
    leavers = sorted(seen.deactivations())
    first, most = leavers[0], leavers[LEAVERS * 9 // 10 - 1]
    others = [at for at in seen.moves() if first + 1 < at < most]

    assert not others
    assert max(seen.moves()) > most  # there was somebody to go before
