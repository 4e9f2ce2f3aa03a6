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


KINDS = {
    "create": "Created",
    "merge": "Merged",
    "update": "Updated",
    "move": "Moved",
    "deactivate": "Deactivated",
    "reactivate": "Reactivated",
    "keep": "Left, kept",
    "skip": "Left out",
    "hold": "Held",
    "conflict": "Conflict",
    "worklist": "On the worklist",
    "failure": "Failed",
    "undo": "Undone",
    "itglue": "IT Glue",
    "note": "Note",
}
_TONES = {"failure": "bad", "conflict": "look", "hold": "look", "worklist": "look"}
_TONES |= dict.fromkeys(("create", "merge", "reactivate"), "good")
_TONES |= dict.fromkeys(("update", "move"), "busy")
_ORIGINS = {
    "notification": "a notification of Entra",
    "sweep": "a sweep",
    "full": "a full sync",
    "rules": "a change of rules",
    "person": "a person",
    "itglue": "passing on to IT Glue",
}


def deed(kind: str) -> str:
    """What was done, in words, from the kind of an activity."""
    return KINDS.get(kind) or label(kind).capitalize()


def tone(kind: str) -> str:
    """The colour that goes with it."""
    return _TONES.get(kind, "off")


def origin(code: str) -> str:
    """Where the signal came from."""
    return _ORIGINS.get(code) or label(code)
