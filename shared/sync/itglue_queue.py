"""What was written to BMS is queued for IT Glue, if that is on (R27).

It is queued before the claim on the user is cleared. A worker that dies in between has left its
claim, so the job is done again and queued again; nothing is ever written on a link for it, and when
IT Glue is off nothing happens at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.core.itglue_messages import PassItem, PassOn, encode_pass_on, pack_items
from shared.core.model import ConnectionId, Link, RecordId, RecordType
from shared.ports import ITGLUE, ItGlueSettingsStore, Now, Queues

_KNOWN_FOR = timedelta(seconds=10)
_WRITTEN_BY_THEN = timedelta(seconds=1)  # the link is saved right after this was sent


@dataclass
class QueueForItGlue:
    """The entrance to IT Glue's queue."""

    settings: ItGlueSettingsStore
    queues: Queues
    now: Now
    _known: tuple[datetime, bool] | None = field(default=None, init=False)

    def is_on(self) -> bool:
        """Whether writes are passed on; asked every ten seconds."""
        known, now = self._known, self.now()
        if known is None or not timedelta() <= now - known[0] < _KNOWN_FOR:
            settings = self.settings.get()
            known = self._known = (now, settings is not None and settings.enabled)
        return known[1]

    def forget(self) -> None:
        """The settings were saved."""
        self._known = None

    def send(
        self,
        connection_id: ConnectionId,
        items: Iterable[PassItem],
        *,
        bulk: bool = False,
        asked: bool = False,
    ) -> None:
        """Queue these records, if IT Glue is on."""
        if not self.is_on():
            return
        message = PassOn(connection_id, bulk=bulk, asked=asked)
        for one in pack_items(message, items):
            self.queues.send(ITGLUE, encode_pass_on(one), _WRITTEN_BY_THEN)


def written_records(before: Link, after: Link) -> Iterator[PassItem]:
    """The contacts of one user that a finished job may have written: his, and what he left.

    Employees are never passed on, and their ids overlap with those of contacts.
    """
    user = after.user_id
    was, now = _contact(before), _contact(after)
    old = before.old_record_id if before.old_record_type is RecordType.CONTACT else None
    if old is not None and after.old_record_id is None:
        yield PassItem(old, user)
    if was is not None and was != now:
        yield PassItem(was, user, before.account_id)
    if now is not None:
        yield PassItem(now, user, after.account_id)


def _contact(link: Link) -> RecordId | None:
    return link.record_id if link.record_type is RecordType.CONTACT else None
