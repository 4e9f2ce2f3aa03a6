"""One tenant's people and groups for the forms, and the sync of one person by hand."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

from shared.core.messages import UserDelta, encode_user_delta
from shared.core.model import (
    Connection,
    EntraGroup,
    EntraUser,
    Link,
    Origin,
    UserId,
)
from shared.errors import BadInput, DecideAgain, TryLater
from shared.ports import FRESH, Connections, Directories, Links, Now, Queues
from shared.sync.connections import existing
from shared.sync.group_check import group_refusal
from shared.sync.order_sync import must_be_readable
from shared.sync.work import Told

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LINKS_AT_ONCE = 100


class SyncOne(Protocol):
    """Looks at one user now, decides and writes; SyncError when it cannot be done at present."""

    def __call__(self, connection: Connection, user_id: UserId, /) -> Told: ...


@dataclass(frozen=True, slots=True)
class FoundUser:
    """A user of the tenant, and his link when there is one."""

    user: EntraUser
    link: Link | None


@dataclass(frozen=True, slots=True)
class FoundGroup:
    """A group of the tenant; `refusal` says why it cannot stand in a rule."""

    group: EntraGroup
    refusal: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the sync of one user. `queued`: it is tried again by itself."""

    user_id: UserId
    told: Told | None
    reason: str
    queued: bool = False


@dataclass(frozen=True, slots=True)
class Users:
    """Searches, and one user now."""

    connections: Connections
    directories: Directories
    links: Links
    queues: Queues
    now: Now
    sync_one: SyncOne

    def search(
        self, connection_id: str, text: str, limit: int, *, skip: int = 0
    ) -> list[FoundUser]:
        """Users of the tenant by name, address, UPN or id, linked or not; Graph shows 999."""
        connection = self._readable(connection_id)
        users = self.directories.open(connection).search_users(text.strip(), skip + limit)[skip:]
        links = self.links.get_many(connection.id, [user.id for user in users])
        return [FoundUser(user, links.get(user.id)) for user in users]

    def search_groups(
        self, connection_id: str, text: str, limit: int, *, skip: int = 0
    ) -> list[FoundGroup]:
        """Groups of the tenant by name or id; Graph shows 999."""
        connection = self._readable(connection_id)
        groups = self.directories.open(connection).search_groups(text.strip(), skip + limit)[skip:]
        found = []
        for group in groups:
            refusal = group_refusal(group.id, group)
            found.append(FoundGroup(group, refusal.sentence if refusal else None))
        return found

    def sync(self, connection_id: str, id_or_upn: str) -> Outcome:
        """This one user now; queued when something passing is in the way."""
        connection = self._readable(connection_id)
        if not connection.may_write:
            raise BadInput(
                409,
                "Nothing is written to BMS for this connection before its first sync is asked "
                "for: start a full sync first.",
            )
        user_id = self._user_id(connection, id_or_upn.strip())
        try:
            told = self.sync_one(connection, user_id)
        except (TryLater, DecideAgain) as error:
            delta = UserDelta(connection.id, (user_id,), Origin.PERSON, signal_at=self.now())
            self.queues.send(
                FRESH,
                encode_user_delta(delta),
                error.after if isinstance(error, TryLater) else None,
            )
            return Outcome(user_id, None, f"{error.sentence} It is tried again.", queued=True)
        return Outcome(user_id, told, told.reason)

    def _readable(self, connection_id: str) -> Connection:
        connection = existing(self.connections, connection_id)
        must_be_readable(connection)
        return connection

    def _user_id(self, connection: Connection, id_or_upn: str) -> UserId:
        """The object id; of a user who is gone from Entra as long as a link remembers him."""
        if _GUID.fullmatch(id_or_upn.lower()):
            user_id = UserId(id_or_upn.lower())
            if self.links.get(connection.id, user_id) is not None:
                return user_id
        user = self.directories.open(connection).find_user(id_or_upn)
        if user is not None:
            return user.id
        cursor: str | None = None
        while not _GUID.fullmatch(id_or_upn.lower()):
            links, cursor = self.links.page(
                connection.id, state=None, text=id_or_upn, limit=_LINKS_AT_ONCE, cursor=cursor
            )
            for link in links:
                if link.upn.casefold() == id_or_upn.casefold():
                    return link.user_id
            if cursor is None:
                break
        raise BadInput(
            404, "There is no such user in this tenant: check the id or the UPN.", field="user"
        )
