"""/api/users/{connectionId}/{user}/explain: why this person is here, or not."""

from __future__ import annotations

from dataclasses import dataclass

from shared.core.explanation import Explanation, How, Source, Standing, Verdict, Waits
from shared.core.model import FieldChange
from shared.sync.explain import Explain
from shared.web.api.activity import ActivityShown, FieldChangeShown
from shared.web.api.activity import shown as activity_shown
from shared.web.api.records import RecordShown
from shared.web.api.records import shown as link_shown
from shared.web.api.shapes import Shown
from shared.web.http import Reply, json_reply
from shared.web.router import Call, Route


class ExplainedUser(Shown):
    """The user as Entra shows him."""

    id: str
    display_name: str
    user_principal_name: str
    mail: str
    addresses: list[str]
    enabled: bool
    guest: bool


class ExplainedRecord(Shown):
    """The linked record as BMS shows it."""

    record_type: str
    record_id: int
    account_id: int | None
    account_name: str | None
    location_id: int | None
    location_name: str | None
    display_name: str
    is_active: bool


class ExplainedGroup(Shown):
    """A mapped group that holds the person; `path` leads from it down to the group he is in."""

    rule_id: str
    group_id: str
    group_name: str
    path: list[str]
    nested: bool
    note: str | None


class ExplainedRule(Shown):
    """What one rule says about the person."""

    rule_id: str
    order: int
    group_id: str
    group_name: str
    record_type: str
    account_id: int | None
    account_name: str | None
    enabled: bool
    verdict: Verdict
    reason: str


class ExplainedCandidate(Shown):
    """A record that carries one of the person's addresses."""

    record_type: str
    record_id: int
    account_id: int | None
    account_name: str | None
    is_active: bool
    address: str
    owned_by_user_id: str | None


class ExplainedMatch(Shown):
    """How the person was, or would be, matched."""

    how: How
    sentence: str
    candidates: list[ExplainedCandidate]


class ExplainedField(Shown):
    """One field, side by side."""

    field: str
    label: str
    entra: str | None
    target: str | None
    source: Source
    source_detail: str | None
    written: str | None
    in_bms: str | None
    note: str | None


class ExplainedNext(Shown):
    """What the sync would do now."""

    kind: str
    sentence: str
    changes: list[FieldChangeShown]


class ExplainedWaiting(Shown):
    """What of this person waits for a decision."""

    kind: Waits
    id: str
    sentence: str


class ExplanationShown(Shown):
    """The whole explanation; nothing was written for it."""

    connection_id: str
    tenant_domain: str
    user_id: str
    user: ExplainedUser | None
    in_entra: Standing
    unknown_because: str | None
    summary: str
    link: RecordShown | None
    record: ExplainedRecord | None
    record_unknown_because: str | None
    groups: list[ExplainedGroup]
    rules: list[ExplainedRule]
    match: ExplainedMatch
    fields: list[ExplainedField]
    next: ExplainedNext
    last: ActivityShown | None
    waiting: list[ExplainedWaiting]


@dataclass(frozen=True, slots=True)
class ExplainApi:
    """The resource."""

    explaining: Explain

    def routes(self) -> list[Route]:
        """Its row in the table."""
        return [
            Route(
                "GET",
                "/api/users/{connectionId}/{user}/explain",
                self.explain,
                "Why this person is here or not: by id, UPN, address or display name",
                reply=ExplanationShown,
                refusals=(409,),
            )
        ]

    def explain(self, call: Call) -> Reply:
        """GET /api/users/{connectionId}/{user}/explain."""
        said = self.explaining.explain(call.path["connectionId"], call.path["user"])
        return json_reply(shown(said))


def shown(said: Explanation) -> ExplanationShown:
    """The explanation as the API shows it."""
    return ExplanationShown(
        connection_id=said.connection_id,
        tenant_domain=said.tenant_domain,
        user_id=said.user_id,
        user=_user(said),
        in_entra=said.in_entra,
        unknown_because=said.unknown_because,
        summary=said.summary,
        link=link_shown(said.link) if said.link else None,
        record=_record(said),
        record_unknown_because=said.record_unknown_because,
        groups=[
            ExplainedGroup(
                rule_id=one.rule_id,
                group_id=one.group_id,
                group_name=one.group_name,
                path=list(one.path),
                nested=one.nested,
                note=one.note,
            )
            for one in said.groups
        ],
        rules=_rules(said),
        match=_match(said),
        fields=_fields(said),
        next=ExplainedNext(
            kind=said.next.kind,
            sentence=said.next.sentence,
            changes=[_change(one) for one in said.next.changes],
        ),
        last=activity_shown(said.last) if said.last else None,
        waiting=[
            ExplainedWaiting(kind=one.kind, id=one.id, sentence=one.sentence)
            for one in said.waiting
        ],
    )


def _user(said: Explanation) -> ExplainedUser | None:
    user = said.user
    if user is None:
        return None
    return ExplainedUser(
        id=user.id,
        display_name=user.display_name,
        user_principal_name=user.upn,
        mail=user.mail,
        addresses=list(said.addresses),
        enabled=user.enabled,
        guest=user.guest,
    )


def _record(said: Explanation) -> ExplainedRecord | None:
    one = said.record
    if one is None:
        return None
    return ExplainedRecord(
        record_type=one.record_type.value,
        record_id=one.record_id,
        account_id=one.account_id,
        account_name=one.account_name,
        location_id=one.location_id,
        location_name=one.location_name,
        display_name=one.display_name,
        is_active=one.is_active,
    )


def _rules(said: Explanation) -> list[ExplainedRule]:
    return [
        ExplainedRule(
            rule_id=one.rule.id,
            order=one.rule.order,
            group_id=one.rule.group_id,
            group_name=one.rule.group_name,
            record_type=one.rule.record_type.value,
            account_id=one.rule.account_id,
            account_name=one.account_name,
            enabled=one.rule.enabled,
            verdict=one.verdict,
            reason=one.reason,
        )
        for one in said.rules
    ]


def _match(said: Explanation) -> ExplainedMatch:
    return ExplainedMatch(
        how=said.match.how,
        sentence=said.match.sentence,
        candidates=[
            ExplainedCandidate(
                record_type=one.record_type.value,
                record_id=one.record_id,
                account_id=one.account_id,
                account_name=one.account_name,
                is_active=one.is_active,
                address=one.address,
                owned_by_user_id=one.owned_by_user_id,
            )
            for one in said.match.candidates
        ],
    )


def _fields(said: Explanation) -> list[ExplainedField]:
    return [
        ExplainedField(
            field=one.field,
            label=one.label,
            entra=one.entra,
            target=one.target,
            source=one.source,
            source_detail=one.source_detail,
            written=one.written,
            in_bms=one.in_bms,
            note=one.note,
        )
        for one in said.fields
    ]


def _change(one: FieldChange) -> FieldChangeShown:
    return FieldChangeShown(field=one.field, old=one.old, new=one.new)
