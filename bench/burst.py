"""Ten thousand notifications for one tenant at once, as Graph sends them after a large change.

Two forms: each notification in a request of its own, and fifty in each. The floor is an empty
function in the same host, which the same sender calls with the same bodies: what it takes is the
sender's, the host's and the worker library's part, and the ratio is of the hosts' processor times.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from bench.figures import Figure, at_most, percentile
from bench.freshness import arrivals, changes
from bench.processes import Spent, spending
from bench.stage import Customer, Stage
from infra.local.process import REPOSITORY, kept_environment

NOTIFICATIONS = 10_000
_AT_ONCE = 32
_FORMS = ((1, "one a request"), (50, "fifty a request"))
Json = dict[str, Any]


@dataclass(frozen=True)
class _Sent:
    """One form, sent to the app."""

    seen: Json  # by the sender
    spent: Spent
    messages: int
    longest: float  # seconds until the last of the changes among them was in BMS


def burst() -> Iterator[Figure]:
    """Both forms, one after the other, on a host that does its other work meanwhile."""
    with Stage(storage_faults=True) as stage:
        stage.start_host()
        stage.limit_bms()
        customer = stage.connect(NOTIFICATIONS, rule=False)
        staff = customer.users[-3:]  # the last ones who are notified
        group = stage.entra.add_group(customer.tenant, "Staff", members=staff)
        stage.add_rule(customer, group)
        stage.finished(stage.order(customer), 120)
        stage.entra.switch(notify_loss_rate=1.0)  # the burst alone names them
        changes(stage, customer, staff, 0, "Warm")
        pids, found = stage.world.pids, dict[int, _Sent]()
        for size, words in _FORMS:
            made = changes(stage, customer, staff, 0, words)
            before = stage.world.storage.calls()
            with spending(pids) as spent:
                seen = _send(stage, customer, size, stage.host.base_url)
            sent = stage.world.storage.calls().get("queue POST", 0) - before.get("queue POST", 0)
            found[size] = _Sent(seen, spent, sent, max(arrivals(stage, made, 60)))
        floors = _floors(stage, customer)
        for size, words in _FORMS:
            yield from _figures(words, found[size], *floors[size])


def _figures(words: str, sent: _Sent, floor: Json, floor_spent: Spent) -> Iterator[Figure]:
    title = f"burst of {NOTIFICATIONS:,} notifications, {words}: accepted in"
    seen, cpu, bare = sent.seen, sent.spent.of("host"), floor_spent.of("host")
    note = f"host's processor {cpu:.2f} s against {bare:.2f} s of an empty function = "
    note += f"{cpu / bare:.2f} ×; the sender's {seen['cpu']:.1f} s"
    accepted = at_most(title, seen["seconds"], 10, " s", notes=(note,))
    values = {**accepted.values, "cpu": cpu, "floorCpu": bare, "floorWall": floor["seconds"]}
    yield replace(
        accepted,
        floor=f"{floor['seconds']:.2f} s",
        ratio=f"{seen['seconds'] / floor['seconds']:.2f} ×",
        values=values,
    )
    longest = at_most("  longest request", seen["longest"], 1, " s", notes=(_spread(seen),))
    yield replace(longest, floor=f"{floor['longest']:.3f} s")
    yield at_most("  requests not accepted at first", seen["refused"], 0, "")
    yield at_most("  queue messages", sent.messages, 200, "")
    told = "made just before, notified last, and with no other notification"
    yield at_most("  changes among them, to BMS", sent.longest, 15, " s", notes=(told,))


_EMPTY = """
import azure.functions as func

functions = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@functions.route(route="webhooks/graph/{connection}", methods=[func.HttpMethod.POST])
async def empty(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(status_code=202)
"""
_EMPTY_HOST = {"version": "2.0", "extensions": {"http": {"routePrefix": ""}}}


def _floors(stage: Stage, customer: Customer) -> dict[int, tuple[Json, Spent]]:
    """The same requests to a host whose only function is empty, by how many are in each."""
    found: dict[int, tuple[Json, Spent]] = {}
    with _empty_app() as app:
        host = stage.world.start_host(None, lease_seconds=None, app=app)
        try:
            for size, _ in _FORMS:
                with spending({"host": host.pid}) as spent:
                    seen = _send(stage, customer, size, host.base_url)
                found[size] = seen, spent
        finally:
            host.stop()
    return found


@contextmanager
def _empty_app() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bench-empty-") as directory:
        app = Path(directory)
        (app / "function_app.py").write_text(_EMPTY, encoding="utf-8")
        (app / "host.json").write_text(json.dumps(_EMPTY_HOST), encoding="utf-8")
        yield app


def _spread(seen: Json) -> str:
    return f"{seen['requests']:,} requests, p99 {seen['p99']:.3f} s"


def _send(stage: Stage, customer: Customer, size: int, base_url: str) -> Json:
    subscriptions = stage.entra.subscriptions(customer.tenant)
    users = next(one for one in subscriptions if one["resource"].lstrip("/").startswith("users"))
    order = {
        "url": f"{base_url}/webhooks/graph/{customer.connection}",
        "subscription": users["id"],
        "clientState": users["clientState"],
        "tenant": customer.tenant,
        "users": list(customer.users),
        "size": size,
    }
    done = subprocess.run(
        [sys.executable, "-m", "bench.burst"],
        input=json.dumps(order),
        cwd=REPOSITORY,
        env={**kept_environment(), "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=True,
    )
    answer: Json = json.loads(done.stdout)
    return answer


# --- the sender, a process of its own -----------------------------------------------------------


def main() -> None:
    """Send what stdin says, and print what became of it."""
    print(json.dumps(asyncio.run(_deliver(json.loads(sys.stdin.read())))))


async def _deliver(order: Json) -> Json:
    bodies = _bodies(order)
    took: list[float] = []
    refused = 0
    waiting = iter(bodies)
    connector = aiohttp.TCPConnector(limit=_AT_ONCE)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def sender() -> None:
            nonlocal refused
            for body in waiting:
                began = time.perf_counter()
                async with session.post(
                    order["url"], data=body, headers={"Content-Type": "application/json"}
                ) as answer:
                    await answer.read()
                    refused += answer.status != 202
                took.append(time.perf_counter() - began)

        began = time.perf_counter()
        await asyncio.gather(*(sender() for _ in range(_AT_ONCE)))
        seconds = time.perf_counter() - began
    return {
        "seconds": seconds,
        "longest": max(took),
        "p99": percentile(took, 99),
        "requests": len(bodies),
        "refused": refused,
        "cpu": time.process_time(),
    }


def _bodies(order: Json) -> list[bytes]:
    ends = (datetime.now(UTC) + timedelta(days=20)).isoformat()
    users, size = order["users"], order["size"]
    return [
        json.dumps(
            {"value": [_notice(order, user, ends) for user in users[at : at + size]]}
        ).encode()
        for at in range(0, len(users), size)
    ]


def _notice(order: Json, user: str, ends: str) -> Json:
    place = f"Users/{user}"
    return {
        "changeType": "updated",
        "clientState": order["clientState"],
        "resource": place,
        "resourceData": {
            "@odata.type": "#Microsoft.Graph.User",
            "@odata.id": place,
            "id": user,
            "organizationId": order["tenant"],
        },
        "subscriptionExpirationDateTime": ends,
        "subscriptionId": order["subscription"],
        "tenantId": order["tenant"],
    }


if __name__ == "__main__":
    main()
