"""One world per test, on the session's Azurite and BMS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from infra.local.bms.process import BmsProcess
from infra.local.itglue.process import ItGlueProcess
from tests.real_storage import RealStorage
from tests.sync.itglue_world import GlueWorld
from tests.sync.world import World


@pytest.fixture
def world(real_storage: RealStorage, bms: BmsProcess) -> Iterator[World]:
    one = World(real_storage, bms)
    yield one
    one.close()


@pytest.fixture
def glue_world(
    real_storage: RealStorage, bms: BmsProcess, itglue: ItGlueProcess
) -> Iterator[GlueWorld]:
    one = GlueWorld(real_storage, bms, itglue)
    yield one
    one.close()
    methods = {line["method"] for line in one.glue.log()}
    assert methods <= {"GET", "POST", "PATCH"}, "never DELETE (R16)"
