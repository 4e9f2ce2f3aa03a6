"""Connections and mapping rules out of a backup, beside those that are here.

A connection is known again by its id, else by its tenant domain; a rule by its id. Ids are kept,
so that links which are still in the tables fit again. Rules are checked as on their own page, as
far as BMS and Entra can be asked; an installation that was just restored cannot, for its secrets
are missing, and then the first full sync tells what is gone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from shared.core.model import Connection, MappingRule, RuleId
from shared.errors import BadInput, BadInputs, SyncError
from shared.ports import BMS_PASSWORD, Vault, application_key
from shared.sync.configuration import (
    CHANGED,
    CREATED,
    ROOT,
    UNCHANGED,
    Held,
    Incoming,
    MissingSecret,
    Outcome,
    Plan,
    Section,
    held_settings,
    placed,
)
from shared.sync.connections import ConnectionChange, ManageConnections, plain_domain
from shared.sync.mapping_rules import MappingRules, RuleWish

_ID = re.compile(r"[A-Za-z0-9-]{1,64}")  # fit for an address, a table key and a secret's name
_CONNECTION_MEMBERS = {
    "applicationId": "application_id",
    "mode": "mode",
    "emailSource": "email_source",
    "matchScope": "match_scope",
    "onLeave": "on_leave",
    "holdLimit": "hold_limit",
    "secretExpiresOn": "secret_expires_on",
}
_RULE_MEMBERS = {
    "groupId": "group_id",
    "order": "order",
    "recordType": "record_type",
    "accountId": "account_id",
    "locationId": "location_id",
    "includeNested": "include_nested",
    "includeGuests": "include_guests",
    "blockedUsers": "blocked_users",
    "enabled": "enabled",
    "employee": "employee",
}


@dataclass(frozen=True, slots=True)
class BackUp:
    """The use cases of export and import. `sections` are the settings resources."""

    connections: ManageConnections
    rules: MappingRules
    vault: Vault
    sections: tuple[Section[object], ...]

    def held(self) -> Held:
        """The whole configuration now, without secrets."""
        return Held(self.connections.all(), self.rules.all(), held_settings(self.sections))

    def plan(
        self,
        connections: Sequence[Incoming[Connection]],
        rules: Sequence[Incoming[MappingRule]],
        settings: Mapping[str, bytes],
        refused: Sequence[BadInput] = (),
    ) -> Plan:
        """What this file comes to here; `refused` is what could not even be read of it."""
        plan = Plan(refused=list(refused))
        for section in self.sections:
            if section.name in settings:
                section.plan(settings[section.name], self.vault, plan)
        known = {section.name for section in self.sections}
        for name in sorted(settings.keys() - known):
            words = f"is not known here; known: {', '.join(sorted(known))}. Leave it out."
            plan.refuse(f"{ROOT}.settings", BadInput(422, words, field=name))
        homes = _Connections(self.connections, self.vault, plan).take(connections)
        _Rules(self.connections, self.rules, self.vault, plan, homes).take(rules)
        _say_what_is_next(plan)
        return plan


@dataclass(slots=True)
class _Connections:
    """Plans the connections of a file. `homes`: id in the file → the connection it comes to."""

    manage: ManageConnections
    vault: Vault
    plan: Plan
    homes: dict[str, Connection | None] = field(default_factory=dict)
    domains: set[str] = field(default_factory=set)

    def take(self, connections: Sequence[Incoming[Connection]]) -> dict[str, Connection | None]:
        here = self.manage.all()
        for one in connections:
            try:
                home = self._take(one, here)
            except BadInput as refusal:
                self.plan.refuse(one.place, refusal)
                home = None
            self.homes.setdefault(one.value.id, home)
        return self.homes

    def _take(self, one: Incoming[Connection], here: Sequence[Connection]) -> Connection:
        wanted = replace(one.value, tenant_domain=plain_domain(one.value.tenant_domain))
        _refuse_bad_id(wanted.id)
        if wanted.id in self.homes:
            raise BadInput(422, "id stands twice in the file.", field="id")
        if wanted.tenant_domain in self.domains:
            raise BadInput(422, "tenantDomain stands twice in the file.", field="tenantDomain")
        self.domains.add(wanted.tenant_domain)
        before = next((each for each in here if each.id == wanted.id), None)
        if before is not None and before.tenant_domain != wanted.tenant_domain:
            raise BadInput(
                409,
                "tenantDomain is another than that of the connection of this id here "
                f"({before.tenant_domain}): leave the connection out, or change the one here "
                "first.",
                field="tenantDomain",
            )
        if before is None:
            before = next((e for e in here if e.tenant_domain == wanted.tenant_domain), None)
        if before is None:
            return self._create(one.place, wanted)
        return self._change(one.place, before, wanted)

    def _create(self, place: str, wanted: Connection) -> Connection:
        self._note(place, wanted, CREATED)
        self.plan.writes.append(lambda: self.manage.restore(wanted))
        self._ask_for_key(place, wanted)
        self.plan.next_steps.append(
            f"Connect {wanted.tenant_domain} ({wanted.id}), look at its mapping rules, then start "
            "a full sync: nothing is written to BMS for it before that."
        )
        return wanted

    def _change(self, place: str, before: Connection, wanted: Connection) -> Connection:
        members = _differing(_CONNECTION_MEMBERS, before, wanted)
        anew = bool({"applicationId", "mode"} & set(members))
        notes = []
        if before.id != wanted.id:
            notes.append(f"It is here already, with the id {before.id}, which it keeps.")
        if anew and before.connected_at is not None:
            notes.append("Application or mode change, so it becomes a draft again.")
            self.plan.next_steps.append(f"Connect {before.tenant_domain} ({before.id}) anew.")
        self._note(place, before, CHANGED if members else UNCHANGED, members, notes)
        self._ask_for_key(place, before)
        if not members:
            return before
        change = ConnectionChange(
            application_id=wanted.application_id,
            mode=wanted.mode,
            email_source=wanted.email_source,
            match_scope=wanted.match_scope,
            on_leave=wanted.on_leave,
            hold_limit=wanted.hold_limit,
            secret_expires_on=wanted.secret_expires_on or "",
        )
        self.plan.writes.append(lambda: self.manage.change(before.id, change))
        # Entra is not asked about groups by a sign-in that is about to end.
        return replace(before, connected_at=None) if anew else before

    def _note(
        self,
        place: str,
        one: Connection,
        became: str,
        members: tuple[str, ...] = (),
        notes: Iterable[str] = (),
    ) -> None:
        self.plan.outcomes.append(
            Outcome(place, one.id, one.tenant_domain, became, members, tuple(notes))
        )

    def _ask_for_key(self, place: str, one: Connection) -> None:
        if not self.vault.get(application_key(one.id)):
            step = (
                f"Enter the value of a client secret of the app registration for "
                f"{one.tenant_domain}: PATCH /api/connections/{one.id} with applicationKey."
            )
            self.plan.missing.append(MissingSecret(place, one.id, "applicationKey", step))


@dataclass(slots=True)
class _Rules:
    """Plans the mapping rules of a file, connection by connection."""

    manage: ManageConnections
    rules: MappingRules
    vault: Vault
    plan: Plan
    homes: Mapping[str, Connection | None]
    here: dict[str, MappingRule] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    unchecked: str | None = None  # why BMS or Entra could not be asked

    def take(self, rules: Sequence[Incoming[MappingRule]]) -> None:
        """Add to the plan what becomes of these."""
        self.here = {rule.id: rule for rule in self.rules.all()}
        connections: dict[str, Connection] = {each.id: each for each in self.manage.all()}
        by_home: dict[str, tuple[Connection, list[Incoming[MappingRule]]]] = {}
        for one in rules:
            try:
                home = self._home(one.value, connections)
            except BadInput as refusal:
                self.plan.refuse(one.place, refusal)
                continue
            moved = replace(one.value, connection_id=home.id)
            by_home.setdefault(home.id, (home, []))[1].append(Incoming(one.place, moved))
        for home, some in by_home.values():
            self._of(home, some)
        if self.unchecked is not None:
            self.plan.notes.append(
                "Accounts in BMS and groups in Entra could not be checked: "
                f"{self.unchecked} The first full sync tells what is gone."
            )

    def _home(self, rule: MappingRule, connections: Mapping[str, Connection]) -> Connection:
        """The connection that a rule of the file belongs to here."""
        _refuse_bad_id(rule.id)
        if rule.id in self.seen:
            raise BadInput(422, "id stands twice in the file.", field="id")
        self.seen.add(rule.id)
        file_id = rule.connection_id
        home = self.homes[file_id] if file_id in self.homes else connections.get(file_id)
        if home is None:
            raise BadInput(
                422,
                "connectionId names no connection of this installation, and none of the file that "
                "can be taken.",
                field="connectionId",
            )
        before = self.here.get(rule.id)
        if before is not None and before.connection_id != home.id:
            raise BadInput(
                409, "id is that of a rule of another connection here: leave it out.", field="id"
            )
        return home

    def _of(self, home: Connection, some: Sequence[Incoming[MappingRule]]) -> None:
        held = {id_: rule for id_, rule in self.here.items() if rule.connection_id == home.id}
        other: list[Incoming[MappingRule]] = []
        for one in some:
            if _is_same(held.get(one.value.id), one.value):
                self._note(one.place, one.value, UNCHANGED)
            else:
                other.append(one)
        if not other:
            return
        try:
            rules = self._checked(home, [(one.value, held.get(one.value.id)) for one in other])
            named = {rule.id for rule in rules}
            others = [rule for rule in held.values() if rule.id not in named]
            notes = self.rules.beside(rules, others)
        except BadInputs as refusals:
            self.plan.refused += [_at_place(each, other) for each in refusals.problems]
            return
        for one, rule, words in zip(other, rules, notes, strict=True):
            before = held.get(rule.id)
            if before is None:
                self._note(one.place, rule, CREATED, notes=words)
            else:
                members = _differing(_RULE_MEMBERS, before, rule)
                self._note(one.place, rule, CHANGED, members, words)
        self.plan.writes.append(lambda: self._write(home, rules))

    def _checked(
        self, home: Connection, wanted: Sequence[tuple[MappingRule, MappingRule | None]]
    ) -> list[MappingRule]:
        """These rules as their own page would save them."""
        # A rule that is new here counts as one that was saved before: it has its id and its age,
        # and what has become of its group meanwhile is a sync's to tell (R20).
        kept = [before or rule for rule, before in wanted]
        if self.rules.bms_settings.get() is None or not self.vault.get(BMS_PASSWORD):
            self.unchecked = "BMS is not set up with its password yet."
        if self.unchecked is None:
            try:
                wishes = [_wish(rule) for rule, _ in wanted]
                return self.rules.checked(home, wishes, kept, in_set=True)
            except SyncError as error:
                self.unchecked = error.sentence
        return [
            replace(
                rule,
                created_at=before.created_at,
                group_name=before.group_name,
                group_created_at=before.group_created_at,
                group_state=before.group_state,
            )
            if before.group_id == rule.group_id
            else replace(rule, created_at=before.created_at, group_name="", group_created_at=None)
            for (rule, _), before in zip(wanted, kept, strict=True)
        ]

    def _write(self, home: Connection, rules: Sequence[MappingRule]) -> None:
        """The whole set in one transaction, so that nobody passes through a half-written one."""
        named = {rule.id for rule in rules}
        others = [rule for rule in self.rules.rules.edited(home.id) if rule.id not in named]
        self.rules.rules.replace(home.id, [*others, *rules])
        self.rules.re_evaluation.order(home.id, gather=False)

    def _note(
        self,
        place: str,
        rule: MappingRule,
        became: str,
        members: tuple[str, ...] = (),
        notes: tuple[str, ...] = (),
    ) -> None:
        name = f"{rule.group_name or rule.group_id} (Order {rule.order})"
        self.plan.outcomes.append(Outcome(place, rule.id, name, became, members, notes))


def _refuse_bad_id(id_: str) -> None:
    if not _ID.fullmatch(id_):
        raise BadInput(422, "id must be 1 to 64 letters, digits and dashes.", field="id")


def _differing(members: Mapping[str, str], before: object, after: object) -> tuple[str, ...]:
    return tuple(
        member for member, name in members.items() if getattr(before, name) != getattr(after, name)
    )


def _is_same(before: MappingRule | None, rule: MappingRule) -> bool:
    return before is not None and not _differing(_RULE_MEMBERS, before, rule)


def _wish(rule: MappingRule) -> RuleWish:
    return RuleWish(
        group_id=rule.group_id,
        order=rule.order,
        record_type=rule.record_type,
        account_id=rule.account_id,
        location_id=rule.location_id,
        include_nested=rule.include_nested,
        include_guests=rule.include_guests,
        blocked_users=rule.blocked_users,
        enabled=rule.enabled,
        employee=rule.employee,
        id=RuleId(rule.id),
    )


_ITEM = re.compile(r"items\[(?P<index>\d+)\](\.(?P<member>.+))?")


def _at_place(refusal: BadInput, rules: Sequence[Incoming[MappingRule]]) -> BadInput:
    """The refusal of an item of a rule set, as one of a place in the file."""
    found = _ITEM.fullmatch(refusal.field or "")
    if found is None:
        return refusal
    place = rules[int(found["index"])].place
    words = refusal.sentence.removeprefix(str(refusal.field)).lstrip(" :")
    return placed(place, BadInput(422, words, field=found["member"]))


def _say_what_is_next(plan: Plan) -> None:
    """Secrets first: nothing else works without them."""
    plan.next_steps[:0] = [each.next_step for each in plan.missing]
