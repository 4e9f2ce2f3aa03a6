"""A full sync of many people: all of them new, and then nothing changed; each beside its floor."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench import figures, floor
from bench.app_process import AppProcess
from bench.figures import Figure
from bench.processes import PeakMemory, Spent, spending
from bench.stage import Customer, Stage, Stages

NEW_GOAL, UNCHANGED_GOAL = 2.0, 3.0
PEAK_GOAL, PER_USER_GOAL = 300.0, 500.0
_LARGE = 100_000
# A full sync that warms the process before memory is looked at: more than two pages of Graph and of
# the tables, so that what pages take is not foretold as if it grew with the people.
_SMALL = 2_500
# What the app needs between the last page of members and its first look at a person: the last
# messages are queued, and the first of them begin. The rest is the host's sleep between two polls.
_OWN_PAUSE = 0.2
_LOOK, _REQUESTS = "/v1.0/$batch", 20_000


@dataclass(frozen=True)
class Run:
    """One full sync as seen from outside."""

    wall: float  # from the moment at which the app took the order, without `slept`
    waited: float  # until then, for the host's next look into the queue
    slept: float  # until the host's next look into the queue of bulk messages
    cpu: float  # without what an idle host uses for its polling
    spent: Spent
    memory: PeakMemory


def _full(stage: Stage, customer: Customer, people: int, timeout: float, idle: Spent) -> Run:
    asked = datetime.now(UTC)
    with spending(stage.world.pids) as spent, PeakMemory(stage.host.pid) as memory:
        run = stage.finished(stage.order(customer), timeout)
    assert run["seen"] == run["done"] == people, run
    began, ended = (datetime.fromisoformat(run[name]) for name in ("startedAt", "finishedAt"))
    waited = (began - asked).total_seconds()
    slept = _slept(stage, began.timestamp())
    spent = spent.without(idle)
    spent.wall = (ended - began).total_seconds() - slept
    return Run(spent.wall, waited, slept, spent.of("host"), spent, memory)


def _slept(stage: Stage, began: float) -> float:
    """How long everything was read and nobody was looked at: up to a second, whatever the size.

    Of the size that the design names this is nothing; of a small one it would be a sixth.
    """
    asked = [one for one in stage.entra.requests(last=_REQUESTS) if one["at"] > began]
    pages = [one["at"] for one in asked if "/microsoft.graph.user?" in one["path"]]
    looks = [one["at"] for one in asked if one["path"] == _LOOK and one["at"] > min(pages)]
    return max(0.0, min(looks) - max(pages) - _OWN_PAUSE) if looks else 0.0


def _idle(stage: Stage) -> Spent:
    """What the processes use while nothing is going on: the host looks into its queues."""
    time.sleep(0.3)
    with spending(stage.world.pids) as spent:
        time.sleep(1.5)
    return spent


def all_new(stages: Stages, people: int, directory: Path) -> Iterator[Figure]:
    """Everybody becomes a contact, and BMS has no limit."""
    with stages() as stage:
        stage.start_host()
        stage.limit_bms()
        customer = stage.connect(people)
        before = len(stage.bms.writes())
        app = _full(stage, customer, people, 60 + people / 10, _idle(stage))
        writes = stage.bms.writes()[before:]
        calls = directory / "bms-calls.json"
        calls.write_text(json.dumps(floor.contacts_of(writes)), encoding="utf-8")
        base = stage.world.base_url("bms")
        bare = floor.run_writes(stage.environment(), base, calls)
        assert bare["calls"] == len(writes), (bare, len(writes))
        yield figures.ratio(
            f"full sync, {people:,} new contacts",
            (app.wall, bare["wall"]),
            (app.cpu, bare["cpu"]),
            NEW_GOAL,
            app.spent.busiest,
            (f"{bare['calls']:,} BMS calls", *_about(app)),
        )


class Unchanged:
    """Nothing differs from what the links remember."""

    def __init__(self, stages: Stages, people: int, rounds: int) -> None:
        self._stages, self._people, self._rounds = stages, people, rounds
        self._customers: tuple[Customer, Customer] | None = None

    def seed(self) -> Iterator[Figure]:
        """Link everybody beforehand, which takes many times longer than what is measured."""
        with self._stages() as stage:
            stage.start_host()
            self._seeded(stage)
        yield from ()

    def measure(self) -> Iterator[Figure]:
        """App and floor in turn, the best of each."""
        people = self._people
        with self._stages() as stage:
            stage.start_host()
            customer, small = self._seeded(stage)
            timeout = 60 + people / 100
            # Every client is made, every module is loaded: what memory is needed for few people.
            few = _full(stage, small, _SMALL, timeout, Spent(wall=1.0)).memory
            idle = _idle(stage)
            first = _full(stage, customer, people, timeout, idle)
            before = sum(stage.bms.counters().calls.values())
            runs, bares = [], []
            with AppProcess(stage.environment(), {}) as process:
                for _ in range(self._rounds):
                    bares.append(process.only_read(customer.connection, customer.groups[0]))
                    runs.append(_full(stage, customer, people, timeout, idle))
            app, bare = min(runs, key=lambda one: one.wall), min(bares, key=lambda one: one["wall"])
            assert bare["users"] == bare["links"] == people, bare
            yield figures.ratio(
                f"full sync, nothing changed, {people:,} people",
                (app.wall, bare["wall"]),
                (min(one.cpu for one in runs), min(one["cpu"] for one in bares)),
                UNCHANGED_GOAL,
                app.spent.busiest,
                _about(app),
            )
            made = sum(stage.bms.counters().calls.values()) - before
            yield figures.at_most("  its calls to BMS", made, 0, "")
            yield from _memory(people, few, first.memory, runs)

    def _seeded(self, stage: Stage) -> tuple[Customer, Customer]:
        if self._customers is None:
            stage.limit_bms()
            customer, small = stage.connect(self._people), stage.connect(_SMALL)
            with AppProcess(stage.environment(), {}) as process:
                for one in (customer, small):
                    process.remember_links(one.connection, one.account)
            self._customers = customer, small
        return self._customers


def _memory(people: int, few: PeakMemory, first: PeakMemory, runs: list[Run]) -> Iterator[Figure]:
    """The first run counts, since later ones use again what the process has.

    Fewer people foretell many: pages and clients take the same for all, the rest grows by person.
    """
    peak = max(first.peak, *(run.memory.peak for run in runs))
    many = peak
    note = f"{first.before:.0f} MB before, {peak:.0f} MB at the most, {people:,} people"
    if people < _LARGE:
        growth = (peak - few.peak) / (people - _SMALL)
        many = peak + growth * (_LARGE - people)
        note += f"; foretold from that and {few.peak:.0f} MB at {_SMALL:,}"
    per_user = (many - first.before) * 1e6 / max(people, _LARGE)
    yield figures.at_most(
        f"memory, full sync of {max(people, _LARGE):,}, peak", many, PEAK_GOAL, " MB", notes=(note,)
    )
    yield figures.at_most("  above the start, a user", per_user, PER_USER_GOAL, " bytes")


def _about(run: Run) -> tuple[str, ...]:
    slept = f", and in it {run.slept:.2f} s more" if run.slept else ""
    waited = f"not counted: {run.waited:.2f} s until the host looks into its queue{slept}"
    return waited, _shares(run.spent)


def _shares(spent: Spent) -> str:
    shares = [f"{name} {used / spent.wall:.0%}" for name, used in spent.cpu.items() if used > 0.05]
    return "processor shares of the wall time, idle polling taken off: " + ", ".join(shares)
