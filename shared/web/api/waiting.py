"""/api/holds, /api/conflicts, /api/failures: what waits for a person, and the person's word."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

from shared.core.model import ConnectionId, Link, RecordType, UserId
from shared.ports import Conflict, Failure, HeldUser
from shared.sync.choosing import Choosing
from shared.sync.holding import Decided, Holding
from shared.sync.records import Records
from shared.sync.replaying import Replaying
from shared.sync.what_waits import HoldSeen, WhatWaits
from shared.web.api.shapes import BmsId, Paged, Shown, Strict, Text, one_of, utc
from shared.web.cursor import page_of, read_cursor, write_cursor
from shared.web.http import Reply, json_reply
from shared.web.router import Call, NoBody, Route

HoldState = Literal["open", "decided", "expired"]
ConflictState = Literal["open", "resolved"]


class OfConnection(Paged):
    """A list that can be narrowed to one connection."""

    connection_id: Text | None = None


class HoldsQuery(OfConnection):
    """GET /api/holds."""

    state: HoldState | None = None


class ConflictsQuery(OfConnection):
    """GET /api/conflicts."""

    state: ConflictState | None = None


class HeldShown(Shown):
    """One person of a hold."""

    user_id: str
    display_name: str
    record_id: int | None
    reason: str
    state: str


class HoldShown(Shown):
    """Deactivations that wait for a person (R20).

    `waiting`: how many of them wait. `users`: the first 500; `moreUsers`: how many come after them.
    """

    id: str
    connection_id: str
    state: Annotated[str, one_of(HoldState)]
    raised_at: datetime | None
    expires_at: datetime | None
    waiting: int
    users: list[HeldShown]
    more_users: int


class HoldList(Shown):
    """A page of holds."""

    items: list[HoldShown]
    next_cursor: str | None


class HeldList(Shown):
    """A page of the people of a hold."""

    items: list[HeldShown]
    next_cursor: str | None


class HoldDecision(Strict):
    """Whom it is about; left out: everybody who waits.

    `expected`: how many those were when the person looked; 409 when it is another number by now.
    """

    users: list[Text] | None = None
    expected: Annotated[int, Meta(ge=0)] | None = None


class HoldDecided(Shown):
    """What the word did. `notWaiting`: was back in scope or has left already. `busy`: is being
    written at this moment and waits on, so decide again."""

    id: str
    state: Annotated[str, one_of(HoldState)]
    decided: list[str]
    not_waiting: list[str]
    busy: list[str]


class ConflictShown(Shown):
    """What a person must choose (R9)."""

    id: str
    connection_id: str
    user_id: str
    display_name: str
    record_type: RecordType
    record_ids: list[int]
    reason: str
    state: Annotated[str, one_of(ConflictState)]
    chosen: str | None
    found_at: datetime | None


class ConflictList(Shown):
    """A page of conflicts."""

    items: list[ConflictShown]
    next_cursor: str | None


class ConflictChoice(Strict):
    """Exactly one of them."""

    record_id: BmsId | None = None
    create: bool = False
    ignore: bool = False


class FailureShown(Shown):
    """Work that cannot succeed by itself."""

    id: str
    connection_id: str
    user_id: str | None
    display_name: str
    at: datetime | None
    cause: str
    reason: str
    next_step: str


class FailureList(Shown):
    """A page of failures."""

    items: list[FailureShown]
    next_cursor: str | None


class ReplayWish(Strict):
    """Which failures; left out: all there are."""

    cause: Text | None = None
    connection_id: Text | None = None


class Replayed(Shown):
    """How many went back to work."""

    replayed: int


@dataclass(frozen=True, slots=True)
class WaitingApi:
    """The resources."""

    holding: Holding
    choosing: Choosing
    replaying: Replaying
    records: Records
    waiting: WhatWaits

    def routes(self) -> list[Route]:
        """Their rows in the table."""
        return [
            Route(
                "GET",
                "/api/holds",
                self.holds,
                "Deactivations that wait",
                description=(
                    "Deactivations that passed the limit of the connection and wait for a person."
                ),
                refusals=(404,),
                query=HoldsQuery,
                reply=HoldList,
            ),
            Route(
                "GET",
                "/api/holds/{holdId}",
                self.hold,
                "Deactivations that wait together",
                reply=HoldShown,
            ),
            Route(
                "GET",
                "/api/holds/{holdId}/people",
                self.people,
                "The people of a hold",
                description="Everybody in the hold by object id, whatever was decided about him.",
                query=Paged,
                reply=HeldList,
            ),
            Route(
                "POST",
                "/api/holds/{holdId}/approve",
                self.approve,
                "Deactivate them",
                description="All of the hold, or those named in `users`.",
                refusals=(409,),
                body=HoldDecision,
                reply=HoldDecided,
            ),
            Route(
                "POST",
                "/api/holds/{holdId}/refuse",
                self.refuse,
                "Keep them",
                description=(
                    "These records stay active until their users are back in scope, or a person "
                    "decides again."
                ),
                refusals=(409,),
                body=HoldDecision,
                reply=HoldDecided,
            ),
            Route(
                "GET",
                "/api/conflicts",
                self.conflicts,
                "What waits for a choice",
                description="Several records match, or two users claim one.",
                refusals=(404,),
                query=ConflictsQuery,
                reply=ConflictList,
            ),
            Route(
                "POST",
                "/api/conflicts/{conflictId}/resolve",
                self.resolve,
                "Choose a record, a new one, or none",
                description=(
                    "Exactly one of `recordId`, `create` and `ignore`. The choice is remembered."
                ),
                refusals=(409,),
                body=ConflictChoice,
                reply=ConflictShown,
            ),
            Route(
                "GET",
                "/api/failures",
                self.failures,
                "What could not be done",
                description="Work that no retry helps, with the next step.",
                refusals=(404,),
                query=OfConnection,
                reply=FailureList,
            ),
            Route(
                "POST",
                "/api/failures/{failureId}/replay",
                self.replay,
                "Try one again",
                description="The work goes back to its queue.",
                body=NoBody,
                reply=Replayed,
            ),
            Route(
                "POST",
                "/api/failures/replay",
                self.replay_all,
                "Try all of a cause again",
                description="All failures of a cause, of a connection, or all there are.",
                refusals=(404,),
                body=ReplayWish,
                reply=Replayed,
            ),
        ]

    def holds(self, call: Call) -> Reply:
        """GET /api/holds."""
        query: HoldsQuery = call.query
        items, cursor = page_of(
            self.holding.listed(query.connection_id or None, query.state),
            query.limit,
            query.cursor,
        )
        shown = [_hold(self.waiting.seen(hold)) for hold in items]
        return json_reply(HoldList(items=shown, next_cursor=cursor))

    def hold(self, call: Call) -> Reply:
        """GET /api/holds/{holdId}."""
        return json_reply(_hold(self.waiting.seen(self.waiting.hold(call.path["holdId"]))))

    def people(self, call: Call) -> Reply:
        """GET /api/holds/{holdId}/people."""
        query: Paged = call.query
        last = read_cursor(query.cursor, str)[0] if query.cursor else None
        people, after = self.waiting.people(
            call.path["holdId"],
            limit=query.limit,
            after=None if last is None else UserId(str(last)),
        )
        cursor = None if after is None else write_cursor(after)
        return json_reply(HeldList(items=[_held(one) for one in people], next_cursor=cursor))

    def approve(self, call: Call) -> Reply:
        """POST /api/holds/{holdId}/approve."""
        decision: HoldDecision = call.body
        hold_id, users, expected = call.path["holdId"], decision.users, decision.expected
        decided = self.holding.approve(hold_id, users, expected=expected)
        self.waiting.forget_counts()
        return _decided(decided)

    def refuse(self, call: Call) -> Reply:
        """POST /api/holds/{holdId}/refuse."""
        decision: HoldDecision = call.body
        hold_id, users, expected = call.path["holdId"], decision.users, decision.expected
        decided = self.holding.refuse(hold_id, users, expected=expected)
        self.waiting.forget_counts()
        return _decided(decided)

    def conflicts(self, call: Call) -> Reply:
        """GET /api/conflicts."""
        query: ConflictsQuery = call.query
        found = self.records.all_conflicts(query.connection_id or None, query.state)
        items, cursor = page_of(found, query.limit, query.cursor)
        links = self.waiting.links_of((each.connection_id, each.user_id) for each in items)
        return json_reply(
            ConflictList(
                items=[
                    _conflict(each, links.get((each.connection_id, each.user_id))) for each in items
                ],
                next_cursor=cursor,
            )
        )

    def resolve(self, call: Call) -> Reply:
        """POST /api/conflicts/{conflictId}/resolve."""
        choice: ConflictChoice = call.body
        chosen = self.choosing.resolve(
            call.path["conflictId"],
            record_id=choice.record_id,
            create=choice.create,
            ignore=choice.ignore,
        )
        self.waiting.forget_counts()
        links = self.waiting.links_of([(chosen.connection_id, chosen.user_id)])
        return json_reply(_conflict(chosen, links.get((chosen.connection_id, chosen.user_id))))

    def failures(self, call: Call) -> Reply:
        """GET /api/failures."""
        query: OfConnection = call.query
        found = self.records.all_failures(query.connection_id or None)
        items, cursor = page_of(found, query.limit, query.cursor)
        people = [(ConnectionId(each.connection_id), each.user_id) for each in items]
        links = self.waiting.links_of(people)
        return json_reply(
            FailureList(
                items=[
                    _failure(each, links.get((ConnectionId(each.connection_id), each.user_id)))
                    if each.user_id
                    else _failure(each, None)
                    for each in items
                ],
                next_cursor=cursor,
            )
        )

    def replay(self, call: Call) -> Reply:
        """POST /api/failures/{failureId}/replay."""
        replayed = self.replaying.one(call.path["failureId"])
        self.waiting.forget_counts()
        return json_reply(Replayed(replayed=replayed))

    def replay_all(self, call: Call) -> Reply:
        """POST /api/failures/replay."""
        wish: ReplayWish = call.body
        of = wish.connection_id or None
        if of is not None:
            self.records.connection(of)
        replayed = self.replaying.all_of(wish.cause, of)
        self.waiting.forget_counts()
        return json_reply(Replayed(replayed=replayed))


def _hold(seen: HoldSeen) -> HoldShown:
    hold = seen.hold
    return HoldShown(
        id=hold.id,
        connection_id=hold.connection_id,
        state=hold.state,
        raised_at=utc(hold.raised_at),
        expires_at=utc(hold.expires_at),
        waiting=seen.waiting,
        users=[_held(one) for one in seen.people],
        more_users=seen.more,
    )


def _held(one: HeldUser) -> HeldShown:
    return HeldShown(
        user_id=one.user_id,
        display_name=one.display_name,
        record_id=one.record_id,
        reason=one.reason,
        state=one.state,
    )


def _decided(decided: Decided) -> Reply:
    return json_reply(
        HoldDecided(
            id=decided.hold.id,
            state=decided.hold.state,
            decided=list(decided.done),
            not_waiting=list(decided.not_waiting),
            busy=list(decided.busy),
        )
    )


def _failure(failure: Failure, link: Link | None) -> FailureShown:
    return FailureShown(
        id=failure.id,
        connection_id=failure.connection_id,
        user_id=failure.user_id,
        display_name=link.display_name if link else "",
        at=utc(failure.at),
        cause=failure.cause,
        reason=failure.sentence,
        next_step=failure.next_step,
    )


def _conflict(conflict: Conflict, link: Link | None) -> ConflictShown:
    chosen: str | None = None
    if conflict.state == "resolved":
        chosen = "create" if conflict.create else "ignore" if conflict.ignore else None
        chosen = chosen or str(conflict.chosen)
    return ConflictShown(
        id=conflict.id,
        connection_id=conflict.connection_id,
        user_id=conflict.user_id,
        display_name=link.display_name if link else "",
        record_type=conflict.record_type,
        record_ids=list(conflict.record_ids),
        reason=conflict.reason,
        state=conflict.state,
        chosen=chosen,
        found_at=utc(conflict.found_at),
    )
