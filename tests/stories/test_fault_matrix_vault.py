"""The fault matrix, Key Vault: values are kept, so only a process that begins feels its faults.

The host is started anew while the vault fails. What comes in meanwhile waits, and is done when the
vault answers again (R24, R29).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from infra.local.world import World
from tests.stories.faults_forms import FAULTS, Vault
from tests.stories.faults_play import Cell, Matrix, Meeting, chosen_cells, judge

pytestmark = pytest.mark.world

CELLS = [Cell(Vault, fault) for fault in FAULTS]


@pytest.fixture(scope="module")
def matrix(request: pytest.FixtureRequest) -> Iterator[Matrix]:
    """The chosen cells, under way; the host begins anew when all of them are under a fault."""
    with World(lease_seconds=10) as world:
        host = world.start_host()
        cells = chosen_cells(request)
        played = Matrix(world, host, cells)
        meeting = Meeting(len(cells), host.restart)
        for cell in cells:
            played[cell].meanwhile = meeting
        played.start()
        yield played
        played.close()


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_a_fault_is_told_of_while_it_lasts_and_leaves_no_trace(matrix: Matrix, cell: Cell) -> None:
    judge(matrix, cell)


def test_no_stack_trace_is_in_the_log(matrix: Matrix) -> None:
    assert matrix.traces() == []
