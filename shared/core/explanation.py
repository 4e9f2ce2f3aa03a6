"""Why a person is here, or not: everything that an explanation says, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shared.core.model import (
    AccountId,
    Activity,
    ConnectionId,
    EntraUser,
    FieldChange,
    GroupId,
    Link,
    LocationId,
    MappingRule,
    RecordId,
    RecordType,
    RuleId,
    UserId,
)

Standing = Literal["present", "deleted", "unknown"]
Verdict = Literal["won", "lost", "no-match"]
How = Literal["linked", "merged", "created", "chosen", "candidate", "conflict", "none"]
Source = Literal["entra", "rule", "default", "bms", "none"]
Waits = Literal["hold", "conflict", "failure", "worklist"]


@dataclass(frozen=True, slots=True)
class RecordSaid:
    """The linked record as BMS shows it now."""

    record_type: RecordType
    record_id: RecordId
    account_id: AccountId | None
    account_name: str | None
    location_id: LocationId | None
    location_name: str | None
    display_name: str
    is_active: bool


@dataclass(frozen=True, slots=True)
class GroupSaid:
    """A mapped group that holds the person, and the names from it down to his own group.

    `note` says why the path is not told in full, where it is not.
    """

    rule_id: RuleId
    group_id: GroupId
    group_name: str
    path: tuple[str, ...]
    nested: bool
    note: str | None = None


@dataclass(frozen=True, slots=True)
class RuleSaid:
    """What one rule says about him."""

    rule: MappingRule
    account_name: str | None
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class CandidateSaid:
    """A record that carries one of his addresses."""

    record_type: RecordType
    record_id: RecordId
    account_id: AccountId | None
    account_name: str | None
    is_active: bool
    address: str
    owned_by_user_id: UserId | None


@dataclass(frozen=True, slots=True)
class MatchSaid:
    """How he was, or would be, matched."""

    how: How
    sentence: str
    candidates: tuple[CandidateSaid, ...] = ()


@dataclass(frozen=True, slots=True)
class FieldSaid:
    """One field: what Entra says, what BMS should hold, what was written, what it holds.

    `source` is where the target comes from.
    """

    field: str
    label: str
    entra: str | None
    target: str | None
    source: Source
    source_detail: str | None = None
    written: str | None = None
    in_bms: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class NextSaid:
    """What the sync does at its next look."""

    kind: str
    sentence: str
    changes: tuple[FieldChange, ...] = ()


@dataclass(frozen=True, slots=True)
class WaitingSaid:
    """Something of his that waits for a person."""

    kind: Waits
    id: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """The whole of it."""

    connection_id: ConnectionId
    tenant_domain: str
    user_id: UserId
    user: EntraUser | None
    addresses: tuple[str, ...]
    in_entra: Standing
    unknown_because: str | None
    summary: str
    link: Link | None
    record: RecordSaid | None
    record_unknown_because: str | None
    groups: tuple[GroupSaid, ...]
    rules: tuple[RuleSaid, ...]
    match: MatchSaid
    fields: tuple[FieldSaid, ...]
    next: NextSaid
    last: Activity | None
    waiting: tuple[WaitingSaid, ...]
