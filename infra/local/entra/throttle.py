"""Graph's limits: resource units per app and tenant, and the subscription service's own.

Each limit is a bucket that fills evenly. A request is refused when its bucket cannot pay for it;
the time until it could is the Retry-After.
"""

import time
from dataclasses import dataclass
from email.utils import formatdate

from infra.local.entra.clock import Clock
from infra.local.entra.graph_errors import GraphError
from infra.local.entra.odata import Query
from infra.local.entra.switches import Switches

# (small, medium, large tenant) per 10 seconds
_QUOTAS = (3_500, 5_000, 8_000)
# Requests per 20 seconds, per app and tenant.
_SUBSCRIPTION_LIMITS = {"write": 500, "reauthorize": 1_000, "get": 500, "list": 25}


@dataclass(slots=True)
class _Bucket:
    level: float
    filled_at: float


class Throttle:
    """Decides which request is one too many."""

    def __init__(self, clock: Clock, switches: Switches) -> None:
        self._clock = clock
        self._switches = switches
        self._buckets: dict[tuple[str, ...], _Bucket] = {}

    def clear(self) -> None:
        """Fill every bucket."""
        self._buckets.clear()

    def directory_call(self, client_id: str, tenant: str, users: int, units: int) -> dict[str, str]:
        """Pay for a call on users and groups; returns headers, or raises the 429."""
        headers = {"x-ms-resource-unit": str(units)}
        if not self._switches.throttle:
            return headers
        size = 0 if users < 50 else 1 if users <= 500 else 2
        quota = self._switches.throttle_quota or _QUOTAS[size]
        left = self._pay(("units", client_id, tenant), quota, 10.0, units)
        if left < 0:
            raise self._refused(client_id, tenant, -left / quota * 10.0)
        used = 1 - left / quota
        if used > 0.8:
            headers["x-ms-throttle-limit-percentage"] = f"{used:.1f}"
        return headers

    def subscription_call(self, client_id: str, tenant: str, kind: str) -> None:
        """Pay for a call on subscriptions, or raise the 429."""
        if not self._switches.throttle:
            return
        limit = _SUBSCRIPTION_LIMITS[kind]
        left = self._pay(("subscriptions", client_id, tenant, kind), limit, 20.0, 1)
        if left < 0:
            raise self._refused(client_id, tenant, -left / limit * 20.0)

    def _pay(self, key: tuple[str, ...], quota: float, seconds: float, cost: float) -> float:
        now = self._clock.now()
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(quota, now)
        bucket.level = min(quota, bucket.level + (now - bucket.filled_at) * quota / seconds)
        bucket.filled_at = now
        if bucket.level < cost:
            return bucket.level - cost
        bucket.level -= cost
        return bucket.level

    def _refused(self, client_id: str, tenant: str, wait: float) -> GraphError:
        headers = {
            "x-ms-throttle-scope": f"Tenant_Application/ReadWrite/{client_id}/{tenant}",
            "x-ms-throttle-information": "ResourceUnitLimitExceeded",
        }
        text = retry_after_text(self._switches.retry_after_form, wait)
        if text:
            headers["Retry-After"] = text
        return GraphError(429, "TooManyRequests", "Please retry again later.", headers)


def retry_after_text(form: str, seconds: float) -> str:
    """Write a Retry-After as an integer, a fraction or a date; empty for none."""
    if form == "none":
        return ""
    if form == "float":
        return f"{max(seconds, 0.001):.3f}"
    if form == "date":
        # Dates are read against the caller's own clock, so this one is real time.
        return formatdate(time.time() + max(seconds, 1), usegmt=True)
    return str(max(1, int(seconds + 0.999)))


def units_for(base: int, query: Query) -> int:
    """Return what a call costs after the documented modifiers."""
    cost = base
    if query.select is not None:
        cost -= 1
    if query.expand is not None:
        cost += 1
    if query.top is not None and query.top < 20:
        cost -= 1
    return max(cost, 1)
