"""Which organization in IT Glue is a BMS account? (R27)

By hand, as the settings say; else the one that IT Glue itself connects with the BMS account; else
the only one of exactly the same name. What was found is remembered; an account without one is
looked for again after a while, and its contacts are passed on as soon as it has one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from shared.core.itglue import ItGlueSettings, OrganizationId
from shared.core.itglue_messages import PassItem
from shared.core.model import AccountId, ConnectionId
from shared.errors import BadInput
from shared.ports import (
    Bms,
    ItGlue,
    ItGlueMemory,
    ItGlueSettingsStore,
    Mapped,
    Now,
    PassedOnStore,
    Rules,
)
from shared.sync.itglue_queue import QueueForItGlue

_LOOK_AGAIN = timedelta(minutes=10)
_BELIEVED = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class AccountShown:
    """One BMS account, and where its contacts go."""

    account_id: AccountId
    account_name: str
    organization_id: OrganizationId | None
    organization_name: str
    by: str  # "hand" | "bms id" | "name" | ""
    reason: str


@dataclass(frozen=True, slots=True)
class ItGlueOrganizations:
    """Finds and remembers organizations."""

    settings: ItGlueSettingsStore
    memory: ItGlueMemory
    rows: PassedOnStore
    rules: Rules
    glue: ItGlue
    bms: Bms
    queue: QueueForItGlue
    now: Now

    def of(self, account_id: AccountId, settings: ItGlueSettings) -> Mapped:
        """The organization of an account, or why there is none."""
        now = self.now()
        by_hand = dict(settings.organizations).get(account_id)
        if by_hand is not None:
            return Mapped(account_id, by_hand, "hand", now)
        known = self.memory.mapped(account_id)
        if known is not None:
            keep = _LOOK_AGAIN if known.organization_id is None else _BELIEVED
            if now - known.looked_at < keep:
                return known
        found = self._look(account_id)
        self.memory.put_mapped(found)
        if known is not None and known.organization_id is None and found.organization_id:
            self.release(account_id)
        return found

    def release(self, account_id: AccountId | None = None) -> None:
        """Queue the contacts that waited for an organization."""
        waiting: dict[ConnectionId, list[PassItem]] = {}
        for row in self.rows.unmapped(account_id):
            item = PassItem(row.record_id, row.user_id, row.account_id)
            waiting.setdefault(row.connection_id, []).append(item)
        for connection_id, items in waiting.items():
            self.queue.send(connection_id, items, bulk=True)

    def look_anew(self) -> None:
        """A person changed something: accounts without an organization are looked for at once."""
        for known in self.memory.all_mapped():
            if known.organization_id is None:
                self.memory.put_mapped(replace(known, looked_at=known.looked_at - _LOOK_AGAIN))

    def _look(self, account_id: AccountId) -> Mapped:
        now = self.now()
        connected = self.glue.organizations_of_bms(account_id)
        if len(connected) == 1:
            return Mapped(account_id, connected[0], "bms id", now)
        if connected:
            return Mapped(
                account_id,
                None,
                "",
                now,
                f"IT Glue connects {len(connected)} organizations with BMS account {account_id}",
            )
        account = self.bms.account(account_id)
        if account is None:
            return Mapped(account_id, None, "", now, f"BMS has no account {account_id}")
        name = account.name.strip()
        named = [
            number
            for number, known in self.glue.account().organizations.items()
            if known.strip() == name
        ]
        if len(named) == 1:
            return Mapped(account_id, named[0], "name", now)
        count = f"{len(named)} organizations" if named else "no organization"
        return Mapped(account_id, None, "", now, f"IT Glue has {count} of the account's name")

    def accounts(self) -> list[AccountShown]:
        """Every account that rules name or contacts were in, with its organization."""
        settings = self.settings.get()
        if settings is None:
            raise BadInput(409, "IT Glue is not set up yet: save the IT Glue settings first.")
        wanted = {rule.account_id for rule in self.rules.edited() if rule.account_id is not None}
        wanted |= {known.account_id for known in self.memory.all_mapped()}
        wanted |= {account for account, _ in settings.organizations}
        names = {account.id: account.name for account in self.bms.accounts()}
        organizations = self.glue.account().organizations
        shown = []
        for account_id in sorted(wanted):
            found = self.of(account_id, settings)
            organization = found.organization_id
            shown.append(
                AccountShown(
                    account_id=account_id,
                    account_name=names.get(account_id, ""),
                    organization_id=organization,
                    organization_name=organizations.get(organization, "") if organization else "",
                    by=found.by,
                    reason=found.reason,
                )
            )
        return shown
