"""IT Glue, and what is remembered of it (R27)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from shared.core.itglue import (
    GlueContact,
    GlueEntry,
    GlueId,
    ItGlueSettings,
    OrganizationId,
    PassedOn,
)
from shared.core.model import AccountId, ConnectionId, RecordId, Trouble
from shared.errors import Rejected


class GlueRefusal(Rejected):
    """422: IT Glue does not take this. `names` are the attributes that it complains of."""

    def __init__(self, sentence: str, next_step: str, names: Sequence[str] = ()) -> None:
        super().__init__(sentence, next_step, code="itglue-refused")
        self.names = tuple(names)


@dataclass(frozen=True, slots=True)
class GlueAccount:
    """What a key opens: organizations and contact types, id to name."""

    organizations: Mapping[OrganizationId, str]
    contact_types: Mapping[int, str]


class ItGlue(Protocol):
    """IT Glue's API. No method deletes.

    Trouble with the service as a whole is TryLater, or PersonMustAct when it refuses the key.
    """

    def check(self, settings: ItGlueSettings, key: str) -> GlueAccount:
        """Read with this key; PersonMustAct when it is refused."""

    def forget(self) -> None:
        """The settings were saved: read them anew, and try a key that was refused before."""

    def ready(self) -> None:
        """Raises what the service as a whole suffers from, without asking it again at once."""

    def account(self) -> GlueAccount:
        """Organizations and contact types (cached for minutes)."""

    def organizations_of_bms(self, account_id: AccountId) -> list[OrganizationId]:
        """The organizations that IT Glue itself connects with this BMS account."""

    def contact(self, contact_id: GlueId) -> GlueContact | None: ...

    def contacts_of_bms(self, record_id: RecordId) -> list[GlueContact]:
        """The contacts that IT Glue itself connects with this BMS contact."""

    def contacts(
        self, organization_id: OrganizationId, *, fresh: bool = False
    ) -> list[GlueContact]:
        """All contacts of an organization; without `fresh` a list of the last minute will do."""

    def is_synced(self, contact_id: GlueId) -> bool:
        """Whether IT Glue says that a PSA keeps this contact."""

    def labels(self) -> Sequence[str]:
        """Labels of e-mails and phones that contacts were seen with."""

    def create(
        self,
        organization_id: OrganizationId,
        fields: Mapping[str, object],
        emails: Sequence[GlueEntry],
        phones: Sequence[GlueEntry],
    ) -> GlueContact:
        """Uncertain when no answer came; GlueRefusal when refused."""

    def update(
        self,
        contact_id: GlueId,
        fields: Mapping[str, object],
        emails: Sequence[GlueEntry] | None,
        phones: Sequence[GlueEntry] | None,
    ) -> GlueContact:
        """What is None stays. DecideAgain when it is gone; GlueRefusal when refused."""


class ItGlueSettingsStore(Protocol):
    def get(self) -> ItGlueSettings | None: ...

    def put(self, settings: ItGlueSettings) -> None: ...


@dataclass(frozen=True, slots=True)
class Held:
    """Which BMS contact holds a contact in IT Glue."""

    record_id: RecordId
    etag: str = field(default="", compare=False)


class PassedOnStore(Protocol):
    """What became of each BMS contact, and whose an IT Glue contact is."""

    def get(self, record_id: RecordId) -> PassedOn | None: ...

    def save(self, row: PassedOn) -> PassedOn | None:
        """With its new etag; None when somebody else wrote since it was read ("" = must be new)."""

    def unmapped(self, account_id: AccountId | None = None) -> list[PassedOn]:
        """Those that wait for an organization: of one account, or all."""

    def holder(self, contact_id: GlueId) -> Held | None: ...

    def hold(self, contact_id: GlueId, row: PassedOn, over: Held | None) -> bool:
        """Hold a contact for this row's record; False when somebody else was quicker."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """The organization of a BMS account; None: none was found, and `reason` says why."""

    account_id: AccountId
    organization_id: OrganizationId | None
    by: str  # "hand" | "bms id" | "name" | ""
    looked_at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Everybody:
    """How far "pass on everybody" is for one connection."""

    connection_id: ConnectionId
    started_at: datetime
    changed_at: datetime
    done: int = 0
    finished: bool = False


class ItGlueMemory(Protocol):
    """Remembered of IT Glue as a whole."""

    def mapped(self, account_id: AccountId) -> Mapped | None: ...

    def all_mapped(self) -> list[Mapped]: ...

    def put_mapped(self, mapped: Mapped) -> None: ...

    def trouble(self) -> Trouble | None: ...

    def put_trouble(self, trouble: Trouble | None) -> None: ...

    def everybody(self) -> list[Everybody]: ...

    def put_everybody(self, progress: Everybody) -> None: ...
