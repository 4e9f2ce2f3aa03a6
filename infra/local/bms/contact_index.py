"""Which contacts belong to an account and are active, without walking over all of them.

A full sync lists each account twice, page by page. With 100,000 contacts a walk per page would
cost more than everything else, so membership is kept in four groups per contact (account or
all, state or both), and each group keeps its order as a list until the membership changes.
"""

from __future__ import annotations

from infra.local.bms.records import Contact

GroupKey = tuple[int | None, bool | None]


class _Group:
    __slots__ = ("_listed", "_members")

    def __init__(self) -> None:
        self._members: dict[int, None] = {}
        self._listed: list[int] | None = None

    def add(self, contact_id: int) -> None:
        if contact_id in self._members:
            return
        self._members[contact_id] = None
        # New contacts come at the end, so a list at hand stays right.
        if self._listed is not None:
            self._listed.append(contact_id)

    def drop(self, contact_id: int) -> None:
        if self._members.pop(contact_id, self) is None:
            self._listed = None

    def listed(self) -> list[int]:
        if self._listed is None:
            self._listed = list(self._members)
        return self._listed


class ContactIndex:
    """Contact ids by account and active state, in the order in which they came."""

    def __init__(self) -> None:
        self._groups: dict[GroupKey, _Group] = {}

    def add(self, contact: Contact) -> None:
        """File a contact under its account and state."""
        for key in _keys(contact.account_id, contact.is_active):
            self._groups.setdefault(key, _Group()).add(contact.id)

    def drop(self, contact: Contact) -> None:
        """Take a contact out, filed as it is now."""
        for key in _keys(contact.account_id, contact.is_active):
            self._groups[key].drop(contact.id)

    def move(self, contact: Contact, account_id: int, is_active: bool) -> None:
        """Refile a contact whose account or state is about to change."""
        before = set(_keys(contact.account_id, contact.is_active))
        after = set(_keys(account_id, is_active))
        for key in before - after:
            self._groups[key].drop(contact.id)
        for key in after - before:
            self._groups.setdefault(key, _Group()).add(contact.id)

    def ids(self, account_id: int | None, is_active: bool | None) -> list[int]:
        """Return the ids of an account (None: all) in a state (None: both); do not change it."""
        group = self._groups.get((account_id, is_active))
        return group.listed() if group else []


def _keys(account_id: int, is_active: bool) -> tuple[GroupKey, ...]:
    return (account_id, is_active), (account_id, None), (None, is_active), (None, None)
