"""Ten thousand notifications for one tenant at once, as Graph sends them after a large change.

Two forms: each notification in a request of its own, and fifty in each.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from bench.figures import Figure, at_most, percentile
from bench.processes import spending
from bench.stage import Customer, Stage
from infra.local.process import REPOSITORY, kept_environment

NOTIFICATIONS = 10_000
_AT_ONCE = 32
Json = dict[str, Any]


def burst() -> Iterator[Figure]:
    """Both forms, one after the other, on a host that does its other work meanwhile."""
    with Stage(storage_faults=True) as stage:
        stage.start_host()
        stage.limit_bms()
        customer = stage.connect(NOTIFICATIONS, rule=False)
        group = stage.entra.add_group(customer.tenant, "Staff", members=customer.users[:3])
        stage.add_rule(customer, group)
        stage.finished(stage.order(customer), 120)
        for size, words in ((1, "one a request"), (50, "fifty a request")):
            before = stage.world.storage.calls()
            with spending(stage.world.pids) as spent:
                seen = _send(stage, customer, size)
            sent = stage.world.storage.calls().get("queue POST", 0) - before.get("queue POST", 0)
            host = f"host's processor {spent.of('host'):.1f} s, the sender's {seen['cpu']:.1f} s"
            title = f"burst of {NOTIFICATIONS:,} notifications, {words}"
            yield at_most(f"{title}: accepted in", seen["seconds"], 10, " s", notes=(host,))
            yield at_most("  longest request", seen["longest"], 1, " s", notes=(_spread(seen),))
            yield at_most("  requests not accepted at first", seen["refused"], 0, "")
            yield at_most("  queue messages", sent, 200, "")


def _spread(seen: Json) -> str:
    return f"{seen['requests']:,} requests, p99 {seen['p99']:.3f} s"


def _send(stage: Stage, customer: Customer, size: int) -> Json:
    subscriptions = stage.entra.subscriptions(customer.tenant)
    users = next(one for one in subscriptions if one["resource"].lstrip("/").startswith("users"))
    order = {
        "url": f"{stage.host.base_url}/webhooks/graph/{customer.connection}",
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
