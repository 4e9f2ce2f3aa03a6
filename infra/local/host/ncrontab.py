"""Timer schedules: NCRONTAB, as the Functions host reads them.

NCRONTAB differs from cron: seconds come first (five fields mean second 0), Sunday is 0 and never 7,
`?`, `L`, `W` and `#` are errors, and when both are given the day of the month AND the day of the
week must match. The worker library lets a bad schedule pass, so the host must refuse it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from croniter import croniter

from infra.local.host.refusal import Refused

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_PART = re.compile(r"^(?:\*|(\w+)(?:-(\w+))?)(?:/(\d+))?$", re.ASCII)
_LOOKED_AT = 8


@dataclass(frozen=True)
class _Field:
    name: str
    lowest: int
    highest: int
    words: tuple[str, ...] = ()

    def plain(self, text: str) -> str | None:
        """Write the field with numbers only, or return None when it is wrong."""
        parts = [self._part(part) for part in text.split(",")]
        return None if None in parts else ",".join(part for part in parts if part)

    def _part(self, text: str) -> str | None:
        match = _PART.match(text)
        if match is None or match[3] == "0":
            return None
        step = f"/{match[3]}" if match[3] else ""
        if match[1] is None:
            return "*" + step
        first, last = self._number(match[1]), self._number(match[2] or match[1])
        if first is None or last is None or first > last:
            return None
        if match[2] is None:
            # NCRONTAB reads "5/20" as "from 5 to the end, every 20".
            return f"{first}-{self.highest}{step}" if step else str(first)
        return f"{first}-{last}{step}"

    def _number(self, text: str) -> int | None:
        if text.isdigit():
            number = int(text)
        elif text[:3].lower() in self.words:
            number = self.words.index(text[:3].lower()) + self.lowest
        else:
            return None
        return number if self.lowest <= number <= self.highest else None


_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 6, _DAYS),
)


@dataclass(frozen=True)
class Schedule:
    """A schedule; all times are UTC, since Flex Consumption knows no other time zone."""

    text: str
    plain: str

    def next_after(self, moment: datetime) -> datetime:
        """The first occurrence after the moment."""
        found: datetime = self._cron(moment).get_next(datetime)
        return found

    @property
    def faster_than_a_minute(self) -> bool:
        """Whether occurrences are less than a minute apart; the host monitors no such schedule."""
        cron = self._cron(datetime.now(UTC))
        try:
            occurrences: list[datetime] = [cron.get_next(datetime) for _ in range(_LOOKED_AT)]
        except ValueError:
            # croniter looks 50 years ahead: fewer occurrences than that are rare enough.
            return False
        return any((b - a).total_seconds() < 60 for a, b in pairwise(occurrences))

    def _cron(self, moment: datetime) -> croniter:
        return croniter(self.plain, moment, second_at_beginning=True, day_or=False)


def parse_schedule(text: str, where: str) -> Schedule:
    """Read an NCRONTAB expression, or refuse it with a sentence."""
    words = text.split()
    if len(words) == 1 and re.fullmatch(r"[\d.:]+", text.strip()):
        raise Refused(
            f'{where}: the schedule "{text}" is a time span, which Consumption plans refuse: '
            "write an NCRONTAB expression."
        )
    if len(words) == 5:
        words.insert(0, "0")
    if len(words) != 6:
        raise Refused(f'{where}: the schedule "{text}" must have 5 or 6 fields.')
    plain: list[str] = []
    for field, word in zip(_FIELDS, words, strict=True):
        numbers = field.plain(word)
        if numbers is None:
            raise Refused(f'{where}: "{word}" in the schedule "{text}" is no {field.name}.')
        plain.append(numbers)
    schedule = Schedule(text, " ".join(plain))
    try:
        schedule.next_after(datetime.now(UTC))
    except ValueError as error:
        raise Refused(f'{where}: the schedule "{text}" never comes ({error}).') from error
    return schedule
