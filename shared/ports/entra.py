"""One Entra tenant: its users and groups, its subscriptions, and the sign-in to it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from shared.core.model import (
    Connection,
    ConnectionId,
    EntraGroup,
    EntraUser,
    GroupId,
    UserId,
)
from shared.errors import DecideAgain, SyncError


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
class Nesting:
    """The groups that hold a user, and which of them holds which.

    `parents` names the groups that hold a group directly; it is `complete` unless there were more
    groups than are asked for.
    """

    direct: frozenset[GroupId] = frozenset()
    names: Mapping[GroupId, str] = field(default_factory=dict)
    parents: Mapping[GroupId, frozenset[GroupId]] = field(default_factory=dict)
    complete: bool = True


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

    def users_named(self, text: str) -> list[EntraUser]:
        """Users whose UPN, address (aliases too) or display name is exactly this; by one batch."""

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

    def nesting(self, user: UserId, tops: Collection[GroupId]) -> Nesting:
        """How these groups hold the user: two requests, one where each holds him directly.

        Three at most, and more only for a person whose memberships are longer than a page.
        """

    def refused_reads(self) -> dict[str, SyncError]:
        """What may not be read, by the permission that would allow it; empty when all may.

        One batch that reads one row each; trouble with the whole is raised.
        """

    def managers(self, users: Sequence[UserId]) -> dict[UserId, UserId | SyncError | None]:
        """Who manages each of them now, by JSON batches; None: nobody does."""

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
