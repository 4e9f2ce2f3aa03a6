"""What an undo asks of others: claims, BMS's limit, Entra (R22, R25)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.errors import Limited, TryLater
from tests.sync.test_undo import reasons, undo, undo_sync
from tests.sync.world import World

pytestmark = pytest.mark.world


def test_whose_lines_wrote_nothing_is_claimed_by_nobody_r22(world: World) -> None:
    world.hire("ada", mail="", upn="")
    run = world.full_sync()
    saves: list[str] = []
    world.worker.tap = lambda call, at: saves.append(call) if call == "links.save" else None

    report = undo_sync(world, run.id)

    assert reasons(report) == ["this decision wrote nothing to BMS"]
    assert saves == []


def test_an_undo_stops_at_the_first_long_limit_r25(world: World) -> None:
    for number in range(60):
        world.hire(f"u{number}")
    run = world.full_sync()
    asked: list[str] = []

    def limited(call: str, at: str) -> None:
        if (call, at) == ("bms.contact", "before"):
            asked.append(call)
            raise Limited("BMS's hourly limit is spent.", timedelta(minutes=20))

    world.worker.tap = limited
    ordered = world.worker.undo.sync(run.id)
    (order,) = world.inbox.waiting
    world.inbox.waiting.remove(order)
    world.worker.handle(order.queue, order.text)
    (part,) = world.inbox.waiting
    world.inbox.waiting.remove(part)

    world.worker.handle(part.queue, part.text)

    assert 0 < len(asked) <= 24
    world.worker.tap = lambda call, at: None
    world.clock.pass_(timedelta(minutes=21))
    world.deliver()
    assert ordered.run is not None
    report = world.worker.undo.report(ordered.run.id, limit=100, cursor=None)
    assert [one.undone for one in report.outcomes] == [True] * 60


def test_an_undo_needs_no_entra(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = world.hire("ada")
    world.sync(ada)

    def closed(connection: object) -> None:
        raise TryLater("Entra does not answer.")

    monkeypatch.setattr(world.directories, "open", closed)

    report = undo(world, ada, "create")

    assert [one.undone for one in report.outcomes] == [True]
    assert not world.record(ada).is_active
