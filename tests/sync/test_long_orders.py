"""Long orders of some tenants keep no other tenant from its sweep or full sync (R21, R24)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.core.messages import SweepOrder
from shared.core.model import FieldChange
from tests.sync.office import Office
from tests.sync.test_preview import ask, people, wish
from tests.sync.test_undo import undo
from tests.sync.world import World


@pytest.mark.parametrize("kind", ["preview", "undo", "drift"])
def test_one_long_order_of_a_kind_is_carried_out_and_the_next_waits_in_the_queue_r24(
    kind: str,
) -> None:
    office, began = Office(), []

    def long(order: SweepOrder) -> None:
        began.append(order)
        if len(began) == 1:
            office.sweep.handle(order)  # another thread comes with the next one

    office.sweep = replace(office.sweep, orders={kind: long})

    office.run(kind=kind)

    assert len(began) == 1
    assert [order.kind for order in office.taken()] == [kind]
    office.run(kind=kind)
    assert len(began) == 2, "the place is free again"


@pytest.mark.world
def test_a_preview_knows_that_an_undone_creation_left_the_record_inactive_r5_r12(
    world: World,
) -> None:
    ada = world.hire("ada")
    world.sync(ada)
    undo(world, ada, "create")
    world.change(ada, job_title="Chief")

    preview = ask(world, wish(world.rule))

    said = people(world, preview)[ada.id].changes
    world.full_sync()
    assert FieldChange("active", "no", "yes") in said
    assert set(said) == set(world.activity(ada)[-1].changes)
