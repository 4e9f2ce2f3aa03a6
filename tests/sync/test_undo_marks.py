"""What the link remembers after an undo, and who is kept as if refused (R12, R13, R20)."""

from __future__ import annotations

import pytest

from tests.sync.test_drift import found
from tests.sync.test_undo import undo
from tests.sync.world import World

pytestmark = pytest.mark.world


def test_after_an_undone_merge_an_empty_field_clears_nothing_that_was_typed_r13(
    world: World,
) -> None:
    world.bms.add_contact(
        world.contoso.id, "Ada", "Lind", ["ada@contoso.example"], job_title="Typed by hand"
    )
    ada = world.hire("ada", job_title="From Entra")
    world.sync(ada)
    undo(world, ada, "merge")
    assert found(world) == {}

    world.sync(world.change(ada, job_title=""))

    assert world.record(ada).job_title == "Typed by hand"


def test_after_an_undone_update_an_empty_field_clears_nothing_that_was_typed_r13(
    world: World,
) -> None:
    ada = world.hire("ada", job_title="A")
    world.sync(ada)
    world.bms.edit_contact(world.record(ada).id, job_title="By hand")
    ada = world.change(ada, job_title="B")
    world.sync(ada)
    undo(world, ada, "update")
    assert world.record(ada).job_title == "By hand"

    world.sync(world.change(ada, job_title=""))

    assert world.record(ada).job_title == "By hand"


def test_after_an_undone_update_an_empty_field_clears_what_the_app_wrote_r13(
    world: World,
) -> None:
    ada = world.hire("ada", job_title="A")
    world.sync(ada)
    ada = world.change(ada, job_title="B")
    world.sync(ada)
    undo(world, ada, "update")

    world.sync(world.change(ada, job_title=""))

    assert not world.record(ada).job_title
