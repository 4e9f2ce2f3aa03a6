"""One world per test, on the session's Azurite and BMS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from infra.local.bms.process import BmsProcess
from tests.real_storage import RealStorage
from tests.sync.world import World


@pytest.fixture
def world(real_storage: RealStorage, bms: BmsProcess) -> Iterator[World]:
    one = World(real_storage, bms)
    yield one
    one.close()
