"""R30: troubles are told once and taken off when mended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from shared.core.model import Connection, ConnectionId, Mode, Trouble
from shared.errors import PersonMustAct
from shared.sync.troubles import clear, record, trouble_of
from tests.fakes import START, FakeConnections

ID = ConnectionId("c1")
LATER = START + timedelta(hours=1)


class Writes(FakeConnections):
    """Counts writes."""

    count = 0

    def update(
        self, connection_id: ConnectionId, change: Callable[[Connection], Connection]
    ) -> Connection | None:
        self.count += 1
        return super().update(connection_id, change)


def held() -> Writes:
    connections = Writes()
    connections.add(
        Connection(
            id=ID,
            tenant_domain="contoso.test",
            application_id="app",
            mode=Mode.APPLICATION,
            created_at=START,
            connected_at=START,
        )
    )
    return connections


def test_the_same_trouble_again_writes_nothing_and_keeps_its_beginning() -> None:
    connections = held()

    record(connections, ID, Trouble("a", "r", "n", START))
    record(connections, ID, Trouble("a", "r", "n", LATER))

    assert connections.count == 1
    assert connections.held[ID].troubles == (Trouble("a", "r", "n", START),)


def test_another_reason_takes_the_place_of_the_old_one() -> None:
    connections = held()
    record(connections, ID, Trouble("a", "r", "n", START))
    record(connections, ID, Trouble("b", "r", "n", START))

    record(connections, ID, Trouble("a", "r2", "n", LATER))

    assert [(each.code, each.reason) for each in connections.held[ID].troubles] == [
        ("b", "r"),
        ("a", "r2"),
    ]


def test_clearing_what_is_not_there_writes_nothing() -> None:
    connections = held()

    clear(connections, ID, {"a"})
    clear(connections, ConnectionId("gone"), {"a"})

    assert connections.count == 0


def test_a_trouble_from_before_a_new_connect_is_not_recorded() -> None:
    connections = held()
    seen = connections.held[ID]
    connections.held[ID] = replace(seen, connected_at=LATER)

    record(connections, ID, Trouble("a", "r", "n", LATER), seen=seen)

    assert connections.held[ID].troubles == ()


def test_without_a_sign_in_or_permission_nothing_can_be_read_and_anything_else_goes_on() -> None:
    assert trouble_of(PersonMustAct("s", "n", code="sign-in-revoked"), START).blocks
    assert trouble_of(PersonMustAct("s", "n", code="permissions"), START).blocks
    assert not trouble_of(PersonMustAct("s", "n", code="bms-sign-in"), START).blocks
