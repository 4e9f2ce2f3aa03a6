"""/api/waiting: how much waits for a person; and one conflict with the records to choose from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from msgspec import Meta

from shared.sync.what_waits import Candidate, WhatWaits
from shared.web.api.shapes import Shown, Strict, utc
from shared.web.http import Reply, json_reply
from shared.web.router import Call, Route


class WaitingQuery(Strict):
    """GET /api/waiting. `maxAgeSeconds`: figures that were counted so long ago will do."""

    max_age_seconds: Annotated[int, Meta(ge=0, le=60)] = 0


class WaitingShown(Shown):
    """How much of each waits. `heldPeople`: in the open holds."""

    holds: int
    held_people: int
    conflicts: int
    failures: int
    worklist: int


class CandidateShown(Shown):
    """One record that may be chosen; `gone` when BMS does not have it any more."""

    record_id: int
    record_type: str
    name: str
    job_title: str
    account_id: int | None
    account_name: str
    addresses: list[str]
    is_active: bool
    gone: bool


class ConflictDetail(Shown):
    """A conflict with everything that a person needs to choose (R9)."""

    id: str
    connection_id: str
    user_id: str
    display_name: str
    user_principal_name: str
    address: str
    record_type: str
    reason: str
    state: str
    found_at: datetime | None
    records: list[CandidateShown]
    more_records: int


@dataclass(frozen=True, slots=True)
class WhatWaitsApi:
    """The resources."""

    waiting: WhatWaits

    def routes(self) -> list[Route]:
        """Their rows in the table."""
        return [
            Route(
                "GET",
                "/api/waiting",
                self.counts,
                "How much waits",
                query=WaitingQuery,
                reply=WaitingShown,
            ),
            Route(
                "GET",
                "/api/conflicts/{conflictId}",
                self.conflict,
                "A conflict, with the records to choose from",
                reply=ConflictDetail,
            ),
        ]

    def counts(self, call: Call) -> Reply:
        """GET /api/waiting."""
        query: WaitingQuery = call.query
        now = self.waiting.counts(timedelta(seconds=query.max_age_seconds))
        return json_reply(
            WaitingShown(
                holds=now.holds,
                held_people=now.held,
                conflicts=now.conflicts,
                failures=now.failures,
                worklist=now.worklist,
            )
        )

    def conflict(self, call: Call) -> Reply:
        """GET /api/conflicts/{conflictId}."""
        conflict, link, records = self.waiting.conflict(call.path["conflictId"])
        return json_reply(
            ConflictDetail(
                id=conflict.id,
                connection_id=conflict.connection_id,
                user_id=conflict.user_id,
                display_name=link.display_name if link else "",
                user_principal_name=link.upn if link else "",
                address=link.address if link else "",
                record_type=conflict.record_type.value,
                reason=conflict.reason,
                state=conflict.state,
                found_at=utc(conflict.found_at),
                records=[_candidate(each) for each in records],
                more_records=len(conflict.record_ids) - len(records),
            )
        )


def _candidate(one: Candidate) -> CandidateShown:
    return CandidateShown(
        record_id=one.record_id,
        record_type=one.record_type.value,
        name=one.name,
        job_title=one.job_title,
        account_id=one.account_id,
        account_name=one.account_name,
        addresses=list(one.addresses),
        is_active=one.is_active,
        gone=one.gone,
    )
