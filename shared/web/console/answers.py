"""What the routes that explain, compare and undo answer, as the pages read it."""

from __future__ import annotations

from datetime import datetime

from shared.web.api.activity import ActivityShown, FieldChangeShown
from shared.web.api.records import RecordShown
from shared.web.api.shapes import Shown


class ExplainedUser(Shown):
    """The user in Entra."""

    id: str
    display_name: str
    user_principal_name: str
    mail: str | None
    addresses: list[str]
    enabled: bool
    guest: bool


class ExplainedRecord(Shown):
    """The record as BMS holds it now."""

    record_type: str
    record_id: int
    account_id: int | None
    account_name: str | None
    location_id: int | None
    location_name: str | None
    display_name: str
    is_active: bool | None


class ExplainedGroup(Shown):
    """How he is a member of a rule's group: through which groups, the rule's own first."""

    rule_id: str
    group_id: str
    group_name: str | None
    path: list[str]
    nested: bool


class ExplainedRule(Shown):
    """A rule, and what became of it for him."""

    rule_id: str
    order: int
    group_id: str
    group_name: str | None
    record_type: str
    account_id: int | None
    account_name: str | None
    enabled: bool
    verdict: str
    reason: str


class Candidate(Shown):
    """A record that carries one of his addresses."""

    record_type: str
    record_id: int
    account_id: int | None
    account_name: str | None
    is_active: bool | None
    address: str | None
    owned_by_user_id: str | None


class ExplainedMatch(Shown):
    """How the record was found, or is not."""

    how: str
    sentence: str
    candidates: list[Candidate]


class ExplainedField(Shown):
    """One field, from Entra to BMS."""

    field: str
    label: str
    entra: str | None
    target: str | None
    source: str
    source_detail: str | None
    written: str | None
    in_bms: str | None
    note: str | None


class NextStep(Shown):
    """What the next sync would do."""

    kind: str
    sentence: str
    changes: list[FieldChangeShown]


class WaitingFor(Shown):
    """What a person has to decide about him."""

    kind: str
    id: str
    sentence: str


class Explained(Shown):
    """GET /api/users/{connectionId}/{user}/explain."""

    connection_id: str
    tenant_domain: str
    user_id: str
    user: ExplainedUser | None
    in_entra: str
    unknown_because: str | None
    summary: str
    link: RecordShown | None
    record: ExplainedRecord | None
    record_unknown_because: str | None
    groups: list[ExplainedGroup]
    rules: list[ExplainedRule]
    match: ExplainedMatch
    fields: list[ExplainedField]
    next: NextStep | None
    last: ActivityShown | None
    waiting: list[WaitingFor]


class DriftField(Shown):
    """A field that somebody edited in BMS."""

    field: str
    label: str
    written: str | None
    in_bms: str | None
    next: str | None


class Drifted(Shown):
    """A record that somebody edited in BMS."""

    connection_id: str
    user_id: str
    display_name: str
    record_type: str
    record_id: int
    account_id: int | None
    account_name: str | None
    is_active: bool | None
    fields: list[DriftField]
    edited_by: str | None
    edited_at: datetime | None


class DriftList(Shown):
    """GET /api/drift."""

    items: list[Drifted]
    next_cursor: str | None
    read_at: datetime | None
    notes: list[str]
