"""The fault matrix, the app's own storage: tables and queues, every fault (R21 to R24).

As in test_fault_matrix_entra.py. The storage is the real emulator behind a proxy that fails for one
connection's calls, and in passing also for what the function host takes from the queues.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from infra.local.world import World
from tests.stories.faults_forms import FAULTS, Queues, Tables
from tests.stories.faults_play import Cell, Matrix, chosen_cells, judge

pytestmark = pytest.mark.world

CELLS = [Cell(service, fault) for service in (Tables, Queues) for fault in FAULTS]


@pytest.fixture(scope="module")
def matrix(request: pytest.FixtureRequest) -> Iterator[Matrix]:
    """The chosen cells, under way."""
    with World(storage_faults=True, lease_seconds=10) as world:
        played = Matrix(world, world.start_host(), chosen_cells(request))
        played.start()
        yield played
        played.close()


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_a_fault_is_told_of_while_it_lasts_and_leaves_no_trace(matrix: Matrix, cell: Cell) -> None:
    judge(matrix, cell)
