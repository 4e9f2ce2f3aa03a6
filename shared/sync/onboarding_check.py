"""The onboarding check: what a technician should know before the first write (R1, R4, R5, R9).

It reads Entra, BMS's lists and our own memory, and writes nothing but its own result. A small
tenant is answered in the request; a large one goes on in the background, and whoever asks again,
on whatever instance, finds the result in the tables. Should the instance die over it, its claim on
the check runs out and the next who asks begins anew.
"""

from __future__ import annotations

import contextvars
import logging
from collections.abc import Iterator
from concurrent.futures import Executor
from concurrent.futures import TimeoutError as Late
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.core.model import (
    Account,
    AccountId,
    Connection,
    Employee,
    GroupId,
    MappingRule,
    RecordId,
    RecordType,
)
from shared.core.onboarding import (
    Area,
    CheckResult,
    Finding,
    Tally,
    counts_of,
    group_finding,
    people_findings,
    verdict_of,
)
from shared.core.standing import standing
from shared.errors import Limited, PersonMustAct, SyncError, TryLater
from shared.ports import (
    Bms,
    BmsSettingsStore,
    Budget,
    Connections,
    Directories,
    Directory,
    Links,
    Now,
    Rules,
)
from shared.ports.checks import Checks, KeptCheck
from shared.sync.address_reading import ReadAddresses
from shared.sync.connections import existing
from shared.sync.finding import FindRecords
from shared.sync.group_check import group_refusal
from shared.sync.mapping_rules import place_problem
from shared.sync.onboarding_reading import OnboardingReading, mark_of

log = logging.getLogger(__name__)

_FRESH = timedelta(minutes=10)  # so long a result is given again
_LEASE = timedelta(minutes=10)  # longer than BMS's lists take, between two signs of life
_RENEWED = timedelta(seconds=30)
_INDEX_AGE = timedelta(hours=24)
_PACE = timedelta(milliseconds=50)
_GET = "GET /v2/crm/contacts/summary/{id}"
_PATCH = "PATCH /v2/crm/contacts/{id}"
_POST = "POST /v2/crm/contacts/summary"


@dataclass(frozen=True, slots=True)
class Checked:
    """The result, or None while it is still being made."""

    started_at: datetime
    result: CheckResult | None


