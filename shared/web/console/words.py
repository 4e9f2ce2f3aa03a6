"""Numbers, seconds and codes as a person reads them."""

from __future__ import annotations

import re

from shared.core.employee_fields import LABELS

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|_")


def count(number: float) -> str:
    """A number with thousands apart."""
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def seconds(value: float | None) -> str:
    """A length of time: `0.4 s`, `42 s`, `3 min`, `2 h 10 min`."""
    if value is None:
        return "\N{EN DASH}"
    if value < 10:
        return f"{value:.1f} s"
    if value < 120:
        return f"{value:.0f} s"
    minutes = round(value / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if rest and hours < 24 else f"{hours} h"


def label(name: str) -> str:
    """The name of a field or a code in words: `job title` for JobTitleId, jobTitle, job_title."""
    return LABELS.get(name) or " ".join(_HUMP.split(name)).lower()
