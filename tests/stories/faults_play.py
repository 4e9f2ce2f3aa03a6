"""One cell of the fault matrix as a story: the fault passes, then it lasts, and all is well again.

All cells of a module are played side by side, since most of the time they wait for a time-out of
the app; each has a customer of its own, whom alone its fault is meant for.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Final

import pytest

from infra.local.admin import Refused, wait_for
from infra.local.host_process import HostProcess
from infra.local.world import World
from tests.stories.faults_customer import Answered, FaultCustomer, Wave, answered
from tests.stories.faults_forms import HANGING, UNLIMITED, Service
from tests.stories.population import Json
from tests.stories.story import say

# How long the end state may take from the end of a fault: the app's own time-outs, and its pauses.
SETTLES: Final = 180.0
ASKED_FOR: Final = 15.0
HANGS: Final = 3.0
_ENTRY: Final = re.compile(r"^(?=\d{4}-\d\d-\d\dT)", re.M)
_NOT_PUT_BACK: Final = "failed: TryLater: The storage queues cannot be reached."


@dataclass(frozen=True)
class Cell:
    """A service and a fault."""

    service: type[Service]
    fault: str

    def __str__(self) -> str:
        return f"{self.service.__name__} {self.fault}"


@dataclass
class Seen:
    """What was seen in one cell."""

    passing: list[str] = field(default_factory=list)  # troubles told of while a fault passed
    lasting: list[str] = field(default_factory=list)  # the same while it lasted
    answers: list[Answered] = field(default_factory=list)  # of who asked while it lasted
    run: Json = field(default_factory=dict)  # the full sync that was asked for meanwhile
    passed_after: float = 0.0
    healed_after: float = 0.0


@dataclass
class Play:
    """One cell under way."""

    cell: Cell
    customer: FaultCustomer
    service: Service
    all_begun: Callable[[], None]  # no fault, and nobody who hangs, is in another one's first sync
    meanwhile: Callable[[], None] | None = None  # happens when a fault has been put on
    seen: Seen = field(default_factory=Seen)

    def run(self) -> Seen:
        """Play it; AssertionError with what is not right."""
        self.customer.begin()
        self.all_begun()
        self._passes()
        self._lasts()
        self.customer.stays_as_it_is()
        assert self.customer.nobody_was_deleted()
        return self.seen

    def _passes(self) -> None:
        wave = self._struck(once=True)
        began = time.monotonic()
        self.customer.happen(wave)
        if self.service.needs_a_person(self.cell.fault, once=True):
            self.seen.passing = self._told()
            self.service.calm()
            self.service.mend()
            self._settle([], began)
        else:
            self._settle(self.seen.passing, began)
        self.seen.passed_after = time.monotonic() - began
        self.service.calm()
        self.customer.is_well()

    def _lasts(self) -> None:
        wave = self._struck(once=False)
        self.customer.happen(wave)
        needs_a_person = self.service.needs_a_person(self.cell.fault, once=False)
        with ThreadPoolExecutor(1) as side:
            # Who asks while calls hang is answered some time after the fault has ended.
            asking = side.submit(self._ask, wave)
            wait([asking], HANGS if self.cell.fault in HANGING else None)
            if needs_a_person:
                self.seen.lasting = self._told()
            elif self.cell.fault not in HANGING:
                self.seen.lasting = self._look()
            self.service.calm()
            began = time.monotonic()
            ordered = asking.result()
        if needs_a_person:
            self.service.mend()
        self._settle([], began)
        self.seen.healed_after = time.monotonic() - began
        if ordered is not None:
            self.seen.run = self.customer.admin.finished(ordered, SETTLES)
        self.customer.is_well()

    def _struck(self, *, once: bool) -> Wave:
        """Three people to whom something will happen, and the fault that is in the way."""
        wave = self.customer.wave()
        self.service.strike(self.cell.fault, wave, once=once)
        if self.meanwhile is not None:
            self.meanwhile()
        return wave

    def _ask(self, wave: Wave) -> str | None:
        """Order a full sync, then ask until the fault is met; the id of the sync, if it was taken.

        Other answers come first while a worker is at the user.
        """
        ordered, answer = self.customer.orders()
        self.seen.answers.append(answer)
        until = time.monotonic() + ASKED_FOR
        while time.monotonic() < until:
            answer = self.service.ask(wave)
            self.seen.answers.append(answer)
            if self.cell.fault in (*HANGING, "slow") or self.service.name in answer.sentence:
                break
            if answer.status == 409:  # it is in trouble, and nobody is let in before it is mended
                break
            time.sleep(0.5)
        return ordered

    def _settle(self, told: list[str], began: float) -> None:
        """Wait for the right end state, and write down what calls for a person meanwhile."""
        while differences := self.customer.differences():
            if time.monotonic() - began > SETTLES:
                raise AssertionError(
                    f"{self.cell}: after {SETTLES:.0f} s {'; '.join(differences)};"
                    f" told: {self._look()}"
                )
            told += [each for each in self._look() if each not in told]
            time.sleep(0.5)

    def _look(self) -> list[str]:
        try:
            return self.customer.troubles()
        except Refused as refused:  # what tells is what fails
            self.seen.answers.append(answered(refused))
            return []

    def _told(self) -> list[str]:
        return wait_for(self.customer.troubles, 30, what=f"{self.cell}: a word to the person")


class Matrix:
    """Cells that are played side by side in one world."""

    def __init__(self, world: World, host: HostProcess, cells: Sequence[Cell]) -> None:
        self.world, self.host = world, host
        self._begun = Meeting(len(cells))
        self._plays = {str(cell): self._play(cell, number) for number, cell in enumerate(cells)}
        self._pool = ThreadPoolExecutor(max(len(cells), 1))
        self._results: Mapping[str, Future[Seen]] = {}

    def __getitem__(self, cell: Cell) -> Play:
        return self._plays[str(cell)]

    def _play(self, cell: Cell, number: int) -> Play:
        name = f"{cell.service.__name__.lower()}{number}"
        customer = FaultCustomer(self.world, self.host, name)
        return Play(cell, customer, cell.service(customer), self._begun)

    def start(self) -> None:
        """Begin all of them."""
        first = next(iter(self._plays.values()), None)
        if first is not None:
            first.customer.admin.call("PUT", "/api/settings/bms", UNLIMITED)
            first.customer.entra.switch(notify_retry_base_seconds=1.0)
        self._results = {name: self._pool.submit(play.run) for name, play in self._plays.items()}

    def seen(self, cell: Cell) -> Seen:
        """What was seen in a cell, when it is over; raises what is not right."""
        return self._results[str(cell)].result(timeout=280)

    def traces(self) -> list[str]:
        """The entries of the log that hold a stack trace, when all plays are over.

        Not those of a message that could not even be put back: to fail is then the only way to have
        the host bring it again, and the host writes down where.
        """
        wait(self._results.values(), 280)
        entries = _ENTRY.split(self.host.log_path.read_text(encoding="utf-8"))
        traced = [entry for entry in entries if "Traceback (" in entry]
        return [each for each in traced if not each.split("\n")[0].endswith(_NOT_PUT_BACK)]

    def close(self) -> None:
        """Wait for the threads that still run."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Meeting:
    """All plays come here, one thing is done, and all go on."""

    def __init__(self, plays: int, action: Callable[[], None] | None = None) -> None:
        self._barrier = threading.Barrier(plays, action)

    def __call__(self) -> None:
        self._barrier.wait(150)


def judge(matrix: Matrix, cell: Cell) -> None:
    """What a person has seen in a cell, when all of it is over and the end state was right."""
    seen = matrix.seen(cell)
    say(f"{cell}: {seen}")
    service = matrix[cell].service
    told = [answer for answer in seen.answers if answer.sentence]
    assert [answer for answer in told if not answer.plain] == []
    if service.needs_a_person(cell.fault, once=True):
        assert seen.passing
    else:
        assert seen.passing == []
    if service.needs_a_person(cell.fault, once=False):
        assert seen.lasting
    else:
        assert seen.lasting == []
        assert not seen.run or (seen.run["state"], seen.run["failed"]) == ("done", 0)
        # Who asks while calls hang is answered when they have ended.
        hangs = cell.fault in (*HANGING, "slow")
        assert hangs or any(service.name in answer.sentence for answer in told)


def chosen_cells(request: pytest.FixtureRequest) -> list[Cell]:
    """The cells of the module that this run of pytest is about."""
    found: list[Cell] = []
    for item in request.session.items:
        if isinstance(item, pytest.Function) and item.module is request.module:
            cell = item.callspec.params.get("cell") if hasattr(item, "callspec") else None
            found += [cell] if isinstance(cell, Cell) else []
    return found
