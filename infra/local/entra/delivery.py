"""Delivery of change notifications: batches, limits, retries, lifecycle events, lost ones.

One task looks at what is due. Times are the stand-in's clock, so four hours of retries pass when
a test moves it. Posts go straight to the endpoint: a proxy in the environment is not asked.
"""

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import aiohttp

from infra.local.entra import handshake
from infra.local.entra.directory import Directory
from infra.local.entra.endpoints import Endpoint
from infra.local.entra.entities import Change
from infra.local.entra.notices import notices_for
from infra.local.entra.rendering import dumps
from infra.local.entra.subscriptions import Subscription

if TYPE_CHECKING:
    from infra.local.entra.world import World


@dataclass(slots=True)
class Parcel:
    """One notification on its way."""

    url: str
    subscription: str
    notice: dict[str, Any]
    due: float
    first_at: float
    attempts: int = 0


@dataclass(slots=True)
class Tally:
    """What became of the notifications."""

    made: int = 0
    delivered: int = 0
    posts: int = 0
    failed_posts: int = 0
    lost: int = 0
    dropped: int = 0
    discarded: int = 0
    lifecycle: int = 0
    misuses: int = 0  # reauthorize and PATCH within ten minutes of each other
    recent: list[dict[str, Any]] = field(default_factory=list)