@dataclass(frozen=True)
class OnboardingCheck:
    """The use case."""

    connections: Connections
    rules: Rules
    links: Links
    directories: Directories
    bms: Bms  # paid for from the bulk share
    bms_settings: BmsSettingsStore
    budget: Budget
    reading: ReadAddresses
    finding: FindRecords
    checks: Checks
    lane: Executor
    now: Now
    patience: float = 20  # seconds that the request waits for the result

    def check(self, connection_id: str) -> Checked:
        """The check of this connection: a recent one, or a new one."""
        connection = existing(self.connections, connection_id)
        kept, now = self.checks.get(connection.id), self.now()
        result = kept.result if kept is not None else None
        if kept is not None and result is not None and now - result.checked_at < _FRESH:
            return Checked(kept.started_at, result)
        return self._new(connection, kept, now, self.patience)

    def again(self, connection_id: str) -> Checked:
        """A new check, however recent the last one is; nobody waits for it here."""
        connection = existing(self.connections, connection_id)
        return self._new(connection, self.checks.get(connection.id), self.now(), 0)

    def _new(
        self, connection: Connection, kept: KeptCheck | None, now: datetime, patience: float
    ) -> Checked:
        if not self.checks.begin(connection.id, now, now + _LEASE):
            return Checked(kept.started_at if kept else now, None)
        context = contextvars.copy_context()
        making = self.lane.submit(context.run, self._make_and_keep, connection, now)
        try:
            return Checked(now, making.result(patience))
        except Late:
            return Checked(now, None)
        except TryLater as error:
            if error.counts:
                raise
            return Checked(now, None)  # others read just now what it needs: asked again, it goes on

    def _make_and_keep(self, connection: Connection, started: datetime) -> CheckResult:
        result: CheckResult | None = None
        try:
            result = self._make(connection, started)
            return result
        except SyncError as error:
            log.warning("check failed connection=%s: %s", connection.id, error.sentence)
            raise
        finally:
            self.checks.finish(connection.id, started, result)

    # --- make ----------------------------------------------------------------------------------

    def _make(self, connection: Connection, started: datetime) -> CheckResult:
        findings: list[Finding] = []
        tally = Tally()
        rules = self.rules.edited(connection.id)
        enabled = [rule for rule in rules if rule.enabled]
        if not enabled:
            findings.append(
                Finding(
                    "blocker",
                    "groups",
                    "The connection has no enabled mapping rule, so nobody would be in scope.",
                    "Add a mapping rule.",
                )
            )
        accounts = self._bms(enabled, findings)
        directory = self._consent(connection, findings)
        if directory is not None:
            unreadable = self._groups(directory, enabled, findings)
            matched = accounts is not None and self._index(findings)
            self.checks.renew(connection.id, started, self.now() + _LEASE)
            reading = self._people(connection, directory, enabled, unreadable, matched, started)
            try:
                tally = reading.run()
            except SyncError as error:
                findings.append(_trouble("groups", "The members could not be read.", error))
            findings += [
                Finding(
                    "warning",
                    "groups",
                    f"The group {rule.group_name or rule.group_id} (Order {rule.order}) is empty.",
                    "Add members in Entra, or choose another group.",
                    1,
                )
                for rule in reading.empty
            ]
            findings += people_findings(tally) if enabled else []
            if accounts is not None:
                findings.append(self._limits(tally))
        findings = sorted(findings, key=lambda one: _ORDER.index(one.severity))
        return CheckResult(self.now(), verdict_of(findings), counts_of(tally), tuple(findings))

    def _consent(self, connection: Connection, findings: list[Finding]) -> Directory | None:
        """The directory, if it may be read. The token is opaque, so reading is what tells."""
        if not connection.may_read:
            now = standing(connection)
            sentence = f"The connection is in state {connection.state}. {now.reason}"
            findings.append(Finding("blocker", "consent", sentence, now.next_step))
            return None
        directory = self.directories.open(connection)
        try:
            refused = directory.refused_reads()
        except SyncError as error:
            findings.append(_trouble("consent", "The tenant cannot be read.", error))
            return None
        missing = [name for name, why in refused.items() if isinstance(why, PersonMustAct)]
        passing = [why for why in refused.values() if not isinstance(why, PersonMustAct)]
        if missing:
            findings.append(
                Finding(
                    "blocker",
                    "permissions",
                    f"Microsoft Graph refuses what these permissions allow: {', '.join(missing)}.",
                    "Add them to the app registration, let an administrator consent, and connect "
                    "again.",
                    len(missing),
                )
            )
        elif passing:
            findings.append(_trouble("permissions", "Not everything could be tried.", passing[0]))
        else:
            findings.append(
                Finding("ok", "consent", "Consent is given: users and groups can be read.")
            )
        return directory

    def _groups(
        self, directory: Directory, rules: list[MappingRule], findings: list[Finding]
    ) -> set[GroupId]:
        """Findings for groups that cannot stand in a rule; answers those not to be read."""
        ids = sorted({rule.group_id for rule in rules})
        try:
            shown = directory.groups(ids) if ids else {}
        except SyncError as error:
            findings.append(_trouble("groups", "The groups cannot be read.", error))
            return set(ids)
        bad: set[GroupId] = set()
        for rule in rules:
            group = shown.get(rule.group_id)
            if isinstance(group, SyncError):
                step = group.next_step if isinstance(group, PersonMustAct) else "Check again later."
                findings.append(group_finding(rule, group.sentence, step))
            elif (refusal := group_refusal(rule.group_id, group)) is not None:
                findings.append(
                    group_finding(rule, str(refusal), "Change the mapping rule, or the group.")
                )
            else:
                continue
            bad.add(rule.group_id)
        if rules and not bad:
            count = len(ids)
            groups = "1 mapped group is" if count == 1 else f"{count} mapped groups are"
            sentence = f"{groups} there and can be read."
            findings.append(Finding("ok", "groups", sentence, count=count))
        return bad

    def _bms(
        self, rules: list[MappingRule], findings: list[Finding]
    ) -> dict[AccountId, Account] | None:
        if self.bms_settings.get() is None:
            findings.append(
                Finding("blocker", "bms", "BMS is not set up yet.", "Save the BMS settings.")
            )
            return None
        try:
            accounts = {one.id: one for one in self.bms.accounts()}
        except SyncError as error:
            findings.append(_trouble("bms", "BMS cannot be read.", error))
            return None
        wrong = list(_wrong_accounts(rules, accounts))
        findings += wrong or [Finding("ok", "bms", "BMS can be read, and the accounts are there.")]
        return accounts

    def _index(self, findings: list[Finding]) -> bool:
        """BMS's contacts, as read in the last day; read now otherwise (R6)."""
        try:
            self.reading.since(self.now() - _INDEX_AGE)
        except SyncError as error:
            if isinstance(error, TryLater) and not (error.counts or isinstance(error, Limited)):
                raise  # somebody reads them just now
            findings.append(
                Finding(
                    "warning",
                    "bms",
                    f"BMS's contacts could not be read, so nobody was matched: {error.sentence}",
                    "Check again in a few minutes.",
                )
            )
            return False
        return True

    def _people(
        self,
        connection: Connection,
        directory: Directory,
        rules: list[MappingRule],
        unreadable: set[GroupId],
        matched: bool,
        started: datetime,
    ) -> OnboardingReading:
        employees = matched and any(rule.record_type is RecordType.EMPLOYEE for rule in rules)
        renewed = self.now()

        def alive() -> None:
            nonlocal renewed
            if self.now() - renewed > _RENEWED:
                renewed = self.now()
                self.checks.renew(connection.id, started, renewed + _LEASE)

        staff = self._staff() if employees else []
        linked = {
            mark_of(link.user_id)
            for page in self.links.all(connection.id)
            for link in page
            if link.record_id is not None
        }
        return OnboardingReading(
            connection=connection,
            rules=rules,
            unreadable=unreadable,
            directory=directory,
            finding=self.finding if matched else None,
            staff=staff,
            staff_owned=self._owned(staff),
            linked=linked,
            alive=alive,
        )

    def _staff(self) -> list[Employee]:
        try:
            return self.bms.employees()
        except SyncError:
            return []  # that BMS does not answer is told already

    def _owned(self, staff: list[Employee]) -> set[RecordId]:
        """The employees whom somebody's link holds already (R9)."""
        if not staff:
            return set()
        return self.finding.held(RecordType.EMPLOYEE, [one.id for one in staff])

    def _limits(self, tally: Tally) -> Finding:
        """How many calls the first sync needs, and how long BMS's limit makes it (R25)."""
        calls = {
            _POST: tally.would_create,
            _GET: tally.would_match,
            _PATCH: tally.would_match + tally.with_title,
        }
        wanted = {endpoint: count for endpoint, count in calls.items() if count}
        total = sum(wanted.values())
        if not total:
            return Finding("ok", "limits", "The next full sync needs next to no calls to BMS.")
        finish = max(self.budget.finish([each], count, _PACE) for each, count in wanted.items())
        minutes = max(1, round((finish - self.now()).total_seconds() / 60))
        took = f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
        sentence = f"The next full sync sends about {total:,} calls to BMS, and takes about {took}."
        if minutes < 60:
            return Finding("ok", "limits", sentence, count=total)
        step = "Nothing has to be done: fresh changes keep a share of the limit meanwhile."
        return Finding("ok", "limits", f"{sentence} BMS's hourly limit sets that.", step, total)


_ORDER = ("blocker", "warning", "ok")


def _wrong_accounts(
    rules: list[MappingRule], accounts: dict[AccountId, Account]
) -> Iterator[Finding]:
    for rule in rules:
        if rule.record_type is not RecordType.CONTACT or rule.account_id is None:
            continue
        problem = place_problem(rule, accounts.get(rule.account_id))
        if problem is not None:
            yield Finding(
                "blocker",
                "bms",
                f"Rule of Order {rule.order}: {problem}",
                "Mend it in BMS, or change the mapping rule.",
                1,
            )


def _trouble(area: Area, what: str, error: SyncError) -> Finding:
    step = error.next_step if isinstance(error, PersonMustAct) else "Check again in a few minutes."
    return Finding("blocker", area, f"{what} {error.sentence}", step)
