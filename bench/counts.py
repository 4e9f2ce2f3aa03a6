"""Exact counts: what one change, one unchanged person and one idle sweep cost in calls.

The message that carries a change counts as one more storage transaction, since the webhook sends
it; the host's own polling, receiving and deleting of messages does not.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from bench import figures
from bench.app_process import AppProcess, Json
from bench.figures import Figure
from bench.stage import Customer, Stage
from shared.core.messages import SweepOrder, UserDelta, encode_sweep_order, encode_user_delta
from shared.core.model import Origin, SyncId, UserId
from shared.ports import BULK, FRESH, SWEEPS

_SENDING = 1  # the webhook's message
_MESSAGE = 100  # people in a bulk message
_TOGETHER = 20  # changes in one message
_LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
# Not of a change but by the clock: a look at the settings, calls of BMS reserved for some slots.
BY_THE_CLOCK = ("table GET /settings", "table GET /budget", "table PUT /budget")
_APART = 1.2  # seconds: longer than what was read a moment ago is believed


def places(stage: Stage) -> dict[str, str]:
    """What is behind which address."""
    found = {urlsplit(stage.world.base_url(name)).netloc: name for name in ("bms", "itglue")}
    found[urlsplit(stage.world.base_url("entra")).netloc] = "graph"
    for service, port in stage.world.azurite.ports.items():
        found[f"127.0.0.1:{port}"] = service
    return found


@dataclass
class Measured:
    """What was counted, for the table and for the tests."""

    alone: Json = field(default_factory=dict)  # one change, with nothing else going on
    first: Json = field(default_factory=dict)  # the first change in a new process
    row: list[Json] = field(default_factory=list)  # changes one after the other, a moment apart
    together: Json = field(default_factory=dict)  # twenty changes in one message
    new: Json = field(default_factory=dict)  # a hundred people without a link, in one message
    unchanged: Json = field(default_factory=dict)
    people: int = 0
    sweeps: list[Json] = field(default_factory=list)
    ordering: Json = field(default_factory=dict)


def measure(people: int, sweeps: int = 20, row: int = 0) -> Measured:
    """Set a customer up, and let things happen to him one at a time."""
    found = Measured(people=people)
    with Stage() as stage:
        host = stage.start_host()
        stage.limit_bms()
        small, large, newcomers = (stage.connect(each) for each in (100, people, 4 * _MESSAGE))
        stage.finished(stage.order(small), 120)
        with AppProcess(stage.environment(), places(stage)) as process:
            process.remember_links(large.connection, large.account)
        stage.finished(stage.order(large), 120)
        order = stage.admin.call(
            "POST", f"/api/connections/{large.connection}/sync", {"kind": "sweep"}
        )
        stage.finished(order["syncId"], 60)
        for one in stage.entra.subscriptions():
            stage.entra.drop_subscription(one["id"])
        host.stop()  # from here on nothing moves that is not told to
        with AppProcess(stage.environment(), places(stage)) as process:
            found.first = _change(stage, process, small, small.users[:1], "First")
            _change(stage, process, small, small.users[1:2], "Second")
            tries = [
                _change(stage, process, small, small.users[each : each + 1], "Third")
                for each in range(2, 6)
            ]
            found.alone = _least(tries)
            for number in range(row):
                time.sleep(_APART)
                found.row.append(_change(stage, process, small, small.users[10 + number :][:1], ""))
            found.together = _least(
                _change(stage, process, small, small.users[each : each + _TOGETHER], "Fourth")
                for each in (40, 60, 80)
            )
            sweep = encode_sweep_order(SweepOrder(large.id, "sweep"))
            for _ in range(sweeps + 1):  # the first one makes clients
                found.ordering = process.order_sweeps()
                found.sweeps.append(process.message(SWEEPS, sweep))
            del found.sweeps[0]
            full = SweepOrder(large.id, "full", sync=_new_sync())
            found.unchanged = _least(
                [process.message(SWEEPS, encode_sweep_order(full)) for _ in range(3)]
            )
            process.begin_syncing(newcomers.connection)
            process.message(SWEEPS, encode_sweep_order(replace(full, connection_id=newcomers.id)))
            of_new = [
                process.message(
                    BULK, _of_full_sync(newcomers, newcomers.users[each : each + _MESSAGE])
                )
                for each in range(0, len(newcomers.users), _MESSAGE)
            ]
            found.new = _least(of_new[1:])  # the first one makes clients
    return found


def _least(counted: Iterable[Json]) -> Json:
    """The one that no look by the clock fell into: settings, and calls reserved per slot."""
    return min(counted, key=lambda each: int(each["storage"]))


def _of_full_sync(customer: Customer, users: Sequence[str]) -> str:
    """What a full sync queues for people without a link."""
    named = tuple(UserId(user) for user in users)
    delta = UserDelta(customer.id, named, Origin.FULL, index_since=_LONG_AGO, unlinked=True)
    return encode_user_delta(delta)


def _new_sync() -> SyncId:
    return SyncId("0000000000001-bench000")


def _change(stage: Stage, process: AppProcess, customer: Customer, users: Any, title: str) -> Json:
    stage.entra.update_users(
        customer.tenant, [{"id": user, "jobTitle": f"{title} {user[:8]}"} for user in users]
    )
    delta = UserDelta(
        customer.id,
        tuple(UserId(user) for user in users),
        Origin.NOTIFICATION,
        signal_at=datetime.now(UTC),
    )
    counts = process.message(FRESH, encode_user_delta(delta))
    assert counts["byKind"].get("bms", 0) >= 2 * len(users), counts
    return counts


def count_figures(people: int) -> Iterator[Figure]:
    """As lines of the table."""
    found = measure(people, sweeps=10, row=5)
    alone, together = found.alone, found.together
    yield figures.at_most("one changed attribute: Graph requests", alone["byKind"]["graph"], 1, "")
    yield figures.at_most("  BMS calls", alone["byKind"]["bms"], 2, "")
    yield figures.at_most(
        "  storage transactions, a change alone",
        alone["storage"] + _SENDING,
        6,
        "",
        notes=(_list(alone),),
    )
    row = sum((Counter(one["each"]) for one in found.row), Counter[str]())
    timed = sum(row[call] for call in BY_THE_CLOCK)
    every = sum(int(one["storage"]) for one in found.row) + _SENDING * len(found.row)
    yield figures.at_most(
        f"  storage transactions, a row of {len(found.row)}, {_APART} s apart",
        (every - timed) / len(found.row),
        6,
        "",
        notes=(f"beside them {timed} by the clock and for calls reserved; {_list({'each': row})}",),
    )
    yield figures.at_most(
        f"  storage transactions, {_TOGETHER} changes in a message",
        (together["storage"] + _SENDING) / _TOGETHER,
        6,
        "",
        notes=(_list(together),),
    )
    yield Figure(
        "  in bytes, Graph and BMS",
        "-",
        f"{alone['sent']:,} sent, {alone['received']:,} received",
        None,
        values={"sent": alone["sent"], "received": alone["received"]},
    )
    yield Figure(
        f"a new contact, {_MESSAGE} in a message: storage transactions",
        "-",
        f"{(found.new['storage'] + _SENDING) / _MESSAGE:.2f}",
        None,
        notes=(f"BMS calls {found.new['byKind']['bms'] / _MESSAGE:g}; {_list(found.new)}",),
        values={"measured": (found.new["storage"] + _SENDING) / _MESSAGE},
    )
    yield figures.at_most(
        f"one unchanged person of {people:,}: storage transactions",
        found.unchanged["storage"] / people,
        0.05,
        "",
        notes=(_list(found.unchanged),),
    )
    yield figures.at_most("  BMS calls", found.unchanged["byKind"].get("bms", 0), 0, "")
    sweep = sorted(found.sweeps, key=lambda one: float(one["cpu"]))[len(found.sweeps) // 2]
    worst = max(found.sweeps, key=lambda one: int(one["storage"]))
    yield figures.at_most("idle sweep: Graph requests", sweep["byKind"]["graph"], 2, "")
    yield figures.at_most(
        "  storage transactions",
        worst["storage"] + _SENDING,
        3,
        "",
        notes=(f"with the timer's order; {_list(worst)}",),
    )
    yield figures.at_most("  processor time (median)", sweep["cpu"] * 1000, 10, " ms")


def _list(counts: Json) -> str:
    own = [f"{call} × {times}" for call, times in counts["each"].items() if _is_storage(call)]
    return ", ".join(own)


def _is_storage(call: str) -> bool:
    return call.startswith(("table ", "queue "))
