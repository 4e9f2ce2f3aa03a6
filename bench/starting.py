"""How long the app takes to start: from the process to a host that serves."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from bench.app_process import AppProcess
from bench.figures import Figure, at_most
from bench.stage import Stages

GOAL = 1.5


def start(stages: Stages, times: int) -> Iterator[Figure]:
    """Several starts, the median of each."""
    imports, hosts = [], []
    with stages() as stage:
        for _ in range(times):
            with AppProcess(stage.environment(), {}) as process:
                imports.append(float(process.ready["importSeconds"]))
            began = time.monotonic()
            host = stage.start_host()
            hosts.append(time.monotonic() - began)
            host.stop()
    yield at_most("start of the app: import and wiring", statistics.median(imports), GOAL, " s")
    yield at_most(
        "  with interpreter and function host, to ready",
        statistics.median(hosts),
        GOAL,
        " s",
        notes=(f"the median of {times}, the longest {max(hosts):.2f} s",),
    )