class Delivery:
    """Everything between a change and the client's endpoint."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.waiting: list[Parcel] = []
        self.endpoints: dict[str, Endpoint[Parcel]] = {}
        self.tally = Tally()
        self._session: aiohttp.ClientSession | None = None
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._random = random.Random(world.switches.seed)
        self._lifecycle_due = float("inf")
        self._purge_due = 0.0

    async def start(self, ssl: Any) -> None:
        """Open the client and start the task that delivers."""
        self._session = aiohttp.ClientSession(
            trust_env=False, connector=aiohttp.TCPConnector(limit=200, ssl=ssl)
        )
        self._spawn(self._run())

    async def stop(self) -> None:
        """End every task and close the client."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def clear(self) -> None:
        """Forget everything that is on its way."""
        self.waiting.clear()
        self.endpoints.clear()
        self.tally = Tally()
        self._random = random.Random(self._world.switches.seed)

    def wake(self) -> None:
        """Look again at what is due."""
        self._wake.set()

    def note_misuse(self, subscription: Subscription) -> None:
        """Remember that reauthorize and PATCH came within ten minutes of each other."""
        self.tally.misuses += 1

    # Making notifications

    def on_change(self, directory: Directory, change: Change) -> None:
        """Queue the notifications of a change."""
        here = self._world.subscriptions.by_tenant.get(directory.id)
        if not here:
            return
        now = self._world.clock.now()
        live = [s for s in here.values() if s.expires_at > now]
        switches = self._world.switches
        window = switches.notify_batch_window_seconds
        for subscription, notice in notices_for(directory, change, live, switches):
            self.tally.made += 1
            if switches.notify_loss_rate > 0 and self._random.random() < switches.notify_loss_rate:
                self.tally.lost += 1
                continue
            due = now + switches.notify_delay_seconds + window
            url = subscription.notification_url
            self.waiting.append(Parcel(url, subscription.id, notice, due, now))
            if self._random.random() < switches.notify_duplicate_rate:
                later = due + self._random.random()
                self.waiting.append(Parcel(url, subscription.id, notice, later, now))
        self._wake.set()

    def schedule_lifecycle(self, subscription: Subscription) -> None:
        """Work out when the next reauthorizationRequired is due."""
        switches = self._world.switches
        ends = subscription.expires_at
        if self._bound(subscription):
            ends = min(ends, subscription.token_expires_at)
        due = ends - switches.lifecycle_lead_minutes * 60
        subscription.next_lifecycle_at = max(due, self._world.clock.now() + 1)
        self._lifecycle_due = min(self._lifecycle_due, subscription.next_lifecycle_at)
        self._wake.set()

    def send_lifecycle(self, subscription: Subscription, event: str) -> None:
        """Queue a lifecycle notification."""
        if subscription.lifecycle_url is None:
            return
        now = self._world.clock.now()
        self.tally.lifecycle += 1
        notice = subscription.lifecycle_notice(event)
        self.waiting.append(Parcel(subscription.lifecycle_url, "", notice, now, now))
        self._wake.set()

    # Handshake

    async def validate(self, subscription: Subscription) -> None:
        """Call both URLs and compare what they answer; raises the 400 of a failed handshake."""
        urls = [subscription.notification_url]
        if subscription.lifecycle_url is not None:
            urls.append(subscription.lifecycle_url)
        switches = self._world.switches
        for url in urls:
            handshake.check_url(url, switches.strict_notification_url)
        local = [self._local(url) for url in urls]
        await handshake.validate(self._client(), local, switches.validation_seconds)

    # Delivering

    async def deliver_now(self) -> dict[str, int]:
        """Send everything that waits, retries too, and wait for the first answers."""
        now = self._world.clock.now()
        due: dict[str, list[Parcel]] = {}
        later: list[Parcel] = []
        for endpoint in self.endpoints.values():
            if endpoint.ready:
                due[endpoint.url] = endpoint.ready
                endpoint.ready = []
        for parcel in self.waiting:
            if self._may_go(parcel, now):
                due.setdefault(parcel.url, []).append(parcel)
            else:
                later.append(parcel)
        self.waiting = later
        before = self.tally.delivered
        size = max(1, self._world.switches.notify_batch_size)
        posts = []
        for url, parcels in due.items():
            endpoint = self._endpoint(url)
            for at in range(0, len(parcels), size):
                endpoint.in_flight += 1
                posts.append(self._post(endpoint, parcels[at : at + size]))
        await asyncio.gather(*posts)
        return {
            "sent": sum(map(len, due.values())),
            "delivered": self.tally.delivered - before,
            "waiting": len(self.waiting),
        }

    def lose(self) -> int:
        """Throw away everything that waits; returns how many."""
        lost = len(self.waiting)
        for endpoint in self.endpoints.values():
            lost += len(endpoint.ready)
            endpoint.ready = []
        self.tally.lost += lost
        self.waiting.clear()
        return lost

    def forget_subscription(self, subscription_id: str) -> None:
        """Throw away what waits for a subscription that is gone."""
        self.waiting = [p for p in self.waiting if p.subscription != subscription_id]

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            now = self._world.clock.now()
            self._housekeeping(now)
            pause = self._send_due(now)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), pause)

    def _housekeeping(self, now: float) -> None:
        if now >= self._purge_due or now < self._purge_due - 5:
            self._purge_due = now + 1
            for directory in self._world.tenants.values():
                if directory.soft_deleted:
                    directory.purge_overdue()
        if now < self._lifecycle_due or not self._world.switches.lifecycle:
            return
        self._lifecycle_due = float("inf")
        self._world.subscriptions.drop_expired(now)
        every = self._world.switches.lifecycle_every_minutes * 60
        for subscription in self._world.subscriptions.by_id.values():
            due = subscription.next_lifecycle_at
            if due is None:
                continue
            if due <= now:
                self.send_lifecycle(subscription, "reauthorizationRequired")
                due = subscription.next_lifecycle_at = now + every
            self._lifecycle_due = min(self._lifecycle_due, due)

    def _send_due(self, now: float) -> float:
        """Hand what is due to its endpoint; returns how long to wait for the next."""
        switches = self._world.switches
        if switches.notify_hold or not self.waiting:
            return 0.5
        oldest = now - switches.notify_retry_hours * 3600
        later: list[Parcel] = []
        touched: set[str] = set()
        next_due = now + 0.25
        for parcel in self.waiting:
            if parcel.first_at < oldest:
                self.tally.discarded += 1
            elif parcel.due <= now and self._may_go(parcel, now):
                self._endpoint(parcel.url).ready.append(parcel)
                touched.add(parcel.url)
            else:
                later.append(parcel)
                if parcel.due > now:
                    next_due = min(next_due, parcel.due)
        self.waiting = later
        for url in touched:
            if switches.notify_shuffle:
                self._random.shuffle(self._endpoint(url).ready)
            self._pump(self._endpoint(url))
        return max(0.005, next_due - now)

    def _pump(self, endpoint: Endpoint[Parcel]) -> None:
        """Start posts to one endpoint, up to what may be in flight."""
        switches = self._world.switches
        now = self._world.clock.now()
        if switches.endpoint_states and endpoint.state(now) == "drop":
            self.tally.dropped += len(endpoint.ready)
            endpoint.ready.clear()
        size = max(1, switches.notify_batch_size)
        while endpoint.ready and endpoint.in_flight < switches.notify_concurrency:
            batch, endpoint.ready = endpoint.ready[:size], endpoint.ready[size:]
            endpoint.in_flight += 1
            self._spawn(self._post(endpoint, batch))

    def _may_go(self, parcel: Parcel, now: float) -> bool:
        """Whether the endpoint is not held back and the stored token is still good."""
        switches = self._world.switches
        subscription = self._world.subscriptions.by_id.get(parcel.subscription)
        endpoint = self._endpoint(parcel.url)
        if switches.endpoint_states and endpoint.state(now) == "slow":
            return False
        if subscription is None or not self._bound(subscription):
            return True
        return subscription.token_expires_at > now

    def _bound(self, subscription: Subscription) -> bool:
        bound = self._world.switches.token_bound_delivery
        return bound == "all" or (bound == "delegated" and subscription.creator is not None)

    async def _post(self, endpoint: Endpoint[Parcel], batch: list[Parcel]) -> None:
        switches = self._world.switches
        retry = any(parcel.attempts for parcel in batch)
        limit = (
            switches.notify_retry_limit_seconds if retry else switches.notify_first_limit_seconds
        )
        started = time.monotonic()
        status = 0
        try:
            async with self._client().post(
                self._local(endpoint.url),
                data=dumps({"value": [parcel.notice for parcel in batch]}),
                headers={"Content-Type": "application/json; charset=utf-8"},
                timeout=aiohttp.ClientTimeout(total=limit),
                allow_redirects=False,
            ) as reply:
                await reply.read()
                status = reply.status
        except (aiohttp.ClientError, TimeoutError, ValueError):
            status = 0
        finally:
            endpoint.in_flight -= 1
        self._settle(endpoint, batch, status, time.monotonic() - started)
        self._pump(endpoint)

    def _settle(
        self, endpoint: Endpoint[Parcel], batch: list[Parcel], status: int, took: float
    ) -> None:
        switches = self._world.switches
        now = self._world.clock.now()
        self.tally.posts += 1
        self.tally.recent.append(
            {
                "url": endpoint.url,
                "count": len(batch),
                "status": status,
                "seconds": round(took, 3),
            }
        )
        del self.tally.recent[:-100]
        if switches.endpoint_states:
            endpoint.note(
                now,
                took,
                switches.endpoint_minimum_replies,
                switches.notify_first_limit_seconds,
                switches.notify_retry_limit_seconds,
            )
        if 200 <= status < 300:
            self.tally.delivered += len(batch)
        else:
            self.tally.failed_posts += 1
            for parcel in batch:
                parcel.attempts += 1
                wait = switches.notify_retry_base_seconds * 2 ** (parcel.attempts - 1)
                parcel.due = now + wait
            self.waiting += batch
            self._wake.set()

    def _endpoint(self, url: str) -> Endpoint[Parcel]:
        endpoint = self.endpoints.get(url)
        if endpoint is None:
            endpoint = self.endpoints[url] = Endpoint(url)
        return endpoint

    def _local(self, url: str) -> str:
        """Lead a public origin to a local one when a switch says so."""
        parts = urlsplit(url)
        base = self._world.switches.notify_rewrite.get(f"{parts.scheme}://{parts.netloc}")
        if base is None:
            return url
        to = urlsplit(base)
        query = urlencode(parse_qsl(parts.query, keep_blank_values=True))
        return urlunsplit((to.scheme, to.netloc, parts.path, query, ""))

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("Delivery has not been started.")
        return self._session

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
