"""What many tenants need, simulated from measured costs: instances, transactions, units, money.

    python -m bench.scale --tenants 1000 --users 1000

Counts a sweep and a change as `make bench` has counted them, and plays one minute of sweeps on one
or more instances, with the latencies of a cloud instead of those of a loopback address. What is
assumed and not measured is a parameter with its default in `Assumed`. docs/scale.md explains it.
"""

from __future__ import annotations

import argparse
import heapq
from dataclasses import dataclass

MINUTES = 43_200  # of a month of 30 days
SECONDS = 60 * MINUTES


@dataclass(frozen=True)
class Measured:
    """By `make bench`; tests/bench holds the counts."""

    sweep_graph: int = 2
    sweep_tables: int = 3  # in another process than the timer's; 2 in the same
    sweep_cpu: float = 0.012  # seconds, with what the host adds
    change_tables: int = 6
    change_bms: int = 2  # one read, one write
    full_graph_pages: int = 2  # of 999 people
    full_tables: int = 16
    full_cpu: float = 0.0002  # a person


@dataclass(frozen=True)
class Assumed:
    """Not measured: latencies in Azure, people's habits, prices (docs/cost.md, November 2026)."""

    graph_latency: float = 0.15
    table_latency: float = 0.010
    queue_latency: float = 0.010
    threads: int = 12  # of the sweeps' lane (shared/wiring.py)
    processors: float = 1.0  # that Python code of one instance can use
    notifications: int = 10  # a person and month, each looked at
    writes: float = 1.0  # a person and month: changes of what is mapped
    full_syncs: int = 4  # a tenant and month
    bms_limit: int = 1485  # calls of 1,500 that are spent, an hour and endpoint
    bulk_share: int = 1200
    memory_gb: float = 2.0
    on_demand: float = 0.000026  # USD a GB-second
    standing: float = 0.000004
    working: float = 0.000016
    executions: float = 0.40e-6
    queue_call: float = 0.004 / 10_000
    table_call: float = 0.0004 / 10_000
    vault_call: float = 0.03 / 10_000
    log_gb: float = 2.30
    log_cap_gb: float = 30  # a month: dailyLogCapGB 1
    alerts: float = 8.0


def minute_of_sweeps(tenants: int, instances: int, measured: Measured, assumed: Assumed) -> float:
    """Seconds until the last sweep of one timer's turn has ended."""
    waits = measured.sweep_graph * assumed.graph_latency
    waits += measured.sweep_tables * assumed.table_latency
    # A thread of the lane is free at a time; the processor of its instance is one for all of them.
    threads = [(0.0, number % instances) for number in range(assumed.threads * instances)]
    heapq.heapify(threads)
    processor = [0.0] * instances
    end = 0.0
    for number in range(tenants):
        ordered = (number + 1) * assumed.queue_latency  # one after the other, by one timer
        free, instance = heapq.heappop(threads)
        begin = max(free, ordered + 2 * assumed.queue_latency)
        computed = max(begin, processor[instance]) + measured.sweep_cpu / assumed.processors
        processor[instance] = computed
        done = computed + waits
        heapq.heappush(threads, (done, instance))
        end = max(end, done)
    return end


def most_tenants(instances: int, measured: Measured, assumed: Assumed) -> int:
    """How many are swept within the minute."""
    low, high = 1, 1_000_000
    while low < high:
        middle = (low + high + 1) // 2
        if minute_of_sweeps(middle, instances, measured, assumed) <= 60:
            low = middle
        else:
            high = middle - 1
    return low


