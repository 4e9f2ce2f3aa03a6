"""/api/records: who is which record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from shared.core.model import Link, LinkState, RecordType
from shared.sync.records import Records
from shared.web.api.shapes import Search, Shown, Text, utc
from shared.web.cursor import read_place, write_place
from shared.web.http import Reply, json_reply
from shared.web.router import Call, Route


class RecordsQuery(Search):
    """GET /api/records."""

    connection_id: Text | None = None
    state: (
        Literal[
            "pending", "active", "inactive", "kept", "skipped", "conflict", "failed", "worklist"
        ]
        | None
    ) = None


class RecordShown(Shown):
    """A link: this user is this record."""

    connection_id: str
    user_id: str
    display_name: str
    user_principal_name: str
    address: str
    state: LinkState
    reason: str | None
    record_type: RecordType
    record_id: int | None
    account_id: int | None
    rule_id: str | None
    updated_at: datetime | None


class RecordList(Shown):
    """A page of links."""

    items: list[RecordShown]
    next_cursor: str | None


def shown(link: Link) -> RecordShown:
    """The link as the API shows it."""
    return RecordShown(
        connection_id=link.connection_id,
        user_id=link.user_id,
        display_name=link.display_name,
        user_principal_name=link.upn,
        address=link.address,
        state=link.state,
        reason=link.reason or None,
        record_type=link.record_type,
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
                description=(
                    "The links of users to records, searched by name, address, UPN, object id or "
                    "record id with `q`. A page looks through so many links and connections at "
                    "most: it may be short, or empty, and still have a nextCursor by which it goes "
                    "on."
                ),
                refusals=(404,),
                query=RecordsQuery,
                reply=RecordList,
            ),
        ]

    def all(self, call: Call) -> Reply:
        """GET /api/records."""
        query: RecordsQuery = call.query
        page = self.records.page(
            query.connection_id or None,
            state=query.state,
            text=query.q.strip() or None,
            limit=query.limit,
            start=read_place(query.cursor),
        )
        cursor = write_place(page.connection_id, page.cursor)
        return json_reply(
            RecordList(items=[shown(link) for link in page.links], next_cursor=cursor)
        )
