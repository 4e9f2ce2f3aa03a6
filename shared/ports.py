"""What the use cases need from the outside, as protocols that the adapters fulfil.

Every method raises only the error types of `shared.errors`; `find_`/`get` may answer None where the
docstring says so. Adapters are safe to share between threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from shared.core.model import (
    Account,
    AccountId,
    Activity,
    BmsSettings,
    Connection,
    ConnectionId,
    Contact,
    ContactTypes,
    Cursors,
    EntraGroup,
    EntraUser,
    GroupId,
    Link,
    MappingRule,
    RecordId,
    RecordType,
    RuleId,
    Subscription,
    SyncId,
    SyncRun,
    UserId,
)
from shared.errors import DecideAgain, SyncError

Now = Callable[[], datetime]
NewId = Callable[[], str]


# --- Entra -----------------------------------------------------------------------------------


class CursorDead(DecideAgain):
    """Graph no longer takes this delta link: a full round has to follow (R23, graph.md 3.8)."""


@dataclass(frozen=True, slots=True)
class Look:
    """A direct look at one user (R22): the object now, and which of the asked groups hold him.

    `user` is None when Entra has no such user (404). `direct` is filled only when asked for.
    """

    user: EntraUser | None
    member_of: frozenset[GroupId] = frozenset()
    direct: frozenset[GroupId] = frozenset()


@dataclass(frozen=True, slots=True)
class MemberChange:
    """One entry of `members@delta`. `is_group` is None when Graph did not say what it is."""

    id: str
    is_group: bool | None
    removed: bool


@dataclass(frozen=True, slots=True)
class DeltaItem:
    """One item of a delta page: only what is needed as a hint, never a state to decide from."""

    id: str
    removed: bool = False
    members: tuple[MemberChange, ...] = ()


@dataclass(frozen=True, slots=True)
class DeltaPage:
    """One page of a delta round; `cursor` is set on the last page only: the link to keep."""

    items: tuple[DeltaItem, ...]
    cursor: str | None = None


class Directory(Protocol):
    """One Entra tenant, read with the token of one connection."""

    def organization_id(self) -> str:
        """The tenant's id, from GET /organization (R28)."""

    def find_user(self, id_or_upn: str) -> EntraUser | None: ...

    def search_users(self, text: str, limit: int) -> list[EntraUser]: ...

    def search_groups(self, text: str, limit: int) -> list[EntraGroup]: ...

    def groups(self, ids: Sequence[GroupId]) -> dict[GroupId, EntraGroup | SyncError | None]:
        """The groups as they are now, by JSON batch; None = 404; an error only for that group."""

    def look(
        self, users: Sequence[UserId], groups: Sequence[GroupId], *, direct: bool
    ) -> dict[UserId, Look | SyncError]:
        """Look at each user directly (GET user + checkMemberGroups [+ memberOf]), by JSON batches.

        Trouble with one user is that user's value; trouble with the whole is raised.
        """

    def members(self, group: GroupId, *, nested: bool) -> Iterator[list[EntraUser]]:
        """All users of a group, page by page, with every field that is mapped.

        A page that is missing half way raises; the iterator never just ends early.
        """

    def nested_groups(self, group: GroupId) -> set[GroupId]:
        """Every group below this one, however deep."""

    def start_cursor(self, resource: str) -> str:
        """A delta link "from now on" for "users" or "groups" (mapped fields, members tracked)."""

    def delta(self, link: str) -> Iterator[DeltaPage]:
        """One delta round from a stored link; raises CursorDead when a full round is needed."""

    def create_subscription(
        self, resource: str, *, notify: str, lifecycle: str, client_state: str, expires: datetime
    ) -> tuple[str, datetime]:
        """Subscription id and expiry. On 409 the old one of ours is removed and it is made anew."""

    def extend_subscription(self, subscription_id: str, expires: datetime) -> datetime | None:
        """New expiry, or None when Graph no longer knows the subscription."""

    def subscription_exists(self, subscription_id: str) -> bool: ...

    def delete_subscription(self, subscription_id: str) -> None:
        """Gone already is fine."""


class Directories(Protocol):
    """Opens the directory of a connection."""

    def open(self, connection: Connection) -> Directory: ...


