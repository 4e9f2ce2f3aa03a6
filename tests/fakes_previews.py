"""Previews in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.core.model import ConnectionId, UserId
from shared.core.preview import PreviewedPerson
from shared.ports import Leaving, Preview, PreviewedRule


@dataclass
class FakePreviews:
    held: dict[str, Preview] = field(default_factory=dict)
    sets: dict[str, list[PreviewedRule]] = field(default_factory=dict)
    used: dict[str, set[UserId]] = field(default_factory=dict)
    put: dict[str, list[PreviewedPerson]] = field(default_factory=dict)

    def add(self, preview: Preview, rules: Sequence[PreviewedRule]) -> None:
        self.held[preview.id] = replace(preview, etag="1")
        self.sets[preview.id] = list(rules)

    def get(self, preview_id: str) -> Preview | None:
        return self.held.get(preview_id)

    def rules(self, preview_id: str) -> list[PreviewedRule]:
        return self.sets.get(preview_id, [])

    def save(self, preview: Preview) -> Preview | None:
        before = self.held.get(preview.id)
        if before is None or before.etag != preview.etag:
            return None
        self.held[preview.id] = replace(preview, etag=str(int(preview.etag) + 1))
        return self.held[preview.id]

    def put_people(self, preview: Preview, people: Sequence[PreviewedPerson]) -> None:
        self.put.setdefault(f"{preview.id}.{preview.attempt}", []).extend(people)

    def people(
        self,
        preview: Preview,
        *,
        kind: str | None,
        text: str | None,
        limit: int,
        cursor: str | None,
    ) -> tuple[list[PreviewedPerson], str | None]:
        every = [
            one
            for one in self.put.get(f"{preview.id}.{preview.attempt}", [])
            if kind in (None, one.outcome.kind) and (text or "") in one.display_name
        ]
        start = int(cursor or 0)
        end = start + limit
        return every[start:end], str(end) if end < len(every) else None

    def leaving(self, preview_id: str) -> Mapping[UserId, Leaving]:
        preview = self.held.get(preview_id)
        if preview is None or preview.state != "ready":
            return {}
        people = self.put.get(f"{preview.id}.{preview.attempt}", [])
        return {
            one.user_id: Leaving(one.outcome.leaving, one.outcome.kind)
            for one in people
            if one.outcome.leaving is not None
        }

    def spend(
        self, preview_id: str, connection_id: ConnectionId, users: Sequence[UserId], until: datetime
    ) -> None:
        self.used.setdefault(preview_id, set()).update(users)

    def spent(self, preview_id: str) -> Set[UserId]:
        return self.used.get(preview_id, set())

    def remove_expired(self, now: datetime) -> int:
        gone = [one.id for one in self.held.values() if one.expires_at < now]
        for preview_id in gone:
            del self.held[preview_id]
        return len(gone)
