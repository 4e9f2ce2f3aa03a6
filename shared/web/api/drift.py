"""/api/drift: linked records whose mapped fields were edited in BMS."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from shared.ports import DriftItem
from shared.sync.drift import Drift, DriftPage
from shared.web.api.shapes import Search, Shown, Strict, Text, utc
from shared.web.cursor import read_place, write_place
from shared.web.http import Reply, json_reply
from shared.web.router import Call, Route

_A_PAGE = 50


class DriftQuery(Search):
    """GET /api/drift."""

    connection_id: Text | None = None


class DriftWish(Strict):
    """Whose records to compare again; left out: those of every connection."""

    connection_id: Text | None = None


class DriftFieldShown(Shown):
    """One field. `written`: what was written or compared last; `next`: what a sync will do."""

    field: str
    label: str
    written: str
    in_bms: str
    next: str


class DriftShown(Shown):
    """One record. `editedBy` and `editedAt` only where BMS tells."""

    connection_id: str
    user_id: str
    display_name: str
    record_type: Literal["contact", "employee"]
    record_id: int
    account_id: int | None
    account_name: str
    is_active: bool
    fields: list[DriftFieldShown]
    edited_by: str | None
    edited_at: datetime | None


class DriftList(Shown):
    """A page of edited records. While `state` is "reading", `compared` of `links` are done."""

    items: list[DriftShown]
    next_cursor: str | None
    read_at: datetime | None
    notes: list[str]
    state: Literal["ready", "reading"]
    links: int
    compared: int


def shown(item: DriftItem) -> DriftShown:
    """The item as the API shows it."""
    return DriftShown(
        connection_id=item.connection_id,
        user_id=item.user_id,
        display_name=item.display_name,
        record_type=item.record_type.value,
        record_id=item.record_id,
        account_id=item.account_id,
        account_name=item.account_name,
        is_active=item.is_active,
        fields=[
            DriftFieldShown(
                field=one.field,
                label=one.label,
                written=one.written,
                in_bms=one.in_bms,
                next=one.next,
            )
            for one in item.fields
        ],
        edited_by=item.edited_by,
        edited_at=utc(item.edited_at),
    )


@dataclass(frozen=True, slots=True)
class DriftApi:
    """The resource."""

    drift: Drift

    def routes(self) -> list[Route]:
        """Its rows in the table."""
        return [
            Route(
                "GET",
                "/api/drift",
                self.all,
                "Linked records whose mapped fields were edited in BMS",
                query=DriftQuery,
                reply=DriftList,
                refusals=(404,),
            ),
            Route(
                "POST",
                "/api/drift",
                self.again,
                "Compare again, however new the last comparison is",
                description="Answers with the beginning of the list; the rest by GET.",
                body=DriftWish,
                reply=DriftList,
                refusals=(404,),
            ),
        ]

    def all(self, call: Call) -> Reply:
        """GET /api/drift."""
        query: DriftQuery = call.query
        page = self.drift.page(
            query.connection_id or None,
            text=query.q,
            limit=query.limit,
            start=read_place(query.cursor),
            fresh=False,
        )
        return _reply(page)

    def again(self, call: Call) -> Reply:
        """POST /api/drift."""
        wish: DriftWish = call.body
        of = wish.connection_id or None
        return _reply(self.drift.page(of, text="", limit=_A_PAGE, start=None, fresh=True))


def _reply(page: DriftPage) -> Reply:
    more = write_place(page.connection_id, page.cursor)
    return json_reply(
        DriftList(
            items=[shown(item) for item in page.items],
            next_cursor=more,
            read_at=utc(page.read_at),
            notes=page.notes,
            state="reading" if page.state == "reading" else "ready",
            links=page.links,
            compared=page.compared,
        )
    )
