"""The fault matrix, BMS: every fault, before and after the write (R22, R24, R25).

As in test_fault_matrix_entra.py: a fault that passes is not noticed, one that lasts is told of in a
plain sentence, and in the end no record is there twice and none is missing.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from infra.local.world import World
from tests.stories.faults_forms import FAULTS, Bms
from tests.stories.faults_play import Cell, Matrix, chosen_cells, judge

pytestmark = pytest.mark.world

CELLS = [Cell(Bms, fault) for fault in FAULTS if not fault.startswith("429")]


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
