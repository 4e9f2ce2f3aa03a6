"""Which user a technician means: by object id, UPN, any address, or a name that only one has."""

from __future__ import annotations

import re
from dataclasses import dataclass

from shared.core.matching import key
from shared.core.model import Connection, Link, UserId
from shared.errors import BadInput, SyncError
from shared.ports import Directories, Links

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class WhoIsMeant:
    """Finds the user in Entra and among the links."""

    directories: Directories
    links: Links

    def find(self, connection: Connection, text: str) -> UserId:
        """The user's object id; BadInput 404 for nobody, 409 for several.

        An object id costs nothing here. Anything else costs one batch to Graph, where the tenant
        may be read, and a look through the links, which remember whom Entra has forgotten.
        """
        wanted = text.strip()
        if _GUID.fullmatch(wanted.lower()):
            return UserId(wanted.lower())
        if not wanted:
            raise BadInput(404, "No user is named: give an object id, a UPN or an address.")
        found = {*self._in_entra(connection, wanted), *self._linked(connection, wanted)}
        if not found:
            raise BadInput(
                404,
                "Neither Entra nor the links know such a user: check the id, the UPN, the address "
                "or the whole display name.",
            )
        if len(found) > 1:
            raise BadInput(
                409,
                f"{len(found)} people of this tenant have this name or address: use the object id "
                "instead.",
                field="user",
            )
        return found.pop()

    def _in_entra(self, connection: Connection, wanted: str) -> set[UserId]:
        if not connection.may_read:
            return set()
        try:
            return {user.id for user in self.directories.open(connection).users_named(wanted)}
        except SyncError:
            return set()  # the explanation says that Entra cannot be asked

    def _linked(self, connection: Connection, wanted: str) -> set[UserId]:
        found: set[UserId] = set()
        cursor: str | None = None
        while True:
            links, cursor = self.links.page(
                connection.id, state=None, text=wanted, limit=_PAGE, cursor=cursor
            )
            found.update(link.user_id for link in links if _is_named(link, wanted))
            if cursor is None:
                return found


def _is_named(link: Link, wanted: str) -> bool:
    sought = key(wanted)
    return sought in (key(link.upn), key(link.address)) or (
        link.display_name.strip().casefold() == wanted.casefold()
    )
