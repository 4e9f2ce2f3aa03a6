"""How long a change in Entra takes to BMS: under load, without notifications, beside a full sync.

Measured from the change in Entra to BMS's receipt of the write, so Graph's own way to notify is in
it (the stand-in gathers for 50 ms).
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator, Mapping, Sequence

from bench.figures import Figure, at_least, at_most, percentile
from bench.processes import spending
from bench.stage import Customer, Stage, Stages

A_SECOND = 20
P50_GOAL, P99_GOAL = 1.0, 5.0
LOST_GOAL, LOST_NEVER = 90.0, 180.0
USE_GOAL = 0.95
_PATCH = "PATCH /v2/crm/contacts/{id}"


def under_load(stages: Stages, seconds: int) -> Iterator[Figure]:
    """Twenty changes a second, and BMS has no limit."""
    with stages() as stage:
        stage.start_host()
        stage.limit_bms()
        number = A_SECOND * seconds
        customer = stage.connect(number + A_SECOND)
        stage.finished(stage.order(customer), 60 + number)
        _warm(stage, customer, customer.users[number:])
        with spending(stage.world.pids) as spent:
            made = changes(stage, customer, customer.users[:number], 1 / A_SECOND)
            waits = arrivals(stage, made, 30)
        shares = f"processor: host {spent.of('host') / spent.wall:.0%}"
        shares += f", busiest stand-in {spent.busiest[0]} {spent.busiest[1]:.0%}"
        title = f"freshness at {A_SECOND} changes a second"
        yield at_most(f"{title}, p50", percentile(waits, 50), P50_GOAL, " s", notes=(shares,))
        yield at_most("  p99", percentile(waits, 99), P99_GOAL, " s", notes=(_about(waits),))


def notifications_lost(number: int, every: int) -> Iterator[Figure]:
    """No notification ever comes: the timer's sweeps find every change.

    `every`: seconds between two sweeps. With less than a minute, what is missing of it is added to
    each wait, so that a short measurement does not look better than the real schedule.
    """
    with Stage() as stage:
        schedule = "0 * * * * *" if every == 60 else f"*/{every} * * * * *"
        stage.start_host(SWEEP_SCHEDULE=schedule)
        stage.limit_bms()
        customer = stage.connect(number + 10)
        stage.finished(stage.order(customer), 120)
        _warm(stage, customer, customer.users[number:])
        stage.entra.switch(notify_loss_rate=1.0)
        made = changes(stage, customer, customer.users[:number], 2 * every / number)
        waits = [one + 60 - every for one in arrivals(stage, made, 3 * every + 30)]
        notes: tuple[str, ...] = (_about(waits),)
        if every != 60:
            notes += (f"swept every {every} s, and {60 - every} s added to each wait",)
        name = "freshness with notifications lost"
        yield at_most(f"{name}, p99", percentile(waits, 99), LOST_GOAL, " s", notes=notes)
        yield at_most("  longest", max(waits), LOST_NEVER, " s")


def beside_a_waiting_sync(window: int, limit: int, people: int) -> Iterator[Figure]:
    """A first sync waits for BMS's limit, an hour compressed to `window` seconds."""
    with Stage() as stage:
        stage.start_host()
        stage.limit_bms(limit, window, on=True)
        customer = stage.connect(people)
        sync = stage.order(customer)
        share = limit * 8 // 10
        _wait_until_waiting(stage, sync, 3 * window)
        linked = [one["userId"] for one in stage.admin.items("/api/records")]
        linked = [user for user in customer.users if user in set(linked)]
        # Two calls each, and what the first share pays for: half of what is free for fresh changes.
        fresh = linked[: (limit - share) * 3 // 4]
        made = changes(stage, customer, fresh, window / len(fresh))
        run = stage.finished(sync, (people / share + 4) * window)
        waits = arrivals(stage, made, window)
        usage = stage.bms.usage()
        refused = sum(int(one["refused"]) for one in usage.values())
        bulk = sorted(
            one.at for one in stage.bms.writes() if one.endpoint == _PATCH and not _is_fresh(one)
        )
        title = f"freshness while {people:,} wait for BMS's limit"
        told = f"{limit} calls in {window} s instead of 1,500 in an hour; {run['seen']} people"
        yield at_most(
            f"{title}, p50",
            percentile(waits, 50),
            P50_GOAL,
            " s",
            notes=(told, _about(waits)),
        )
        yield at_most("  p99", percentile(waits, 99), P99_GOAL, " s")
        yield _use(bulk, share, window)
        yield at_most("  replies 429", refused, 0, "")


def _use(bulk: Sequence[float], share: int, window: int) -> Figure:
    """How soon the share comes round: each call is free again a window later."""
    rounds = [later - at for at, later in zip(bulk, bulk[share:], strict=False)]
    assert rounds, "the limit never came round"
    lost = max(0.0, sum(rounds) / len(rounds) - window)
    # Reservations are noted by slots, the 120th part of a window: their part of the loss grows with
    # the window. The rest is queues and polls, which know seconds, whatever the window.
    slots = min(lost, 1.5 * window / 120)
    hour = slots * 3600 / window + (lost - slots)
    return at_least(
        "use of BMS's hourly limit by a full sync",
        100 * 3600 / (3600 + hour),
        100 * USE_GOAL,
        " %",
        notes=(
            f"a window of {window} s lost {lost:.2f} s, which is {window / (window + lost):.1%} of "
            f"the share; up to one and a half slots ({slots:.2f} s) of it grow with the window",
        ),
    )


def _wait_until_waiting(stage: Stage, sync: str, timeout: float) -> None:
    until = time.monotonic() + timeout
    while True:
        run = stage.admin.call("GET", f"/api/syncs/{sync}")
        if run["state"] == "waiting" and run["done"]:
            return
        assert time.monotonic() < until, f"the limit never bit: {run}"
        time.sleep(0.3)


def _warm(stage: Stage, customer: Customer, users: Sequence[str]) -> None:
    """A few changes first, so that every client and token of the process is there."""
    made = changes(stage, customer, users, 0.1, "Warm")
    arrivals(stage, made, 200)


def changes(
    stage: Stage, customer: Customer, users: Sequence[str], pause: float, word: str = "Fresh"
) -> dict[str, float]:
    """Change one user after the other; when each new title was set."""
    made: dict[str, float] = {}
    chance = random.Random(7)
    began = time.monotonic()
    for number, user in enumerate(users):
        wait = began + number * pause - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        title = f"{word} {number} {chance.getrandbits(32):08x}"
        made[title] = time.time()
        stage.entra.update_user(customer.tenant, user, jobTitle=title)
    return made


def arrivals(stage: Stage, made: Mapping[str, float], timeout: float) -> list[float]:
    """Seconds from each change to BMS; those that have not come by then count as infinite."""
    until = time.monotonic() + timeout
    while True:
        came = {_title(one.body): one.at for one in stage.bms.writes() if one.status == 200}
        if made.keys() <= came.keys() or time.monotonic() > until:
            return [came.get(title, math.inf) - at for title, at in made.items()]
        time.sleep(0.5)


def _is_fresh(write: object) -> bool:
    return _title(getattr(write, "body", None)).startswith("Fresh ")


def _title(body: object) -> str:
    if not isinstance(body, list):
        return ""
    return next((str(step["value"]) for step in body if step["path"] == "/JobTitle"), "")


def _about(waits: Sequence[float]) -> str:
    return f"{len(waits)} changes, longest {max(waits):.2f} s"
