"""What several folders of tests share: one storage emulator and one BMS for the whole session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from infra.local.bms.process import BmsProcess, start_bms
from infra.local.browser import SKIPPED
from infra.local.itglue.process import ItGlueProcess, start_itglue
from infra.local.network.azurite import Azurite
from tests.real_storage import RealStorage

# A machine that is busy with other things must not fail a test; and nothing stays behind.
settings.register_profile("steady", deadline=None, database=None)
settings.load_profile("steady")


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """The real emulator; whoever needs empty tables takes `real_storage` instead."""
    one = Azurite(tmp_path_factory.mktemp("azurite") / "azurite.log")
    one.start()
    one.wait_ready()
    yield one
    one.stop()


@pytest.fixture
def real_storage(azurite: Azurite) -> RealStorage:
    """The emulator without any table of the app."""
    storage = RealStorage(azurite.connection_string)
    storage.drop_tables()
    return storage


@pytest.fixture(scope="session")
def bms_process() -> Iterator[BmsProcess]:
    """One BMS stand-in; `bms` begins each test with a fresh tenant."""
    with start_bms() as process:
        yield process


@pytest.fixture
def bms(bms_process: BmsProcess) -> BmsProcess:
    bms_process.control.reset()
    return bms_process


@pytest.fixture(scope="session")
def itglue_process() -> Iterator[ItGlueProcess]:
    """One IT Glue stand-in; `itglue` begins each test with an empty account."""
    with start_itglue() as process:
        yield process


@pytest.fixture
def itglue(itglue_process: ItGlueProcess) -> ItGlueProcess:
    itglue_process.control.reset()
    return itglue_process


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line when nobody has looked at the console's pages; `.ci/run` fails on it."""
    for report in terminalreporter.stats.get("skipped", ()):
        words = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        _, found, why = words.partition(SKIPPED)
        if found:
            terminalreporter.write_line(f"{SKIPPED}{why}")
            return
