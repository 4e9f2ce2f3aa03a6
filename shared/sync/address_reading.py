"""Keep the address index as new as the work that rests on it (R6).

Reading BMS's lists costs one call per hundred records, so it is done once for everybody who needs
it: whoever comes while another worker reads waits in the queue.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.core.matching import key
from shared.core.model import Contact
from shared.errors import TryLater
from shared.ports import AddressIndex, Bms, Known, Now

_LEASE = timedelta(minutes=10)
_WAIT = timedelta(seconds=3)


@dataclass(frozen=True, slots=True)
class ReadAddresses:
    """Reads BMS's contact lists in full into the address index."""

    index: AddressIndex
    bms: Bms
    now: Now

    def since(self, moment: datetime | None) -> None:
        """Make sure that a complete reading began at `moment` or later (None: at any time).

        Raises TryLater, which does not count as a failed try, while somebody else is reading.
        """
        read_at = self.index.read_at()
        if read_at is not None and (moment is None or read_at >= moment):
            return
        began = self.now()
        if not self.index.begin_reading(began, _LEASE):
            raise TryLater("BMS's contact lists are being read just now.", _WAIT, counts=False)
        try:
            entries = self._read()
        except BaseException:
            self.index.abandon_reading()
            raise
        self.index.finish_reading(began, entries, self.now())

    def _read(self) -> dict[str, tuple[Known, ...]]:
        found: defaultdict[str, dict[int, Known]] = defaultdict(dict)
        for active in (True, False):
            for page in self.bms.contacts(active=active):
                for contact in page:
                    known = known_of(contact)
                    for address in known_addresses(contact):
                        found[address][known.record_id] = known
        return {
            address: tuple(sorted(known.values(), key=lambda one: one.record_id))
            for address, known in found.items()
        }


def known_of(contact: Contact) -> Known:
    """What the index holds for one contact."""
    return Known(contact.id, contact.account_id, contact.is_active)


def known_addresses(contact: Contact) -> list[str]:
    """Under which keys: every one of its addresses counts (R6)."""
    return list(dict.fromkeys(key(one.address) for one in contact.emails if key(one.address)))
