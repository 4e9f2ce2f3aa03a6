"""One stand-in process for all wire tests of sign-in and Graph, and one for those of BMS."""

from collections.abc import Iterator

import pytest

from infra.local.bms.process import BmsProcess
from infra.local.entra.control import EntraControl, running
from tests.adapters.bms_adapter import BmsWire
from tests.adapters.entra_wire import Wire, a_wire
from tests.real_storage import RealStorage


@pytest.fixture(scope="package")
def entra_process() -> Iterator[EntraControl]:
    with running() as control:
        yield control


@pytest.fixture
def wire(entra_process: EntraControl) -> Wire:
    return a_wire(entra_process)


@pytest.fixture
def bms_wire(bms: BmsProcess, real_storage: RealStorage) -> Iterator[BmsWire]:
    one = BmsWire(bms, real_storage)
    yield one
    methods = {line["method"] for line in one.control.log()}
    assert methods <= {"GET", "POST", "PATCH"}, "never PUT, never DELETE (R16)"
