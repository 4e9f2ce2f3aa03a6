"""Explain one person: why he is here or not, and what the sync would do next. Writes nothing.

Cost for a linked person of a nested group, named by his object id: three requests to Graph (his
look, the groups that hold him, the parents of those) and, from the share for fresh changes, one
call to BMS for the record; names of accounts and types of phones come from lists that the process
keeps for two minutes (a call per hundred accounts, two for the types unless the settings name
them). Somebody whom no link knows is looked for in BMS as the sync would: two calls an address.
Somebody who is, or becomes, an employee needs BMS's employees and look-ups, kept just so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from shared.core.explained_fields import Known, contact_fields, employee_fields
from shared.core.explained_words import (
    group_of,
    history,
    later_said,
    next_said,
    summary,
    unmapped_groups,
)
from shared.core.explanation import (
    CandidateSaid,
    Explanation,
    FieldSaid,
    GroupSaid,
    MatchSaid,
    NextSaid,
    RecordSaid,
    RuleSaid,
    Verdict,
)
from shared.core.model import (
    Activity,
    Contact,
    Employee,
    LinkState,
    MappingRule,
    RecordType,
)
from shared.core.nesting import shortest_path
from shared.errors import BadInput
from shared.ports import ActivityLog
from shared.sync.connections import existing
from shared.sync.explain_looking import Seen, candidates, look
from shared.sync.rehearsal_bms import NEW
from shared.sync.rehearsing import Rehearsing
from shared.sync.waits_for_person import WaitsForPerson
from shared.sync.who_is_meant import WhoIsMeant

_LINES = 100  # of the activity, to tell how somebody was matched
_NOT_KNOWN = "not known, since Entra was not asked"


@dataclass(frozen=True, slots=True)
class Explain:
    """The use case."""

    rehearsing: Rehearsing
    who: WhoIsMeant
    waits: WaitsForPerson
    log: ActivityLog

    def explain(self, connection_id: str, text: str) -> Explanation:
        """Everything there is to say about one person.

        BadInput 404 when nobody knows him, 409 when several are meant.
        """
        stores = self.rehearsing.stores
        connection = existing(stores.connections, connection_id)
        user_id = self.who.find(connection, text)
        link = stores.links.get(connection.id, user_id)
        seen = look(self.rehearsing, connection, user_id, link)
        if link is None and seen.in_entra == "deleted":
            raise BadInput(
                404, "Neither Entra nor the links know such a user: check the object id."
            )
        if link is None and seen.in_entra == "unknown":
            raise BadInput(
                404, f"No link remembers this user, and Entra was not asked: {seen.unknown}"
            )
        lines, _ = self.log.list(connection_id=connection.id, user_id=user_id, limit=_LINES)
        waiting = tuple(self.waits.of(connection.id, user_id, link))
        rules = tuple(_rule_said(seen, rule) for rule in seen.rules)
        record, next_ = _record_said(seen), _next_said(seen)
        placement = seen.placement
        nowhere = placement is not None and not placement.mapped and not placement.unreadable
        return Explanation(
            connection_id=connection.id,
            tenant_domain=connection.tenant_domain,
            user_id=user_id,
            user=seen.user,
            addresses=seen.addresses,
            in_entra=seen.in_entra,
            unknown_because=seen.unknown,
            summary=summary(
                seen.name,
                seen.in_entra,
                link,
                rules,
                record,
                next_,
                waiting,
                unmapped_groups(rules) if nowhere and not _held_by_mapped(seen) else "",
            ),
            link=link,
            record=record,
            record_unknown_because=seen.record_unknown,
            groups=tuple(_groups_said(seen)),
            rules=rules,
            match=self._match_said(seen, lines),
            fields=_fields_said(seen),
            next=next_,
            last=lines[0] if lines else None,
            waiting=waiting,
        )

    def _match_said(self, seen: Seen, lines: list[Activity]) -> MatchSaid:
        link, stores = seen.link, self.rehearsing.stores
        every = self._candidates(seen)
        if link is not None and link.record_id is not None:
            known = stores.conflicts.get(link.connection_id, link.user_id)
            chosen = (
                known is not None
                and known.state == "resolved"
                and known.chosen == link.record_id
                and known.record_type is link.record_type
            )
            said = history(link, lines, chosen)
            return MatchSaid(said.how, said.sentence, every)
        after, conflict = seen.rehearsal.link, seen.rehearsal.conflict
        if conflict is not None and conflict.state == "open":
            fitting = tuple(one for one in every if one.record_id in conflict.record_ids)
            return MatchSaid("conflict", f"A person must choose: {conflict.reason}.", fitting)
        if after is not None and after.record_id is not None and after.record_id != NEW:
            sentence = (
                f"{after.record_type.value.capitalize()} {after.record_id} has one of the "
                "addresses, and would be taken over."
            )
            return MatchSaid("candidate", sentence, every)
        if seen.unknown is not None:
            return MatchSaid("none", f"There is no record, and a match is {_NOT_KNOWN}.", every)
        if seen.winner is None:
            return MatchSaid("none", "Nobody is matched whom no rule takes.", every)
        if seen.rehearsal.error is not None:
            sentence = f"A match is not known: {seen.rehearsal.error.sentence}"
            return MatchSaid("none", sentence, every)
        if every:
            sentence = "Records have one of the addresses, but none that would be taken over."
            return MatchSaid("none", sentence, every)
        return MatchSaid("none", "No record in BMS has any of the addresses.")

    def _candidates(self, seen: Seen) -> tuple[CandidateSaid, ...]:
        found = candidates(seen)
        owners = (
            self.rehearsing.stores.owners.get_many(seen.record_type, {one[0] for one in found})
            if found
            else {}
        )
        return tuple(
            CandidateSaid(
                record_type=seen.record_type,
                record_id=record_id,
                account_id=account_id,
                account_name=seen.account_name(account_id),
                is_active=is_active,
                address=address,
                owned_by_user_id=owners[record_id].user_id if record_id in owners else None,
            )
            for record_id, account_id, is_active, address in found
        )


def _held_by_mapped(seen: Seen) -> bool:
    """In the group of a rule all the same: one that is off, or does not count nesting."""
    return seen.nesting is not None and any(
        rule.group_id in seen.nesting.names for rule in seen.rules
    )


def _groups_said(seen: Seen) -> Iterator[GroupSaid]:
    nesting = seen.nesting
    if nesting is None:
        for verdict in seen.placement.verdicts if seen.placement else ():
            if verdict.matches:
                rule = verdict.rule
                note = "the nesting could not be read"
                yield GroupSaid(rule.id, rule.group_id, group_of(rule), (), False, note)
        return
    for rule in seen.rules:
        if rule.group_id not in nesting.names:
            continue
        path = shortest_path(rule.group_id, nesting.direct, nesting.parents)
        yield GroupSaid(
            rule_id=rule.id,
            group_id=rule.group_id,
            group_name=nesting.names[rule.group_id] or group_of(rule),
            path=tuple(nesting.names.get(group) or group for group in path or ()),
            nested=rule.group_id not in nesting.direct,
            note=None if path else "nested too widely for the path to be read",
        )


def _rule_said(seen: Seen, rule: MappingRule) -> RuleSaid:
    account = seen.account_name(rule.account_id)
    if seen.placement is None:
        if seen.in_entra == "deleted":
            return RuleSaid(rule, account, "no-match", "Entra has no such user any more")
        mine = seen.link is not None and seen.link.rule_id == rule.id
        if mine and seen.link is not None and seen.link.state is LinkState.ACTIVE:
            return RuleSaid(rule, account, "won", f"when it was last decided; now {_NOT_KNOWN}")
        return RuleSaid(rule, account, "no-match", _NOT_KNOWN)
    verdict = next(one for one in seen.placement.verdicts if one.rule.id == rule.id)
    kind: Verdict = "won" if verdict.won else "lost" if verdict.matches else "no-match"
    return RuleSaid(rule, account, kind, verdict.sentence)


def _record_said(seen: Seen) -> RecordSaid | None:
    record = seen.record
    if record is None:
        return None
    if isinstance(record, Employee):
        return RecordSaid(
            RecordType.EMPLOYEE, record.id, None, None, None, None, record.name, record.is_active
        )
    location = record.location_id
    return RecordSaid(
        record_type=RecordType.CONTACT,
        record_id=record.id,
        account_id=record.account_id,
        account_name=seen.account_name(record.account_id),
        location_id=location,
        location_name=None if location is None else seen.locations.get(int(location)),
        display_name=f"{record.first_name} {record.last_name}".strip(),
        is_active=record.is_active,
    )


def _fields_said(seen: Seen) -> tuple[FieldSaid, ...]:
    link, work = seen.link, seen.rehearsal.work
    state = link.state if link is not None else None
    wanted = work.wanted.get(seen.user_id) if work else None
    employee = work.employees.get(seen.user_id) if work else None
    as_employee = seen.record_type is RecordType.EMPLOYEE
    prints = {one.fingerprint for one in (employee if as_employee else wanted,) if one is not None}
    known = Known(
        user=seen.user,
        written=link.written if link is not None else {},
        up_to_date=state is LinkState.ACTIVE and link is not None and link.fingerprint in prints,
        changes=seen.rehearsal.changes,
    )
    if as_employee:
        held = seen.record if isinstance(seen.record, Employee) else None
        return employee_fields(known, employee, seen.winner, held, state)
    record = seen.record if isinstance(seen.record, Contact) else None
    types, locations = seen.types, seen.locations
    return contact_fields(known, wanted, seen.winner, record, types, locations, state)


def _next_said(seen: Seen) -> NextSaid:
    rehearsal = seen.rehearsal
    if seen.unknown is not None:
        return later_said(seen.unknown)
    lines = [line for line in rehearsal.lines if line.kind != "note"] or rehearsal.lines
    if lines:
        kind, reason = lines[-1].kind, lines[-1].reason
    elif rehearsal.told is not None:
        kind, reason = rehearsal.told.kind, rehearsal.told.reason
    elif rehearsal.error is not None:
        step = rehearsal.work.steps.get(seen.user_id) if rehearsal.work else None
        decided = f"decided so far: {reason}. " if (reason := getattr(step, "reason", "")) else ""
        return later_said(f"{decided}{rehearsal.error.sentence}")
    else:
        kind, reason = "nothing", "is up to date"
    return next_said(seen.connection, kind, reason, seen.record_type, rehearsal.changes)
