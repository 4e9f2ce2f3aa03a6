"""What is over goes after the setting's days; holds that nobody decided end (R20)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast

import pytest

from shared.config import Settings, read_settings
from shared.core.model import HoldMark
from shared.errors import Misconfigured, TryLater
from shared.sync.holding import Holding
from shared.sync.retention import Retention
from tests.adapters.archive import kept
from tests.fakes import START, Clock
from tests.fakes_previews import FakePreviews
from tests.sync.world import World

DAYS = 90


@dataclass
class Archive:
    asked: list[datetime] = field(default_factory=list)

    def remove_before(self, moment: datetime) -> int:
        self.asked.append(moment)
        return 7


class DownHolding:
    def expire(self) -> int:
        raise TryLater("The tables are away.")


def test_it_removes_what_is_older_than_the_setting() -> None:
    archive, clock = Archive(), Clock()
    holding = cast(Holding, type("Nothing", (), {"expire": lambda _: 0})())

    assert Retention(archive, holding, DAYS, FakePreviews(), clock).run() == 7

    assert archive.asked == [START - timedelta(days=DAYS)]


def test_trouble_with_a_hold_does_not_keep_the_rest_for_ever() -> None:
    archive = Archive()

    with pytest.raises(TryLater):
        Retention(archive, cast(Holding, DownHolding()), DAYS, FakePreviews(), Clock()).run()

    assert len(archive.asked) == 1


@pytest.mark.world
def test_a_refusal_outlives_its_hold_and_can_be_taken_back_r20(world: World) -> None:
    people = [world.hire(f"u{number}") for number in range(8)]
    world.sync(*people)
    for user in people:
        world.leave(user)
    world.sync(*people)
    (hold,) = world.worker.holds.list()
    world.worker.holding.refuse(hold.id, None)
    retention = Retention(
        kept(world.storage), world.worker.holding, DAYS, FakePreviews(), world.clock
    )
    world.clock.pass_(timedelta(days=400))

    retention.run()
    world.full_sync()
    assert len(world.bms.contacts(is_active=True)) == 8

    world.worker.holding.approve(hold.id, [user.id for user in people])
    world.deliver()
    assert world.bms.contacts(is_active=True) == []
    retention.run()
    assert world.worker.holds.list() == []
    assert world.worker.holds.people(hold) == []


@pytest.mark.world
def test_it_ends_holds_after_7_days_whatever_the_setting_r20(world: World) -> None:
    people = [world.hire(f"u{number}") for number in range(8)]
    world.sync(*people)
    for user in people:
        world.leave(user)
    world.sync(*people)
    world.clock.pass_(timedelta(days=7, minutes=1))

    Retention(kept(world.storage), world.worker.holding, 3650, FakePreviews(), world.clock).run()

    (hold,) = world.worker.holds.list()
    assert hold.state == "expired"
    links = [world.link(user) for user in people]
    assert {link.hold for link in links if link} == {HoldMark.EXPIRED}
    assert len(world.bms.contacts(is_active=True)) == 8


def settings(days: str) -> Settings:
    return read_settings(
        {
            "AzureWebJobsStorage": "UseDevelopmentStorage=true",
            "KEY_VAULT_URL": "https://vault.example",
            "PUBLIC_URL": "https://sync.example",
            "RETENTION_DAYS": days,
        }
    )


@pytest.mark.parametrize(("text", "days"), [("", 90), (" ", 90), ("1", 1), (" 30 ", 30)])
def test_the_days_are_a_setting_with_a_sensible_default(text: str, days: int) -> None:
    assert settings(text).retention_days == days


@pytest.mark.parametrize("text", ["0", "-1", "3651", "1.5", "ninety", "90d"])
def test_days_that_are_no_number_of_days_are_refused_at_start(text: str) -> None:
    with pytest.raises(Misconfigured, match="RETENTION_DAYS"):
        settings(text)
