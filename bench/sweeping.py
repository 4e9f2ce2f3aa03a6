"""How many idle connections one process sweeps in a minute, by the timer and the queue."""

from __future__ import annotations

import time
from collections.abc import Iterator

import requests

from bench.app_process import AppProcess
from bench.figures import Figure, at_least
from bench.processes import spending
from bench.stage import Stage

GOAL = 1000


def connections_a_minute(connections: int, rounds: int) -> Iterator[Figure]:
    """The timer orders a sweep of each connection, round after round, as fast as they are done."""
    with Stage() as stage:
        stage.start_host()
        stage.limit_bms()
        customers = [stage.connect(3) for _ in range(connections)]
        with AppProcess(stage.environment(), {}) as process:
            for customer in customers:
                process.begin_syncing(customer.connection)
        _round(stage, connections)  # tokens are fetched, clients are made
        with spending(stage.world.pids) as spent:
            for _ in range(rounds):
                _round(stage, connections)
        rate = connections * rounds / spent.wall * 60
        each = spent.of("host") / connections / rounds * 1000
        name, share = spent.busiest
        yield at_least(
            "connections swept in a minute",
            rate,
            GOAL,
            "",
            notes=(
                f"{connections} connections, {rounds} rounds in {spent.wall:.1f} s",
                f"host's processor {each:.1f} ms a sweep, with its polling; busiest stand-in "
                f"{name} {share:.0%} of the wall time",
            ),
        )


def _round(stage: Stage, connections: int) -> None:
    before = stage.entra.count("graph GET /groups/delta")
    answer = requests.post(
        f"{stage.host.base_url}/admin/functions/sweep_timer", json={"input": ""}, timeout=30
    )
    assert answer.status_code == 202, answer.text
    until = time.monotonic() + 60 + connections
    while stage.entra.count("graph GET /groups/delta") - before < connections:
        assert time.monotonic() < until, "the sweeps did not end"
        time.sleep(0.05)
