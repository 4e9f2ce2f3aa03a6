"""IT Glue in memory, and what is remembered of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from shared.core.itglue import (
    GlueContact,
    GlueEntry,
    GlueId,
    ItGlueSettings,
    OrganizationId,
    PassedOn,
    PassState,
)
from shared.core.model import AccountId, ConnectionId, RecordId, Trouble
from shared.errors import SyncError
from shared.ports import Everybody, GlueAccount, Held, Mapped


@dataclass
class FakeItGlueSettings:
    held: ItGlueSettings | None = None

    def get(self) -> ItGlueSettings | None:
        return self.held

    def put(self, settings: ItGlueSettings) -> None:
        self.held = settings


@dataclass
class FakePassedOn:
    held: dict[RecordId, PassedOn] = field(default_factory=dict)
    holders: dict[GlueId, Held] = field(default_factory=dict)

    def get(self, record_id: RecordId) -> PassedOn | None:
        return self.held.get(record_id)

    def save(self, row: PassedOn) -> PassedOn | None:
        before = self.held.get(row.record_id)
        if (before.etag if before else "") != row.etag:
            return None
        after = replace(row, etag=str(int(row.etag or 0) + 1))
        self.held[row.record_id] = after
        return after

    def unmapped(self, account_id: AccountId | None = None) -> list[PassedOn]:
        return [
            row
            for row in self.held.values()
            if row.state is PassState.UNMAPPED and account_id in (None, row.account_id)
        ]

    def holder(self, contact_id: GlueId) -> Held | None:
        return self.holders.get(contact_id)

    def hold(self, contact_id: GlueId, row: PassedOn, over: Held | None) -> bool:
        if self.holders.get(contact_id) != over:
            return False
        self.holders[contact_id] = Held(row.record_id)
        return True


@dataclass
class FakeItGlueMemory:
    accounts: dict[AccountId, Mapped] = field(default_factory=dict)
    now: Trouble | None = None
    jobs: dict[ConnectionId, Everybody] = field(default_factory=dict)

    def mapped(self, account_id: AccountId) -> Mapped | None:
        return self.accounts.get(account_id)

    def all_mapped(self) -> list[Mapped]:
        return list(self.accounts.values())

    def put_mapped(self, mapped: Mapped) -> None:
        self.accounts[mapped.account_id] = mapped

    def trouble(self) -> Trouble | None:
        return self.now

    def put_trouble(self, trouble: Trouble | None) -> None:
        self.now = trouble

    def everybody(self) -> list[Everybody]:
        return list(self.jobs.values())

    def put_everybody(self, progress: Everybody) -> None:
        self.jobs[progress.connection_id] = progress


@dataclass
class FakeItGlue:
    """`refusal` is raised by every check, `down` by everything."""

    organizations: dict[OrganizationId, str] = field(default_factory=dict)
    types: dict[int, str] = field(default_factory=dict)
    of_bms: dict[AccountId, list[OrganizationId]] = field(default_factory=dict)
    checked: list[tuple[ItGlueSettings, str]] = field(default_factory=list)
    refusal: SyncError | None = None
    down: SyncError | None = None

    def check(self, settings: ItGlueSettings, key: str) -> GlueAccount:
        if self.refusal:
            raise self.refusal
        self.checked.append((settings, key))
        return self.account()

    def forget(self) -> None:
        return

    def ready(self) -> None:
        if self.down:
            raise self.down

    def account(self) -> GlueAccount:
        self.ready()
        return GlueAccount(self.organizations, self.types)

    def organizations_of_bms(self, account_id: AccountId) -> list[OrganizationId]:
        self.ready()
        return self.of_bms.get(account_id, [])

    def contact(self, contact_id: GlueId) -> GlueContact | None:
        raise NotImplementedError

    def contacts_of_bms(self, record_id: RecordId) -> list[GlueContact]:
        raise NotImplementedError

    def contacts(
        self, organization_id: OrganizationId, *, fresh: bool = False
    ) -> list[GlueContact]:
        raise NotImplementedError

    def is_synced(self, contact_id: GlueId) -> bool:
        raise NotImplementedError

    def labels(self) -> Sequence[str]:
        return ()

    def create(
        self,
        organization_id: OrganizationId,
        fields: Mapping[str, object],
        emails: Sequence[GlueEntry],
        phones: Sequence[GlueEntry],
    ) -> GlueContact:
        raise NotImplementedError

    def update(
        self,
        contact_id: GlueId,
        fields: Mapping[str, object],
        emails: Sequence[GlueEntry] | None,
        phones: Sequence[GlueEntry] | None,
    ) -> GlueContact:
        raise NotImplementedError