@dataclass(frozen=True, slots=True)
class SignInStart:
    """Where to send the browser, and what to bind it with.

    `cookie` goes to the browser only; of it and of `state` the tables hold hashes. It carries the
    PKCE verifier and the nonce, so that neither is stored on our side.
    """

    authorize_url: str
    state: str
    cookie: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The outcome of a connect: the tenant that really signed in, and as whom (id only)."""

    tenant_id: str
    user_id: str = ""


class SignIn(Protocol):
    """Microsoft sign-in through MSAL; tokens live in Key Vault."""

    def tenant_id_of(self, domain: str) -> str:
        """The tenant GUID behind a domain name; PersonMustAct when there is no such tenant."""

    def begin(self, connection: Connection) -> SignInStart: ...

    def finish(self, connection: Connection, *, cookie: str, query: Mapping[str, str]) -> SignedIn:
        """Redeem the callback (code + PKCE, or admin consent); the tokens go to the vault.

        The returned tenant is proven: by the ID token's tid, or by GET /organization.
        """

    def token(self, connection: Connection, *, fresh: bool = False) -> str:
        """An access token for Graph. `fresh` forces a new one (R31). PersonMustAct when refused."""

    def forget(self, connection_id: ConnectionId) -> None:
        """Drop cached tokens in this process (after a changed secret or a deletion)."""


class Vault(Protocol):
    """Key Vault secrets (R29). Values are cached for minutes."""

    def get(self, name: str, *, fresh: bool = False) -> str | None:
        """The value, None when there is no such secret. `fresh` passes the cache by."""

    def put(self, name: str, value: str) -> None: ...

    def delete(self, name: str) -> None:
        """Gone already is fine."""


def application_key(connection_id: ConnectionId) -> str:
    """Name of the secret that holds a connection's client secret."""
    return f"connection-{connection_id}-application-key"


def token_cache(connection_id: ConnectionId) -> str:
    """Name of the secret that holds MSAL's token cache."""
    return f"connection-{connection_id}-token-cache"


def client_state(connection_id: ConnectionId) -> str:
    """Name of the secret that Graph sends back with each notification."""
    return f"connection-{connection_id}-client-state"


BMS_PASSWORD = "bms-password"  # noqa: S105 - the name of a secret, not a secret


# --- BMS -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NewContact:
    """What POST /v2/crm/contacts/summary takes; the job title and the rest follow by PATCH."""

    first_name: str
    last_name: str
    account_id: AccountId
    location_id: int
    email: str
    email_type_id: int
    work_phone: str = ""
    work_phone_type_id: int | None = None
    mobile_phone: str = ""
    mobile_phone_type_id: int | None = None


@dataclass(frozen=True, slots=True)
class EntryChange:
    """One operation on a contact's e-mails or phones: "add", "update" (old → new), "remove"."""

    operation: str
    value: str
    new_value: str = ""
    type_id: int | None = None
    is_default: bool | None = None


class Bms(Protocol):
    """BMS v2. No method deletes."""

    def check_sign_in(self, settings: BmsSettings, password: str) -> None:
        """Sign in with these; PersonMustAct with BMS's own words when refused."""

    def accounts(self) -> list[Account]:
        """All accounts with locations (cached for minutes)."""

    def account(self, account_id: AccountId, *, fresh: bool = False) -> Account | None:
        """One account with its locations. `fresh`: not from a list that is older than seconds."""

    def lookup(self, kind: str, *, account_id: AccountId | None = None) -> list[tuple[int, str]]:
        """A look-up table for the forms (cached); `kind` as in the admin API."""

    def contact_types(self) -> ContactTypes:
        """Type ids: from the settings, else learnt from contacts, else from the look-up tables."""

    def contacts(self, *, active: bool) -> Iterator[list[Contact]]:
        """All contacts, 100 a page."""

    def contact(self, record_id: RecordId) -> Contact | None: ...

    def find_contacts(self, address: str) -> list[Contact]:
        """Contacts that carry exactly this address, both states. May leave some out (R6)."""

    def create_contact(self, contact: NewContact) -> RecordId:
        """Uncertain when no answer came; Rejected with BMS's words when refused."""

    def patch_contact(self, record_id: RecordId, fields: Mapping[str, object]) -> None:
        """JSON Patch; checks that the reply shows what was sent. DecideAgain on 404."""

    def change_emails(self, record_id: RecordId, changes: Sequence[EntryChange]) -> None: ...

    def change_phones(self, record_id: RecordId, changes: Sequence[EntryChange]) -> None: ...


# --- Memory ----------------------------------------------------------------------------------


class Connections(Protocol):
    """Connections, and what hangs on them one to one."""

    def get(self, connection_id: ConnectionId) -> Connection | None: ...

    def list(self) -> list[Connection]: ...

    def add(self, connection: Connection) -> None: ...

    def update(
        self, connection_id: ConnectionId, change: Callable[[Connection], Connection]
    ) -> Connection | None:
        """Read, change, write back; repeated when somebody else wrote meanwhile. None = gone."""

    def delete(self, connection_id: ConnectionId) -> None:
        """The connection with its rules, links, cursors, subscriptions and sign-ins."""


