"""/api/records, /api/conflicts, /api/failures: what a technician looks through."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from shared.core.model import Link
from shared.sync.records import Records
from shared.web.api.shapes import Paged, Search, Shown, Text, utc
from shared.web.cursor import page_of, read_cursor, write_cursor
from shared.web.http import Reply, json_reply
from shared.web.router import Call, Route


class RecordsQuery(Search):
    """GET /api/records."""

    connection_id: Text | None = None
    state: Literal["active", "inactive", "kept", "skipped", "conflict", "failed"] | None = None


class OfConnection(Paged):
    """A list that can be narrowed to one connection."""

    connection_id: Text | None = None


class RecordShown(Shown):
    """A link: this user is this record."""

    connection_id: str
    user_id: str
    display_name: str
    user_principal_name: str
    address: str
    state: str
    reason: str | None
    record_type: str
    record_id: int | None
    account_id: int | None
    rule_id: str | None
    updated_at: datetime | None


class RecordList(Shown):
    """A page of links."""

    items: list[RecordShown]
    next_cursor: str | None


class ConflictShown(Shown):
    """A person must choose (R9)."""

    id: str
    connection_id: str
    user_id: str
    record_ids: list[int]
    reason: str
    state: str
    found_at: datetime | None


class ConflictList(Shown):
    """A page of conflicts."""

    items: list[ConflictShown]
    next_cursor: str | None


class FailureShown(Shown):
    """Work that cannot succeed by itself."""

    id: str
    connection_id: str
    at: datetime | None
    cause: str
    reason: str
    next_step: str


class FailureList(Shown):
    """A page of failures."""

    items: list[FailureShown]
    next_cursor: str | None


def shown(link: Link) -> RecordShown:
    """The link as the API shows it."""
    return RecordShown(
        connection_id=link.connection_id,
        user_id=link.user_id,
        display_name=link.display_name,
        user_principal_name=link.upn,
        address=link.address,
        state=link.state.value,
        reason=link.reason or None,
        record_type=link.record_type.value,
        record_id=link.record_id,
        account_id=link.account_id,
        rule_id=link.rule_id,
        updated_at=utc(link.updated_at),
    )


@dataclass(frozen=True, slots=True)
class RecordsApi:
    """The resources."""

    records: Records

    def routes(self) -> list[Route]:
        """Their rows in the table."""
        return [
            Route(
                "GET",
                "/api/records",
                self.all,
                "Who is which record",
                query=RecordsQuery,
                reply=RecordList,
            ),
            Route(
                "GET",
                "/api/conflicts",
                self.conflicts,
                "What waits for a choice",
                query=OfConnection,
                reply=ConflictList,
            ),
            Route(
                "GET",
                "/api/failures",
                self.failures,
                "What could not be done",
                query=OfConnection,
                reply=FailureList,
            ),
        ]

    def all(self, call: Call) -> Reply:
        """GET /api/records."""
        query: RecordsQuery = call.query
        start: tuple[str, str | None] | None = None
        if query.cursor:
            connection_id, inner = read_cursor(query.cursor, str, str)
            start = (str(connection_id or ""), None if inner is None else str(inner))
        page = self.records.page(
            query.connection_id or None,
            state=query.state,
            text=query.q.strip() or None,
            limit=query.limit,
            start=start,
        )
        cursor = None if page.is_last else write_cursor(page.connection_id, page.cursor)
        return json_reply(
            RecordList(items=[shown(link) for link in page.links], next_cursor=cursor)
        )

    def conflicts(self, call: Call) -> Reply:
        """GET /api/conflicts."""
        query: OfConnection = call.query
        found = self.records.all_conflicts(query.connection_id or None)
        items, cursor = page_of(found, query.limit, query.cursor)
        return json_reply(
            ConflictList(
                items=[
                    ConflictShown(
                        id=f"{each.connection_id}.{each.user_id}",
                        connection_id=each.connection_id,
                        user_id=each.user_id,
                        record_ids=list(each.record_ids),
                        reason=each.reason,
                        state="open",
                        found_at=utc(each.found_at),
                    )
                    for each in items
                ],
                next_cursor=cursor,
            )
        )

    def failures(self, call: Call) -> Reply:
        """GET /api/failures."""
        query: OfConnection = call.query
        found = self.records.all_failures(query.connection_id or None)
        items, cursor = page_of(found, query.limit, query.cursor)
        return json_reply(
            FailureList(
                items=[
                    FailureShown(
                        id=each.id,
                        connection_id=each.connection_id,
                        at=utc(each.at),
                        cause=each.cause,
                        reason=each.sentence,
                        next_step=each.next_step,
                    )
                    for each in items
                ],
                next_cursor=cursor,
            )
        )
