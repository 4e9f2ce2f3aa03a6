"""The sentences of an explanation: what it comes to, and what comes next."""

from __future__ import annotations

from shared.core.explanation import MatchSaid, NextSaid, RecordSaid, RuleSaid, WaitingSaid
from shared.core.model import (
    Activity,
    Connection,
    FieldChange,
    Link,
    LinkState,
    MappingRule,
    RecordType,
)


def summary(
    name: str,
    in_entra: str,
    link: Link | None,
    rules: tuple[RuleSaid, ...],
    record: RecordSaid | None,
    next_: NextSaid,
    waiting: tuple[WaitingSaid, ...],
    unmapped: str,
) -> str:
    """One to three sentences: why is this person here, or why not.

    `unmapped` names the groups that the rules map, for somebody who is in none of them.
    """
    said = [_standing(name, link, record)]
    winner = next((one for one in rules if one.verdict == "won"), None)
    if in_entra == "deleted":
        said.append("Entra has no such user any more.")
    elif in_entra == "unknown":
        said.append("Entra was not asked, so this is what is remembered.")
    elif winner is not None:
        said.append(
            f"The rule of Order {winner.rule.order} for {group_of(winner.rule)} takes this person."
        )
    elif unmapped:
        said.append(unmapped)
    else:
        said.append(_why_no_rule(rules))
    said.append(waiting[0].sentence if waiting else next_.sentence)
    return " ".join(said)


def _standing(name: str, link: Link | None, record: RecordSaid | None) -> str:
    if link is None:
        return f"{name} is not synced."
    what = link.record_type.value
    if link.record_id is None:
        reason = {
            LinkState.CONFLICT: "a person must choose the record",
            LinkState.FAILED: "BMS refused the last write",
            LinkState.WORKLIST: "waits on the worklist to be typed into BMS",
            LinkState.PENDING: "is about to be written",
        }.get(link.state, link.reason or "was left out")
        return f"{name} has no record in BMS: {reason}."
    where = f" of {record.account_name}" if record and record.account_name else ""
    state = {
        LinkState.ACTIVE: "is",
        LinkState.INACTIVE: "has left, and is the inactive",
        LinkState.KEPT: "has left, and was kept as",
    }.get(link.state, "is")
    return f"{name} {state} {what} {link.record_id}{where} in BMS."


def _why_no_rule(rules: tuple[RuleSaid, ...]) -> str:
    for one in rules:
        if one.verdict == "no-match" and "not a member" not in one.reason:
            return f"No rule takes this person: {group_of(one.rule)}: {one.reason}."
    return "No rule takes this person."


def unmapped_groups(rules: tuple[RuleSaid, ...]) -> str:
    """For somebody in no mapped group: the groups that the rules map."""
    names = list(dict.fromkeys(group_of(one.rule) for one in rules if one.rule.enabled))
    if not names:
        return "The connection has no enabled mapping rule, so nobody is in scope."
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"This person is in none of the mapped groups ({shown})."


def group_of(rule: MappingRule) -> str:
    """The name of a rule's group, else its id."""
    return rule.group_name or f"group {rule.group_id}"


_NEXT = {
    "nothing": "Nothing is to be done: {reason}.",
    "create": "Next, a new {what} is created: {reason}.",
    "merge": "Next, a record that has this address in BMS is taken over: {reason}.",
    "update": "Next, the {what} is updated: {reason}.",
    "move": "Next, this person moves to another record: {reason}.",
    "deactivate": "Next, the {what} is deactivated: {reason}.",
    "reactivate": "Next, the {what} becomes active again: {reason}.",
    "keep": "Next, the {what} is kept as it is: {reason}.",
    "skip": "This person is left out: {reason}.",
    "conflict": "A person must choose: {reason}.",
    "hold": "The deactivation {reason}.",
    "worklist": "Next, the worklist has an item: {reason}.",
    "failure": "BMS would refuse it: {reason}",
    "note": "Next: {reason}.",
}


def next_said(
    connection: Connection,
    kind: str,
    reason: str,
    what: RecordType,
    changes: tuple[FieldChange, ...],
) -> NextSaid:
    """The sentence for what the sync would do."""
    if kind == "nothing" and reason == "is up to date":
        sentence = f"Nothing is to be done: the {what.value} is up to date."
    else:
        sentence = _NEXT.get(kind, "Next: {reason}.").format(
            reason=reason.rstrip(".") if kind != "failure" else reason, what=what.value
        )
    if connection.first_sync_at is None and kind not in ("nothing", "skip"):
        sentence = f"Once the first sync is asked for: {sentence[0].lower()}{sentence[1:]}"
    return NextSaid(kind, sentence, changes)


def later_said(reason: str) -> NextSaid:
    """What would come next cannot be told, or not be done, for now."""
    return NextSaid("wait", f"What comes next cannot be told now: {reason}")


def history(link: Link, lines: list[Activity], chosen: bool) -> MatchSaid:
    """How a linked person came to his record, as far as the activity still tells."""
    record = f"{link.record_type.value} {link.record_id}"
    if chosen:
        return MatchSaid("chosen", f"A person chose {record}.")
    for line in lines:
        if line.record_id != link.record_id or line.kind not in ("merge", "create", "move"):
            continue
        at = f"{line.at:%Y-%m-%d %H:%M} UTC"
        if line.kind == "merge":
            return MatchSaid("merged", f"Merged by e-mail address with {record} on {at}.")
        if line.kind == "create":
            return MatchSaid("created", f"The sync created {record} on {at}.")
        return MatchSaid("linked", f"Moved to {record} on {at}.")
    return MatchSaid("linked", f"Linked to {record} by the object id in Entra.")
