"""Which mapping rule wins for a user, and why every other one does not (R1–R5).

Membership has three values: a member, not a member, and unknown because the group could not be read
(gone, hidden, refused). Unknown never counts as "has left" (R20): whoever got his record through
such a rule stays where he is until the group can be read again or a person changes the rule.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.core.model import EntraUser, GroupId, MappingRule, RuleId

_NO_DATE = datetime.max.replace(tzinfo=UTC)


def version_of(rules: Iterable[MappingRule]) -> str:
    """A short text that differs whenever the rule set does."""
    lines = sorted(repr(rule) for rule in rules)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Membership:
    """In which of the mapped groups a user is now."""

    transitive: frozenset[GroupId] = frozenset()
    direct: frozenset[GroupId] = frozenset()
    unreadable: frozenset[GroupId] = frozenset()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one rule says about one user."""

    rule: MappingRule
    won: bool
    sentence: str
    matches: bool = False  # it would take the user, were no other first


@dataclass(frozen=True, slots=True)
class Placement:
    """The rule that wins, or none; `reason` says why. `mapped`: in at least one mapped group."""

    rule: MappingRule | None
    reason: str
    mapped: bool
    unreadable: frozenset[RuleId]  # unless gone
    verdicts: tuple[Verdict, ...]
    gone: frozenset[RuleId] = frozenset()  # whose groups were gone twice, an hour apart (R20)


def in_order(rules: Iterable[MappingRule]) -> list[MappingRule]:
    """R2: lowest Order first; then the oldest group; then the oldest rule."""
    return sorted(
        rules,
        key=lambda rule: (
            rule.order,
            rule.group_created_at or _NO_DATE,
            rule.created_at,
            rule.id,
        ),
    )


def refusal(rule: MappingRule, user: EntraUser) -> str | None:
    """Why this rule does not take a member of its group (R4); None when it does."""
    if user.guest and not rule.include_guests:
        return "is a guest, and the rule leaves guests out"
    if not user.enabled and rule.blocked_users == "leave":
        return "sign-in is blocked in Entra"
    return None


def place(user: EntraUser, membership: Membership, rules: Sequence[MappingRule]) -> Placement:
    """Walk the rules in order; the first that takes the user wins (R1, R2, R4)."""
    verdicts: list[Verdict] = []
    unreadable: set[RuleId] = set()
    gone: set[RuleId] = set()
    winner: MappingRule | None = None
    refusals: list[str] = []
    for rule in in_order(rules):
        won = matches = False
        if not rule.enabled:
            sentence = "the rule is switched off"
        elif rule.group_id in membership.unreadable and rule.group_gone_twice:
            gone.add(rule.id)
            sentence = "its group is gone in Entra"
        elif rule.group_id in membership.unreadable:
            unreadable.add(rule.id)
            sentence = "its group cannot be read at present"
        elif rule.group_id not in (
            membership.transitive if rule.include_nested else membership.direct
        ):
            sentence = (
                "is a member through a nested group only, which the rule does not count"
                if rule.group_id in membership.transitive
                else "is not a member of its group"
            )
        elif because := refusal(rule, user):
            refusals.append(because)
            sentence = because
        elif winner is not None:
            matches, sentence = True, f"also matches, but {_why_first(winner, rule)}"
        else:
            winner, won, sentence = rule, True, f"member of {_name(rule)}"
        verdicts.append(Verdict(rule, won, sentence, won or matches))
    if winner is not None:
        reason = f"member of {_name(winner)} (Order {winner.order})"
    elif refusals:
        reason = _sentence(refusals[0])
    else:
        reason = "is in no mapped group any more"
    return Placement(
        rule=winner,
        reason=reason,
        mapped=winner is not None or bool(refusals),
        unreadable=frozenset(unreadable),
        gone=frozenset(gone),
        verdicts=tuple(verdicts),
    )


def _why_first(winner: MappingRule, rule: MappingRule) -> str:
    """R2, for the rule that lost."""
    if winner.order != rule.order:
        return f"the rule of Order {winner.order} comes first"
    if (winner.group_created_at or _NO_DATE) != (rule.group_created_at or _NO_DATE):
        return f"of equal Order {winner.order} the older group comes first: {_name(winner)}"
    return f"of equal Order {winner.order} and equally old groups the older rule comes first"


def _name(rule: MappingRule) -> str:
    return rule.group_name or f"group {rule.group_id}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