def main() -> None:
    """Print what so many tenants need."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--tenants", type=int, default=1000)
    parser.add_argument("--users", type=int, default=1000, help="of each tenant")
    arguments = parser.parse_args()
    measured, assumed = Measured(), Assumed()
    tenants, people = arguments.tenants, arguments.tenants * arguments.users
    print(f"{tenants:,} tenants x {arguments.users:,} users = {people:,} people\n")
    _sweeps(tenants, measured, assumed)
    _transactions(tenants, people, measured, assumed)
    _graph(tenants, people, arguments.users, measured, assumed)
    _bms(people, assumed)
    _money(tenants, people, measured, assumed)


def _sweeps(tenants: int, measured: Measured, assumed: Assumed) -> None:
    print("Sweeps, every minute")
    for instances in (1, 2, 4):
        took = minute_of_sweeps(tenants, instances, measured, assumed)
        most = most_tenants(instances, measured, assumed)
        print(f"  {instances} instance(s): the last ends after {took:.0f} s; at most {most:,}")


def _transactions(tenants: int, people: int, measured: Measured, assumed: Assumed) -> None:
    tables, queues = _calls(tenants, people, measured, assumed)
    print(f"\nStorage, a month\n  tables {tables / 1e6:,.0f} million, queues {queues / 1e6:,.0f}")
    a_second = (tables + queues) / SECONDS
    print(f"  {a_second:,.0f} a second on average, of 20,000 that an account promises")


def _calls(tenants: int, people: int, measured: Measured, assumed: Assumed) -> tuple[float, float]:
    sweeps, looks = tenants * MINUTES, people * assumed.notifications
    tables = sweeps * measured.sweep_tables + looks * measured.change_tables
    tables += tenants * assumed.full_syncs * measured.full_tables
    queues = 3 * (sweeps + looks) + 2 * SECONDS  # send, receive, delete; two that poll
    return tables, queues


def _graph(tenants: int, people: int, users: int, measured: Measured, assumed: Assumed) -> None:
    sweeps = tenants * measured.sweep_graph * 2 / 60  # a delta page counts 1 to 2 units
    looks = people * assumed.notifications * 5 / SECONDS  # the user 1, checkMemberGroups 4
    a_full = (measured.full_graph_pages + 1) * 4 + 1
    print("\nGraph, resource units a second")
    print(f"  sweeps {sweeps:.0f}, looks {looks:.0f}, of 7,500 for the app over all tenants")
    print(f"  a full sync of {users:,}: about {a_full}, of 8,000 in ten seconds for a tenant")


def _bms(people: int, assumed: Assumed) -> None:
    writes = people * assumed.writes / (MINUTES / 60)
    print("\nBMS, calls an hour on the busiest endpoint")
    print(f"  changes {writes:,.0f} of {assumed.bms_limit:,}", end="")
    print(" - TOO MANY" if writes > assumed.bms_limit else f" ({writes / assumed.bms_limit:.0%})")
    print(f"  first sync of everybody: {people / assumed.bulk_share / 24:,.1f} days")
    print(f"  reading all contacts once: {people / 100 / assumed.bulk_share:,.1f} hours")


def _money(tenants: int, people: int, measured: Measured, assumed: Assumed) -> None:
    tables, queues = _calls(tenants, people, measured, assumed)
    sweeps, looks = tenants * MINUTES, people * assumed.notifications
    busy = min(60.0, minute_of_sweeps(tenants, 1, measured, assumed)) * MINUTES
    working = min(2 * looks, 2 * SECONDS)  # webhook and apply, a second each, at once counts once
    lines = {
        "two instances stand": 2 * assumed.memory_gb * SECONDS * assumed.standing,
        "their work": working * assumed.memory_gb * assumed.working,
        "sweeps, on demand": busy * assumed.memory_gb * assumed.on_demand,
        "executions": (sweeps + 2 * looks) * assumed.executions,
        "queues": queues * assumed.queue_call,
        "tables": tables * assumed.table_call,
        "Key Vault": tenants * 2 * 12 * 720 * assumed.vault_call,
        "Log Analytics": min(assumed.log_cap_gb, (sweeps + 2 * looks) * 3e-6) * assumed.log_gb,
        "alerts": assumed.alerts,
    }
    print("\nMoney, USD a month")
    for name, usd in lines.items():
        print(f"  {name:<20} {usd:8.2f}")
    print(f"  {'together':<20} {sum(lines.values()):8.2f}")


if __name__ == "__main__":
    main()
