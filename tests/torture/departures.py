"""Counts the deactivations that reach BMS, and who has approved them (R20)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from infra.local.bms.control_values import WriteSeen

DAY = timedelta(hours=24)


@dataclass
class Departures:
    """Contacts that the app has set inactive, each with the moment of the first time."""

    last: int = 0  # the number of the last write that was read
    approved: set[int] = field(default_factory=set)  # a person's word does not count
    _seen: dict[int, datetime] = field(default_factory=dict)

    def read(self, writes: Iterable[WriteSeen], now: datetime) -> None:
        """Take down what has happened since."""
        for write in writes:
            self.last = max(self.last, write.number)
            if write.method == "PATCH" and isinstance(write.body, list):
                off = any(
                    str(each.get("path", "")).strip("/").lower() == "isactive"
                    and each.get("value") is False
                    for each in write.body
                )
                contact = write.target.split("?")[0].rsplit("/", 1)[-1]
                if off and contact.isdigit() and int(contact) not in self.approved:
                    before = self._seen.get(int(contact))
                    if before is None or now - before >= DAY:
                        self._seen[int(contact)] = now

    def within_a_day(self, now: datetime) -> int:
        """How many there were in the moving day, without those approved since."""
        return sum(
            1
            for contact, at in self._seen.items()
            if now - at < DAY and contact not in self.approved
        )
