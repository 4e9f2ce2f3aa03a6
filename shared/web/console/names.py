"""Names for ids: what a page shows instead of the number of an account or the id of a connection.

A page never fails for want of a name: where BMS cannot be asked, it shows the ids and says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from shared.web.api.bms import ChoiceList
from shared.web.api.connections import ConnectionList, ConnectionShown
from shared.web.console.inside import Inside, Refused

_A_PAGE = 1000
_MOST_ACCOUNTS = 20_000


@dataclass(frozen=True, slots=True)
class Names:
    """The accounts' names; `missing` says why there are none."""

    accounts: Mapping[int, str] = field(default_factory=dict)
    missing: str = ""

    def account(self, account_id: int | None) -> str:
        """The account's name, else its number."""
        if account_id is None:
            return ""
        return self.accounts.get(account_id) or f"account {account_id}"


def account_names(api: Inside) -> Names:
    """The names of BMS's accounts, as far as BMS can be asked."""
    found: dict[int, str] = {}
    cursor: str | None = None
    try:
        while len(found) < _MOST_ACCOUNTS:
            page = api.get(ChoiceList, "/api/bms/accounts", limit=_A_PAGE, cursor=cursor)
            found.update((each.id, each.name) for each in page.items)
            cursor = page.next_cursor
            if cursor is None:
                break
    except Refused as refused:
        return Names(found, refused.sentence)
    return Names(found)


def all_connections(api: Inside) -> list[ConnectionShown]:
    """Every connection, by domain name."""
    found: list[ConnectionShown] = []
    cursor: str | None = None
    while True:
        page = api.get(ConnectionList, "/api/connections", limit=_A_PAGE, cursor=cursor)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return sorted(found, key=lambda each: each.tenant_domain)


def connection_options(connections: Iterable[ConnectionShown]) -> list[tuple[str, str]]:
    """The choices of a filter by connection."""
    return [("", "All connections"), *((each.id, each.tenant_domain) for each in connections)]
