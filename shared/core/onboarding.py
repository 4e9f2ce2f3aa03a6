"""The onboarding check as values: what was counted, and the findings that follow from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from shared.core.model import MappingRule, UserId

Severity = Literal["ok", "warning", "blocker"]
Area = Literal["consent", "permissions", "groups", "people", "doubles", "bms", "limits"]
Verdict = Literal["ready", "look", "blocked"]
MOST_PEOPLE = 20


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody behind a number."""

    user_id: UserId
    display_name: str
    detail: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know before the first write. `people` are some of the `count`."""

    severity: Severity
    area: Area
    sentence: str
    next_step: str = ""
    count: int = 0
    people: tuple[Person, ...] = ()


@dataclass(slots=True)
class Group:
    """People of one kind: all are counted, the first are named."""

    count: int = 0
    people: list[Person] = field(default_factory=list)

    def add(self, person: Person) -> None:
        """One more."""
        self.count += 1
        if len(self.people) < MOST_PEOPLE:
            self.people.append(person)


@dataclass(slots=True)
class Tally:
    """What the reading of all mapped groups comes to."""

    in_scope: int = 0
    linked: int = 0
    would_match: int = 0
    would_create: int = 0
    with_title: int = 0  # of those to be created: the job title is a call of its own
    employees: int = 0
    without_address: Group = field(default_factory=Group)
    guests: Group = field(default_factory=Group)
    blocked: Group = field(default_factory=Group)
    doubles: Group = field(default_factory=Group)
    conflicts: Group = field(default_factory=Group)


@dataclass(frozen=True, slots=True)
class Counts:
    """The numbers of the reply."""

    in_scope: int = 0
    without_address: int = 0
    guests_left_out: int = 0
    blocked_left_out: int = 0
    doubles: int = 0
    would_match: int = 0
    would_create: int = 0
    conflicts: int = 0
    linked: int = 0


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A finished check."""

    checked_at: datetime
    verdict: Verdict
    counts: Counts
    findings: tuple[Finding, ...]


def counts_of(tally: Tally) -> Counts:
    """The numbers."""
    return Counts(
        in_scope=tally.in_scope,
        without_address=tally.without_address.count,
        guests_left_out=tally.guests.count,
        blocked_left_out=tally.blocked.count,
        doubles=tally.doubles.count,
        would_match=tally.would_match,
        would_create=tally.would_create,
        conflicts=tally.conflicts.count,
        linked=tally.linked,
    )


def verdict_of(findings: Sequence[Finding]) -> Verdict:
    """The worst of them decides."""
    severities = {one.severity for one in findings}
    if "blocker" in severities:
        return "blocked"
    return "look" if "warning" in severities else "ready"


def people_findings(tally: Tally) -> list[Finding]:
    """What is to be known of the people of the mapped groups (R4, R9)."""
    found: list[Finding] = []

    def tell(severity: Severity, area: Area, of: Group, sentence: str, next_step: str) -> None:
        if of.count:
            said = sentence.format(people=_people(of.count))
            found.append(Finding(severity, area, said, next_step, of.count, tuple(of.people)))

    tell(
        "warning",
        "people",
        tally.without_address,
        "{people} in scope without a usable e-mail address or name, and so left out.",
        "Give them an address in Entra, or leave it so.",
    )
    tell(
        "ok",
        "people",
        tally.guests,
        "{people} left out by the rules about guests.",
        "Let a rule include guests if they shall become contacts.",
    )
    tell(
        "ok",
        "people",
        tally.blocked,
        "{people} left out because sign-in is blocked.",
        "Let a rule take blocked users if they shall become contacts.",
    )
    tell(
        "warning",
        "doubles",
        tally.doubles,
        "{people} in scope with an address that somebody else in scope has too.",
        "Give each person an address of his own in Entra, or take one out of the group.",
    )
    tell(
        "warning",
        "doubles",
        tally.conflicts,
        "{people} not matched surely: a person will have to choose the record in BMS.",
        "Merge the double records in BMS first, or choose under Waiting for you after the sync.",
    )
    if tally.in_scope == 0:
        found.append(
            Finding(
                "warning",
                "people",
                "Nobody is in scope.",
                "Check that the groups of the mapping rules have members whom the rules take.",
            )
        )
    elif not any(one.severity != "ok" for one in found):
        found.append(
            Finding(
                "ok", "people", f"{_people(tally.in_scope)} in scope, none in doubt.",
                count=tally.in_scope,
            )
        )  # fmt: skip
    return found


def _people(count: int) -> str:
    return "1 person is" if count == 1 else f"{count:,} people are"


def group_finding(rule: MappingRule, sentence: str, next_step: str) -> Finding:
    """A rule whose group cannot be read."""
    return Finding("blocker", "groups", f"Rule of Order {rule.order}: {sentence}", next_step, 1)
