"""/api/connections/{connectionId}/check: the onboarding check of a tenant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from urllib.parse import quote

from shared.core.onboarding import Area, CheckResult, Finding, Severity, Verdict
from shared.sync.onboarding_check import Checked, OnboardingCheck
from shared.web.api.shapes import Shown, utc
from shared.web.http import Reply, json_reply
from shared.web.router import Call, Route


class CheckCounts(Shown):
    """How many people of which kind."""

    in_scope: int
    without_address: int
    guests_left_out: int
    blocked_left_out: int
    doubles: int
    would_match: int
    would_create: int
    conflicts: int
    linked: int


class CheckPerson(Shown):
    """Somebody behind a number."""

    user_id: str
    display_name: str
    detail: str


class CheckFinding(Shown):
    """One thing to know; `people` are at most twenty of the `count`."""

    severity: Severity
    area: Area
    sentence: str
    next_step: str
    count: int
    people: list[CheckPerson]


class CheckShown(Shown):
    """The check. While it runs (202) only its start is known."""

    state: Literal["ready", "running"]
    started_at: datetime | None
    checked_at: datetime | None
    verdict: Verdict | None
    counts: CheckCounts | None
    findings: list[CheckFinding]


@dataclass(frozen=True, slots=True)
class CheckApi:
    """The resource."""

    checking: OnboardingCheck

    def routes(self) -> list[Route]:
        """Its rows in the table."""
        headers = {
            202: {
                "Location": "Where the result will be.",
                "Retry-After": "Seconds until it is worth a look.",
            }
        }
        return [
            Route(
                "GET",
                "/api/connections/{connectionId}/check",
                self.check,
                "Check a tenant before the first write; 202 while it takes longer",
                reply=CheckShown,
                also={202: CheckShown},
                refusals=(409,),
                headers=headers,
            ),
            Route(
                "POST",
                "/api/connections/{connectionId}/check",
                self.again,
                "Check a tenant anew, however recent the last check is",
                description="Answers at once; the same address has the result by GET.",
                reply=CheckShown,
                also={202: CheckShown},
                refusals=(409,),
                headers=headers,
            ),
        ]

    def check(self, call: Call) -> Reply:
        """GET /api/connections/{id}/check."""
        connection_id = call.path["connectionId"]
        return _reply(connection_id, self.checking.check(connection_id))

    def again(self, call: Call) -> Reply:
        """POST /api/connections/{id}/check."""
        connection_id = call.path["connectionId"]
        return _reply(connection_id, self.checking.again(connection_id))


def _reply(connection_id: str, checked: Checked) -> Reply:
    if checked.result is None:
        place = f"/api/connections/{quote(connection_id, safe='')}/check"
        return json_reply(shown(checked), 202, (("Location", place), ("Retry-After", "3")))
    return json_reply(shown(checked))


def shown(checked: Checked) -> CheckShown:
    """The check as the API shows it."""
    result = checked.result
    return CheckShown(
        state="running" if result is None else "ready",
        started_at=utc(checked.started_at),
        checked_at=utc(result.checked_at) if result else None,
        verdict=result.verdict if result else None,
        counts=_counts(result) if result else None,
        findings=[_finding(one) for one in result.findings] if result else [],
    )


def _counts(result: CheckResult) -> CheckCounts:
    counts = result.counts
    return CheckCounts(
        in_scope=counts.in_scope,
        without_address=counts.without_address,
        guests_left_out=counts.guests_left_out,
        blocked_left_out=counts.blocked_left_out,
        doubles=counts.doubles,
        would_match=counts.would_match,
        would_create=counts.would_create,
        conflicts=counts.conflicts,
        linked=counts.linked,
    )


def _finding(one: Finding) -> CheckFinding:
    return CheckFinding(
        severity=one.severity,
        area=one.area,
        sentence=one.sentence,
        next_step=one.next_step,
        count=one.count,
        people=[
            CheckPerson(
                user_id=person.user_id, display_name=person.display_name, detail=person.detail
            )
            for person in one.people
        ],
    )
