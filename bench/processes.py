"""What processes cost: processor time and memory, read from outside while they work.

The stand-ins take a share of every wall time, since they run on the same machine. Their share is
shown beside each figure, so that nobody takes a stand-in's slowness for the app's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil

_EVERY = 0.02
_MB = 1e6


@dataclass
class Spent:
    """Wall time, and processor time by process."""

    wall: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)

    def of(self, prefix: str) -> float:
        """Processor time of all processes whose name begins so."""
        return sum(used for name, used in self.cpu.items() if name.startswith(prefix))

    def without(self, idle: Spent) -> Spent:
        """The same less what these processes use in so long a time when nothing is going on."""
        share = self.wall / idle.wall
        cpu = {
            name: max(0.0, used - idle.cpu.get(name, 0.0) * share)
            for name, used in self.cpu.items()
        }
        return Spent(self.wall, cpu)

    @property
    def busiest(self) -> tuple[str, float]:
        """The stand-in with the largest share of the wall time."""
        others = {name: used for name, used in self.cpu.items() if not name.startswith("host")}
        name = max(others, key=lambda one: others[one], default="")
        return name, others.get(name, 0.0) / self.wall if self.wall else 0.0


@contextmanager
def spending(pids: Mapping[str, int]) -> Iterator[Spent]:
    """Measure the block: the result is filled when it ends."""
    before = {name: _cpu(pid) for name, pid in pids.items()}
    spent, began = Spent(), time.monotonic()
    yield spent
    spent.wall = time.monotonic() - began
    spent.cpu = {name: _cpu(pid) - before[name] for name, pid in pids.items()}


class PeakMemory:
    """Watches the resident memory of one process, in megabytes, while the block runs."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.before = self.peak = self._now()

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(_EVERY):
            self.peak = max(self.peak, self._now())

    def _now(self) -> float:
        return float(self._process.memory_info().rss) / _MB


def _cpu(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