class Rules(Protocol):
    """The rule set as edited, and the live one that decisions use (R5)."""

    def edited(self, connection_id: ConnectionId | None = None) -> list[MappingRule]: ...

    def get(self, rule_id: RuleId) -> MappingRule | None: ...

    def put(self, rule: MappingRule) -> None: ...

    def remove(self, rule: MappingRule) -> None: ...

    def replace(self, connection_id: ConnectionId, rules: Sequence[MappingRule]) -> None:
        """The whole edited set at once."""

    def live(self, connection_id: ConnectionId) -> list[MappingRule]: ...

    def make_live(self, connection_id: ConnectionId, rules: Sequence[MappingRule]) -> None: ...


class Links(Protocol):
    """Links, one partition per connection."""

    def get(self, connection_id: ConnectionId, user_id: UserId) -> Link | None: ...

    def get_many(
        self, connection_id: ConnectionId, user_ids: Sequence[UserId]
    ) -> dict[UserId, Link]: ...

    def all(self, connection_id: ConnectionId) -> Iterator[list[Link]]:
        """Every link of the connection, page by page, with what a comparison needs.

        Names, addresses, written values and claims are left out.
        """

    def count_active(self, connection_id: ConnectionId) -> int: ...

    def save(self, links: Sequence[Link]) -> dict[UserId, Link]:
        """Write links of one connection, each only if nobody wrote it since it was read.

        The etag "" means: must not exist yet. Answers those written, with their new etags; whoever
        is missing from the answer was changed meanwhile and has to be decided again.
        """

    def remove(self, links: Sequence[Link]) -> None: ...

    def page(
        self,
        connection_id: ConnectionId,
        *,
        state: str | None,
        text: str | None,
        limit: int,
        cursor: str | None,
    ) -> tuple[list[Link], str | None]:
        """Links ordered by user id, with the next page's cursor; BadInput for a foreign cursor.

        `text` is looked for, ignoring case, in user id, UPN, display name, address and record id.
        """


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose record this is."""

    connection_id: ConnectionId
    user_id: UserId
    etag: str = field(default="", compare=False)


class Owners(Protocol):
    """Record → user, over all connections: two users never hold one record (R9)."""

    def get_many(
        self, record_type: RecordType, record_ids: Iterable[RecordId]
    ) -> dict[RecordId, Owner]: ...

    def take(
        self, record_type: RecordType, record_id: RecordId, owner: Owner, *, over: Owner | None
    ) -> bool:
        """Become the owner: of a free record (`over` None), or over a stated former owner.

        False when somebody else was quicker. Taking what one has already is True.
        """

    def take_new(self, record_type: RecordType, taken: Sequence[tuple[RecordId, Owner]]) -> None:
        """Become the owner of records that were created just now."""

    def release(self, record_type: RecordType, record_id: RecordId, owner: Owner) -> None:
        """Give up a record; nothing happens when it is somebody else's by now."""


@dataclass(frozen=True, slots=True)
class Known:
    """A record that carries an address, as the index knows it."""

    record_id: RecordId
    account_id: AccountId
    is_active: bool


@dataclass(frozen=True, slots=True)
class AddressEntry:
    """What the index holds for one address. `creating_for` locks the address while one is made."""

    address: str
    known: tuple[Known, ...] = ()
    creating_for: UserId | None = None
    creating_until: datetime | None = None
    etag: str = field(default="", compare=False)


class AddressIndex(Protocol):
    """Address → records, read from BMS's lists in full and kept in the tables (R6)."""

    def read_at(self) -> datetime | None:
        """When the last complete reading of BMS's lists began."""

    def begin_reading(self, now: datetime, lease: timedelta) -> bool:
        """Become the only one that reads BMS's lists now; False while somebody else does."""

    def finish_reading(
        self, began: datetime, entries: Mapping[str, tuple[Known, ...]], now: datetime
    ) -> None:
        """Take over a complete reading; what was written here since `began` stays."""

    def abandon_reading(self) -> None: ...

    def get_many(self, addresses: Iterable[str]) -> dict[str, AddressEntry]:
        """The entries now; an address without one is missing. Addresses are normalised keys."""

    def cached(self, addresses: Iterable[str]) -> dict[str, AddressEntry]:
        """The same for bulk work, from this process's copy of the whole index."""

    def change(self, entries: Sequence[AddressEntry]) -> dict[str, AddressEntry]:
        """Write entries, each only if unchanged since read (etag "" = must not exist).

        Answers those written, with new etags.
        """

    def put(self, entries: Sequence[AddressEntry]) -> None:
        """Write entries as they are: for the lock's holder only."""


