"""What a Graph handler is given and gives back, and the count and log of all calls."""

import json
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from infra.local.entra.directory import Directory
from infra.local.entra.graph_errors import bad_request
from infra.local.entra.odata import Query
from infra.local.entra.tokens import AccessToken

if TYPE_CHECKING:
    from infra.local.entra.world import World

JSON_TYPE = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false"


@dataclass(slots=True)
class Reply:
    """A reply of Graph, alone or inside a batch."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


@dataclass(slots=True)
class Call:
    """One Graph request, with who asks and in which tenant."""

    world: "World"
    directory: Directory
    token: AccessToken
    method: str
    path: str
    params: tuple[str, ...]
    query: Query
    headers: Mapping[str, str]
    raw_body: bytes
    base: str
    request_id: str = ""

    @property
    def eventual(self) -> bool:
        """Whether the caller asked for the index that lags behind."""
        return self.headers.get("ConsistencyLevel", "").lower() == "eventual"

    @property
    def see_hidden(self) -> bool:
        """Whether the caller may read members of groups with hidden membership."""
        return "Member.Read.Hidden" in self.token.permissions

    def json(self) -> dict[str, Any]:
        """Return the body as an object; anything else is a 400."""
        try:
            value = json.loads(self.raw_body)
        except ValueError as error:
            raise bad_request("Unable to read JSON request payload.") from error
        if not isinstance(value, dict):
            raise bad_request("Unable to read JSON request payload.")
        return value


Handler = Callable[[Call], Reply | Awaitable[Reply]]


@dataclass(slots=True)
class CallBook:
    """Counts every call per service, method and route template, and keeps the latest requests."""

    counts: Counter[str] = field(default_factory=Counter)
    by_tenant: dict[str, Counter[str]] = field(default_factory=dict)
    log: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=20_000))

    def count(self, key: str, tenant: str = "") -> None:
        """Count one call."""
        self.counts[key] += 1
        if tenant:
            counter = self.by_tenant.get(tenant)
            if counter is None:
                counter = self.by_tenant[tenant] = Counter()
            counter[key] += 1

    def reset(self) -> None:
        """Start counting and logging anew."""
        self.counts.clear()
        self.by_tenant.clear()
        self.log.clear()
