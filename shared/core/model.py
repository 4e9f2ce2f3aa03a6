"""The words of the product as values (design section 2).

Everything here is frozen: a change is a new value made by `dataclasses.replace`. Ids have types of
their own so that a group id can not be handed in where a user id is meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NewType

ConnectionId = NewType("ConnectionId", str)
UserId = NewType("UserId", str)  # object id in Entra, lower case
GroupId = NewType("GroupId", str)  # object id in Entra, lower case
RuleId = NewType("RuleId", str)
RecordId = NewType("RecordId", int)
AccountId = NewType("AccountId", int)
LocationId = NewType("LocationId", int)
SyncId = NewType("SyncId", str)


class RecordType(StrEnum):
    """The two kinds of record in BMS."""

    CONTACT = "contact"
    EMPLOYEE = "employee"


class Mode(StrEnum):
    """Whose permissions a connection uses (R28)."""

    DELEGATED = "delegated"
    APPLICATION = "application"


class ConnectionState(StrEnum):
    """Where a connection stands (R30)."""

    DRAFT = "draft"
    CONNECTED = "connected"
    ATTENTION = "attention"
    PAUSED = "paused"


class GroupState(StrEnum):
    """What is known of a rule's group in Entra."""

    UNVERIFIED = "unverified"
    OK = "ok"
    GONE = "gone"
    HIDDEN = "hidden"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a connection needs a look, and what to do. `blocks`: nothing can be read until then."""

    code: str
    reason: str
    next_step: str
    since: datetime
    blocks: bool = False


@dataclass(frozen=True, slots=True)
class HoldLimit:
    """R20: over `count` and over `percent` of the active links, or over `at_most`."""

    count: int = 5
    percent: float = 10
    at_most: int = 50


@dataclass(frozen=True, slots=True)
class Approval:
    """A person saved rules with a preview's numbers confirmed: its leavers may go (R20).

    `sync`: the re-evaluation that it belongs to, once the rules are the live ones.
    """

    preview_id: str
    until: datetime
    sync: SyncId | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """One Entra tenant that is synced. The client secret is in Key Vault, never here."""

    id: ConnectionId
    tenant_domain: str
    application_id: str
    mode: Mode
    created_at: datetime
    email_source: str = "mail"  # "mail" | "upn" (R7)
    match_scope: str = "all"  # "all" | "account" (R6)
    on_leave: str = "deactivate"  # "deactivate" | "keep" (R17)
    hold_limit: HoldLimit = HoldLimit()
    secret_expires_on: str | None = None  # ISO date
    tenant_id: str | None = None  # known from Connect on
    connected_at: datetime | None = None
    first_sync_at: datetime | None = None  # a person asked for the first sync (R5)
    paused: bool = False
    rules_edited_at: datetime | None = None
    compared_edit: datetime | None = None  # the edit by which everybody was last compared
    resumed_at: datetime | None = None
    live_rules: str = ""  # the version of the rule set that decisions use
    approval: Approval | None = None  # of the last edit; any other edit ends it
    troubles: tuple[Trouble, ...] = ()
    etag: str = field(default="", compare=False)

    @property
    def state(self) -> ConnectionState:
        """The state a person sees (R30)."""
        if self.paused:
            return ConnectionState.PAUSED
        if self.troubles:
            return ConnectionState.ATTENTION
        return ConnectionState.CONNECTED if self.connected_at else ConnectionState.DRAFT

    @property
    def may_read(self) -> bool:
        """Whether Entra may be asked at all: connected, not paused, no blocking trouble."""
        return (
            self.connected_at is not None
            and not self.paused
            and not any(trouble.blocks for trouble in self.troubles)
        )

    @property
    def may_write(self) -> bool:
        """Whether BMS may be written for this connection (R5: its first sync was asked for)."""
        return self.may_read and self.first_sync_at is not None


@dataclass(frozen=True, slots=True)
class MappingRule:
    """Group → record type, in order (R1–R4)."""

    id: RuleId
    connection_id: ConnectionId
    group_id: GroupId
    order: int
    record_type: RecordType
    created_at: datetime
    account_id: AccountId | None = None
    location_id: LocationId | None = None
    include_nested: bool = True
    include_guests: bool = False
    blocked_users: str = "leave"  # "leave" | "sync" (R4)
    enabled: bool = True
    employee: Mapping[str, int] = field(default_factory=dict)
    group_name: str = ""
    group_created_at: datetime | None = None
    group_state: GroupState = GroupState.UNVERIFIED
    group_gone_since: datetime | None = None  # the first 404
    group_gone_twice: bool = False  # 404 again an hour later: its people wait in a hold (R20)


@dataclass(frozen=True, slots=True)
class EntraUser:
    """A user object as Entra shows it now. Texts are as given; absent is the empty string."""

    id: UserId
    upn: str = ""
    mail: str = ""
    display_name: str = ""
    given_name: str = ""
    surname: str = ""
    job_title: str = ""
    department: str = ""
    business_phone: str = ""
    mobile_phone: str = ""
    proxy_addresses: tuple[str, ...] = ()
    enabled: bool = True
    guest: bool = False
    manager: UserId | None = None  # read only for those who become employees


@dataclass(frozen=True, slots=True)
class EntraGroup:
    """A group object as Entra shows it now."""

    id: GroupId
    name: str
    created_at: datetime | None
    hidden: bool = False
    kind: str = "security"  # "security" | "microsoft365" | "mail-enabled security" | "distribution"


@dataclass(frozen=True, slots=True)
class Employee:
    """An employee as `searchselect` shows it: all that BMS v2 tells (bms-api.md 7.1)."""

    id: RecordId
    first_name: str
    last_name: str
    email: str
    user_name: str
    job_title: str
    is_active: bool

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.first_name} {self.last_name}".strip()


@dataclass(frozen=True, slots=True)
class EmployeeDefaults:
    """Values for what an employee needs and Entra does not have, and how employees are written.

    `values` is keyed like a rule's overrides: department_id, location_id, manager_id, job_title_id,
    employment_type_id, security_role_id, employee_role_id. `fell_back`: why the API mode ended.
    """

    values: Mapping[str, int] = field(default_factory=dict)
    protected: frozenset[RecordId] = frozenset()
    mode: str = "worklist"  # "worklist" | "api" (R26)
    fell_back: str = ""
    fell_back_at: datetime | None = None
    etag: str = field(default="", compare=False)

    @property
    def by_api(self) -> bool:
        """Whether the app writes employees itself."""
        return self.mode == "api"


@dataclass(frozen=True, slots=True)
class ContactEmail:
    """One e-mail entry of a BMS contact."""

    address: str
    type_id: int
    is_default: bool


@dataclass(frozen=True, slots=True)
class ContactPhone:
    """One phone entry of a BMS contact."""

    number: str
    type_id: int
    is_default: bool


@dataclass(frozen=True, slots=True)
class Contact:
    """A contact as BMS shows it now."""

    id: RecordId
    account_id: AccountId
    location_id: LocationId | None
    first_name: str
    last_name: str
    job_title: str
    is_active: bool
    emails: tuple[ContactEmail, ...] = ()
    phones: tuple[ContactPhone, ...] = ()
    # When somebody last changed it or one of its entries, as BMS writes it, and the id of who did.
    modified_on: str = field(default="", compare=False)
    modified_by: int | None = field(default=None, compare=False)


class LinkState(StrEnum):
    """What became of a user."""

    PENDING = "pending"  # being written for the first time
    ACTIVE = "active"
    INACTIVE = "inactive"  # left, and the record was deactivated
    KEPT = "kept"  # left, and the record stays as it is (R17 "keep")
    SKIPPED = "skipped"  # in a mapped group, but not synced; `reason` says why
    CONFLICT = "conflict"  # waits for a person (R9); no record yet
    FAILED = "failed"  # BMS refused; `reason` says why
    WORKLIST = "worklist"  # an employee whom a person is to type into BMS; no record yet (R26)


class HoldMark(StrEnum):
    """What a hold means for one user (R20). Back in scope, it is gone."""

    NONE = ""
    WAITING = "waiting"
    APPROVED = "approved"
    REFUSED = "refused"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Claim:
    """One worker is writing this user now; nobody else may until `until` (R22).

    `creating` says that the write makes a new record: a worker that finds such a claim expired
    must search BMS before it creates.
    """

    worker: str
    taken_at: datetime
    until: datetime
    creating: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """Remembered: this user is this record, and what we last wrote to it (R8, R12, R13)."""

    connection_id: ConnectionId
    user_id: UserId
    state: LinkState
    record_type: RecordType = RecordType.CONTACT
    record_id: RecordId | None = None
    account_id: AccountId | None = None  # where the record is
    rule_id: RuleId | None = None
    rule_account_id: AccountId | None = None  # the account that the winning rule named
    location_id: LocationId | None = None  # the location last set because a rule named it
    fingerprint: str = ""  # of everything computed from Entra last time; "" when out of scope
    written: Mapping[str, str] = field(default_factory=dict)  # field → value written or equal
    old_record_id: RecordId | None = None  # a move whose old record is still to be deactivated
    old_record_type: RecordType = RecordType.CONTACT
    task: str = ""  # the open item on the worklist: "create:…", "change:…", "deactivate:…" (R26)
    display_name: str = ""
    upn: str = ""
    address: str = ""
    reason: str = ""
    hold: HoldMark = HoldMark.NONE
    in_conflict: bool = False  # a conflict of his waits for a person (R9), record or not
    refused: bool = False  # BMS refused his last change, and a failure says so (R24)
    updated_at: datetime | None = None
    claim: Claim | None = None
    etag: str = field(default="", compare=False)


class Origin(StrEnum):
    """Where a signal came from."""

    NOTIFICATION = "notification"
    SWEEP = "sweep"
    FULL = "full"
    RULES = "rules"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field, old → new, for the activity."""

    field: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Trace:
    """What a decision that wrote leaves behind, so that a person can undo it.

    `before` is the link that it rested on. `left` are the changes at the record that the user left
    by it, where they are not told by `before`.
    """

    before: Link
    record_type: RecordType = RecordType.CONTACT  # of the record that the line is about
    created: bool = False  # it made that record
    added: tuple[str, ...] = ()  # e-mail addresses that the record did not have before
    removed: tuple[str, ...] = ()  # and those that it no longer has
    left: tuple[FieldChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Activity:
    """One line of the log that a technician reads."""

    at: datetime
    connection_id: ConnectionId
    # create, merge, update, move, deactivate, reactivate, keep, skip, conflict, hold, worklist,
    # failure, note, undo
    kind: str
    reason: str
    origin: str
    user_id: UserId | None = None
    display_name: str = ""
    record_id: RecordId | None = None
    rule_id: RuleId | None = None
    changes: tuple[FieldChange, ...] = ()
    notes: tuple[str, ...] = ()
    signal_at: datetime | None = None
    signal_is_upper_bound: bool = False
    correlation_id: str = ""  # of the trace from the signal to the write
    sync_id: SyncId | None = None  # the sync that it belongs to
    trace: Trace | None = None  # where it wrote to BMS
    undone_by: str = ""  # the sync of kind "undo" that took it back
    id: str = ""

    @property
    def seconds(self) -> float | None:
        """Seconds from the first signal to the write."""
        if self.signal_at is None:
            return None
        return max(0.0, (self.at - self.signal_at).total_seconds())


@dataclass(frozen=True, slots=True)
class SyncRun:
    """A full sync (or one caused by rules) with its progress."""

    id: SyncId
    connection_id: ConnectionId
    kind: str  # "full" | "rules" | "sweep" | "undo"
    state: str  # queued | running | waiting | done | failed
    requested_at: datetime
    reason: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    seen: int = 0
    done: int = 0
    failed: int = 0
    waiting_for_budget: int = 0
    expected_finish: datetime | None = None
    all_read: bool = False  # what is left is in the queues
    undoes: str = ""  # of an undo: the id of the sync, or of the line of the activity

    @property
    def wants_reading(self) -> bool:
        """Whether an order for this run still has something to do."""
        return self.state in GOING_ON and not self.all_read


GOING_ON = frozenset({"queued", "running", "waiting"})
_LOST = timedelta(hours=1)  # whoever ordered it may have died before it was in the queue
_GIVEN_UP = timedelta(days=2)  # a run of which nothing was heard for so long has died


def goes_on(run: SyncRun, now: datetime) -> bool:
    """Whether a run is still under way."""
    if run.state == "queued":
        return now - run.requested_at < _LOST
    return run.state in GOING_ON and now - (run.started_at or run.requested_at) < _GIVEN_UP


@dataclass(frozen=True, slots=True)
class Subscription:
    """A Graph change-notification subscription of ours (R31). Its clientState is in Key Vault."""

    connection_id: ConnectionId
    resource: str  # "users" | "groups"
    id: str
    expires_at: datetime
    extended_at: datetime


@dataclass(frozen=True, slots=True)
class Cursors:
    """Where the delta queries of a connection go on. Both links hold opaque tokens of Graph."""

    connection_id: ConnectionId
    users_link: str = ""
    groups_link: str = ""
    tracked_groups: frozenset[GroupId] = frozenset()  # mapped groups and everything nested in them
    swept_at: datetime | None = None
    etag: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class BmsSettings:
    """How BMS is reached. The password is in Key Vault."""

    api_url: str = "https://api.bms.kaseya.com"
    gateway_url: str = "https://bms.kaseya.com"
    tenant: str = ""
    user_name: str = ""
    hourly_limit: int = 1500  # calls per window of each v2 endpoint (R25)
    hourly_limit_v1: int = 500  # the same of routes without /v2/
    limit_window_seconds: int = 3600
    fresh_share: float = 0.2
    email_type_id: int | None = None
    work_phone_type_id: int | None = None
    mobile_phone_type_id: int | None = None
    version: str = ""  # changes with every save, so that running workers notice


@dataclass(frozen=True, slots=True)
class ContactTypes:
    """Type ids for what we write; None = not known, so not written."""

    email: int | None = None
    work_phone: int | None = None
    mobile_phone: int | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """A BMS account with its locations."""

    id: AccountId
    name: str
    is_active: bool
    locations: tuple[Location, ...] = ()


@dataclass(frozen=True, slots=True)
class Location:
    """A location of one account."""

    id: LocationId
    name: str
    is_main: bool
    is_active: bool = True
