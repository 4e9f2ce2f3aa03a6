"""How Graph judges a notification endpoint: slow ones are held back, very slow ones dropped."""

from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

_WINDOW = 600.0
_SLOW_SHARE = 0.10
_DROP_SHARE = 0.15


@dataclass(slots=True)
class Endpoint(Generic[T]):
    """One notification URL: what is ready for it, and its replies of the last ten minutes."""

    url: str
    ready: list[T] = field(default_factory=list)
    replies: deque[tuple[float, float]] = field(default_factory=deque)  # (when, seconds it took)
    held_until: float = 0.0
    dropped_until: float = 0.0
    in_flight: int = 0

    def note(
        self, now: float, seconds: float, minimum: int, first_limit: float, retry_limit: float
    ) -> None:
        """Take a reply into account and change the state when a share is passed."""
        self.replies.append((now, seconds))
        while self.replies and self.replies[0][0] < now - _WINDOW:
            self.replies.popleft()
        total = len(self.replies)
        if total < minimum:
            return
        slow = sum(1 for _, took in self.replies if took >= first_limit) / total
        very_slow = sum(1 for _, took in self.replies if took >= retry_limit) / total
        if very_slow > _DROP_SHARE and now >= self.dropped_until:
            self.dropped_until = now + _WINDOW
            self.replies.clear()
        elif slow > _SLOW_SHARE and now >= self.held_until:
            self.held_until = now + _WINDOW
            self.replies.clear()

    def state(self, now: float) -> str:
        """Return ok, slow or drop."""
        if now < self.dropped_until:
            return "drop"
        return "slow" if now < self.held_until else "ok"
