"""The fault matrix, Microsoft's side: sign-in and Graph, every fault.

In each cell the fault first strikes a few calls and passes: nobody is told of anything. Then it
lasts: whoever asks gets a plain sentence that names the service. When it is over, BMS is as the
oracle says without anybody's doing, nothing calls for a person any more, and a full sync has
nothing to write (R21 to R24). What no retry can mend is told, and mended by a person (R30).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from infra.local.world import World
from tests.stories.faults_forms import FAULTS, Graph, SignIn
from tests.stories.faults_play import Cell, Matrix, chosen_cells, judge

pytestmark = pytest.mark.world

CELLS = [Cell(service, fault) for service in (SignIn, Graph) for fault in FAULTS]


@pytest.fixture(scope="module")
def matrix(request: pytest.FixtureRequest) -> Iterator[Matrix]:
    """The chosen cells, under way."""
    with World(lease_seconds=10) as world:
        played = Matrix(world, world.start_host(), chosen_cells(request))
        played.start()
        yield played
        played.close()


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_a_fault_is_told_of_while_it_lasts_and_leaves_no_trace(matrix: Matrix, cell: Cell) -> None:
    judge(matrix, cell)


def test_no_stack_trace_is_in_the_log(matrix: Matrix) -> None:
    assert matrix.traces() == []
