"""What the route that explains answers, for pages that show it."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.core.explanation import Verdict
from shared.web.api.activity import FieldChangeShown
from shared.web.api.explain import (
    ExplainedCandidate,
    ExplainedField,
    ExplainedGroup,
    ExplainedMatch,
    ExplainedNext,
    ExplainedRecord,
    ExplainedRule,
    ExplainedUser,
    ExplainedWaiting,
    ExplanationShown,
)
from shared.web.http import Reply, json_reply, problem
from shared.web.router import Call, Route
from tests.web.world import INES

EXPLAIN = "/api/users/{connectionId}/{user}/explain"


def a_rule(order: int, name: str, verdict: Verdict, reason: str, **members: Any) -> ExplainedRule:
    """A rule of the connection, and what became of it."""
    standard: dict[str, Any] = {
        "rule_id": f"r{order}",
        "group_id": f"g{order}",
        "record_type": "contact",
        "account_id": 7,
        "account_name": "Acme",
        "enabled": True,
    }
    return ExplainedRule(
        order=order, group_name=name, verdict=verdict, reason=reason, **(standard | members)
    )


def a_field(label: str, **members: Any) -> ExplainedField:
    """A field that is the same everywhere, unless told otherwise."""
    standard: dict[str, Any] = {
        "field": label.replace(" ", ""),
        "entra": "same",
        "target": "same",
        "source": "entra",
        "source_detail": None,
        "written": "same",
        "in_bms": "same",
        "note": None,
    }
    return ExplainedField(label=label, **(standard | members))


def an_explanation(**members: Any) -> ExplanationShown:
    """Ines is a contact at Acme by a nested group; her job title was edited in BMS."""
    standard = ExplanationShown(
        connection_id="contoso",
        tenant_domain="contoso.example",
        user_id=INES,
        user=ExplainedUser(
            id=INES,
            display_name="Ines Okafor",
            user_principal_name="ines@contoso.example",
            mail="ines.okafor@contoso.example",
            addresses=["ines.okafor@contoso.example", "ines@contoso.example"],
            enabled=True,
            guest=False,
        ),
        in_entra="present",
        unknown_because=None,
        summary="Ines Okafor is contact 300001 at Acme, since she is a member of Optics staff.",
        link=None,
        record=ExplainedRecord(
            record_type="contact",
            record_id=300001,
            account_id=7,
            account_name="Acme",
            location_id=3,
            location_name="Head Office",
            display_name="Ines Okafor",
            is_active=True,
        ),
        record_unknown_because=None,
        groups=[
            ExplainedGroup(
                rule_id="r2",
                group_id="g2",
                group_name="Optics staff",
                path=["Optics staff", "Front desk"],
                nested=True,
                note=None,
            )
        ],
        rules=[
            a_rule(1, "Workshop crew", "no-match", "is not a member of the group"),
            a_rule(2, "Optics staff", "won", "the first rule in order that matches"),
            a_rule(3, "Everybody", "lost", "Optics staff has the lower order", enabled=False),
        ],
        match=ExplainedMatch(
            how="merged",
            sentence="Matched by ines@contoso.example, the only active contact with it.",
            candidates=[
                ExplainedCandidate(
                    record_type="contact",
                    record_id=300001,
                    account_id=7,
                    account_name="Acme",
                    is_active=True,
                    address="ines@contoso.example",
                    owned_by_user_id=INES,
                ),
                ExplainedCandidate(
                    record_type="contact",
                    record_id=300009,
                    account_id=8,
                    account_name="Beta",
                    is_active=False,
                    address="ines@contoso.example",
                    owned_by_user_id=None,
                ),
            ],
        ),
        fields=[
            a_field("first name"),
            a_field(
                "job title",
                entra="Optician",
                target="Optician",
                written="Optician",
                in_bms="Chief Optician",
                note="stays until she changes in Entra",
            ),
            a_field("mobile phone", entra=None, target=None, source="none", written=None),
        ],
        next=ExplainedNext(kind="nothing", sentence="Nothing: all is as it should be.", changes=[]),
        last=None,
        waiting=[],
    )
    return msgspec.structs.replace(standard, **members)


def explains(said: ExplanationShown) -> Route:
    """The route that answers this."""

    def explain(_: Call) -> Reply:
        return json_reply(said)

    return Route("GET", EXPLAIN, explain, "", reply=ExplanationShown)


def refuses(status: int, sentence: str) -> Route:
    """The route that refuses with this sentence."""

    def explain(_: Call) -> Reply:
        return problem(status, sentence)

    return Route("GET", EXPLAIN, explain, "", reply=ExplanationShown)


WOULD_CHANGE = ExplainedNext(
    kind="update",
    sentence="The next sync brings the job title to Entra's value.",
    changes=[FieldChangeShown(field="job title", old="Chief Optician", new="CFO")],
)
IN_A_HOLD = ExplainedWaiting(
    kind="hold", id="h1", sentence="Her deactivation waits, since 12 people leave at once."
)
