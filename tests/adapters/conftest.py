"""One stand-in process for all wire tests of sign-in and Graph."""

from collections.abc import Iterator

import pytest

from infra.local.entra.control import EntraControl, running
from tests.adapters.entra_wire import Wire, a_wire


@pytest.fixture(scope="package")
def entra_process() -> Iterator[EntraControl]:
    with running() as control:
        yield control


@pytest.fixture
def wire(entra_process: EntraControl) -> Wire:
    return a_wire(entra_process)
