"""/api/mapping-rules/preview and /api/previews: what rules would do before they are saved (R5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from shared.core.preview import KINDS, Kind, Move, PreviewedPerson
from shared.sync import previewing
from shared.sync.previewing import Previewing
from shared.web.api.mapping_rules import RuleBody, read_items
from shared.web.api.shapes import Search, Shown, Strict, Text, utc
from shared.web.http import Reply, json_reply
from shared.web.router import Call, Route


class PreviewBody(Strict):
    """A rule set that is not saved. Items are read one by one, as when the set is saved."""

    connection_id: Text
    items: list[Annotated[msgspec.Raw, Meta(extra={"read_as": RuleBody})]]
    next_cursor: Text | None = None


class PeopleQuery(Search):
    """GET /api/previews/{id}/people."""

    kind: Kind | None = None


class MoveShown(Shown):
    """So many people from one account to another; null: they are employees there."""

    from_account_id: int | None
    from_account_name: str
    to_account_id: int | None
    to_account_name: str
    count: int


class PreviewShown(Shown):
    """What the rules would do. `reason` only when it failed; the numbers once it is ready.

    `wouldHold`: saved without these numbers confirmed, the deactivations wait in a hold (R20).
    `stale`: the rules or the connection were changed since.
    """

    preview_id: str
    connection_id: str
    state: str
    reason: str | None
    created_at: datetime | None
    expires_at: datetime | None
    seen: int
    counts: dict[str, int]
    sentence: str
    moves: list[MoveShown]
    would_hold: bool
    notes: list[str]
    stale: bool


class ChangeShown(Shown):
    """One field, old → new."""

    field: str
    old: str
    new: str


class PersonShown(Shown):
    """One person behind the numbers.

    `recordId` is the record that he has afterwards, null for a new one; `leavingRecordId` the one
    that becomes inactive. `itemIndex`: the place of his rule in the request, where it is new.
    """

    user_id: str
    display_name: str
    address: str
    kind: str
    record_type: str
    record_id: int | None
    leaving_record_id: int | None
    account_id: int | None
    account_name: str | None
    from_account_id: int | None
    from_account_name: str | None
    rule_id: str | None
    item_index: int | None
    reason: str
    changes: list[ChangeShown]


class PersonList(Shown):
    """A page of people. Those who stay as they are are counted, and mostly not listed."""

    items: list[PersonShown]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class PreviewsApi:
    """The resources."""

    previews: Previewing

    def routes(self) -> list[Route]:
        """Their rows in the table."""
        return [
            Route(
                "POST",
                "/api/mapping-rules/preview",
                self.ask,
                "What a rule set would do; 202 when that takes longer than 20 seconds",
                body=PreviewBody,
                reply=PreviewShown,
                also={202: PreviewShown},
                refusals=(404, 409),
                headers={202: {"Location": "Where the preview will be."}},
            ),
            Route(
                "GET",
                "/api/previews/{previewId}",
                self.get,
                "A preview and its numbers",
                reply=PreviewShown,
            ),
            Route(
                "GET",
                "/api/previews/{previewId}/people",
                self.people,
                "The people behind a preview's numbers",
                query=PeopleQuery,
                reply=PersonList,
            ),
        ]

    def ask(self, call: Call) -> Reply:
        """POST /api/mapping-rules/preview."""
        body: PreviewBody = call.body
        wishes = read_items(body.items, body.next_cursor)
        found = self.previews.ask(body.connection_id, wishes)
        if found.preview.state == "running":
            location = (("Location", f"/api/previews/{found.preview.id}"),)
            return json_reply(shown(found), 202, location)
        return json_reply(shown(found))

    def get(self, call: Call) -> Reply:
        """GET /api/previews/{id}."""
        return json_reply(shown(self.previews.get(call.path["previewId"])))

    def people(self, call: Call) -> Reply:
        """GET /api/previews/{id}/people."""
        query: PeopleQuery = call.query
        preview_id = call.path["previewId"]
        people, cursor = self.previews.people(
            preview_id, kind=query.kind, text=query.q, limit=query.limit, cursor=query.cursor
        )
        indexes = self.previews.indexes(preview_id) if people else {}
        names = self.previews.account_names() if people else {}
        items = [_person(one, indexes, names) for one in people]
        return json_reply(PersonList(items=items, next_cursor=cursor))


def shown(found: previewing.Found) -> PreviewShown:
    """The preview as the API shows it."""
    one = found.preview
    return PreviewShown(
        preview_id=one.id,
        connection_id=one.connection_id,
        state=one.state,
        reason=one.reason or None,
        created_at=utc(one.created_at),
        expires_at=utc(one.expires_at),
        seen=one.seen,
        counts={kind: one.counts.get(kind, 0) for kind in KINDS},
        sentence=one.sentence,
        moves=[_move(move) for move in one.moves],
        would_hold=one.would_hold,
        notes=list(one.notes),
        stale=found.stale,
    )


def _move(move: Move) -> MoveShown:
    return MoveShown(
        from_account_id=move.from_account_id,
        from_account_name=move.from_name,
        to_account_id=move.to_account_id,
        to_account_name=move.to_name,
        count=move.count,
    )


def _person(
    one: PreviewedPerson, indexes: Mapping[str, int], names: Mapping[int, str]
) -> PersonShown:
    outcome = one.outcome
    rule = outcome.rule_id
    account, came_from = outcome.account_id, outcome.from_account_id
    return PersonShown(
        user_id=one.user_id,
        display_name=one.display_name,
        address=one.address,
        kind=outcome.kind,
        record_type=outcome.record_type.value,
        record_id=outcome.record_id,
        leaving_record_id=outcome.leaving,
        account_id=account,
        account_name=None if account is None else names.get(account),
        from_account_id=came_from,
        from_account_name=None if came_from is None else names.get(came_from),
        rule_id=None if rule is None or rule in indexes else rule,
        item_index=None if rule is None else indexes.get(rule),
        reason=outcome.reason,
        changes=[
            ChangeShown(field=each.field, old=each.old, new=each.new) for each in outcome.changes
        ],
    )
