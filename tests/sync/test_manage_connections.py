"""Managing connections where the outside fails or somebody is quicker."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.core.model import Connection, ConnectionId
from shared.errors import BadInput
from shared.sync.connections import ConnectionChange, NewConnection
from shared.sync.new_id import new_id
from shared.sync.re_evaluation import ReEvaluation
from tests.fakes import START
from tests.web.world import APP_ID, World, a_connection


def test_of_two_who_add_one_tenant_at_the_same_moment_none_leaves_a_second() -> None:
    world = World()
    plain_add = world.connections.add

    def somebody_is_quicker(connection: Connection) -> None:
        plain_add(replace(connection, id=ConnectionId("quicker")))
        plain_add(connection)

    world.connections.add = somebody_is_quicker  # type: ignore[method-assign]

    with pytest.raises(BadInput) as refused:
        world.manage.add(NewConnection("contoso.example", APP_ID, "abc8Q~value"))

    assert refused.value.status == 409
    assert list(world.connections.held) == ["quicker"]
    assert not world.vault.held


def test_a_change_keeps_what_somebody_else_changed_meanwhile() -> None:
    world = World()
    connection = world.add(a_connection())
    plain_update = world.connections.update

    def after_a_sweep(*given: object) -> Connection | None:
        plain_update(connection.id, lambda now: replace(now, rules_edited_at=START))
        return plain_update(*given)  # type: ignore[arg-type]

    world.connections.update = after_a_sweep  # type: ignore[method-assign,assignment]
    changed = world.manage.change(connection.id, ConnectionChange(on_leave="keep")).connection

    assert (changed.on_leave, changed.rules_edited_at) == ("keep", START)


def test_r5_the_edit_is_noted_before_its_order_is_sent() -> None:
    world = World()
    connection = world.add(a_connection(first_sync_at=START))

    ReEvaluation(world.connections, world.queues, world.clock).order(connection.id, gather=True)

    [(order, _)] = world.queues.sweep_orders
    assert order.stamp == world.now(connection).rules_edited_at == START


def test_re_evaluating_a_connection_that_is_gone_does_nothing() -> None:
    world = World()

    ReEvaluation(world.connections, world.queues, world.clock).order(
        ConnectionId("gone"), gather=True
    )

    assert not world.queues.sent


def test_the_application_key_is_in_no_representation() -> None:
    new = NewConnection("contoso.example", APP_ID, "abc8Q~value")

    assert "abc8Q" not in repr(new)
    assert "abc8Q" not in repr(ConnectionChange(application_key="abc8Q~value"))


def test_ids_are_short_lower_case_and_fit_for_the_name_of_a_secret() -> None:
    ids = {new_id() for _ in range(1000)}

    assert len(ids) == 1000
    assert all(len(one) == 10 and one.isalnum() and one == one.lower() for one in ids)