class ActivityLog(Protocol):
    def add(self, items: Sequence[Activity]) -> None: ...

    def list(
        self,
        *,
        connection_id: ConnectionId | None = None,
        user_id: UserId | None = None,
        kind: str | None = None,
        since: datetime | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> tuple[list[Activity], str | None]:
        """Newest first, with the next page's cursor. BadInput for a cursor that is not ours."""


@dataclass(frozen=True, slots=True)
class Part:
    """What became of one message of a run. Written once per part, so a repeat changes nothing."""

    sync_id: SyncId
    part: str
    done: int
    failed: int
    finished_at: datetime
    waiting_for_budget: int = 0
    finished: bool = True


class Runs(Protocol):
    """Full syncs and their progress."""

    def add(self, run: SyncRun) -> None: ...

    def get(self, sync_id: SyncId) -> SyncRun | None:
        """With the progress of its parts counted in."""

    def list(
        self,
        *,
        connection_id: ConnectionId | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> tuple[list[SyncRun], str | None]: ...

    def started(self, sync_id: SyncId, at: datetime, attempt: str) -> None:
        """Running. Only parts whose name begins with this attempt count from here on."""

    def seen(self, sync_id: SyncId, seen: int) -> None:
        """So many users were read so far."""

    def all_read(self, sync_id: SyncId, *, seen: int, unchanged: int, parts: int) -> None:
        """The reading is complete: so many users seen, so many parts queued."""

    def failed(self, sync_id: SyncId, at: datetime, reason: str) -> None: ...

    def part(self, part: Part) -> None: ...


class SweepState(Protocol):
    """Cursors and subscriptions of a connection."""

    def cursors(self, connection_id: ConnectionId) -> Cursors | None: ...

    def last_sweeps(self) -> dict[ConnectionId, datetime]:
        """When each connection's last successful sweep began."""

    def save_cursors(self, cursors: Cursors) -> bool:
        """False when somebody else saved meanwhile (etag)."""

    def subscriptions(self, connection_id: ConnectionId) -> list[Subscription]: ...

    def save_subscription(self, subscription: Subscription) -> None: ...

    def remove_subscription(self, connection_id: ConnectionId, resource: str) -> None: ...


@dataclass(frozen=True, slots=True)
class PendingSignIn:
    """A sign-in that waits for its callback; only hashes of the state and the cookie are kept."""

    state_hash: str
    cookie_hash: str
    connection_id: ConnectionId
    expires_at: datetime


class PendingSignIns(Protocol):
    def add(self, pending: PendingSignIn) -> None: ...

    def take(self, state_hash: str) -> PendingSignIn | None:
        """Remove and answer: a state works once, whoever comes first."""


class BmsSettingsStore(Protocol):
    def get(self) -> BmsSettings | None: ...

    def put(self, settings: BmsSettings) -> None: ...


@dataclass(frozen=True, slots=True)
class Window:
    """Deactivations of a connection in the moving day (R20)."""

    taken: Mapping[UserId, datetime] = field(default_factory=dict)
    base: int | None = None  # active links when the window began; None = not counted yet
    etag: str = field(default="", compare=False)


class Windows(Protocol):
    def get(self, connection_id: ConnectionId) -> Window | None: ...

    def save(self, connection_id: ConnectionId, window: Window) -> bool:
        """False when somebody else saved meanwhile (etag; "" = there was none)."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """A person must choose (R9)."""

    connection_id: ConnectionId
    user_id: UserId
    record_ids: tuple[RecordId, ...]
    reason: str
    found_at: datetime


class Conflicts(Protocol):
    def put(self, conflict: Conflict) -> None: ...

    def remove(self, connection_id: ConnectionId, user_id: UserId) -> None: ...

    def list(self, connection_id: ConnectionId | None = None) -> list[Conflict]: ...


@dataclass(frozen=True, slots=True)
class Failure:
    """Work that cannot succeed by itself; a person can replay it."""

    id: str
    connection_id: ConnectionId
    at: datetime
    cause: str
    sentence: str
    next_step: str
    message: str  # the queue message, to be replayed
    queue: str


class Failures(Protocol):
    def add(self, failure: Failure) -> None: ...

    def count(self) -> int: ...

    def list(self) -> list[Failure]:
        """Newest first."""


# --- Work ------------------------------------------------------------------------------------


class Queues(Protocol):
    """Storage queues. Text is JSON; the adapter encodes it as host.json says."""

    def send(self, queue: str, text: str, delay: timedelta | None = None) -> None: ...

    def backlog(self) -> dict[str, int]:
        """Approximate number of waiting messages by queue, poison queues included."""


SWEEPS = "sweeps"
FRESH = "user-deltas"
BULK = "user-deltas-bulk"
LEAVERS = "user-deltas-leavers"
QUEUES = (SWEEPS, FRESH, BULK, LEAVERS)
