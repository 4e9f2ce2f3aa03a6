"""The host is killed (SIGKILL) at random moments, and BMS ends as the oracle says (R21, R22).

A worker that dies leaves half of its work: a record without a link, a claim, a lock, a part of a
full sync, a message that comes back when its lease ends. Nobody may be in BMS twice or be missing,
no message may be lost, and nothing may be left for a person to look at.
"""

from __future__ import annotations

import random
import time
from typing import Any

import pytest

from infra.local.admin import wait_for
from tests.stories.changes import Changes, NobodyLeft
from tests.stories.population import Population, populate
from tests.stories.story import BMS_SETTINGS, Story, say
from tests.torture.chance import seeded_by_environment, whole
from tests.torture.killing import Killer

NO_HOLD = {"count": 10_000, "percent": 100, "atMost": 10_000}
# Slow enough that a kill often falls between a write to BMS and the write of the link.
WRITE_SECONDS = 0.08
PACE = 0.05  # seconds between two changes of a stream
WAVE = {
    "rename": 3,
    "marry": 2,
    "mail": 3,
    "title": 3,
    "no_title": 2,
    "work": 2,
    "no_work": 2,
    "mobile": 2,
    "hire": 6,
    "block": 2,
    "soft_delete": 2,
    "hard_delete": 1,
    "leave": 2,
    "move": 4,
    "to_guest": 1,
}


class Mortals:
    """The customer of a host that dies."""

    def __init__(self, story: Story, chance: random.Random, people: int) -> None:
        self.story, self.chance = story, chance
        story.bms.set_switches(rate_limit_on=False)
        story.admin.call("PUT", "/api/settings/bms", {**BMS_SETTINGS, "hourlyLimit": 1_000_000})
        story.connect(holdLimit=NO_HOLD, mode="application")
        self.made: Population = populate(chance, story.customers(), people)
        story.load(self.made)
        for rule in self.made.rules:
            story.add_rule(rule)
        story.bms.add_fault("slow", "POST /v2/crm/contacts", seconds=WRITE_SECONDS)
        story.bms.add_fault("slow", "PATCH /v2/crm/contacts*", seconds=WRITE_SECONDS)
        self.changes = Changes(story, self.made, chance)

    def killer(self, most: int, first: float, last: float) -> Killer:
        return Killer(self.story.host, self.chance, most=most, pause=(first, last))

    def first_sync(self, kills: int) -> int:
        """A full sync of everybody under kills; answers how many there were."""
        story = self.story
        order = story.admin.call("POST", f"/api/connections/{story.connection}/sync", FULL)
        with self.killer(kills, 0.1, 1.2) as killer:
            killer.wait_until_done()
        began = time.monotonic()
        run = story.admin.finished(order["syncId"], timeout=150)
        say(f"{killer.kills} kills in the first sync, done {time.monotonic() - began:.1f} s later")
        assert (run["state"], run["failed"]) == ("done", 0), run
        self.comes_to_rest()
        story.oracle.settle(story.linked_first())
        assert story.differences() == []
        return killer.kills

    def wave(self, kills: int) -> int:
        """A stream of changes under kills."""
        story, changes = self.story, self.changes
        changes.release()
        happened = 0
        with self.killer(kills, 0.2, 1.5) as killer:
            for kind in self.chance.sample([*WAVE], counts=WAVE.values(), k=sum(WAVE.values())):
                try:
                    changes.happen(kind)
                except NobodyLeft:
                    continue  # everybody has had his change
                happened += 1
                time.sleep(PACE)
            killer.wait_until_done()
        assert happened, "nothing was changed under these kills"
        story.oracle.settle()
        say(f"  {killer.kills} kills; settled after {story.settles(120, every=0.5):.1f} s")
        self.comes_to_rest()
        assert story.differences() == []
        return killer.kills

    def comes_to_rest(self) -> None:
        """No message is left anywhere, poison queues included."""

        began = time.monotonic()

        def empty() -> bool:
            backlog: dict[str, int] = self.story.admin.call("GET", "/api/status")["backlog"]
            self.backlog = backlog
            return not any(backlog.values())

        try:
            wait_for(empty, 90, every=0.5, what="empty queues")
        except TimeoutError as late:
            raise AssertionError(f"{late}: {self.backlog}") from None
        say(f"  at rest {time.monotonic() - began:.1f} s later")

    def ends_well(self) -> None:
        """Nothing is left for a person, and everything that is remembered agrees with BMS."""
        story = self.story
        assert story.admin.items("/api/failures") == []
        connection = story.admin.call("GET", f"/api/connections/{story.connection}")
        assert (connection["state"], connection["reason"]) == ("connected", None)
        story.bms.clear_counters()
        run = story.admin.sync(story.connection, timeout=60)
        assert (run["state"], run["failed"]) == ("done", 0), run
        assert story.bms.writes() == []
        assert story.differences() == []
        assert story.nobody_was_deleted()


FULL: dict[str, Any] = {"kind": "full"}


@pytest.mark.world
@pytest.mark.timeout(400)
def test_whoever_is_killed_nobody_is_doubled_missing_or_forgotten_r22(mortal: Story) -> None:
    mortals = Mortals(mortal, seeded_by_environment("killed", "test"), people=100)
    assert mortals.first_sync(kills=3) == 3
    assert mortals.wave(kills=3) == 3
    mortals.ends_well()


@pytest.mark.torture
@pytest.mark.timeout(7200)
def test_fifty_kills_leave_nobody_doubled_missing_or_forgotten_r22(mortal: Story) -> None:
    wished = whole("TORTURE_KILLS", 60)
    mortals = Mortals(mortal, seeded_by_environment("kills"), people=400)
    kills = mortals.first_sync(kills=wished // 3)
    while kills < wished:
        kills += mortals.wave(kills=min(6, wished - kills))
        say(f"{kills} kills")
    mortals.ends_well()
