"""Onboarding checks, kept where every instance finds them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.core.model import ConnectionId
from shared.core.onboarding import CheckResult


@dataclass(frozen=True, slots=True)
class KeptCheck:
    """The last check of a connection. `until`: somebody makes one, and is given up after that."""

    started_at: datetime
    until: datetime | None
    result: CheckResult | None


class Checks(Protocol):
    def get(self, connection_id: ConnectionId) -> KeptCheck | None: ...

    def begin(self, connection_id: ConnectionId, now: datetime, until: datetime) -> bool:
        """Become the only one who makes it; False while somebody else does."""

    def renew(self, connection_id: ConnectionId, started: datetime, until: datetime) -> None:
        """The one that was begun then is still being made; nothing where another one is."""

    def finish(
        self, connection_id: ConnectionId, started: datetime, result: CheckResult | None
    ) -> None:
        """Keep the result of the one that was begun then; nothing where another one is.

        None: there is no result, and the next who asks begins anew.
        """
